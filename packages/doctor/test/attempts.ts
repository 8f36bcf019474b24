/**
 * Softmax gradients as people write them, right and wrong: plain loops over rows in float64 or rounded to float32 after
 * every step, written without anything of the library's.
 */

import type { DiagnoseInput } from '../src/index.js';

export type Matrix = readonly (readonly number[])[];
export type Round = (value: number) => number;

/** The data of one attempt: logits, upstream and target, classes last. */
export interface Data {
  readonly x: Matrix;
  readonly g: Matrix;
  readonly y: Matrix;
  readonly labels: readonly number[];
  readonly temperature: number;
  readonly round: Round;
}

/** What decides whether an attempt makes sense. */
export interface AttemptSetting {
  readonly n: number;
  readonly f: number;
  readonly temperature: number;
  readonly axis: number;
}

/** Options of `diagnose`, classes last. */
export type Given = Pick<DiagnoseInput, 'layer' | 'labelSmoothing' | 'reduction' | 'ignoreIndex'> & {
  readonly logits?: Matrix;
  readonly upstream?: Matrix;
  readonly mask?: Matrix;
  readonly target?: Matrix | readonly number[];
  readonly weight?: readonly number[];
};

/** What is handed to `diagnose` besides the logits. */
export type Known = 'nothing' | 'upstream' | 'target';

export interface Attempt {
  readonly id: string;
  readonly known: Known;
  /** The numbers: (n, f), (n, f, f) or whatever shape the mistake has. */
  compute(data: Data): unknown;
  /** What is said besides: matrices (n, f), and what does not depend on the layout. */
  readonly given?: (data: Data) => Given;
  /** The explanations of which nothing tells which it is, where that is so: the verdict is 'ambiguous' and names them. */
  readonly among?: readonly string[];
  /** The same, of numbers with few digits only. */
  readonly amongRounded?: readonly string[];
  /** Sizes that the attempt needs to be what it is. */
  readonly when?: (setting: AttemptSetting) => boolean;
}

export function softmax(x: Matrix, temperature: number, round: Round): number[][] {
  return x.map((row) => {
    const most = Math.max(...row);
    const e = row.map((value) => round(Math.exp(round((value - most) / temperature))));
    const sum = e.reduce((total, value) => round(total + value), 0);
    return e.map((value) => round(value / sum));
  });
}

function probabilities({ x, temperature, round }: Data): number[][] {
  return softmax(x, temperature, round);
}

function jacobianOf(s: readonly number[], { round, temperature }: Data): number[][] {
  return s.map((si, i) =>
    s.map((sj, j) => round((i === j ? round(si * round(1 - si)) : -round(si * sj)) / temperature)),
  );
}

function jacobians(data: Data, s: Matrix = probabilities(data)): number[][][] {
  return s.map((row) => jacobianOf(row, data));
}

function times(J: Matrix, v: readonly number[], round: Round): number[] {
  return J.map((row) => row.reduce((sum, value, j) => round(sum + round(value * v[j])), 0));
}

function product(data: Data, g: Matrix = data.g, s?: Matrix): number[][] {
  return jacobians(data, s).map((J, row) => times(J, g[row], data.round));
}

function map(a: Matrix, round: Round, f: (value: number, row: number, i: number) => number): number[][] {
  return a.map((row, n) => row.map((value, i) => round(f(value, n, i))));
}

function dot(a: readonly number[], b: readonly number[], round: Round): number {
  return a.reduce((sum, value, i) => round(sum + round(value * b[i])), 0);
}

function sum(values: readonly number[], round: Round): number {
  return values.reduce((total, value) => round(total + value), 0);
}

function transpose(a: Matrix): number[][] {
  return a[0].map((_, i) => a.map((row) => row[i]));
}

/** −y / s. */
function lossUpstream(data: Data): number[][] {
  const s = probabilities(data);
  return map(data.y, data.round, (value, n, i) => (value === 0 ? 0 : -value / s[n][i]));
}

/** s − y. */
function fused(data: Data, s: Matrix = probabilities(data)): number[][] {
  return map(s, data.round, (value, n, i) => data.round(value - data.y[n][i]) / data.temperature);
}

function divide(a: Matrix, by: number, round: Round): number[][] {
  return map(a, round, (value) => value / by);
}

const sigma = (value: number): number => 1 / (1 + Math.exp(-value));

/** Each row of the Jacobian built by i and j. */
function built(data: Data, entry: (s: readonly number[], i: number, j: number, row: number) => number): number[][][] {
  return probabilities(data).map((s, row) =>
    s.map((_, i) => s.map((__, j) => data.round(entry(s, i, j, row) / data.temperature))),
  );
}

type More = Pick<Attempt, 'when' | 'given' | 'among' | 'amongRounded'>;

const attempt = (
  id: string,
  known: Known,
  compute: Attempt['compute'],
  more: More | NonNullable<Attempt['when']> = {},
): Attempt => ({ id, known, compute, ...(typeof more === 'function' ? { when: more } : more) });

const crossEntropy = (): Given => ({ layer: 'cross-entropy' });

const differentTemperature = ({ temperature }: AttemptSetting) => temperature !== 1;

/** The gradient of the rows' summed losses for any target: s Σy − y. */
function lossOf(data: Data, y: Matrix, s: Matrix = probabilities(data)): number[][] {
  return map(
    s,
    data.round,
    (value, n, i) => (value * sum(y[n] ?? [], data.round) - (y[n]?.[i] ?? 0)) / data.temperature,
  );
}

/** s − y, without the temperature of a loss. */
function errorOf(data: Data): number[][] {
  return fused({ ...data, temperature: 1 }, probabilities(data));
}

function squared(data: Data, factor: number): number[][] {
  return product(
    data,
    map(errorOf(data), data.round, (value) => factor * value),
  );
}

const summed = (): number => 1;
const averaged = ({ x }: Data): number => x.length;

/** The gradient of ½‖s − y‖². At the temperature 1 it is that of the cross-entropy times J; at another that has T once more. */
function squaredOrAgain(known: Known, compute: Attempt['compute'], more: Pick<More, 'given'>): readonly Attempt[] {
  return [
    attempt('squared error or J again', known, compute, {
      ...more,
      among: ['right', 'jacobian-twice'],
      when: ({ temperature }) => temperature === 1,
    }),
    attempt('right', known, compute, { ...more, when: differentTemperature }),
  ];
}

/** Two labels in some rows, one in others, none in one of more than three. */
function severalLabels({ y, labels }: Data): number[][] {
  const second = (n: number, f: number) => ((labels[n] ?? 0) + 1) % f;
  return y.map((row, n) =>
    row.map((value, i) => (n !== 3 && (value === 1 || (n % 2 === 0 && i === second(n, row.length))) ? 1 : 0)),
  );
}

function smoothedBy(data: Data, epsilon: number, share = epsilon / data.x[0].length): number[][] {
  return data.y.map((row) => row.map((value) => (1 - epsilon) * value + share));
}

const weights = (f: number): number[] => Array.from({ length: f }, (_, i) => 0.5 + ((7 * i) % 5) / 3);
const weightOf = (data: Data, n: number): number => weights(data.x[0].length)[data.labels[n]];
/** The target with every third row ignored, and its one-hot rows. */
const partlyIgnored = ({ labels }: Data) => labels.map((label, n) => (n % 3 === 1 ? -100 : label));
const countedRows = (data: Data) => data.y.map((row, n) => (n % 3 === 1 ? row.map(() => 0) : [...row]));
const counted = (data: Data) => data.y.filter((_, n) => n % 3 !== 1).length;
/** One class in four is taken out, never the target's. */
const maskOf = ({ y }: Data): number[][] =>
  y.map((row, n) => row.map((value, i) => (value === 0 && (n + i) % 4 === 1 ? 0 : 1)));
const masked = (data: Data): Data => {
  const mask = maskOf(data);
  return { ...data, x: data.x.map((row, n) => row.map((value, i) => (mask[n][i] ? value : Number.NEGATIVE_INFINITY))) };
};

