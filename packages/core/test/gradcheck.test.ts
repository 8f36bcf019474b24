import { describe, expect, test } from 'vitest';
import { counted, liveBuffers } from '../conformance/counted.js';
import { delegate } from '../conformance/delegate.js';
import { exact } from '../conformance/index.js';
import {
  type Backend,
  crossEntropy,
  type DType,
  type GradcheckOptions,
  gradcheck,
  gradgradcheck,
  logSoftmax,
  logSumExp,
  relu,
  setBackend,
  sigmoid,
  softmax,
  softmin,
  type Tensor,
  tensor,
} from '../src/index.js';
import { minimal } from './minimal-backend.js';

const backend = await exact.open();
const double = (values: number[][]) => tensor(values, { backend, dtype: 'float64' });
const rows = [
  [0.3, -1.2, 2.5, 0.1],
  [4, 3.5, -7, 0],
  [-0.5, 0.25, 1, -3],
];

describe('a report as a text', () => {
  const square = (vjp: (x: number) => number) => ({
    name: 'square',
    forward: (x: Float64Array) => x.map((v) => v * v),
    vjp: (x: Tensor) => double([Array.from(x.dataSync(), vjp)]),
  });
  const x = [[1, 2, 3]];
  const cotangent = double([[1, 1, 1]]);
  const textOf = async (vjp: (x: number) => number, options: GradcheckOptions = {}) =>
    String(await gradcheck(square(vjp), double(x), { cotangent, ...options }));

  test('says in one line how many entries agree, or what the first one is that does not', async () => {
    expect(await textOf((v) => 2 * v)).toMatch(
      /^square on exact in float64: ok, 3 of 3 entries compared, errors up to \d\.\d\de-\d+$/,
    );
    expect(await textOf((v) => (v === 1 ? 2 : v))).toMatch(
      /^square on exact in float64: not ok, 3 of 3 entries compared, 2 wrong: ∂⟨g, f⟩\/∂x\[1\] is 2 from vjp, (4|3\.9{6,}\d|4\.0{6,}\d) ± \d\.\d\de-8 from differences \(g: your cotangent\)$/,
    );
    expect(await textOf((v) => v, { entries: [2] })).toMatch(
      /1 of 1 entries compared, 1 wrong: ∂⟨g, f⟩\/∂x\[2\] is 3 from vjp, .* ± [^ ]* from differences \(.*\)$/,
    );
    expect(await textOf((v) => 2 * v, { entries: [] })).toBe(
      'square on exact in float64: not ok, 0 of 0 entries compared',
    );
  });

  test('names the derivative that is compared, and whose directions it has', async () => {
    const wrong = { ...square((v) => v), hvp: (x: Tensor) => x };
    const [one, two] = [{ entries: [0] }, { entries: [0], cotangent }];
    const [ofDefault, ofCaller] = ['g: the default cotangent of pseudo-random numbers', 'g: your cotangent'];
    const tangent = 't: the default tangent of pseudo-random numbers';
    for (const [report, entry, which] of [
      [await gradcheck(wrong, double(x), one), '∂⟨g, f⟩/∂x[0] is 1 from vjp', ofDefault],
      [await gradcheck(wrong, double(x), two), '∂⟨g, f⟩/∂x[0] is 1 from vjp', ofCaller],
      [await gradgradcheck(wrong, double(x), one), '∂²⟨g, f⟩/∂t∂x[0] is 1 from hvp', `${ofDefault}, ${tangent}`],
      [await gradgradcheck(wrong, double(x), two), '∂²⟨g, f⟩/∂t∂x[0] is 1 from hvp', `${ofCaller}, ${tangent}`],
      [
        await gradgradcheck(wrong, double(x), { ...one, tangent: cotangent }),
        '∂²⟨g, f⟩/∂t∂x[0] is 1 from hvp',
        `${ofDefault}, t: your tangent`,
      ],
    ] as const) {
      const { numeric, tolerance } = report.entries[0];
      expect(String(report)).toBe(
        `square on exact in float64: not ok, 1 of 1 entries compared, 1 wrong: ${entry}, ${Number(numeric.toPrecision(12))} ± ${tolerance.toPrecision(3)} from differences (${which})`,
      );
    }
  });

  test('says why an entry could not be compared', async () => {
    const report = await gradcheck(softmax, double([[Number.NEGATIVE_INFINITY]]));
    expect(String(report)).toBe(
      `softmax on exact in float64: not ok, 0 of 1 entries compared; x[0] not compared: ${report.entries[0].reason}`,
    );
  });

  test('counts the entries that are wrong without those that could not be compared, and says why of one of these', async () => {
    const of = {
      ...square((v) => 2 * v),
      forward: (at: Float64Array) => at.map((v) => (v > 2.5 ? Math.sqrt(3 - v) : v > 0 ? v * v : 0)),
    };
    const without = Number.NEGATIVE_INFINITY;
    const cotangent = double([[1, 1, 1, 1]]);
    const textAt = async (at: number[]) => String(await gradcheck(of, double([at]), { cotangent }));
    const why = 'forward is not finite near x, or its points coincide';
    expect(await textAt([1, without, 2, without])).toMatch(
      /: ok, 2 of 4 entries compared, errors up to \S+; 2 not compared, such as x\[1\]: x is −Infinity there$/,
    );
    expect(await textAt([1, without, 2, 3])).toMatch(
      new RegExp(`: not ok, 2 of 4 entries compared; 2 not compared, such as x\\[3\\]: ${why}$`),
    );
    expect(await textAt([1, 2, 2.75, 3])).toMatch(
      new RegExp(
        `: not ok, 3 of 4 entries compared, 1 wrong: ∂⟨g, f⟩/∂x\\[2\\] is 5.5 from vjp, -\\S+ ± \\S+ from differences \\(g: your cotangent\\); x\\[3\\] not compared: ${why}$`,
      ),
    );
  });

  test('adds nothing to the data', async () => {
    const report = await gradcheck(softmax, double(rows));
    const names = ['name', 'backend', 'dtype', 'ok', 'checked', 'maxError', 'entries'];
    expect(Object.keys(report)).toEqual(names);
    expect(Object.keys(structuredClone(report))).toEqual(names);
  });
});

