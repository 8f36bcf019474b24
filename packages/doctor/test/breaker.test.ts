import { describe, expect, inject, test } from 'vitest';
import { type DiagnoseInput, diagnose } from '../src/index.js';
import { type Matrix, softmax } from './attempts.js';
import { toBits } from './cases.js';
import { normal, uniform } from './random.js';

/**
 * Right gradients of many losses, by their upstream gradient or by s Σy − y, on random and on degenerate logits, in every
 * precision, with the upstream gradient, the target or nothing given. None of them may be called a mistake alone.
 * `SOFTGRAD_CASES=all npx vitest run test/breaker.test.ts` asks all of them; by default a sample is asked, in `npm run test:all` one three times as large.
 */
const all = process.env.SOFTGRAD_CASES === 'all';
const everything = inject('everything');

/** One question of so many is asked: a prime, so that it is another setting, precision and knowledge each time. */
const oneOf = all ? 1 : everything ? 37 : 127;

interface Data {
  readonly x: Matrix;
  readonly s: Matrix;
  readonly y: Matrix;
  readonly soft: Matrix;
  readonly labels: readonly number[];
  readonly weight: readonly number[];
  readonly n: number;
  readonly f: number;
  readonly temperature: number;
}

type Known = 'nothing' | 'upstream' | 'target' | 'both';

interface Loss {
  readonly name: string;
  readonly gradient: (data: Data) => Matrix;
  readonly upstream?: (data: Data) => Matrix;
  readonly given?: (data: Data) => Partial<DiagnoseInput>;
  readonly target?: (data: Data) => Matrix | readonly number[];
  /** What is told; by default the target, and where there is an upstream gradient every combination. */
  readonly known?: readonly Known[];
}

const plain = (value: number) => value;
const total = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0);
const entryOf = (a: Matrix, n: number, i: number) => a[n]?.[i] ?? 0;
const rowOf = (a: Matrix, n: number) => a[n] ?? [];
const map = (a: Matrix, change: (value: number, n: number, i: number) => number): Matrix =>
  a.map((row, n) => row.map((value, i) => change(value, n, i)));
const divide = (a: Matrix, by: number) => map(a, (value) => value / by);
const weightOf = ({ weight, labels }: Data, n: number) => weight[labels[n] ?? 0] ?? 0;
const weights = (d: Data) => total(d.labels.map((_, n) => weightOf(d, n)));

/** J g / T. */
function through({ s, temperature }: Data, g: Matrix): Matrix {
  return s.map((row, n) => {
    const inner = total(row.map((p, i) => p * entryOf(g, n, i)));
    return row.map((p, i) => (p * (entryOf(g, n, i) - inner)) / temperature);
  });
}

/** (s Σy − y) / T. */
function ofTarget({ s, temperature }: Data, y: Matrix): Matrix {
  return map(s, (p, n, i) => (p * total(rowOf(y, n)) - entryOf(y, n, i)) / temperature);
}

type Entry = (s: number, y: number, i: number, n: number, data: Data) => number;

/** The gradient of a loss of the probabilities, by ∂L/∂s of an entry. */
function ofProbabilities(name: string, entry: Entry, more: Partial<Loss> = {}): Loss {
  const upstream = (d: Data): Matrix => {
    const target = more.target === undefined ? d.y : d.soft;
    return map(d.s, (p, n, i) => entry(p, entryOf(target, n, i), i, n, d));
  };
  return { name, upstream, gradient: (d) => through(d, upstream(d)), ...more };
}

function crossEntropy(name: string, gradient: (data: Data) => Matrix, more: Partial<Loss> = {}): Loss {
  return { name, gradient, ...more };
}

const soft = { target: ({ soft: y }: Data) => y };
const told: Pick<Loss, 'known'> = { known: ['upstream', 'both'] };
const smoothed = (d: Data, epsilon: number) => map(d.y, (value) => (1 - epsilon) * value + epsilon / d.f);
const several = (d: Data) => map(d.y, (value, n, i) => (value === 1 || (i + n) % 3 === 0 ? 1 : 0));
const mixed = (d: Data) => map(d.y, (value, n, i) => 0.7 * value + 0.3 * entryOf(d.y, (n + 1) % d.n, i));
const sigmoid = (value: number) => 1 / (1 + Math.exp(-value));
const ofSigmoid = ({ x, y, temperature }: Data) =>
  map(x, (value, n, i) => (sigmoid(value / temperature) - entryOf(y, n, i)) / temperature);

