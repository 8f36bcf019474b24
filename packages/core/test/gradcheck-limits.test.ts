import { describe, expect, test } from 'vitest';
import { exact } from '../conformance/index.js';
import {
  crossEntropy,
  type GradcheckOptions,
  type GradcheckReport,
  gradcheck,
  gradgradcheck,
  logSoftmax,
  logSumExp,
  relu,
  sigmoid,
  softmax,
  softmin,
  type Tensor,
  tensor,
} from '../src/index.js';
import { table } from '../src/ops/table.js';

const backend = await exact.open();
const like = (values: number[][], dtype: 'float64' | 'float32' = 'float64') => tensor(values, { backend, dtype });

const ofSoftmax = {
  gradcheck: (x: Tensor, options: GradcheckOptions) => gradcheck(softmax, x, options),
  gradgradcheck: (x: Tensor, options: GradcheckOptions) => gradgradcheck(softmax, x, options),
};

const square = {
  name: 'square',
  forward: (x: Float64Array) => x.map((v) => v * v),
  vjp: (x: Tensor, g: Tensor) => product(2, x, g),
  hvp: (_: Tensor, g: Tensor, t: Tensor) => product(2, g, t),
};

const product = (factor: number, a: Tensor, b: Tensor) => {
  const other = b.dataSync();
  const values = a.dataSync().map((v, k) => factor * v * other[k]);
  return tensor(values, { shape: a.shape, backend });
};

const nameOf = (f: object) => String(Object.entries(table).find(([, one]) => one === f)?.[0]);

describe('options that would make every derivative right', () => {
  test.each([
    ['step', 0, '> 0, not 0'],
    ['step', -1e-3, '> 0, not -0.001'],
    ['step', Number.NaN, '> 0, not NaN'],
    ['step', Number.POSITIVE_INFINITY, '> 0, not Infinity'],
    ['tolerance', -1, '≥ 0, not -1'],
    ['tolerance', Number.NaN, '≥ 0, not NaN'],
    ['tolerance', Number.POSITIVE_INFINITY, '≥ 0, not Infinity'],
  ])('%s: %d is refused', async (option, value, expected) => {
    for (const [name, check] of Object.entries(ofSoftmax)) {
      await expect(check(like([[1, 2]]), { [option]: value })).rejects.toMatchObject({
        code: 'ERR_VALUE',
        message: `${name}: ${option} must be a finite number ${expected}`,
      });
    }
  });
});

