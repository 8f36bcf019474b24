import { beforeAll, describe, expect, test } from 'vitest';
import { delegate } from '../conformance/delegate.js';
import { exact } from '../conformance/index.js';
import {
  type Backend,
  type CrossEntropyOptions,
  type CrossEntropyTarget,
  crossEntropy,
  empty,
  getBackend,
  gradcheck,
  logSoftmax,
  logSumExp,
  setBackend,
  sigmoid,
  softmax,
  softmin,
  type Tensor,
  tensor,
} from '../src/index.js';
import { weightingOf } from '../src/ops/class-weights.js';
import type { CheckedOptions } from '../src/ops/cross-entropy-options.js';
import type { DeviceTarget } from '../src/ops/cross-entropy-target.js';
import { failure } from './failure.js';

/** The exact backend with its fused kernel, and the same without, on which core composes. */
let backends: readonly Backend[];
beforeAll(async () => {
  const fused = (await exact.open()) as Backend;
  await setBackend(fused);
  backends = [fused, delegate(fused, { name: 'composed', kernels: {} })];
});

const logits = [
  [0.5, -1, 2],
  [3, 0.25, -2],
  [-1, 1, 0],
  [0.125, 0.5, -0.25],
];

/** Without the sign of zeros: the loss of an ignored row is a sum of nothing, negated. */
const values = (x: Tensor): number[] => Array.from(x.dataSync(), (value) => value + 0);

function expectClose(actual: readonly number[], expected: readonly number[], what: string): void {
  expect(actual.length, what).toBe(expected.length);
  actual.forEach((value, k) => {
    expect(Math.abs(value - expected[k]), `${what} [${k}]: ${value}, expected ${expected[k]}`).toBeLessThan(1e-14);
  });
}

/** The weighting of rows with these class indices, or of one row with probabilities. */
function weighting(indices: readonly number[] | null, weight: readonly number[], options: CheckedOptions) {
  const host = Int32Array.from(indices ?? []);
  const counted = host.filter((index) => index !== options.ignoreIndex).length;
  const target: DeviceTarget = indices
    ? { kind: 'indices', buffer: null, host, counted }
    : { kind: 'probabilities', buffer: null };
  const rows = { outer: indices?.length ?? 1, classes: weight.length, inner: 1 };
  return weightingOf(target, Float64Array.from(weight), options, 'float64', rows);
}

const settings: readonly CrossEntropyOptions[] = [
  {},
  { labelSmoothing: 0.3 },
  { weight: [0.5, 2, 1.5] },
  { labelSmoothing: 0.1, weight: [0.5, 2, 1.5], temperature: 2 },
  { labelSmoothing: 1, reduction: 'sum' },
  { labelSmoothing: 0.25, mask: [true, true, true], reduction: 'none' },
];

describe('rows whose class index is ignoreIndex', () => {
  test('are as if they were not there, whichever number it is, fused and composed', () => {
    for (const backend of backends) {
      const float64 = (rows: readonly (readonly number[])[]) => tensor(rows, { backend, dtype: 'float64' });
      for (const ignoreIndex of [-100, -1, 0, 1, 2, 3, 100]) {
        const [a, b] = [0, 1, 2].filter((index) => index !== ignoreIndex);
        for (const options of settings) {
          const what = `${backend.name}, ${ignoreIndex}, ${JSON.stringify(options)}`;
          const all = crossEntropy(float64(logits), [ignoreIndex, a, ignoreIndex, b], { ...options, ignoreIndex });
          const kept = crossEntropy(float64([logits[1], logits[3]]), [a, b], { ...options, ignoreIndex: -7 });
          const [first, second] = [values(kept.gradient).slice(0, 3), values(kept.gradient).slice(3)];
          expectClose(values(all.gradient), [0, 0, 0, ...first, 0, 0, 0, ...second], what);
          const losses = values(kept.loss);
          expectClose(values(all.loss), options.reduction === 'none' ? [0, losses[0], 0, losses[1]] : losses, what);
        }
      }
    }
  });

  test('leave a mean of nothing, which is NaN with a gradient of 0, and a sum of 0', () => {
    for (const backend of backends) {
      const x = tensor(logits.slice(0, 2), { backend, dtype: 'float64' });
      const { loss, gradient } = crossEntropy(x, [1, 1], { ignoreIndex: 1 });
      expect([values(loss), values(gradient)]).toEqual([[Number.NaN], [0, 0, 0, 0, 0, 0]]);
      expect(values(crossEntropy.loss(x, [1, 1], { ignoreIndex: 1 }))).toEqual([Number.NaN]);
      expect(values(crossEntropy.gradient(x, [1, 1], { ignoreIndex: 1 }))).toEqual([0, 0, 0, 0, 0, 0]);
      const jvp = crossEntropy.jvp(x, [1, 1], x, { ignoreIndex: 1 });
      expect(values(jvp)).toEqual([0]);
      const weighted = crossEntropy(x, [1, 1], { ignoreIndex: 1, weight: [1, 2, 3] });
      expect([values(weighted.loss), values(weighted.gradient)]).toEqual([[Number.NaN], [0, 0, 0, 0, 0, 0]]);
      const sum = crossEntropy(x, [1, 1], { ignoreIndex: 1, reduction: 'sum' });
      expect([values(sum.loss), values(sum.gradient)]).toEqual([[0], [0, 0, 0, 0, 0, 0]]);
      const none = crossEntropy(x, [1, 1], { ignoreIndex: 1, reduction: 'none' });
      expect([values(none.loss), values(none.gradient)]).toEqual([
        [0, 0],
        [0, 0, 0, 0, 0, 0],
      ]);
    }
  });
});

