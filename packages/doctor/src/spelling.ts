import { inOurLetters } from './aliases.js';
import { withoutArrayMethods } from './array-methods.js';
import { commuted } from './commuted.js';
import { canonicalEinsum } from './einsum.js';

/**
 * Normalises an expression: removes the assignment, spaces and the name of the library; renames variables to s, x, g, y and J; sorts
 * the factors of products; and writes functions as methods, so that `np.sum(J, axis=1)`, `J.sum(1)`, `torch.sum(jac, dim=1)` and
 * `J.sum(axis=1)` become equal.
 *
 * @param classesFirst whether the classes are along axis 0, so that `s.shape[0]` is their number
 */
export function normalised(expression: string, classesFirst = false): string {
  const text = inOurLetters(elementwise(withoutAssignment(withoutArrayMethods(asOneStatement(expression)))))
    .replace(/\s+/g, '')
    .replace(/;+$/, '')
    .replaceAll('"', "'")
    .replace(library, '')
    .replace(conversions, '')
    .replace(/(?<![\w.])(?:nn\.)?Softmax\(([^()]*)\)\((\w+)\)/g, 'softmax($2,$1)')
    .replace(ownSoftmax, 'softmax(')
    .replace(/\{((?:(?:axis|dim|keepdims?):[^{}:]*)+)\}/gi, (_, named: string) => named.replaceAll(':', '='))
    .replace(/(?<![\w.])reduce_(sum|mean|max)\(/g, '$1(')
    .replace(/\bdim(?=[12]?=)/g, 'axis')
    .replace(/(?<![\w.])(\w+)\.diagonal\((\)?)/g, (_, array: string, end = '') => `diagonal(${array}${end || ','}`)
    .replace(/(?<![\w.])diag\(J\)/g, 'diagonal(J)')
    .replace(/(axis1=)-2,(axis2=)-1/g, '$11,$22')
    .replace(/\bkeepdims?=/gi, 'keepdims=')
    .replace(severalAxes, '{$1}')
    .replace(oneAxis, '$1')
    .replace(/(?<![\w.])ger\(/g, 'outer(')
    .replace(outerOfRow, 'outer(s,s)')
    .replace(/\baverage\(/g, 'mean(')
    .replaceAll('.shape[-1]', '.shape[1]')
    .replace(/(?<![\w.])len\([sx]\)/g, 's.shape[0]')
    .replace(
      /(?<![\w.])[sx]\.shape\[([01])\]/g,
      (_, axis: string) => `s.shape[${classesFirst ? 1 - Number(axis) : axis}]`,
    )
    .replace(/(?<![\w.])(\d+)\.0*(?!\w)/g, '$1')
    .replace(/\.ravel\(\)|\.reshape\(-1\)/g, '.flatten()');
  const spelt = withoutOuterParentheses(asOperators(asMethods(asLetters(asArithmetic(asFormulas(text))))))
    .replace(/\.(sum|mean|max|argmax)\((-?\d|\{)/g, '.$1(axis=$2')
    .replace(/(\.(?:sum|mean|max)\(axis=(?:-?\d|\{[^}]*\})),(?=True|true|1)/g, '$1,keepdims=')
    .replace(/keepdims=(?:1|true)\b/g, 'keepdims=True')
    .replace(/\bJ\.(sum|mean)\(axis=-1/g, 'J.$1(axis=2')
    .replaceAll('axis=-1', 'axis=1')
    .replace(oneHotOfArgmax, 'eye(f)[s.argmax(axis=1)]')
    .replace(restoredAxis, '$1,keepdims=True)')
    .replace(/-\((\w+)\/(\w+)\)/g, '-$1/$2')
    .replace(identityWithoutOutput, 'eye(f)-s.T')
    .replace(jacobianOverAxis0, 'J.$1(axis=1')
    .replace(jacobianOfRow, 'J')
    .replace(/\bJ\[:,(?:-?\d+|[ckj])(?:,:)?\]/g, 'J[:,0]')
    .replace(/\bJ\.(sum|mean)\(axis=-2/g, 'J.$1(axis=1');
  return commuted(outputAsS(asContractions(withoutDoubleParentheses(spelt))));
}

/** The gradient of the sum of all probabilities by automatic differentiation. */
export const gradientsOfSum: readonly string[] = [
  'torch.autograd.grad(s.sum(), x)',
  's.sum().backward()',
  'jax.grad(lambda x: jax.nn.softmax(x).sum())(x)',
];

/** True if an expression is the gradient of the sum of all outputs, by PyTorch, JAX or TensorFlow. */
export function isGradientOfSum(expression: string): boolean {
  const text = withoutAssignment(expression.trim()).replace(/\s*[;\n]\s*(?:\w+\s*=\s*)?\w+\.grad\s*;?$|\s*;$/, '');
  const [, ofGrad] =
    /^(?:(?:torch\.)?autograd\.grad|\w*tape\.gradient)\((.*?),\s*\w+\s*\)(?:\[0\])?$/i.exec(text) ?? [];
  const [, ofBackward] = /^(.*)\.backward\(\)$/.exec(text) ?? [];
  const [, name, body] = /^(?:jax\.)?grad\(\s*lambda (\w+)\s*:(.*)\)\(\s*\w+\s*\)$/.exec(text) ?? [];
  const ofLambda = body?.replace(new RegExp(`(?<![\\w.])${name}(?![\\w=])`, 'g'), 'x');
  const inner = ofGrad ?? ofBackward ?? ofLambda;
  // The probabilities add up to 1 along any axis.
  return inner !== undefined && /^(?:s|softmax\(x,axis=-?\d\))\.sum\(\)$/.test(normalised(inner));
}

/** Functions of the caller that compute a softmax. */
export const ownSoftmax =
  /(?<![\w.])(?:(?:my|own|stable|safe|naive|custom|np|numpy)_?softmax|softmax_?(?:stable|safe|np|numpy|fn|func|function|\d))\(/gi;

/** A tuple or list of axes, as in NumPy, PyTorch and TensorFlow.js; it is rewritten with braces, which are not confused with parentheses. */
const severalAxes = /(?<=[(,=])[([](-?\d(?:,-?\d)+),?[)\]]/g;

/** A list of one axis. */
const oneAxis = /(?<=axis=|\.(?:sum|mean|max)\()[([](-?\d),?[)\]]/g;

/** A dimension that a reduction removed and that an index or a reshape restores: equivalent to keepdims. */
const restoredAxis =
  /(\.(?:sum|mean|max)\(axis=1)\)(?:\[(?::|\.\.\.),(?:None|newaxis)\]|\.(?:unsqueeze|expandDims)\(-?1\)|\.(?:reshape|view)\((?:-1|n),1\))/g;

/** The one-hot row of the largest probability, which is also that of the largest logit. */
const oneHotOfArgmax =
  /(?<![\w.])(?:(?:eye|identity)\([^()]*\)\[[sx]\.argmax\(axis=1\)\]|(?:one_?[hH]ot|to_categorical)\([sx]\.argmax\(axis=1\)(?:,[^()]*)?\))/g;

/** s sᵀ of one row, written as an outer product or with new axes. */
const outerOfRow =
  /(?<![\w.])(?:outer\(s,s\.T\)|s\[:,(?:None|newaxis)\]\*s\[(?:None|newaxis),:\]|s\.unsqueeze\(-?1\)\*s\.unsqueeze\(0\)|s\.(?:reshape|view)\(-1,1\)[*@]s\.(?:reshape|view)\(1,-1\))/g;

/** max(x, 0) by other names. */
const reluOfLogits =
  /(?<![\w.])(?:maximum\((?:x,0|0,x)\)|clamp\(x,(?:min=)?0\)|x\.relu\(\)|x\.cl(?:amp|ip)\((?:min=)?0\))/g;

/** The identity matrix, of whatever size, less the transposed output: the Jacobian of one row but for a factor. */
const identityWithoutOutput = /(?<![\w.])(?:eye|identity)\([^()]*\)-s\.T(?![\w.[(])/g;

/** The Jacobian of one row, (f, f). */
const jacobianOfRow =
  /\((?:diag\(s\)-outer\(s,s\)|diagflat\(s\)-outer\(s,s\)|diagflat\(s\)-s@s\.T|s\*\(eye\(f\)-s\.T\)|\(eye\(f\)-s\.T\)\*s)\)/g;

/** Its sum or mean over axis 0, which is that over axis 1, because it is symmetric. */
const jacobianOverAxis0 = new RegExp(`${jacobianOfRow.source}\\.(sum|mean)\\(axis=0`, 'g');

/** Conversions of the dtype, which do not change the formula. */
const conversions = /\.(?:float|double|half|detach|clone|copy)\(\)|\.(?:astype|to|cast|asType)\([^()]*\)/g;

/** In y (1 − y), y is the output: for a one-hot target the product would be 0. */
function outputAsS(text: string): string {
  const factors = text.split('*').filter((one) => one !== 'g');
  return factors.toSorted().join() === '(1-y),y' ? text.replaceAll('y', 's') : text;
}

/** Rewrites the subtraction of 1 at the target (in a loop, in JAX, or in a copy) as `s[np.arange(n), y] -= 1`, or as (s − y) / n if a division follows. */
function asOneStatement(expression: string): string {
  const inLoop = expression.replace(
    /^\s*(\w+)\s*\[\s*(\w+)\s*(?:\]\s*\[|,)\s*(\w+)\s*\[\s*\2\s*\]\s*\]\s*-=\s*1(?!\w)/,
    '$1[np.arange(n), $3] -= 1',
  );
  const inPlace = inLoop.replace(
    /^\s*(?:\w+\s*=\s*)?(\w+)\.at\[(.*)\]\.(?:add\(\s*-1(?:\.0*)?\s*\)|subtract\(\s*1(?:\.0*)?\s*\))\s*$/,
    '$1[$2] -= 1',
  );
  const copied = copyDecremented.exec(inPlace) ?? ownDecremented.exec(inPlace);
  if (!copied) return inPlace;
  const { source = '', index = '', divisor } = copied.groups ?? {};
  return divisor === undefined ? `${source}[${index}] -= 1` : `(${source} - y) / ${divisor}`;
}

const copyDecremented =
  /^\s*(?<name>\w+)\s*=\s*(?<source>[\w.]+?)(?:\.copy\(\)|\.clone\(\))?\s*[;\n]\s*\k<name>\s*\[(?<index>(?:\w+\.)?a?range\([^[\]]*\)\s*,\s*\w+)\]\s*-=\s*1\s*(?:[;\n]\s*\k<name>\s*\/=\s*(?<divisor>[^;\n]+?)\s*)?;?\s*$/;

/** The same in place, with a division afterwards. */
const ownDecremented =
  /^\s*(?<source>\w+)\s*\[(?<index>(?:\w+\.)?a?range\([^[\]]*\)\s*,\s*\w+)\]\s*-=\s*1\s*[;\n]\s*\k<source>\s*\/=\s*(?<divisor>[^;\n]+?)\s*;?\s*$/;

/** Rewrites `s.map((p, i) => p - y[i])` and the `s[i] - y[i]` of a loop without the index, if only one index is used. */
function elementwise(expression: string): string {
  const mapped = /^\s*(\w+)\.map\(\s*\(?\s*(\w+)\s*(?:,\s*(\w+)\s*)?\)?\s*=>\s*(.*)\)\s*;?\s*$/.exec(expression);
  const [, array = '', element = '', index = 'i', body = ''] = mapped ?? [];
  const text = mapped ? body.replace(new RegExp(`(?<![\\w.])${element}(?!\\w)`, 'g'), array) : expression;
  const hot = text
    .replace(new RegExp(`\\(\\s*${index}\\s*={2,3}\\s*(\\w+)\\s*\\?\\s*1\\s*:\\s*0\\s*\\)`, 'g'), oneHotOf)
    .replace(/\(\s*1\s+if\s+i\s*==\s*(\w+)\s+else\s+0\s*\)/g, oneHotOf);
  const indices = new Set([...hot.matchAll(/\w\[\s*(\w+)\s*\]/g)].map(([, name]) => name));
  return indices.size === 1 && indices.has(index) ? hot.replace(new RegExp(`\\[\\s*${index}\\s*\\]`, 'g'), '') : hot;
}

/** A variable that is compared with the class index i is the target, whatever its name. */
function oneHotOf(): string {
  return 'y';
}

const operators: Readonly<Record<string, string>> = {
  sub: '-',
  subtract: '-',
  minus: '-',
  add: '+',
  plus: '+',
  mul: '*',
  times: '*',
  div: '/',
  divide: '/',
};

/** Rewrites the calls of softgrad's derivatives as their formulas: `softmax.vjp(s, g)`, `logSoftmax.vjp(y, g)` and `crossEntropy.gradient(x, y)`. */
function asFormulas(text: string): string {
  const call = /(?<![\w.])(softmax\.vjp|log_?[sS]oftmax\.vjp|crossEntropy(?:\.gradient)?)\(/;
  return rewritten(text, call, (name, [first, second = '', ...others]) => {
    const ofSum = others.join() === "{reduction:'sum'}";
    if (second === '' || (others.length > 0 && !(ofSum && name.startsWith('c'))))
      return `${name}(${[first, second, ...others].filter(Boolean).join(',')})`;
    const [a, b] = [factor(first), factor(second)];
    if (name === 'softmax.vjp') return `${a}*(${b}-(${a}*${b}).sum(axis=1,keepdims=True))`;
    if (name.startsWith('c')) return ofSum ? `softmax(${first})-${b}` : `(softmax(${first})-${b})/n`;
    const isOutput = /^(?:y|log_?(?:p\w*|s|softmax))$|^log_?softmax\(x\)$/i.test(first);
    return `${b}-${isOutput ? 's' : `exp(${first})`}*${b}.sum(axis=1,keepdims=True)`;
  });
}

/** Rewrites `a.sub(b)`, `tf.sub(a, b)` and `a.neg()` as `(a-b)` and `(-a)`, the last call first, because it may be an argument of another. */
function asArithmetic(text: string): string {
  let result = text.replace(/(?<![\w.])scalar\((\d+)\)/g, '$1');
  for (;;) {
    const calls = [
      ...result.matchAll(/((?<=[\w)\]])\.|(?<![\w.]))(subtract|sub|minus|add|plus|mul|times|divide|div|neg)\(/g),
    ];
    const call = calls.at(-1);
    if (!call) return withoutDoubleParentheses(result).replace(/\(\(-(\w+)\)\+1\)/g, '(1-$1)');
    const [start, dot, name = ''] = call;
    const open = call.index + start.length;
    const operands = operandsFrom(result, open);
    const before = dot === '.' ? operandBefore(result, call.index) : '';
    const [left, right] = dot === '.' ? [before, operands?.[0]] : [operands?.[0], operands?.[1]];
    if (operands === null || !left || (name !== 'neg' && !right)) return result;
    const end = open + operands.join(',').length + 1;
    const operator = operators[name];
    const rewritten =
      operator === undefined ? `(-${factor(left)})` : `(${factor(left)}${operator}${factor(right ?? '')})`;
    result = result.slice(0, call.index - before.length) + rewritten + result.slice(end);
  }
}

/** Adds parentheses unless the operand is a single name, call, element or parenthesis. */
function factor(operand: string): string {
  const inner = withoutOuterParentheses(operand);
  return inner !== '' && operandBefore(inner, inner.length) === inner ? inner : `(${inner})`;
}

/** The name, call, element or parenthesis that ends at an index. */
function operandBefore(text: string, end: number): string {
  let depth = 0;
  let start = end;
  while (start > 0) {
    const character = text.charAt(start - 1);
    if (')]'.includes(character)) depth++;
    else if ('(['.includes(character) && --depth < 0) break;
    else if (depth === 0 && !/[\w.]/.test(character) && !'(['.includes(character)) break;
    start--;
  }
  return text.slice(start, end);
}

/** `((a+b))` as `(a+b)`, wherever it stands. */
function withoutDoubleParentheses(text: string): string {
  for (let k = 0; k + 1 < text.length; k++) {
    if (text.charAt(k) !== '(' || text.charAt(k + 1) !== '(') continue;
    const inner = operandsFrom(text, k + 2);
    const end = inner && k + 2 + inner.join(',').length;
    if (end !== null && text.charAt(end + 1) === ')') {
      return withoutDoubleParentheses(text.slice(0, k) + text.slice(k + 1, end + 1) + text.slice(end + 2));
    }
  }
  return text;
}

/** Rewrites contractions of J with one vector for each row as an einsum with canonical letters. */
function asContractions(text: string): string {
  const spelled = text
    .replace(/bmm\(J,g\.unsqueeze\(-?\d\)\)\.squeeze\((?:-?\d)?\)/g, "einsum('nij,nj->ni',J,g)")
    .replace(
      /\(J@g(?:\.unsqueeze\(-?\d\)|\[(?:\.\.\.|:,:),(?:None|newaxis)\])\)(?:\.squeeze\((?:-?\d)?\)|\[(?:\.\.\.|:,:),0\])/g,
      "einsum('nij,nj->ni',J,g)",
    );
  return rewritten(spelled, /(?<![\w.])(einsum)\(/, (name, [specification, ...operands]) => {
    const quoted = /^'([\w.,>-]*)'$/.exec(specification);
    const [first = '', ...others] = splitSpecification(quoted, specification, operands);
    return quoted || others.length > 0
      ? ofJacobianAlone(canonicalEinsum(first, others))
      : `${name}(${[specification, ...operands].join(',')})`;
  });
}

/** The sums and the diagonal of the Jacobian as einsums, of a batch and of one row, in canonical letters. */
const einsumsOfJacobian: Readonly<Record<string, string>> = {
  'ijk->ik': 'J.sum(axis=1)',
  'ij->j': 'J.sum(axis=1)',
  'ijk->ij': 'J.sum(axis=2)',
  'ij->i': 'J.sum(axis=2)',
  'ijk->jk': 'J.sum(axis=0)',
  'ijj->ij': 'diagonal(J,axis1=1,axis2=2)',
  'ii->i': 'diagonal(J)',
};

function ofJacobianAlone(einsum: string): string {
  const [, specification = ''] = /^einsum\('([^']*)',J\)$/.exec(einsum) ?? [];
  return einsumsOfJacobian[specification] ?? einsum;
}

/** Joins the specification of an einsum, which was split at its commas; returns the specification, then the operands. */
function splitSpecification(quoted: RegExpExecArray | null, first: string, rest: readonly string[]): readonly string[] {
  if (quoted) return [quoted[1] ?? '', ...rest];
  const end = rest.findIndex((part) => part.endsWith("'"));
  if (!first.startsWith("'") || end < 0) return [];
  return [[first, ...rest.slice(0, end + 1)].join(',').slice(1, -1), ...rest.slice(end + 1)];
}

/** The names of libraries before those of their functions. */
export const library =
  /(?<![\w.])(?:jax\.numpy|jax\.nn|scipy\.special|special|keras\.ops|keras\.backend|ops|K|cupy|cp|paddle|torch\.nn\.functional|nn\.functional|tf\.nn|tf\.math|math|numpy|np|jnp|torch|tf|F|Math)\./g;

/** Removes a leading `return`, `dx =`, `dx[i] =`, `dL/dx =`, `const dx =` or `const { loss, gradient } =`. An index remains where the value has one too. */
function withoutAssignment(expression: string): string {
  return expression
    .replace(/^\s*return\s+/, '')
    .replace(/^\s*[\w.]+\[\w+\]\s*=(?!=)(?=[^[]*$)/, '')
    .replace(/^\s*(?:(?:const|let)\s+)?(?:[\w.]+|[d∂]\w+\s*\/\s*[d∂]\w+|\{[\w\s,]+\})\s*=(?!=)/, '');
}

/** Replaces expressions for the probabilities, one-hot targets and row counts by the letters s, y and n. */
function asLetters(text: string): string {
  const letters = text
    .replace(reluOfLogits, 'relu(x)')
    .replace(/(?<![\w.])softmax\(relu\(x\)(?:,(?:axis=)?-?1)?\)/g, 'softmax(relu(x))')
    .replace(/(?<![\w.])softmax\(x(?:,(?:axis=)?-?1)?\)|(?<![\w.])x\.softmax\((?:(?:axis=)?-?1)?\)/g, 's')
    .replace(/(?<![\w.])log_?softmax\(x(?:,(?:axis=)?-?1)?\)/gi, 'log(s)')
    .replace(/\((?:s|x)\.size\/(?:s|x)\.shape\[1\]\)|(?<![\w.])(?:s|x|y)\.shape\[0\]/g, 'n')
    .replace(/(?<=roll\(s,)i\b|(?<=\bfor)i(?=inrange)|\bi(?===0)/g, 'k')
    .replace(/\(k==0\)(?=-roll)/g, 'delta')
    .replace(/(?<=\brange\(|inrange\()s\.shape\[1\](?=\))/g, 'f')
    .replace(/(?<![\w.])(?:len\([sxy]\)|size\(y\))/g, 'n')
    .replace(/(?<![\w.])a?range\((?:n|y\.size)\)/g, 'arange(n)')
    .replace(/^\w+\[arange\(n\),y\]-=1$/, 's[arange(n),y]-=1');
  return rewritten(letters, /(?<![\w.])(one_?[hH]ot|to_categorical)\(/, (name, operands) =>
    operands[0] === 'y' ? 'y' : `${name}(${operands.join(',')})`,
  ).replace(/(?<![\w.])(?:eye|identity)\([^()]*\)\[y\]/g, 'y');
}

/** `sum(J, axis=1)` as `J.sum(axis=1)`. */
function asMethods(text: string): string {
  return rewritten(text, /(?<![\w.])(sum|mean|max|argmax)\(/, (name, [operand, ...rest]) => {
    return `${factor(operand.replace(/^(?:a|input|x)=/, ''))}.${name}(${rest.join(',')})`;
  });
}

/** `np.dot(a, b)`, `np.matmul(a, b)` and `a.dot(b)` as `a @ b`; `np.multiply(a, b)` as `a * b`. */
function asOperators(text: string): string {
  const operator = (name: string) => (name === 'multiply' ? '*' : '@');
  const functions = rewritten(text, /(?<![\w.])(dot|matmul|multiply)\(/, (name, operands, next) => {
    if (operands.length !== 2) return `${name}(${operands.join(',')})`;
    const product = operands.map(factor).join(operator(name));
    return '.['.includes(next) && next !== '' ? `(${product})` : product;
  });
  return functions.replace(
    /\.(dot|matmul|mul)\(([\w.]+)\)/g,
    (_, name, operand) => `${name === 'mul' ? '*' : '@'}${operand}`,
  );
}

/**
 * Rewrites the calls of a function, the last one first, so that calls inside arguments are rewritten before the outer call. `next` is the
 * character after the call.
 */
function rewritten(
  text: string,
  call: RegExp,
  rewrite: (name: string, operands: readonly [string, ...string[]], next: string) => string,
): string {
  let result = text;
  for (const { 0: start, 1: name = '', index } of [...text.matchAll(new RegExp(call, 'g'))].reverse()) {
    const open = index + start.length;
    const operands = operandsFrom(result, open);
    if (operands === null) continue;
    const end = open + operands.join(',').length + 1;
    result = result.slice(0, index) + rewrite(name, operands, result.charAt(end)) + result.slice(end);
  }
  return result;
}

/** The arguments from index `open`, just after a parenthesis, up to the closing parenthesis, split at commas; null if it is not closed. */
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

/** `a-b` of `(a-b)`. */
export function withoutOuterParentheses(text: string): string {
  if (!text.startsWith('(')) return text;
  const operands = operandsFrom(text, 1);
  if (operands?.length !== 1 || operands[0].length !== text.length - 2) return text;
  return withoutOuterParentheses(operands[0]);
}
