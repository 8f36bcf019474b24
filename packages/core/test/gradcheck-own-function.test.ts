import { describe, expect, test } from 'vitest';
import { exact } from '../conformance/index.js';
import {
  crossEntropy,
  type GradcheckOptions,
  gradcheck,
  gradgradcheck,
  setBackend,
  type Tensor,
  tensor,
} from '../src/index.js';

const backend = await setBackend(exact);
const x = tensor([[1, 2, 3]], { dtype: 'float64', backend });
const zeros = (values: number[][] | number[] = [[0, 0, 0]]) => tensor(values, { dtype: 'float64', backend });

/** What a caller without types may write. */
const check = (f: object) => gradcheck(f as never, x);
const checkTwice = (f: object) => gradgradcheck(f as never, x);
const sums = (values: Float64Array) => [values.reduce((a, b) => a + b, 0)];

const wrongForwards: readonly (readonly [returned: string, forward: (values: Float64Array) => unknown])[] = [
  ['a tensor', () => zeros()],
  ['undefined', () => undefined],
  ['6', () => 6],
  ['an array whose entry 0 is an array of 3 entries', (values) => [[...values], 0, 0]],
  ['an array whose entry 2 is the text "3"', () => [1, 2, '3']],
  ['an array whose entry 0 is bigint', () => new BigInt64Array(3)],
];

describe('an error in forward', () => {
  const derivatives = { vjp: () => zeros(), hvp: () => zeros() };
  const loss = (at: unknown) => crossEntropy.loss(at as Tensor, [0, 1]);

  test.each([
    ['gradcheck', check],
    ['gradgradcheck', checkTwice],
  ])('of softgrad says what forward gets: %s', async (name, compare) => {
    const error = await compare({ name: 'own', forward: loss, ...derivatives }).catch((reason) => reason);
    expect([error.code, error.message]).toEqual([
      'ERR_SHAPE',
      `${name}: forward of own: ${error.cause.message}; it gets the entries of x as a Float64Array and computes on the host`,
    ]);
    expect(error.cause.message).toMatch(/^crossEntropy\.loss: target is \(2,\); expected /);
  });

  test.each([
    ['gradcheck', check],
    ['gradgradcheck', checkTwice],
  ])('of the caller is thrown as it is: %s', async (_, compare) => {
    const own = new RangeError('of the caller');
    const forward = () => {
      throw own;
    };
    await expect(compare({ name: 'own', forward, ...derivatives })).rejects.toBe(own);
  });
});