describe('a target of class indices', () => {
  test('is the same as one-hot probabilities, whatever the axis, mask and smoothing', () => {
    const shape = [2, 3, 2];
    const data = Float64Array.from({ length: 12 }, (_, k) => Math.sin(3 * k));
    const indices = [
      [2, 0],
      [1, 1],
    ];
    const hot = indices.map((row) => [0, 1, 2].map((c) => row.map((index) => (index === c ? 1 : 0))));
    const mask = [
      [
        [true, true],
        [true, true],
        [true, false],
      ],
      [
        [true, false],
        [true, true],
        [false, true],
      ],
    ];
    const last = [
      [
        [false, true],
        [true, true],
        [true, true],
      ],
    ];
    for (const backend of backends) {
      const x = tensor({ data, shape }, { backend, dtype: 'float64' });
      for (const reduction of ['none', 'sum', 'mean'] as const) {
        for (const more of [{}, { labelSmoothing: 0.2 }, { mask }, { mask, labelSmoothing: 0.2, temperature: 0.5 }]) {
          const options = { axis: 1, reduction, ...more };
          const what = `${backend.name} ${JSON.stringify(options)}`;
          const ofIndices = crossEntropy(x, indices, options);
          for (const target of [hot, tensor(hot, { backend, dtype: 'float64' })]) {
            const ofProbabilities = crossEntropy(x, target, options);
            expectClose(values(ofProbabilities.loss), values(ofIndices.loss), what);
            expectClose(values(ofProbabilities.gradient), values(ofIndices.gradient), what);
          }
          const ofTensor = crossEntropy(x, tensor(indices, { backend, dtype: 'int32' }), options);
          expect(values(ofTensor.gradient)).toEqual(values(ofIndices.gradient));
        }
      }
      // A mask that repeats for every block of the logits takes out class 0 of the first column.
      expect(
        failure(() =>
          crossEntropy(
            x,
            [
              [2, 0],
              [0, 1],
            ],
            { axis: 1, mask: last },
          ),
        ),
      ).toEqual(['ERR_VALUE', 'crossEntropy: target 2 is class 0, which is masked; set it to ignoreIndex -100']);
      expect(
        values(
          crossEntropy.loss(
            x,
            [
              [2, 0],
              [1, 1],
            ],
            { axis: 1, mask: last },
          ),
        )[0],
      ).toBeGreaterThan(0);
    }
  });

  test('that is used again is checked against the classes and the ignoreIndex of each call, and after it was overwritten', () => {
    const rows = logits.slice(0, 3);
    const target = tensor([0, 2, 1], { dtype: 'int32' });
    const again = (options: CrossEntropyOptions) =>
      values(crossEntropy.loss(rows, target, { reduction: 'mean', ...options }));
    const fresh = (indices: number[], options: CrossEntropyOptions) =>
      values(crossEntropy.loss(rows, indices, { reduction: 'mean', ...options }));
    for (const ignoreIndex of [-100, 2, 0, 2, -100]) {
      expect(again({ ignoreIndex }), `ignoreIndex ${ignoreIndex}`).toEqual(fresh([0, 2, 1], { ignoreIndex }));
    }
    const two = rows.map((row) => row.slice(0, 2));
    expect(failure(() => crossEntropy(two, target))[1]).toContain('target 1 is class 2; expected 0 to 1');
    expect(values(crossEntropy.loss(two, target, { ignoreIndex: 2 }))).toEqual(
      values(crossEntropy.loss(two, [0, 2, 1], { ignoreIndex: 2 })),
    );
    tensor(new Int32Array([1, -100, 0]), { shape: [3], out: target });
    expect(again({})).toEqual(fresh([1, -100, 0], {}));
    tensor(new Int32Array([1, 0, -1]), { shape: [3], out: target });
    expect(failure(() => crossEntropy(rows, target))[1]).toContain('target 2 is class -1; expected 0 to 2');
  });

  test('smoothing spreads over the classes that the mask keeps', () => {
    for (const backend of backends) {
      const x = tensor([logits[0], logits[0]], { backend, dtype: 'float64' });
      const mask = [
        [true, false, true],
        [true, true, true],
      ];
      const { gradient } = crossEntropy(x, [2, 2], { labelSmoothing: 0.3, mask, reduction: 'none' });
      const p = values(softmax(x, { mask }));
      const expected = [0.15, 0, 0.85, 0.1, 0.1, 0.8].map((q, k) => p[k] - q);
      expectClose(values(gradient), expected, backend.name);
    }
  });

  test.each([
    [[3, 0], 'target 0 is class 3; expected 0 to 2 or ignoreIndex -100'],
    [[0, -1], 'target 1 is class -1; expected 0 to 2 or ignoreIndex -100'],
    [[-1, 0], 'target 0 is class -1; expected 0 to 2 or ignoreIndex -100'],
    [[0, -99], 'target 1 is class -99; expected 0 to 2 or ignoreIndex -100'],
    [[1, 4], 'target 1 is class 4; expected 0 to 2 or ignoreIndex -100'],
    [[1, 3], 'target 1 is class 3; expected 0 to 2 or ignoreIndex -100; if these count from 1, take 1 off'],
    [[3, -100], 'target 0 is class 3; expected 0 to 2 or ignoreIndex -100; if these count from 1, take 1 off'],
  ])('%j is refused for what is no class', (target, message) => {
    const x = tensor(logits.slice(0, 2));
    expect(failure(() => crossEntropy.loss(x, target))).toEqual(['ERR_VALUE', `crossEntropy.loss: ${message}`]);
    expect(failure(() => crossEntropy.gradient(x, tensor(target, { dtype: 'int32' })))).toEqual([
      'ERR_VALUE',
      `crossEntropy.gradient: ${message}`,
    ]);
  });

  test.each([0, 2, 7, 2 ** 40])(
    'of ignored rows, %d, is refused with probabilities, which have none',
    (ignoreIndex) => {
      const x = tensor([[1, 2, 3]]);
      const message = `ignoreIndex ${ignoreIndex} with probabilities as the target; it ignores rows by their class index: expected class indices, or no ignoreIndex`;
      const calls = {
        crossEntropy: (q: CrossEntropyTarget, given: CrossEntropyOptions) => crossEntropy(x, q, given),
        'crossEntropy.loss': (q: CrossEntropyTarget, given: CrossEntropyOptions) => crossEntropy.loss(x, q, given),
        'crossEntropy.gradient': (q: CrossEntropyTarget, given: CrossEntropyOptions) =>
          crossEntropy.gradient(x, q, given),
        'crossEntropy.vjp': (q: CrossEntropyTarget, given: CrossEntropyOptions) => crossEntropy.vjp(x, q, 1, given),
        'crossEntropy.jvp': (q: CrossEntropyTarget, given: CrossEntropyOptions) => crossEntropy.jvp(x, q, x, given),
        'crossEntropy.hvp': (q: CrossEntropyTarget, given: CrossEntropyOptions) => crossEntropy.hvp(x, q, 1, x, given),
      };
      for (const [name, call] of Object.entries(calls)) {
        for (const q of [[[0.5, 0.5, 0]], Float32Array.of(0.5, 0.5, 0), tensor([[0.5, 0.5, 0]])]) {
          expect(failure(() => call(q, { ignoreIndex }))).toEqual(['ERR_VALUE', `${name}: ${message}`]);
          // No class has such an index, as in PyTorch.
          expect(() => call(q, { ignoreIndex: -1 })).not.toThrow();
        }
      }
    },
  );

  test('is ignored or an error if there are no classes', () => {
    const x = tensor([[], []]);
    expect(failure(() => crossEntropy(x, [0, 0]))).toEqual([
      'ERR_VALUE',
      'crossEntropy: target 0 is class 0, but there are no classes; expected ignoreIndex -100',
    ]);
    const none = crossEntropy(x, [-100, -100], { reduction: 'none' });
    expect([values(none.loss), none.gradient.shape]).toEqual([
      [0, 0],
      [2, 0],
    ]);
    expect(values(crossEntropy.loss(x, [-100, -100], { reduction: 'sum' }))).toEqual([0]);
    expect(values(crossEntropy.loss(x, [-100, -100]))).toEqual([Number.NaN]);
    const t = tensor([[], []]);
    expect(values(crossEntropy.jvp(x, [-100, -100], t, { reduction: 'none' }))).toEqual([0, 0]);
    expect(values(crossEntropy.jvp(x, [-100, -100], t))).toEqual([0]);
    expect(crossEntropy.vjp(x, [-100, -100], tensor(1)).shape).toEqual([2, 0]);
  });

  test('of no rows has a sum of 0 and a mean that is NaN, of probabilities too', () => {
    const x = tensor(new Float32Array(0), { shape: [0, 3] });
    for (const target of [Int32Array.of(), tensor(new Float32Array(0), { shape: [0, 3] })]) {
      expect(values(crossEntropy.loss(x, target))).toEqual([Number.NaN]);
      expect(values(crossEntropy(x, target).loss)).toEqual([Number.NaN]);
      expect(values(crossEntropy.loss(x, target, { reduction: 'sum' }))).toEqual([0]);
      expect(crossEntropy.loss(x, target, { reduction: 'none' }).shape).toEqual([0]);
      expect(values(crossEntropy.jvp(x, target, x))).toEqual([0]);
      expect(values(crossEntropy.loss(x, target, { weight: [1, 2, 3] }))).toEqual([Number.NaN]);
    }
  });
});

