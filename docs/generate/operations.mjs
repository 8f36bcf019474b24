// The pages of docs/operations, one for each operation: `npm run docs:tables` writes them from the texts below and from the measurements of
// docs/performance.md and docs/numerics.md.
import { accuracySummary, formatMs } from '@softgrad/bench';
import { tolerance } from '@softgrad/core/conformance';
import { table } from './markdown.mjs';

/**
 * An operation: `formula` and `derivatives` in TeX, `example` as code that the tests run, `misuse` in Markdown, `more` sections about options, `measured` its names and those of its derivatives in the measurements of speed. `like` is an operation whose measurements hold for it as
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
      ['jvp', String.raw`J t = \frac{s \odot (t - \langle s, t \rangle)}{T}`],
      [
        'hvp',
        String.raw`\frac{s \odot (a \odot b - \langle s, a \odot b \rangle)}{T^2}, \quad a = g - \langle s, g \rangle, \quad b = t - \langle s, t \rangle`,
      ],
      ['doubleBackward', String.raw`\frac{h \odot (g - \langle s, g \rangle) - g \, \langle s, h \rangle}{T}`],
    ],
    note: 'g is the upstream gradient ∂L/∂s, the cotangent, and t a direction of the logits, the tangent. J is symmetric, so that `jvp` is `vjp` by another name. Backpropagation needs the vjp, which takes O(f) a row; the Jacobian takes O(f²). `hvp` is the derivative of the vjp along t, and `doubleBackward` that with respect to the probabilities, multiplied by the gradient h upstream of the vjp: what an autodiff needs that differentiates the vjp itself.',
    example: `import { softmax } from 'softgrad';

const s = softmax([[1, 2, 3]]);
const dx = softmax.vjp(s, [[0, 0, 1]]);
const text = (row: Iterable<number>) => Array.from(row, (v) => v.toFixed(4)).join(' ');
console.log(text(await s.data())); // 0.0900 0.2447 0.6652
console.log(text(await dx.data())); // -0.0599 -0.1628 0.2227`,
    misuse:
      'Summing the rows or the columns of J gives 0 up to rounding, always: see [Why is my softmax gradient zero?](../why-zero.md). `s * (1 - s)` is the diagonal of J, the derivative of a sigmoid, and leaves out how each output depends on the other inputs. The derivatives take the probabilities. `softmax.vjp(x, g)` of logits is an error if one of them is not between 0 and 1: of an array all entries are looked at, of a tensor the first 16 that it was made from. Other logits give wrong numbers without an error. Write `softmax.vjp(softmax(x), g)`, or `softmax.linearize(x).vjp(g)`.\n\nThe softmax of probabilities is not an error, because it has uses: at a low temperature it sharpens them. Where it is a mistake, as in a network that ends with softmax and has another one in its prediction, the probabilities are too equal: at temperature 1 the largest is at most e times the smallest. `crossEntropy` refuses a result of softmax.',
    measured: ['softmax', 'vjp', 'jacobian'],
  },
  {
    name: 'softmin',
    what: 'The softmax of the negated logits: the smallest logit has the largest probability.',
    formula: String.raw`s_i = \frac{e^{-x_i / T}}{\sum_k e^{-x_k / T}}`,
    derivatives: [
      ['jacobian', String.raw`J_{ij} = -\frac{s_i (\delta_{ij} - s_j)}{T}`],
      ['vjp', String.raw`\frac{\partial L}{\partial x} = -\frac{s \odot (g - \langle s, g \rangle)}{T}`],
      ['jvp', String.raw`J t = -\frac{s \odot (t - \langle s, t \rangle)}{T}`],
      [
        'hvp',
        String.raw`\frac{s \odot (a \odot b - \langle s, a \odot b \rangle)}{T^2}, \quad a = g - \langle s, g \rangle, \quad b = t - \langle s, t \rangle`,
      ],
      ['doubleBackward', String.raw`-\frac{h \odot (g - \langle s, g \rangle) - g \, \langle s, h \rangle}{T}`],
    ],
    note: 'It is softmax at a negative temperature, on the same kernels, so every derivative is that of softmax with −T in place of T.',
    example: `import { softmin } from 'softgrad';

const s = softmin([[1, 2, 3]]);
const [row] = await s.array();
console.log(row?.map((p) => p.toFixed(4)).join(' ')); // 0.6652 0.2447 0.0900`,
    misuse:
      'The derivative of softmax has the opposite sign. A result remembers which function made it: `softmax.vjp` of a softmin is refused. The derivatives take the probabilities: `softmin.vjp(x, g)` of logits is an error if one of them is not between 0 and 1 (of a tensor, one of the first 16 that it was made from).',
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
      ['hvp', String.raw`-\frac{\sum_k g_k}{T^2}\; p \odot (t - \langle p, t \rangle), \quad p = e^y`],
    ],
    note: 'J is not symmetric here: vjp and jvp differ. `hvp`, the derivative of the vjp along a direction t of the logits, depends on the cotangent only through its sum.',
    example: `import { logSoftmax } from 'softgrad';

const y = logSoftmax([[1000, 0]]);
console.log((await y.array())[0]?.join(' ')); // 0 -1000`,
    misuse:
      '`Math.log(softmax(x))` is −Infinity where a probability underflows, and its gradient is NaN. The derivatives take the log-probabilities y: `logSoftmax.vjp(x, g)` of logits is an error if one of them is above 0 (of a tensor, one of the first 16 that it was made from), and so is a result of another function. Other logits give wrong numbers without an error.',
    measured: ['logSoftmax'],
  },
  {
    name: 'logSumExp',
    what: 'A smooth maximum, one number for each row.',
    formula: String.raw`\ell = \log \sum_k e^{x_k / T}`,
    derivatives: [
      ['gradient', String.raw`\frac{\partial \ell}{\partial x} = \frac{p}{T}, \quad p = \operatorname{softmax}(x / T)`],
      ['vjp', String.raw`\frac{g}{T}\, p`],
      ['jvp', String.raw`\frac{\langle p, t \rangle}{T}`],
      ['hvp', String.raw`\frac{g}{T^2}\, p \odot (t - \langle p, t \rangle)`],
    ],
    note: 'Its derivatives take the logits. The cotangent g has one number for each row. Its Hessian, of which `hvp` is the product with a direction t, is the Jacobian of softmax, divided by T.',
    example: `import { logSumExp } from 'softgrad';

const x = [[1000, 1000]];
console.log((await logSumExp(x).array())[0]?.toFixed(2)); // 1000.69
console.log((await logSumExp.gradient(x).array())[0]?.join(' ')); // 0.5 0.5`,
    misuse: '`Math.log(sum(Math.exp(x)))` overflows for logits above 709 in float64, above 88 in float32.',
    measured: [],
    like: 'logSoftmax',
    because: 'It is logSoftmax without its last pass, so the times of logSoftmax are an upper bound.',
  },
  {
    name: 'crossEntropy',
    what: 'The loss of a classifier from its logits, and its gradient, in one pass.',
    formula: String.raw`L = -\sum_c q_c \log p_c, \quad p = \operatorname{softmax}(x / T)`,
    derivatives: [
      ['gradient', String.raw`\frac{\partial L}{\partial x} = \frac{p \sum_c q_c - q}{T}`],
      ['vjp', String.raw`g \, \frac{\partial L}{\partial x}`],
      ['jvp', String.raw`\left\langle \frac{\partial L}{\partial x}, t \right\rangle`],
      ['hvp', String.raw`\frac{g \sum_c q_c}{T^2}\; p \odot (t - \langle p, t \rangle)`],
    ],
    note: 'These are the formulas of one row; the reduction adds up the rows, and divides. At temperature 1 the gradient is p − q if q adds up to 1: [why](../why-zero.md#cross-entropy-probabilities-minus-target). `vjp` takes the upstream gradient g of a loss that is a part of another one. `hvp` with g = 1 is the Hessian times a direction t: Newton and Gauss–Newton steps need it, and it is the Fisher information of softmax regression. q are the weights of the target: one class, or probabilities, with label smoothing and class weights. The mean has the same divisor as in PyTorch. The axis of the classes is the last by default. In PyTorch it is dim 1, so logits of (N, C, d1, …) need `{ axis: 1 }`; for (N, C) the two agree.',
    example: `import { crossEntropy } from 'softgrad';

const { loss } = crossEntropy([[1, 2, 3]], [2]);
const gradient = crossEntropy.gradient([[1, 2, 3]], [2]);
console.log((await loss.array()).toFixed(4)); // 0.4076
const [row] = await gradient.array();
console.log(row?.map((d) => d.toFixed(4)).join(' ')); // 0.0900 0.2447 -0.3348`,
    more: [
      {
        title: 'Target',
        text: 'The target is class indices, integers in the shape of the logits without the axis of the classes, or probabilities, numbers in the shape of the logits. For probabilities, a row of zeros has loss 0 and gradient 0, but counts in the mean:',
        example: `import { crossEntropy } from 'softgrad';

const logits = [[1, 2, 3], [1, 2, 3]];
const lossesOf = async (target: number[] | number[][]) => {
  const losses = await crossEntropy.loss(logits, target, { reduction: 'none' }).array();
  return losses.map((v) => v.toFixed(4)).join(' ');
};
console.log(await lossesOf([2, -100])); // 0.4076 0.0000
console.log(await lossesOf([[0, 0.25, 0.75], [0, 0, 0]])); // 0.6576 0.0000`,
        end: 'Probabilities are not checked, as in PyTorch. Rows that do not add up to 1 and negative entries are used: such targets weight the rows, or correct for noisy labels, and the formulas above hold for them. The logits of a teacher in their place thus give a wrong loss without an error: pass their softmax. A result of logSoftmax is refused.',
      },
      {
        title: 'Label smoothing and masks',
        formula: String.raw`q_c = \alpha_c \left((1 - \varepsilon)\, d_c + \frac{\varepsilon}{K}\right)`,
        text: 'd is the target: 1 for the class index, or the given probabilities; ε is `labelSmoothing`, α the class weights (`weight`). K is the number of classes that the mask keeps in the row, without a mask all of them, so that ε is spread over these alone; q is 0 for the masked ones. A row with masked classes thus has the loss and the gradient of the row without them:',
        example: `import { crossEntropy } from 'softgrad';

const options = { labelSmoothing: 0.2, mask: [[true, true, true, false]] };
const { loss, gradient } = crossEntropy([[1, 2, 3, 4]], [2], options);
console.log((await loss.array()).toFixed(4)); // 0.6076
const [row] = await gradient.array();
console.log(row?.map((d) => d.toFixed(4)).join(' ')); // 0.0234 0.1781 -0.2014 0.0000

const three = crossEntropy.loss([[1, 2, 3]], [2], { labelSmoothing: 0.2 });
console.log((await three.array()).toFixed(4)); // 0.6076`,
        end: 'PyTorch has no mask. A logit of −Infinity in its place has probability 0 but keeps its share ε/K of the target, so the loss is Infinity, here as there.',
      },
    ],
    misuse:
      'It takes logits: probabilities in their place are put through softmax twice. A result of softmax is refused; other probabilities give a wrong loss without an error. The gradient `p − q` is with respect to the logits; multiplying it by the Jacobian of softmax once more is wrong.\n\nThe target is held constant in the derivatives. With the probabilities of the same logits as the target, `crossEntropy(z, softmax(z))`, the loss is their entropy, and the gradient is 0 up to rounding, which is not that of the entropy: [Losses of your own](../losses.md#policy-gradient-with-an-entropy-bonus) has it.',
    measured: ['crossEntropy'],
  },
  {
    name: 'sigmoid',
    what: 'The logistic function, applied to each entry separately.',
    formula: String.raw`y = \frac{1}{1 + e^{-x}}`,
    derivatives: [
      ['jacobian', String.raw`J = \operatorname{diag}(y \odot (1 - y))`],
      ['vjp', String.raw`g \odot y \odot (1 - y)`],
      ['jvp', String.raw`t \odot y \odot (1 - y)`],
      ['hvp', String.raw`g \odot t \odot y \odot (1 - y) \odot (1 - 2 y)`],
    ],
    note: 'Of two classes, the softmax of (x, 0).',
    example: `import { sigmoid } from 'softgrad';

const y = sigmoid([-1000, 0]);
console.log((await y.array()).join(' ')); // 0 0.5
console.log((await sigmoid.vjp(y, [1, 1]).array()).join(' ')); // 0 0.25`,
    misuse:
      'The derivatives take the output y: of the input, `sigmoid.vjp(x, g)` is `g * x * (1 - x)`, which is wrong. An input with an entry outside of 0 to 1 is an error (of a tensor, one of the first 16 that it was made from). Write `sigmoid.vjp(sigmoid(x), g)`. Where the loss is a logarithm of the sigmoid, which rounds to 0 and 1, use [a cross-entropy of two classes](../losses.md#binary-cross-entropy-with-logits).',
    measured: ['sigmoid'],
  },
  {
    name: 'relu',
    what: 'Positive entries unchanged, 0 for all others.',
    formula: String.raw`y = \max(x, 0)`,
    derivatives: [
      ['jacobian', String.raw`J = \operatorname{diag}([y > 0])`],
      ['vjp', String.raw`g \odot [y > 0]`],
      ['jvp', String.raw`t \odot [y > 0]`],
    ],
    note: 'NaN stays NaN. At 0 the derivative is 0.',
    example: `import { relu } from 'softgrad';

const y = relu([-1, 0, 2]);
console.log((await y.array()).join(' ')); // 0 0 2
console.log((await relu.vjp(y, [1, 1, 1]).array()).join(' ')); // 0 0 1`,
    misuse: 'It has no axis: it is of every entry by itself.',
    measured: ['relu'],
  },
];

/** Options by name: the default, and what it is. */
const optionTexts = {
  axis: ['-1', 'The dimension that adds up to 1; negative ones count from the last.'],
  temperature: ['1', 'T, which divides the logits: finite and above 0.'],
  mask: [
    'none',
    'Booleans, true where an entry is kept, that broadcast to the logits by NumPy’s rule: `[[true, false]]`, bytes of 0 and 1 such as `{ data: Uint8Array, shape }`, or a bool tensor, `tensor(bytes, { shape, dtype: "bool" })`. A padding mask for logits of (batch, heads, t, t) has shape (batch, 1, 1, t), a causal one (t, t). Masked entries have probability 0 and gradient 0, whatever their logits are; of a row of which nothing is kept, all are 0.',
  ],
  labelSmoothing: ['0', 'ε in 0 to 1: the target becomes (1 − ε) target + ε/K over the K classes.'],
  weight: ['1 for all', 'One weight for each class.'],
  ignoreIndex: [
    '-100',
    'Rows whose target is this class index have loss 0 and gradient 0, and do not count in the mean.',
  ],
  reduction: [
    '`mean`',
    '`mean` over the rows that count, with class indices weighted by the weights of their classes, and NaN if no row counts; `sum`; or `none`, a loss for each row.',
  ],
  out: ['a new tensor', 'A tensor to write the result into; it may be an operand.'],
};

