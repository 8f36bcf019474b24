import { describe, expect, inject, test } from 'vitest';
import { type DiagnoseInput, diagnose } from '../src/index.js';
import { type Matrix, softmax } from './attempts.js';
import { toBits } from './cases.js';
import { normal } from './random.js';

/**
 * Right gradients of losses that people put behind a softmax: none may be called a mistake, whatever else is known. `npm test` asks each loss at each temperature
 * in each precision once, with what is known changing from one to the next.
 */
const everything = inject('everything');

const [n, f] = [4, 5];
const next = normal(71);
const matrix = (): number[][] =>
  Array.from({ length: n }, () => Array.from({ length: f }, () => Math.fround(1.5 * next())));
const logits = matrix();
const labels = [3, 0, 4, 1];
const y = labels.map((label) => Array.from({ length: f }, (_, i) => (i === label ? 1 : 0)));
const soft = softmax(matrix(), 1, (value) => value);

/** ∂L/∂s of an entry: its probability, its target, the class and whether it is the target's. */
type Upstream = (s: number, y: number, i: number, row: readonly number[]) => number;

const ofHardTargets: Readonly<Record<string, Upstream>> = {
  'cross-entropy': (s, t) => -t / s,
  'mean cross-entropy': (s, t) => -t / s / n,
  'squared error': (s, t) => 2 * (s - t),
  'mean squared error': (s, t) => (2 * (s - t)) / (n * f),
  'Brier score': (s, t) => (s - t) / n,
  'absolute error': (s, t) => Math.sign(s - t) / (n * f),
  'binary cross-entropy of the probabilities': (s, t) => (-t / s + (1 - t) / (1 - s)) / (n * f),
  'focal loss, γ = 2': (s, t) => t * (2 * (1 - s) * Math.log(s) - (1 - s) ** 2 / s),
  'focal loss, γ = 0.5': (s, t) => t * (0.5 * (1 - s) ** -0.5 * Math.log(s) - (1 - s) ** 0.5 / s),
  '1 − s_t': (_, t) => -t,
  'cross-entropy with an entropy bonus': (s, t) => -t / s + 0.1 * (Math.log(s) + 1),
  'hinge, margin 1': (s, t, _, row) => (t === 1 ? 1 - row.length : s > 0 ? 1 : 0),
  'Dice, squared': (s, t) => -2 * t + s,
};

const ofAnything: Readonly<Record<string, Upstream>> = {
  entropy: (s) => -Math.log(s) - 1,
  'negative entropy, mean': (s) => (Math.log(s) + 1) / n,
  'sum of squares': (s) => 2 * s,
  'sum of logarithms': (s) => 1 / s,
  'expected class': (_, __, i) => i,
  'one probability': (_, __, i) => (i === f - 1 ? 1 : 0),
  'a large constant': (s) => 1000 + s,
};

const ofSoftTargets: Readonly<Record<string, Upstream>> = {
  'KL(y ‖ s)': (s, t) => -t / s,
  'KL(y ‖ s), mean over all entries': (s, t) => -t / s / (n * f),
  'KL(s ‖ y)': (s, t) => Math.log(s / t) + 1,
  'Jensen–Shannon': (s, t) => 0.5 * Math.log((2 * s) / (s + t)),
  'squared error': (s, t) => 2 * (s - t),
};

const precisions: Readonly<Record<string, (value: number) => number>> = {
  float64: (value) => value,
  float32: Math.fround,
  float16: (value) => toBits(value, 11, -24),
  bfloat16: (value) => toBits(value, 8, -133),
  '4 decimals': (value) => Number(value.toFixed(4)),
};

/** 'right' too where that is one of several explanations. */
function verdictOf(input: DiagnoseInput): string {
  const { verdict, matches } = diagnose(input);
  return verdict === 'ambiguous' && matches.some(({ id }) => id === 'right') ? 'right' : verdict;
}

function cases(losses: Readonly<Record<string, Upstream>>, target: Matrix) {
  return Object.entries(losses).map(([name, upstream]) => [name, upstream, target] as const);
}

describe.each([1, 2])('at the temperature %d', (temperature) => {
  const s = softmax(logits, temperature, (value) => value);

  const losses = [...cases(ofHardTargets, y), ...cases(ofAnything, y), ...cases(ofSoftTargets, soft)];
  test.each(losses.map(([name, upstream, target], number) => [name, upstream, target, number] as const))(
    '%s',
    (name, of, target, number) => {
      const upstream = s.map((row, k) => row.map((p, i) => of(p, target[k]?.[i] ?? 0, i, row)));
      const exact = s.map((row, k) => {
        const inner = row.reduce((sum, p, i) => sum + p * (upstream[k]?.[i] ?? 0), 0);
        return row.map((p, i) => (p * ((upstream[k]?.[i] ?? 0) - inner)) / temperature);
      });
      // For one class alone it is a column of the Jacobian, which is said of what is not given. Times a constant nobody can tell from a factor that does not belong
      // there.
      const withoutUpstream = name in ofAnything || name.endsWith('all entries') ? [] : [{ target }];
      const known = [
        { upstream },
        { upstream, layer: 'softmax', target } as const,
        { upstream, target },
        ...withoutUpstream,
      ];
      for (const [which, [precision, round]] of Object.entries(precisions).entries()) {
        const gradient = exact.map((row) => row.map(round));
        const chosen = known[(number + temperature + which) % known.length];
        for (const given of everything ? known : [chosen]) {
          const verdicts = given !== undefined && 'upstream' in given ? ['right'] : ['right', 'unknown'];
          expect(verdicts, precision).toContain(verdictOf({ logits, temperature, gradient, ...given }));
        }
      }
    },
  );
});
