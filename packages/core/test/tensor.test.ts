import { inspect } from 'node:util';
import { runInNewContext } from 'node:vm';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { delegate } from '../conformance/delegate.js';
import { exact } from '../conformance/index.js';
import {
  type Backend,
  bufferOf,
  type ErrorCode,
  empty,
  fromBuffer,
  isTensor,
  SoftgradError,
  setBackend,
  softmax,
  tensor,
} from '../src/index.js';
import { minimal } from './minimal-backend.js';

let backend: Backend;
beforeAll(async () => {
  backend = await setBackend(exact);
});

function failure(action: () => unknown): { readonly code: ErrorCode; readonly message: string } {
  try {
    action();
  } catch (error) {
    if (error instanceof SoftgradError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('tensor reads', () => {
  test('nested arrays, whose nesting is the shape', async () => {
    const x = tensor([
      [1, 2, 3],
      [4, 5, 6],
    ]);
    expect([x.shape, x.dtype, x.size]).toEqual([[2, 3], 'float32', 6]);
    expect(await x.array()).toEqual([
      [1, 2, 3],
      [4, 5, 6],
    ]);
  });

  test('options that are undefined as absent', () => {
    const options = { dtype: undefined, shape: undefined, backend: undefined, out: undefined };
    expect(tensor([1, 2], options).dtype).toBe('float32');
    expect(empty([2], { dtype: undefined, backend: undefined }).dtype).toBe('float32');
  });

  test('a number as a scalar', async () => {
    const x = tensor(2.5);
    expect([x.shape, await x.array()]).toEqual([[], 2.5]);
  });

  test('empty nesting as empty dimensions', () => {
    expect(tensor([]).shape).toEqual([0]);
    expect(tensor([[], []]).shape).toEqual([2, 0]);
  });

  test.each([
    [new Float64Array(2), 'float64'],
    [new Float32Array(2), 'float32'],
    [new Int32Array(2), 'int32'],
    [new Uint8Array(2), 'int32'],
    [runInNewContext('new Float64Array(2)'), 'float64'],
    [runInNewContext('new Float32Array(2)'), 'float32'],
    [runInNewContext('new Uint16Array(2)'), 'int32'],
    [[true, false], 'bool'],
    [[1, 2], 'float32'],
  ])('%o as its natural dtype', (input, dtype) => {
    expect(tensor(input).dtype).toBe(dtype);
  });

  test('data with a shape, contiguous or strided, forwards or backwards', async () => {
    const data = Float64Array.of(0, 1, 2, 3, 4, 5);
    expect(await tensor({ data, shape: [3, 2] }).array()).toEqual([
      [0, 1],
      [2, 3],
      [4, 5],
    ]);
    expect(await tensor({ data, shape: [2, 3], strides: [1, 2] }).array()).toEqual([
      [0, 2, 4],
      [1, 3, 5],
    ]);
    expect(await tensor({ data, shape: [3], stride: [-2], offset: 5 }).array()).toEqual([5, 3, 1]);
    expect(await tensor({ data, shape: [2, 2], stride: [0, 1], offset: 3 }).array()).toEqual([
      [3, 4],
      [3, 4],
    ]);
  });

  test('NaN and infinities as they are', async () => {
    const values = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0];
    expect(await tensor(values, { dtype: 'float64' }).array()).toEqual(values);
  });

  test('its input once: later changes of it do not show', async () => {
    const data = Float32Array.of(1, 2);
    const x = tensor(data);
    data[0] = 9;
    expect(await x.array()).toEqual([1, 2]);
  });
});

describe('tensor refuses', () => {
  test.each([
    ['ragged rows', () => tensor([[1, 2], [3]]), 'ERR_SHAPE', 'entry [1] has 1 entry, expected 2'],
    ['a row where a number belongs', () => tensor([1, [2]] as never), 'ERR_SHAPE', 'entry [1] is an array of 1 entry'],
    ['a number where a row belongs', () => tensor([[1], 2] as never), 'ERR_SHAPE', 'entry [1] has 2, expected 1'],
    ['text', () => tensor([[1, '2']] as never), 'ERR_DTYPE', 'entry [0][1] is the text "2"'],
    ['null', () => tensor([null] as never), 'ERR_DTYPE', 'entry [0] is null'],
    ['a promise', () => tensor(Promise.resolve([1]) as never), 'ERR_DTYPE', 'await it first'],
    ['64-bit integers', () => tensor(new BigInt64Array(1) as never), 'ERR_DTYPE', '64-bit integers'],
    [
      '64-bit integers of another realm',
      () => tensor(runInNewContext('new BigInt64Array(1)')),
      'ERR_DTYPE',
      '64-bit integers',
    ],
    ['too few values', () => tensor(new Float32Array(5), { shape: [2, 3] }), 'ERR_SHAPE', '5 values'],
    ['a negative dimension', () => tensor([1], { shape: [-1] }), 'ERR_SHAPE', 'dimension -1'],
    ['a fraction as int32', () => tensor([0.5], { dtype: 'int32' }), 'ERR_DTYPE', 'int32 cannot hold'],
    [
      'a provider instead of an open backend',
      () => tensor([1], { backend: exact as never }),
      'ERR_VALUE',
      'await openShared(',
    ],
    [
      'null in strided data',
      () => tensor({ data: [1, null, 3, 4], shape: [2, 2], strides: [1, 2] } as never),
      'ERR_DTYPE',
      'element 1 is null',
    ],
    [
      'more elements than memory, repeated by a stride of 0',
      () => tensor({ data: [1], shape: [2 ** 45], strides: [0] }),
      'ERR_OUT_OF_MEMORY',
      'tensor: cannot allocate',
    ],
    [
      'an unknown dtype',
      () => tensor([1], { dtype: 'float' as never }),
      'ERR_DTYPE',
      "tensor: unknown dtype 'float' (did you mean 'float32'?); expected one of float16, float32",
    ],
    [
      'a constructor for a dtype',
      () => tensor([1], { dtype: Float64Array as never }),
      'ERR_DTYPE',
      "tensor: unknown dtype 'Float64Array' (did you mean 'float64'?); expected one of float16, float32",
    ],
    ...[
      ['f32', 'float32'],
      ['f64', 'float64'],
      ['f16', 'float16'],
      ['double', 'float64'],
      ['half', 'float16'],
      ['Float32', 'float32'],
      ['i32', 'int32'],
      ['boolean', 'bool'],
    ].map(
      ([given, meant]) =>
        [
          `the dtype ${given}`,
          () => tensor([1], { dtype: given as never }),
          'ERR_DTYPE',
          `tensor: unknown dtype '${given}' (did you mean '${meant}'?); expected one of float16, float32`,
        ] as [string, () => unknown, string, string],
    ),
    ['the dtype uint8', () => tensor([1], { dtype: 'uint8' as never }), 'ERR_DTYPE', "unknown dtype 'uint8'; expected"],
    [
      'an empty tensor of an unknown dtype',
      () => empty([1], { dtype: 'float' as never }),
      'ERR_DTYPE',
      "empty: unknown dtype 'float' (did you mean 'float32'?)",
    ],
    [
      'a buffer of booleans, whose values core must know',
      () => fromBuffer(backend, backend.alloc(1, 'bool'), [1], 'bool' as never),
      'ERR_DTYPE',
      "tensor(data, { dtype: 'bool' })",
    ],
    ['2 as bool', () => tensor([2], { dtype: 'bool' }), 'ERR_DTYPE', 'true, false, 1 or 0'],
    [
      'strides past the data',
      () => tensor({ data: [1, 2, 3], shape: [2, 2], strides: [2, 1] }),
      'ERR_SHAPE',
      'reaches elements 0 to 3 of data that has 3',
    ],
  ] as const)('%s', (_what, action, code, message) => {
    const error = failure(action);
    expect(error.code).toBe(code);
    expect(error.message).toContain(message);
  });
});

describe('a tensor', () => {
  test('can be written into with out, in place of a new one', async () => {
    const x = empty([2], { dtype: 'float64' });
    expect(tensor([1, 2], { out: x })).toBe(x);
    expect(await x.array()).toEqual([1, 2]);
    expect(failure(() => tensor([1, 2, 3], { out: x })).code).toBe('ERR_SHAPE');
  });

  test('moves to another backend as a copy', async () => {
    const other = await exact.open();
    const x = tensor([1, 2]);
    const y = await x.to(other);
    expect(y.backend).toBe(other);
    x.dispose();
    expect(await y.array()).toEqual([1, 2]);
  });

  test('is converted to another float dtype as a copy, here or elsewhere', async () => {
    const other = await exact.open();
    const x = tensor(Float64Array.of(1 / 3, 1e300, -1e-50), { shape: [3, 1] });
    const single = await x.to('float32');
    expect([single.dtype, single.backend, single.shape]).toEqual(['float32', x.backend, [3, 1]]);
    expect(await single.array()).toEqual([[Math.fround(1 / 3)], [Number.POSITIVE_INFINITY], [-0]]);
    const there = await single.to(other, 'float64');
    expect([there.dtype, there.backend]).toEqual(['float64', other]);
    expect((await there.array())[0]).toEqual([Math.fround(1 / 3)]);
    expect(await x.array()).toEqual([[1 / 3], [1e300], [-1e-50]]);
    expect(await (await tensor(Int32Array.of(2, -1)).to('float64')).array()).toEqual([2, -1]);
    expect(await (await tensor([true, false]).to('float32')).array()).toEqual([1, 0]);
    const s = await softmax(tensor([[1, 2]]), { temperature: 2 }).to('float64');
    expect(failure(() => softmax.vjp(s, s, { temperature: 3 })).code).toBe('ERR_VALUE');
    await expect(x.to('wasm' as 'float32')).rejects.toThrow(/^to: the backend is .*wasm.*: await openShared/);
    await expect(x.to(other, 'f32' as 'float32')).rejects.toThrow("to: unknown dtype 'f32'");
  });

  test('cannot be given another shape, dtype, size or backend', () => {
    const x = tensor([[1, 2, 3]]);
    for (const [name, value] of Object.entries({ shape: [2, 4], dtype: 'float64', size: 8, rank: 1, backend: null }))
      expect(() => Reflect.apply(Object.assign, Object, [x, { [name]: value }]), name).toThrow(TypeError);
    expect([x.shape, x.dtype, x.size, x.rank]).toEqual([[1, 3], 'float32', 3, 2]);
  });

  test('may be behind a proxy, as frameworks make of state', async () => {
    const x = new Proxy(tensor([[1, 2]]), {});
    expect([x.shape, x.dtype, x.size, x.rank, x.backend]).toEqual([[1, 2], 'float32', 2, 2, backend]);
    expect([await x.array(), x.arraySync(), [...x.dataSync()]]).toEqual([[[1, 2]], [[1, 2]], [1, 2]]);
    expect((await softmax(x).array())[0]?.[1]).toBeCloseTo(0.7311, 4);
    expect((await x.to('float64')).dtype).toBe('float64');
    x.dispose();
    expect(x.disposed).toBe(true);
  });

  test('is no number in an expression, but a text', () => {
    const loss = tensor(0.5) as unknown as number;
    const uses = [
      () => loss > 1,
      () => loss * 2,
      () => Number(loss),
      () => Math.max(loss, 0),
      () => -loss,
      () => 0 + loss,
      () => loss + 1,
      // biome-ignore lint/suspicious/noDoubleEquals: what it does is what is tested
      () => loss == 1,
    ];
    for (const use of uses)
      expect(failure(use)).toMatchObject({
        code: 'ERR_VALUE',
        message: 'a tensor is not a number: read it with await x.array() or x.arraySync(); its text is String(x)',
      });
    expect(`${loss}`).toBe('Tensor () float32 on exact 0.5');
    expect(`loss: ${String(loss)}`).toBe('loss: Tensor () float32 on exact 0.5');
  });

  test('is gone once disposed, by name or by using, and twice is harmless', async () => {
    const x = tensor([1]);
    x.dispose();
    x.dispose();
    expect(x.disposed).toBe(true);
    await expect(x.data()).rejects.toMatchObject({ code: 'ERR_DISPOSED' });
    let seen = x;
    {
      using y = tensor([2]);
      seen = y;
      expect(seen.disposed).toBe(false);
    }
    expect(seen.disposed).toBe(true);
  });

  test('is gone with its backend', async () => {
    const other = await exact.open();
    const x = tensor([1], { backend: other });
    await other.close();
    expect(x.disposed).toBe(true);
    expect(failure(() => x.dataSync()).code).toBe('ERR_DISPOSED');
    expect(failure(() => tensor([1], { backend: other })).code).toBe('ERR_DISPOSED');
    x.dispose();
  });

  test('can be seen in place where the backend allows it', async () => {
    const x = empty([2], { dtype: 'float64' });
    x.view().set([3, 4]);
    expect(await x.array()).toEqual([3, 4]);
    expect(failure(() => tensor([true]).view()).code).toBe('ERR_DTYPE');
  });

  test('keeps a buffer of the engine’s own', async () => {
    const buffer = backend.alloc(2, 'float64');
    backend.write(buffer, Float64Array.of(5, 6));
    const x = fromBuffer(backend, buffer, [2], 'float64');
    expect(bufferOf(backend, x)).toBe(buffer);
    const other = await exact.open();
    const refused = failure(() => bufferOf(other, x));
    expect(refused.code).toBe('ERR_BACKEND_MISMATCH');
    expect(refused.message).toBe('bufferOf: x lives on another instance of exact; move it with await x.to(backend)');
    const renamed = delegate(other, { name: 'renamed' });
    expect(failure(() => bufferOf(renamed, x)).message).toContain('x lives on exact, not on renamed; move it');
    await other.close();
    expect(await x.array()).toEqual([5, 6]);
  });

  test('shows its values where they can be read at once, a few of many', () => {
    expect(inspect(tensor([[1, 2 / 3]]))).toBe('Tensor (1, 2) float32 on exact [[1, 0.666667]]');
    expect(inspect(tensor([true, false]))).toBe('Tensor (2,) bool on exact [true, false]');
    expect(String(tensor([[1, 2 / 3]]))).toBe('Tensor (1, 2) float32 on exact [[1, 0.666667]]');
    const log = vi.spyOn(console, 'log').mockImplementation(() => {});
    tensor([0.5]).print();
    expect(log.mock.calls).toEqual([['Tensor (1,) float32 on exact [0.5]']]);
    log.mockRestore();
    expect(inspect(tensor(new Float32Array(100)))).toBe('Tensor (100,) float32 on exact [0, 0, 0, 0, 0, 0, … 94 more]');
    const gone = tensor([1]);
    gone.dispose();
    expect(inspect(gone)).toBe('Tensor (1,) float32 on exact, disposed');
  });

  test('is in JSON what it is and where, without elements, backend or kernels', () => {
    const x = tensor([[1, 2]]);
    expect(JSON.parse(JSON.stringify({ x }))).toEqual({ x: { shape: [1, 2], dtype: 'float32', device: 'exact' } });
  });

  test('is told apart from everything else', () => {
    expect([tensor([1]), { shape: [1] }, null, 3].map(isTensor)).toEqual([true, false, false, false]);
    expect(String(tensor([[1, 2]]))).toBe('Tensor (1, 2) float32 on exact [[1, 2]]');
  });
});

describe('a tensor on a backend that is read asynchronously only', () => {
  test('says so where it is read at once, save what the host knows anyway', async () => {
    const here = (await minimal.open()) as Backend;
    const x = tensor([1, 2], { backend: here });
    expect(failure(() => x.dataSync())).toMatchObject({
      code: 'ERR_UNSUPPORTED',
      message: 'dataSync: mine reads asynchronously only: await data()',
    });
    expect(failure(() => x.arraySync()).code).toBe('ERR_UNSUPPORTED');
    expect(failure(() => x.view())).toMatchObject({
      code: 'ERR_UNSUPPORTED',
      message: 'view: the host cannot access the memory of mine: await data()',
    });
    expect([await x.array(), inspect(x)]).toEqual([
      [1, 2],
      'Tensor (2,) float32 on mine (await its array() for the values)',
    ]);
    const labels = tensor(Int32Array.of(3, 4), { backend: here });
    expect([labels.arraySync(), inspect(labels)]).toEqual([[3, 4], 'Tensor (2,) int32 on mine [3, 4]']);
    expect(tensor([[true, false]], { backend: here }).arraySync()).toEqual([[true, false]]);
  });
});

describe('what a tensor gives away is the caller’s', () => {
  test('in every dtype: changing it changes nothing', async () => {
    for (const dtype of ['float32', 'float64', 'int32', 'bool'] as const) {
      const x = tensor([1, 0], { dtype });
      (await x.data()).fill(1);
      x.dataSync().fill(1);
      expect([...(await x.data()), ...x.dataSync()]).toEqual([1, 0, 1, 0]);
    }
    const labels = Int32Array.of(1, 2);
    const kept = tensor(labels);
    labels[0] = 9;
    expect([...kept.dataSync()]).toEqual([1, 2]);
  });

  test('as nested arrays of its dtype', async () => {
    for (const [dtype, expected] of [
      ['bool', [[true], [false]]],
      ['int32', [[1], [0]]],
      ['float32', [[1], [0]]],
    ] as const) {
      const x = tensor([[1], [0]], { dtype });
      expect([await x.array(), x.arraySync()]).toEqual([expected, expected]);
    }
    expect(tensor(true).arraySync()).toBe(true);
    expect(tensor([[], []]).arraySync()).toEqual([[], []]);
  });
});

describe('a tensor that is gone says who asks for it and why', () => {
  test('disposed', async () => {
    const x = tensor([[1, 2]]);
    x.dispose();
    const text = 'the tensor (1, 2) was disposed';
    await expect(x.data()).rejects.toThrow(`data: ${text}`);
    await expect(x.array()).rejects.toThrow(`array: ${text}`);
    await expect(x.to(backend)).rejects.toThrow(`to: ${text}`);
    expect(
      [() => x.dataSync(), () => x.arraySync(), () => x.view(), () => bufferOf(backend, x)].map(
        (call) => failure(call).message,
      ),
    ).toEqual([`dataSync: ${text}`, `arraySync: ${text}`, `view: ${text}`, 'bufferOf: x (1, 2) was disposed']);
    expect(failure(() => tensor([[1, 2]], { out: x })).message).toBe('tensor: out (1, 2) was disposed');
    expect(String(x)).toBe('Tensor (1, 2) float32 on exact, disposed');
  });

  test('with its backend, which is not asked to free it', async () => {
    const other = (await exact.open()) as Backend;
    let freed = 0;
    const here = delegate(other, { free: () => void freed++ });
    const [x, y] = [tensor([1], { backend: here }), tensor([1], { backend: here })];
    y.dispose();
    await other.close();
    expect([x.disposed, freed]).toEqual([true, 1]);
    expect(failure(() => x.dataSync())).toMatchObject({
      code: 'ERR_DISPOSED',
      message: 'dataSync: the tensor lived on exact, which was closed',
    });
    expect(failure(() => tensor([1], { backend: here })).message).toBe(
      'tensor: backend exact was closed; open it again',
    );
    x.dispose();
    expect(freed).toBe(1);
  });

  test('once: the backend frees its buffer a single time', async () => {
    let freed = 0;
    const here = delegate((await exact.open()) as Backend, { free: () => void freed++ });
    const x = tensor([1], { backend: here });
    x.dispose();
    x.dispose();
    x[Symbol.dispose]();
    expect(freed).toBe(1);
  });
});

describe('a backend is checked where a tensor is made or moved', () => {
  test('for its dtypes, of which the error names the first', async () => {
    const here = (await minimal.open()) as Backend;
    const text =
      "mine has no float64, only float32 (plain JavaScript); convert with tensor(data, { dtype: 'float32' })";
    const calls: readonly (readonly [string, () => unknown])[] = [
      ['tensor', () => tensor([1], { backend: here, dtype: 'float64' })],
      ['empty', () => empty([1], { backend: here, dtype: 'float64' })],
      ['fromBuffer', () => fromBuffer(here, here.alloc(1, 'float64'), [1], 'float64')],
    ];
    for (const [operation, call] of calls) {
      expect(failure(call)).toMatchObject({ code: 'ERR_DTYPE', message: `${operation}: ${text}` });
    }
    await expect(tensor([1], { dtype: 'float64' }).to(here)).rejects.toThrow(
      "to: mine has no float64, only float32 (plain JavaScript); convert with await x.to(backend, 'float32')",
    );
    for (const dtype of ['int32', 'bool'] as const) {
      expect((await tensor([1], { dtype }).to(here)).dtype).toBe(dtype);
    }
    const both = delegate(backend, { supports: { ...backend.supports, dtypes: ['float64', 'float16'] } });
    expect(failure(() => tensor([1], { backend: both })).message).toBe(
      "tensor: exact has no float32, only float64, float16 (double-double on the host); convert with tensor(data, { dtype: 'float64' })",
    );
  });

  test('for being one, and open', async () => {
    for (const [found, words] of [
      [exact, 'an object (Object)'],
      ['exact', 'the text "exact"'],
      [Promise.resolve(backend), 'a promise (await it first)'],
      [null, 'null'],
    ] as const) {
      const error = failure(() => fromBuffer(found as never, {}, [1], 'float32'));
      expect(error).toMatchObject({
        code: 'ERR_VALUE',
        message: `fromBuffer: the backend is ${words}, expected an open one: await openShared(…), which takes names and providers`,
      });
    }
  });

  test('also by out, which stays where it is', async () => {
    const other = (await exact.open()) as Backend;
    const x = empty([2], { dtype: 'float64' });
    expect(tensor([1, 2], { out: x, backend })).toBe(x);
    expect(failure(() => tensor([1, 2], { out: x, backend: other }))).toMatchObject({
      code: 'ERR_BACKEND_MISMATCH',
      message: 'tensor: out lives on another instance of exact; leave the option backend out',
    });
    expect(failure(() => tensor([[1, 2]], { out: x }))).toMatchObject({
      code: 'ERR_SHAPE',
      message: 'tensor: out is (2,) float64, the input (1, 2) float64',
    });
    expect(failure(() => tensor([1, 2], { out: x, dtype: 'float32' })).message).toBe(
      'tensor: out is (2,) float64, the input (2,) float32',
    );
    expect(failure(() => tensor([1, 2], { out: [1, 2] as never })).message).toBe(
      'tensor: out is an array of 2 entries, expected a tensor: make one with tensor(…)',
    );
  });

  test('a typed array that is written into a tensor has its shape', () => {
    const x = empty([2, 3]);
    expect(tensor(Float64Array.of(1, 2, 3, 4, 5, 6), { out: x })).toBe(x);
    expect([x.dtype, x.arraySync()]).toEqual([
      'float32',
      [
        [1, 2, 3],
        [4, 5, 6],
      ],
    ]);
    expect(failure(() => tensor(new Float32Array(5), { out: x })).message).toBe(
      'tensor: out is (2, 3) float32, the input (5,) float32',
    );
    expect(failure(() => tensor(new Float32Array(6), { shape: [3, 2], out: x })).message).toBe(
      'tensor: out is (2, 3) float32, the input (3, 2) float32',
    );
  });
});

test('empty and fromBuffer check their shape and dtype, and keep a copy of the shape', () => {
  const shape = [2];
  const buffer = backend.alloc(2, 'float32');
  for (const x of [empty(shape), fromBuffer(backend, buffer, shape, 'float32')]) {
    expect(x.shape).not.toBe(shape);
    expect([x.shape, Object.isFrozen(x.shape), x.size, x.dtype]).toEqual([[2], true, 2, 'float32']);
  }
  expect(failure(() => empty([-1])).message).toBe('empty: dimension -1 of shape (-1,) must be an integer ≥ 0');
  expect(failure(() => empty(3 as never)).message).toBe('empty: shape must be an array of dimensions, not number');
  expect(failure(() => fromBuffer(backend, buffer, [0.5], 'float32')).message).toBe(
    'fromBuffer: dimension 0.5 of shape (0.5,) must be an integer ≥ 0',
  );
  expect(failure(() => fromBuffer(backend, buffer, [2], 'int32' as never))).toMatchObject({
    code: 'ERR_DTYPE',
    message: "fromBuffer: int32 tensors also have a copy on the host: make them with tensor(data, { dtype: 'int32' })",
  });
  expect([...empty([2], { dtype: 'int32' }).dataSync()]).toEqual([0, 0]);
  expect(failure(() => tensor([true]).view())).toMatchObject({
    code: 'ERR_DTYPE',
    message: 'view: bool tensors are constants; views are for float dtypes',
  });
});

describe('fromBuffer refuses', () => {
  const never = async () => {
    const freed = backend.alloc(3, 'float32');
    backend.free(freed);
    return freed;
  };
  test.each<readonly [string, () => unknown, string]>([
    [
      'a buffer of another instance',
      async () => ((await exact.open()) as Backend).alloc(3, 'float32'),
      'an object (Object)',
    ],
    ['a freed buffer', never, 'an object (Object)'],
    ['an array', () => Float32Array.of(1, 2, 3), 'an object (Float32Array)'],
    ['a tensor', () => tensor([1, 2, 3]), 'a tensor'],
    ['nothing', () => undefined, 'undefined'],
    ['null', () => null, 'null'],
  ])('%s', async (_what, make, found) => {
    const buffer = await make();
    expect(failure(() => fromBuffer(backend, buffer, [3], 'float32'))).toMatchObject({
      code: 'ERR_VALUE',
      message: `fromBuffer: the buffer is ${found}, expected 3 float32 for shape (3,), allocated by this exact and not freed`,
    });
  });

  test('a buffer of another length or dtype, and leaves it as it was', async () => {
    const buffer = backend.alloc(4, 'float32');
    backend.write(buffer, Float32Array.of(1, 2, 3, 4));
    for (const [shape, size, shown] of [
      [[3], 3, '(3,)'],
      [[2, 3], 6, '(2, 3)'],
      [[], 1, '()'],
      [[0, 4], 0, '(0, 4)'],
    ] as const) {
      expect(failure(() => fromBuffer(backend, buffer, shape, 'float32'))).toMatchObject({
        code: 'ERR_SHAPE',
        message: `fromBuffer: the buffer is 4 float32, expected ${size} float32 for shape ${shown}, allocated by this exact and not freed`,
      });
    }
    for (const [dtype, held] of [
      ['float64', buffer],
      ['float16', buffer],
      ['float32', backend.alloc(4, 'int32')],
    ] as const) {
      const { dtype: found } = held as { readonly dtype: string };
      expect(failure(() => fromBuffer(backend, held, [4], dtype))).toMatchObject({
        code: 'ERR_DTYPE',
        message: `fromBuffer: the buffer is 4 ${found}, expected 4 ${dtype} for shape (4,), allocated by this exact and not freed`,
      });
    }
    expect(await fromBuffer(backend, buffer, [2, 2], 'float32').array()).toEqual([
      [1, 2],
      [3, 4],
    ]);
  });

  test('of a backend that cannot be asked only what is no buffer at all', async () => {
    const { bufferInfo: _, ...unasked } = delegate(backend, {});
    expect(fromBuffer(unasked, Float32Array.of(1), [3], 'float32').size).toBe(3);
    for (const nothing of [undefined, null]) {
      expect(failure(() => fromBuffer(unasked, nothing, [3], 'float32')).code).toBe('ERR_VALUE');
    }
  });
});
