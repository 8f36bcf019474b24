import { expect, test } from 'vitest';
import { benchOps, opsWithOptions, plainOpOf, plainOps } from '../src/ops.js';
import { boundsOf, memoryLoops, type Roof } from '../src/roofline.js';
import { inFloat64, sweep } from '../src/sweep.js';
import { divisorOfMean, targetWeights } from '../src/target-weights.js';
import { keptLogits, workloadInput } from '../src/workload-input.js';
import { bytesMoved, exponentials, outputBytes, outputSize, type Workload } from '../src/workloads.js';

const shape = [3, 4] as const;

test('what each op reads, writes and exponentiates', () => {
  const sizes = benchOps.map((op): readonly [string, ...number[]] => {
    const [single, double] = (['float32', 'float64'] as const).map((dtype): Workload => ({ op, shape, dtype }));
    const bytesOfMask = workloadInput(single).mask?.length ?? 0;
    expect([double].map((one) => [bytesMoved(one), outputBytes(one)])).toEqual([
      [2 * bytesMoved(single) - bytesOfMask, 2 * outputBytes(single)],
    ]);
    return [op, outputSize(single), outputBytes(single), bytesMoved(single), exponentials(single)];
  });
  expect(sizes).toEqual([
    ['softmax', 12, 48, 96, 12],
    ['jacobian', 48, 192, 240, 0],
    ['vjp', 12, 48, 144, 0],
    ['logSoftmax', 12, 48, 96, 12],
    ['crossEntropy', 12, 48, 96, 12],
    ['sigmoid', 12, 48, 96, 12],
    ['relu', 12, 48, 96, 0],
    // A mask of 4 bytes keeps three classes of four; one of 12 keeps 2, 3 and 4.
    ['softmax:paddingMask', 12, 48, 48 + 4 * 9 + 4, 9],
    ['softmax:causalMask', 12, 48, 48 + 4 * 9 + 12, 9],
    ['softmax:temperature', 12, 48, 96, 12],
    ['vjp:causalMask', 12, 48, 48 + 2 * 4 * 9 + 12, 0],
    ['crossEntropy:labelSmoothing', 12, 48, 96, 12],
    ['crossEntropy:probabilities', 12, 48, 144, 12],
    ['crossEntropy:ignoreIndex', 12, 48, 96, 12],
    ['crossEntropy:weight', 12, 48, 96, 12],
    ['crossEntropy:classMask', 12, 48, 48 + 4 * 9 + 4, 9],
  ]);
});

test.each(benchOps)('%s: exp is timed on the logits that the op exponentiates', (op) => {
  for (const shape of [
    [1, 1],
    [4, 7],
    [9, 2],
  ] as const) {
    const workload: Workload = { op, shape, dtype: 'float32' };
    const kept = keptLogits(workloadInput(workload));
    expect(kept).toBeInstanceOf(Float32Array);
    if (exponentials(workload) > 0) expect(kept).toHaveLength(exponentials(workload));
    // Without a mask and ignored rows they are not copied.
    const input = workloadInput({ ...workload, op: plainOpOf(op) });
    expect(keptLogits(input)).toBe(input.logits);
  }
});

test('a call with an option is named after its op', () => {
  expect(plainOps.map(plainOpOf)).toEqual(plainOps);
  expect(opsWithOptions.map(plainOpOf)).toEqual(opsWithOptions.map((op) => op.split(':')[0]));
});

test('a mask keeps the same first classes of every row, or one class more in each row until the last row has all', () => {
  const maskOf = (op: Workload['op'], shape: Workload['shape']) => workloadInput({ op, shape, dtype: 'float32' }).mask;
  const rows = (op: Workload['op'], shape: Workload['shape']) =>
    (maskOf(op, shape)?.join('') ?? '').match(new RegExp(`.{${shape[1]}}`, 'g'));
  expect(rows('softmax:paddingMask', [3, 8])).toEqual(['11111100']);
  expect(rows('softmax:paddingMask', [3, 1])).toEqual(['1']);
  // Two sequences of three queries and keys; the last two queries of four keys; and the end of one sequence before another.
  expect(rows('softmax:causalMask', [6, 3])).toEqual(['100', '110', '111', '100', '110', '111']);
  expect(rows('softmax:causalMask', [2, 4])).toEqual(['1110', '1111']);
  expect(rows('softmax:causalMask', [4, 3])).toEqual(['111', '100', '110', '111']);
  expect(maskOf('softmax', [3, 8])).toBeNull();
});

