import { inspect } from 'node:util';
import { runInNewContext } from 'node:vm';
import { beforeAll, describe, expect, test } from 'vitest';
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
  tensor,
} from '../src/index.js';

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
      'provider.open()',
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
      'cannot allocate',
    ],
    [
      'a dtype that is none',
      () => tensor([1], { dtype: 'float' as never }),
      'ERR_DTYPE',
      "no dtype 'float'; expected one of float16, float32",
    ],
    [
      'an empty tensor of a dtype that is none',
      () => empty([1], { dtype: 'float' as never }),
      'ERR_DTYPE',
      "no dtype 'float'",
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
    expect(bufferOf(x)).toBe(buffer);
    expect(await x.array()).toEqual([5, 6]);
  });

  test('shows its values where they can be read at once, a few of many', () => {
    expect(inspect(tensor([[1, 2 / 3]]))).toBe('Tensor (1, 2) float32 on exact [[1, 0.666667]]');
    expect(inspect(tensor([true, false]))).toBe('Tensor (2,) bool on exact [true, false]');
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
    expect(String(tensor([[1, 2]]))).toBe('Tensor (1, 2) float32 on exact');
  });
});
