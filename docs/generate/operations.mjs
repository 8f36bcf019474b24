// The pages of docs/operations, one for each operation: `npm run docs:tables` writes them from the texts below and from the measurements of
// docs/performance.md and docs/numerics.md.
import { accuracySummary, formatMs } from '@softgrad/bench';
import { table } from './markdown.mjs';

/**
 * An operation: `formula`, `derivatives` and `bound` in TeX, `example` as code that the tests run, `misuse` and `bounded` (what the bound is of) in
 * Markdown, `measured` its names and those of its derivatives in the measurements of speed. `like` is an operation whose measurements hold for it as
 * `because` says.
 */
const operations = [
  {
    name: 'softmax',
    what: 'Probabilities from logits: positive numbers that add up to 1 along the axis.',
    formula: String.raw`s_i = \frac{e^{x_i / T}}{\sum_k e^{x_k / T}}`,
    derivatives: [
      ['jacobian', String.raw`J_{ij} = \frac{\partial s_i}{\partial x_j} = \frac{s_i (\delta_{ij} - s_j)}{T}`],
      ['vjp', String.raw`\frac{\partial L}{\partial x} = J^\top g = \frac{s \odot (g - \langle s, g \rangle)}{T}`],
      [
        'hvp',
        String.raw`\frac{s \odot (a \odot b - \langle s, a \odot b \rangle)}{T^2}, \quad a = g - \langle s, g \rangle, \quad b = t - \langle s, t \rangle`,
      ],
    ],
    note: 'J is symmetric, so that `jvp` is `vjp`. Backpropagation needs the vjp, which takes O(f) a row; the Jacobian takes O(f²).',
    example: `import { softmax } from 'softgrad';

const s = softmax([[1, 2, 3]]);
const dx = softmax.vjp(s, [[0, 0, 1]]);
console.log((await s.array())[0]?.map((p) => p.toFixed(4)).join(' ')); // 0.0900 0.2447 0.6652
console.log((await dx.array())[0]?.map((d) => d.toFixed(4)).join(' ')); // -0.0599 -0.1628 0.2227`,
    misuse:
      'Summing the rows or the columns of J gives 0 up to rounding, always: see [Why is my softmax gradient zero?](../why-zero.md). `s * (1 - s)` is the diagonal of J, the derivative of a sigmoid, and leaves out how each output depends on the other inputs.',
    bound: String.raw`\left(e(x_{\max} - x_i) + e(1) + 4\sqrt{f} + 5\right) u \, s_i`,
    bounded: 'The error of a probability at temperature 1',
    measured: ['softmax', 'vjp', 'jacobian'],
  },
  {
    name: 'softmin',
    what: 'The softmax of the negated logits: the smallest logit has the largest probability.',
    formula: String.raw`s_i = \frac{e^{-x_i / T}}{\sum_k e^{-x_k / T}}`,
    derivatives: [
      ['jacobian', String.raw`J_{ij} = -\frac{s_i (\delta_{ij} - s_j)}{T}`],
      ['vjp', String.raw`\frac{\partial L}{\partial x} = -\frac{s \odot (g - \langle s, g \rangle)}{T}`],
    ],
    note: 'It is softmax at a negative temperature, on the same kernels.',
    example: `import { softmin } from 'softgrad';

const s = softmin([[1, 2, 3]]);
console.log((await s.array())[0]?.map((p) => p.toFixed(4)).join(' ')); // 0.6652 0.2447 0.0900`,
    misuse:
      'The derivative of softmax has the opposite sign. A result remembers which function made it: `softmax.vjp` of a softmin is refused.',
    bound: String.raw`\left(e(x_i - x_{\min}) + e(1) + 4\sqrt{f} + 5\right) u \, s_i`,
    bounded: 'The error of a probability at temperature 1',
    measured: [],
    like: 'softmax',
    because:
      'It runs on the kernels of softmax, with a factor of −1 for the logits, so these are the measurements of softmax.',
  },
  {
    name: 'logSoftmax',
    what: 'The logarithms of the probabilities, computed without the probabilities, so they are right even if a probability underflows to 0.',
    formula: String.raw`y_i = \frac{x_i}{T} - \log \sum_k e^{x_k / T}`,
    derivatives: [
      ['jacobian', String.raw`J_{ij} = \frac{\delta_{ij} - e^{y_j}}{T}`],
      ['vjp', String.raw`J^\top g = \frac{g - e^y \sum_k g_k}{T}`],
      ['jvp', String.raw`J t = \frac{t - \langle e^y, t \rangle}{T}`],
    ],
    note: 'J is not symmetric here: vjp and jvp differ.',
    example: `import { logSoftmax } from 'softgrad';

const y = logSoftmax([[1000, 0]]);
console.log((await y.array())[0]?.join(' ')); // 0 -1000`,
    misuse:
      '`Math.log(softmax(x))` is −Infinity where a probability underflows, and its gradient is NaN. The vjp takes y, not the probabilities.',
    bound: String.raw`\left((x_{\max} - x_i) + e(1) + 4\sqrt{f} + \lambda + 2 |y_i|\right) u`,
    bounded:
      'The error of a log-probability at temperature 1, where λ is the error of the logarithm itself (the bound is tighter in a row with a probability above ½),',
    measured: ['logSoftmax'],
  },
  {
    name: 'logSumExp',
    what: 'A smooth maximum, one number for each row.',
    formula: String.raw`\ell = \log \sum_k e^{x_k / T}`,
    derivatives: [
      ['gradient', String.raw`\frac{\partial \ell}{\partial x} = \frac{\operatorname{softmax}(x / T)}{T}`],
      ['hvp', String.raw`\frac{g}{T^2}\, p \odot (t - \langle p, t \rangle), \quad p = \operatorname{softmax}(x / T)`],
    ],
    note: 'Its derivatives take the logits. Its Hessian is the Jacobian of softmax.',
    example: `import { logSumExp } from 'softgrad';

const x = [[1000, 1000]];
console.log((await logSumExp(x).array())[0]?.toFixed(2)); // 1000.69
console.log((await logSumExp.gradient(x).array())[0]?.join(' ')); // 0.5 0.5`,
    misuse: '`Math.log(sum(Math.exp(x)))` overflows for logits above 709 in float64, above 88 in float32.',
    bound: String.raw`\left(e(1) + 4\sqrt{f} + \lambda + |\ell|\right) u`,
    bounded:
      'The error of a result at temperature 1, where λ is the error of the logarithm itself (the bound is tighter in a row with a probability above ½),',
    measured: [],
    like: 'logSoftmax',
    because: 'It is logSoftmax without its last pass, so the times of logSoftmax are an upper bound.',
  },
  {
    name: 'crossEntropy',
    what: 'The loss of a classifier from its logits, and its gradient, in one pass.',
    formula: String.raw`L = -\sum_c q_c \log p_c, \quad p = \operatorname{softmax}(x / T)`,
    derivatives: [['gradient', String.raw`\frac{\partial L}{\partial x} = \frac{p \sum_c q_c - q}{T}`]],
    note: 'q are the weights of the target: one class, or probabilities, with label smoothing and class weights. The mean has the same divisor as in PyTorch.',
    example: `import { crossEntropy } from 'softgrad';

const { loss } = crossEntropy([[1, 2, 3]], [2]);
const gradient = crossEntropy.gradient([[1, 2, 3]], [2]);
console.log((await loss.array()).toFixed(4)); // 0.4076
console.log((await gradient.array())[0]?.map((d) => d.toFixed(4)).join(' ')); // 0.0900 0.2447 -0.3348`,
    misuse:
      'It takes logits: probabilities in their place are put through softmax twice. The gradient `p − q` is with respect to the logits; multiplying it by the Jacobian of softmax once more is wrong.',
    bound: String.raw`\sum_c q_c \left(b_c + (w + 4\sqrt{f} + 1) |\log p_c|\right) u`,
    bounded:
      "The error of the loss of a row, where b is the bound of [logSoftmax](logSoftmax.md) in units of u and w the rounding of the target's weights",
    measured: ['crossEntropy'],
  },
  {
    name: 'sigmoid',
    what: 'The logistic function, applied to each entry separately.',
    formula: String.raw`y = \frac{1}{1 + e^{-x}}`,
    derivatives: [['vjp', String.raw`g \odot y \odot (1 - y)`]],
    note: 'Of two classes, the softmax of (x, 0).',
    example: `import { sigmoid } from 'softgrad';

const y = sigmoid([-1000, 0]);
console.log((await y.array()).join(' ')); // 0 0.5
console.log((await sigmoid.vjp(y, [1, 1]).array()).join(' ')); // 0 0.25`,
    misuse: 'The vjp takes the output y. With x in its place `x * (1 - x)` is a number, too.',
    bound: String.raw`\left((1 - y)\, e(|x|) + 6\right) u \, y`,
    bounded: 'The error of a result',
    measured: [],
  },
  {
    name: 'relu',
    what: 'Positive entries unchanged, 0 for all others.',
    formula: String.raw`y = \max(x, 0)`,
    derivatives: [['vjp', String.raw`g \odot [y > 0]`]],
    note: 'NaN stays NaN. At 0 the derivative is 0.',
    example: `import { relu } from 'softgrad';

const y = relu([-1, 0, 2]);
console.log((await y.array()).join(' ')); // 0 0 2
console.log((await relu.vjp(y, [1, 1, 1]).array()).join(' ')); // 0 0 1`,
    misuse: 'It has no axis: it is of every entry by itself.',
    bound: '0',
    bounded: 'The error of a result',
    measured: [],
  },
];

