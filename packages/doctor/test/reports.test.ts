import { describe, expect, test } from 'vitest';
import { type DiagnoseInput, diagnose } from '../src/index.js';
import { type Matrix, softmax } from './attempts.js';
import { normal } from './random.js';

/** What people reported, each as a small input with its right answer. */

const ids = (input: DiagnoseInput) => diagnose(input).matches.map(({ id }) => id);
const plain = (value: number) => value;
const matrix = (n: number, f: number, seed: number): number[][] => {
  const next = normal(seed);
  return Array.from({ length: n }, () => Array.from({ length: f }, next));
};
const through = (p: Matrix, g: Matrix) =>
  p.map((row, n) => {
    const inner = row.reduce((sum, q, j) => sum + q * (g[n]?.[j] ?? 0), 0);
    return row.map((q, i) => q * ((g[n]?.[i] ?? 0) - inner));
  });
const minus = (a: Matrix, b: Matrix) => a.map((row, n) => row.map((value, i) => value - (b[n]?.[i] ?? 0)));
const scale = (a: Matrix, by: number) => a.map((row) => row.map((value) => value * by));
const hot = (labels: readonly number[], f: number) =>
  labels.map((label) => Array.from({ length: f }, (_, i) => (i === label ? 1 : 0)));

const logits = matrix(5, 4, 51);
const s = softmax(logits, 1, plain);
const target = [0, 3, 1, 1, 2];
const y = hot(target, 4);
const fused = minus(s, y);

describe('a loss whose upstream is a function of s', () => {
  test('½‖s − y‖²: right and, for the cross-entropy, one Jacobian too many', () => {
    const input = {
      logits: [[1, 2, 3]],
      target: [2],
      upstream: [[0.09003057317038046, 0.24472847105479767, -0.3347590442251781]],
      gradient: [[0.022033044520174298, 0.09775100456946358, -0.11978404908963787]],
    };
    const { verdict, matches } = diagnose(input);
    expect([verdict, matches[0]?.id]).toEqual(['ambiguous', 'right']);
    expect(ids({ ...input, layer: 'softmax' })[0]).toBe('right');
    expect(ids({ ...input, layer: 'softmax' })).not.toContain('jacobian-twice');
    expect(ids({ ...input, layer: 'cross-entropy' })).toEqual(['jacobian-twice']);
  });

  test('the squared error is named where only the target is known', () => {
    const { verdict, matches } = diagnose({ logits, target, gradient: through(s, scale(fused, 2 / 20)) });
    expect([verdict, matches[0]?.formula]).toEqual(['right', expect.stringContaining('of the loss ‖s − y‖² / (n f)')]);
  });
});

describe('a target that does not add up to 1', () => {
  const several = { logits: [[0, 0, 0]], target: [[1, 0, 1]] };

  test('has s Σy − y, and s − y is the mistake', () => {
    expect(ids({ ...several, gradient: [[-1 / 3, 2 / 3, -1 / 3]] })[0]).toBe('right');
    const { verdict, instead } = diagnose({ ...several, gradient: [[-2 / 3, 1 / 3, -2 / 3]] });
    expect(verdict).toBe('target-sum');
    expect(instead.numpy).toContain('s * q.sum(axis=-1, keepdims=True) - q');
    expect(diagnose({ ...several, gradient: 's - target' }).verdict).toBe('target-sum');
    expect(diagnose({ ...several, gradient: instead.numpy }).verdict).toBe('right');
  });

  test('the same of rows with no, one and two labels', () => {
    const labels = [
      [1, 0, 1, 0],
      [0, 0, 0, 0],
      [0, 1, 0, 0],
      [1, 1, 1, 0],
      [0, 0, 1, 0],
    ];
    const right = s.map((row, n) => {
      const sum = (labels[n] ?? []).reduce((a, b) => a + b, 0);
      return row.map((p, i) => p * sum - (labels[n]?.[i] ?? 0));
    });
    expect(diagnose({ logits, target: labels, gradient: right }).verdict).toBe('right');
    expect(diagnose({ logits, target: labels, gradient: minus(s, labels) }).verdict).toBe('target-sum');
  });
});