describe('options of another type are refused', () => {
  const mustBe = (option: string, expected: string) => (what: string) =>
    `${option} must be ${expected}, not ${what.slice(`${option} is `.length)}`;
  const oneOf = (expected: string) => (what: string) => `${what}; expected ${expected}`;
  const readable = (what: string) => `${what}; expected nested arrays, a typed array, or an object with data and shape`;

  const ofKinds: readonly (readonly [option: string, message: (what: string) => string])[] = [
    ['step', mustBe('step', 'a finite number > 0')],
    ['tolerance', mustBe('tolerance', 'a finite number ≥ 0')],
    ['temperature', oneOf('a finite number above 0')],
    ['axis', oneOf('an integer')],
  ];
  const kinds: readonly (readonly [value: unknown, what: string])[] = [
    ['12', 'the text "12"'],
    [{ 0: 1 }, 'an object (Object)'],
    [null, 'null'],
    [true, 'true'],
  ];
  const refused: readonly (readonly [option: string, value: unknown, message: string])[] = [
    ...ofKinds.flatMap(([option, message]) =>
      kinds.map(([value, what]) => [option, value, message(`${option} is ${what}`)] as const),
    ),
    ...['mask', 'cotangent', 'tangent'].flatMap((option) => [
      [option, '12', readable(`${option}: cannot read the text "12"`)] as const,
      [option, null, readable(`${option}: cannot read null`)] as const,
    ]),
    ['entries', ['1'], 'entries has the text "1"; expected indices of the 2 entries of x'],
    ['entries', [null], 'entries has null; expected indices of the 2 entries of x'],
  ];

  test.each(refused)('%s: %o', async (option, value, message) => {
    for (const [name, check] of Object.entries(ofSoftmax)) {
      if (option === 'tangent' && name === 'gradcheck') continue;
      const report = check(like([[1, 2]]), { [option]: value } as never);
      await expect(report).rejects.toMatchObject({ message: `${name}: ${message}` });
    }
  });

  test.each([
    [20, '20'],
    ['12', 'the text "12"'],
    [{ 0: 1 }, 'an object (Object)'],
    [new Set([0]), 'an object (Set)'],
    [null, 'null'],
    [true, 'true'],
  ])('entries: %o', async (entries, what) => {
    for (const [name, check] of Object.entries(ofSoftmax)) {
      await expect(check(like([[1, 2]]), { entries } as never)).rejects.toMatchObject({
        code: 'ERR_VALUE',
        message: `${name}: entries must be an array of indices of the 2 entries of x, not ${what}`,
      });
    }
  });

  test('also the temperature of a function that has none, for which it shortens the steps', async () => {
    const x = like([[1, 2]]);
    const options = { temperature: {} } as never;
    for (const [name, report] of [
      ['gradcheck', gradcheck(square, x, options)],
      ['gradgradcheck', gradgradcheck(square, x, options)],
    ] as const) {
      await expect(report).rejects.toMatchObject({
        code: 'ERR_VALUE',
        message: `${name}: temperature is an object (Object); expected a finite number above 0`,
      });
    }
  });

  test.each(['12', {}, null])('the target of crossEntropy: %o', async (target) => {
    const options = { target } as never;
    const x = like([[1, 2]]);
    await expect(gradcheck(crossEntropy, x, options)).rejects.toThrow('gradcheck: target: cannot read ');
    await expect(gradgradcheck(crossEntropy, x, options)).rejects.toThrow('gradgradcheck: target: cannot read ');
  });

  test('a typed array of indices is an array', async () => {
    const entries = Int32Array.of(1) as unknown as number[];
    for (const check of Object.values(ofSoftmax)) {
      expect(await check(like([[1, 2]]), { entries })).toMatchObject({ ok: true, checked: 1 });
    }
  });
});

describe('options that the operation does not take are refused, and those that it takes are listed', () => {
  const ofRows = 'axis, temperature, mask';
  const own = 'cotangent, step, tolerance, entries';
  const values = {
    axis: 0,
    temperature: 1,
    mask: [true, true],
    labelSmoothing: 0,
    weight: [1, 1],
    ignoreIndex: -1,
    reduction: 'sum',
    target: [0, 1],
  };
  const takes: readonly (readonly [name: string, operation: never, known: string])[] = [
    ...[softmax, softmin, logSoftmax, logSumExp].map((f) => [nameOf(f), f as never, `${ofRows}, ${own}`] as const),
    ...[sigmoid, relu].map((f) => [nameOf(f), f as never, own] as const),
    [
      'crossEntropy',
      crossEntropy as never,
      `${ofRows}, labelSmoothing, weight, ignoreIndex, reduction, target, ${own}`,
    ],
    ['square', square as never, `temperature, ${own}`],
  ];
  const checks: readonly ((operation: never, x: Tensor, options: never) => Promise<GradcheckReport>)[] = [
    gradcheck,
    gradgradcheck,
  ];

  test.each(takes)('by %s', async (name, operation, known) => {
    const x = like([
      [1, 2],
      [3, 5],
    ]);
    for (const check of checks) {
      const expected = check === gradcheck ? known : `${known}, tangent`;
      for (const [option, value] of Object.entries({ ...values, tangent: x, out: x })) {
        const options = { ...(name === 'crossEntropy' && { target: [1, 0] }), [option]: value };
        const report = check(operation, x, options as never);
        if (!expected.split(', ').includes(option)) {
          await expect(report).rejects.toMatchObject({
            code: 'ERR_VALUE',
            message: expect.stringMatching(
              new RegExp(`^${check.name} of ${name}: unknown option '${option}'.*; expected one of ${expected}$`),
            ),
          });
        } else if (name === 'relu' && check === gradgradcheck) {
          await expect(report).rejects.toThrow('relu has no hvp to check');
        } else {
          expect((await report).ok).toBe(true);
        }
      }
    }
  });

  test('with a similar name that it takes, and not one that it does not take', async () => {
    const x = like([[1, 2]]);
    await expect(gradcheck(softmax, x, { dim: 0 } as never)).rejects.toThrow(
      "gradcheck of softmax: unknown option 'dim' (did you mean 'axis'?)",
    );
    await expect(gradcheck(sigmoid, x, { dim: 0 } as never)).rejects.toThrow(
      /^gradcheck of sigmoid: unknown option 'dim'; expected one of cotangent/,
    );
    await expect(gradcheck(softmax, x, 1 as never)).rejects.toThrow(/^gradcheck of softmax: options are 1; expected/);
  });
});

