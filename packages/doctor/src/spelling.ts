import { inOurLetters } from './aliases.js';
import { commuted } from './commuted.js';

/**
 * An expression in one spelling: without what it is assigned to, spaces and the library's name; in the letters s, x, g, y
 * and J; products in one order; functions as methods, so that `np.sum(J, axis=1)`, `J.sum(1)`, `torch.sum(jac, dim=1)` and `J.sum(axis=1)` are
 * the same.
 */
export function normalised(expression: string): string {
  const text = inOurLetters(withoutAssignment(expression))
    .replace(/\s+/g, '')
    .replace(/;+$/, '')
    .replaceAll('"', "'")
    .replace(library, '')
    .replace(/\bdim=/g, 'axis=')
    .replaceAll('keepdim=', 'keepdims=')
    .replaceAll('.shape[-1]', '.shape[1]')
    .replace(/(?<![\w.])(\d+)\.0*(?!\w)/g, '$1')
    .replace(/\.ravel\(\)|\.reshape\(-1\)/g, '.flatten()');
  const spelt = withoutOuterParentheses(asOperators(asMethods(asLetters(text))))
    .replace(/\.(sum|mean)\((-?\d)/g, '.$1(axis=$2')
    .replace(/(\.(?:sum|mean)\(axis=-?\d),(?=True|1)/g, '$1,keepdims=')
    .replace(/keepdims=1\b/g, 'keepdims=True')
    .replaceAll('axis=-1', 'axis=1');
  return commuted(spelt);
}

const library =
  /(?<![\w.])(?:jax\.numpy|jax\.nn|scipy\.special|special|torch\.nn\.functional|numpy|np|jnp|torch|tf|F)\./g;

/** Without `dx =`, `const dx =` or `const { loss, gradient } =` in front. */
function withoutAssignment(expression: string): string {
  return expression.replace(/^\s*(?:(?:const|let)\s+)?(?:[\w.]+|\{[\w\s,]+\})\s*=(?!=)/, '');
}

/** The probabilities, one-hot targets and row counts that are spelled out, as the letters s, y and n. */
function asLetters(text: string): string {
  const letters = text
    .replace(/(?<![\w.])softmax\(x(?:,(?:axis=)?-?1)?\)|(?<![\w.])x\.softmax\((?:(?:axis=)?-?1)?\)/g, 's')
    .replace(/\((?:s|x)\.size\/(?:s|x)\.shape\[1\]\)|(?<![\w.])(?:s|x|y)\.shape\[0\]/g, 'n')
    .replace(/(?<=roll\(s,)i\b|(?<=\bfor)i(?=inrange)|\bi(?===0)/g, 'k')
    .replace(/\(k==0\)(?=-roll)/g, 'delta')
    .replace(/(?<=\brange\(|inrange\()s\.shape\[1\](?=\))/g, 'f')
    .replace(/(?<![\w.])(?:len\([sxy]\)|size\(y\))/g, 'n');
  return rewritten(letters, /(?<![\w.])(one_hot|to_categorical)\(/, (name, operands) =>
    operands[0] === 'y' ? 'y' : `${name}(${operands.join(',')})`,
  ).replace(/(?<![\w.])(?:eye|identity)\([^()]*\)\[y\]/g, 'y');
}

/** `sum(J, axis=1)` as `J.sum(axis=1)`. */
function asMethods(text: string): string {
  return rewritten(text, /(?<![\w.])(sum|mean)\(/, (name, [operand, ...rest]) => {
    return `${wrapped(operand.replace(/^(?:a|input|x)=/, ''))}.${name}(${rest.join(',')})`;
  });
}

/** `np.dot(a, b)`, `np.matmul(a, b)` and `a.dot(b)` as `a @ b`; `np.multiply(a, b)` as `a * b`. */
function asOperators(text: string): string {
  const operator = (name: string) => (name === 'multiply' ? '*' : '@');
  const functions = rewritten(text, /(?<![\w.])(dot|matmul|multiply)\(/, (name, operands) => {
    return operands.length === 2 ? operands.map(wrapped).join(operator(name)) : `${name}(${operands.join(',')})`;
  });
  return functions.replace(
    /\.(dot|matmul|mul)\(([\w.]+)\)/g,
    (_, name, operand) => `${name === 'mul' ? '*' : '@'}${operand}`,
  );
}

/** Calls of a function, the last one first, so that what is within them is rewritten before. */
function rewritten(
  text: string,
  call: RegExp,
  rewrite: (name: string, operands: readonly [string, ...string[]]) => string,
): string {
  let result = text;
  for (const { 0: start, 1: name, index } of [...text.matchAll(new RegExp(call, 'g'))].reverse()) {
    const open = index + start.length;
    const operands = operandsFrom(result, open);
    if (operands === null) continue;
    const end = open + operands.join(',').length + 1;
    result = result.slice(0, index) + rewrite(name, operands) + result.slice(end);
  }
  return result;
}

/** What stands between the parenthesis before `open` and the one that closes it, cut at its commas; null if none does. */
function operandsFrom(text: string, open: number): readonly [string, ...string[]] | null {
  let depth = 0;
  let operand = '';
  const before: string[] = [];
  for (const character of text.slice(open)) {
    if (depth === 0 && character === ')') {
      const [first, ...others] = [...before, operand];
      return [first, ...others];
    }
    if (depth === 0 && character === ',') {
      before.push(operand);
      operand = '';
      continue;
    }
    if ('([{'.includes(character)) depth++;
    if (')]}'.includes(character)) depth--;
    operand += character;
  }
  return null;
}

/** In parentheses, unless it is a name, a call or an element. */
function wrapped(operand: string): string {
  const inner = withoutOuterParentheses(operand);
  return /^[\w.]+$/.test(inner) || /^[\w.]+\([^()]*\)$/.test(inner) || /^[\w.]+\[[^[\]]*\]$/.test(inner)
    ? inner
    : `(${inner})`;
}

function withoutOuterParentheses(text: string): string {
  if (!text.startsWith('(')) return text;
  const operands = operandsFrom(text, 1);
  if (operands?.length !== 1 || operands[0].length !== text.length - 2) return text;
  return withoutOuterParentheses(operands[0]);
}
