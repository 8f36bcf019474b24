import type { DiagnoseInput } from '../src/index.js';
import { type Attempt, attempts, type Data, type Given, type Matrix, type Round, softmax } from './attempts.js';
import { normal, uniform } from './random.js';

/** A question to the doctor whose answer is known. */
export interface Case {
  readonly truth: string;
  readonly noise: string;
  readonly input: DiagnoseInput;
  /** The explanations that an 'ambiguous' must name, where that is the answer. */
  readonly among?: readonly string[] | undefined;
}

interface Setting {
  readonly n: number;
  readonly f: number;
  readonly single: boolean;
  readonly axis: 0 | 1;
  readonly temperature: number;
  readonly seed: number;
}

const shapes: readonly (readonly [number, number])[] = [
  [2, 3],
  [4, 3],
  [6, 6],
  [5, 10],
  [3, 24],
];

const layouts = [
  [1, 1],
  [1, 0.7],
  [0, 1],
] as const;

/** What happens to numbers on their way to the doctor. */
const noises: readonly {
  readonly name: string;
  readonly digits?: 'few';
  readonly change: (value: number, next: () => number) => number;
}[] = [
  { name: '0', change: (value) => value },
  { name: '1e-6', change: (value, next) => value * (1 + 1e-6 * (2 * next() - 1)) },
  { name: 'float16', digits: 'few', change: (value) => toBits(value, 11, -24) },
  { name: 'bfloat16', digits: 'few', change: (value) => toBits(value, 8, -133) },
  { name: '4 decimals', digits: 'few', change: (value) => value },
];

/** A value with so many bits, ties to even. */
export function toBits(value: number, bits: number, least: number): number {
  if (value === 0 || !Number.isFinite(value)) return value;
  const step = 2 ** Math.max(Math.floor(Math.log2(Math.abs(value))) - bits + 1, least);
  const below = Math.floor(value / step);
  const rest = value / step - below;
  return step * (rest > 0.5 || (rest === 0.5 && below % 2 !== 0) ? below + 1 : below);
}

/** As NumPy and PyTorch print with 4 decimals: in powers of ten where the numbers are of very different sizes, or small. */
function printed(values: unknown): unknown {
  const sizes = [values].flat(4).map((value) => Math.abs(Number(value)));
  const finite = sizes.filter((size) => size > 0 && Number.isFinite(size));
  const [most, least] = [Math.max(...finite), Math.min(...finite)];
  const scientific = finite.length > 0 && (most >= 1e8 || least < 1e-4 || most / least > 1000);
  return each(values, (value) =>
    Number.isFinite(value) ? Number(scientific ? value.toExponential(4) : value.toFixed(4)) : value,
  );
}

function each(values: unknown, change: (value: number) => number): unknown {
  return Array.isArray(values) ? values.map((value) => each(value, change)) : change(Number(values));
}

/** Every shape with every layout, in float64 or float32. */
function settings(): readonly Setting[] {
  return shapes.flatMap(([n, f], i) =>
    layouts.map(([axis, temperature], j) => ({ n, f, single: (i + j) % 2 === 1, axis, temperature, seed: 3 * i + j })),
  );
}

function dataOf({ n, f, single, temperature, seed }: Setting, spread = 1.5): Data {
  const round: Round = single ? Math.fround : (value) => value;
  const next = normal(seed);
  const matrix = (scale: number): number[][] =>
    Array.from({ length: n }, () => Array.from({ length: f }, () => round(scale * next())));
  const labels = Array.from({ length: n }, (_, row) => (row + seed) % f);
  const y = labels.map((label) => Array.from({ length: f }, (_, i) => (i === label ? 1 : 0)));
  return { x: matrix(spread), g: matrix(1), y, labels, temperature, round };
}

function flip(a: Matrix): number[][] {
  return (a[0] ?? []).map((_, i) => a.map((row) => row[i] ?? Number.NaN));
}

function isMatrixOf(values: unknown, n: number, f: number): values is number[][] {
  return (
    Array.isArray(values) &&
    values.length === n &&
    Array.isArray(values[0]) &&
    values[0].length === f &&
    typeof values[0][0] === 'number'
  );
}

/** The attempt as the caller has it: in the layout of the axis, in the dtype, with noise. */
function asked(
  setting: Setting,
  data: Data,
  known: Attempt['known'],
  computed: unknown,
  noise: (typeof noises)[number],
  given: Given = {},
): DiagnoseInput {
  const { n, f, axis, seed, temperature } = setting;
  const turn = (a: unknown): unknown => (axis === 0 && (isMatrixOf(a, n, f) || isMatrixOf(a, f, n)) ? flip(a) : a);
  const next = uniform(seed + 1);
  const noisy = each(turn(computed), (value) => data.round(noise.change(value, next)));
  const laidOut = Object.fromEntries(Object.entries(given).map(([name, value]) => [name, turn(value)]));
  return {
    logits: turn(data.x),
    gradient: noise.name === '4 decimals' ? printed(noisy) : noisy,
    ...(known === 'upstream' ? { upstream: turn(data.g) } : {}),
    ...(known === 'target' ? { target: seed % 2 ? turn(data.y) : data.labels } : {}),
    ...laidOut,
    axis,
    temperature,
  } as DiagnoseInput;
}