describe('precision', () => {
  test('bfloat16 is recognised', () => {
    const input = {
      logits: [
        [1, 2, 3],
        [3, 1, 0.5],
      ],
      target: [0, 0],
      gradient: [
        [-0.91015625, 0.2451171875, 0.6640625],
        [-0.1787109375, 0.111328125, 0.0673828125],
      ],
    };
    const { verdict, evidence } = diagnose(input);
    expect(verdict).toBe('right');
    expect(evidence.notes).toContain('The numbers are of bfloat16, and are judged within that.');
    const printed = input.gradient.map((row) => row.map((value) => Number(value.toFixed(4))));
    expect(diagnose({ ...input, gradient: printed }).verdict).toBe('right');
    // exp, the sum and the division in bfloat16 leave 0.24 with an error of up to 3 · 2⁻⁸ · 0.24; this is twice that.
    const off = input.gradient.map((row, n) => row.map((value, i) => (n === 0 && i === 1 ? value + 2 ** -7 : value)));
    expect(diagnose({ ...input, gradient: off }).verdict).not.toBe('right');
  });

  test.each([3, 4, 5, 6, 7, 8])('%d decimals are', (decimals) => {
    const gradient = fused.map((row) => row.map((value) => Number(value.toFixed(decimals))));
    expect(diagnose({ logits, target, gradient }).verdict).toBe('right');
    const doubled = fused.map((row) => row.map((value) => Number((value * 2).toFixed(decimals))));
    expect(diagnose({ logits, target, gradient: doubled }).verdict).toBe('scaled');
  });
});

describe("the loss's options", () => {
  const smoothed = y.map((row) => row.map((value) => 0.9 * value + 0.1 / 4));
  const weight = [1, 0.5, 2, 3];
  const weights = target.map((label) => weight[label] ?? 0);
  const weighted = fused.map((row, n) => row.map((value) => value * (weights[n] ?? 0)));
  const total = weights.reduce((a, b) => a + b, 0);

  test('label smoothing, given and inferred', () => {
    const gradient = scale(minus(s, smoothed), 1 / 5);
    expect(diagnose({ logits, target, gradient, labelSmoothing: 0.1 }).verdict).toBe('right');
    const { verdict, matches } = diagnose({ logits, target, gradient });
    expect([verdict, matches[0]?.formula]).toEqual(['right', '(s − y) / n, y smoothed with ε = 0.1']);
    expect(diagnose({ logits, target, gradient, labelSmoothing: 0 }).verdict).toBe('unknown');
    const others = y.map((row) => row.map((value) => (value === 1 ? 0.9 : 0.1 / 3)));
    const asOthers = { logits, target, gradient: minus(s, others) };
    expect(diagnose({ ...asOthers, labelSmoothing: 0.1 }).verdict).toBe('label-smoothing');
    expect(diagnose(asOthers).verdict).toBe('right');
  });

  test('class weights, given and inferred', () => {
    expect(diagnose({ logits, target, weight, gradient: scale(weighted, 1 / total), reduction: 'mean' }).verdict).toBe(
      'right',
    );
    expect(diagnose({ logits, target, weight, gradient: scale(weighted, 1 / 5), reduction: 'mean' }).verdict).toBe(
      'class-weights',
    );
    expect(diagnose({ logits, target, weight, gradient: fused }).verdict).toBe('class-weights');
    const { verdict, matches } = diagnose({ logits, target, gradient: weighted });
    expect([verdict, matches[0]?.formula]).toEqual(['right', expect.stringContaining('3 for class 3')]);
  });

  test('ignored rows: −100, another index, and rows that nobody spoke of', () => {
    const counted = fused.map((row, n) => (n === 1 ? row.map(() => 0) : row));
    const ignoring = [0, -100, 1, 1, 2];
    expect(diagnose({ logits, target: ignoring, gradient: scale(counted, 1 / 4), reduction: 'mean' }).verdict).toBe(
      'right',
    );
    expect(diagnose({ logits, target: ignoring, gradient: scale(counted, 1 / 5), reduction: 'mean' }).verdict).toBe(
      'ignored-rows',
    );
    const padded = { logits, target: [0, 7, 1, 1, 2], ignoreIndex: 7, gradient: counted };
    expect(diagnose(padded).verdict).toBe('right');
    expect(diagnose({ logits, target, gradient: scale(counted, 1 / 4) }).matches.map(({ id }) => id)).toEqual([
      'right',
      'rows-skipped',
    ]);
    const notIgnored = s.map((row, n) => (n === 1 ? row : (fused[n] ?? row)));
    expect(diagnose({ logits, target: ignoring, gradient: notIgnored }).verdict).toBe('ignored-rows');
  });

  test('a mask, rows that are masked throughout, and a mask that nobody spoke of', () => {
    const mask = [
      [true, true, true, false],
      [false, true, true, true],
      [false, false, false, false],
      [true, true, false, true],
      [true, true, true, true],
    ];
    const g = matrix(5, 4, 52);
    const hidden = logits.map((row, n) => row.map((value, i) => (mask[n]?.[i] ? value : Number.NEGATIVE_INFINITY)));
    const p = softmax(hidden, 1, plain).map((row, n) => (n === 2 ? row.map(() => 0) : row));
    const right = through(p, g);
    expect(diagnose({ logits, mask, upstream: g, gradient: right }).verdict).toBe('right');
    expect(diagnose({ logits, mask: mask.map((row) => row.map(Number)), upstream: g, gradient: right }).verdict).toBe(
      'right',
    );
    expect(diagnose({ probabilities: p, mask, upstream: g, gradient: right }).verdict).toBe('right');
    expect(diagnose({ logits, upstream: g, gradient: right }).verdict).toBe('right');
    expect(diagnose({ logits, mask, upstream: g, gradient: through(s, g) }).verdict).toBe('mask-missing');
    const causal = [true, false, true, true];
    expect(() => diagnose({ logits, mask: [causal.slice(1)], gradient: right })).toThrow(
      'mask is (1, 3); expected (5, 4)',
    );
  });

  test('one number a row from the loss of each', () => {
    const upstream = [1, 0, 2, -1, 0.5];
    const gradient = fused.map((row, n) => row.map((value) => value * (upstream[n] ?? 0)));
    expect(diagnose({ logits, target, upstream, gradient, reduction: 'none' }).verdict).toBe('right');
  });
});