/** What is said of an option where a function differs. */
const outOfTwo =
  '`{ loss, gradient }`: tensors to write the results into, or one of the two; of `loss` and `gradient` alone, that tensor.';

/** The options of an operation, as core's errors list them: a test compares them. */
const softmaxOptions = ['axis', 'temperature', 'mask', 'out'];
const optionsOf = {
  softmax: softmaxOptions,
  softmin: softmaxOptions,
  logSoftmax: softmaxOptions,
  logSumExp: softmaxOptions,
  crossEntropy: ['axis', 'temperature', 'mask', 'labelSmoothing', 'weight', 'ignoreIndex', 'reduction', 'out'],
  sigmoid: ['out'],
  relu: ['out'],
};

/** How the derivatives get the options of the function. */
const ofOutput = (name) =>
  `A result remembers its axis, temperature and mask, and its derivatives use them: \`${name}.vjp(y, g)\` needs no options, and refuses those that contradict. What is made anew from its numbers remembers nothing, such as \`tensor(await y.data(), …)\`, a message to a worker, or a tensor of another library: pass the same options to the derivative then, or it is that of temperature 1 along the last axis. A copy by \`y.to(…)\` remembers.`;
const ofInput = 'The derivatives take the logits, and the same options.';
const aboutOptions = {
  softmax: ofOutput('softmax'),
  softmin: ofOutput('softmin'),
  logSoftmax: ofOutput('logSoftmax'),
  logSumExp: ofInput,
  crossEntropy: ofInput,
  sigmoid: 'It has no axis: each entry is by itself.',
  relu: 'It has no axis: each entry is by itself.',
};