/** All cases; of the `sample` every other one, with one noise. */
export function* cases(sample: boolean): Generator<Case> {
  for (const setting of settings()) {
    const data = dataOf(setting);
    let counter = setting.seed;
    const chosen = () =>
      (sample ? [noises[counter++ % (2 * noises.length)]] : noises).filter((one) => one !== undefined);
    for (const { id, known, compute, when, given, among, amongRounded } of attempts) {
      if (when && !when(setting)) continue;
      for (const noise of chosen()) {
        const input = asked(setting, data, known, compute(data), noise, given?.(data));
        // Of a sum that rounding leaves nothing of, nobody can tell that the loss has another upstream gradient.
        const lost = known !== 'upstream' && [input.gradient].flat(4).every((value) => value === 0);
        // If no label is class 0, the labels may count from 1, and a gradient that is one too low is right.
        const from1 = id === 'labels-off-by-one' && input.target === data.labels && !data.labels.includes(0);
        // Of labels that are each one higher than those of the row before, those of another row are one too low or too high.
        const ofOtherRow = id === 'labels-off-by-one' && setting.n % setting.f === 0;
        const ofPrediction = id === 'labels-off-by-one' && arePredicted(data, setting.f);
        const both =
          lost || from1
            ? ['right', id]
            : ofOtherRow || ofPrediction
              ? [ofOtherRow ? 'rows-shifted' : 'predicted-class', id]
              : noise.digits === 'few'
                ? amongRounded
                : undefined;
        yield { truth: id, noise: noise.name, input, among: among ?? both };
      }
    }
    for (const { truth, known, data: own, numbers, least } of others(setting, data)) {
      for (const noise of chosen()) {
        if (noise.name === 'bfloat16' && least) continue;
        yield { truth, noise: noise.name, input: asked(setting, own, known, numbers, noise) };
      }
    }
  }
}

/** True if the predicted classes are all one lower, or all one higher, than the labels. */
function arePredicted({ x, labels }: Data, f: number): boolean {
  return [1, f - 1].some((by) => x.every((row, n) => row[((labels[n] ?? 0) + by) % f] === Math.max(...row)));
}

interface Other {
  readonly truth: string;
  readonly known: Attempt['known'];
  readonly data: Data;
  readonly numbers: unknown;
  /** True where the numbers are as small as what bfloat16 leaves of a sum that is 0. */
  readonly least?: boolean;
}

/** Numbers of no making, and those that are what they are for the sake of the logits. */
function* others({ seed, temperature }: Setting, data: Data): Generator<Other> {
  const next = normal(seed + 1000);
  for (const known of ['nothing', 'upstream', 'target'] as const) {
    const numbers = data.x.map((row) => row.map(() => data.round(next())));
    yield { truth: 'unknown', known, data, numbers };
    yield { truth: 'unknown', known, data, numbers: each(numbers, (value) => data.round(value * 1e-3)), least: true };
    yield {
      truth: 'unknown',
      known,
      data,
      numbers: data.x.map((row) => row.map(() => row.map(() => data.round(next())))),
    };
  }
  for (const confident of [12, 20, 40]) {
    const sure = saturate(data, confident);
    const s = softmax(sure.x, temperature, data.round);
    const right = s.map((row, k) => {
      const inner = row.reduce((total, value, i) => total + value * (sure.g[k]?.[i] ?? 0), 0);
      return row.map((value, i) => data.round((value * ((sure.g[k]?.[i] ?? 0) - inner)) / temperature));
    });
    yield { truth: 'saturated', known: 'upstream', data: sure, numbers: right };
  }
  const lost = saturate(data, 160);
  yield { truth: 'underflow', known: 'upstream', data: lost, numbers: each(lost.x, () => 0) };
  const over = { ...data, x: data.x.map((row, k) => row.map((value) => value + (k % 2 ? 0 : 800))) };
  yield { truth: 'missing-max-shift', known: 'upstream', data: over, numbers: shifted(over, 0) };
  const apart = { ...data, x: data.x.map((row, k) => row.map((value) => value + (k % 2 ? 0 : 900))) };
  yield {
    truth: 'batch-max-shift',
    known: 'upstream',
    data: apart,
    numbers: shifted(apart, Math.max(...apart.x.flat())),
  };
}

/** Logits that leave one class of each row far ahead. */
function saturate(data: Data, gap: number): Data {
  const x = data.x.map((row, k) => row.map((value, i) => data.round(i === k % row.length ? gap : value / 4)));
  return { ...data, x };
}

/** s ⊙ (g − ⟨s, g⟩) with exp(x − shift) / Σ exp(x − shift) as it comes. */
function shifted({ x, g, temperature, round }: Data, shift: number): number[][] {
  return x.map((row, k) => {
    const e = row.map((value) => round(Math.exp((value - shift) / temperature)));
    const total = e.reduce((a, b) => round(a + b), 0);
    const s = e.map((value) => round(value / total));
    const inner = s.reduce((a, value, i) => a + value * (g[k]?.[i] ?? 0), 0);
    return s.map((value, i) => round((value * ((g[k]?.[i] ?? 0) - inner)) / temperature));
  });
}