test('loss and gradient in one call equal those of separate calls, whatever out contained', () => {
  const labels = [0, -100, 1, 2];
  const soft = logits.map((row) => row.map((value) => value * value));
  for (const backend of backends) {
    const x = tensor(logits, { backend, dtype: 'float64' });
    for (const options of settings) {
      for (const target of [labels, soft, [-100, -100, -100, -100]]) {
        const what = `${backend.name} ${JSON.stringify(options)} ${JSON.stringify(target)}`;
        const loss = crossEntropy.loss(x, target, options);
        const gradient = crossEntropy.gradient(x, target, options);
        if (target !== soft && target !== labels) expect(values(gradient).every((value) => value === 0)).toBe(true);
        else expect(values(loss).some((value) => value > 0.1)).toBe(true);
        const full = (like: Tensor) =>
          tensor(new Float64Array(like.size).fill(7), { shape: like.shape, dtype: 'float64', backend });
        for (const out of [
          {},
          { loss: full(loss), gradient: full(gradient) },
          { loss: full(loss) },
          { gradient: full(gradient) },
        ]) {
          const both = crossEntropy(x, target, { ...options, out });
          expect(values(both.loss), what).toEqual(values(loss));
          expect(values(both.gradient), what).toEqual(values(gradient));
        }
      }
    }
  }
});

describe('the mean', () => {
  test('of targets whose weights are 0 is NaN, with a gradient of 0', () => {
    for (const weight of [
      [0, 0, 0],
      [0, 1, 1],
    ]) {
      const result = crossEntropy(tensor([[1, 0, 2]], { backend: backends[0] }), [0], { weight });
      expect(result.loss.dataSync()).toEqual(Float32Array.of(Number.NaN));
      expect(result.gradient.dataSync()).toEqual(Float32Array.of(0, 0, 0));
    }
  });

  test('with weights of any size and sign is that with the same weights of ordinary size, fused and composed', () => {
    for (const [dtype, logits, weight] of [
      ['float32', [1e30, 0], [2 ** 59, 2 ** 59]],
      ['float32', [1e30, 0], [2 ** 61, 2 ** 61]],
      ['float32', [3e38, 0], [3, 3]],
      ['float32', [1, 0], [-1e-45, -1e-45]],
      ['float64', [1e308, 0], [-3, -3]],
    ] as const) {
      for (const backend of backends) {
        const x = tensor([logits], { backend, dtype });
        const what = `${backend.name} ${logits} ${weight}`;
        const result = (options: CrossEntropyOptions) => {
          const { loss, gradient } = crossEntropy(x, [1], options);
          return [...values(loss), ...values(gradient)];
        };
        const ordinary = result({});
        for (const [k, value] of result({ weight }).entries()) {
          expect(Math.abs(value / ordinary[k] - 1), `${what}: ${value}, expected ${ordinary[k]}`).toBeLessThan(1e-6);
        }
      }
    }
  });

  test('scales weights of either sign by one power of 2, so that targets have at most 1 and no class that counts overflows', () => {
    const balanced = (weight: readonly number[], isSmoothed = true) => {
      const options = { reduction: 'mean', labelSmoothing: isSmoothed ? 0.1 : 0, ignoreIndex: -100 } as const;
      return [...(weighting([0, -100, 1], weight, options).weight ?? [])];
    };
    expect(balanced([12, -3, 20])).toEqual([0.75, -0.1875, 1.25]);
    expect(balanced([-12, -3, -20])).toEqual([-0.75, -0.1875, -1.25]);
    expect(balanced([12, -3, -20], false)).toEqual([0.75, -0.1875, 0]);
    expect(balanced([-12, 3, 12], false)).toEqual([-0.75, 0.1875, 0.75]);
    expect(balanced([2 ** -1074, -(2 ** -1074), 0])).toEqual([1, -1, 0]);
    for (const sign of [1, -1]) {
      expect(balanced([2 ** -600, 2 ** -600, sign * 2 ** 1000])).toEqual([2 ** -577, 2 ** -577, sign * 2 ** 1023]);
      const extreme = [2 ** -1074, 2 ** -1073, sign * 1.5 * 2 ** 1023];
      expect(balanced(extreme)).toEqual(extreme);
      expect(balanced(extreme, false)).toEqual([0.5, 1, 0]);
    }
    expect(balanced([0, 0, 5])).toEqual([0, 0, 5]);
  });

  test('of targets of a tiny weight is that of one of ordinary size, whatever weights other classes have', () => {
    for (const backend of backends) {
      const x = tensor([[1, 2]], { backend });
      const all = (weight: readonly number[]) => {
        const { loss, gradient } = crossEntropy(x, [0], { weight });
        const hvp = crossEntropy.hvp(x, [0], 1, [[1, 0]], { weight });
        return [loss, gradient, hvp].map((one) => values(one));
      };
      expect(all([2 ** -149, 2 ** 127])).toEqual(all([1, 0]));
    }
  });

  test('of smoothed targets counts the larger weight of a class that no target has', () => {
    for (const backend of backends) {
      const x = tensor([[1, 2]], { backend, dtype: 'float64' });
      const [first, second] = [0, 1].map((target) => values(crossEntropy.loss(x, [target]))[0]);
      const smoothed = crossEntropy.loss(x, [0], { weight: [1, 8], labelSmoothing: 0.5 });
      expectClose(values(smoothed), [0.75 * first + 0.25 * 8 * second], backend.name);
    }
  });

  test('of other reductions, and over probabilities, scales small weights only, and returns the factor by which they are smaller', () => {
    for (const [target, isMean] of [
      [[0], false],
      [null, false],
      [null, true],
    ] as const) {
      const balanced = (weight: readonly number[]) => {
        const options = { reduction: isMean ? 'mean' : 'sum', labelSmoothing: 0, ignoreIndex: -100 } as const;
        const scaled = weighting(target, weight, options);
        return [...(scaled.weight ?? []), scaled.scale];
      };
      expect(balanced([2 ** -31, -3])).toEqual([2 ** -31, -3, 1]);
      expect(balanced([2 ** -100, -0.75 * 2 ** -90])).toEqual([2 ** -10, -0.75, 2 ** -90]);
      expect(balanced([2 ** -32, 0])).toEqual([2 ** -32, 0, 1]);
      expect(balanced([0.75 * 2 ** -32, 0])).toEqual([0.75, 0, 2 ** -32]);
      expect(balanced([0, 2 ** -1074])).toEqual([0, 1, 2 ** -1074]);
      expect(balanced([0, 0])).toEqual([0, 0, 1]);
    }
  });

  test('over class indices is weighted by the weights of the targets, over probabilities it is over rows', () => {
    const weight = [0.5, 2, 1.5];
    for (const backend of backends) {
      const x = tensor(logits, { backend, dtype: 'float64' });
      const labels = [0, 1, 1, 2];
      const hot = labels.map((label) => [0, 1, 2].map((c) => (c === label ? 1 : 0)));
      const [sum] = values(crossEntropy.loss(x, labels, { weight, reduction: 'sum' }));
      expectClose(values(crossEntropy.loss(x, labels, { weight })), [sum / 6], backend.name);
      expectClose(values(crossEntropy.loss(x, hot, { weight })), [sum / 4], backend.name);
      const summed = values(crossEntropy.gradient(x, labels, { weight, reduction: 'sum' }));
      const mean = values(crossEntropy.gradient(x, labels, { weight }));
      expectClose(
        mean,
        summed.map((value) => value / 6),
        backend.name,
      );
    }
  });
});