/** The texts of the files in docs/operations. `errors` is the content of docs/data/accuracy.json. */
export function operationPages(studies, errors) {
  return new Map(operations.map((operation) => [`${operation.name}.md`, page(operation, studies, errors)]));
}

/** The names of the operations in core's table. */
export const operationNames = operations.map(({ name }) => name);

function page(operation, studies, errors) {
  const { name, what, formula, derivatives, note, example, more = [], misuse, measured, like } = operation;
  const members = derivatives.map(([member, tex]) => `\`${name}.${member}\`:\n\n${display(tex)}`);
  const results = (like === undefined ? measured : [like]).flatMap((op) => resultsOf(op, studies));
  return `---
title: ${name}
---

# ${name}

${what}

## Formula

${display(formula)}

## Options

${options(name)}

## Derivatives

${members.join('\n\n')}

${note}

${code(example)}

${more.map(section).join('')}## Misuse

${misuse}

## Accuracy

${accuracy(operation, errors)}

## Speed

${speed(operation, results, studies)}
`;
}

function options(name) {
  const rows = optionsOf[name].map((option) => {
    const [initial, text] = optionTexts[option];
    return [`\`${option}\``, initial, option === 'out' && name === 'crossEntropy' ? outOfTwo : text];
  });
  return `${table(['option', 'default', ''], rows)}\n\n${aboutOptions[name]}`;
}