test('inputs of options: probabilities of kept classes, targets that are kept, every fourth row ignored, positive weights', () => {
  const inputOf = (op: Workload['op']) => workloadInput({ op, shape: [60, 8], dtype: 'float64' });
  const masked = inputOf('vjp:causalMask');
  for (let r = 0; r < 60; r++) {
    const row = [...masked.probabilities.subarray(8 * r, 8 * r + 8)];
    expect(row.reduce((sum, p) => sum + p, 0)).toBeCloseTo(1, 12);
    const positive = row.map((p) => (p > 0 ? 1 : 0));
    expect(positive).toEqual([...(masked.mask?.subarray(8 * r, 8 * r + 8) ?? [])]);
  }
  expect(Math.max(...inputOf('crossEntropy:classMask').target)).toBe(5);
  expect(Math.max(...inputOf('crossEntropy').target)).toBe(7);
  const { target } = inputOf('crossEntropy:ignoreIndex');
  expect(Array.from(target, (index, r) => (index === -100 ? r : -1)).filter((r) => r >= 0)).toEqual(
    Array.from({ length: 15 }, (_, k) => 4 * k + 3),
  );
  const { weight } = inputOf('crossEntropy:weight');
  expect(weight).toHaveLength(8);
  for (const one of weight ?? []) expect(Math.abs(one - 1)).toBeLessThanOrEqual(0.5);
  const { targetProbabilities } = inputOf('crossEntropy:probabilities');
  for (let r = 0; r < 60; r++) {
    const row = [...(targetProbabilities?.subarray(8 * r, 8 * r + 8) ?? [])];
    expect(row.reduce((sum, q) => sum + q, 0)).toBeCloseTo(1, 12);
    expect(Math.min(...row)).toBeGreaterThan(0);
  }
  // The logits, and what else a plain call has, do not depend on the options.
  for (const op of opsWithOptions) expect(inputOf(op).logits).toEqual(inputOf('softmax').logits);
});

test('the inputs of a workload are the same in every run, and others for another shape', () => {
  const { logits, probabilities, cotangent, target } = workloadInput({ op: 'vjp', shape, dtype: 'float64' });
  const digits = (values: ArrayLike<number>) => Array.from(values, (value) => Number(value.toFixed(4))).join(' ');
  expect([digits(logits), digits(probabilities), digits(cotangent), digits(target)]).toMatchInlineSnapshot(`
    [
      "-0.8233 -5.5411 -5.3827 5.6194 0.3753 -0.1257 0.7079 -2.6851 -3.3092 -6.7562 1.7753 -0.49",
      "0.0016 0 0 0.9984 0.3281 0.1988 0.4576 0.0154 0.0056 0.0002 0.9007 0.0935",
      "-0.8869 0.4863 0.7368 -0.886 0.8792 -0.6384 0.0421 0.4918 0.8569 -0.4067 -0.6615 -0.721",
      "3 2 3",
    ]
  `);
  expect(digits(workloadInput({ op: 'vjp', shape: [4, 3], dtype: 'float64' }).logits)).not.toEqual(digits(logits));
  const single = workloadInput({ op: 'vjp', shape, dtype: 'float32' });
  expect(single.logits).toEqual(Float32Array.from(logits));
  expect(single.probabilities).toBeInstanceOf(Float32Array);
});