describe('the products of cross-entropy', () => {
  test('are the gradient times the cotangent, and its inner product with the tangent', () => {
    for (const backend of backends) {
      const x = tensor(logits, { backend, dtype: 'float64' });
      const t = tensor(
        logits.map((row) => row.map((value) => value * value)),
        { backend, dtype: 'float64' },
      );
      const labels = [0, 1, 1, 2];
      for (const [reduction, g] of [
        ['none', [1, -2, 0, 3]],
        ['sum', 2],
        ['mean', -3],
      ] as const) {
        const slope = values(crossEntropy.gradient(x, labels, { reduction }));
        const cotangent = tensor(g, { backend, dtype: 'float64' });
        const vjp = values(crossEntropy.vjp(x, labels, cotangent, { reduction }));
        const factors = typeof g === 'number' ? [g, g, g, g] : g;
        expectClose(
          vjp,
          slope.map((value, k) => value * factors[Math.floor(k / 3)]),
          reduction,
        );
        const products = slope.map((value, k) => value * values(t)[k]);
        const rows = [0, 3, 6, 9].map((at) => products[at] + products[at + 1] + products[at + 2]);
        const jvp = values(crossEntropy.jvp(x, labels, t, { reduction }));
        expectClose(jvp, reduction === 'none' ? rows : [rows[0] + rows[1] + rows[2] + rows[3]], reduction);
      }
    }
  });

  test('are finite at a temperature so small that the gradient is not', () => {
    for (const backend of backends) {
      const x = tensor([[1, 1]], { backend });
      const options = { temperature: 2 ** -140 };
      expect(values(crossEntropy.gradient(x, [1], options))).toEqual([
        Number.POSITIVE_INFINITY,
        Number.NEGATIVE_INFINITY,
      ]);
      expect(values(crossEntropy.vjp(x, [1], 2 ** -60, options))).toEqual([2 ** 79, -(2 ** 79)]);
      expect(values(crossEntropy.jvp(x, [1], [[2 ** -60, 0]], options))).toEqual([2 ** 79]);
    }
  });

  test('are finite along tangents whose differences are beyond the range', () => {
    for (const backend of backends) {
      const x = tensor([[0, Math.log(9)]], { backend, dtype: 'float64' });
      const [jvp] = values(crossEntropy.jvp(x, [1], [[1.7e308, -1.7e308]]));
      expect(jvp / 3.4e307).toBeCloseTo(1, 14);
    }
  });

  test('keep the digits that small class weights and a large temperature take from the gradient', () => {
    for (const backend of backends) {
      const x = tensor([[0, -55 * 2 ** 32]], { backend });
      const product = (weight: number) =>
        values(
          crossEntropy.vjp(x, [0], 2 ** 100, { temperature: 2 ** 32, weight: [weight, weight], reduction: 'sum' }),
        );
      expect(product(2 ** -31)).toEqual(product(1).map((value) => value * 2 ** -31));
    }
  });

  test('are 0 in ignored rows and at masked entries, for any cotangent or tangent there', () => {
    const wild = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (const backend of backends) {
      const x = tensor(logits, { backend, dtype: 'float64' });
      const options = {
        reduction: 'none',
        mask: [
          [true, true, true],
          [true, true, true],
          [false, false, false],
          [true, false, true],
        ],
      } as const;
      const labels = [-100, 1, -100, 2];
      for (const value of wild) {
        const vjp = values(
          crossEntropy.vjp(x, labels, tensor([value, 1, value, 1], { backend, dtype: 'float64' }), options),
        );
        const right = values(crossEntropy.vjp(x, labels, tensor([0, 1, 0, 1], { backend, dtype: 'float64' }), options));
        expect(vjp).toEqual(right);
        expect([...vjp.slice(0, 3), ...vjp.slice(6, 9)]).toEqual([0, 0, 0, 0, 0, 0]);
        const t = [
          [value, value, value],
          [1, 2, 3],
          [value, 1, value],
          [1, value, 2],
        ];
        const calm = t.map((row) => row.map((entry) => (Number.isFinite(entry) ? entry : 0)));
        const [jvp, expected] = [t, calm].map((tangent) =>
          values(crossEntropy.jvp(x, labels, tensor(tangent, { backend, dtype: 'float64' }), options)),
        );
        expect(jvp).toEqual(expected);
      }
      const masked = {
        mask: [
          [true, false, true],
          [false, false, false],
          [true, true, true],
          [true, true, true],
        ],
      };
      const g = tensor([1, Number.NaN, 1, 1], { backend, dtype: 'float64' });
      const slopes = values(logSumExp.vjp(x, g, masked));
      expect([slopes[1], ...slopes.slice(3, 6)]).toEqual([0, 0, 0, 0]);
      expect(slopes.every(Number.isFinite)).toBe(true);
    }
  });
});

