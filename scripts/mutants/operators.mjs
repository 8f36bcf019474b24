// Mutation operators for kernels. They work on the tokens of C or WGSL and parse only brackets and the precedence of operators; a mutant that
// does not compile does not count.
import { tokenize } from './tokens.mjs';

/** The operators by name, with a description of each. */
export const operators = {
  boundary: '< for <=, > for >=, == for !=, and the other way round, also of lt, le, eq and ne',
  threshold: 'a number in a comparison or in a #define, up and down',
  'loop-end': 'the end of a loop, one further or one before, whichever `boundary` does not do',
  dropped: 'a + b and a − b without one of their terms',
  swapped: 'b − a for a − b, b / a for a / b',
  arithmetic: '+ for −, − for +, + for *, * for /',
  extremum: 'min for max, max for min',
  lane: 'another lane, another index of a shuffle, another bit of a mask',
  select: 'the two sides of a selection, exchanged',
  bits: '& for |, | for &, && for ||, || for &&; andnot without the not',
  constant: 'a digit of a coefficient',
};

/**
 * Every mutant of a source text: `{ operator, start, end, line, column, before, after }`, where `after` replaces text from `start` to `end`.
 *
 * @param language 'c', 'wgsl', or 'wgsl-in-ts' (WGSL in template strings)
 */
export function mutants(text, language) {
  const code = withPartners(tokenize(text, language));
  const found = [];
  const propose = (operator, from, to, after) => {
    const [start, end] = [code[from].start, code[to].end];
    const before = text.slice(start, end);
    if (before !== after) found.push({ operator, start, end, before, after });
  };
  const source = (from, to) => text.slice(code[from].start, code[to].end);
  for (let i = 0; i < code.length; i++) {
    const token = code[i];
    if ((token.directive && token.directive !== 'define') || choosesDType(code, i)) continue;
    if (token.kind === 'mark') infix(code, i, propose, source);
    else if (token.kind === 'number') literal(code, i, propose);
    else if (token.kind === 'name') called(code, i, propose, source, language === 'c');
  }
  return placed(text, found);
}

/** The text with a mutant applied. */
export function apply(text, { start, end, after }) {
  return text.slice(0, start) + after + text.slice(end);
}

const opening = { '(': ')', '[': ']', '{': '}' };

/** Sets the index of the matching bracket on each bracket. */
function withPartners(code) {
  const open = [];
  for (const [i, token] of code.entries()) {
    if (token.kind !== 'mark') continue;
    if (token.text === '' && token.directive === null) open.length = 0;
    if (token.text in opening) open.push(i);
    else if (Object.values(opening).includes(token.text)) {
      const at = open.pop();
      if (at === undefined) continue;
      code[at].partner = i;
      token.partner = at;
    }
  }
  return code;
}

const precedence = new Map(
  [
    ['*', '/', '%'],
    ['+', '-'],
    ['<<', '>>'],
    ['<', '<=', '>', '>='],
    ['==', '!='],
    ['&'],
    ['^'],
    ['|'],
    ['&&'],
    ['||'],
    ['?', ':'],
  ].flatMap((marks, level) => marks.map((mark) => [mark, level])),
);
const comparisons = { '<': '<=', '<=': '<', '>': '>=', '>=': '>', '==': '!=', '!=': '==' };

/** Whether a comparison is like `REAL == 32`, which selects one of two programs. */
const choosesDType = (code, i) => code[i - 1]?.text === 'REAL' || code[i - 2]?.text === 'REAL';

/** Whether a mark is between two operands. */
function isInfix(code, i) {
  const before = code[i - 1];
  const after = code[i + 1];
  if (!before || !after || before.directive !== code[i].directive) return false;
  const ends =
    before.kind === 'number' || (before.text === ')' && !before.isCast) || before.text === ']' || isOperandName(before);
  return ends && !isMacroHead(code, i);
}

const isOperandName = ({ kind, text }) => kind === 'name' && !/^(?:return|case|else|sizeof)$/.test(text);

