// Tokens of C and WGSL for mutation: names, numbers, operators and brackets, without a grammar.

const punctuators = [
  ...['<<=', '>>=', '...'],
  ...['<<', '>>', '<=', '>=', '==', '!=', '&&', '||', '++', '--', '+=', '-=', '*=', '/=', '%=', '&=', '|=', '^=', '->'],
  '##',
];

const number = /^(?:0[xX][0-9a-fA-F]*\.?[0-9a-fA-F]*(?:[pP][+-]?\d+)?|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)[a-zA-Z]*/;
const name = /^[A-Za-z_]\w*/;

/** Matches the names of types, so that `real *p` is not taken for a product and `array<f32>` not for a comparison. */
const types = {
  c: /^(?:void|char|short|int|long|float|double|unsigned|signed|const|static|struct|union|enum|size_t)$/,
  wgsl: /^(?:array|atomic|bitcast|ptr|var|vec[234]|mat[234]x[234]|texture_\w+)$/,
};

/**
 * The tokens of a source text: `{ kind, text, start, end }`, where `kind` is name, number or mark. Comments, strings and `#include`
 * lines have no tokens; other preprocessor lines have the tokens after the directive, with `directive` set, and end with an empty mark.
 *
 * @param language 'c', 'wgsl', or 'wgsl-in-ts': the template strings after a comment `wgsl` in TypeScript, in which an interpolation
 *   counts as a name; each string ends with an empty mark
 */
export function tokenize(text, language) {
  if (language === 'wgsl-in-ts') {
    // The text after a template string is not an operand of its last token.
    const end = (at) => ({ kind: 'mark', text: '', start: at, end: at, directive: null });
    return regions(text).flatMap(([from, to]) => [...read(text, from, to, 'wgsl'), end(to)]);
  }
  return read(text, 0, text.length, language);
}

/** The positions of the WGSL in a TypeScript file: between the backquotes after `/* wgsl *\/`. */
function regions(text) {
  const found = [];
  for (const { index, 0: opening } of text.matchAll(/\/\* wgsl \*\/\s*`/g)) {
    const from = index + opening.length;
    let to = from;
    while (to < text.length && text[to] !== '`') {
      if (text.startsWith('${', to)) to = interpolationEnd(text, to);
      else to += text[to] === '\\' ? 2 : 1;
    }
    found.push([from, to]);
  }
  return found;
}

/** The position after the `}` of the interpolation that begins at `at`. */
function interpolationEnd(text, at) {
  let depth = 0;
  let end = at + 1;
  do {
    if (text[end] === '{') depth++;
    if (text[end] === '}') depth--;
    end++;
  } while (depth > 0 && end < text.length);
  return end;
}

function read(text, from, to, language) {
  const tokens = [];
  let directive = null;
  let at = from;
  const push = (kind, length, more) => {
    tokens.push({ kind, text: text.slice(at, at + length), start: at, end: at + length, directive, ...more });
    at += length;
  };
  while (at < to) {
    const rest = text.slice(at, Math.min(to, at + 120));
    if (text[at] === '\n') {
      if (directive) push('mark', 0);
      directive = null;
      at++;
    } else if (/^\\\r?\n/.test(rest)) at = text.indexOf('\n', at) + 1;
    else if (/^\s/.test(rest)) at++;
    else if (rest.startsWith('//')) at = lineEnd(text, at, to);
    else if (rest.startsWith('/*')) at = Math.min(to, text.indexOf('*/', at) + 2);
    else if (rest.startsWith('${')) push('name', interpolationEnd(text, at) - at);
    else if (/^["']/.test(rest) && language === 'c')
      at += /^(["'])(?:\\.|(?!\1).)*\1/.exec(text.slice(at, to))?.[0].length ?? 1;
    else if (rest[0] === '#' && !directive && language === 'c' && /^#\s*\w/.test(rest)) {
      const [word] = /^#\s*\w+/.exec(rest);
      directive = word.slice(1).trim();
      at = /^(?:include|pragma|error|undef)$/.test(directive) ? lineEnd(text, at, to) : at + word.length;
    } else if (number.test(rest) && /^[.\d]/.test(rest) && !/^\.(?!\d)/.test(rest))
      push('number', number.exec(rest)[0].length);
    else if (name.test(rest)) push('name', name.exec(text.slice(at, to))[0].length);
    else push('mark', punctuators.find((mark) => rest.startsWith(mark))?.length ?? 1);
  }
  return language === 'wgsl' ? withoutTemplates(tokens) : withoutCasts(tokens, text);
}

function lineEnd(text, at, to) {
  const end = text.indexOf('\n', at);
  return end < 0 ? to : end;
}

/** Marks the `<` and `>` around a type's parameters, and the `>>` that closes two, as kind `bracket`. */
function withoutTemplates(tokens) {
  for (let i = 1; i < tokens.length; i++) {
    if (tokens[i].text !== '<' || !types.wgsl.test(tokens[i - 1].text)) continue;
    for (let depth = 0, j = i; j < tokens.length; j++) {
      const { text } = tokens[j];
      if (text === '<') depth++;
      else if (text === '>') depth--;
      else if (text === '>>') depth -= 2;
      else continue;
      tokens[j].kind = 'bracket';
      if (depth <= 0) break;
    }
  }
  return tokens;
}

/** Marks the `*` of pointer types as kind `bracket`, and the end of casts with `isCast`. */
function withoutCasts(tokens, text) {
  const own = new Set([...text.matchAll(/(?:typedef\s[^;{}]*?|\}\s*)(\w+);/g)].map((match) => match[1]));
  const isType = (word) => types.c.test(word) || own.has(word) || /^(?:real|word|[A-Z][a-z]\w*|V)$/.test(word);
  for (let i = 1; i < tokens.length; i++) {
    const before = tokens[i - 1];
    if (tokens[i].text === '*' && (before.kind === 'bracket' || (before.kind === 'name' && isType(before.text)))) {
      tokens[i].kind = 'bracket';
    }
    if (tokens[i].text !== ')') continue;
    let first = i - 1;
    while (first > 0 && (tokens[first].kind === 'bracket' || isType(tokens[first].text))) first--;
    if (first < i - 1 && tokens[first].text === '(' && tokens[first - 1]?.kind !== 'name') tokens[i].isCast = true;
  }
  return tokens;
}
