import { beforeAll, describe, expect, test } from 'vitest';
import { counted, liveBuffers } from '../conformance/counted.js';
import { delegate } from '../conformance/delegate.js';
import { exact } from '../conformance/index.js';
import {
  type Backend,
  crossEntropy,
  empty,
  fromBuffer,
  logSoftmax,
  logSumExp,
  type OutOption,
  relu,
  setBackend,
  sigmoid,
  softmax,
  softmin,
  type Tensor,
  tensor,
} from '../src/index.js';
import { hintOfShape } from '../src/tensor/operands.js';
import { failure } from './failure.js';
import { minimal } from './minimal-backend.js';
import { openOutOfPlace } from './out-of-place.js';

let backend: Backend;
beforeAll(async () => {
  backend = await setBackend(exact);
});

const x = () => tensor([[1, 2]]);
const s = () => tensor([[0.25, 0.75]]);
const y = () => tensor([[-2, -0.25]]);

/** Every function with the name of each operand in turn. */
const takes: readonly (readonly [operation: string, argument: string, call: (value: never) => unknown])[] = [
  ...[softmax, softmin].flatMap((f, i) => {
    const name = ['softmax', 'softmin'][i];
    return [
      [name, 'logits', (v: never) => f(v)],
      [`${name}.jacobian`, 'probabilities', (v: never) => f.jacobian(v)],
      [`${name}.vjp`, 'probabilities', (v: never) => f.vjp(v, x())],
      [`${name}.vjp`, 'cotangent', (v: never) => f.vjp(x(), v)],
      [`${name}.jvp`, 'probabilities', (v: never) => f.jvp(v, x())],
      [`${name}.jvp`, 'tangent', (v: never) => f.jvp(x(), v)],
      [`${name}.hvp`, 'probabilities', (v: never) => f.hvp(v, x(), x())],
      [`${name}.hvp`, 'cotangent', (v: never) => f.hvp(x(), v, x())],
      [`${name}.hvp`, 'tangent', (v: never) => f.hvp(x(), x(), v)],
      [`${name}.doubleBackward`, 'probabilities', (v: never) => f.doubleBackward(v, x(), x())],
      [`${name}.doubleBackward`, 'cotangent', (v: never) => f.doubleBackward(x(), v, x())],
      [`${name}.doubleBackward`, 'upstream', (v: never) => f.doubleBackward(x(), x(), v)],
      [`${name}.linearize`, 'logits', (v: never) => f.linearize(v)],
      [name, 'out', (v: never) => f(x(), { out: v })],
    ] as const;
  }),
  ['logSoftmax', 'logits', (v) => logSoftmax(v)],
  ['logSoftmax.jacobian', 'logProbabilities', (v) => logSoftmax.jacobian(v)],
  ['logSoftmax.vjp', 'logProbabilities', (v) => logSoftmax.vjp(v, x())],
  ['logSoftmax.vjp', 'cotangent', (v) => logSoftmax.vjp(x(), v)],
  ['logSoftmax.jvp', 'logProbabilities', (v) => logSoftmax.jvp(v, x())],
  ['logSoftmax.jvp', 'tangent', (v) => logSoftmax.jvp(x(), v)],
  ['logSoftmax.hvp', 'logProbabilities', (v) => logSoftmax.hvp(v, x(), x())],
  ['logSoftmax.hvp', 'cotangent', (v) => logSoftmax.hvp(x(), v, x())],
  ['logSoftmax.hvp', 'tangent', (v) => logSoftmax.hvp(x(), x(), v)],
  ['logSoftmax.linearize', 'logits', (v) => logSoftmax.linearize(v)],
  ['logSumExp', 'logits', (v) => logSumExp(v)],
  ['logSumExp.gradient', 'logits', (v) => logSumExp.gradient(v)],
  ['logSumExp.vjp', 'logits', (v) => logSumExp.vjp(v, tensor([1]))],
  ['logSumExp.vjp', 'cotangent', (v) => logSumExp.vjp(x(), v)],
  ['logSumExp.jvp', 'logits', (v) => logSumExp.jvp(v, x())],
  ['logSumExp.jvp', 'tangent', (v) => logSumExp.jvp(x(), v)],
  ['logSumExp.hvp', 'logits', (v) => logSumExp.hvp(v, tensor([1]), x())],
  ['logSumExp.hvp', 'cotangent', (v) => logSumExp.hvp(x(), v, x())],
  ['logSumExp.hvp', 'tangent', (v) => logSumExp.hvp(x(), tensor([1]), v)],
  ['sigmoid.hvp', 'y', (v) => sigmoid.hvp(v, x(), x())],
  ['sigmoid.hvp', 'cotangent', (v) => sigmoid.hvp(x(), v, x())],
  ['sigmoid.hvp', 'tangent', (v) => sigmoid.hvp(x(), x(), v)],
  ['logSumExp.linearize', 'logits', (v) => logSumExp.linearize(v)],
  ...[sigmoid, relu].flatMap((f, i) => {
    const name = ['sigmoid', 'relu'][i];
    return [
      [name, 'x', (v: never) => f(v)],
      [`${name}.jacobian`, 'y', (v: never) => f.jacobian(v)],
      [`${name}.vjp`, 'y', (v: never) => f.vjp(v, x())],
      [`${name}.vjp`, 'cotangent', (v: never) => f.vjp(x(), v)],
      [`${name}.jvp`, 'y', (v: never) => f.jvp(v, x())],
      [`${name}.jvp`, 'tangent', (v: never) => f.jvp(x(), v)],
      [`${name}.linearize`, 'x', (v: never) => f.linearize(v)],
    ] as const;
  }),
  ['crossEntropy', 'logits', (v) => crossEntropy(v, [0])],
  ['crossEntropy.loss', 'logits', (v) => crossEntropy.loss(v, [0])],
  ['crossEntropy.gradient', 'logits', (v) => crossEntropy.gradient(v, [0])],
  ['crossEntropy.vjp', 'logits', (v) => crossEntropy.vjp(v, [0], tensor(1))],
  ['crossEntropy.vjp', 'cotangent', (v) => crossEntropy.vjp(x(), [0], v)],
  ['crossEntropy.jvp', 'logits', (v) => crossEntropy.jvp(v, [0], x())],
  ['crossEntropy.jvp', 'tangent', (v) => crossEntropy.jvp(x(), [0], v)],
];