/** In `#define f(a) (a)`, the body is not an operand of the parameters. */
function isMacroHead(code, i) {
  const before = code[i - 1];
  if (code[i].directive !== 'define') return false;
  let first = i - 1;
  while (first > 0 && code[first - 1].directive === 'define' && code[first - 1].text !== '') first--;
  return first === i - 1 || (before.text === ')' && before.partner === first + 1);
}

/** The first and last token of an operand of the mark at `i`, on its left (−1) or right (1). */
function operand(code, i, side) {
  const level = precedence.get(code[i].text);
  let at = i + side;
  let last = null;
  while (code[at]) {
    const token = code[at];
    if (token.partner !== undefined) {
      if (token.partner > at !== side > 0) break;
      at = token.partner;
    } else if (token.kind === 'mark' && isInfix(code, at)) {
      const other = precedence.get(token.text);
      if (other === undefined) {
        if (token.text !== '.' && token.text !== '->') break;
      } else if (side < 0 ? other > level : other >= level) break;
    } else if (token.kind === 'mark' && !/^[-!~&*+]$|^\+\+$|^--$/.test(token.text)) break;
    else if (token.kind === 'name' && /^(?:return|case|else|let|var|const)$/.test(token.text)) break;
    last = at;
    at += side;
  }
  if (last === null) return null;
  return side < 0 ? [last, i - 1] : [i + 1, last];
}

function infix(code, i, propose, source) {
  const { text } = code[i];
  if (text === '?') ternary(code, i, propose, source);
  if (!precedence.has(text) || !isInfix(code, i)) return;
  if (text in comparisons) {
    propose('boundary', i, i, comparisons[text]);
    loopEnd(code, i, propose, source);
  }
  if (text === '&' || text === '|') propose('bits', i, i, text === '&' ? '|' : '&');
  if (text === '&&' || text === '||') propose('bits', i, i, text === '&&' ? '||' : '&&');
  if (text === '*') propose('arithmetic', i, i, '+');
  if (text === '%') propose('arithmetic', i, i, '/');
  if (text !== '+' && text !== '-' && text !== '/') return;
  propose('arithmetic', i, i, { '+': '-', '-': '+', '/': '*' }[text]);
  const [left, right] = [operand(code, i, -1), operand(code, i, 1)];
  if (!left || !right) return;
  const [a, b] = [source(...left), source(...right)];
  if (text !== '/') propose('dropped', left[0], right[1], a);
  if (text === '+') propose('dropped', left[0], right[1], b);
  else propose('swapped', left[0], right[1], `${b} ${text} ${a}`);
}

/** Loops that end one step early, `c < n - 1`, or one step late, `c <= n + 1`. */
function loopEnd(code, i, propose, source) {
  if (!inLoopHead(code, i)) return;
  const right = operand(code, i, 1);
  if (right) propose('loop-end', right[0], right[1], `${source(...right)} ${code[i].text.length === 1 ? '-' : '+'} 1`);
}

/** Whether token `i` is in the condition of a `for` or `while`. */
function inLoopHead(code, i) {
  let semicolons = 0;
  for (let at = i - 1; at > 0; at--) {
    if (code[at].text === '') return false;
    if (code[at].text === ';') semicolons++;
    if (code[at].partner === undefined) continue;
    if (code[at].partner < at) at = code[at].partner;
    else if (code[at].text !== '(') return false;
    else if (code[at - 1].text === 'while') return true;
    else if (code[at - 1].text === 'for') return semicolons === 1;
  }
  return false;
}

/** `mask ? a : b` as `mask ? b : a`. */
function ternary(code, i, propose, source) {
  let depth = 0;
  let colon = i + 1;
  for (; code[colon]; colon++) {
    if (code[colon].partner > colon) colon = code[colon].partner;
    else if (code[colon].text === '?') depth++;
    else if (code[colon].text === ':' && depth-- === 0) break;
  }
  let end = colon + 1;
  for (; code[end]; end++) {
    if (code[end].partner > end) end = code[end].partner;
    else if (/^[;,)}\]]?$/.test(code[end].text)) break;
  }
  if (!code[end] || end <= colon + 1) return;
  propose('select', i + 1, end - 1, `${source(colon + 1, end - 1)} : ${source(i + 1, colon - 1)}`);
}