/** Right gradients of losses with options, and those options left out or misunderstood. */
const losses: readonly Attempt[] = [
  ...[0.03, 0.3].flatMap((epsilon) => [
    attempt('right', 'target', (d) => lossOf(d, smoothedBy(d, epsilon)), {
      given: () => ({ labelSmoothing: epsilon }),
    }),
    attempt('right', 'target', (d) => divide(lossOf(d, smoothedBy(d, epsilon)), d.x.length, d.round)),
    attempt(
      'label-smoothing',
      'target',
      (d) =>
        lossOf(
          d,
          d.y.map((row) => row.map((value) => (value === 1 ? 1 - epsilon : epsilon / (row.length - 1)))),
        ),
      { given: () => ({ labelSmoothing: epsilon }), when: ({ f }) => epsilon > 0.1 || f < 20 },
    ),
    attempt('label-smoothing', 'target', (d) => fused(d), { given: () => ({ labelSmoothing: epsilon }) }),
    attempt(
      'label-smoothing',
      'target',
      (d) => {
        const smooth = (y: Matrix) => map(y, d.round, (value, n) => (1 - epsilon) * value + epsilon / y[n].length);
        return lossOf(d, smooth(smooth(d.y)));
      },
      { given: () => ({ labelSmoothing: epsilon }) },
    ),
  ]),
  attempt('right', 'target', (d) => lossOf(d, severalLabels(d)), { given: (d) => ({ target: severalLabels(d) }) }),
  attempt('right', 'target', (d) => divide(lossOf(d, severalLabels(d)), d.x.length, d.round), {
    given: (d) => ({ target: severalLabels(d) }),
  }),
  attempt('target-sum', 'target', (d) => fused({ ...d, y: severalLabels(d) }), {
    given: (d) => ({ target: severalLabels(d) }),
  }),
  attempt('right', 'target', (d) => map(fused(d), d.round, (value, n) => value * weightOf(d, n)), {
    given: (d) => ({ weight: weights(d.x[0].length), target: d.labels }),
  }),
  attempt(
    'right',
    'target',
    (d) => {
      const total = sum(
        d.labels.map((_, n) => weightOf(d, n)),
        d.round,
      );
      return map(fused(d), d.round, (value, n) => (value * weightOf(d, n)) / total);
    },
    { given: (d) => ({ weight: weights(d.x[0].length), target: d.labels, reduction: 'mean' }) },
  ),
  // Class weights that were not given are inferred only from several rows of a class: of one row each, they may be factors of the rows.
  attempt('right', 'target', (d) => map(fused(d), d.round, (value, n) => value * weightOf(d, n)), {
    when: ({ n, f }) => n > f && n * (f - 2) >= 4,
  }),
  attempt('rows rescaled or weighted', 'target', (d) => map(fused(d), d.round, (value, n) => value * weightOf(d, n)), {
    among: ['right', 'rows-rescaled'],
    when: ({ n, f }) => n <= f && n * (f - 2) >= 4,
  }),
  attempt('class-weights', 'target', (d) => fused(d), {
    given: (d) => ({ weight: weights(d.x[0].length), target: d.labels }),
  }),
  attempt(
    'class-weights',
    'target',
    (d) => map(fused(d), d.round, (value, _, i) => value * weights(d.x[0].length)[i]),
    {
      given: (d) => ({ weight: weights(d.x[0].length), target: d.labels }),
    },
  ),
  attempt('class-weights', 'target', (d) => map(fused(d), d.round, (value, n) => value * weightOf(d, n) ** 2), {
    given: (d) => ({ weight: weights(d.x[0].length), target: d.labels }),
  }),
  attempt(
    'class-weights',
    'target',
    (d) =>
      divide(
        map(probabilities(d), d.round, (value, n, i) => (value - d.y[n][i] * weightOf(d, n)) / d.temperature),
        d.x.length,
        d.round,
      ),
    { given: (d) => ({ weight: weights(d.x[0].length), target: d.labels, reduction: 'mean' }) },
  ),
  attempt('right', 'target', (d) => lossOf(d, countedRows(d)), { given: (d) => ({ target: partlyIgnored(d) }) }),
  attempt('right', 'target', (d) => divide(lossOf(d, countedRows(d)), counted(d), d.round), {
    given: (d) => ({ target: partlyIgnored(d) }),
  }),
  // Rows left out that nobody spoke of.
  attempt('rows skipped or left out', 'target', (d) => divide(lossOf(d, countedRows(d)), counted(d), d.round), {
    among: ['right', 'rows-skipped'],
    when: ({ n, f }) => n > 2 && (n - 1) * (f - 1) > 5,
  }),
  attempt('rows skipped or left out', 'target', (d) => map(fused(d), d.round, (value, n) => (n === 0 ? 0 : value)), {
    among: ['right', 'rows-skipped'],
    when: ({ n, f }) => (n - 1) * (f - 1) > 5,
  }),
  attempt('rows rescaled or weighted', 'target', (d) => map(fused(d), d.round, (value, n) => value * (n + 1)), {
    among: ['right', 'rows-rescaled'],
    when: ({ n, f }) => n * (f - 2) >= 4,
  }),
  attempt('ignored-rows', 'target', (d) => fused({ ...d, y: countedRows(d) }), {
    given: (d) => ({ target: partlyIgnored(d) }),
  }),
  attempt('ignored-rows', 'target', (d) => divide(fused(d), d.x.length, d.round), {
    given: (d) => ({ target: d.labels, ignoreIndex: d.labels[0], reduction: 'mean' }),
  }),
  attempt('right', 'target', (d) => fused(masked(d)), { given: (d) => ({ mask: maskOf(d) }) }),
  attempt('right', 'upstream', (d) => product(masked(d)), { given: (d) => ({ mask: maskOf(d) }) }),
  attempt('right', 'target', (d) => fused(masked(d)), { when: ({ n, f }) => n * f >= 30 }),
  attempt('mask-missing', 'target', (d) => fused(d), { given: (d) => ({ mask: maskOf(d) }) }),
  attempt(
    'mask-missing',
    'target',
    (d) => fused({ ...d, x: map(d.x, d.round, (value, n, i) => (maskOf(d)[n][i] ? value : 0)) }),
    { given: (d) => ({ mask: maskOf(d) }) },
  ),
  attempt('mask-missing', 'upstream', (d) => product(d), { given: (d) => ({ mask: maskOf(d) }) }),
  attempt('labels-off-by-one', 'target', (d) =>
    fused({ ...d, y: d.y.map((row) => row.map((_, i) => row[(i + 1) % row.length])) }),
  ),
  attempt('labels-off-by-one', 'target', (d) =>
    divide(
      fused({ ...d, y: d.y.map((row) => row.map((_, i) => row[(i + row.length - 1) % row.length])) }),
      d.x.length,
      d.round,
    ),
  ),
  ...[1, 0].map((power) =>
    attempt(
      'predicted-class',
      'target',
      (d) =>
        map(d.x, d.round, (value, n, i) => {
          const predicted = value === Math.max(...d.x[n]) ? 1 : 0;
          return (predicted - d.y[n][i]) / d.temperature / d.x.length ** power;
        }),
      // So few different numbers, rounded, may be right of another loss.
      { among: ['right', 'predicted-class'] },
    ),
  ),
  attempt('partly-averaged', 'target', (d) => {
    const s = probabilities(d);
    return map(s, d.round, (value, n, i) => (value - d.y[n][i] / d.x.length) / d.temperature);
  }),
  ...[2, 0].map((rows) =>
    attempt(
      'partly-averaged',
      'target',
      (d) => {
        const s = probabilities(d);
        return map(s, d.round, (value, n, i) => (value / d.x.length - d.y[n][i]) / d.temperature);
      },
      // Of two rows, s / n − y is (s − 2 y) / n.
      rows === 2
        ? { among: ['partly-averaged', 'target-added'], when: ({ n }) => n === 2 }
        : { when: ({ n }) => n > 2 },
    ),
  ),
  ...[1e-7, 1e-4].flatMap((epsilon) => [
    attempt('clipped-probabilities', 'target', (d) => clipped(d, (value) => 1 / Math.max(value, epsilon)), {
      given: unlikely,
    }),
    attempt('clipped-probabilities', 'target', (d) => clipped(d, (value) => 1 / (value + epsilon)), {
      given: unlikely,
    }),
  ]),
];