describe('the number of entries', () => {
  const identity = {
    name: 'identity',
    forward: () => {
      throw new Error('evaluated');
    },
    vjp: (_: Tensor, g: Tensor) => g,
    hvp: (x: Tensor) => x,
  };
  const ofSize = (size: number) => like([new Array(size).fill(1)]);

  const ofIdentity: readonly (readonly [number, (f: typeof identity, x: Tensor) => Promise<unknown>])[] = [
    [6, gradcheck],
    [12, gradgradcheck],
  ];

  test.each(ofIdentity)(
    'of more than 2000, each of which takes %d evaluations, the caller has to choose',
    async (evaluations, check) => {
      await expect(check(identity, ofSize(2001))).rejects.toMatchObject({
        code: 'ERR_VALUE',
        message: `${check.name}: x has 2001 entries, each of which takes ${evaluations} evaluations of the whole function; choose some, as in { entries: [0, 2000] }`,
      });
      await expect(check(identity, ofSize(2000))).rejects.toThrow('evaluated');
      const chosen = await ofSoftmax[check.name as keyof typeof ofSoftmax](ofSize(2001), { entries: [0, 2000] });
      expect(chosen).toMatchObject({ ok: true, checked: 2 });
    },
  );

  const rowsOf = (count: number, classes: number) =>
    tensor(new Float64Array(count * classes), { shape: [count, classes], dtype: 'float64', backend });

  test.each([
    ['of a row', softmax, rowsOf(1, 2000), rowsOf(1, 2001), 2001, 2001],
    ['of long rows', softmax, rowsOf(4, 1000), rowsOf(5, 1000), 5000, 1000],
    ['of short rows', softmax, rowsOf(10000, 10), rowsOf(10001, 10), 100010, 10],
    ['elementwise', sigmoid, rowsOf(50, 2000), rowsOf(50, 2001), 100050, 1],
  ] as const)(
    'of a function of core that takes as long, by the length of the rows: %s',
    async (_, operation, largest, larger, size, evaluated) => {
      type Compare = (of: typeof operation, x: Tensor, options?: GradcheckOptions) => Promise<unknown>;
      const compared: readonly (readonly [Compare, number])[] = [
        [gradcheck, 6],
        [gradgradcheck, 12],
      ];
      for (const [check, evaluations] of compared) {
        await expect(check(operation, larger)).rejects.toMatchObject({
          code: 'ERR_VALUE',
          message: `${check.name}: x has ${size} entries, each of which takes ${evaluations} evaluations of ${evaluated} of them; choose some, as in { entries: [0, ${size - 1}] }`,
        });
        // The cotangent is looked at next.
        await expect(check(operation, largest, { cotangent: [[1]] })).rejects.toThrow(
          `${check.name}: cotangent is (1, 1), expected (`,
        );
      }
    },
  );

  test('more than 2000 in short rows are all checked', async () => {
    const x = tensor(
      Float64Array.from({ length: 2002 }, (_, k) => Math.sin(k)),
      { shape: [1001, 2], dtype: 'float64', backend },
    );
    expect(await gradcheck(softmax, x)).toMatchObject({ ok: true, checked: 2002 });
    expect(await gradcheck(sigmoid, x)).toMatchObject({ ok: true, checked: 2002 });
  });
});