describe('the layer', () => {
  const g = matrix(5, 4, 53);
  const sigmoid = (value: number) => 1 / (1 + Math.exp(-value));
  const sums = g.map((row) => row.reduce((a, b) => a + b, 0));
  const logged = s.map((row, n) => row.map((p, i) => (g[n]?.[i] ?? 0) - p * (sums[n] ?? 0)));

  test('log-softmax', () => {
    expect(diagnose({ logits, upstream: g, gradient: logged, layer: 'log-softmax' }).verdict).toBe('right');
    const wrong = diagnose({ logits, upstream: g, gradient: through(s, g), layer: 'log-softmax' });
    expect(wrong.verdict).toBe('softmax-derivative');
    expect(diagnose({ gradient: wrong.instead.numpy, layer: 'log-softmax' }).verdict).toBe('right');
  });

  test('sigmoid and its binary cross-entropy', () => {
    const slopes = logits.map((row, n) => row.map((value, i) => (g[n]?.[i] ?? 0) * sigmoid(value) * sigmoid(-value)));
    expect(diagnose({ logits, upstream: g, gradient: slopes, layer: 'sigmoid' }).verdict).toBe('right');
    const labels = y.map((row, n) => row.map((value, i) => ((n + i) % 2 ? 1 : value)));
    const binary = minus(
      logits.map((row) => row.map(sigmoid)),
      labels,
    );
    expect(diagnose({ logits, target: labels, gradient: scale(binary, 1 / 20), layer: 'sigmoid' }).verdict).toBe(
      'right',
    );
    expect(diagnose({ gradient: 'output * (1 - output)', layer: 'sigmoid' }).verdict).toBe('right');
    expect(diagnose({ gradient: 'output * (1 - output)' }).verdict).toBe('diagonal');
  });

  test('clipping that does not show in float32 is no explanation of s − y', () => {
    const rows = logits.map((row, n) => row.map((value, i) => (i === target[n] ? value - 20 : value)));
    const gradient = minus(softmax(rows, 1, plain), y).map((row) => row.map(Math.fround));
    expect(diagnose({ logits: rows, target, gradient }).verdict).toBe('right');
  });

  test('numbers that are s − y are not called T · (s − y)', () => {
    const p = softmax(logits, 2, plain);
    const { verdict, matches } = diagnose({ logits, target, temperature: 2, gradient: minus(p, y) });
    expect([verdict, matches[0]?.formula]).toEqual(['temperature', '(s − y)']);
  });

  test('the T² of distillation is right, or a temperature upside down', () => {
    const soft = softmax(matrix(5, 4, 54), 2, plain);
    const gradient = scale(minus(softmax(logits, 2, plain), soft), 2);
    expect(ids({ logits, target: soft, temperature: 2, gradient }).toSorted()).toEqual(['right', 'temperature']);
  });

  test('of rank 3, a division by one of the dimensions is named as that', () => {
    const cube = { data: Float64Array.from(matrix(1, 24, 55)[0] ?? []), shape: [2, 3, 4] };
    const rows = Array.from({ length: 6 }, (_, n) => Array.from(cube.data.subarray(4 * n, 4 * n + 4)));
    const labels = [0, 3, 1, 1, 2, 0];
    const all = minus(softmax(rows, 1, plain), hot(labels, 4));
    const input = {
      logits: cube,
      target: { data: Int32Array.from(labels), shape: [2, 3] },
      gradient: { data: Float64Array.from(scale(all, 1 / 2).flat()), shape: [2, 3, 4] },
    };
    const { verdict, matches } = diagnose(input);
    expect([verdict, matches[0]?.formula]).toEqual(['right', '(s − y) / 2, the size of axis 0']);
    const mean = diagnose({ ...input, reduction: 'mean' });
    expect([mean.verdict, mean.matches[0]?.formula]).toEqual(['batch-size', '1/2 (the size of axis 0) · (s − y)']);
  });
});

