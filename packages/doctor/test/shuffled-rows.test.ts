import { describe, expect, test } from 'vitest';
import { type DiagnoseInput, diagnose } from '../src/index.js';
import { softmax } from './attempts.js';
import { normal } from './random.js';

const next = normal(83);
const matrix = (n: number, f: number) => Array.from({ length: n }, () => Array.from({ length: f }, next));

function problem(n: number, f: number) {
  const [logits, upstream] = [matrix(n, f), matrix(n, f)];
  const s = softmax(logits, 1, (value) => value);
  const target = Array.from({ length: n }, (_, row) => (row * row + 1) % f);
  const through = (of: readonly number[], g: readonly number[]) => {
    const inner = of.reduce((sum, p, i) => sum + p * g[i], 0);
    return of.map((p, i) => p * (g[i] - inner));
  };
  const lossOf = (labels: readonly number[], scale = 1) =>
    s.map((row, k) => row.map((p, i) => (p - (labels[k] === i ? 1 : 0)) * scale));
  return { logits, upstream, s, target, through, lossOf };
}

function found(input: DiagnoseInput) {
  const { verdict, matches } = diagnose(input);
  return [verdict, ...matches.map(({ formula }) => formula)].join(': ');
}

/** No shift by one, and one row that stays where it is. */
const order = [3, 1, 4, 0, 2];

describe('rows in another order', () => {
  const { logits, upstream, s, target, through, lossOf } = problem(5, 6);
  const known = { logits, upstream };
  const ofUpstream = 's ⊙ (g − ⟨s, g⟩)';

  test('of the target, the upstream gradient, the probabilities or the whole are named with that order', () => {
    const labels = order.map((row) => target[row] ?? 0);
    // The rows 2 and 4 have the same target.
    expect(target).toEqual([1, 2, 5, 4, 5]);
    expect(found({ logits, target, gradient: lossOf(labels) })).toBe(
      'rows-shifted: s − y, with the y of the rows 3, 1, 2, 0, 4',
    );
    expect(found({ logits, target, gradient: lossOf(labels, 1 / 5) })).toBe(
      'rows-shifted: (s − y) / n, with the y of the rows 3, 1, 2, 0, 4',
    );
    const of = (rows: readonly (readonly number[])[]) => order.map((row) => rows[row] ?? []);
    const moved = {
      g: s.map((row, k) => through(row, of(upstream)[k])),
      s: of(s).map((row, k) => through(row, upstream[k])),
      all: of(s.map((row, k) => through(row, upstream[k]))),
    };
    const words = 'of the rows 3, 1, 4, 0, 2';
    expect(found({ ...known, gradient: moved.g })).toBe(`rows-shifted: ${ofUpstream}, with the g ${words}`);
    expect(found({ ...known, gradient: moved.s })).toBe(`rows-shifted: ${ofUpstream}, with the s ${words}`);
    expect(found({ ...known, gradient: moved.all })).toBe(`rows-shifted: ${ofUpstream}, ${words}`);
    const printed = moved.g.map((row) => row.map((value) => Number(value.toFixed(4))));
    expect(found({ ...known, gradient: printed })).toBe(`rows-shifted: ${ofUpstream}, with the g ${words}`);
  });

  test('are none where a row is used twice, or where one number is off', () => {
    const twice = [3, 1, 3, 0, 2].map((row, k) => through(s[k], upstream[row]));
    expect(diagnose({ ...known, gradient: twice }).verdict).toBe('unknown');
    const off = order.map((row, k) => through(s[k], upstream[row]).map((v, i) => (k === 4 && i === 5 ? v * 1.001 : v)));
    expect(diagnose({ ...known, gradient: off }).verdict).toBe('unknown');
  });

  test('are looked for up to 400000 numbers to compare', () => {
    for (const [n, f, verdict] of [
      [3, 2, 'rows-shifted'],
      [40, 250, 'rows-shifted'],
      [40, 251, 'unknown'],
    ] as const) {
      const own = problem(n, f);
      // The first two rows are exchanged.
      const exchanged = own.s.map((row, k) => own.through(row, own.upstream[k < 2 ? 1 - k : k]));
      expect(diagnose({ logits: own.logits, upstream: own.upstream, gradient: exchanged }).verdict, `${n}`).toBe(
        verdict,
      );
    }
  });

  test('are no explanation after another layer', () => {
    const slopes = logits.map((row, k) =>
      row.map((x, i) => (upstream[order[k]][i] * Math.exp(-x)) / (1 + Math.exp(-x)) ** 2),
    );
    expect(diagnose({ ...known, layer: 'sigmoid', gradient: slopes }).verdict).toBe('unknown');
  });
});

describe('a target that is not the one that was given', () => {
  const { logits, target, lossOf } = problem(4, 3);
  const notes = (gradient: number[][], more: Partial<DiagnoseInput> = {}) =>
    diagnose({ logits, target, gradient, ...more }).evidence.notes.join('\n');
  const said = 'Every row is right of another target than the one that was given: of the classes 1, 0, 0, 1.';
  const labels = [1, 0, 0, 1];

  test('is named, for the sum and the mean of the losses', () => {
    expect(target).toEqual([1, 2, 2, 1]);
    for (const scale of [1, 1 / 4]) {
      const text = notes(lossOf(labels, scale));
      expect(text).toContain(said);
      expect(text).not.toContain('entropy');
    }
  });

  test('is none where a row is of no target, or options of the loss are given', () => {
    expect(notes(lossOf([1, 0, 0, -1]))).not.toContain('another target');
    expect(notes(lossOf(labels), { labelSmoothing: 0.1 })).not.toContain('another target');
    expect(notes(lossOf(labels), { weight: [1, 2, 3] })).not.toContain('another target');
  });
});

test('of rows that add up to 0, other losses than one with label smoothing are named too', () => {
  const { logits, s, target } = problem(4, 3);
  const gradient = s.map((row, k) => {
    const entropy = -row.reduce((sum, p) => sum + p * Math.log(p), 0);
    return row.map((p, i) => (k + 0.5) * (p - (target[k] === i ? 1 : 0)) + 0.2 * p * (Math.log(p) + entropy));
  });
  const { verdict, text } = diagnose({ logits, target, gradient });
  expect(verdict).toBe('unknown');
  expect(text).toContain('an entropy term, advantages (a policy gradient), or label smoothing');
});