describe('a derivative may write to its operands and return them', () => {
  const x = like([[1, 2, 3]]);
  const direction = () => like([[1, 1, 1]]);
  const halfSquares = (values: Float64Array) => values.map((value) => value ** 2 / 2);
  const written = (values: ArrayLike<number>, out: Tensor) =>
    tensor(Float64Array.from(values), { shape: out.shape, out });
  const products = (a: Tensor, b: Tensor) => a.dataSync().map((value, i) => Number(value) * Number(b.dataSync()[i]));

  test.each([
    ['its cotangent', (at: Tensor, g: Tensor) => written(products(at, g), g), true],
    ['x', (at: Tensor, g: Tensor) => written(products(at, g), at), true],
    ['its cotangent, with zeros', (_: Tensor, g: Tensor) => written([0, 0, 0], g), false],
  ] as const)('%s', async (_, vjp, ok) => {
    const cotangent = direction();
    const report = await gradcheck({ name: 'half squares', forward: halfSquares, vjp }, x, { cotangent });
    expect(report).toMatchObject({ ok, checked: 3 });
    const hvp = (at: Tensor, g: Tensor, t: Tensor) => vjp(t, g) && vjp(at, g);
    await gradgradcheck({ name: 'half squares', forward: halfSquares, hvp }, x, { cotangent, tangent: cotangent });
    expect([[...x.dataSync()], [...cotangent.dataSync()]]).toEqual([
      [1, 2, 3],
      [1, 1, 1],
    ]);
  });

  test('what the caller passed in stays alive, whichever of it is returned', async () => {
    const [cotangent, tangent] = [direction(), direction()];
    const linear = { name: 'linear', forward: (values: Float64Array) => values };
    const square = { name: 'half squares', forward: halfSquares };
    expect((await gradcheck({ ...linear, vjp: (_, g) => g }, x, { cotangent })).ok).toBe(true);
    expect((await gradcheck({ ...linear, vjp: () => cotangent }, x, { cotangent })).ok).toBe(true);
    expect((await gradcheck({ ...square, vjp: (at) => at }, x, { cotangent })).ok).toBe(true);
    for (const hvp of [(_: Tensor, g: Tensor) => g, (_: Tensor, __: Tensor, t: Tensor) => t, () => tangent]) {
      expect((await gradgradcheck({ ...square, hvp }, x, { cotangent, tangent })).ok).toBe(true);
    }
    expect([x, cotangent, tangent].map(({ disposed }) => disposed)).toEqual([false, false, false]);
  });
});

type Pointwise = (value: number, i: number) => number;

/** A function of each entry with its claimed derivative. */
const pointwise = (f: Pointwise, derivative: Pointwise) => ({
  name: 'pointwise',
  forward: (x: Float64Array) => x.map(f),
  vjp: (x: Tensor, g: Tensor) => scaled(x, [g], derivative),
});
/** The same with its claimed second derivative. */
const curved = (f: Pointwise, second: Pointwise) => ({
  name: 'pointwise',
  forward: (x: Float64Array) => x.map(f),
  hvp: (x: Tensor, g: Tensor, t: Tensor) => scaled(x, [g, t], second),
});

function scaled(x: Tensor, factors: readonly Tensor[], derivative: Pointwise): Tensor {
  const at = factors.map((factor) => factor.dataSync());
  const values = Array.from(x.dataSync(), (value, i) =>
    at.reduce((product, factor) => product * Number(factor[i]), derivative(Number(value), i)),
  );
  return tensor(Float64Array.from(values), { shape: x.shape, dtype: x.dtype, backend });
}