describe('an operand is named where it is refused', () => {
  test.each(takes)('%s: %s', (operation, argument, call) => {
    const of = (value: unknown) => failure(() => call(value as never));
    const unreadable =
      argument === 'out'
        ? 'out is the text "x", expected a tensor: make one with tensor(…)'
        : `${argument}: cannot read the text "x"; expected nested arrays, a typed array, or an object with data and shape`;
    expect(of('x')).toEqual(['ERR_DTYPE', `${operation}: ${unreadable}`]);
    expect(of(tensor([1], { dtype: 'int32' }))).toEqual([
      'ERR_DTYPE',
      `${operation}: ${argument} is int32, expected floats: tensor(data, { dtype: 'float32' })`,
    ]);
    if (argument !== 'out') {
      for (const booleans of [[[true, false]], { data: [true, false], shape: [1, 2] }]) {
        expect(of(booleans)).toEqual([
          'ERR_DTYPE',
          `${operation}: ${argument} is bool, expected floats: tensor(data, { dtype: 'float32' })`,
        ]);
      }
    }
    const gone = tensor([1, 2]);
    gone.dispose();
    expect(of(gone)).toEqual(['ERR_DISPOSED', `${operation}: ${argument} (2,) was disposed`]);
  });

  const second = takes.filter(([, argument]) => ['cotangent', 'tangent', 'out'].includes(argument));

  test.each(second)('%s: %s that does not fit', async (operation, argument, call) => {
    const of = (value: unknown) => failure(() => call(value as never));
    expect(of(tensor([1, 2], { dtype: 'float64' }))).toEqual([
      'ERR_DTYPE',
      `${operation}: ${argument} is float64, expected float32 like the other operand${argument === 'out' ? '' : ": await x.to('float32')"}`,
    ]);
    const [code, message] = of(tensor([[[1], [2]]]));
    expect(code).toBe('ERR_SHAPE');
    expect(message).toMatch(`${operation}: ${argument} is (1, 2, 1), expected (`);
    const other = (await exact.open()) as Backend;
    expect(of(tensor([[1, 2]], { backend: other }))).toEqual([
      'ERR_BACKEND_MISMATCH',
      `${operation}: ${argument} lives on another instance of exact; move it with await x.to(backend)`,
    ]);
    const renamed = delegate(other, { name: 'elsewhere' });
    expect(of(tensor([[1, 2]], { backend: renamed }))[1]).toBe(
      `${operation}: ${argument} lives on elsewhere, not on exact; move it with await x.to(backend)`,
    );
  });
});