describe('gradcheck agrees with every derivative that core has', () => {
  const operations = { softmax, softmin, logSoftmax, logSumExp };

  test.for(Object.entries(operations))('%s, over both axes, with temperature and mask', async ([, operation]) => {
    const mask = [[true, true, false, true]];
    for (const options of [{}, { axis: 0 }, { temperature: 0.05 }, { temperature: 3, mask }]) {
      const report = await gradcheck(operation, double(rows), options);
      expect(report).toMatchObject({ ok: true, checked: 12, backend: 'exact', dtype: 'float64' });
      expect(report.maxError).toBeLessThan(1e-9);
    }
  });

  test('sigmoid and relu', async () => {
    expect(await gradcheck(sigmoid, double(rows))).toMatchObject({ name: 'sigmoid', ok: true, checked: 12 });
    expect(await gradcheck(relu, double(rows))).toMatchObject({ name: 'relu', ok: true, checked: 12 });
  });

  test('crossEntropy with class indices, probabilities, smoothing, weights and every reduction', async () => {
    const soft = [
      [0.1, 0.2, 0.3, 0.4],
      [1, 0, 0, 0],
      [0.25, 0.25, 0.25, 0.25],
    ];
    const weight = [1, 2, 0.5, 3];
    for (const options of [
      { target: [3, 0, 1] },
      { target: Int32Array.of(3, -100, 1), labelSmoothing: 0.1, weight },
      { target: soft, reduction: 'sum', weight },
      { target: tensor(soft, { backend, dtype: 'float64' }), reduction: 'none', temperature: 2 },
      { target: tensor(Int32Array.of(3, 0, 1), { backend }), reduction: 'none' },
    ] as const) {
      expect(await gradcheck(crossEntropy, double(rows), options)).toMatchObject({ ok: true, checked: 12 });
    }
  });

  test('in float32 and float16, and on a backend without float64', async () => {
    const here = await minimal.open();
    expect(await gradcheck(softmax, tensor(rows, { backend: here }))).toMatchObject({
      backend: 'mine',
      dtype: 'float32',
      ok: true,
    });
    const half = tensor(rows, { backend, dtype: 'float16' });
    expect(await gradcheck(logSoftmax, half)).toMatchObject({ dtype: 'float16', ok: true });
  });

  test('where all logits are far from 0', async () => {
    const far = double([[10000.5, 9998, 10001.25]]);
    expect((await gradcheck(softmax, far)).maxError).toBeLessThan(1e-10);
  });
});

describe('gradcheck detects mistakes', () => {
  const forward = (x: Float64Array) => x.map((value) => value ** 3);
  const cube = (slope: (x: number) => number) => ({
    name: 'cube',
    forward,
    vjp(x: Tensor, g: Tensor) {
      const cotangent = g.dataSync();
      return tensor(
        x.dataSync().map((value, i) => cotangent[i] * slope(value)),
        { backend, shape: x.shape },
      );
    },
  });

  test('a right derivative of a function of your own passes, a wrong one fails entry by entry', async () => {
    const x = double([[1, 2, -3]]);
    expect(
      await gradcheck(
        cube((v) => 3 * v * v),
        x,
      ),
    ).toMatchObject({ name: 'cube', ok: true, checked: 3 });
    const report = await gradcheck(
      cube((v) => 3 * v),
      x,
    );
    expect(report.ok).toBe(false);
    expect(report.entries.map(({ ok }) => ok)).toEqual([true, false, false]);
    expect(report.entries[1].error).toBeGreaterThan(report.entries[1].tolerance);
  });

  test('a derivative that is NaN fails', async () => {
    expect(
      (
        await gradcheck(
          cube(() => Number.NaN),
          double([[1, 2]]),
        )
      ).ok,
    ).toBe(false);
  });

  test('the summed rows of the Jacobian, which are 0 for every input', async () => {
    const zeros = {
      name: 'summed rows',
      forward: (x: Float64Array) => {
        const e = x.map(Math.exp);
        const sum = e.reduce((a, b) => a + b, 0);
        return e.map((value) => value / sum);
      },
      vjp: (x: Tensor) => tensor(new Float64Array(x.size), { backend, shape: x.shape }),
    };
    expect((await gradcheck(zeros, double([[1, 2, 3]]))).ok).toBe(false);
  });

  test('only the entries asked for are checked', async () => {
    const report = await gradcheck(
      cube((v) => (v === 2 ? 12 : 0)),
      double([[1, 2, 3]]),
      { entries: [1] },
    );
    expect(report).toMatchObject({ ok: true, checked: 1, entries: [{ index: 1 }] });
  });

  test.each([2, -1, 0.5])('entry %d, which x does not have, is refused', async (index) => {
    const report = gradcheck(softmax, double([[1, 2]]), { entries: [0, index] });
    await expect(report).rejects.toMatchObject({ code: 'ERR_VALUE', message: expect.stringContaining(`${index}`) });
  });

  test('the cotangent given is the one used', async () => {
    const cotangent = double([[0, 1, 0]]);
    const { entries } = await gradcheck(
      cube((v) => 3 * v * v),
      double([[1, 2, 3]]),
      { cotangent },
    );
    expect(entries.map(({ numeric }) => Math.round(numeric))).toEqual([0, 12, 0]);
    expect(cotangent.disposed).toBe(false);
  });
});

