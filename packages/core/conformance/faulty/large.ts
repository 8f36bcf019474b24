import type { CrossEntropyParameters, Kernels, Rows, SoftmaxParameters } from '../../src/index.js';
import type { ExactBuffer } from '../exact.js';
import { type Fault, faultyKernels, faultyRowKernel, valueAt } from './fault.js';

/** Kernels that treat long rows, many rows or wide blocks by other lines, in which something is missing. */

type Parameters = SoftmaxParameters<ExactBuffer>;

const inMedium = (operation: string) => `row-groups/medium:operation=${operation}`;
const inLengths = (operation: string) => `row-groups/lengths:operation=${operation};classes=64..3075`;

/** Kernels over rows, and the case that finds a wrong one where rows are long. */
const kernels = {
  softmax: inMedium('softmax'),
  vjp: inMedium('softmax.vjp'),
  jacobian: 'jacobian/lengths:shape=1x127..129;axis=1;input=narrow',
  softmaxHvp: inMedium('softmax.hvp'),
  logSoftmax: inMedium('logSoftmax'),
  logSoftmaxVjp: inLengths('logSoftmax.vjp'),
  logSoftmaxJvp: inLengths('logSoftmax.jvp'),
  logSoftmaxHvp: inMedium('logSoftmax.hvp'),
  logSumExp: inLengths('logSumExp'),
  logSumExpHvp: inMedium('logSumExp.hvp'),
} as const;
type Name = keyof typeof kernels;

const isLong = ({ classes }: Rows) => classes > 512;

const withoutTemperature = (parameters: Parameters): Parameters => ({
  ...parameters,
  temperature: Math.sign(parameters.temperature),
});

/** A kernel that is called with other parameters where rows are large. */
function withOther(
  kernel: Name,
  [name, mistake]: readonly [name: string, mistake: string],
  isLarge: (rows: Rows) => boolean,
  other: (parameters: Parameters) => Parameters,
): Fault {
  return faultyRowKernel(name, mistake, kernels[kernel], kernel, (right) => (out, ...rest) => {
    const [rows, parameters] = rest.slice(-2) as [Rows, Parameters];
    return right(out, ...rest.slice(0, -2), rows, isLarge(rows) ? other(parameters) : parameters);
  });
}

const ofLoss = 'row-groups/medium:operation=crossEntropy.loss;target=indices;reduction=none';

/** The kernel of cross-entropy, called with other parameters where rows are large. */
function lossWithOther(
  option: string,
  isLarge: (rows: Rows) => boolean,
  other: (parameters: CrossEntropyParameters<ExactBuffer>) => CrossEntropyParameters<ExactBuffer>,
): Fault {
  const where = isLarge === isLong ? 'of more than 512 classes' : 'of which there are more than 300';
  const name = `forgets-the-${option.replace(' ', '-')}-of-${isLarge === isLong ? 'long' : 'many'}-rows`;
  return lossFault(
    name,
    `forgets the ${option} of rows ${where}.`,
    (right) => (out, x, rows, parameters) => right(out, x, rows, isLarge(rows) ? other(parameters) : parameters),
  );
}

type Loss = NonNullable<Kernels<ExactBuffer>['crossEntropy']>;

function lossFault(name: string, mistake: string, wrong: (right: Loss) => Loss): Fault {
  return faultyKernels(name, mistake, ofLoss, ({ crossEntropy }) =>
    crossEntropy ? { crossEntropy: wrong(crossEntropy) } : {},
  );
}

const isMany = ({ outer, inner }: Rows) => outer * inner > 300;

/** A kernel of Jacobians that writes entries which are 1 percent too large in some rows. */
function scaledMatrix(
  kernel: 'jacobian' | 'logSoftmaxJacobian',
  where: string,
  isScaled: (rows: Rows, temperature: number) => boolean,
): Fault {
  const operation = kernel === 'jacobian' ? 'softmax' : 'log-softmax';
  const mistake = `multiplies the Jacobians of ${where} by 1.01.`;
  const name = `${kernel}-scaled-of-${where.replaceAll(' ', '-')}`;
  return faultyRowKernel(name, mistake, `extremes/${operation}-jacobian`, kernel, (right) => (out, ...rest) => {
    const [rows, parameters] = rest.slice(-2) as [Rows, Parameters];
    if (right(out, ...rest) === false) return false;
    if (isScaled(rows, parameters.temperature)) out.data.set(out.data.map((value) => 1.01 * value));
    return undefined;
  });
}