describe('temperature is finite and above 0', () => {
  const calls: readonly (readonly [string, (temperature: number) => unknown])[] = [
    ['softmax', (temperature) => softmax(x(), { temperature })],
    ['softmin', (temperature) => softmin(x(), { temperature })],
    ['softmax.jacobian', (temperature) => softmax.jacobian(s(), { temperature })],
    ['softmax.vjp', (temperature) => softmax.vjp(s(), x(), { temperature })],
    ['softmax.linearize', (temperature) => softmax.linearize(x(), { temperature })],
    ['logSoftmax', (temperature) => logSoftmax(x(), { temperature })],
    ['logSoftmax.jacobian', (temperature) => logSoftmax.jacobian(y(), { temperature })],
    ['logSoftmax.vjp', (temperature) => logSoftmax.vjp(y(), x(), { temperature })],
    ['logSoftmax.jvp', (temperature) => logSoftmax.jvp(y(), x(), { temperature })],
    ['logSoftmax.linearize', (temperature) => logSoftmax.linearize(x(), { temperature })],
    ['logSumExp', (temperature) => logSumExp(x(), { temperature })],
    ['logSumExp.gradient', (temperature) => logSumExp.gradient(x(), { temperature })],
    ['logSumExp.vjp', (temperature) => logSumExp.vjp(x(), tensor([1]), { temperature })],
    ['logSumExp.jvp', (temperature) => logSumExp.jvp(x(), x(), { temperature })],
    ['softmax.hvp', (temperature) => softmax.hvp(s(), x(), x(), { temperature })],
    ['softmax.doubleBackward', (temperature) => softmax.doubleBackward(s(), x(), x(), { temperature })],
    ['logSoftmax.hvp', (temperature) => logSoftmax.hvp(y(), x(), x(), { temperature })],
    ['logSumExp.hvp', (temperature) => logSumExp.hvp(x(), tensor([1]), x(), { temperature })],
    ['logSumExp.linearize', (temperature) => logSumExp.linearize(x(), { temperature })],
  ];

  test.each(calls)('%s', (operation, call) => {
    for (const temperature of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(failure(() => call(temperature))).toEqual([
        'ERR_VALUE',
        `${operation}: temperature ${temperature}; expected a finite number above 0`,
      ]);
    }
    expect(() => call(Number.MIN_VALUE)).not.toThrow();
  });
});

describe('an axis is checked where an operator is made, not where it is used', () => {
  test.each([
    ['softmax', () => softmax.linearize(x(), { axis: 2 })],
    ['logSoftmax', () => logSoftmax.linearize(x(), { axis: 2 })],
    ['logSumExp', () => logSumExp.linearize(x(), { axis: 2 })],
    ['sigmoid', () => sigmoid.linearize(x(), { axis: 2 })],
  ])('%s', (name, call) => {
    expect(failure(call)).toEqual(['ERR_AXIS', `${name}.linearize: axis 2 of a rank-2 tensor; expected -2 to 1`]);
  });
});