test('a target weight of any size or sign makes the loss of a logit of −Infinity infinite, and only a weight of 0 does not', () => {
  for (const backend of backends) {
    const x = tensor([[0, Number.NEGATIVE_INFINITY, -1]], { backend, dtype: 'float64' });
    for (const size of [1, 2 ** -520, 2 ** -600, 2 ** -1074, 0]) {
      for (const sign of [1, -1]) {
        const target = tensor([[1, size, 0]], { backend, dtype: 'float64' });
        const [loss] = crossEntropy.loss(x, target, { reduction: 'sum', weight: [1, sign, 1] }).dataSync();
        expect([size, sign, Number.isFinite(loss)]).toEqual([size, sign, size === 0]);
        if (size > 0) expect(loss).toBe(sign * Number.POSITIVE_INFINITY);
      }
    }
  }
});

test('an ignoreIndex beyond int32 ignores no class, also where a kernel takes it as int32', () => {
  const [fused] = backends;
  const wrapping = delegate(fused, {
    name: 'wrapping',
    kernels: {
      crossEntropy: (out, x, rows, parameters) =>
        fused.kernels?.crossEntropy?.(out, x, rows, { ...parameters, ignoreIndex: parameters.ignoreIndex | 0 }),
    },
  });
  for (const backend of [...backends, wrapping]) {
    const x = tensor(
      [
        [1, 2, 3],
        [3, 1, 2],
      ],
      { backend, dtype: 'float64' },
    );
    for (const ignoreIndex of [2 ** 32, -(2 ** 32), 2 ** 31, 2 ** 53 - 1]) {
      const loss = values(crossEntropy.loss(x, [0, 1], { ignoreIndex, reduction: 'none' }));
      expectClose(loss, [2.40760596444438, 2.40760596444438], `${ignoreIndex}`);
      expectClose(
        values(crossEntropy.gradient(x, [0, 1], { ignoreIndex, reduction: 'none' })),
        values(crossEntropy.gradient(x, [0, 1], { reduction: 'none' })),
        `${ignoreIndex}`,
      );
    }
  }
});

test('a kernel that declines leaves the call to the basis, also for the loss or the gradient alone', () => {
  const [fused, composed] = backends;
  const declining = delegate(fused, { name: 'declining', kernels: { crossEntropy: () => false } });
  const results = (backend: Backend) => {
    const x = tensor(logits, { backend, dtype: 'float64' });
    const { loss, gradient } = crossEntropy(x, [2, 0, 1, 1]);
    return [loss, gradient, crossEntropy.loss(x, [2, 0, 1, 1]), crossEntropy.gradient(x, [2, 0, 1, 1])].map(values);
  };
  expect(results(declining)).toEqual(results(composed));
});

test.each([null, undefined])('a target of %s is an error that says so', (target) => {
  const [code, message] = failure(() => crossEntropy([[1, 2]], target as never));
  expect([code, message]).toEqual([
    'ERR_DTYPE',
    `crossEntropy: target is ${target}; expected class indices or probabilities`,
  ]);
});

describe('labels beyond int32 that are ignoreIndex', () => {
  const rows = [
    [1, 2, 3],
    [0, 5, 1],
    [3, 1, 2],
    [2, 2, 0],
  ];
  const weight = [1, 0.5, 3];
  const all = (
    target: CrossEntropyTarget,
    { backend = getBackend(), ...options }: CrossEntropyOptions & { backend?: Backend },
  ) => {
    const x = tensor(rows, { backend, dtype: 'float64' });
    const direction = tensor(rows.toReversed(), { backend, dtype: 'float64' });
    const { loss, gradient } = crossEntropy(x, target, options);
    const one = tensor(2, { backend, dtype: 'float64' });
    return [
      loss,
      gradient,
      crossEntropy.loss(x, target, options),
      crossEntropy.gradient(x, target, options),
      crossEntropy.vjp(x, target, one, options),
      crossEntropy.jvp(x, target, direction, options),
      crossEntropy.hvp(x, target, one, direction, options),
    ].map(values);
  };

  test.each([2 ** 31, 2 ** 32, 2 ** 32 + 1, -(2 ** 31) - 1, -(2 ** 40), Number.MAX_SAFE_INTEGER])(
    'have the results of -100: %d',
    (ignoreIndex) => {
      for (const backend of backends) {
        for (const options of [{}, { weight }, { labelSmoothing: 0.1, reduction: 'sum' }] as const) {
          const expected = all([2, -100, 0, -100], { ...options, backend });
          const labels = [2, ignoreIndex, 0, ignoreIndex];
          expect(all(labels, { ...options, backend, ignoreIndex })).toEqual(expected);
          expect(all({ data: labels, shape: [4] }, { ...options, backend, ignoreIndex })).toEqual(expected);
        }
      }
    },
  );

  test('are taken from typed arrays that hold them, and for inner rows', () => {
    const ignoreIndex = 2 ** 32 - 1;
    expect(all(Uint32Array.of(2, -1, 0, -1), { ignoreIndex })).toEqual(all([2, -100, 0, -100], {}));
    const options = { axis: 1, reduction: 'none' } as const;
    const x = tensor([rows], { dtype: 'float64' });
    const loss = (target: CrossEntropyTarget, ignored: number) =>
      values(crossEntropy.loss(x, target, { ...options, ignoreIndex: ignored }));
    expect(loss([[3, ignoreIndex, 0]], ignoreIndex)).toEqual(loss([[3, -100, 0]], -100));
  });

  test.each([
    [[0, -1], 'target 1 is class -1; expected 0 to 2 or ignoreIndex 4294967296'],
    [
      [4294967296, 3],
      'target 1 is class 3; expected 0 to 2 or ignoreIndex 4294967296; if these count from 1, take 1 off',
    ],
    [[0, -4294967296], 'target 1 is class -4294967296; expected 0 to 2 or ignoreIndex 4294967296'],
  ])('do not make others valid: %j', (target, message) => {
    const x = tensor(rows.slice(0, 2));
    expect(failure(() => crossEntropy(x, target, { ignoreIndex: 2 ** 32 }))).toEqual([
      'ERR_VALUE',
      `crossEntropy: ${message}`,
    ]);
  });

  test('pass gradcheck', async () => {
    const x = tensor(rows, { dtype: 'float64' });
    const target = [2, 2 ** 40, 0, 2 ** 40];
    expect(await gradcheck(crossEntropy, x, { target, ignoreIndex: 2 ** 40 })).toMatchObject({ ok: true, checked: 12 });
  });
});