describe('at points without a derivative', () => {
  test('at a kink every slope between those on both sides is right', async () => {
    const report = await gradcheck(relu, double([[0, -0, 1e-9, -1e-9]]));
    expect(report).toMatchObject({ ok: true, checked: 4 });
    const steep = { ...reluWithSlope(2), name: 'steep' };
    expect((await gradcheck(steep, double([[0, 1]]))).entries.map(({ ok }) => ok)).toEqual([false, true]);
  });

  test('−Infinity is listed and not compared; a check without comparisons fails', async () => {
    const x = double([[0, Number.NEGATIVE_INFINITY, 1]]);
    const report = await gradcheck(softmax, x);
    expect(report).toMatchObject({ ok: true, checked: 2 });
    expect(report.entries[1]).toMatchObject({ analytic: 0, numeric: Number.NaN, ok: true });
    expect(await gradcheck(softmax, x, { entries: [1] })).toMatchObject({ ok: false, checked: 0 });
  });

  test('a logit of −Infinity is taken for the limit: the others are right', async () => {
    const x = double([[1, Number.NEGATIVE_INFINITY, 3]]);
    const cotangent = double([[0.3, 0.5, -0.2]]);
    for (const temperature of [0.5, 1, 3]) {
      for (const f of [softmax, logSoftmax]) {
        const report = await gradcheck(f, x, { cotangent, temperature });
        expect(report).toMatchObject({ ok: true, checked: 2 });
      }
      expect(await gradcheck(logSumExp, x, { temperature })).toMatchObject({ ok: true, checked: 2 });
    }
    const { entries } = await gradcheck(logSoftmax, x, { cotangent });
    expect(entries[0].numeric).toBeCloseTo(0.2284782467, 9);
    expect(entries.map((entry) => 'reason' in entry)).toEqual([false, true, false]);
  });

  test('a loss of +Infinity has no slopes, and the check fails', async () => {
    const x = double([[1, Number.NEGATIVE_INFINITY, 3]]);
    expect(await gradcheck(crossEntropy, x, { target: [0] })).toMatchObject({ ok: true, checked: 2 });
    const report = await gradcheck(crossEntropy, x, { target: [1] });
    expect(report).toMatchObject({ ok: false, checked: 0 });
    expect(report.entries[0].reason).toBe('output 0 of forward is Infinity, which has no difference quotient');
  });

  test('NaN and +Infinity are refused, so is crossEntropy without a target', async () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
      await expect(gradcheck(softmax, double([[value, 1]]))).rejects.toMatchObject({ code: 'ERR_VALUE' });
    }
    await expect(gradcheck(crossEntropy, double([[1, 2]]))).rejects.toMatchObject({ code: 'ERR_VALUE' });
    await expect(gradcheck({} as never, double([[1, 2]]))).rejects.toMatchObject({ code: 'ERR_VALUE' });
  });

  /** relu that claims another slope at 0. */
  function reluWithSlope(atZero: number) {
    return {
      kinks: [0],
      forward: (x: Float64Array) => x.map((value) => Math.max(value, 0)),
      vjp(x: Tensor, g: Tensor) {
        const cotangent = g.dataSync();
        const slopes = x.dataSync().map((value, i) => cotangent[i] * (value > 0 ? 1 : atZero));
        return tensor(slopes, { backend, shape: x.shape });
      },
    };
  }
});

describe('the tolerance of gradcheck', () => {
  /** f = scale · x², whose derivative is claimed too large by a share of itself. */
  const squares = (scale: number, share: number) => ({
    name: 'squares',
    forward: (x: Float64Array) => x.map((value) => scale * value * value),
    vjp(x: Tensor, g: Tensor) {
      const cotangent = g.dataSync();
      const slopes = x.dataSync().map((value, i) => cotangent[i] * 2 * scale * value * (1 + share));
      return tensor(slopes, { backend, shape: x.shape, dtype: x.dtype });
    },
  });
  /** A constant function with a claimed slope. */
  const constant = (value: number, slope: number) => ({
    name: 'constant',
    forward: (x: Float64Array) => x.map(() => value),
    vjp: (x: Tensor) => tensor(new Float64Array(x.size).fill(slope), { backend, shape: x.shape, dtype: x.dtype }),
  });

  test.each([
    ['float64', 0.97e-8, 1.03e-8],
    ['float32', 1.97e-5, 2.03e-5],
    ['float16', 4.4e-3, 5.6e-3],
  ] as const)('in %s lets a slope be off by a share of %f of itself, and not by %f', async (dtype, within, beyond) => {
    const x = tensor([[-1, 0.5, 2]], { backend, dtype });
    // 4000 leaves the rounding of the cotangent no part in the bound, and 2 · 4000 · 2 in float16's range.
    const cotangent = tensor([[0.5, -0.25, 1]], { backend, dtype });
    const check = (share: number, tolerance?: number) =>
      gradcheck(squares(4000, share), x, tolerance === undefined ? { cotangent } : { cotangent, tolerance });
    for (const sign of [1, -1]) {
      expect(await check(sign * within)).toMatchObject({ ok: true, checked: 3 });
      const wrong = await check(sign * beyond);
      expect(wrong.ok).toBe(false);
      // The bound is relative to each slope, whatever the others are.
      expect(wrong.entries.map(({ ok }) => ok)).toEqual([false, false, false]);
      expect(await check(sign * beyond, 2 * beyond)).toMatchObject({ ok: true });
      expect(await check(sign * within, within / 2)).toMatchObject({ ok: false });
    }
  });

  test('finds a slope of softmax that is off by 0.1 % in float32 and float64', async () => {
    for (const dtype of ['float32', 'float64'] as const) {
      const vjp = (share: number) => (x: Tensor, g: Tensor) => {
        const right = softmax.vjp(softmax(x), g).dataSync();
        return tensor(
          right.map((value) => value * (1 + share)),
          { backend, shape: x.shape, dtype },
        );
      };
      const forward = (x: Float64Array) => {
        const e = x.map((value) => Math.exp(value - 4));
        return e.map((value) => value / e.reduce((a, b) => a + b));
      };
      const x = tensor([[0.3, -1.2, 2.5, 0.1]], { backend, dtype });
      const check = async (share: number) => (await gradcheck({ name: 'scaled', forward, vjp: vjp(share) }, x)).ok;
      expect([await check(0), await check(1e-3), await check(-1e-3)]).toEqual([true, false, false]);
    }
  });

  test.each([
    ['float64', 2 ** -53],
    ['float32', 2 ** -24],
    ['float16', 2 ** -11],
  ] as const)('of slopes that are 0 is 64 roundings of the cotangent in %s', async (dtype, rounding) => {
    const x = tensor([[1, 2]], { backend, dtype });
    const cotangent = tensor([[0.5, -2]], { backend, dtype });
    const check = async (roundings: number) =>
      (await gradcheck(constant(0, 2 * roundings * rounding), x, { cotangent })).ok;
    expect([await check(63), await check(-63), await check(65), await check(-65)]).toEqual([true, true, false, false]);
  });

  test('leaves room for the rounding of the values, which a short step makes large', async () => {
    const cotangent = double([[0.5, -2]]);
    const values = 2 ** 20;
    for (const step of [2 ** -10, 2 ** -16]) {
      const noise = (2 ** -50 * Math.hypot(0.5, 2) * values) / step + 64 * 2 ** -53 * 2;
      const check = async (slope: number) => {
        const report = await gradcheck(constant(values, slope), double([[1, 2]]), { cotangent, step });
        return report.entries[0];
      };
      const [within, beyond] = [await check(0.999 * noise), await check(1.001 * noise)];
      expect([within.ok, beyond.ok]).toEqual([true, false]);
      expect(within.tolerance / noise).toBeCloseTo(1, 12);
      expect(within.reason).toBe("hidden by the rounding of the function's values");
    }
  });

  test('ignores values that are not finite, which no rounding makes', async () => {
    const withInfinity = {
      ...constant(0, 65 * 2 ** -53),
      forward: (x: Float64Array) => x.map((_, i) => [0, Number.NEGATIVE_INFINITY][i]),
    };
    const report = await gradcheck(withInfinity, double([[1, 2]]), { cotangent: double([[1, 1]]) });
    expect(report.ok).toBe(false);
    expect(report.entries.map(({ numeric }) => numeric)).toEqual([0, 0]);
  });
});

