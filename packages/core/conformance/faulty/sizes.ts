import { rowIndices } from '../../reference/functions.js';
import type { Kernels, Rows } from '../../src/index.js';
import type { ExactBuffer } from '../exact.js';
import { type Fault, fault, faultyKernels, valueAt } from './fault.js';

/** The workgroups that a dispatch has at most in one dimension of a GPU. */
const most = 65535;

type Optional = Exclude<keyof Kernels<ExactBuffer>, 'crossEntropy'>;
type Called = (out: ExactBuffer, ...rest: readonly unknown[]) => void;

/** An optional kernel replaced by one that is given the right one. */
function replaced(
  kernel: Optional,
  [name, mistake, caughtBy]: readonly [name: string, mistake: string, caughtBy: string],
  wrong: (right: Called) => Called,
): Fault {
  return faultyKernels(name, mistake, caughtBy, (kernels) => ({ [kernel]: wrong(kernels[kernel] as Called) }));
}

/** Runs a kernel, and leaves the elements of `out` from `first` on as they were. */
function upTo(first: number, out: ExactBuffer, run: () => void): void {
  const beyond = out.data.slice(first);
  run();
  out.data.set(beyond, first);
}

/** Optional kernels over rows, the operation of each, and how many elements it writes for a row of two classes. */
const overRows = [
  ['logSoftmax', 'logSoftmax', 2],
  ['logSoftmaxVjp', 'logSoftmax.vjp', 2],
  ['logSoftmaxJvp', 'logSoftmax.jvp', 2],
  ['logSoftmaxJacobian', 'logSoftmax.jacobian', 4],
  ['logSumExp', 'logSumExp', 1],
  ['softmaxHvp', 'softmax.hvp', 2],
  ['logSoftmaxHvp', 'logSoftmax.hvp', 2],
  ['logSumExpHvp', 'logSumExp.hvp', 2],
] as const;

const manyOf = (operation: string) => `row-groups/many:operation=${operation};shape=65537x2;axis=1`;

const oneDispatch: readonly Fault[] = [
  ...overRows.map(([kernel, operation, perRow]) =>
    replaced(
      kernel,
      [`${kernel}-one-dispatch`, `kernels.${kernel} works on at most 65,535 rows.`, manyOf(operation)],
      (right) =>
        (out, ...rest) =>
          upTo(most * perRow, out, () => right(out, ...rest)),
    ),
  ),
  ...(['loss', 'gradient'] as const).map((member) =>
    faultyKernels(
      `one-dispatch-of-the-${member}`,
      `writes the ${member} of cross-entropy for at most 65,535 rows.`,
      manyOf(member === 'loss' ? 'crossEntropy' : 'crossEntropy.gradient'),
      ({ crossEntropy }) => ({
        crossEntropy(out, x, rows, parameters) {
          const written = out[member];
          const run = () => crossEntropy?.(out, x, rows, parameters);
          if (written) upTo(most * (member === 'loss' ? 1 : rows.classes), written, run);
          else run();
        },
      }),
    ),
  ),
  fault(
    'softmax-one-dispatch-of-columns',
    'dispatches at most 65,535 rows that lie side by side.',
    'row-groups/many:operation=softmax;shape=2x65537;axis=0',
    (right) => ({
      softmax(out, x, rows, parameters) {
        const before = out.data.slice();
        right.softmax(out, x, rows, parameters);
        before.forEach((value, i) => {
          if (i % rows.inner >= most) out.data[i] = value;
        });
      },
    }),
  ),
];

/** Elementwise kernels. */
const elementwise: readonly Fault[] = (['sigmoid', 'relu'] as const).flatMap((name) =>
  ([name, `${name}Vjp`] as const).flatMap((kernel) => {
    const member = kernel === name ? 'values' : 'vjp';
    return [
      replaced(
        kernel,
        [
          `${kernel}-one-dispatch`,
          `kernels.${kernel} works on at most 65,535 elements.`,
          `${name}/sizes:member=${member};elements=6147..262147`,
        ],
        (right) =>
          (out, ...rest) =>
            upTo(most, out, () => right(out, ...rest)),
      ),
      replaced(
        kernel,
        [
          `${kernel}-drops-the-tail`,
          `kernels.${kernel} works on whole vectors of four if there are more than 1024 elements.`,
          `${name}/sizes:member=${member};elements=16..4095`,
        ],
        (right) =>
          (out, ...rest) => {
            const { length } = out.data;
            upTo(length > 1024 ? length - (length % 4) : length, out, () => right(out, ...rest));
          },
      ),
    ];
  }),
);

/** Lengths of rows, as a range or the only one; how many of the last entries are left out; and the sizes of the case that catches it. */
const missed = [
  [68, 98, 4, '64..127'],
  [101, 126, 4, '64..127'],
  [258, 510, 4, '256..511'],
  [514, 998, 4, '512..1023'],
  [1002, 1022, 4, '512..1023'],
  [4098, 8190, 4, '4096..8191'],
  [10001, 32000, 4, '8192..12291'],
  [65537, 2 ** 20, 4, '65536..131074'],
  [512, 512, 3, '512..1023'],
  [32768, 32768, 3, '32768..49155'],
] as const;