/** Logits that leave the target of every second row hardly any probability. */
function unlikelyData(d: Data): Data {
  const x = d.x.map((row, n) =>
    row.map((value, i) => (i === d.labels[n] && n % 2 === 0 ? d.round(value - 20 * d.temperature) : value)),
  );
  return { ...d, x };
}

function unlikely(d: Data): Given {
  return { logits: unlikelyData(d).x };
}

/** J (−y ⊙ upstream(s)). */
function clipped(data: Data, upstream: (probability: number) => number): number[][] {
  const d = unlikelyData(data);
  const s = probabilities(d);
  return product(
    d,
    map(d.y, d.round, (value, n, i) => (value === 0 ? 0 : -value * upstream(s[n][i]))),
  );
}

const sigmoidLayer = (): Given => ({ layer: 'sigmoid' });
const sigmoidAt = ({ temperature }: Data, x: number) => sigma(x / temperature);
const slopeOf = (d: Data, x: number) => slopeAt(x / d.temperature) / d.temperature;

/** What goes wrong at a sigmoid layer. */
const ofSigmoid: readonly Attempt[] = [
  ...(['upstream', 'target'] as const).map((known) =>
    attempt('slope-alone', known, (d) => map(d.x, d.round, (x) => slopeOf(d, x)), { given: sigmoidLayer }),
  ),
  attempt('slope-twice', 'upstream', (d) => map(d.x, d.round, (x, n, i) => d.g[n][i] * slopeOf(d, x) ** 2), {
    given: sigmoidLayer,
  }),
  attempt(
    'squared error or the slope again',
    'target',
    (d) => map(d.x, d.round, (x, n, i) => (sigmoidAt(d, x) - d.y[n][i]) * slopeOf(d, x)),
    { given: sigmoidLayer, among: ['right', 'slope-twice'] },
  ),
  attempt(
    'sigmoid-twice',
    'upstream',
    (d) => map(d.x, d.round, (x, n, i) => d.g[n][i] * slopeAt(sigmoidAt(d, x)) * slopeOf(d, x)),
    { given: sigmoidLayer },
  ),
  attempt('sigmoid-twice', 'upstream', (d) => map(d.x, d.round, (x, n, i) => d.g[n][i] * slopeAt(sigmoidAt(d, x))), {
    given: sigmoidLayer,
  }),
  attempt('sigmoid-twice', 'target', (d) => map(d.x, d.round, (x, n, i) => sigma(sigmoidAt(d, x)) - d.y[n][i]), {
    given: sigmoidLayer,
  }),
  attempt(
    'logits-for-sigmoid',
    'upstream',
    (d) => map(d.x, d.round, (x, n, i) => (d.g[n][i] * x * (1 - x)) / d.temperature),
    { given: sigmoidLayer },
  ),
  attempt('logits-for-sigmoid', 'target', (d) => map(d.x, d.round, (x, n, i) => x - d.y[n][i]), {
    given: sigmoidLayer,
  }),
];

/** Squared errors after the softmax, other layers, and a distillation's T². */
const layers: readonly Attempt[] = [
  attempt('right', 'target', (d) => squared(d, 2)),
  attempt('right', 'target', (d) => squared(d, 2 / (d.x.length * d.x[0].length))),
  ...[summed, averaged].flatMap((divisor) => {
    const gradient = (d: Data) => squared(d, 1 / divisor(d));
    const upstream = (d: Data) => divide(errorOf(d), divisor(d), d.round);
    return [
      ...squaredOrAgain('target', gradient, {}),
      ...squaredOrAgain('nothing', gradient, { given: (d) => ({ upstream: upstream(d) }) }),
      attempt('right', 'nothing', gradient, { given: (d) => ({ upstream: upstream(d), layer: 'softmax' }) }),
    ];
  }),
  // Any upstream that is a function of s: ‖s‖², entropy, twice the error.
  attempt('right', 'nothing', (d) => product(d, probabilities(d)), { given: (d) => ({ upstream: probabilities(d) }) }),
  attempt('right', 'nothing', (d) => product(d, entropyUpstream(d)), {
    given: (d) => ({ upstream: entropyUpstream(d) }),
  }),
  attempt('right', 'upstream', (d) => logProduct(d), { given: () => ({ layer: 'log-softmax' }) }),
  attempt('right', 'nothing', (d) => built(d, (s, i, j) => (i === j ? 1 : 0) - s[j]), {
    given: () => ({ layer: 'log-softmax' }),
  }),
  attempt('right', 'target', (d) => fused(d), { given: () => ({ layer: 'log-softmax' }) }),
  attempt(
    'right',
    'upstream',
    (d) => map(d.x, d.round, (value, n, i) => (d.g[n][i] * slopeAt(value / d.temperature)) / d.temperature),
    {
      given: () => ({ layer: 'sigmoid' }),
    },
  ),
  attempt(
    'right',
    'target',
    (d) => map(d.x, d.round, (value, n, i) => (sigma(value / d.temperature) - d.y[n][i]) / d.temperature),
    {
      given: () => ({ layer: 'sigmoid' }),
    },
  ),
  attempt(
    'right',
    'target',
    (d) =>
      map(
        d.x,
        d.round,
        (value, n, i) => (sigma(value / d.temperature) - d.y[n][i]) / d.temperature / d.x.length / d.x[0].length,
      ),
    {
      given: () => ({ layer: 'sigmoid' }),
    },
  ),
  ...ofSigmoid,
  attempt('softmax-derivative', 'upstream', (d) => product(d), { given: () => ({ layer: 'log-softmax' }) }),
  ...[1, 2].map((which) =>
    attempt(
      'column-sum',
      'upstream',
      (d) =>
        built(d, (s, i, j) => (i === j ? 1 : 0) - s[j]).map((J, n) =>
          J.map((_, j) => (which === 1 ? 1 : d.g[n][j]) * J.reduce((sum, row) => d.round(sum + row[j]), 0)),
        ),
      { given: () => ({ layer: 'log-softmax' }) },
    ),
  ),
  attempt(
    'jacobian-transposed',
    'upstream',
    (d) => built(d, (s, i, j) => (i === j ? 1 : 0) - s[j]).map((J, n) => times(J, d.g[n], d.round)),
    { given: () => ({ layer: 'log-softmax' }) },
  ),
  attempt('jacobian-transposed', 'nothing', (d) => built(d, (s, i, j) => (i === j ? 1 : 0) - s[i]), {
    given: () => ({ layer: 'log-softmax' }),
  }),
  attempt('softmax-derivative', 'upstream', (d) => product(d), { given: () => ({ layer: 'sigmoid' }) }),
  attempt(
    'distillation or temperature',
    'target',
    (d) => divide(lossOf(d, softTarget(d)), 1 / d.temperature ** 2, d.round),
    {
      given: (d) => ({ target: softTarget(d) }),
      among: ['right', 'temperature'],
      when: ({ temperature }) => temperature !== 1,
    },
  ),
];

const slopeAt = (value: number): number => sigma(value) * sigma(-value);

function softTarget(d: Data): number[][] {
  return softmax(
    d.g.map((row, n) => row.map((value, i) => value + d.y[n][i])),
    1,
    d.round,
  );
}

function entropyUpstream(d: Data): number[][] {
  return map(probabilities(d), d.round, (value) => -Math.log(value) - 1);
}

function logProduct(d: Data): number[][] {
  const s = probabilities(d);
  return map(d.g, d.round, (value, n, i) => (value - s[n][i] * sum(d.g[n], d.round)) / d.temperature);
}

/** The size that a share of the numbers does not exceed, with so many digits. */
function boundOf(a: Matrix, share: number, digits: number): number {
  const sizes = a
    .flat()
    .map(Math.abs)
    .sort((one, other) => one - other);
  return Number((sizes[Math.floor(share * sizes.length)] ?? 1).toPrecision(digits));
}