/** The texts of the files in docs/operations. `errors` is the content of docs/data/accuracy.json. */
export function operationPages(studies, errors) {
  return new Map(operations.map((operation) => [`${operation.name}.md`, page(operation, studies, errors)]));
}

/** The names of the operations in core's table. */
export const operationNames = operations.map(({ name }) => name);

function page(operation, studies, errors) {
  const { name, what, formula, derivatives, note, example, misuse, measured, like } = operation;
  const members = derivatives.map(([member, tex]) => `\`${name}.${member}\`:\n\n${display(tex)}`);
  const results = (like === undefined ? measured : [like]).flatMap((op) => resultsOf(op, studies));
  return `---
title: ${name}
---

# ${name}

${what}

## Formula

${display(formula)}

## Derivatives

${members.join('\n\n')}

${note}

\`\`\`ts
${example}
\`\`\`

## Misuse

${misuse}

## Accuracy

${accuracy(operation, errors)}

## Speed

${speed(operation, results, studies)}
`;
}

function display(tex) {
  return `$$\n${tex}\n$$`;
}

const shown = ['cpu', 'wasm:relaxedSimd=true', 'naive'];
const titles = ['cpu', 'wasm', 'plain loops'];

/** The measurements of an operation, one for each shape. */
function resultsOf(op, { softmax, ops }) {
  return [...softmax.workloads, ...ops.workloads].filter(({ workload }) => workload.op === op);
}