/** Required kernels that leave the last entries of some rows out of their sum. */
const tails: readonly Fault[] = missed.flatMap(([first, last, vector, sizes]) => {
  const whole = ({ classes }: Rows) => (classes >= first && classes <= last ? classes - (classes % vector) : classes);
  const where = first === last ? `${first}` : `${first}-to-${last}`;
  const mistake = `sums whole vectors of ${vector} and omits the rest of rows of ${where.replaceAll('-', ' ')} classes.`;
  return [
    fault(`softmax-tail-of-${where}`, mistake, `softmax/lengths:classes=${sizes};input=ending`, (right) => ({
      softmax(out, x, rows, parameters) {
        right.softmax(out, x, rows, parameters);
        if (whole(rows) === rows.classes) return;
        for (const at of rowIndices(rows)) {
          const sum = at.slice(0, whole(rows)).reduce((total, i) => total + valueAt(out, i), 0);
          for (const i of at) out.data[i] = valueAt(out, i) / sum;
        }
      },
    })),
    fault(`vjp-tail-of-${where}`, mistake, `vjp/lengths:classes=${sizes};input=ending`, (right) => ({
      vjp(out, s, g, rows, parameters) {
        if (whole(rows) === rows.classes) return right.vjp(out, s, g, rows, parameters);
        for (const at of rowIndices(rows)) {
          const mean = at.slice(0, whole(rows)).reduce((sum, i) => sum + valueAt(s, i) * valueAt(g, i), 0);
          for (const i of at) out.data[i] = valueAt(s, i) * (valueAt(g, i) - mean);
        }
      },
    })),
  ];
});

/** Optional kernels for which some operand has `neutral` for the last entries of long rows, as if they were left out of a sum. */
const tailsOfOperations: readonly Fault[] = (
  [
    ['logSoftmax', 'logSoftmax', 0, Number.NEGATIVE_INFINITY],
    ['logSumExp', 'logSumExp', 0, Number.NEGATIVE_INFINITY],
    ['logSoftmaxVjp', 'logSoftmax.vjp', 1, 0],
    ['logSoftmaxJvp', 'logSoftmax.jvp', 1, 0],
    ['softmaxHvp', 'softmax.hvp', 0, 0],
    ['logSoftmaxHvp', 'logSoftmax.hvp', 1, 0],
    ['logSumExpHvp', 'logSumExp.hvp', 0, Number.NEGATIVE_INFINITY],
  ] as const
).map(([kernel, operation, operand, neutral]) =>
  replaced(
    kernel,
    [
      `${kernel}-drops-the-tail`,
      `kernels.${kernel} sums whole vectors of four and omits the rest of rows of more than 258 classes.`,
      `row-groups/lengths:operation=${operation};classes=64..3075`,
    ],
    (right) =>
      (out, ...rest) => {
        const [{ dtype, data }, rows] = [rest[operand] as ExactBuffer, rest.at(-2) as Rows];
        const cut = data.map((value, i) => {
          const c = Math.floor(i / rows.inner) % rows.classes;
          return rows.classes > 258 && c >= rows.classes - (rows.classes % 4) ? neutral : value;
        });
        right(out, ...rest.map((one, k) => (k === operand ? { dtype, data: cut } : one)));
      },
  ),
);

/** Kernels that work on rows in groups of four, and omit the last rows of some numbers of rows. */
const groupsOfRows: readonly Fault[] = (['outer', 'inner'] as const).flatMap((along) => {
  const name = along === 'outer' ? 'rows' : 'columns';
  const mistake = `omits the last ${name} of more than 32 that are no multiple of four.`;
  const omitting = (out: ExactBuffer, rows: Rows, run: () => void) => {
    const before = out.data.slice();
    run();
    const all = rows[along];
    if (all < 32 || all > 1023 || rows.classes !== 3) return;
    before.forEach((value, i) => {
      const row = along === 'outer' ? Math.floor(i / (rows.classes * rows.inner)) : i % rows.inner;
      if (row >= all - (all % 4)) out.data[i] = value;
    });
  };
  return [
    fault(`softmax-omits-${name}`, mistake, `softmax/lengths:${name}=32..1023;classes=3`, (right) => ({
      softmax: (out, x, rows, parameters) => omitting(out, rows, () => right.softmax(out, x, rows, parameters)),
    })),
    fault(`vjp-omits-${name}`, mistake, `vjp/lengths:${name}=32..1023;classes=3`, (right) => ({
      vjp: (out, s, g, rows, parameters) => omitting(out, rows, () => right.vjp(out, s, g, rows, parameters)),
    })),
  ];
});

/** Kernels that stop where one dispatch of a GPU ends, and kernels that miss the last elements of some sizes. */
export const faultySizes: readonly Fault[] = [
  fault(
    'columns-of-one-workgroup',
    'leaves out what is beyond 16 rows side by side, if there are several blocks of them.',
    'combinations/softmax-values:set=finite',
    (right) => ({
      softmax(out, x, rows, parameters) {
        right.softmax(out, x, rows, parameters);
        if (rows.outer > 1 && rows.inner > 16) out.data.fill(0, out.data.length - 1);
      },
    }),
  ),
  ...oneDispatch,
  ...elementwise,
  ...tails,
  ...tailsOfOperations,
  ...groupsOfRows,
];
