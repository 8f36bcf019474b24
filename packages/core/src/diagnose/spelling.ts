/**
 * An expression in one spelling: without what it is assigned to, spaces and the library's name; functions as methods, so
 * that `np.sum(J, axis=1)`, `J.sum(1)`, `torch.sum(J, dim=1)` and `J.sum(axis=1)` are the same.
 */
export function normalised(expression: string): string {
  const text = expression
    .replace(/^\s*[\w.]+\s*=(?!=)/, '')
    .replace(/\s+/g, '')
    .replace(/;+$/, '')
    .replaceAll('"', "'")
    .replace(/(?<![\w.])(?:jax\.numpy|numpy|np|jnp|torch|tf)\./g, '')
    .replace(/\bdim=/g, 'axis=')
    .replaceAll('keepdim=', 'keepdims=')
    .replace(/\.ravel\(\)|\.reshape\(-1\)/g, '.flatten()');
  return withoutOuterParentheses(asOperators(asMethods(text)))
    .replace(/\.(sum|mean)\((-?\d)/g, '.$1(axis=$2')
    .replace(/(\.(?:sum|mean)\(axis=-?\d),(?=True|1)/g, '$1,keepdims=')
    .replace(/keepdims=1\b/g, 'keepdims=True')
    .replaceAll('axis=-1', 'axis=1');
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