/** Numbers: thresholds, coefficients and bits. */
function literal(code, i, propose) {
  const { text } = code[i];
  const [before, after] = [code[i - 1]?.text ?? '', code[i + 1]?.text ?? ''];
  const isDefinition = code[i].directive === 'define' && isMacroHead(code, i);
  if (before in comparisons || after in comparisons || isDefinition) {
    for (const other of nudged(text)) propose('threshold', i, i, other);
  } else if (/^[&|^]$/.test(before) && /^(?:0x)?[\da-f]+[ul]*$/i.test(text)) {
    const [, digits, suffix] = /^(.*?)([ul]*)$/i.exec(text);
    propose('lane', i, i, `${BigInt(digits) ^ 1n}${suffix}`);
  } else if (/[.pP]/.test(text) && !/^0x1p/.test(text) && /[1-9]/.test(text)) {
    for (const other of coefficient(text)) propose('constant', i, i, other);
  } else if (/^0x1p/.test(text)) {
    for (const other of nudged(text)) propose('constant', i, i, other);
  }
}

/** A larger and a smaller threshold: by one if it is below 16, otherwise by a third. */
function nudged(text) {
  const power = /^(0x1p)([+-]?\d+)(.*)$/.exec(text);
  if (power) return [2, -2].map((step) => `${power[1]}${Number(power[2]) + step}${power[3]}`);
  const whole = /^(\d+)([a-zA-Z]*)$/.exec(text);
  if (whole) {
    const value = Number(whole[1]);
    const [more, less] = value < 16 ? [value + 1, value - 1] : [Math.round(value * 1.4), Math.round(value / 1.4)];
    return (value === 0 ? [more] : [more, less]).map((other) => `${other}${whole[2]}`);
  }
  const decimal = /^(\d*\.\d*(?:[eE][+-]?\d+)?)([a-zA-Z]*)$/.exec(text);
  if (decimal && Number(decimal[1]) !== 0)
    return [1.4, 1 / 1.4].map((by) => `(${decimal[1]} * ${by.toFixed(3)}${decimal[2]})`);
  return coefficient(text);
}

/** A coefficient with a different digit in the middle; a change of the first digit or the sign would be too easy to detect. */
function coefficient(text) {
  const digits = [...text.matchAll(/[\da-fA-F]/g)];
  const mantissa = /^0[xX][\da-fA-F]*\.?([\da-fA-F]*)/.exec(text) ?? /^(\d*\.\d*)/.exec(text);
  if (!mantissa || digits.length === 0) return [];
  const from = text.startsWith('0x') ? 2 : 0;
  const to = mantissa[0].length;
  const at = text.slice(from, to).length > 6 ? from + 5 : to - 1;
  const digit = text[at];
  if (!/[\da-fA-F]/.test(digit)) return [`${text.slice(0, to)}1${text.slice(to)}`];
  const other = digit === '9' || digit === 'f' || digit === 'F' ? '8' : (Number.parseInt(digit, 16) + 1).toString(16);
  return [text.slice(0, at) + other + text.slice(at + 1)];
}