function clippedByValue(a: Matrix, { round }: Data): number[][] {
  const bound = boundOf(a, 0.7, 2);
  return map(a, round, (value) => Math.min(Math.max(value, -bound), bound));
}

function clippedByNorm(a: Matrix, bound: number, { round }: Data): number[][] {
  const norm = Math.hypot(...a.flat());
  return map(a, round, (value) => value * Math.min(1, bound / norm));
}

function clippedByRow(a: Matrix, { round }: Data): number[][] {
  const norms = a.map((row) => Math.hypot(...row));
  const bound = boundOf([norms], 0.3, 4);
  return map(a, round, (value, n) => value * Math.min(1, bound / norms[n]));
}

const indexOfLargest = (row: readonly number[]): number => row.indexOf(Math.max(...row));

/** Of each row's Jacobian the row of one class. */
function rowsOfJacobian(d: Data, classOf: (row: number) => number): number[][] {
  return jacobians(d).map((J, row) => J[classOf(row)]);
}

const whereLogitsArePositive = (d: Data, a: Matrix): number[][] =>
  map(a, d.round, (value, n, i) => (d.x[n][i] > 0 ? value : 0));

const withoutNegativeLogits = (d: Data): Data => ({ ...d, x: map(d.x, d.round, (value) => Math.max(value, 0)) });

/** Clipped gradients, rows of the Jacobian, and a ReLU on the logits. */
const changedAfterwards: readonly Attempt[] = [
  attempt('gradient-clipped', 'target', (d) => clippedByValue(fused(d), d), {
    amongRounded: ['right', 'gradient-clipped'],
    when: ({ n, f }) => n * f >= 12,
  }),
  attempt('gradient-clipped', 'upstream', (d) => clippedByValue(product(d), d), {
    amongRounded: ['right', 'gradient-clipped'],
    when: ({ n, f }) => n * f >= 12,
  }),
  attempt('gradient-clipped', 'target', (d) => clippedByValue(divide(fused(d), d.x.length, d.round), d), {
    amongRounded: ['right', 'gradient-clipped'],
    when: ({ n, f }) => n * f >= 12,
  }),
  attempt(
    'gradient-clipped',
    'upstream',
    (d) => map(product(d), d.round, (value) => Math.max(value, 0)),
    ({ n, f }) => n * f >= 12,
  ),
  attempt(
    'gradient-clipped',
    'upstream',
    (d) => clippedByNorm(product(d), 0.1, d),
    ({ n, f }) => n * f >= 12,
  ),
  attempt(
    'gradient-clipped',
    'target',
    (d) => clippedByNorm(fused(d), 0.5, d),
    ({ n, f }) => n * f >= 12,
  ),
  attempt('gradient-clipped', 'target', (d) => clippedByNorm(fused(d), 1, d), {
    among: ['right', 'gradient-clipped'],
    given: crossEntropy,
  }),
  attempt(
    'gradient-clipped',
    'upstream',
    (d) => clippedByRow(product(d), d),
    ({ n, f }) => n > 3 && n * f >= 12,
  ),
  attempt(
    'gradient-clipped',
    'target',
    (d) => clippedByRow(fused(d), d),
    ({ n, f }) => n > 3 && n * f >= 12,
  ),

  attempt('one-row', 'upstream', (d) => rowsOfJacobian(d, (row) => d.labels[row])),
  attempt('one-row', 'upstream', (d) => rowsOfJacobian(d, (row) => indexOfLargest(d.x[row]))),
  attempt('one-row', 'upstream', (d) => rowsOfJacobian(d, () => 0)),
  attempt('one-row', 'upstream', (d) =>
    divide(
      rowsOfJacobian(d, (row) => d.labels[row]),
      d.x.length,
      d.round,
    ),
  ),
  attempt('one-row', 'upstream', (d) =>
    map(
      rowsOfJacobian(d, (row) => d.labels[row]),
      d.round,
      (value, n) => value * d.g[n][d.labels[n]],
    ),
  ),
  attempt('one-row', 'upstream', (d) =>
    map(
      rowsOfJacobian(d, (row) => d.labels[row]),
      d.round,
      (value, n, i) => value * d.g[n][i],
    ),
  ),
  attempt('one-row', 'target', (d) =>
    map(
      rowsOfJacobian(d, (row) => d.labels[row]),
      d.round,
      (value, n, i) => value * (probabilities(d)[n][i] - d.y[n][i]),
    ),
  ),
  attempt('one-row', 'nothing', (d) => rowsOfJacobian(d, (row) => indexOfLargest(d.x[row])), {
    among: ['right', 'one-row'],
    when: ({ n }) => n > 2,
  }),
  attempt('one-row', 'target', (d) => rowsOfJacobian(d, (row) => indexOfLargest(d.x[row])), {
    given: crossEntropy,
    when: ({ n }) => n > 4,
  }),

  attempt('relu-on-logits', 'target', (d) => whereLogitsArePositive(d, fused(d))),
  attempt('relu-on-logits', 'target', (d) => whereLogitsArePositive(d, divide(fused(d), d.x.length, d.round))),
  attempt('relu-on-logits', 'upstream', (d) => whereLogitsArePositive(d, product(d))),
  attempt('relu-on-logits', 'upstream', (d) => whereLogitsArePositive(d, d.g)),
  attempt('relu-on-logits', 'target', (d) => fused(withoutNegativeLogits(d))),
  attempt('relu-on-logits', 'upstream', (d) => product(withoutNegativeLogits(d))),
  attempt('relu-on-logits', 'target', (d) => whereLogitsArePositive(d, fused(withoutNegativeLogits(d)))),
  attempt('relu-on-logits', 'upstream', (d) => whereLogitsArePositive(d, product(withoutNegativeLogits(d)))),
];

/** Slips with the function itself. */
const slips: readonly Attempt[] = [
  attempt(
    'normalisation-missing',
    'target',
    (d) => map(d.x, d.round, (value, n, i) => Math.exp(value / d.temperature) - d.y[n][i]),
    {
      when: ({ temperature }) => temperature === 1,
    },
  ),
  attempt('normalisation-missing', 'target', (d) => {
    const e = map(d.x, d.round, (value, n) => Math.exp((value - Math.max(...d.x[n])) / d.temperature));
    return map(e, d.round, (value, n, i) => (value - d.y[n][i]) / d.temperature);
  }),
  attempt('normalisation-missing', 'nothing', (d) => {
    const e = map(d.x, d.round, (value) => Math.exp(value / d.temperature));
    return map(e, d.round, (value) => (value * (1 - value)) / d.temperature);
  }),
  attempt('logits-for-probabilities', 'nothing', (d) =>
    jacobians(d, d.x).map((J) => J.map((row) => sum(row, d.round))),
  ),
  attempt('logits-for-probabilities', 'target', (d) => product(d, fused(d), d.x)),
  attempt('sigmoid', 'nothing', (d) => map(probabilities(d), d.round, slopeAt)),
  attempt('sigmoid', 'upstream', (d) => map(probabilities(d), d.round, (value, n, i) => d.g[n][i] * slopeAt(value))),
  attempt('sigmoid', 'target', (d) =>
    map(probabilities(d), d.round, (value, n, i) => (value - d.y[n][i]) * slopeAt(value)),
  ),
  attempt(
    'keepdims-missing',
    'upstream',
    (d) => {
      const s = probabilities(d);
      const inner = s.map((row, n) => dot(row, d.g[n], d.round));
      return map(s, d.round, (value, n, i) => (value * (d.g[n][i] - inner[i])) / d.temperature);
    },
    ({ n, f }) => n === f,
  ),
];

const cyclic = (row: number, n: number) => (row + n) % n;
const runningRows = (a: Matrix, round: Round): number[][] => {
  const sums = a[0].map(() => 0);
  return a.map((row) => row.map((value, i) => (sums[i] = round(sums[i] + value))));
};
const runningClasses = (a: Matrix, round: Round): number[][] =>
  a.map((row) => {
    let total = 0;
    return row.map((value) => (total = round(total + value)));
  });
const withZero = (a: Matrix, at: number, round: Round): number[][] =>
  map(a, round, (value, _, i) => (i === cyclic(at, a[0].length) ? 0 : value));