function section({ title, formula, text, example, end }) {
  return `## ${title}\n\n${formula === undefined ? '' : `${display(formula)}\n\n`}${text}\n\n${code(example)}\n\n${end}\n\n`;
}

function code(example) {
  return `\`\`\`ts\n${example}\n\`\`\``;
}

function display(tex) {
  return `$$\n${tex}\n$$`;
}

const shown = ['cpu', 'wasm:relaxedSimd=false', 'wasm:relaxedSimd=true', 'naive'];
const titles = ['cpu', 'wasm (SIMD)', 'wasm (relaxed SIMD)', 'plain loops'];

/** The measurements of an operation, one for each shape. */
function resultsOf(op, { softmax, ops }) {
  return [...softmax.workloads, ...ops.workloads].filter(({ workload }) => workload.op === op);
}

/** Symbols in text. */
const letters = { '\\sigma': 'σ', '\\Lambda': 'Λ' };

/** The bound of an operation's results, from the formulas beside core's tolerances, which a test compares with them. */
function boundOf(name) {
  const { of, tex, where } = tolerance.statedBounds[name];
  if (tex === '0') return `${of} is 0: it is exact.`;
  const all = [tex, ...where.map((symbol) => symbol.tex)].join(' ');
  const symbols = [
    'u is half an ULP of 1',
    ...(/\bf\b/.test(all) ? ['f the number of classes'] : []),
    'e(z) = z + 2 (base + slope z) the error of an exp with the rounding of its argument −z, by the base and the slope that a backend announces (`supports.expUlp`)',
  ];
  const plain = where.filter((symbol) => !(symbol.symbol in letters) && symbol.symbol !== 'r');
  const symbolsOfText = plain.map(
    ({ symbol, is, tex: formula }) => `${symbol} ${is}${formula === '' ? '' : ` ${formula.replace(/\\/g, '')}`}`,
  );
  const shown = where.filter((symbol) => !plain.includes(symbol));
  const definitions = shown.map(
    ({ symbol, is, tex: formula }) => `${letters[symbol] ?? symbol} is ${is}:\n\n${display(formula)}`,
  );
  return [
    `${of}${/\bf\b/.test(all) ? ', at temperature 1 and' : ','} apart from underflow, is at most`,
    display(tex),
    `in the conformance suite: ${[...symbols, ...symbolsOfText].join(', ')}.`,
    ...definitions,
    '[Numerics](../numerics.md) says how the bounds are derived; those of the derivatives are in `core/conformance/tolerance.ts`.',
  ].join('\n\n');
}