describe.each(['float64', 'float32'] as const)('what has no difference quotient is not ok, in %s', (dtype) => {
  const x = like([[0.5, 1, 2]], dtype);

  test.each([Number.NaN, Number.POSITIVE_INFINITY])('outputs of %d', async (value) => {
    const reason = expect.stringContaining(`is ${value}, which has no difference quotient`);
    for (const only of [undefined, 1]) {
      const f: Pointwise = (v, i) => (only === undefined || i === only ? value : v);
      const derivative: Pointwise = (_, i) => (only === undefined || i === only ? 0 : 1);
      for (const report of [
        await gradcheck(pointwise(f, derivative), x),
        await gradgradcheck(
          curved(f, () => 0),
          x,
        ),
      ]) {
        expect(report).toMatchObject({ ok: false, checked: 0 });
        expect(report.entries).toEqual(report.entries.map((entry) => ({ ...entry, ok: false, reason })));
      }
    }
  });

  test('an entry with no finite neighbours, whatever the others are', async () => {
    const oneSided = pointwise(
      (v) => (v > 0.5 && v < 0.75 ? Number.POSITIVE_INFINITY : v),
      () => 1,
    );
    const report = await gradcheck(oneSided, x);
    expect(report).toMatchObject({ ok: false, checked: 2 });
    expect(report.entries[0]).toMatchObject({
      ok: false,
      numeric: Number.NaN,
      reason: expect.stringMatching(/finite/),
    });
  });

  test('a function that gives other values for the same x', async () => {
    let calls = 0;
    const counting = pointwise(
      (v) => v + ++calls,
      () => 1,
    );
    const report = await gradcheck(counting, x);
    expect(report).toMatchObject({ ok: false, checked: 0 });
    expect(report.entries[0].reason).toMatch(/^output 0 of forward is .* for the same x$/);
  });

  test('except for outputs and entries that are −Infinity', async () => {
    const masked = pointwise(
      (v, i) => (i === 1 ? Number.NEGATIVE_INFINITY : v),
      (_, i) => (i === 1 ? 0 : 1),
    );
    expect(await gradcheck(masked, x)).toMatchObject({ ok: true, checked: 3 });
  });
});

describe.each(['float64', 'float32'] as const)('steps that fit the function, in %s', (dtype) => {
  const near: readonly (readonly [string, Pointwise, Pointwise, number])[] = [
    ['log at 1e-4', Math.log, (v) => 1 / v, 1e-4],
    ['log at 1e-9', Math.log, (v) => 1 / v, 1e-9],
    ['1/x at 1e-4', (v) => 1 / v, (v) => -1 / v / v, 1e-4],
    ['√x at 1e-3', Math.sqrt, (v) => 0.5 / Math.sqrt(v), 1e-3],
    ['max(x, 0) at 1e-5, whose kink is not named', (v) => Math.max(v, 0), (v) => (v > 0 ? 1 : 0), 1e-5],
    ['|x| at 1e-9, whose kink is not named', Math.abs, Math.sign, 1e-9],
    ['|x| at 1e-10, whose kink is not named', Math.abs, Math.sign, 1e-10],
    ['sin at 1e5', Math.sin, Math.cos, 1e5],
    ['sin at 2e6', Math.sin, Math.cos, 2e6],
  ];
  test.each(near)('%s', async (_, f, derivative, at) => {
    const x = like([[at, 1]], dtype);
    expect(await gradcheck(pointwise(f, derivative), x)).toMatchObject({ ok: true, checked: 2 });
    const wrong: Pointwise = (v, i) => derivative(v, i) * (i === 0 ? 1.001 : 1);
    const report = await gradcheck(pointwise(f, wrong), x);
    expect(report.entries.map(({ ok }) => ok)).toEqual([false, true]);
    expect(report.ok).toBe(false);
  });

  test('one-sided ones at a kink of a curved function, where other kinks are near', async () => {
    const bent: Pointwise = (v) => Math.max(v, 0) + Math.sin(v) + 5 * Math.max(v - 1e-4, 0);
    const check = async (slope: number) => {
      const f = { ...pointwise(bent, () => slope), kinks: [0, 1e-4] };
      return (await gradcheck(f, like([[0]], dtype), { cotangent: like([[1]], dtype) })).ok;
    };
    expect(await Promise.all([1, 1.5, 2].map(check))).toEqual([true, true, true]);
    expect(await Promise.all([0.999, 2.001].map(check))).toEqual([false, false]);
  });

  test('longer ones where rounding of the values hides the derivative', async () => {
    const shifted = (slope: number) =>
      pointwise(
        (v) => v + 1e12,
        () => slope,
      );
    const x = like([[0.5, -1]], dtype);
    expect((await gradcheck(shifted(1), x)).ok).toBe(true);
    expect((await gradcheck(shifted(1.1), x)).ok).toBe(false);
  });

  test('softmax far from 0, at any temperature', async () => {
    for (const far of [1e4, 2 ** 23]) {
      for (const temperature of [0.1, 1]) {
        const x = like([[far + 1, far - 1, far]], dtype);
        for (const check of Object.values(ofSoftmax)) {
          expect(await check(x, { temperature })).toMatchObject({ ok: true, checked: 3 });
        }
      }
    }
  });
});

