import { expect, test } from 'vitest';
import { explanations } from '../src/catalogue.js';
import { diagnose } from '../src/index.js';
import { attempts, type Data, type Known, type Matrix, type Round, softmax } from './attempts.js';
import { normal, uniform } from './random.js';

interface Setting {
  readonly n: number;
  readonly f: number;
  readonly single: boolean;
  readonly noisy: boolean;
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

/** Any three in a row have both values of each. */
const precisions = [
  { single: false, noisy: false },
  { single: true, noisy: true },
  { single: true, noisy: false },
  { single: false, noisy: true },
] as const;

/** Every shape with every layout, and each of both in float64 and float32, with noise and without it. */
function settings(): readonly Setting[] {
  return shapes.flatMap(([n, f], i) =>
    layouts.map(([axis, temperature], j) => {
      return { n, f, ...precisions[(i + j) % 4], axis, temperature, seed: 3 * i + j };
    }),
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
  return a[0].map((_, i) => a.map((row) => row[i]));
}

/** Every number times 1 + 1e-6 u, u in ±1. */
function withNoise(values: unknown, next: () => number, round: Round): unknown {
  if (Array.isArray(values)) return values.map((value) => withNoise(value, next, round));
  return round(Number(values) * (1 + 1e-6 * (2 * next() - 1)));
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
function verdictOf(setting: Setting, data: Data, known: Known, computed: unknown): string {
  const { n, f, axis, noisy, seed, temperature } = setting;
  const turn = (a: Matrix): Matrix => (axis === 0 ? flip(a) : a);
  const ofSignalShape = isMatrixOf(computed, n, f) || isMatrixOf(computed, f, n);
  const laidOut = axis === 0 && ofSignalShape ? flip(computed as number[][]) : computed;
  const gradient = (noisy ? withNoise(laidOut, uniform(seed + 1), data.round) : laidOut) as number[][];
  return diagnose({
    logits: turn(data.x) as number[][],
    gradient,
    ...(known === 'upstream' ? { upstream: turn(data.g) as number[][] } : {}),
    ...(known === 'target' ? { target: seed % 2 ? (turn(data.y) as number[][]) : [...data.labels] } : {}),
    axis,
    temperature,
  }).verdict;
}

test('each mistake is named in at least 99 % of its generated cases, and nothing else is taken for one', () => {
  const counts = new Map<string, Map<string, number>>();
  const count = (truth: string, verdict: string): void => {
    const row = counts.get(truth) ?? new Map<string, number>();
    row.set(verdict, (row.get(verdict) ?? 0) + 1);
    counts.set(truth, row);
  };
  for (const setting of settings()) {
    const { n, f, temperature, seed } = setting;
    const data = dataOf(setting);
    for (const { id, known, compute, when } of attempts) {
      if (when && !when({ n, f, temperature, axis: setting.axis })) continue;
      const verdict = verdictOf(setting, data, known, compute(data));
      count(id, verdict);
    }
    const next = normal(seed + 1000);
    for (const known of ['nothing', 'upstream', 'target'] as const) {
      const numbers = data.x.map((row) => row.map(() => data.round(next())));
      count('unknown', verdictOf(setting, data, known, numbers));
      count(
        'unknown',
        verdictOf(
          setting,
          data,
          known,
          numbers.map((row) => row.map((value) => data.round(value * 1e-3))),
        ),
      );
      const jacobians = data.x.map((row) => row.map(() => row.map(() => data.round(next()))));
      count('unknown', verdictOf(setting, data, known, jacobians));
    }
    for (const confident of [12, 20, 40]) {
      const sure = saturate(data, confident);
      const s = softmax(sure.x, temperature, data.round);
      const right = s.map((row, k) => {
        const inner = row.reduce((total, value, i) => total + value * sure.g[k][i], 0);
        return row.map((value, i) => data.round((value * (sure.g[k][i] - inner)) / temperature));
      });
      count('saturated', verdictOf(setting, sure, 'upstream', right));
    }
    const lost = saturate(data, 160);
    count(
      'underflow',
      verdictOf(
        setting,
        lost,
        'upstream',
        lost.x.map((row) => row.map(() => 0)),
      ),
    );
    const over = { ...data, x: data.x.map((row, k) => row.map((value) => value + (k % 2 ? 0 : 800))) };
    count('missing-max-shift', verdictOf(setting, over, 'upstream', unshifted(over)));
  }
  print(counts);
  // A mistake that is added to the catalogue has to be generated here, too.
  const known = explanations.map(({ id }) => id);
  expect([...counts.keys()].sort()).toEqual([...new Set([...known, 'saturated', 'scaled', 'unknown'])].sort());
  const total = [...counts.values()].flatMap((row) => [...row.values()]).reduce((a, b) => a + b, 0);
  expect(total).toBeGreaterThanOrEqual(1000);
  for (const [truth, row] of counts) {
    const all = [...row.values()].reduce((a, b) => a + b, 0);
    expect((row.get(truth) ?? 0) / all, `${truth}: ${JSON.stringify([...row])}`).toBeGreaterThanOrEqual(0.99);
  }
});

/** Logits that leave one class of each row far ahead. */
function saturate(data: Data, gap: number): Data {
  const x = data.x.map((row, k) => row.map((value, i) => data.round(i === k % row.length ? gap : value / 4)));
  return { ...data, x };
}

/** s ⊙ (g − ⟨s, g⟩) with exp(x) / Σ exp(x) as it comes. */
function unshifted({ x, g, temperature, round }: Data): number[][] {
  return x.map((row, k) => {
    const e = row.map((value) => round(Math.exp(value / temperature)));
    const total = e.reduce((a, b) => round(a + b), 0);
    const s = e.map((value) => round(value / total));
    const inner = s.reduce((a, value, i) => a + value * g[k][i], 0);
    return s.map((value, i) => round((value * (g[k][i] - inner)) / temperature));
  });
}

/** A line for each truth: how many were generated, how many were named, and what the others were taken for. */
function print(counts: ReadonlyMap<string, ReadonlyMap<string, number>>): void {
  const lines = [...counts].map(([truth, row]) => {
    const all = [...row.values()].reduce((a, b) => a + b, 0);
    const right = row.get(truth) ?? 0;
    const wrong = [...row].filter(([verdict]) => verdict !== truth).map(([verdict, times]) => `${verdict} ${times}`);
    return `${truth.padEnd(26)}${String(all).padStart(6)}${String(right).padStart(7)}${((100 * right) / all).toFixed(1).padStart(8)} %  ${wrong.join(', ')}`;
  });
  console.log([`${'truth'.padEnd(26)} cases  named   share    taken for`, ...lines].join('\n'));
}