const crossEntropies: readonly Loss[] = [
  crossEntropy('sum', (d) => ofTarget(d, d.y)),
  crossEntropy('mean', (d) => divide(ofTarget(d, d.y), d.n)),
  crossEntropy('mean, said', (d) => divide(ofTarget(d, d.y), d.n), { given: () => ({ reduction: 'mean' }) }),
  crossEntropy('sum, said', (d) => ofTarget(d, d.y), { given: () => ({ reduction: 'sum' }) }),
  crossEntropy('mean, with the layer', (d) => divide(ofTarget(d, d.y), d.n), {
    given: () => ({ layer: 'cross-entropy' }),
  }),
  crossEntropy('behind log-softmax', (d) => ofTarget(d, d.y), { given: () => ({ layer: 'log-softmax' }) }),
  crossEntropy('log-softmax, its upstream', (d) => ofTarget(d, d.y), {
    ...told,
    upstream: (d) => map(d.y, (value) => -value),
    given: () => ({ layer: 'log-softmax' }),
  }),
  ...[0.05, 0.1, 0.2].flatMap((epsilon) => [
    crossEntropy(`smoothed by ${epsilon}`, (d) => divide(ofTarget(d, smoothed(d, epsilon)), d.n)),
    crossEntropy(`smoothed by ${epsilon}, said`, (d) => ofTarget(d, smoothed(d, epsilon)), {
      given: () => ({ labelSmoothing: epsilon }),
    }),
    crossEntropy(`smoothed by ${epsilon}, as the target`, (d) => divide(ofTarget(d, smoothed(d, epsilon)), d.n), {
      target: (d) => smoothed(d, epsilon),
    }),
    crossEntropy(`smoothed among the others by ${epsilon}`, (d) =>
      ofTarget(
        d,
        map(d.y, (value) => (value === 1 ? 1 - epsilon : epsilon / (d.f - 1))),
      ),
    ),
  ]),
  crossEntropy('class weights', (d) => map(ofTarget(d, d.y), (value, n) => value * weightOf(d, n))),
  crossEntropy('class weights, mean', (d) =>
    map(ofTarget(d, d.y), (value, n) => (value * weightOf(d, n)) / weights(d)),
  ),
  crossEntropy('class weights, said', (d) => map(ofTarget(d, d.y), (v, n) => (v * weightOf(d, n)) / weights(d)), {
    given: ({ weight }) => ({ weight, reduction: 'mean' }),
    target: ({ labels }) => labels,
  }),
  crossEntropy('weights of samples', (d) => map(ofTarget(d, d.y), (value, n) => value * (1 + Math.sin(n)))),
  crossEntropy('ignored rows', (d) => map(ofTarget(d, d.y), (v, n) => (n % 2 ? 0 : v / Math.ceil(d.n / 2))), {
    target: ({ labels }) => labels.map((label, n) => (n % 2 ? -100 : label)),
  }),
  crossEntropy('ignored rows, not said', (d) => map(ofTarget(d, d.y), (v, n) => (n % 2 ? 0 : v / Math.ceil(d.n / 2)))),
  crossEntropy('a row of padding', (d) => map(ofTarget(d, d.y), (value, n) => (n === d.n - 1 ? 0 : value))),
  crossEntropy('several labels', (d) => ofTarget(d, several(d)), { target: several }),
  crossEntropy('several labels, mean', (d) => divide(ofTarget(d, several(d)), d.n), { target: several }),
  crossEntropy('soft targets', (d) => ofTarget(d, d.soft), soft),
  crossEntropy('soft targets, mean', (d) => divide(ofTarget(d, d.soft), d.n), soft),
  crossEntropy('distillation', (d) => map(ofTarget(d, d.soft), (value) => value * d.temperature ** 2), soft),
  crossEntropy('mixup', (d) => ofTarget(d, mixed(d)), { target: mixed }),
  crossEntropy('mixup, one label said', (d) => ofTarget(d, mixed(d))),
  crossEntropy('divided by its norm', (d) => {
    const gradient = ofTarget(d, d.y);
    return divide(gradient, Math.sqrt(total(gradient.flat().map((value) => value * value))));
  }),
  crossEntropy('policy gradient', (d) => map(ofTarget(d, d.y), (value, n) => value * Math.cos(3 * n))),
  crossEntropy('with a squared error', (d) => {
    const error = through(
      d,
      map(d.s, (p, n, i) => p - entryOf(d.y, n, i)),
    );
    return map(ofTarget(d, d.y), (value, n, i) => value + entryOf(error, n, i));
  }),
  crossEntropy('of sigmoids', ofSigmoid, { given: () => ({ layer: 'sigmoid' }) }),
  crossEntropy('of sigmoids, mean', (d) => divide(ofSigmoid(d), d.n * d.f), { given: () => ({ layer: 'sigmoid' }) }),
  crossEntropy('of sigmoids, mean over the rows', (d) => divide(ofSigmoid(d), d.n), {
    given: () => ({ layer: 'sigmoid' }),
  }),
];