test('bounds are the slower of copy and fill, and the fastest exp of the run, the tightest first', () => {
  const roof = (name: Roof['name'], from: string, ms: number): Roof => ({ name, from, samples: [[ms]] });
  const workload: Workload = { op: 'vjp', shape, dtype: 'float32' };
  const roofs = [roof('exp', 'a', 7), roof('memcpy', 'engine', 2), roof('store', 'b', 9), roof('exp', 'b', 4)];
  // A vjp moves three bytes where a copy moves two.
  const memory = { name: 'memory', ms: 3, from: 'memcpy' };
  const exp = { name: 'exp', ms: 4, from: 'b' };
  expect(boundsOf(workload, roofs)).toEqual([exp, memory]);
  expect(boundsOf(workload, [...roofs, roof('fill', 'engine', 2.5)])).toEqual([exp, memory]);
  const fill = { name: 'memory', ms: 5, from: 'fill' };
  expect(boundsOf(workload, [...roofs, roof('fill', 'engine', 5)])).toEqual([fill, exp]);
  expect(boundsOf(workload, [roof('fill', 'engine', 5), ...roofs])).toEqual([fill, exp]);
  expect(boundsOf(workload, [{ ...roof('exp', 'a', 7), samples: [[null]] }])).toEqual([]);
  expect(memoryLoops(workload).map(({ name }) => name)).toEqual(['memcpy', 'fill']);
});

type Numbers = readonly number[];

/**
 * What an error of each op scales with, by the definitions of the ops: of probabilities p, whose target is class t, of logits x, and of the
 * input, in row r.
 */
const sizes: Record<
  Workload['op'],
  (p: Numbers, t: number, x: Numbers, input: ReturnType<typeof workloadInput>, r: number) => Numbers
> = {
  softmax: (p) => p,
  vjp: (p) => p,
  logSoftmax: (p) => p.map((one) => 1 - Math.log(one)),
  crossEntropy: (p, t) => p.map((one, c) => (one + (c === t ? 1 : 0)) / 3),
  sigmoid: (_p, _t, x) => x.map((one) => 1 / (1 + Math.exp(-one))),
  relu: (_p, _t, x) => x.map(Math.abs),
  jacobian: (p) => p.flatMap((one, i) => p.map((other, j) => (i === j ? one : one * other))),
  'softmax:paddingMask': (p) => p,
  'softmax:causalMask': (p) => p,
  'softmax:temperature': (_p, _t, x) => {
    const exponentials = x.map((one) => Math.exp(one / 0.7));
    const sum = exponentials.reduce((all, one) => all + one, 0);
    return exponentials.map((one) => one / sum);
  },
  'vjp:causalMask': (p) => p,
  'crossEntropy:labelSmoothing': (p, t) => p.map((one, c) => (one + (c === t ? 0.9 : 0) + 0.025) / 3),
  'crossEntropy:probabilities': (p, _t, _x, { targetProbabilities }, r) =>
    p.map((one, c) => (one + (targetProbabilities?.[4 * r + c] ?? Number.NaN)) / 3),
  // The fourth row would be ignored.
  'crossEntropy:ignoreIndex': (p, t) => p.map((one, c) => (one + (c === t ? 1 : 0)) / 3),
  'crossEntropy:weight': (p, t, _x, { weight, target }) => {
    const [own, ...all] = [t, ...target].map((c) => weight?.[c] ?? Number.NaN);
    const sum = all.reduce((added, one) => added + one, 0);
    return p.map((one, c) => ((own ?? Number.NaN) * (one + (c === t ? 1 : 0))) / sum);
  },
  'crossEntropy:classMask': (p, t) => p.map((one, c) => (one + (c === t ? 1 : 0)) / 3),
};