test('a saturated softmax of your own is right with the derivative of core and wrong with 0, in float64', async () => {
  const forward = (x: Float64Array) => softmax(like([[...x]])).dataSync() as Float64Array;
  const vjp = (at: Tensor, g: Tensor) => softmax.vjp(softmax(at), g);
  for (const logits of [
    [20, 0, 0, 0],
    [15, 3, -12, 0],
  ]) {
    const x = like([logits]);
    expect(await gradcheck({ name: 'own', forward, vjp }, x)).toMatchObject({ ok: true, checked: 4 });
    const none = { name: 'own', forward, vjp: (at: Tensor) => scaled(at, [], () => 0) };
    expect((await gradcheck(none, x)).ok).toBe(false);
  }
});

describe('errors that large values beside them would hide', () => {
  const values = [[1, 0.5]];
  const steep: Pointwise = (v, i) => (i === 0 ? 1e6 * v : v * v);
  const slopes =
    (second: number): Pointwise =>
    (v, i) =>
      i === 0 ? 1e6 : second * v;

  test.each(['float64', 'float32'] as const)('a derivative of 0 beside one of 1e6, in %s', async (dtype) => {
    expect((await gradcheck(pointwise(steep, slopes(2)), like(values, dtype))).ok).toBe(true);
    const report = await gradcheck(pointwise(steep, slopes(0)), like(values, dtype));
    expect(report.entries.map(({ ok }) => ok)).toEqual([true, false]);
  });

  test.each(['float64', 'float32'] as const)('derivatives near 1e-6, in %s', async (dtype) => {
    const x = like([[1, -2, 3]], dtype);
    const check = (factor: number) =>
      gradcheck(
        pointwise(
          (v) => 1e-6 * v * v,
          (v) => factor * 2e-6 * v,
        ),
        x,
      );
    const checkTwice = (factor: number) =>
      gradgradcheck(
        curved(
          (v) => 1e-6 * v * v,
          () => factor * 2e-6,
        ),
        x,
      );
    expect([(await check(1)).ok, (await checkTwice(1)).ok]).toEqual([true, true]);
    expect([(await check(2)).ok, (await checkTwice(2)).ok, (await check(0)).ok]).toEqual([false, false, false]);
  });

  test('what float32 cannot resolve is not compared, and the report says so', async () => {
    const tiny = (factor: number) =>
      pointwise(
        (v, i) => (i === 0 ? v : 1e-8 * v * v),
        (v, i) => (i === 0 ? 1 : factor * 2e-8 * v),
      );
    expect(await gradcheck(tiny(1), like(values, 'float32'))).toMatchObject({ ok: true, checked: 2 });
    const report = await gradcheck(tiny(2), like(values, 'float32'));
    expect(report).toMatchObject({ ok: true, checked: 1 });
    expect(report.entries[1].reason).toBe('too small for float32; check it with x in float64');
    expect(await gradcheck(tiny(2), like(values, 'float32'), { entries: [1] })).toMatchObject({
      ok: false,
      checked: 0,
    });
    expect((await gradcheck(tiny(2), like(values))).ok).toBe(false);
  });

  test('an error that rounding in float32 could make is not ok, and the reason names float64', async () => {
    const off = pointwise(
      (v) => v / 256,
      (_, i) => (1 + (i === 0 ? 0 : 4e-4)) / 256,
    );
    const report = await gradcheck(off, like(values, 'float32'), { cotangent: like([[1, 1]], 'float32') });
    expect(report).toMatchObject({ ok: false, checked: 1 });
    expect(report.entries[1].reason).toBe('the error may be rounding in float32; check it with x in float64');
  });

  test("what the rounding of the function's own values hides is not compared", async () => {
    const beside = pointwise(Math.exp, (v, i) => (i === 0 ? 1 : 2) * Math.exp(v));
    const report = await gradcheck(beside, like([[50, 1]]));
    expect(report).toMatchObject({ ok: true, checked: 1 });
    expect(report.entries[1].reason).toBe("hidden by the rounding of the function's values");
  });
});