/** Labels of which no two rows in a row are neighbours, so that those of the next row are not one too high or too low. */
const apart = (d: Data): number[] => d.labels.map((_, n) => [0, 2, 1][n % 3]);
const apartRows = (d: Data): number[][] => apart(d).map((label) => d.x[0].map((_, i) => (i === label ? 1 : 0)));
/** s ⊙ (g − ⟨s, g⟩), the inner product by row. */
function withInner(d: Data, innerOf: (s: Matrix, row: number) => number): number[][] {
  const s = probabilities(d);
  return map(s, d.round, (value, n, i) => (value * (d.g[n][i] - innerOf(s, n))) / d.temperature);
}

/** Few digits leave the right derivative open, too: of rows that repeat each other, or of a class that has hardly any probability. */
const orRight = (id: string): More => ({ amongRounded: ['right', id] });

/** Loops that start, end, reset or index in the wrong place; at the other end of them, every second attempt. */
const inLoops: readonly Attempt[] = [
  attempt('class-index-subtracted', 'target', (d) =>
    map(probabilities(d), d.round, (value, n) => (value - d.labels[n]) / d.temperature),
  ),
  attempt('class-index-subtracted', 'target', (d) =>
    map(probabilities(d), d.round, (value, n) => (value - d.labels[n]) / d.temperature / d.x.length),
  ),
  attempt(
    'class-index-subtracted',
    'target',
    (d) => map(probabilities(d), d.round, (value, _, i) => (value - d.labels[i]) / d.temperature),
    ({ n, f }) => n === f,
  ),

  ...[0, -1].flatMap((end) => {
    const isFirst = end === 0;
    const all = (a: Matrix) => a.map(() => [...(a.at(end) ?? [])]);
    return [
      attempt('one-row-for-all', 'upstream', (d) => product(d, d.g, all(probabilities(d)))),
      attempt('one-row-for-all', 'upstream', (d) => product(d, all(d.g))),
      attempt('one-row-for-all', 'upstream', (d) => all(product(d))),
      attempt('one-row-for-all', 'target', (d) => fused(d, all(probabilities(d)))),
      attempt('one-row-for-all', 'target', (d) => divide(fused(d, all(probabilities(d))), d.x.length, d.round)),
      attempt('one-row-for-all', 'target', (d) => fused({ ...d, y: all(d.y) }), orRight('one-row-for-all')),
      attempt('one-row-for-all', 'target', (d) => all(fused(d)), orRight('one-row-for-all')),
      attempt('one-row-for-all', 'nothing', (d) => jacobians(d, all(probabilities(d)))),
      attempt(
        'one-row-for-all',
        'nothing',
        (d) => jacobians(d).at(end),
        ({ n, f }) => n !== f,
      ),
    ].filter((_, k) => isFirst || k % 2 === 0);
  }),

  attempt('not-reset', 'upstream', (d) => runningRows(product(d), d.round)),
  attempt('not-reset', 'target', (d) => runningRows(fused(d), d.round)),
  attempt('not-reset', 'target', (d) => divide(runningRows(fused(d), d.round), d.x.length, d.round)),
  attempt('not-reset', 'upstream', (d) => runningClasses(product(d), d.round)),
  attempt('not-reset', 'target', (d) => runningClasses(fused(d), d.round)),
  attempt(
    'not-reset',
    'target',
    (d) => fused(d).map(() => runningRows(fused(d), d.round).at(-1)),
    orRight('not-reset'),
  ),
  attempt('not-reset', 'upstream', (d) =>
    withInner(d, (s, row) =>
      sum(
        s.slice(0, row + 1).map((own, n) => dot(own, d.g[n], d.round)),
        d.round,
      ),
    ),
  ),
  attempt('not-reset', 'upstream', (d) =>
    d.g.map((g, row) => {
      const parts = jacobians(d)
        .slice(0, row + 1)
        .map((J) => times(J, g, d.round));
      return runningRows(parts, d.round).at(-1);
    }),
  ),
  attempt('not-reset', 'target', (d) => {
    const e = d.x.map((row) => row.map((value) => d.round(Math.exp(value / d.temperature))));
    const sums = runningRows(
      e.map((row) => [sum(row, d.round)]),
      d.round,
    );
    return fused(
      d,
      map(e, d.round, (value, n) => value / sums[n][0]),
    );
  }),
  attempt('not-reset', 'target', (d) =>
    fused({ ...d, y: runningRows(d.y, d.round).map((row) => row.map((value) => Math.min(value, 1))) }),
  ),
  attempt('not-reset', 'nothing', (d) =>
    jacobians(d).map((own, row, all) =>
      own.map((line, i) =>
        line.map((_, j) =>
          sum(
            all.slice(0, row + 1).map((J) => J[i][j]),
            d.round,
          ),
        ),
      ),
    ),
  ),

  ...[0, -1].flatMap((end) => {
    const isFirst = end === 0;
    const without = (d: Data) => {
      const s = probabilities(d);
      return map(s, d.round, (value, n) => value / (1 - (s[n].at(end) ?? 0)));
    };
    return [
      attempt('class-skipped', 'upstream', (d) => withZero(product(d), end, d.round)),
      attempt('class-skipped', 'target', (d) => withZero(fused(d), end, d.round), orRight('class-skipped')),
      attempt(
        'class-skipped',
        'target',
        (d) => divide(withZero(fused(d), end, d.round), d.x.length, d.round),
        orRight('class-skipped'),
      ),
      attempt('class-skipped', 'upstream', (d) => product(d, withZero(d.g, end, d.round))),
      attempt(
        'class-skipped',
        'upstream',
        (d) => withInner(d, (s, n) => dot(s[n], withZero(d.g, end, d.round)[n], d.round)),
        orRight('class-skipped'),
      ),
      attempt('class-skipped', 'target', (d) => fused(d, without(d)), orRight('class-skipped')),
      attempt('class-skipped', 'upstream', (d) => product(d, d.g, without(d)), orRight('class-skipped')),
    ].filter((_, k) => isFirst || k % 2 === 0);
  }),
  attempt('class-skipped', 'target', (d) => fused({ ...d, y: withZero(apartRows(d), 0, d.round) }), {
    given: (d) => ({ target: apart(d) }),
  }),

  ...[1, -1].flatMap((by) => {
    const isFirst = by === 1;
    const other = (a: Matrix) => a.map((_, n) => [...a[cyclic(n - by, a.length)]]);
    return [
      attempt('rows-shifted', 'upstream', (d) => product(d, d.g, other(probabilities(d)))),
      attempt('rows-shifted', 'upstream', (d) => product(d, other(d.g))),
      attempt('rows-shifted', 'upstream', (d) => other(product(d))),
      attempt('rows-shifted', 'target', (d) => fused(d, other(probabilities(d)))),
      attempt('rows-shifted', 'target', (d) => other(fused(d))),
      attempt('rows-shifted', 'target', (d) => divide(other(fused(d)), d.x.length, d.round)),
      attempt('rows-shifted', 'target', (d) => fused({ ...d, y: other(apartRows(d)) }), {
        ...orRight('rows-shifted'),
        given: (d) => ({ target: apart(d) }),
      }),
      attempt(
        'rows-shifted',
        'target',
        (d) => map(other(fused(d)), d.round, (value, n) => (n === (by === 1 ? 0 : d.x.length - 1) ? 0 : value)),
        orRight('rows-shifted'),
      ),
    ].filter((_, k) => isFirst || k % 2 === 0);
  }),
];

/** softmax or s − y of other numbers than exp(x − max) / Σ. */
const withOther = (id: string, of: (d: Data) => Matrix, more: More = {}): readonly Attempt[] => [
  attempt(id, 'upstream', (d) => product(d, d.g, of(d))),
  attempt(id, 'target', (d) => fused(d, of(d)), more),
  attempt(id, 'target', (d) => divide(fused(d, of(d)), d.x.length, d.round), more),
];
const pickedOff = (d: Data, taken: (row: number, i: number) => number): number[][] =>
  map(probabilities(d), d.round, (value, n, i) => (value - taken(n, i)) / d.temperature);