function accuracy({ name, bound, bounded, like }, errors) {
  const symbols =
    bound === '0'
      ? ''
      : ', u half an ULP of 1, f the number of classes and e(g) the error of an exp that a backend announces, with the rounding of its argument';
  const start = `${bounded} is at most\n\n${display(bound)}\n\nin the conformance suite${symbols}. [Numerics](../numerics.md) says how the bounds are derived; those of the derivatives are in \`core/conformance/tolerance.ts\`.`;
  const { head, rows } = accuracySummary(errors);
  const ofOperation = (each) => rows.filter(([op]) => op.split('.')[0] === each);
  const own = ofOperation(name);
  const shownRows = own.length > 0 || name !== 'softmin' ? own : ofOperation(like);
  if (shownRows.length === 0) return start;
  const of = own.length > 0 ? '' : `, of ${like}, whose kernels it runs on`;
  return `${start}\n\nThe largest measured error in ULP over all inputs (\`npm run docs:accuracy\`)${of}; in brackets the classes of a row and the logits:\n\n${table(head, shownRows)}`;
}

function speed({ because }, results, { ops: { environment } }) {
  if (results.length === 0) {
    return 'One pass over the entries, which memory bounds if they do not fit into a cache. The study of [Performance](../performance.md) does not time it.';
  }
  const rows = results.map(({ workload: { op, shape }, results: all }) => [
    op,
    shape.join('×'),
    ...shown.map((name) => {
      const ms = all.find(({ contender }) => contender === name)?.timings.reused?.medianMs;
      return ms === undefined ? '–' : formatMs(ms);
    }),
  ]);
  return `${because === undefined ? '' : `${because} `}float32, the output reused, on ${environment.processor} with ${environment.runtime}; [Performance](../performance.md) has the intervals and other libraries.\n\n${table(['', 'rows×classes', ...titles], rows)}`;
}