describe('a linear operator', () => {
  const logits = () =>
    tensor(
      [
        [1, 2, 3],
        [0, 1, 5],
      ],
      { dtype: 'float64' },
    );
  const vector = () =>
    tensor(
      [
        [1, 0, 2],
        [-1, 3, 0],
      ],
      { dtype: 'float64' },
    );
  test('has the products, the diagonal and the matrices of its function, at its axis and temperature', () => {
    for (const axis of [0, 1]) {
      const options = { axis, temperature: 2 };
      for (const f of [softmax, softmin, logSoftmax]) {
        const y = f(logits(), options);
        const J = f.linearize(logits(), options);
        expect(J.value.dataSync()).toEqual(y.dataSync());
        expect([J.inputShape, J.outputShape]).toEqual([
          [2, 3],
          [2, 3],
        ]);
        expect(J.vjp(vector()).dataSync()).toEqual(f.vjp(y, vector(), options).dataSync());
        expect(J.jvp(vector()).dataSync()).toEqual(f.jvp(y, vector(), options).dataSync());
        const dense = J.toDense();
        expect(dense.dataSync()).toEqual(f.jacobian(y, options).dataSync());
        const f2 = axis === 0 ? 2 : 3;
        const matrices = [...dense.dataSync()];
        const diagonal = [...J.diagonal().dataSync()];
        diagonal.forEach((value, k) => {
          const [row, i] = axis === 0 ? [k % 3, Math.floor(k / 3)] : [Math.floor(k / 3), k % 3];
          expect(value).toBeCloseTo(matrices[(row * f2 + i) * f2 + i], 14);
        });
      }
      const J = logSumExp.linearize(logits(), options);
      expect([J.inputShape, J.outputShape]).toEqual([[2, 3], axis === 0 ? [3] : [2]]);
      expect(J.value.dataSync()).toEqual(logSumExp(logits(), options).dataSync());
      // Its Jacobian is not square, and has no diagonal.
      expect(['diagonal' in J, 'toDense' in J]).toEqual([false, false]);
      expect(J.jvp(vector()).dataSync()).toEqual(logSumExp.jvp(logits(), vector(), options).dataSync());
      const g = tensor(axis === 0 ? [1, 2, 3] : [1, 2], { dtype: 'float64' });
      expect(J.vjp(g).dataSync()).toEqual(logSumExp.vjp(logits(), g, options).dataSync());
    }
  });

  test('takes a mask along with logSoftmax and logSumExp', () => {
    const options = { mask: [[true, true, false]] };
    const y = logSoftmax(logits(), options);
    const J = logSoftmax.linearize(logits(), options);
    expect(J.toDense().dataSync()).toEqual(logSoftmax.jacobian(y, options).dataSync());
    const dense = [...J.toDense().dataSync()];
    expect([...J.diagonal().dataSync()].map((value) => value.toFixed(12))).toEqual(
      [0, 4, 8, 9, 13, 17].map((k) => dense[k].toFixed(12)),
    );
    expect(J.vjp(vector()).dataSync()).toEqual(logSoftmax.vjp(y, vector(), options).dataSync());
    const L = logSumExp.linearize(logits(), options);
    expect(L.jvp(vector()).dataSync()).toEqual(logSumExp.jvp(logits(), vector(), options).dataSync());
    const S = softmax.linearize(logits(), options);
    expect(S.vjp(vector()).dataSync()).toEqual(softmax.vjp(softmax(logits(), options), vector()).dataSync());
  });

  test('refuses derivatives once what they are computed from was overwritten by a call', () => {
    const refusal = (what: string, name: string, member: string) => [
      'ERR_VALUE',
      what === 'the value'
        ? `${name}.linearize.${member}: a call with the value of ${name}.linearize as out overwrote its numbers; linearize again`
        : `${name}.linearize.${member}: a call with ${what} of ${name}.linearize as out overwrote its numbers; linearize again`,
    ];
    for (const f of [softmax, softmin, logSoftmax, sigmoid, relu]) {
      const name = Object.entries({ softmax, softmin, logSoftmax, sigmoid, relu }).find(([, g]) => g === f)?.[0] ?? '';
      const x = logits();
      const J = f.linearize(x);
      const expected = J.vjp(vector()).dataSync();
      // The logits are not needed any more, nor is another tensor.
      softmax(x, { out: x });
      expect(J.vjp(vector()).dataSync()).toEqual(expected);
      f(logits(), { out: J.value });
      expect(failure(() => J.vjp(vector()))).toEqual(refusal('the value', name, 'vjp'));
      expect(failure(() => J.jvp(vector()))).toEqual(refusal('the value', name, 'jvp'));
      expect(failure(() => J.toDense())).toEqual(refusal('the value', name, 'toDense'));
      const again = f.linearize(logits());
      expect(again.vjp(vector(), { out: again.value })).toBe(again.value);
      expect(failure(() => again.diagonal())).toEqual(refusal('the value', name, 'diagonal'));
    }
    const x = logits();
    const L = logSumExp.linearize(x);
    logSumExp(logits(), { out: L.value });
    expect(L.jvp(vector()).dataSync()).toEqual(logSumExp.jvp(logits(), vector()).dataSync());
    softmax(x, { out: x });
    expect(failure(() => L.jvp(vector()))).toEqual(refusal('the logits', 'logSumExp', 'jvp'));
    // tensor and crossEntropy write by out as well.
    const given = logits();
    const G = logSumExp.linearize(given);
    tensor(logits().dataSync(), { shape: given.shape, out: given });
    expect(failure(() => G.jvp(vector()))).toEqual(refusal('the logits', 'logSumExp', 'jvp'));
    const S = softmax.linearize(logits());
    crossEntropy.gradient(logits(), [0, 1], { out: S.value });
    expect(failure(() => S.vjp(vector()))).toEqual(refusal('the value', 'softmax', 'vjp'));
    // So does tensor, which reuses the logits of one batch for the next.
    const next = logits();
    const N = logSumExp.linearize(next);
    tensor(logits().arraySync(), { out: next });
    expect(failure(() => N.vjp([1, 1]))).toEqual(refusal('the logits', 'logSumExp', 'vjp'));
  });

  test('of an elementwise function is diagonal along the axis', () => {
    for (const f of [sigmoid, relu]) {
      const y = f(logits());
      for (const axis of [0, 1]) {
        const J = f.linearize(logits(), { axis });
        expect([J.inputShape, J.outputShape]).toEqual([
          [2, 3],
          [2, 3],
        ]);
        const ones = tensor(
          [
            [1, 1, 1],
            [1, 1, 1],
          ],
          { dtype: 'float64' },
        );
        const slope = [...f.vjp(y, ones).dataSync()];
        expect([...J.diagonal().dataSync()].map((v) => v.toFixed(14))).toEqual(slope.map((v) => v.toFixed(14)));
        const dense = J.toDense();
        expect(dense.shape).toEqual(axis === 0 ? [3, 2, 2] : [2, 3, 3]);
        const n = axis === 0 ? 2 : 3;
        const matrices = [...dense.dataSync()];
        matrices.forEach((value, k) => {
          const [row, i, j] = [Math.floor(k / (n * n)), Math.floor(k / n) % n, k % n];
          const at = axis === 0 ? i * 3 + row : row * 3 + i;
          expect(value).toBeCloseTo(i === j ? slope[at] : 0, 14);
        });
      }
      // Products need no axis: they are the same along each, and for a scalar.
      const [half, two] = [0.5, 2].map((value) => tensor(value, { dtype: 'float64' }));
      expect(f.linearize(half).jvp(two).dataSync()).toEqual(f.jvp(f(half), two).dataSync());
      expect(failure(() => f.linearize(half).toDense())[0]).toBe('ERR_AXIS');
    }
  });

  test('writes into out, and is of no use once its value is disposed', () => {
    const out = () => tensor(new Float64Array(6), { shape: [2, 3] });
    for (const f of [softmax, logSoftmax, sigmoid]) {
      const J = f.linearize(logits());
      for (const call of [
        (target: Tensor) => J.vjp(vector(), { out: target }),
        (target: Tensor) => J.jvp(vector(), { out: target }),
        (target: Tensor) => J.diagonal({ out: target }),
      ]) {
        const target = out();
        expect(call(target)).toBe(target);
        expect([...target.dataSync()].some((value) => value !== 0)).toBe(true);
      }
      const dense = tensor(new Float64Array(18), { shape: [2, 3, 3] });
      expect(J.toDense({ out: dense })).toBe(dense);
      J.value.dispose();
      for (const call of [() => J.vjp(vector()), () => J.jvp(vector()), () => J.diagonal(), () => J.toDense()]) {
        expect(failure(call)[0]).toBe('ERR_DISPOSED');
      }
    }
    const L = logSumExp.linearize(logits());
    const row = tensor(new Float64Array(2));
    expect(L.jvp(vector(), { out: row })).toBe(row);
    const whole = out();
    expect(L.vjp(tensor([1, 1], { dtype: 'float64' }), { out: whole })).toBe(whole);
  });

  test('says in whose name an option is refused', () => {
    const options = { axis: 0 } as never;
    const J = softmax.linearize(logits());
    const small = { out: tensor([1, 2], { dtype: 'float64' }) };
    for (const [name, call] of [
      ['vjp', (more: OutOption) => J.vjp(vector(), more)],
      ['jvp', (more: OutOption) => J.jvp(vector(), more)],
      ['diagonal', (more: OutOption) => J.diagonal(more)],
      ['toDense', (more: OutOption) => J.toDense(more)],
    ] as const) {
      const text = `softmax.linearize.${name}: unknown option 'axis'; expected out`;
      expect(failure(() => call(options))).toEqual(['ERR_VALUE', text]);
      expect(failure(() => call(small))[1]).toMatch(`softmax.linearize.${name}: out is (2,), expected (2, 3`);
    }
    for (const [name, operator] of [
      ['softmax', softmax.linearize(logits())],
      ['sigmoid', sigmoid.linearize(logits())],
      ['logSoftmax', logSoftmax.linearize(logits())],
    ] as const) {
      const own = tensor([1, 2], { dtype: 'float64' });
      expect(failure(() => operator.diagonal({ out: own }))[1]).toBe(
        `${name}.linearize.diagonal: out is (2,), expected (2, 3)`,
      );
    }
  });
});

