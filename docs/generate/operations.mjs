// The pages of docs/operations, one for each operation: `npm run docs:tables` writes them from the texts below and from the measurements of docs/performance.md.
import { formatMs } from '@softgrad/bench';
import { table } from './markdown.mjs';

/**
 * An operation: `formula` and `derivatives` in TeX, `example` as code that the tests run, `misuse` in Markdown, `measured` its names and those of its
 * derivatives in the measurements.
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
    measured: [],
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
    measured: [],
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
    measured: [],
  },
];

/** The texts of the files in docs/operations. */
export function operationPages(studies) {
  return new Map(operations.map((operation) => [`${operation.name}.md`, page(operation, studies)]));
}

/** The names of the operations in core's table. */
export const operationNames = operations.map(({ name }) => name);

function page({ name, what, formula, derivatives, note, example, misuse, measured }, studies) {
  const members = derivatives.map(([member, tex]) => `\`${name}.${member}\`:\n\n${display(tex)}`);
  const results = measured.flatMap((op) => resultsOf(op, studies));
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

${accuracy(results)}

## Speed

${speed(results, studies)}
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

function accuracy(results) {
  const bound =
    'Every backend keeps the bound that the conformance suite derives from the rounding of each step; [Numerics](../numerics.md) has what our own backends reach.';
  const rows = [...new Set(results.map(({ workload }) => workload.op))].map((op) => {
    const ofOp = results.filter(({ workload }) => workload.op === op);
    return [op, ...shown.map((name) => largestUlp(ofOp, name))];
  });
  if (rows.length === 0) return bound;
  return `${bound} The largest error in the study of [Performance](../performance.md), in ULP of float32:\n\n${table(['', ...titles], rows)}`;
}

function largestUlp(results, name) {
  const errors = results.flatMap(({ results: all }) => {
    const ulp = all.find(({ contender }) => contender === name)?.correctness?.worstUlp;
    return typeof ulp === 'number' ? [ulp] : [];
  });
  return errors.length > 0 ? Math.max(...errors).toPrecision(2) : '–';
}

function speed(results, { ops: { environment } }) {
  if (results.length === 0) return 'The study of [Performance](../performance.md) does not time it by itself.';
  const rows = results.map(({ workload: { op, shape }, results: all }) => [
    op,
    shape.join('×'),
    ...shown.map((name) => {
      const ms = all.find(({ contender }) => contender === name)?.timings.reused?.medianMs;
      return ms === undefined ? '–' : formatMs(ms);
    }),
  ]);
  return `float32, the output reused, on ${environment.processor} with ${environment.runtime}; [Performance](../performance.md) has the intervals and other libraries.\n\n${table(['', 'rows×classes', ...titles], rows)}`;
}