test('weights and class indices that are not numbers are errors that name them', () => {
  const x = tensor([[1, 2, 3]]);
  for (const [value, words] of [
    ['1', 'the text "1"'],
    [null, 'null'],
    [true, 'true'],
    [[1], 'an array of 1 entry'],
    [new Date(0), 'an object (Date)'],
    [1n, 'bigint'],
    [undefined, 'undefined'],
  ]) {
    expect(failure(() => crossEntropy(x, [0], { weight: [1, value, 1] as never }))).toEqual([
      'ERR_DTYPE',
      `crossEntropy: weight[1] is ${words}; expected a number`,
    ]);
  }
  for (const [target, found] of [
    [[true], 'booleans'],
    [{ data: [true], shape: [1] }, 'booleans'],
    [[0.5], 'an array with 0.5'],
    [{ data: [Number.NaN], shape: [1] }, 'an array with NaN'],
    [{ data: new Float32Array([2]), shape: [1] }, 'a Float32Array'],
  ] as const) {
    expect(failure(() => crossEntropy(x, target as never))).toEqual([
      'ERR_DTYPE',
      `crossEntropy: target is ${found} (1,): class indices are integers: pass an array such as [0, 2], an Int32Array, or a tensor of dtype 'int32'`,
    ]);
  }
});

describe('a mean over class weights that add up to 0', () => {
  const given = [
    [1, 2],
    [3, 1],
  ];
  const t = [
    [0.5, -1],
    [2, 1],
  ];
  const target = [0, 1];
  const dtypes = ['float32', 'float64'] as const;
  const all = async (
    weight: readonly number[],
    dtype: (typeof dtypes)[number],
    kernels: boolean,
    more: CrossEntropyOptions = {},
  ) => {
    const right = await exact.open();
    const backend = kernels ? right : delegate(right, { kernels: {} });
    const x = tensor(given, { backend, dtype });
    const options = { weight, ...more };
    const { loss, gradient } = crossEntropy(x, target, options);
    const derivatives = [
      gradient,
      crossEntropy.gradient(x, target, options),
      crossEntropy.vjp(x, target, 1.5, options),
      crossEntropy.hvp(x, target, 1.5, t, options),
      crossEntropy.jvp(x, target, t, options),
    ];
    const losses = [loss, crossEntropy.loss(x, target, options)];
    return [losses, derivatives].map((tensors) => tensors.flatMap((one) => [...one.dataSync()]));
  };

  test.each(dtypes)('is not finite, nor is a derivative, where the weights cancel: %s', async (dtype) => {
    for (const kernels of [true, false]) {
      for (const more of [{}, { labelSmoothing: 0.1 }, { temperature: 2 }]) {
        expect((await all([1, -1], dtype, kernels, more)).flat().filter(Number.isFinite)).toEqual([]);
      }
    }
  });

  test.each(dtypes)('is over nothing where all are 0, as if every row were ignored: %s', async (dtype) => {
    for (const kernels of [true, false]) {
      const [losses, derivatives] = await all([0, 0], dtype, kernels);
      expect(losses).toEqual([Number.NaN, Number.NaN]);
      expect(derivatives.map(Math.abs)).toEqual(derivatives.map(() => 0));
    }
  });
});

test('a result of softmax in place of the logits is an error, because softmax would be applied twice', async () => {
  const x = tensor([[1, 2, 3]]);
  const calls: readonly (readonly [string, (of: Tensor) => unknown])[] = [
    ['crossEntropy', (of) => crossEntropy(of, [0])],
    ['crossEntropy.loss', (of) => crossEntropy.loss(of, [[1, 0, 0]])],
    ['crossEntropy.gradient', (of) => crossEntropy.gradient(of, [0])],
    ['crossEntropy.vjp', (of) => crossEntropy.vjp(of, [0], 1)],
    ['crossEntropy.jvp', (of) => crossEntropy.jvp(of, [0], x)],
    ['crossEntropy.hvp', (of) => crossEntropy.hvp(of, [0], 1, x)],
  ];
  for (const [operation, call] of calls) {
    for (const [maker, probabilities] of [
      ['softmax', softmax(x)],
      ['softmin', softmin(x)],
    ] as const) {
      expect(failure(() => call(probabilities))).toEqual([
        'ERR_VALUE',
        `${operation}: logits were made by ${maker}; pass the logits themselves, because crossEntropy applies softmax to them`,
      ]);
    }
    // Log-softmax of log-probabilities changes nothing, and numbers without a history may be logits.
    for (const given of [logSoftmax(x), sigmoid(x), tensor(await softmax(x).data(), { shape: [1, 3] })]) {
      expect(() => call(given)).not.toThrow();
    }
  }
});

test('log-probabilities as the target are refused where it is known that they are', () => {
  const x = tensor(logits.slice(0, 1));
  for (const call of [(q: Tensor) => crossEntropy.loss(x, q), (q: Tensor) => crossEntropy.gradient(x, q)]) {
    expect(failure(() => call(logSoftmax(x)))[1]).toMatch(
      /^crossEntropy\.\w+: target was made by logSoftmax; expected probabilities, as softmax gives them$/,
    );
    expect(() => call(softmax(x))).not.toThrow();
  }
});