test('an operator of linearize has no memory on the backend but its value', async () => {
  const here = counted(backend);
  const mask = [[true, false]];
  for (const f of [softmax, softmin, logSoftmax, sigmoid, relu, logSumExp]) {
    const options = f === sigmoid || f === relu ? {} : { mask };
    const logits = tensor([[1, 2]], { backend: here });
    const { value, vjp } = f.linearize(logits, options);
    vjp(f === logSumExp ? [1] : [[1, 0]]).dispose();
    expect(liveBuffers(here)).toBe(2);
    value.dispose();
    logits.dispose();
    expect(liveBuffers(here)).toBe(0);
  }
});

describe('the limits of a backend', () => {
  const limited = (limits: { elements: number; classes: number }) =>
    delegate(backend, { name: 'limited', supports: { ...backend.supports, limits } });

  test('apply to elements and classes, inclusively', async () => {
    const here = limited({ elements: 6, classes: 3 });
    const fits = tensor(
      [
        [1, 2, 3],
        [4, 5, 6],
      ],
      { backend: here },
    );
    expect(softmax(fits).shape).toEqual([2, 3]);
    expect(failure(() => empty([7], { backend: here }))).toEqual([
      'ERR_OUT_OF_MEMORY',
      'empty: limited holds at most 6 elements in one buffer; 7 were asked for',
    ]);
    for (const [name, call] of [
      ['softmax.jacobian', () => softmax.jacobian(softmax(fits))],
      ['softmax.linearize.toDense', () => softmax.linearize(fits).toDense()],
    ] as const) {
      expect(failure(call)).toEqual([
        'ERR_OUT_OF_MEMORY',
        `${name}: limited holds at most 6 elements in one buffer; 18 were asked for; vjp and jvp multiply by the Jacobian without storing it`,
      ]);
    }
    const wide = tensor([1, 2, 3, 4], { backend: here });
    expect(failure(() => logSumExp(wide))).toEqual([
      'ERR_UNSUPPORTED',
      'logSumExp: 4 classes; limited takes at most 3 in one row',
    ]);
    const made = await softmax(tensor([1, 2, 3, 4], { backend })).to(here);
    expect(failure(() => softmax.vjp(made, wide))[1]).toBe(
      'softmax.vjp: 4 classes; limited takes at most 3 in one row',
    );
  });
});