describe('mistakes', () => {
  test("softmax over flattened axes, as ONNX's before opset 13", () => {
    const data = Float64Array.from(matrix(1, 8, 56)[0] ?? []);
    const g = Float64Array.from(matrix(1, 8, 57)[0] ?? []);
    const rows = (values: Float64Array) => [values.subarray(0, 4), values.subarray(4)].map((row) => Array.from(row));
    const gradient = Float64Array.from(through(softmax(rows(data), 1, plain), rows(g)).flat());
    const shape = [2, 2, 2];
    const { verdict, matches } = diagnose({
      logits: { data, shape },
      upstream: { data: g, shape },
      gradient: { data: gradient, shape },
    });
    expect([verdict, matches[0]?.formula]).toEqual([
      'wrong-axis',
      'softmax and its product along axes 1 and 2 together',
    ]);
  });

  test('the maximum of the whole batch as the shift', () => {
    const { verdict } = diagnose({
      logits: [
        [1000, 1001],
        [0, 1],
      ],
      target: [0, 1],
      gradient: [
        [-0.7310585786300049, 0.7310585786300049],
        [Number.NaN, Number.NaN],
      ],
    });
    expect(verdict).toBe('batch-max-shift');
  });

  test('NaN from g / s where s is 0 in float64', () => {
    const rows = [
      [-431, 279, 427],
      [1, 2, 3],
    ];
    const upstream = [
      [1, 0, 0],
      [0, 1, 0],
    ];
    const [, p = []] = softmax(rows, 1, plain);
    const nothing = [Number.NaN, Number.NaN, Number.NaN];
    const product = through([p], [[0, 1, 0]]);
    const logged = p.map((value, i) => (i === 1 ? 1 : 0) - value);
    for (const row of [...product, logged, [0, 1 / (p[1] ?? 0), 0]]) {
      expect(diagnose({ logits: rows, upstream, gradient: [nothing, row] }).verdict).toBe('underflow');
    }
  });
});