const lossesOfProbabilities: readonly Loss[] = [
  ...[0.5, 1, 2].flatMap((k) => [
    ofProbabilities(`squared error, ${k}`, (s, y) => k * (s - y)),
    ofProbabilities(`squared error, ${k}, mean over the rows`, (s, y, _i, _n, { n }) => (k * (s - y)) / n),
    ofProbabilities(`squared error, ${k}, mean`, (s, y, _i, _n, { n, f }) => (k * (s - y)) / n / f),
  ]),
  ofProbabilities('squared error of a softmax', (s, y) => s - y, { given: () => ({ layer: 'softmax' }) }),
  ofProbabilities('squared error of soft targets', (s, y) => 2 * (s - y), soft),
  ofProbabilities('KL(s ‖ y)', (s, y) => Math.log(s / y) + 1, soft),
  ofProbabilities('Jensen–Shannon', (s, y) => 0.5 * Math.log((2 * s) / (s + y)), soft),
  ...[0.5, 1, 2, 5].map((gamma) =>
    ofProbabilities(`focal, γ = ${gamma}`, (s, y) =>
      y === 0 ? 0 : gamma * (1 - s) ** (gamma - 1) * Math.log(s) - (1 - s) ** gamma / s,
    ),
  ),
  ofProbabilities('entropy', (s) => -Math.log(s) - 1),
  ofProbabilities('likelihood', (s, y) => -y / s),
  ofProbabilities('likelihood, mean', (s, y, _i, _n, { n }) => -y / s / n),
  ofProbabilities('likelihood with entropy', (s, y) => -y / s + 0.1 * (-Math.log(s) - 1)),
  ofProbabilities('binary', (s, y) => -y / s + (1 - y) / (1 - s), told),
  ofProbabilities('absolute error', (s, y) => Math.sign(s - y)),
  ofProbabilities('absolute error, mean', (s, y, _i, _n, { n, f }) => Math.sign(s - y) / n / f),
  ofProbabilities('1 − s_t', (_s, y) => -y),
  ofProbabilities('s_t', (_s, y) => y),
  ofProbabilities('expected class', (_s, _y, i) => i),
  ofProbabilities('squared error of the expected class', (_s, _y, i, n, { s, labels }) => {
    return 2 * (total(rowOf(s, n).map((p, k) => p * k)) - (labels[n] ?? 0)) * i;
  }),
  ofProbabilities('sum of squares', (s) => 2 * s),
  ofProbabilities('logarithms', (s) => 1 / s),
  ofProbabilities('waves', (_s, _y, i, n) => Math.sin(5 * n + 3 * i)),
  ofProbabilities('small waves', (_s, _y, i, n) => 1e-4 * Math.sin(5 * n + 3 * i)),
  ofProbabilities('large waves', (_s, _y, i, n) => 100 * Math.sin(5 * n + 3 * i)),
  ofProbabilities('one class a row', (_s, _y, i, n, { f }) => (i === n % f ? 1 : 0)),
  ofProbabilities('one class a row and a constant', (_s, _y, i, n, { f }) => 5 + (i === n % f ? 1 : 0)),
];

const losses = [...crossEntropies, ...lossesOfProbabilities];

const precisions: Readonly<Record<string, (value: number) => number>> = {
  float64: plain,
  float32: Math.fround,
  float16: (value) => toBits(value, 11, -24),
  bfloat16: (value) => toBits(value, 8, -133),
  ...Object.fromEntries([3, 4, 6, 8].map((digits) => [`${digits} decimals`, (v: number) => Number(v.toFixed(digits))])),
  '5 significant digits': (value) => Number(value.toPrecision(5)),
};

/** Printouts of everything: of what is known of the computation too. */
const printouts: Readonly<Record<string, (value: number) => number>> = Object.fromEntries(
  [3, 4, 6].map((digits) => [`${digits} decimals of everything`, (v: number) => Number(v.toFixed(digits))]),
);

/** How the logits lie. */
const signals: Readonly<Record<string, (next: () => number, i: number) => number>> = {
  normal: (next) => 1.5 * next(),
  confident: (next) => 5 * next(),
  'nearly one-hot': (next, i) => (i === 0 ? 14 : 0) + next(),
  equal: () => 0.5,
};