describe('an operation that fails', () => {
  const broken = (parts: Partial<Backend>) => counted(delegate(backend, parts));
  const fail = () => {
    throw new Error('the kernel failed');
  };

  test('frees its result and its scratch', () => {
    const basis = backend.basis && { ...backend.basis, reduce: fail };
    const here = broken({ softmax: fail, ...(basis && { basis }), kernels: {} });
    const y = tensor([[1, 2]], { backend: here });
    for (const call of [() => softmax(y), () => logSoftmax(y), () => logSumExp(y), () => crossEntropy(y, [0])]) {
      expect(call).toThrow('the kernel failed');
      expect(liveBuffers(here)).toBe(1);
    }
  });

  test('leaves out as it was where it is an operand that is not written in place', async () => {
    const outOfPlace = await openOutOfPlace();
    const here = counted(delegate(outOfPlace, { softmax: fail }));
    const y = tensor([[1, 2]], { backend: here });
    expect(() => softmax(y, { out: y })).toThrow('the kernel failed');
    expect([...y.dataSync()]).toEqual([1, 2]);
    expect(liveBuffers(here)).toBe(1);
    expect(sigmoid(y, { out: y })).toBe(y);
    expect(liveBuffers(here)).toBe(1);
  });

  test('frees the tensor that could not be written', () => {
    const here = broken({ write: fail });
    expect(() => tensor([1], { backend: here })).toThrow('the kernel failed');
    expect(() => crossEntropy(empty([1, 2], { backend: here }), [0], { weight: [1, 2] })).toThrow('the kernel failed');
    expect(liveBuffers(here)).toBe(1);
  });
});

describe('an empty tensor', () => {
  test('has an empty result, for which no kernel runs', () => {
    const fail = () => {
      throw new Error('a kernel ran');
    };
    const here = delegate(backend, {
      softmax: fail,
      vjp: fail,
      jacobian: fail,
      kernels: {},
      ...(backend.basis && {
        basis: Object.fromEntries(Object.keys(backend.basis).map((verb) => [verb, fail])) as never,
      }),
    });
    const none = (...dims: number[]) => tensor([], { shape: dims, backend: here });
    for (const dims of [
      [0, 3],
      [2, 0],
    ]) {
      const y = none(...dims);
      for (const f of [softmax, softmin, logSoftmax]) {
        expect(f(y).shape).toEqual(dims);
        expect(f(y, { out: y })).toBe(y);
        expect(f.vjp(y, y).shape).toEqual(dims);
        expect(f.jacobian(y).shape).toEqual([dims[0], dims[1], dims[1]]);
      }
      expect(sigmoid(y).shape).toEqual(dims);
      expect(logSumExp.gradient(y).shape).toEqual(dims);
    }
    for (const [y, target] of [
      [none(2, 0), [-100, -100]],
      [none(0, 3), Int32Array.of()],
    ] as const) {
      const rows = [...target].map(() => 0);
      for (const [reduction, expected] of [
        ['none', rows],
        ['sum', [0]],
        ['mean', [Number.NaN]],
      ] as const) {
        const { loss, gradient } = crossEntropy(y, target, { reduction });
        expect([...loss.dataSync()]).toEqual(expected);
        expect(gradient.shape).toEqual(y.shape);
        expect([...crossEntropy.loss(y, target, { reduction }).dataSync()]).toEqual(expected);
        const changes = crossEntropy.jvp(y, target, y, { reduction });
        expect([...changes.dataSync()]).toEqual(reduction === 'none' ? rows : [0]);
        expect(crossEntropy.gradient(y, target, { reduction }).shape).toEqual(y.shape);
      }
    }
    expect(logSumExp(none(0, 3)).shape).toEqual([0]);
    expect([...logSumExp(none(2, 0)).dataSync()]).toEqual([Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY]);
    expect([...logSumExp.jvp(none(2, 0), none(2, 0)).dataSync()]).toEqual([0, 0]);
  });
});