describe('a forward that computes in float32', () => {
  const rounded: readonly (readonly [string, Pointwise, Pointwise, number])[] = [
    ['its values', (v) => Math.fround(v * v), (v) => 2 * v, 0.3],
    ['its input', (v) => Math.fround(v) ** 2, (v) => 2 * v, 0.3],
    [
      'both',
      (v) => Math.fround(1 / (1 + Math.fround(Math.exp(-Math.fround(v))))),
      (v) => Math.exp(-v) / (1 + Math.exp(-v)) ** 2,
      0.3,
    ],
    ['both, beside a kink that is not named', (v) => Math.fround(Math.max(v, 0)), (v) => (v > 0 ? 1 : 0), 1e-2],
  ];
  describe.each(['float64', 'float32'] as const)('of x in %s', (dtype) => {
    test.each(rounded)('%s: the derivative is right, 0 and 1.1 times it are wrong', async (_, f, derivative, at) => {
      const x = like([[at, 1, 2]], dtype);
      const oks = async (factor: number) => {
        const { entries } = await gradcheck(
          pointwise(f, (v, i) => derivative(v, i) * factor),
          x,
        );
        return entries.map(({ ok }) => ok);
      };
      expect(await oks(1)).toEqual([true, true, true]);
      expect(await oks(0)).toEqual([false, false, false]);
      expect(await oks(1.1)).toEqual([false, false, false]);
    });

    test.each([
      [0, true],
      [0.5, true],
      [1, true],
      [-0.01, false],
      [1.01, false],
    ])('at a kink that is not named, %s', async (slope, ok) => {
      const f = pointwise(
        (v) => Math.fround(Math.max(v, 0)),
        (v) => (v > 0 ? 1 : v === 0 ? slope : 0),
      );
      expect(await gradcheck(f, like([[0, 0.3]], dtype))).toMatchObject({ ok });
    });

    test('second derivatives', async () => {
      const cube = (factor: number) => ({
        name: 'cube',
        forward: (x: Float64Array) => Float32Array.from(x, (v) => v ** 3),
        hvp: (x: Tensor, g: Tensor, t: Tensor) => {
          const [upstream, tangent] = [g.dataSync(), t.dataSync()];
          return like([Array.from(x.dataSync(), (v, i) => factor * v * upstream[i] * tangent[i])], dtype);
        },
      });
      const x = like([[1.3, 2.1]], dtype);
      expect(await gradgradcheck(cube(6), x)).toMatchObject({ ok: true });
      expect(await gradgradcheck(cube(0), x)).toMatchObject({ ok: false });
      expect(await gradgradcheck(cube(7), x)).toMatchObject({ ok: false });
    });
  });

  test.each<[string, Pointwise]>([
    ['a constant', () => 3],
    ['a staircase', (v) => Math.floor(1e4 * v)],
  ])('is not %s, whose derivative is 0 to all digits', async (_, f) => {
    const x = like([[0.30005, 1.00005]], 'float64');
    expect(
      await gradcheck(
        pointwise(f, () => 0),
        x,
      ),
    ).toMatchObject({ ok: true });
    expect(
      await gradcheck(
        pointwise(f, () => 1e-6),
        x,
      ),
    ).toMatchObject({ ok: false });
  });
});