describe('the differences of gradcheck', () => {
  const power = (exponent: number) => ({
    name: 'power',
    forward: (x: Float64Array) => x.map((value) => value ** exponent),
    vjp(x: Tensor, g: Tensor) {
      const cotangent = g.dataSync();
      return tensor(
        x.dataSync().map((value, i) => cotangent[i] * exponent * value ** (exponent - 1)),
        { backend, shape: x.shape },
      );
    },
  });
  const slopeOf = async (exponent: number, at: number, step?: number) => {
    const report = await gradcheck(power(exponent), double([[at]]), { cotangent: double([[1]]), step });
    return report.entries[0].numeric;
  };

  test('are exact for x⁴ and leave −h⁴/4 of x⁵, as Richardson’s extrapolation does', async () => {
    expect(await slopeOf(4, 1.5, 0.125)).toBeCloseTo(4 * 1.5 ** 3, 12);
    expect(await slopeOf(5, 1.5, 0.125)).toBeCloseTo(5 * 1.5 ** 4 - 0.125 ** 4 / 4, 12);
  });

  /** The distances from x of the points of the differences; before them, the function is evaluated twice at x and twice beside it. */
  const distances = async (at: number, options: GradcheckOptions) => {
    const seen = new Set<number>();
    let evaluations = 0;
    const forward = (x: Float64Array) => {
      if (++evaluations > 4) seen.add(Math.abs(x[0] - at));
      return x;
    };
    await gradcheck({ ...power(1), forward }, double([[at]]), options);
    return [...seen].sort((a, b) => b - a);
  };

  test('take the step that is asked for, and the shortest one that an entry can hold if that is lost by rounding', async () => {
    const at = 1.5 * 2 ** 24;
    expect(await slopeOf(2, at, 2 ** -10)).toBe(2 * at);
    const golden = (1 + Math.sqrt(5)) / 2;
    const last = at + 2 ** -11 / golden - at;
    expect(await distances(at, { step: 2 ** -10 })).toEqual([2 ** -10, 2 ** -11, last]);
    expect(await distances(1.5 * 2 ** 60, { step: 2 ** -10 })).toEqual([1.5 * 2 ** 12, 1.5 * 2 ** 11, 7 * 2 ** 8]);
  });

  test('begin with a step that a temperature below 1 shortens and one above 1 does not lengthen', async () => {
    for (const [temperature, step] of [
      [undefined, 2 ** -10.4],
      [0.25, 2 ** -12.4],
      [4, 2 ** -10.4],
    ] as const) {
      const [longest] = await distances(1, { temperature });
      expect(longest / step).toBeCloseTo(1, 9);
    }
  });

  test('stay on their side of a kink: half of the way to it at most', async () => {
    const seen: number[] = [];
    const f = {
      name: 'absolute',
      kinks: [-1, 2],
      forward: (x: Float64Array) => {
        seen.push(x[0]);
        return x.map((value) => Math.abs(value - 2) + Math.abs(value + 1));
      },
      vjp: (x: Tensor, g: Tensor) => {
        const [cotangent] = g.dataSync();
        return tensor(
          x.dataSync().map((value) => cotangent * (Math.sign(value - 2) + Math.sign(value + 1))),
          { backend, shape: x.shape },
        );
      },
    };
    for (const [at, distance] of [
      [1.75, 0.125],
      [2.25, 0.125],
      [-1.5, 0.25],
      [-0.75, 0.125],
      [0.5, 0.5],
    ]) {
      seen.length = 0;
      expect(await gradcheck(f, double([[at]]), { step: 0.5 })).toMatchObject({ ok: true });
      expect(Math.max(...seen.map((value) => Math.abs(value - at)))).toBe(distance);
    }
    // At the kink every slope from 0 to 2 is right.
    const claims = (slope: number) => ({
      ...f,
      vjp: (x: Tensor) => tensor(new Float64Array(x.size).fill(slope), { backend, shape: x.shape }),
    });
    const at2 = async (slope: number, sign = 1) => {
      const report = await gradcheck(claims(slope), double([[2]]), { cotangent: double([[sign]]), step: 0.5 });
      return [report.ok, report.entries[0].numeric];
    };
    expect(await at2(0)).toEqual([true, 0]);
    expect(await at2(1)).toEqual([true, 1]);
    expect(await at2(2)).toEqual([true, 2]);
    expect(await at2(2.001)).toEqual([false, 2]);
    expect(await at2(-0.001)).toEqual([false, 0]);
    expect(await at2(-2, -1)).toEqual([true, -2]);
    expect(await at2(0.001, -1)).toEqual([false, 0]);
  });
});