const scaledMatrices: readonly Fault[] = (['jacobian', 'logSoftmaxJacobian'] as const).flatMap((kernel) => {
  const long = kernel === 'jacobian' ? 256 : 512;
  return [
    scaledMatrix(kernel, 'wide tiles', ({ classes, inner }) => classes >= 32 && inner >= 16),
    scaledMatrix(kernel, 'many rows at a temperature', (rows, temperature) => temperature !== 1 && isMany(rows)),
    scaledMatrix(kernel, 'long columns', ({ classes, inner }) => classes > 256 && inner > 1),
    scaledMatrix(
      kernel,
      'long rows at a temperature',
      ({ classes }, temperature) => temperature !== 1 && classes > long,
    ),
  ];
});

export const faultyLarge: readonly Fault[] = [
  ...scaledMatrices,
  withOther(
    'jacobian',
    ['jacobian-forgets-the-temperature-of-long-rows', 'divides by no temperature in rows of more than 64 classes.'],
    ({ classes }) => classes > 64,
    withoutTemperature,
  ),
  ...(
    [
      ['long', 512],
      ['longer', 4096],
    ] as const
  ).flatMap(([long, most]) => {
    const isBeyond = ({ classes }: Rows) => classes > most;
    return [
      ...(Object.keys(kernels) as Name[])
        .filter((kernel) => kernel !== 'jacobian')
        .map((kernel) =>
          withOther(
            kernel,
            [
              `${kernel}-forgets-the-temperature-of-${long}-rows`,
              `divides by no temperature in rows of more than ${most} classes.`,
            ],
            isBeyond,
            withoutTemperature,
          ),
        ),
      ...(['softmax', 'logSoftmax', 'logSumExp', 'logSumExpHvp'] as const).map((kernel) =>
        withOther(
          kernel,
          [`${kernel}-forgets-the-mask-of-${long}-rows`, `keeps every entry of rows of more than ${most} classes.`],
          isBeyond,
          (parameters) => ({ ...parameters, mask: null }),
        ),
      ),
    ];
  }),
  ...(['softmax', 'vjp', 'logSoftmax'] as const).map((kernel) =>
    withOther(
      kernel,
      [
        `${kernel}-of-one-tile`,
        'forgets the temperature in tiles of more than 32 rows side by side of more than 32 classes.',
      ],
      ({ classes, inner }) => classes > 32 && inner > 32,
      withoutTemperature,
    ),
  ),
  ...[isLong, isMany].flatMap((isLarge) => [
    lossWithOther('temperature', isLarge, (all) => ({ ...all, temperature: 1 })),
    lossWithOther('mask', isLarge, (all) => ({ ...all, mask: null })),
    lossWithOther('weights', isLarge, (all) => ({ ...all, weight: null })),
    lossWithOther('label smoothing', isLarge, (all) => ({ ...all, labelSmoothing: 0 })),
    lossWithOther('ignored rows', isLarge, (all) => ({ ...all, ignoreIndex: -1 })),
  ]),
  lossFault(
    'empty-first-block-of-the-loss',
    'merges the states of blocks of 64 logits, of which the first has none: −Infinity − −Infinity.',
    (right) => (out, x, rows, parameters) => {
      const declined = right(out, x, rows, parameters);
      const { classes, inner } = rows;
      out.loss?.data.forEach((_, row, loss) => {
        const first = Math.floor(row / inner) * classes * inner + (row % inner);
        const block = Array.from({ length: Math.min(64, classes) }, (_, c) => valueAt(x, first + c * inner));
        if (classes > 64 && block.every((value) => value === Number.NEGATIVE_INFINITY)) loss[row] = Number.NaN;
      });
      return declined;
    },
  ),
];