test.each([
  ['softmax', softmax, 'logits'],
  ['relu', relu, 'x'],
] as const)('%s.linearize along an axis names an operand of a wrong dtype as the function does', (name, f, operand) => {
  const integers: Tensor = tensor([1, 2], { dtype: 'int32' });
  expect(failure(() => f.linearize(integers, { axis: 0 }))).toEqual([
    'ERR_DTYPE',
    failure(() => f(integers))[1].replace(name, `${name}.linearize`),
  ]);
  expect(failure(() => f(integers))[1]).toContain(`${name}: ${operand} `);
});

describe('a missing operation', () => {
  const noBasis = (name: string) => `${name} has no basis (elementary operations) to compose it from`;

  test('is an error that names the backends in use that have it', async () => {
    // A unique name, because other test files use backends as well.
    const bare = delegate((await minimal.open()) as Backend, { name: 'bare' });
    const y = tensor([[1, 2]], { backend: bare });
    tensor([1], { backend });
    const neither = (kernel: string) =>
      `bare has neither kernels.${kernel} nor a basis (elementary operations) to compose it from`;
    for (const [operation, text, call] of [
      ['logSoftmax', neither('logSoftmax'), () => logSoftmax(y)],
      [
        'softmax',
        'bare has no basis (elementary operations) to compose it from, and its softmax does not take this axis, temperature or mask',
        () => softmax(y, { temperature: 2 }),
      ],
      ['softmax.linearize.diagonal', noBasis('bare'), () => softmax.linearize(y).diagonal()],
      ['sigmoid', neither('sigmoid'), () => sigmoid(y)],
    ] as const) {
      const [code, message] = failure(call);
      expect(code).toBe('ERR_UNSUPPORTED');
      expect(message).toMatch(`${operation}: ${text}; `);
      expect(message).toMatch(/exact.* can: move the operands with await x\.to\(backend\)$/);
      expect(message.replace(text, '')).not.toContain('bare');
    }
    for (const name of ['first of two', 'second of two']) tensor([1], { backend: delegate(backend, { name }) });
    expect(failure(() => sigmoid(y))[1]).toContain('first of two, second of two can: move');
    // A fused kernel is enough, unless it declines.
    const kernels = { logSoftmax: () => false as const };
    const declining = delegate(bare, { name: 'declining', kernels });
    const z = tensor([[1, 2]], { backend: declining });
    expect(failure(() => logSoftmax(z))[1]).toMatch(
      'logSoftmax: declining has no basis (elementary operations) to compose it from, and its kernels.logSoftmax does not take this axis, temperature or mask; ',
    );
  });

  test('of crossEntropy names the backends that have only its kernel for the loss and the gradient, whose products need a basis', async () => {
    const bare = delegate((await minimal.open()) as Backend, { name: 'plain' });
    const kernelled = delegate(bare, { name: 'kernelled', kernels: { crossEntropy: () => undefined } });
    const [x, other] = [bare, kernelled].map((backend) => tensor([[1, 2]], { backend }));
    const calls = {
      loss: (x: Tensor) => crossEntropy.loss(x, [0]),
      gradient: (x: Tensor) => crossEntropy.gradient(x, [0]),
      vjp: (x: Tensor) => crossEntropy.vjp(x, [0], 1),
      jvp: (x: Tensor) => crossEntropy.jvp(x, [0], [[1, 0]]),
      hvp: (x: Tensor) => crossEntropy.hvp(x, [0], 1, [[1, 0]]),
    };
    for (const [member, call] of Object.entries(calls)) {
      const isNamed = member === 'loss' || member === 'gradient';
      const message = failure(() => call(x))[1];
      expect(message.includes('kernelled'), member).toBe(isNamed);
      const lacks = isNamed
        ? 'plain has neither kernels.crossEntropy nor a basis (elementary operations) to compose it from'
        : noBasis('plain');
      expect(message).toMatch(`crossEntropy.${member}: ${lacks}; `);
      if (isNamed) call(other);
      else
        expect(failure(() => call(other))[1].replace(`: ${noBasis('kernelled')};`, ''), member).not.toContain(
          'kernelled',
        );
    }
    // The kernel writes a loss for each row, and their sum needs a basis.
    const rows = tensor(
      [
        [1, 2],
        [3, 4],
      ],
      { backend: delegate(kernelled, { name: 'of-rows' }) },
    );
    const both = failure(() => crossEntropy(rows, [0, 1]))[1];
    for (const message of [both, failure(() => crossEntropy.loss(rows, [0, 1]))[1]]) {
      expect(message).toContain(`: ${noBasis('of-rows')}; `);
      expect(message).not.toContain('kernelled');
    }
    expect(crossEntropy.loss(rows, [0, 1], { reduction: 'none' }).shape).toEqual([2]);
    // Also where the kernel is missing: with it alone, the sum would still be.
    const plain = tensor(
      [
        [1, 2],
        [3, 4],
      ],
      { backend: bare },
    );
    expect(failure(() => crossEntropy.loss(plain, [0, 1]))[1]).toContain(noBasis('plain'));
  });

  test('names no backend that lacks the dtype, to which the operands cannot be moved', async () => {
    const whole = (await exact.open()) as Backend;
    const bare = delegate(whole, { name: 'of both dtypes', basis: undefined, kernels: {} });
    const supports = { ...whole.supports, dtypes: ['float32'] as const };
    tensor([1], { backend: delegate(whole, { name: 'single-only', supports }) });
    for (const dtype of ['float32', 'float64'] as const) {
      const y = tensor([[0, -1]], { backend: bare, dtype });
      const message = failure(() => logSoftmax(y))[1];
      expect(message.includes('single-only'), message).toBe(dtype === 'float32');
    }
  });

  test('with a mask names only backends with a basis if a derivative takes the output, because kernels do not apply the mask', async () => {
    const bare = delegate((await minimal.open()) as Backend, { name: 'unmasked' });
    const kernels = { logSoftmaxVjp: () => undefined, logSoftmaxJacobian: () => undefined };
    tensor([1], { backend: delegate(bare, { name: 'with-kernels', kernels }) });
    const y = tensor([[0, -1]], { backend: bare });
    expect(failure(() => logSoftmax.vjp(y, y))[1]).toContain('with-kernels');
    expect(failure(() => logSoftmax.jacobian(y))[1]).toContain('with-kernels');
    const mask = [true, false];
    expect(failure(() => logSoftmax.vjp(y, y, { mask }))[1]).not.toContain('with-kernels');
    expect(failure(() => logSoftmax.jacobian(y, { mask }))[1]).not.toContain('with-kernels');
  });
});