describe('gradcheck', () => {
  test('of nothing compared has no largest error; else it is that of the worst entry', async () => {
    const off = {
      name: 'off',
      forward: (x: Float64Array) => x,
      vjp: (x: Tensor) => tensor([[1, 1.5, 0.75]], { backend, dtype: 'float64', shape: x.shape }),
    };
    const cotangent = double([[1, 1, 1]]);
    const report = await gradcheck(off, double([[1, 2, 3]]), { cotangent });
    expect(report.maxError).toBeCloseTo(0.5, 9);
    expect(report.entries.map(({ index, analytic, ok }) => [index, analytic, ok])).toEqual([
      [0, 1, true],
      [1, 1.5, false],
      [2, 0.75, false],
    ]);
    expect((await gradcheck(off, double([[1, 2, 3]]), { cotangent, entries: [] })).maxError).toBe(Number.NaN);
  });

  test.each([[[Number.NaN, 2, 1]], [[1, Number.NaN, Number.NaN]]])(
    'a derivative of %j is wrong where it is NaN, and the difference quotient says what is right',
    async (derivative) => {
      const f = {
        name: 'identity',
        forward: (x: Float64Array) => x,
        vjp: () => tensor([derivative], { backend, dtype: 'float64' }),
      };
      const report = await gradcheck(f, double([[1, 2, 3]]), { cotangent: double([[1, 2, 1]]) });
      expect(report).toMatchObject({ ok: false, checked: 3, maxError: Number.NaN });
      for (const [i, { analytic, numeric, error, ok, reason }] of report.entries.entries()) {
        expect(reason).toBeUndefined();
        expect(numeric).toBeCloseTo([1, 2, 1][i], 9);
        expect([Number.isNaN(analytic), Number.isNaN(error), ok]).toEqual(
          Number.isNaN(derivative[i]) ? [true, true, false] : [false, false, derivative[i] === [1, 2, 1][i]],
        );
      }
    },
  );

  const scalar = (f: (v: number) => number, derivative: (v: number) => number) => ({
    name: 'scalar',
    forward: (x: Float64Array) => x.map(f),
    vjp: (x: Tensor, g: Tensor) =>
      tensor(
        Array.from(x.view(), (v, i) => derivative(v) * (g.view()[i] ?? Number.NaN)),
        { shape: x.shape, backend, dtype: 'float64' },
      ),
  });
  const steep: readonly (readonly [string, number, (v: number) => number, (v: number) => number])[] = [
    ['1/x', 1e-6, (v) => 1 / v, (v) => -1 / v / v],
    ['1/x²', 1e-5, (v) => 1 / v / v, (v) => -2 / v ** 3],
    ['|x|', 1e-6, Math.abs, Math.sign],
    ['sin 30000x', -1.1, (v) => Math.sin(30000 * v), (v) => 30000 * Math.cos(30000 * v)],
    ['sin 5000x', -1.1, (v) => Math.sin(5000 * v), (v) => 5000 * Math.cos(5000 * v)],
  ];

  test.each(steep)('%s at %d: the step is shortened as far as it has to be', async (_, at, f, derivative) => {
    expect(await gradcheck(scalar(f, derivative), double([[at]]))).toMatchObject({ ok: true, checked: 1 });
    const wrong = scalar(f, (v) => 1.001 * derivative(v));
    expect(await gradcheck(wrong, double([[at]]))).toMatchObject({ ok: false });
  });

  test.each([
    [2 ** -10.4, {}, undefined],
    [2 ** -8, { step: 2 ** -8 }, 'difference quotients with successive steps disagree'],
  ])(
    'an oscillation that has the same phase after a step of %d, its half and its quarter',
    async (step, options, reason) => {
      for (const periods of [1, 3, 8]) {
        const rate = (8 * Math.PI * periods) / step;
        const sine = (factor: number) =>
          scalar(
            (v) => Math.sin(rate * v),
            (v) => factor * rate * Math.cos(rate * v),
          );
        for (const factor of [1, 1.001, 0]) {
          const { ok, entries } = await gradcheck(sine(factor), double([[0.7]]), options);
          expect([ok, entries[0].reason], `${periods} periods, ${factor}`).toEqual([factor === 1 && !reason, reason]);
        }
      }
    },
  );

  describe('at a kink that the function does not name', () => {
    const elu = (v: number) => (v > 0 ? 3 * v : Math.expm1(v));
    const at = async (f: (v: number) => number, x: number, derivative: number, options: GradcheckOptions = {}) => {
      const own = scalar(f, () => derivative);
      const { ok, checked, entries } = await gradcheck(own, double([[x]]), { cotangent: double([[1]]), ...options });
      return { ok, checked, numeric: entries[0].numeric };
    };

    test.each([
      ['|x|', Math.abs, 0, -1, 1],
      ['relu, beyond 0', (v: number) => Math.max(v - 2, 0), 2, 0, 1],
      ['two curves', elu, 0, 1, 3],
      ['−|x|', (v: number) => -Math.abs(v), 0, -1, 1],
    ])('every slope between those of both sides is right: %s', async (_, f, x, low, high) => {
      for (const options of [{}, { step: 2 ** -12, tolerance: 1e-5 }]) {
        for (const derivative of [low, high, (low + high) / 2, low + (high - low) / 3]) {
          expect(await at(f, x, derivative, options)).toMatchObject({ ok: true, checked: 1 });
        }
        const below = await at(f, x, low - 1e-4, options);
        expect(below).toMatchObject({ ok: false, checked: 1 });
        expect(below.numeric).toBeCloseTo(low, 8);
        const above = await at(f, x, high + 1e-4, options);
        expect(above).toMatchObject({ ok: false, checked: 1 });
        expect(above.numeric).toBeCloseTo(high, 8);
      }
    });

    test('a wrong derivative there comes with the slopes of both sides, which the text of the report names', async () => {
      // With a slope of 0 for relu at 0, which PyTorch has, the chain rule gives 0 for this sum of two.
      const bent = (v: number) => Math.max(v, 0) - 0.5 * Math.max(-v, 0);
      const report = async (slope: number, kinks?: readonly number[]) => {
        const own = scalar(bent, (v) => (v === 0 ? slope : v > 0 ? 1 : 0.5));
        return gradcheck({ ...own, ...(kinks && { kinks }) }, double([[0, 2]]), { cotangent: double([[-2, 1]]) });
      };
      for (const kinks of [undefined, [0]]) {
        const wrong = await report(0, kinks);
        expect(wrong).toMatchObject({ ok: false, checked: 2 });
        const [left = Number.NaN, right = Number.NaN] = wrong.entries[0].sides ?? [];
        expect([left, right, wrong.entries[0].numeric]).toEqual([-1, -2, -1].map((v) => expect.closeTo(v, 10)));
        expect(String(wrong)).toMatch(
          new RegExp(
            `x\\[0\\] is 0 from vjp, \\S+ ± \\S+ from differences \\(.*\\); not differentiable there: slopes ${left} and ${right}$`,
          ),
        );
        expect(wrong.entries[1].sides).toBeUndefined();
        expect((await report(0.7, kinks)).ok).toBe(true);
      }
      // A kink that is named, but that the function does not have.
      const smooth = { ...scalar(Math.exp, () => 0), kinks: [0] };
      const text = String(await gradcheck(smooth, double([[0]]), { cotangent: double([[1]]) }));
      expect(text).toMatch(/x\[0\] is 0 from vjp, \S+ ± \S+ from differences \([^)]*\)$/);
    });

    test('a maximum of equal entries gives its gradient to one of them', async () => {
      const pool = (shares: number[]) => ({
        name: 'maximum',
        outputShape: [],
        forward: (x: Float64Array) => [Math.max(...x)],
        vjp: (x: Tensor, g: Tensor) =>
          tensor(
            shares.map((share) => share * g.dataSync()[0]),
            { shape: x.shape, backend, dtype: 'float64' },
          ),
      });
      const oks = async (shares: number[]) =>
        (await gradcheck(pool(shares), double([[3, 1, 3]]))).entries.map(({ ok }) => ok);
      expect(await oks([1, 0, 0])).toEqual([true, true, true]);
      expect(await oks([0.5, 0, 0.5])).toEqual([true, true, true]);
      expect(await oks([1.5, 0.5, -0.5])).toEqual([false, false, false]);
    });

    test.each([
      ['beside a kink', Math.abs, 1e-9],
      ['at a jump', Math.ceil, 1],
      ['where only one side is curved without end', (v: number) => (v > 0 ? Math.sqrt(v) : v), 0],
      ['of a smooth function', Math.exp, 0],
    ])('and not elsewhere: %s', async (_, f, x) => {
      expect(await at(f, x, 0.5)).toMatchObject({ ok: false });
    });

    test('a function that returns something else each time has none', async () => {
      let calls = 0;
      const unsteady = (v: number) => Math.abs(v) + (calls++ < 2 ? calls : 0);
      const own = scalar(unsteady, () => 0.5);
      const report = await gradcheck(own, double([[0]]), { cotangent: double([[1]]) });
      expect(report).toMatchObject({ ok: false, checked: 0 });
      expect(report.entries[0].reason).toBe('output 0 of forward is 1 and then 2 for the same x');
    });

    test('both sides are evaluated only if the derivative would be wrong', async () => {
      let evaluations = 0;
      const counting = (v: number) => {
        evaluations++;
        return v;
      };
      await at(counting, 1, 1);
      expect(evaluations).toBe(4 + 6);
      await at(counting, 1, 2);
      expect(evaluations).toBeGreaterThan(2 * (4 + 6));
    });
  });

  test('a function that is nowhere differentiable says that its quotients disagree', async () => {
    const rough = (v: number) =>
      Array.from({ length: 50 }, (_, k) => 2 ** -k * Math.sin(8 ** k * v)).reduce((a, b) => a + b);
    const report = await gradcheck(
      scalar(rough, () => 3),
      double([[0.7]]),
    );
    expect(report).toMatchObject({ ok: false, checked: 0 });
    expect(report.entries[0]?.reason).toBe('difference quotients with successive steps disagree');
  });

  test('a function without difference quotients has no largest error', async () => {
    const nowhere = { name: 'nowhere', forward: (x: Float64Array) => x.map(() => Number.NaN), vjp: (x: Tensor) => x };
    const report = await gradcheck(nowhere, double([[1, 2, 3]]));
    expect(report).toMatchObject({ ok: false, checked: 0, maxError: Number.NaN });
  });

  test('the rounding of a derivative of core may be that of the largest entry, and that of your own may not', async () => {
    const inner = (await exact.open()) as Backend;
    const rounded = delegate(inner, {
      vjp: (out, s, g, rows, parameters) => {
        inner.vjp(out, s, g, rows, parameters);
        const entries = inner.view?.(out) ?? new Float64Array(0);
        entries.forEach((entry, i) => {
          entries[i] = entry + 1e-12;
        });
      },
    });
    const x = tensor([[8, 0, -8]], { backend: rounded, dtype: 'float64' });
    expect(await gradcheck(softmax, x)).toMatchObject({ ok: true, checked: 3 });
    const forward = (values: Float64Array) => softmax(double([[...values]])).dataSync();
    const vjp = (at: Tensor, g: Tensor) => softmax.vjp(softmax(at), g);
    expect((await gradcheck({ name: 'own', forward, vjp }, x)).ok).toBe(false);
  });

  test('logits of −Infinity have no neighbours, at any temperature; those of softmin make the output NaN', async () => {
    const x = double([[1, 2, Number.NEGATIVE_INFINITY]]);
    for (const f of [softmax, logSoftmax, logSumExp]) {
      for (const temperature of [0.1, 1, 10]) {
        const report = await gradcheck(f, x, { temperature });
        expect(report).toMatchObject({ ok: true, checked: 2 });
        expect(report.maxError).toBeLessThan(1e-9);
        expect(report.entries[2]).toMatchObject({ ok: true, reason: 'x is −Infinity there' });
      }
    }
    const ofSoftmin = await gradcheck(softmin, x);
    expect(ofSoftmin).toMatchObject({ ok: false, checked: 0 });
    expect(ofSoftmin.entries[0].reason).toContain('output 0 of forward is NaN');
  });

  test('operands of every shape: a scalar, class indices of inner rows, probabilities of one class', async () => {
    expect(await gradcheck(sigmoid, tensor(0.5, { backend, dtype: 'float64' }))).toMatchObject({
      ok: true,
      checked: 1,
    });
    const inner = tensor([1, 2, 0, 4, 3, 1], { shape: [1, 3, 2], backend, dtype: 'float64' });
    const ofInner = await gradcheck(crossEntropy, inner, { axis: 1, target: [[0, 2]] });
    expect(ofInner).toMatchObject({ ok: true, checked: 6 });
    const target = Float64Array.of(1, 0.5);
    expect(await gradcheck(crossEntropy, double([[1], [2]]), { target })).toMatchObject({ ok: true, checked: 2 });
  });

  test('a function without a name is called a function', async () => {
    const { name: _, ...nameless } = scalar(Math.exp, Math.exp);
    const text = String(await gradcheck(nameless as never, double([[1]])));
    expect(text).toMatch(/^a function on exact in float64: ok, 1 of 1 entries compared/);
  });

  test('a function may write to its argument', async () => {
    const writing = scalar(Math.exp, Math.exp);
    const forward = (x: Float64Array) => {
      const values = x.map(Math.exp);
      x.fill(0);
      return values;
    };
    expect(await gradcheck({ ...writing, forward }, double([[1, 2]]))).toMatchObject({ ok: true, checked: 2 });
  });

  test.each([
    ['an output', [1, 2, 3], (v: number) => (v === 3 ? Number.NEGATIVE_INFINITY : v)],
    ['an entry of x', [1, 2, Number.NEGATIVE_INFINITY], (v: number) => v],
  ])('%s of −Infinity does not hide errors of others', async (_, x, f) => {
    const own = scalar(f, () => 1.5);
    const { entries } = await gradcheck(own, double([x]), { entries: [0, 1] });
    expect(entries).toMatchObject([{ ok: false }, { ok: false }]);
    expect(entries.map(({ reason }) => reason)).toEqual([undefined, undefined]);
  });

  test('the default upstream gradient is irregular and the same every time', async () => {
    const seen: number[][] = [];
    const noting = {
      name: 'noting',
      outputShape: [2, 2],
      forward: (x: Float64Array) => [...x, ...x],
      vjp: (x: Tensor, g: Tensor) => {
        expect([g.shape, g.dtype, g.backend]).toEqual([[2, 2], x.dtype, x.backend]);
        const cotangent = [...g.dataSync()];
        seen.push(cotangent);
        return tensor([cotangent[0] + cotangent[2], cotangent[1] + cotangent[3]], { backend, dtype: 'float64' });
      },
    };
    const x = tensor([1, 2], { backend, dtype: 'float64' });
    expect(await gradcheck(noting, x)).toMatchObject({ ok: true, checked: 2 });
    await gradcheck(noting, x);
    expect(seen[0]).toEqual(seen[1]);
    const golden = (Math.sqrt(5) - 1) / 2;
    seen[0].forEach((value, i) => {
      expect(value).toBeCloseTo(2 * (((i + 1) * golden) % 1) - 1, 12);
    });
  });

  test('leaves no tensor behind, also where the derivative throws', async () => {
    const counting = counted((await exact.open()) as Backend);
    const x = tensor(rows, { backend: counting, dtype: 'float64' });
    const given = tensor(rows, { backend: counting, dtype: 'float64' });
    for (const operation of [softmax, softmin, logSoftmax, logSumExp, sigmoid, relu]) await gradcheck(operation, x);
    await gradcheck(crossEntropy, x, { target: [0, 1, 2] });
    await gradcheck(softmax, x, { cotangent: given, mask: [true, true, false, true] });
    await gradcheck(softmax, x, { cotangent: rows });
    const failing = {
      name: 'failing',
      forward: (values: Float64Array) => values,
      vjp: () => softmax.vjp(x, x, { axis: 5 }),
    };
    await expect(gradcheck(failing, x)).rejects.toMatchObject({ code: 'ERR_AXIS' });
    expect(liveBuffers(counting)).toBe(2);
  });

  test('x and the directions may be arrays, as operands of operations', async () => {
    await setBackend(exact);
    const at = [[1, Number.NEGATIVE_INFINITY, 3]];
    const cotangent = [[0.3, 0.5, -0.2]];
    const wide = { data: Float64Array.from(at[0]), shape: [1, 3] } as const;
    for (const [x, digits] of [
      [at, 4],
      [wide, 9],
    ] as const) {
      const report = await gradcheck(logSoftmax, x, { cotangent });
      expect(report.ok).toBe(true);
      expect(report.entries[0].analytic).toBeCloseTo(0.2284782467867, digits);
    }
    const second = await gradgradcheck(softmax, [[0.5, -1, 2]], { cotangent, tangent: [[1, 0, 2]] });
    expect(second.ok).toBe(true);
    await expect(gradcheck(softmax, wide, { cotangent: [[1], [2, 3]] as never })).rejects.toThrow(
      /^gradcheck: cotangent: /,
    );
    await expect(gradcheck(softmax, 'x' as never)).rejects.toThrow('gradcheck: x: cannot read the text "x"');
  });

  test('names invalid arguments in its errors', async () => {
    const x = double([[1, 2]]);
    await expect(gradcheck(softmax, double([[1, Number.NaN]]))).rejects.toThrow(
      'gradcheck: x[1] is NaN; there is no derivative to check',
    );
    await expect(gradcheck(softmax, double([[Number.POSITIVE_INFINITY, 1]]))).rejects.toThrow(
      'gradcheck: x[0] is Infinity; there is no derivative to check',
    );
    await expect(gradcheck(crossEntropy, x)).rejects.toThrow(
      'gradcheck: crossEntropy needs the option target, class indices or probabilities',
    );
    await expect(gradcheck({} as never, x)).rejects.toThrow(
      /^gradcheck: unknown operation; pass a built-in one, or \{ name, forward, vjp \} for a function of your own$/,
    );
    for (const member of [crossEntropy.loss, softmax.vjp]) {
      await expect(gradcheck(member as never, x)).rejects.toThrow(
        'gradcheck: unknown operation; pass a built-in one, or { name, forward, vjp } for a function of your own; not a member of a built-in one: softmax instead of softmax.vjp, crossEntropy with the option target instead of crossEntropy.loss',
      );
    }
    await expect(gradcheck(softmax, tensor([[1]], { backend, dtype: 'int32' as DType }))).rejects.toThrow(
      'gradcheck: x is int32, expected floats',
    );
    await expect(gradcheck(softmax, x, { cotangent: double([[1, 2, 3]]) })).rejects.toThrow(
      'gradcheck: cotangent is (1, 3), expected (1, 2)',
    );
    await expect(gradcheck(logSumExp, x, { cotangent: x })).rejects.toThrow(
      'gradcheck: cotangent is (1, 2), expected (1,)',
    );
    await expect(gradcheck(softmax, x, { axis: 2 })).rejects.toThrow(
      'gradcheck: axis 2 of a rank-2 tensor; expected -2 to 1',
    );
    await expect(gradcheck(softmax, x, { mask: [true, true, true] })).rejects.toThrow(
      "gradcheck: mask (3,) doesn't broadcast to (1, 2)",
    );
  });

  test('names the operation that it checks', async () => {
    const x = double([[1, 2]]);
    const names: string[] = [];
    for (const operation of [softmax, softmin, logSoftmax, logSumExp, sigmoid, relu]) {
      names.push((await gradcheck(operation, x)).name);
    }
    names.push((await gradcheck(crossEntropy, x, { target: [0] })).name);
    expect(names).toEqual(['softmax', 'softmin', 'logSoftmax', 'logSumExp', 'sigmoid', 'relu', 'crossEntropy']);
  });

  test('passes the options of the operation on to both sides', async () => {
    const mask = [
      [true, true, false, true],
      [false, true, true, true],
      [true, true, true, true],
    ];
    const x = double(rows);
    const plain = await gradcheck(logSumExp, x);
    for (const options of [{ mask }, { temperature: 2 }, { axis: 0 }, { axis: 0, mask: mask[0], temperature: 0.5 }]) {
      for (const operation of [softmax, softmin, logSoftmax, logSumExp]) {
        expect(await gradcheck(operation, x, options)).toMatchObject({ ok: true, checked: 12 });
      }
      const { entries } = await gradcheck(logSumExp, x, options);
      expect(entries.map(({ analytic }) => analytic)).not.toEqual(plain.entries.map(({ analytic }) => analytic));
    }
    const few = double([
      [0.3, -1.2, 2.5],
      [4, 3.5, -7],
    ]);
    const keep = [
      [true, true, false],
      [false, true, true],
    ];
    const soft = [
      [0.1, 0.2, 0.3],
      [1, 0, 0],
    ];
    const targets = [
      { target: [1, 2] },
      { target: [1, 7], ignoreIndex: 7 },
      { target: [1, 2], ignoreIndex: 2 },
      { target: soft },
      { target: Float64Array.from(soft.flat()) },
      { target: Float32Array.from(soft.flat()) },
      { target: { data: soft.flat(), shape: [2, 3] } },
    ];
    for (const chosen of targets) {
      for (const more of [
        { weight: [1, 2, 0.5], labelSmoothing: 0.2, temperature: 0.5 },
        { mask: keep, reduction: 'none', labelSmoothing: 0.3 },
      ] as const) {
        const report = await gradcheck(crossEntropy, few, { ...chosen, ...more });
        expect(report, JSON.stringify({ ...chosen, ...more })).toMatchObject({ ok: true, checked: 6 });
      }
    }
    // One class: as many probabilities as class indices, distinguished by the typed array.
    const single = double([[1], [2]]);
    for (const target of [Float64Array.of(0.5, 2), Float32Array.of(0.5, 2), [0, 0]]) {
      expect(await gradcheck(crossEntropy, single, { target })).toMatchObject({ ok: true });
    }
  });
});