/** Calls of vector operations (add, wasm_f64x2_sub, MUL, pmax …), and lane indices. */
function called(code, i, propose, source, isC) {
  const open = i + 1;
  const { text } = code[i];
  if (code[open]?.text !== '(' || code[open].partner === undefined) return;
  // The name in the definition of a macro or the declaration of a function.
  if (code[i].directive === 'define' && code[i - 1]?.directive !== 'define') return;
  const close = code[open].partner;
  const spans = argumentsOf(code, open, close);
  const [prefix, verb, rest] = verbOf(text);
  const named = (other) => prefix + (/^[A-Z]+$/.test(verb) ? other.toUpperCase() : other) + rest;
  const args = spans.map((span) => source(...span));
  const rename = (operator, other) => propose(operator, i, i, named(other));
  const replace = (operator, after) => propose(operator, i, close, after);
  const lower = verb.toLowerCase();
  if (lower === 'add' && args.length === 2) {
    for (const arg of args) replace('dropped', arg);
    rename('arithmetic', 'sub');
  } else if (lower === 'sub' && args.length === 2) {
    replace('dropped', args[0]);
    replace('swapped', `${text}(${args[1]}, ${args[0]})`);
    rename('arithmetic', 'add');
  } else if (lower === 'mul' && args.length === 2) rename('arithmetic', 'add');
  else if (lower === 'div' && args.length === 2) {
    replace('swapped', `${text}(${args[1]}, ${args[0]})`);
    rename('arithmetic', 'mul');
  } else if (/^(?:fma|madd|nmadd|fnma)$/.test(lower) && args.length === 3) {
    replace('dropped', args[2]);
    if (lower === 'fma' && text === 'fma') replace('dropped', `((${args[0]}) * (${args[1]}))`);
  } else if (/^(?:max|pmax|min|pmin)$/.test(lower))
    rename(
      'extremum',
      lower.replace(/max|min/, (m) => (m === 'max' ? 'min' : 'max')),
    );
  else if (/^(?:lt|le|eq|ne|gt|ge)$/.test(lower))
    rename('boundary', { lt: 'le', le: 'lt', eq: 'ne', ne: 'eq', gt: 'ge', ge: 'gt' }[lower]);
  else if (/^(?:and|or|andnot)$/.test(lower)) rename('bits', { and: 'or', or: 'and', andnot: 'and' }[lower]);
  else if (/^(?:bitselect|select)$/.test(lower) && args.length === 3) {
    // C's macro is select(mask, a, b); wasm_v128_bitselect and WGSL's select have the mask last.
    const order = isC && lower === 'select' ? [0, 2, 1] : [1, 0, 2];
    replace('select', `${text}(${order.map((k) => args[k]).join(', ')})`);
  }
  if (/shuffle|_lane$|lane_const|_const$|_load\d+_lane/.test(text)) {
    const isConstant = /_const$/.test(text);
    for (const [k, span] of spans.entries()) {
      if (span[0] !== span[1] || code[span[0]].kind !== 'number' || isConstant || k === 0) continue;
      propose('lane', span[0], span[0], String(Number(args[k]) ^ 1));
    }
  }
}

/** `wasm_f64x2_add` as prefix, verb and rest. */
function verbOf(text) {
  const known =
    /^((?:wasm_)?(?:[fiv]\d+(?:x\d+)?_)?(?:relaxed_|ieee_)?)(add|sub|mul|div|fma|fnma|madd|nmadd|pmax|pmin|max|min|lt|le|eq|ne|gt|ge|and|or|andnot|bitselect|select|ADD|SUB|MUL)$/.exec(
      text,
    );
  return known ? [known[1], known[2], ''] : ['', '', text];
}

/** The first and last token of each argument between two brackets. */
function argumentsOf(code, open, close) {
  const spans = [];
  let first = open + 1;
  for (let at = open + 1; at <= close; at++) {
    if (at < close && code[at].partner > at) at = code[at].partner;
    else if (at === close || code[at].text === ',') {
      if (at > first) spans.push([first, at - 1]);
      first = at + 1;
    }
  }
  return spans;
}

/** The mutants in the order of their position, without duplicates, with line and column counted from 1. */
function placed(text, found) {
  const seen = new Set();
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return found
    .sort((a, b) => a.start - b.start || a.end - b.end)
    .filter(({ start, end, after }) => {
      const key = `${start}:${end}:${after}`;
      if (seen.has(key)) return false;
      seen.add(key);
      return true;
    })
    .map((mutant) => {
      const line = starts.findLastIndex((start) => start <= mutant.start);
      return { ...mutant, line: line + 1, column: mutant.start - starts[line] + 1 };
    });
}