test.each(benchOps)(
  '%s: each result may be off by twice the largest bound of the known rows, and not by more',
  (op) => {
    const workload: Workload = { op, shape, dtype: 'float64' };
    const input = workloadInput(workload);
    const every = [0, 1, 2];
    const right = inFloat64(workload, input, every);
    const rowOf = (data: Float32Array | Float64Array, r: number) => [...data.subarray(4 * r, 4 * r + 4)];
    const size = every.flatMap((r) =>
      sizes[op](rowOf(input.probabilities, r), input.target[r] ?? Number.NaN, rowOf(input.logits, r), input, r),
    );
    const width = right.length / every.length;
    const floor = 1e-20;
    const bound = Float64Array.from(size.slice(0, width), (one, k) => one * (k === 1 ? 1e-6 : 1e-7) + floor);
    const known = { expected: right.slice(0, width), bound, picked: [0], floor };
    expect(sweep(workload, input, right, known)).toBeNull();
    for (const [k, exact] of right.entries()) {
      const off = (share: number) =>
        right.map((value, at) => (at === k ? exact + share * 2e-6 * (size[k] ?? 0) : value));
      expect(sweep(workload, input, off(0.99), known)).toBeNull();
      expect(sweep(workload, input, off(-0.99), known)).toBeNull();
      const row = Math.floor(k / width);
      const c = k % width;
      const place = op === 'jacobian' ? `[${Math.floor(c / 4)}, ${c % 4}]` : `[${c}]`;
      // A masked entry has to be 0.
      const wrong = size[k] === 0 ? right.map((value, at) => (at === k ? 2.02 * floor : value)) : off(1.02);
      const expected = `row ${row} ${place} is ${wrong[k]}; expected about `;
      expect(sweep(workload, input, wrong, known)?.startsWith(expected)).toBe(true);
    }
  },
);

test('a target with several options: smoothed over the classes that are kept, then weighted; nothing in ignored rows', () => {
  const workload: Workload = { op: 'crossEntropy:labelSmoothing', shape: [3, 4], dtype: 'float64' };
  const mask = Uint8Array.of(1, 0, 1, 0, 0, 1, 1, 1, 1, 1, 1, 1);
  const weight = Float64Array.of(1, 2, 4, 8);
  const input = { ...workloadInput(workload), mask, weight, target: Int32Array.of(2, 3, -100) };
  const q = new Float64Array(4);
  const weightsOf = targetWeights(workload, input, q);
  const rows = [0, 1, 2].map((r) => [weightsOf(r), ...q].map((one) => Number(one.toFixed(9))));
  // 0.9 for the class, and 0.1 over two classes, or three.
  const [half, third] = [0.1 / 2, 0.1 / 3];
  const expected = [
    [half, 0, 4 * (0.9 + half), 0],
    [0, 2 * third, 4 * third, 8 * (0.9 + third)],
    [0, 0, 0, 0],
  ].map((row) => [row.reduce((sum, one) => sum + one, 0), ...row].map((one) => Number(one.toFixed(9))));
  expect(rows).toEqual(expected);
  expect(divisorOfMean(input)).toBe(4 + 8);
  expect(divisorOfMean({ ...input, weight: null })).toBe(2);
  // PyTorch's mean of probabilities is over all rows, with weights as well.
  expect(divisorOfMean({ ...input, targetProbabilities: new Float64Array(12) })).toBe(3);
});

test('logits far from 0 do not overflow', () => {
  const workload: Workload = { op: 'softmax', shape: [1, 2], dtype: 'float64' };
  const input = { ...workloadInput(workload), logits: Float64Array.of(1000, 1000) };
  expect([...inFloat64(workload, input, [0])]).toEqual([0.5, 0.5]);
});

test('a known result of magnitude 0 says nothing about the errors that are allowed', () => {
  const workload: Workload = { op: 'softmax', shape: [1, 2], dtype: 'float64' };
  const input = { ...workloadInput(workload), logits: Float64Array.of(0, -1000) };
  const known = { expected: Float64Array.of(1, 0), bound: Float64Array.of(1e-6, 1e-3), picked: [0], floor: 0 };
  expect(sweep(workload, input, Float64Array.of(1, 0), known)).toBeNull();
  expect(sweep(workload, input, Float64Array.of(1.1, 0), known)).toBe('row 0 [0] is 1.1; expected about 1.000000');
  // The absolute term is allowed twice, too.
  const atFloor = { ...known, bound: Float64Array.of(1e-3, 1e-3), floor: 1e-3 };
  expect(sweep(workload, input, Float64Array.of(1, 0.0019), atFloor)).toBeNull();
  expect(sweep(workload, input, Float64Array.of(1.0021, 0), atFloor)).toContain('row 0 [0] is 1.0021');
});