/** One term, factor or function of the right formula replaced by another one. */
const replaced: readonly Attempt[] = [
  attempt('inner-product-wrong', 'upstream', (d) => withInner(d, (_, n) => sum(d.g[n], d.round))),
  attempt('inner-product-wrong', 'upstream', (d) => withInner(d, (_, n) => sum(d.g[n], d.round) / d.g[n].length)),
  attempt('inner-product-wrong', 'upstream', (d) => withInner(d, (s, n) => dot(s[n], d.g[n], d.round) / s[n].length)),
  attempt('inner-product-wrong', 'upstream', (d) => {
    const s = probabilities(d);
    return map(s, d.round, (value, n, i) => (value * d.g[n][i] - dot(s[n], d.g[n], d.round)) / d.temperature);
  }),
  attempt('inner-product-wrong', 'upstream', (d) =>
    probabilities(d).map((row, n) => {
      const written = [...row];
      for (let i = 0; i < written.length; i++)
        written[i] = d.round(written[i] * (d.g[n][i] - dot(written, d.g[n], d.round)));
      return written.map((value) => d.round(value / d.temperature));
    }),
  ),
  attempt('outer-product-wrong', 'upstream', (d) =>
    built(d, (s, i, j) => (i === j ? s[i] : 0) - dot(s, s, d.round)).map((J, n) => times(J, d.g[n], d.round)),
  ),
  attempt('outer-product-wrong', 'upstream', (d) =>
    built(d, (s, i, j) => (i === j ? s[i] : 0) - s[j] ** 2).map((J, n) => times(J, d.g[n], d.round)),
  ),
  attempt('outer-product-wrong', 'nothing', (d) => built(d, (s, i, j) => (i === j ? s[i] : 0) - dot(s, s, d.round))),
  attempt('outer-product-wrong', 'nothing', (d) => built(d, (s, i, j) => (i === j ? s[i] : 0) - s[j] ** 2)),
  attempt('outer-product-added', 'nothing', (d) => built(d, (s, i, j) => s[i] * (i === j ? 1 - s[i] : s[j]))),
  attempt('outer-product-added', 'upstream', (d) =>
    built(d, (s, i, j) => s[i] * (i === j ? 1 - s[i] : s[j])).map((J, n) => times(J, d.g[n], d.round)),
  ),
  attempt('probabilities-twice', 'upstream', (d) => {
    const s = probabilities(d);
    return map(product(d), d.round, (value, n, i) => value * s[n][i]);
  }),
  attempt('probabilities-twice', 'target', (d) => {
    const s = probabilities(d);
    return map(fused(d), d.round, (value, n, i) => value * s[n][i]);
  }),
  attempt('target-added', 'target', (d) => pickedOff(d, (n, i) => -d.y[n][i])),
  attempt('target-added', 'target', (d) =>
    divide(
      pickedOff(d, (n, i) => -d.y[n][i]),
      d.x.length,
      d.round,
    ),
  ),
  attempt('target-added', 'target', (d) => pickedOff(d, (n, i) => 2 * d.y[n][i])),
  attempt('diagonal', 'target', (d) => map(fused(d), d.round, (value, n, i) => -d.y[n][i] * value)),
  attempt('diagonal', 'target', (d) => {
    const s = probabilities(d);
    return map(fused(d), d.round, (value, n, i) => d.y[n][i] * value * s[n][i]);
  }),
  attempt('target-indexing', 'target', (d) => pickedOff(d, () => 1)),
  attempt('target-indexing', 'target', (d) =>
    map(
      pickedOff(d, () => 1),
      d.round,
      (value) => -value,
    ),
  ),
  attempt('target-indexing', 'target', (d) => pickedOff(d, (n) => (n < 3 ? 1 : 0)), {
    given: (d) => ({ target: apart(d) }),
    when: ({ n }) => n > 3,
  }),
  attempt('target-indexing', 'target', (d) =>
    pickedOff(d, (n, i) => (n === 0 ? d.labels.filter((label) => label === i).length : 0)),
  ),
  attempt('target-indexing', 'target', (d) => pickedOff(d, (n, i) => (n === 0 && d.labels.includes(i) ? 1 : 0))),
  attempt('logarithms-for-probabilities', 'target', (d) =>
    fused(
      d,
      map(probabilities(d), d.round, (value) => Math.log(value)),
    ),
  ),
  attempt('logarithms-for-probabilities', 'upstream', (d) => {
    const log = map(probabilities(d), d.round, (value) => Math.log(value));
    return map(log, d.round, (value, n, i) => (value * (d.g[n][i] - dot(log[n], d.g[n], d.round))) / d.temperature);
  }),
  attempt('loss-for-gradient', 'target', (d) =>
    map(probabilities(d), d.round, (value, n, i) => (d.y[n][i] === 0 ? 0 : -Math.log(value))),
  ),
  attempt(
    'loss-for-gradient',
    'target',
    (d) => probabilities(d).map((row, n) => d.round(-Math.log(row[d.labels[n]]))),
    ({ n, f }) => n !== f,
  ),
  ...withOther('other-exponential', (d) => map(d.x, d.round, (value, n) => value / sum(d.x[n], d.round))),
  ...withOther('other-exponential', (d) =>
    softmax(
      map(d.x, d.round, (value) => -value),
      d.temperature,
      d.round,
    ),
  ),
  ...withOther('other-exponential', (d) => softmax(d.x, d.temperature / Math.LN2, d.round)),
  ...withOther(
    'other-exponential',
    (d) =>
      softmax(
        map(d.x, d.round, (value) => Math.trunc(value)),
        d.temperature,
        d.round,
      ),
    orRight('other-exponential'),
  ),
];