describe('what a function of the caller returns is checked', () => {
  test.each(wrongForwards)('forward: %s', async (returned, forward) => {
    const expected = {
      code: 'ERR_VALUE',
      message: expect.stringContaining(
        `check: forward of own returned ${returned}; expected a flat array of 3 numbers`,
      ),
    };
    await expect(check({ name: 'own', forward, vjp: () => zeros() })).rejects.toMatchObject(expected);
    await expect(checkTwice({ name: 'own', forward, hvp: () => zeros() })).rejects.toMatchObject(expected);
  });

  test('forward: as many values as outputShape has', async () => {
    const vjp = (_: Tensor, g: Tensor) =>
      tensor(new Array(3).fill(Number(g.view()[0])), { shape: [1, 3], dtype: 'float64', backend });
    expect(await check({ name: 'sum', forward: sums, vjp, outputShape: [] })).toMatchObject({ ok: true, checked: 3 });
    const twice = { name: 'own', forward: (values: Float64Array) => values, vjp, outputShape: [1] };
    await expect(check(twice)).rejects.toMatchObject({
      message: expect.stringContaining(
        'returned 3 values; expected a flat array of 1 number, the values of shape (1,)',
      ),
    });
  });

  test.each([
    [
      'a loss',
      sums,
      {},
      /check: forward of own returned 1 value for x of shape \(1, 3\), expected 3; if it is a loss, which is one number, add outputShape: \[\]$/,
    ],
    [
      'fewer values',
      () => [1, 2],
      {},
      /check: forward of own returned 2 values for x of shape \(1, 3\), expected 3; if its values have another shape than x, add outputShape, such as \[2\]$/,
    ],
    ['a wrong statement', sums, { outputShape: [2] }, /of shape \(2,\): [^;]*computes on the host$/],
  ])('forward: the message says how another shape is stated, of %s', async (_, forward, stated, message) => {
    const own = { name: 'own', forward, vjp: () => zeros(), hvp: () => zeros(), ...stated };
    await expect(check(own)).rejects.toThrow(message);
    await expect(checkTwice(own)).rejects.toThrow(message);
  });

  test.each([
    [{ outputShape: 3 }, 'ERR_VALUE', 'outputShape of own is 3; expected an array of dimensions, [] for one number'],
    [{ outputShape: [-1] }, 'ERR_SHAPE', 'outputShape of own: dimension -1 of shape (-1,) must be an integer ≥ 0'],
    [{ kinks: 0 }, 'ERR_VALUE', 'kinks of own is 0; expected an array of numbers'],
    [{ kinks: ['0'] }, 'ERR_VALUE', 'kinks of own is an array of 1 entry; expected an array of numbers'],
    [{ kink: [0] }, 'ERR_VALUE', "own has 'kink' (did you mean 'kinks'?)"],
    [{ output_shape: [] }, 'ERR_VALUE', "own has 'output_shape' (did you mean 'outputShape'?)"],
    [{ forward: [1, 2, 3] }, 'ERR_VALUE', 'forward of own is an array of 3 entries; expected a function'],
  ])('what it states: %o', async (stated, code, message) => {
    const derivative = () => zeros();
    const own = { name: 'own', forward: (values: Float64Array) => values, vjp: derivative, hvp: derivative, ...stated };
    await expect(check(own)).rejects.toMatchObject({ code, message: `gradcheck: ${message}` });
    await expect(checkTwice(own)).rejects.toMatchObject({ code, message: `gradgradcheck: ${message}` });
  });

  test.each(['vjp', 'hvp'])(
    'forward: before the derivative is computed, whose cotangent would have the wrong shape, of a loss with %s',
    async (derivative) => {
      const loss = {
        name: 'loss',
        forward: sums,
        [derivative]: () => {
          throw new Error('computed');
        },
      };
      type Compare = (of: never, at: Tensor, options: GradcheckOptions) => Promise<unknown>;
      const compare: Compare = derivative === 'vjp' ? gradcheck : gradgradcheck;
      for (const options of [{}, { cotangent: 1 }]) {
        await expect(compare(loss as never, x, options)).rejects.toThrow(/forward of loss returned 1 value .*: \[\]$/);
      }
      await expect(compare({ ...loss, outputShape: [] } as never, x, { cotangent: 1 })).rejects.toThrow('computed');
    },
  );

  test('other members are its own', async () => {
    const own = {
      forward: sums,
      vjp: () => zeros(),
      hvp: () => zeros(),
      outputShape: [],
      kinks: [],
      calls: 0,
      shape: 3,
    };
    expect(await check({ ...own, name: 'own' })).toMatchObject({ checked: 3 });
    expect(await checkTwice({ ...own, name: 'own' })).toMatchObject({ checked: 3 });
  });

  test.each([null, undefined, 'softmax', 3])('that it is a function: %s', async (given) => {
    const expected = {
      code: 'ERR_VALUE',
      message: expect.stringMatching(/^grad(grad)?check: unknown operation; pass/),
    };
    await expect(gradcheck(given as never, x)).rejects.toMatchObject(expected);
    await expect(gradgradcheck(given as never, x)).rejects.toMatchObject(expected);
  });

  test.each([
    ['an array of 3 entries', () => [0, 0, 0]],
    ['undefined', () => undefined],
  ])('a derivative: %s', async (returned, derivative) => {
    const forward = (values: Float64Array) => values;
    const message = (name: string) => ({
      code: 'ERR_VALUE',
      message: `${name} of own returned ${returned}; expected a tensor of shape (1, 3), that of x: tensor(array, { shape: x.shape, dtype: x.dtype })`,
    });
    await expect(check({ name: 'own', forward, vjp: derivative })).rejects.toMatchObject(message('gradcheck: vjp'));
    await expect(checkTwice({ name: 'own', forward, hvp: derivative })).rejects.toMatchObject(
      message('gradgradcheck: hvp'),
    );
  });

  test('a promise of what is wrong', async () => {
    const forward = async (values: Float64Array) => [...values, 0];
    await expect(check({ name: 'own', forward, vjp: () => zeros() })).rejects.toThrow(
      'forward of own returned 4 values',
    );
    const derivative = async () => undefined as unknown as Tensor;
    const own = { name: 'own', forward: (values: Float64Array) => values, vjp: derivative, hvp: derivative };
    await expect(check(own)).rejects.toThrow('vjp of own returned undefined');
    await expect(checkTwice(own)).rejects.toThrow('hvp of own returned undefined');
  });

  test('a derivative that gives one tensor at every call, which the first check disposed', async () => {
    const once = tensor([[1, 1, 1]], { dtype: 'float64', backend });
    const own = { name: 'own', forward: (values: Float64Array) => values, vjp: () => once };
    const cotangent = [[1, 1, 1]];
    expect(await gradcheck(own, x, { cotangent })).toMatchObject({ ok: true });
    await expect(gradcheck(own, x, { cotangent })).rejects.toMatchObject({
      code: 'ERR_DISPOSED',
      message:
        'gradcheck: vjp of own returned a tensor that was disposed, as the result of each call is; expected a new one',
    });
  });

  test('a derivative of another shape, which is disposed', async () => {
    const made: Tensor[] = [];
    const derivative = () => {
      const result = zeros([0, 0]);
      made.push(result);
      return result;
    };
    const forward = (values: Float64Array) => values;
    const expected = { code: 'ERR_SHAPE', message: expect.stringContaining('shape (2,); expected (1, 3), that of x') };
    await expect(check({ name: 'own', forward, vjp: derivative })).rejects.toMatchObject(expected);
    await expect(checkTwice({ name: 'own', forward, hvp: derivative })).rejects.toMatchObject(expected);
    expect(made.map(({ disposed }) => disposed)).toEqual([true, true]);
  });

  test.each([
    ['float64', 'float32'],
    ['float64', 'int32'],
    ['float32', 'float16'],
    ['float16', 'bool'],
  ] as const)('a derivative for x in %s that has the dtype %s, which is disposed', async (dtype, own) => {
    const made: Tensor[] = [];
    const derivative = () => {
      made.push(tensor([[0, 0, 0]], { dtype: own, backend }));
      return made.at(-1);
    };
    const forward = (values: Float64Array) => values;
    const at = tensor([[1, 2, 3]], { dtype, backend });
    const expected = {
      code: 'ERR_DTYPE',
      message: expect.stringContaining(
        `own returned a tensor of dtype ${own}; expected ${dtype}, that of x: pass { dtype: x.dtype } to tensor`,
      ),
    };
    await expect(gradcheck({ name: 'own', forward, vjp: derivative } as never, at)).rejects.toMatchObject(expected);
    await expect(gradgradcheck({ name: 'own', forward, hvp: derivative } as never, at)).rejects.toMatchObject(expected);
    expect(made.map(({ disposed }) => disposed)).toEqual([true, true]);
  });

  test('a more precise dtype than that of x is welcome', async () => {
    const forward = (values: Float64Array) => values;
    const vjp = (_: Tensor, g: Tensor) =>
      tensor([...(g.view() as Float32Array)], { shape: [1, 3], dtype: 'float64', backend });
    const at = tensor([[1, 2, 3]], { dtype: 'float32', backend });
    expect(await gradcheck({ name: 'own', forward, vjp }, at)).toMatchObject({ ok: true, checked: 3 });
  });

  test('there is one', async () => {
    const forward = (values: Float64Array) => values;
    await expect(check({ name: 'own', forward })).rejects.toThrow('gradcheck: own has no vjp to check');
    await expect(checkTwice({ name: 'own', forward })).rejects.toThrow('gradgradcheck: own has no hvp to check');
  });

  test('methods of a class keep their object', async () => {
    class Scaled {
      readonly name = 'scaled';
      readonly #factor = 3;
      forward(values: Float64Array) {
        return values.map((value) => this.#factor * value);
      }
      vjp(_: Tensor, g: Tensor) {
        return tensor(
          g.view().map((value) => this.#factor * value),
          { shape: [1, 3], dtype: 'float64', backend },
        );
      }
    }
    expect(await gradcheck(new Scaled(), x)).toMatchObject({ ok: true, checked: 3, name: 'scaled' });
  });
});

describe('a slope between those of two sides is right where these are accurate, and there alone', () => {
  const zero = tensor([0], { dtype: 'float64', backend });
  const half = (_: Tensor, g: Tensor) => tensor([0.5 * Number(g.dataSync()[0])], { dtype: 'float64', backend });
  const power = (exponent: number, round = (v: number) => v) => ({
    name: 'power',
    // Its slope at 0 is 0 for an exponent above 1; the quotients of each side are nearly ±1, whatever the step.
    forward: (values: Float64Array) => values.map((v) => round(Math.abs(round(v)) ** exponent)),
    vjp: half,
  });

  test('in float64', async () => {
    expect((await gradcheck(power(1), zero)).ok).toBe(true);
    expect((await gradcheck(power(1 + 1e-5), zero)).ok).toBe(false);
  });

  test('in float32', async () => {
    expect((await gradcheck(power(1 + 1e-5, Math.fround), zero)).ok).toBe(true);
    expect((await gradcheck(power(1 + 1e-2, Math.fround), zero)).ok).toBe(false);
  });
});

describe('a function of the caller may be async', () => {
  const later = async <T>(value: T): Promise<T> => {
    await new Promise(setImmediate);
    return value;
  };
  const cube = (values: Float64Array) => values.map((v) => Math.abs(v) ** 3);
  const slopes = (values: Float64Array, g: Float64Array) => values.map((v, i) => 3 * v * Math.abs(v) * (g[i] ?? 0));
  const curvatures = (values: Float64Array, g: Float64Array, t: Float64Array) =>
    values.map((v, i) => 6 * Math.abs(v) * (g[i] ?? 0) * (t[i] ?? 0));
  const made = (values: Float64Array) => tensor(values, { shape: [1, 4], dtype: 'float64', backend });
  const at = tensor([[1, -2, 0, 3]], { dtype: 'float64', backend });
  const smooth = tensor([[1, -2, 0.5, 3]], { dtype: 'float64', backend });
  const sync = {
    name: 'cube',
    forward: cube,
    vjp: (y: Tensor, g: Tensor) => made(slopes(y.dataSync() as Float64Array, g.dataSync() as Float64Array)),
    hvp: (y: Tensor, g: Tensor, t: Tensor) =>
      made(curvatures(y.dataSync() as Float64Array, g.dataSync() as Float64Array, t.dataSync() as Float64Array)),
  };
  const async = {
    name: 'cube',
    forward: (values: Float64Array) => later(cube(values)),
    vjp: async (y: Tensor, g: Tensor) =>
      made(slopes((await y.data()) as Float64Array, (await g.data()) as Float64Array)),
    hvp: async (y: Tensor, g: Tensor, t: Tensor) =>
      made(
        curvatures(
          (await y.data()) as Float64Array,
          (await g.data()) as Float64Array,
          (await t.data()) as Float64Array,
        ),
      ),
  };

  test('with the same report', async () => {
    const report = await gradcheck(async, at);
    expect(report).toMatchObject({ ok: true, checked: 4 });
    expect(report).toEqual(await gradcheck(sync, at));
    const twice = await gradgradcheck(async, smooth);
    expect(twice).toMatchObject({ ok: true, checked: 4 });
    expect(twice).toEqual(await gradgradcheck(sync, smooth));
  });

  test('at a kink, which has two sides', async () => {
    const forward = (values: Float64Array) => values.map((v) => Math.max(v, 0));
    const vjp = (y: Tensor, g: Tensor) =>
      made((y.dataSync() as Float64Array).map((v, i) => (v >= 0 ? (g.dataSync()[i] ?? 0) : 0)));
    const unnamed = { name: 'relu', forward: (values: Float64Array) => later(forward(values)), vjp };
    for (const own of [unnamed, { ...unnamed, kinks: [0] }]) {
      const report = await gradcheck(own, at);
      expect(report).toMatchObject({ ok: true, checked: 4 });
      expect(report).toEqual(await gradcheck({ ...own, forward }, at));
    }
  });

  test('in float32, which is seen all the same', async () => {
    const forward = (values: Float64Array) => cube(values).map(Math.fround);
    const report = await gradcheck({ ...async, forward: (values) => later(forward(values)) }, at);
    expect(report.ok).toBe(true);
    expect(report).toEqual(await gradcheck({ ...sync, forward }, at));
  });

  test('and one call of it is over before the next', async () => {
    let running = 0;
    const alone = async <T>(value: T): Promise<T> => {
      expect(++running).toBe(1);
      await later(undefined);
      running -= 1;
      return value;
    };
    const own = {
      ...sync,
      forward: (values: Float64Array) => alone(cube(values)),
      vjp: (y: Tensor, g: Tensor) => alone(sync.vjp(y, g)),
      hvp: (y: Tensor, g: Tensor, t: Tensor) => alone(sync.hvp(y, g, t)),
    };
    expect(await gradcheck(own, at)).toMatchObject({ ok: true });
    expect(await gradgradcheck(own, smooth)).toMatchObject({ ok: true });
  });

  test('and rejects the check with what it rejects with; an error of softgrad says what forward gets', async () => {
    const own = new RangeError('of the caller');
    const fails = async () => Promise.reject(own);
    await expect(gradcheck({ ...async, forward: fails }, at)).rejects.toBe(own);
    await expect(gradcheck({ ...async, vjp: fails }, at)).rejects.toBe(own);
    await expect(gradgradcheck({ ...async, hvp: fails }, at)).rejects.toBe(own);
    const forward = async (values: Float64Array) => crossEntropy.loss(values, [0]).data();
    await expect(gradcheck({ ...async, forward }, at)).rejects.toThrow(/^gradcheck: forward of cube: .*on the host$/);
  });
});