test('a kernel of the basis that declines a plain call is an error that names it', async () => {
  const declining = delegate(await exact.open(), {
    name: 'declining',
    kernels: {},
    softmax: () => false,
    jacobian: () => false,
    vjp: () => false,
  });
  const x = tensor([[1, 2]], { backend: declining });
  const s = tensor([[0.5, 0.5]], { backend: declining });
  for (const [kernel, call] of [
    ['softmax', () => softmax(x, { temperature: 2 })],
    ['jacobian', () => softmax.jacobian(s, { temperature: 2 })],
    ['vjp', () => softmax.vjp(s, x, { temperature: 2 })],
  ] as const) {
    expect(failure(call)).toEqual([
      'ERR_UNSUPPORTED',
      expect.stringContaining(`declining declines ${kernel} at temperature 1 without a mask`),
    ]);
  }
});

test('a tensor over a buffer of the engine’s own may share it with another of the same shape', () => {
  const buffer = backend.alloc(2, 'float64');
  backend.write(buffer, Float64Array.of(0, 0));
  const y = fromBuffer(backend, buffer, [1, 2], 'float64');
  expect([...softmax(y, { out: y }).dataSync()]).toEqual([0.5, 0.5]);
});

test.each([
  [[6], [2, 3], true],
  [[2, 3, 1], [2, 3], true],
  [[1, 6], [6], true],
  [[3, 2], [2, 3], false],
  [[5], [2, 3], false],
  [[6], [], false],
  [[1], [], false],
] as const)('a hint how to state a shape, of %j where %j is expected: %s', (given, expected, isHint) => {
  const hint = `; the same entries in that shape are { data, shape: [${expected.join(', ')}] }, with flat data`;
  expect(hintOfShape(given, expected)).toBe(isHint ? hint : '');
});

test('the hint is for what can be reshaped: an operand, a target, a mask, and not out', () => {
  const s = softmax(tensor([[1, 2, 3]]));
  expect(() => softmax.vjp(s, [1, 2, 3])).toThrow(
    'cotangent is (3,), expected (1, 3); the same entries in that shape are',
  );
  const logits = [
    [1, 2, 3],
    [3, 2, 1],
  ];
  const target = [1, 0, 0, 0.5, 0.5, 0];
  for (const flat of [target, tensor(target)]) {
    expect(() => crossEntropy(logits, flat)).toThrow(
      'target is (6,); expected class indices (2,) or probabilities (2, 3); the same entries in that shape are { data, shape: [2, 3] }',
    );
  }
  expect(() =>
    crossEntropy(
      [
        [1, 2],
        [3, 4],
      ],
      [[1], [0]],
    ),
  ).toThrow(/probabilities \(2, 2\); the same .* shape: \[2\] /);
  expect(() => softmax([[1], [2], [3]], { mask: [true, false, true] })).toThrow(
    "mask (3,) doesn't broadcast to (3, 1); the same entries in that shape are { data, shape: [3, 1] }, with flat data",
  );
  expect(() => softmax([[1], [2]], { mask: [true, false, true] })).toThrow(/doesn't broadcast to \(2, 1\)$/);
  expect(() => softmax.vjp(s, s, { out: tensor([1, 2, 3]) })).toThrow(/out is \(3,\), expected \(1, 3\)$/);
});