export const attempts: readonly Attempt[] = [
  attempt('right', 'upstream', (d) => product(d)),
  attempt('right', 'upstream', (d) => {
    const s = probabilities(d);
    return map(s, d.round, (value, n, i) => (value * d.round(d.g[n][i] - dot(s[n], d.g[n], d.round))) / d.temperature);
  }),
  attempt('right', 'target', (d) => fused(d)),
  attempt('right', 'target', (d) => divide(fused(d), d.x.length, d.round)),
  attempt('right', 'target', (d) => product(d, lossUpstream(d))),
  attempt('right', 'nothing', (d) => jacobians(d)),

  attempt('row-sum', 'nothing', (d) => jacobians(d).map((J) => J.map((row) => sum(row, d.round)))),
  attempt('row-sum', 'nothing', (d) => jacobians(d).map((J) => transpose(J).map((column) => sum(column, d.round)))),
  attempt('row-sum', 'nothing', (d) => rolled(d)),
  attempt('row-sum', 'upstream', (d) => map(rolled(d), d.round, (value, n, i) => value * d.g[n][i])),
  attempt('row-sum', 'target', (d) => rolled(d)),

  attempt('diagonal', 'nothing', (d) => jacobians(d).map((J) => J.map((row, i) => row[i]))),
  attempt('diagonal', 'upstream', (d) => jacobians(d).map((J, n) => J.map((row, i) => d.round(row[i] * d.g[n][i])))),
  attempt('diagonal', 'nothing', (d) => built(d, (s, i, j) => (i === j ? s[i] * (1 - s[i]) : 0))),
  attempt('diagonal', 'target', (d) => {
    const s = probabilities(d);
    return map(fused(d), d.round, (value, n, i) => value * s[n][i] * (1 - s[n][i]));
  }),
  attempt('diagonal', 'target', (d) => {
    const s = probabilities(d);
    const factor = 2 / d.x.flat().length;
    return map(fused(d), d.round, (value, n, i) => factor * value * s[n][i] * (1 - s[n][i]));
  }),
  attempt('diagonal', 'target', (d) => {
    const s = probabilities(d);
    return map(lossUpstream(d), d.round, (value, n, i) => (value * s[n][i] * (1 - s[n][i])) / d.temperature);
  }),

  attempt('one-column', 'nothing', (d) => jacobians(d).map((J) => J.map((row) => row[row.length - 1])), {
    among: ['right', 'one-column'],
  }),
  attempt('one-column', 'upstream', (d) =>
    jacobians(d).map((J, n) => J.map((row) => d.round((row.at(-1) ?? 0) * (d.g[n].at(-1) ?? 0)))),
  ),

  attempt('upstream-missing', 'upstream', (d) => jacobians(d)),
  attempt('upstream-missing', 'target', (d) => jacobians(d)),
  attempt('upstream-missing', 'target', (d) => jacobians(d).map((J, n) => J[d.labels[n]]), {
    among: ['right', 'upstream-missing'],
  }),

  attempt('jacobian-skipped', 'upstream', (d) => d.g),
  attempt('jacobian-skipped', 'target', (d) => lossUpstream(d)),
  attempt('jacobian-skipped', 'target', (d) => divide(lossUpstream(d), d.x.length, d.round)),

  attempt('jacobian-twice', 'target', (d) => product(d, fused(d)), { given: crossEntropy }),
  attempt('jacobian-twice', 'target', (d) => divide(product(d, fused(d)), d.x.length, d.round), {
    given: crossEntropy,
  }),
  attempt('jacobian-twice', 'upstream', (d) => product(d, product(d))),

  attempt('upstream-twice', 'upstream', (d) => map(product(d), d.round, (value, n, i) => value * d.g[n][i])),

  attempt('not-contracted', 'upstream', (d) =>
    jacobians(d).map((J, n) => J.map((row) => row.map((value, j) => d.round(value * d.g[n][j])))),
  ),
  attempt('not-contracted', 'upstream', (d) =>
    jacobians(d).map((J, n) => J.map((row, i) => row.map((value) => d.round(value * d.g[n][i])))),
  ),

  attempt('probabilities-missing', 'upstream', (d) => {
    const s = probabilities(d);
    return map(d.g, d.round, (value, n) => (value - dot(s[n], d.g[n], d.round)) / d.temperature);
  }),

  attempt('inner-product-missing', 'upstream', (d) => {
    const s = probabilities(d);
    return map(d.g, d.round, (value, n, i) => (value * s[n][i]) / d.temperature);
  }),
  attempt('inner-product-missing', 'nothing', (d) => built(d, (s, i, j) => (i === j ? s[i] : 0))),

  attempt('diagonal-missing', 'upstream', (d) => {
    const s = probabilities(d);
    return map(s, d.round, (value, n) => (-value * dot(s[n], d.g[n], d.round)) / d.temperature);
  }),
  attempt('diagonal-missing', 'nothing', (d) => built(d, (s, i, j) => -s[i] * s[j])),
  attempt('diagonal-missing', 'nothing', (d) => built(d, (s, i, j) => (i === j ? 0 : -s[i] * s[j]))),

  attempt('outer-product-added', 'upstream', (d) => {
    const s = probabilities(d);
    return map(s, d.round, (value, n, i) => (value * (d.g[n][i] + dot(s[n], d.g[n], d.round))) / d.temperature);
  }),
  attempt('outer-product-added', 'nothing', (d) => built(d, (s, i, j) => (i === j ? s[i] : 0) + s[i] * s[j])),

  attempt('kronecker-missing', 'nothing', (d) => built(d, (s, i, j) => s[i] * (1 - s[j]))),
  attempt('kronecker-missing', 'upstream', (d) =>
    built(d, (s, i, j) => s[i] * (1 - s[j])).map((J, n) => times(J, d.g[n], d.round)),
  ),

  attempt('sign-flipped', 'target', (d) => map(fused(d), d.round, (value) => -value)),
  attempt('sign-flipped', 'upstream', (d) => map(product(d), d.round, (value) => -value)),
  attempt('sign-flipped', 'nothing', (d) => jacobians(d).map((J) => J.map((row) => row.map((value) => -value)))),

  attempt('batch-size', 'upstream', (d) => divide(product(d), d.x.length, d.round)),
  attempt('batch-size', 'upstream', (d) => divide(product(d), 1 / d.x.length, d.round)),
  attempt('batch-size', 'target', (d) => divide(fused(d), d.x.length ** 2, d.round)),
  attempt('batch-size', 'target', (d) => divide(fused(d), 1 / d.x.length, d.round)),
  attempt('batch-size', 'target', (d) => divide(fused(d), d.x.length * d.x[0].length, d.round)),
  attempt('batch-size', 'nothing', (d) => jacobians(d).map((J) => divide(J, d.x.length, d.round))),

  attempt(
    'temperature',
    'upstream',
    (d) => product({ ...d, temperature: 1 }, d.g, probabilities(d)),
    differentTemperature,
  ),
  attempt('temperature', 'upstream', (d) => divide(product(d), d.temperature, d.round), differentTemperature),
  attempt('temperature', 'upstream', (d) => product({ ...d, temperature: 1 }), differentTemperature),
  attempt('temperature', 'target', (d) => fused({ ...d, temperature: 1 }, probabilities(d)), differentTemperature),
  attempt('temperature', 'target', (d) => fused({ ...d, temperature: 1 }), differentTemperature),
  attempt('temperature', 'nothing', (d) => jacobians({ ...d, temperature: 1 }, probabilities(d)), differentTemperature),

  attempt('wrong-axis', 'upstream', (d) => {
    const other = { ...d, x: transpose(d.x), g: transpose(d.g) };
    return transpose(product(other));
  }),
  attempt('wrong-axis', 'upstream', (d) => {
    const s = probabilities(d);
    const columns = transpose(map(s, d.round, (value, n, i) => value * d.g[n][i])).map((c) => sum(c, d.round));
    return map(s, d.round, (value, n, i) => (value * (d.g[n][i] - columns[i])) / d.temperature);
  }),
  attempt('wrong-axis', 'upstream', (d) => {
    const s = probabilities(d);
    const all = sum(map(s, d.round, (value, n, i) => value * d.g[n][i]).flat(), d.round);
    return map(s, d.round, (value, n, i) => (value * (d.g[n][i] - all)) / d.temperature);
  }),
  attempt('wrong-axis', 'target', (d) => fused(d, transpose(softmax(transpose(d.x), d.temperature, d.round)))),
  attempt('wrong-axis', 'target', (d) => {
    const [flat] = softmax([d.x.flat()], d.temperature, d.round);
    return fused(
      d,
      map(d.x, d.round, (_, n, i) => flat[n * d.x[0].length + i]),
    );
  }),
  attempt('wrong-axis', 'nothing', (d) => jacobians(d, transpose(softmax(transpose(d.x), d.temperature, d.round)))),

  attempt('transposed', 'upstream', (d) => transpose(product(d))),
  attempt('transposed', 'target', (d) => transpose(fused(d))),
  attempt(
    'transposed',
    'upstream',
    (d) => {
      const flat = transpose(product(d)).flat();
      return map(d.x, d.round, (_, n, i) => flat[n * d.x[0].length + i]);
    },
    ({ axis }) => axis === 1,
  ),

  attempt('batch-contracted', 'upstream', (d) => {
    const total = transpose(d.g).map((column) => sum(column, d.round));
    return jacobians(d).map((J) => times(J, total, d.round));
  }),
  attempt('batch-contracted', 'upstream', (d) => {
    const J = meanJacobian(d);
    return d.g.map((row) => times(J, row, d.round));
  }),
  attempt(
    'batch-contracted',
    'upstream',
    (d) => transpose(product(d)).map((column) => sum(column, d.round)),
    ({ n, f }) => n !== f,
  ),

  attempt(
    'batch-jacobian',
    'nothing',
    (d) => meanJacobian(d),
    ({ n, f }) => n !== f,
  ),
  attempt(
    'batch-jacobian',
    'nothing',
    (d) => jacobianOf(divide([transpose(probabilities(d)).map((c) => sum(c, d.round))], d.x.length, d.round)[0], d),
    ({ n, f }) => n !== f,
  ),

  attempt('flattened-batch', 'nothing', (d) => jacobianOf(probabilities(d).flat(), d)),
  attempt('flattened-batch', 'upstream', (d) => {
    const J = jacobianOf(probabilities(d).flat(), d);
    return map(d.g, d.round, (value, n, i) => value * sum(J[n * d.g[0].length + i], d.round));
  }),

  attempt('softmax-twice', 'upstream', (d) => product(d, d.g, softmax(probabilities(d), 1, d.round))),
  attempt('softmax-twice', 'upstream', (d) =>
    product(d, product({ ...d, temperature: 1 }, d.g, softmax(probabilities(d), 1, d.round))),
  ),
  attempt('softmax-twice', 'target', (d) => fused({ ...d, temperature: 1 }, softmax(probabilities(d), 1, d.round))),
  attempt('softmax-twice', 'target', (d) =>
    product(d, fused({ ...d, temperature: 1 }, softmax(probabilities(d), 1, d.round))),
  ),
  attempt('softmax-twice', 'nothing', (d) => jacobians(d, softmax(probabilities(d), 1, d.round))),

  attempt('softmax-of-upstream', 'upstream', (d) => jacobians(d, softmax(d.g, 1, d.round))),
  attempt('softmax-of-upstream', 'upstream', (d) => product(d, d.g, softmax(d.g, 1, d.round))),

  attempt('logits-for-probabilities', 'nothing', (d) => map(d.x, d.round, (value) => value * (1 - value))),
  attempt('logits-for-probabilities', 'nothing', (d) => {
    const s = probabilities(d);
    return map(d.x, d.round, (value, n, i) => s[n][i] * (1 - value));
  }),
  attempt('logits-for-probabilities', 'upstream', (d) =>
    map(d.x, d.round, (value, n, i) => (value * (d.g[n][i] - dot(d.x[n], d.g[n], d.round))) / d.temperature),
  ),
  attempt('logits-for-probabilities', 'target', (d) => map(d.x, d.round, (value, n, i) => value - d.y[n][i])),
  attempt('logits-for-probabilities', 'nothing', (d) => jacobians(d, d.x)),

  attempt('sigmoid', 'nothing', (d) => map(d.x, d.round, (value) => sigma(value) * (1 - sigma(value)))),
  attempt('sigmoid', 'upstream', (d) =>
    map(d.x, d.round, (value, n, i) => d.g[n][i] * sigma(value) * (1 - sigma(value))),
  ),
  attempt('sigmoid', 'target', (d) => map(d.x, d.round, (value, n, i) => sigma(value) - d.y[n][i])),

  attempt('log-softmax', 'upstream', (d) => {
    const s = probabilities(d);
    return map(d.g, d.round, (value, n, i) => (value - s[n][i] * sum(d.g[n], d.round)) / d.temperature);
  }),
  attempt('log-softmax', 'nothing', (d) => built(d, (s, i, j) => (i === j ? 1 : 0) - s[j])),

  attempt('target-missing', 'target', (d) => divide(probabilities(d), d.temperature, d.round)),
  attempt('target-missing', 'target', (d) => divide(probabilities(d), d.temperature * d.x.length, d.round)),

  attempt('target-indexing', 'target', (d) => {
    const columns = new Set(d.labels);
    const s = probabilities(d);
    return map(s, d.round, (value, _, i) => (value - (columns.has(i) ? 1 : 0)) / d.temperature);
  }),

  attempt('binary-cross-entropy', 'target', (d) => binary(d)),
  ...[summed, ({ x }: Data) => x.flat().length].map((divisor) =>
    attempt('binary cross-entropy, meant or not', 'target', (d) => divide(product(d, binary(d)), divisor(d), d.round), {
      among: ['right', 'binary-cross-entropy'],
    }),
  ),

  ...losses,
  ...layers,
  ...slips,
  ...changedAfterwards,
  ...inLoops,
  ...replaced,

  attempt('scaled', 'upstream', (d) => divide(product(d), 1 / 0.01234, d.round)),
  attempt('scaled', 'target', (d) => divide(fused(d), 1 / 0.01234, d.round)),
  ...[1, 0].map((power) =>
    attempt(
      'predicted-class',
      'target',
      (d) =>
        divide(
          fused({ ...d, y: d.x.map((row) => row.map((value) => (value === Math.max(...row) ? 1 : 0))) }),
          d.x.length ** power,
          d.round,
        ),
      // The predicted classes of few rows may be the labels, or those of another row.
      { when: ({ n }) => n > 4 },
    ),
  ),
  attempt('logits-for-probabilities', 'target', (d) =>
    map(d.x, d.round, (value, n, i) => (value - d.y[n][i]) / d.x.length),
  ),

  attempt('logits-for-probabilities', 'nothing', (d) => {
    const s = probabilities(d);
    const last = d.x[0].length - 1;
    return map(s, d.round, (value, n, i) => (value * ((i === last ? 1 : 0) - d.x[n][last])) / d.temperature);
  }),

  ...[probabilities, ({ x }: Data) => x.map((row) => row.map(Math.tanh))].flatMap((squared) => [
    attempt('tanh', 'nothing', (d) => map(squared(d), d.round, (value) => 1 - value ** 2)),
    attempt('tanh', 'upstream', (d) => map(squared(d), d.round, (value, n, i) => d.g[n][i] * (1 - value ** 2))),
    attempt('tanh', 'target', (d) => {
      const error = errorOf(d);
      return map(squared(d), d.round, (value, n, i) => error[n][i] * (1 - value ** 2));
    }),
  ]),
  attempt('tanh', 'nothing', (d) => map(d.x, d.round, (value) => 1 - sigmoidAt(d, value) ** 2), {
    given: sigmoidLayer,
  }),

  ...[1, -1].map((sign) =>
    attempt(
      'upstream-sum-missing',
      'upstream',
      (d) => map(probabilities(d), d.round, (value, n, i) => d.g[n][i] + sign * value),
      { given: () => ({ layer: 'log-softmax' }) },
    ),
  ),

  ...[summed, averaged].flatMap((divisor) => {
    const gradient = (d: Data) => divide(product(d, d.y), -divisor(d), d.round);
    return [
      attempt('logarithm-missing', 'target', gradient, { given: crossEntropy }),
      attempt('logarithm missing, or a loss of probabilities', 'target', gradient, {
        among: ['right', 'logarithm-missing'],
      }),
    ];
  }),

  attempt('binary-cross-entropy', 'target', (d) =>
    map(probabilities(d), d.round, (value, n, i) => -(d.y[n][i] / value + (1 - d.y[n][i]) / (1 - value))),
  ),
  attempt('exponential-twice', 'target', (d) =>
    fused(
      d,
      map(probabilities(d), d.round, (value) => Math.exp(value)),
    ),
  ),
  // After a log-softmax, with exp of what is not its output: of the probabilities, and of the logits.
  ...(['exponential-twice', 'normalisation-missing'] as const).map((id) =>
    attempt(
      id,
      'upstream',
      (d) => {
        const passed = id === 'exponential-twice' ? probabilities(d) : map(d.x, d.round, (x) => x / d.temperature);
        return map(passed, d.round, (value, n, i) => {
          const sum = d.g[n].reduce((total, g) => d.round(total + g), 0);
          return (d.g[n][i] - Math.exp(value) * sum) / d.temperature;
        });
      },
      { given: () => ({ layer: 'log-softmax' }) },
    ),
  ),
];

/** The sum over np.roll: s (1 − s) + Σ_k −s roll(s, k). */
function rolled(d: Data): number[][] {
  const s = probabilities(d);
  return map(s, d.round, (value, n, i) => {
    const f = s[n].length;
    let off = 0;
    for (let k = 1; k < f; k++) off = d.round(off - d.round(value * s[n][(i - k + f) % f]));
    return d.round(value * d.round(1 - value)) + off;
  });
}

function meanJacobian(d: Data): number[][] {
  const all = jacobians(d);
  return all[0].map((row, i) =>
    row.map((_, j) =>
      d.round(
        sum(
          all.map((J) => J[i][j]),
          d.round,
        ) / all.length,
      ),
    ),
  );
}

function binary(d: Data): number[][] {
  const s = probabilities(d);
  return map(s, d.round, (value, n, i) => -d.y[n][i] / value + (1 - d.y[n][i]) / (1 - value));
}