describe('the options of cross-entropy have a domain', () => {
  const x = () => tensor(logits.slice(0, 2));

  test('label smoothing is from 0 to 1, both included', () => {
    for (const labelSmoothing of [0, 1]) expect(() => crossEntropy(x(), [0, 1], { labelSmoothing })).not.toThrow();
    for (const labelSmoothing of [-0.01, 1.01, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(failure(() => crossEntropy(x(), [0, 1], { labelSmoothing }))).toEqual([
        'ERR_VALUE',
        `crossEntropy: labelSmoothing ${labelSmoothing}; expected 0 to 1`,
      ]);
    }
  });

  test('ignoreIndex is an integer, reduction one of three', () => {
    expect(failure(() => crossEntropy(x(), [0, 1], { ignoreIndex: 0.5 }))).toEqual([
      'ERR_VALUE',
      'crossEntropy: ignoreIndex 0.5; expected an integer',
    ]);
    expect(failure(() => crossEntropy(x(), [0, 1], { reduction: 'avg' as never }))).toEqual([
      'ERR_VALUE',
      "crossEntropy: reduction 'avg'; expected 'mean', 'sum' or 'none'",
    ]);
  });

  test('temperature is finite and above 0', () => {
    for (const temperature of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(failure(() => crossEntropy(x(), [0, 1], { temperature }))).toEqual([
        'ERR_VALUE',
        `crossEntropy: temperature ${temperature}; expected a finite number above 0`,
      ]);
    }
  });

  test('weight has one finite number a class', () => {
    expect(failure(() => crossEntropy(x(), [0, 1], { weight: [1, 2] }))).toEqual([
      'ERR_SHAPE',
      'crossEntropy: weight has 2 entries for 3 classes',
    ]);
    expect(failure(() => crossEntropy(x(), [0, 1], { weight: Float32Array.of(1, 2, Number.NaN) }))).toEqual([
      'ERR_VALUE',
      'crossEntropy: weight[2] is NaN; expected a finite number',
    ]);
    // 1e39 is finite, and not in float32.
    expect(failure(() => crossEntropy(x(), [0, 1], { weight: [1e39, 1, 1] }))).toEqual([
      'ERR_VALUE',
      'crossEntropy: weight[0] is 1e+39; expected a finite number',
    ]);
  });

  test('probabilities are used as they are: negative ones, rows that do not add up to 1, and NaN', () => {
    for (const backend of backends) {
      const x = tensor([[0.5, -1, 2]], { backend, dtype: 'float64' });
      const target = [-0.5, 2, 0.25];
      const logs = logSoftmax(x).dataSync();
      const p = softmax(x).dataSync();
      const { loss, gradient } = crossEntropy(x, [target]);
      expect(loss.dataSync()[0]).toBeCloseTo(-target.reduce((sum, q, k) => sum + q * logs[k], 0), 14);
      gradient.dataSync().forEach((g, k) => {
        expect(g).toBeCloseTo(p[k] * 1.75 - target[k], 14);
      });
      const unknown = crossEntropy(x, [[Number.NaN, 0, 1]]);
      expect([...unknown.loss.dataSync(), ...unknown.gradient.dataSync()]).toEqual(new Array(4).fill(Number.NaN));
    }
  });

  test('out is two tensors, of the shapes of the loss and the logits', async () => {
    const input = tensor([[1, 2]]);
    const one = tensor([[0, 0]]);
    expect(failure(() => crossEntropy(input, [0], { out: { loss: one, gradient: one } }))).toEqual([
      'ERR_VALUE',
      'crossEntropy: out.loss and out.gradient are one tensor; expected two',
    ]);
    expect(failure(() => crossEntropy(input, [0], { out: { los: one } as never }))).toEqual([
      'ERR_VALUE',
      "crossEntropy: out: unknown option 'los' (did you mean 'loss'?); expected one of loss, gradient",
    ]);
    for (const [out, found] of [
      [one, 'a tensor'],
      [[one, one], 'an array of 2 entries'],
      [null, 'null'],
      [1, '1'],
    ] as const) {
      expect(failure(() => crossEntropy(input, [0], { out: out as never }))).toEqual([
        'ERR_VALUE',
        `crossEntropy: out is ${found}; expected an object with loss, gradient`,
      ]);
    }
    const float64 = tensor([[1, 2]], { dtype: 'float64' });
    for (const [out, code, found] of [
      [{ loss: one }, 'ERR_SHAPE', 'out.loss is (1, 2), expected ()'],
      [{ gradient: empty([]) }, 'ERR_SHAPE', 'out.gradient is (), expected (1, 2)'],
      [
        { loss: [0] as never },
        'ERR_DTYPE',
        'out.loss is an array of 1 entry, expected a tensor: make one with tensor(…)',
      ],
      [{ gradient: float64 }, 'ERR_DTYPE', 'out.gradient is float64, expected float32 like the other operand'],
    ] as const) {
      expect(failure(() => crossEntropy(input, [0], { out }))).toEqual([code, `crossEntropy: ${found}`]);
    }
    const dtype = 'float64';
    const expected = crossEntropy(tensor([[1, 2]], { backend: backends[0], dtype }), [0]);
    for (const backend of backends) {
      const x = tensor([[1, 2]], { backend, dtype });
      const loss = tensor(7, { backend, dtype });
      const gradient = tensor([[7, 7]], { backend, dtype });
      const result = crossEntropy(x, [0], { out: { loss, gradient } });
      expect(result.loss).toBe(loss);
      expect(result.gradient).toBe(gradient);
      expectClose(values(loss), values(expected.loss), 'loss');
      expectClose(values(gradient), values(expected.gradient), 'gradient');
      expect(crossEntropy(x, [0], { out: { gradient } }).gradient).toBe(gradient);
      expect(crossEntropy(x, [0], { out: {} }).loss).not.toBe(loss);
      const empty = tensor(new Float64Array(0), { shape: [0, 2], backend });
      const nothing = crossEntropy(empty, Int32Array.of(), { out: { loss } });
      expect(nothing.loss).toBe(loss);
      expect(values(loss)).toEqual([Number.NaN]);
    }
  });
});

describe('a target that fits is found by shape and dtype, one that does not is refused', () => {
  const x = () =>
    tensor([
      [1, 2, 3],
      [3, 1, 2],
    ]);
  const neither = 'expected class indices (2,) or probabilities (2, 3)';
  const reshaped = '; the same entries in that shape are { data, shape: [2] }, with flat data';

  test.each([
    ['nested arrays of another shape', [[1, 2]], 'ERR_SHAPE', `target is (1, 2); ${neither}${reshaped}`],
    ['as many indices in another shape', [[0], [1]], 'ERR_SHAPE', `target is (2, 1); ${neither}${reshaped}`],
    ['a number', 1, 'ERR_SHAPE', `target is (); ${neither}`],
    ['too many floats', new Float32Array(7), 'ERR_SHAPE', `target is (7,); ${neither}`],
    ['too many integers', new Int32Array(7), 'ERR_SHAPE', `target is (7,); ${neither}`],
  ] as const)('%s', (_what, target, code, message) => {
    expect(failure(() => crossEntropy(x(), target as never))).toEqual([code, `crossEntropy: ${message}`]);
  });

  test.each([
    [
      'a tensor of booleans',
      () => tensor([true, false]),
      'ERR_DTYPE',
      'target is bool; expected int32 class indices or float probabilities',
    ],
    [
      'int32 of another shape',
      () => tensor([[0, 1]], { dtype: 'int32' }),
      'ERR_SHAPE',
      `target is (1, 2); ${neither}${reshaped}`,
    ],
    ['floats of another shape', () => tensor([[0, 1]]), 'ERR_SHAPE', `target is (1, 2); ${neither}${reshaped}`],
    [
      'floats of another dtype',
      () =>
        tensor(
          [
            [0, 1, 0],
            [1, 0, 0],
          ],
          { dtype: 'float64' },
        ),
      'ERR_DTYPE',
      "target is float64, expected float32 like the other operand: await x.to('float32')",
    ],
    [
      'indices on another instance',
      () => tensor([0, 1], { dtype: 'int32', backend: backends[1] }),
      'ERR_BACKEND_MISMATCH',
      'target lives on composed, not on exact; move it with await x.to(backend)',
    ],
  ] as const)('%s', (_what, target, code, message) => {
    expect(failure(() => crossEntropy(x(), target()))).toEqual([code, `crossEntropy: ${message}`]);
  });

  test('a disposed tensor', () => {
    const target = tensor([0, 1], { dtype: 'int32' });
    target.dispose();
    expect(failure(() => crossEntropy(x(), target))).toEqual([
      'ERR_DISPOSED',
      'crossEntropy: target (2,) was disposed',
    ]);
  });

  test('flat typed arrays are indices if they are integers and as many as rows, else probabilities', () => {
    const flat = [0.2, 0.3, 0.5, 1, 0, 0];
    const nested = [flat.slice(0, 3), flat.slice(3)];
    const expected = values(crossEntropy.loss(x(), nested));
    expect(values(crossEntropy.loss(x(), Float32Array.from(flat)))).toEqual(expected);
    expect(values(crossEntropy.loss(x(), Float64Array.from(flat)))).toEqual(expected);
    const hot = Int32Array.of(0, 0, 1, 1, 0, 0);
    expect(values(crossEntropy.loss(x(), hot))).toEqual(values(crossEntropy.loss(x(), [2, 0])));
    // One class: as many indices as probabilities.
    const one = tensor([[1], [2]]);
    expect(values(crossEntropy.loss(one, Float32Array.of(1, 1), { reduction: 'none' }))).toEqual([0, 0]);
  });
});

describe('crossEntropy.hvp', () => {
  const x = [
    [1, 2, 3],
    [0, -1, 4],
  ];
  const t = [
    [1, 0, 0],
    [0.5, 2, -1],
  ];
  const read = (one: Tensor) => [...one.dataSync()];

  test('is the Hessian times the tangent: of the mean, of the sum, and of each row by its cotangent', () => {
    const rows = read(crossEntropy.hvp(x, [2, 0], [1, 1], t, { reduction: 'none' }));
    const sum = read(crossEntropy.hvp(x, [2, 0], 1, t, { reduction: 'sum' }));
    expect(sum).toEqual(rows);
    expect(read(crossEntropy.hvp(x, [2, 0], 1, t))).toEqual(sum.map((value) => value / 2));
    const [first, second] = [rows.slice(0, 3), rows.slice(3)];
    const weighed = read(crossEntropy.hvp(x, [2, 0], [2, -4], t, { reduction: 'none' }));
    expect(weighed).toEqual([...first.map((value) => 2 * value), ...second.map((value) => -4 * value)]);
  });

  test('depends on the target by the sum of its weights alone', () => {
    const expected = read(crossEntropy.hvp(x, [2, 0], 1, t));
    expect(read(crossEntropy.hvp(x, [0, 1], 1, t))).toEqual(expected);
    expect(read(crossEntropy.hvp(x, [0, 1], 1, t, { labelSmoothing: 0.25 }))).toEqual(expected);
    const doubled = read(crossEntropy.hvp(x, [2, 0], 1, t, { reduction: 'sum', weight: [2, 9, 2] }));
    expect(doubled).toEqual(expected.map((value) => 4 * value));
  });

  test('of weights whose sum is not in the range is a multiple of that of smaller ones', () => {
    const product = (weight: number) => {
      const options = { labelSmoothing: 0.5, weight: [weight, weight, weight], reduction: 'sum' } as const;
      return read(crossEntropy.hvp(tensor(x, { dtype: 'float64' }), [2, 0], 1, t, options));
    };
    expect(product(2 ** 1023)).toEqual(product(1).map((value) => value * 2 ** 1023));
  });

  test('of ignored rows and masked entries is 0, for any logits, cotangent and tangent', () => {
    const wild = [Number.NaN, Number.POSITIVE_INFINITY, 0];
    for (const backend of backends) {
      const made = (values: number[][]) => tensor(values, { backend });
      const upstream = tensor([Number.NaN, 1], { backend });
      const options = { reduction: 'none' } as const;
      const ignored = read(crossEntropy.hvp(made([wild, x[1]]), [-100, 0], upstream, made([wild, t[1]]), options));
      const alone = read(crossEntropy.hvp(made([x[1]]), [0], 1, made([t[1]])));
      expect(ignored).toEqual([0, 0, 0, ...alone]);
      const tangent = made([[Number.NaN, 1, 0], t[1]]);
      const masked = read(crossEntropy.hvp(made(x), [2, 1], 1, tangent, { mask: [[false, true, true]] }));
      expect([masked[0], masked[3]]).toEqual([0, 0]);
      expect(masked.every(Number.isFinite)).toBe(true);
      expect(read(crossEntropy.hvp(made(x), [-100, -100], Number.NaN, made(t)))).toEqual([0, 0, 0, 0, 0, 0]);
    }
  });

  test('refuses a cotangent that is not of the loss, and a tangent that is not of the logits', () => {
    expect(failure(() => crossEntropy.hvp(x, [2, 0], [1, 1], t))).toEqual([
      'ERR_SHAPE',
      'crossEntropy.hvp: cotangent is (2,), expected ()',
    ]);
    expect(failure(() => crossEntropy.hvp(x, [2, 0], 1, [1, 2]))).toEqual([
      'ERR_SHAPE',
      'crossEntropy.hvp: tangent is (2,), expected (2, 3)',
    ]);
  });
});

test('the divisor of a mean keeps what a large weight takes off the sum before it', () => {
  const options = { reduction: 'mean', labelSmoothing: 0, ignoreIndex: -100 } as const;
  for (const weight of [
    [1, 1e16, -1e16],
    [1e16, 1, -1e16],
  ]) {
    const { weight: scaled, scale } = weighting([0, 1, 2], weight, options);
    expect(scaled?.map((value) => value * scale)).toEqual(Float64Array.from(weight));
  }
});

test('the divisor of a mean is the sum of all weights, without the rounding errors of many additions', async () => {
  const rows = 20_000;
  const x = tensor(
    new Float64Array(2 * rows).map((_, k) => (k % 2 ? 0.3 : 0)),
    {
      shape: [rows, 2],
      dtype: 'float64',
      backend: await exact.open(),
    },
  );
  const target = new Int32Array(rows);
  const [plain = 0] = await crossEntropy.loss(x, target).data();
  for (const size of [0.1, 1e-300, 1.1e300]) {
    const [loss = 0] = await crossEntropy.loss(x, target, { weight: [size, size] }).data();
    expect(Math.abs(loss / plain - 1), `weights of ${size}`).toBeLessThan(4 * 2 ** -52);
  }
});