const sizes: readonly (readonly [number, number])[] = [
  [1, 3],
  [1, 2],
  [3, 3],
  [4, 2],
  [6, 10],
  ...(all ? [[200, 4] as const] : []),
];

function* settings(): Generator<readonly [name: string, data: Data]> {
  let seed = 0;
  for (const [signal, logit] of Object.entries(signals)) {
    for (const [n, f] of sizes) {
      for (const temperature of [1, 2]) {
        seed++;
        const next = normal(seed);
        const chosen = uniform(seed);
        const x = Array.from({ length: n }, () => Array.from({ length: f }, (_, i) => Math.fround(logit(next, i))));
        const labels = Array.from({ length: n }, () => Math.floor(chosen() * f));
        const y = labels.map((label) => Array.from({ length: f }, (_, i) => (i === label ? 1 : 0)));
        const other = Array.from({ length: n }, () => Array.from({ length: f }, next));
        const weight = Array.from({ length: f }, () => 0.3 + chosen());
        const s = softmax(x, temperature, plain);
        const data = { x, s, y, labels, n, f, temperature, weight, soft: softmax(other, temperature, plain) };
        yield [`${signal} ${n} × ${f}, T = ${temperature}`, data];
      }
    }
  }
}

/** What is said of a right gradient, where that is wrong; null where it is right. */
function accusation(input: DiagnoseInput): string | null {
  const { verdict, matches } = diagnose(input);
  if (['right', 'unknown', 'saturated'].includes(verdict)) return null;
  const named = verdict === 'ambiguous' || verdict === 'underflow';
  return named && matches.some(({ id }) => id === 'right') ? null : `${verdict} ${matches.map(({ id }) => id)}`;
}

function inputOf(
  loss: Loss,
  data: Data,
  known: Known,
  gradient: Matrix,
  seed: number,
  print: (value: number) => number = plain,
): DiagnoseInput {
  const target = loss.target?.(data) ?? (seed % 2 ? data.labels : data.y);
  const printed = target.map((row) => (typeof row === 'number' ? row : row.map(print)));
  const upstream = loss.upstream && map(loss.upstream(data), print);
  // Of a sigmoid the probabilities are other ones.
  const given = loss.given?.(data) ?? {};
  const asProbabilities = print !== plain && seed % 3 === 0 && given.layer !== 'sigmoid' && given.mask === undefined;
  return {
    ...(asProbabilities ? { probabilities: map(data.s, print) } : { logits: map(data.x, print) }),
    temperature: data.temperature,
    gradient,
    ...given,
    ...(known === 'upstream' || known === 'both' ? { upstream } : {}),
    ...(known === 'target' || known === 'both' ? { target: printed as Matrix | readonly number[] } : {}),
  };
}

interface Question {
  readonly setting: string;
  readonly data: Data;
  readonly known: Known;
  readonly precision: string;
  /** Its number among all questions. */
  readonly number: number;
}

/** The questions about each loss. */
const questions = new Map<Loss, Question[]>(losses.map((loss) => [loss, []]));
let asked = 0;
for (const [setting, data] of settings()) {
  for (const [loss, own] of questions) {
    for (const known of loss.known ?? (loss.upstream ? ['upstream', 'target', 'both', 'nothing'] : ['target'])) {
      for (const precision of [...Object.keys(precisions), ...Object.keys(printouts)]) {
        const number = ++asked;
        if (number % oneOf === 0) own.push({ setting, data, known, precision, number });
      }
    }
  }
}

describe('no right gradient is called a mistake', () => {
  test('enough gradients of every loss are asked', () => {
    const counts = [...questions.values()].map(({ length }) => length);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(all ? 40_000 : everything ? 1000 : 300);
    expect(Math.min(...counts)).toBeGreaterThan(everything ? 5 : 1);
  });

  // All of them take about six minutes.
  test.each([...questions].map(([loss, own]) => [loss.name, loss, own] as const))(
    '%s',
    (_, loss, own) => {
      const accused: string[] = [];
      for (const { setting, data, known, precision, number } of own) {
        const round = precisions[precision] ?? printouts[precision] ?? plain;
        const gradient = map(loss.gradient(data), round);
        const found = accusation(inputOf(loss, data, known, gradient, number, printouts[precision]));
        if (found !== null) accused.push(`${known} given, ${precision}, ${setting}: ${found}`);
      }
      expect(accused).toEqual([]);
    },
    3_600_000,
  );
});