function accuracy({ name, like }, errors) {
  const start = boundOf(name);
  const { head, rows } = accuracySummary(errors);
  const ofOperation = (each) => rows.filter(([op]) => op.split('.')[0] === each);
  const own = ofOperation(name);
  const shownRows = own.length > 0 || name !== 'softmin' ? own : ofOperation(like);
  if (shownRows.length === 0) return start;
  const of = own.length > 0 ? '' : `, of ${like}, whose kernels it runs on`;
  return `${start}\n\nThe largest measured error in ULP over all inputs (\`npm run docs:accuracy\`)${of}; in brackets the classes of a row and the logits:\n\n${table(head, shownRows)}`;
}

function speed({ because }, results, { ops: { environment } }) {
  const rows = results.map(({ workload: { op, shape }, results: all }) => [
    op,
    shape.join('×'),
    ...shown.map((name) => {
      const ms = all.find(({ contender }) => contender === name)?.timings.reused?.medianMs;
      return ms === undefined ? '–' : formatMs(ms);
    }),
  ]);
  return `${because === undefined ? '' : `${because} `}float32, the output reused, on ${environment.processor} with ${environment.runtime}; wasm uses relaxed SIMD where the engine has it, as browsers and Node from 22 on. [Performance](../performance.md) has the intervals and other libraries.\n\n${table(['', 'rows×classes', ...titles], rows)}`;
}
