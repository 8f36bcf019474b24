import { beforeAll, expect, expectTypeOf, test } from 'vitest';
import { exact } from '../conformance/index.js';
import {
  type Backend,
  crossEntropy,
  type DType,
  empty,
  type FloatDType,
  fromBuffer,
  gradcheck,
  gradgradcheck,
  logSoftmax,
  logSumExp,
  relu,
  setBackend,
  sigmoid,
  softmax,
  type Tensor,
  type TensorInput,
  type TensorLike,
  type TypedArray,
  tensor,
} from '../src/index.js';

// `npm run check` compiles this file: what it says of types holds there.

let backend: Backend;
beforeAll(async () => {
  backend = await setBackend(exact);
});

const x = () =>
  tensor([
    [1, 2, 3],
    [3, 2, 1],
  ]);

test('results are floats, also of operands of which nothing is known', async () => {
  const known = (logits: Tensor, labels: number[]) => {
    const { loss, gradient } = crossEntropy(logits, labels);
    expectTypeOf(loss).toEqualTypeOf<Tensor<FloatDType, 0>>();
    expectTypeOf(gradient).toEqualTypeOf<Tensor<FloatDType, number>>();
    return loss.arraySync() * 2;
  };
  expect(known(x(), [2, 0])).toBeCloseTo(2 * 0.4076, 4);
  expectTypeOf(softmax(tensor([1, 2]) as Tensor)).toEqualTypeOf<Tensor<FloatDType>>();
  const out: Tensor = empty([2, 3]);
  expect(softmax(x(), { out })).toBe(out);
  expect(crossEntropy(x(), [2, 0], { out: { gradient: out } }).gradient).toBe(out);
});

test('a tensor in another dtype has its type', async () => {
  expectTypeOf(await x().to('float64')).toEqualTypeOf<Tensor<'float64', 2>>();
  expectTypeOf(await x().to(backend, 'float64')).toEqualTypeOf<Tensor<'float64', 2>>();
  expectTypeOf(await x().to(backend)).toEqualTypeOf<Tensor<'float32', 2>>();
  // @ts-expect-error class indices are made of data
  await expect(x().to('int32')).rejects.toThrow("to: int32 is not a float dtype: tensor(data, { dtype: 'int32' })");
});

test('a tensor has the dtype and the rank of what it was made from', async () => {
  expectTypeOf(x()).toEqualTypeOf<Tensor<'float32', 2>>();
  expectTypeOf(tensor(1)).toEqualTypeOf<Tensor<'float32', 0>>();
  expectTypeOf(tensor([true, false])).toEqualTypeOf<Tensor<'bool', 1>>();
  expectTypeOf(tensor(Float64Array.of(1))).toEqualTypeOf<Tensor<'float64', 1>>();
  expectTypeOf(tensor(Int32Array.of(1))).toEqualTypeOf<Tensor<'int32', 1>>();
  expectTypeOf(tensor([1, 2], { dtype: 'float64' })).toEqualTypeOf<Tensor<'float64', 1>>();
  expectTypeOf(tensor(new Float32Array(6), { shape: [2, 3] })).toEqualTypeOf<Tensor<'float32', 2>>();
  expectTypeOf(empty([2, 3, 4])).toEqualTypeOf<Tensor<'float32', 3>>();
  expectTypeOf(
    tensor(
      [
        [1, 2, 3],
        [4, 5, 6],
      ],
      { out: x() },
    ),
  ).toEqualTypeOf<Tensor<'float32', 2>>();
  const data = Float64Array.of(0.5, 0.5);
  expectTypeOf(tensor({ data, shape: [1, 2] })).toEqualTypeOf<Tensor<'float64', 2>>();
  expectTypeOf(softmax({ data, shape: [1, 2] })).toEqualTypeOf<Tensor<'float64', 2>>();
  expectTypeOf(softmax({ data, dims: [1, 2] })).toEqualTypeOf<Tensor<'float64', 2>>();
  expectTypeOf(softmax.jacobian({ data, shape: [1, 2], offset: 0 })).toEqualTypeOf<Tensor<'float64', 3>>();
  const shape: readonly number[] = [2];
  expectTypeOf(softmax({ data, shape })).toEqualTypeOf<Tensor<'float64', number>>();
  expectTypeOf(tensor([1, 2], { shape })).toEqualTypeOf<Tensor<'float32', number>>();
  const options: { dtype?: DType } = {};
  expectTypeOf(tensor([1], options)).toEqualTypeOf<Tensor<DType, 1>>();
  const buffer = backend.alloc(2, 'float64');
  expectTypeOf(fromBuffer(backend, buffer, [1, 2], 'float64')).toEqualTypeOf<Tensor<'float64', 2>>();
  expect([x().rank, tensor(1).rank]).toEqual([2, 0]);
});

test('a dtype may be a type parameter of the caller', async () => {
  const made = <D extends FloatDType>(dtype: D): Tensor<D, 1> => tensor([1, 2], { dtype });
  const shaped = <D extends FloatDType>(data: Float64Array, dtype: D): Tensor<D, 2> =>
    tensor(data, { shape: [1, 2], dtype, backend });
  const reserved = <D extends FloatDType>(dtype: D): Tensor<D, 2> => empty([1, 2], { dtype });
  const doubled = <D extends FloatDType>(y: Tensor<D, 2>): Tensor<D, 2> => softmax.vjp(softmax(y), y);
  expect(made('float64').dtype).toBe('float64');
  expect(doubled(shaped(Float64Array.of(1, 2), 'float64')).dtype).toBe('float64');
  expect(reserved('float64').dtype).toBe('float64');
});

test('arrays of a rank that is not known can be passed to libraries whose arrays are not readonly', async () => {
  type Theirs = number | Theirs[];
  const shape: readonly number[] = [2];
  const values: Theirs = await tensor([1, 2], { shape }).array();
  expect(values).toEqual([1, 2]);
});

test('its elements are typed by dtype and rank', async () => {
  expectTypeOf(x().data()).resolves.toEqualTypeOf<Float32Array<ArrayBuffer>>();
  expectTypeOf(tensor([1], { dtype: 'float64' }).dataSync()).toEqualTypeOf<Float64Array<ArrayBuffer>>();
  expectTypeOf(tensor([true]).view).returns.toEqualTypeOf<Uint8Array>();
  expectTypeOf(x().array()).resolves.toEqualTypeOf<number[][]>();
  expectTypeOf(tensor([true]).arraySync()).toEqualTypeOf<boolean[]>();
  expectTypeOf(tensor(3).arraySync()).toEqualTypeOf<number>();
  expect((await x().array())[0][1]).toBe(2);
  expect((await x().data()).reduce((a, b) => a + b)).toBe(12);
});

test('of a tensor whose dtype only the run knows, the methods of its data can be called', async () => {
  const any: Tensor = x();
  const data = await any.data();
  const array: Float32Array | Float64Array | Int32Array | Uint8Array = data;
  expect(array).toBe(data);
  expect(data.reduce((a, b) => a + b, 0)).toBe(12);
  expect(data.reduce((a, b) => `${a}${b}`, '')).toBe('123321');
  const chained = data
    .map((v) => v - 1)
    .filter((v) => v > 0)
    .slice(1)
    .subarray(1)
    .sort((a, b) => a - b)
    .reverse();
  expect(chained.reduceRight((a, b) => Math.max(a, b))).toBe(2);
  const dtype = 'float64' as 'float32' | 'float64';
  const floats = tensor([1, 2], { dtype }).dataSync();
  expectTypeOf(floats).toExtend<Float32Array | Float64Array>();
  expect(floats.reduce((a, b) => a + b)).toBe(3);
  expect((await crossEntropy(any, [1, 1]).loss.data()).every((v) => v > 0)).toBe(true);
  expectTypeOf(any.view).returns.toExtend<{
    map(f: (v: number) => number): Float32Array | Float64Array | Int32Array | Uint8Array;
  }>();
});

test('results have the dtype of their operands, and the rank that the operation gives', () => {
  expectTypeOf(softmax(x())).toEqualTypeOf<Tensor<'float32', 2>>();
  expectTypeOf(softmax([[1, 2]])).toEqualTypeOf<Tensor<'float32', 2>>();
  expectTypeOf(
    softmax.vjp(softmax(x()), [
      [1, 0, 0],
      [0, 1, 0],
    ]),
  ).toEqualTypeOf<Tensor<'float32', 2>>();
  expectTypeOf(softmax.jacobian(softmax(x()))).toEqualTypeOf<Tensor<'float32', 3>>();
  expectTypeOf(logSoftmax(tensor([1, 2], { dtype: 'float64' }))).toEqualTypeOf<Tensor<'float64', 1>>();
  expectTypeOf(logSumExp(x())).toEqualTypeOf<Tensor<'float32', 1>>();
  expectTypeOf(logSumExp.gradient(x())).toEqualTypeOf<Tensor<'float32', 2>>();
  expectTypeOf(sigmoid(x()).array()).resolves.toEqualTypeOf<number[][]>();
  expectTypeOf(softmax.linearize(x()).toDense()).toEqualTypeOf<Tensor<'float32', 3>>();
  expectTypeOf(logSumExp.linearize(x()).vjp([1, 1])).toEqualTypeOf<Tensor<'float32', 2>>();
  expectTypeOf(logSumExp.linearize(x()).value).toEqualTypeOf<Tensor<'float32', 1>>();
  expectTypeOf(softmax.hvp(softmax(x()), x(), x())).toEqualTypeOf<Tensor<'float32', 2>>();
  expectTypeOf(softmax.doubleBackward(softmax(x()), x(), x())).toEqualTypeOf<Tensor<'float32', 2>>();
  expectTypeOf(logSumExp.hvp(x(), [1, 1], x())).toEqualTypeOf<Tensor<'float32', 2>>();
  expectTypeOf(crossEntropy.hvp(x(), [0, 1], 1, x())).toEqualTypeOf<Tensor<'float32', 2>>();
  // @ts-expect-error: its second derivative is 0 where it has one.
  expect(relu.hvp).toBeUndefined();
  const { loss, gradient } = crossEntropy(x(), [0, 1]);
  expectTypeOf(loss).toEqualTypeOf<Tensor<'float32', 0>>();
  expectTypeOf(gradient).toEqualTypeOf<Tensor<'float32', 2>>();
  expectTypeOf(crossEntropy.loss(x(), [0, 1], { reduction: 'none' })).toEqualTypeOf<Tensor<'float32', 1>>();
});

test('a tensor of which less is known takes one of which more is', () => {
  const any: Tensor = x();
  expectTypeOf(any.arraySync()).toExtend<unknown>();
  const sum = (one: Tensor) => softmax(one).size;
  expect([sum(x()), sum(any)]).toEqual([6, 6]);
});

test('an option that a function does not take does not compile', () => {
  // @ts-expect-error
  expect(() => sigmoid(x(), { axis: 1 })).toThrow("sigmoid: unknown option 'axis'");
  // @ts-expect-error
  expect(() => relu.vjp(x(), x(), { temperature: 2 })).toThrow("relu.vjp: unknown option 'temperature'");
  // @ts-expect-error
  expect(() => sigmoid.hvp(x(), x(), x(), { axis: 1 })).toThrow("sigmoid.hvp: unknown option 'axis'");
  // @ts-expect-error
  expect(() => softmax(x(), { dim: 1 })).toThrow("softmax: unknown option 'dim' (did you mean 'axis'?)");
  // @ts-expect-error
  expect(() => softmax.linearize(x(), { out: x() })).toThrow("softmax.linearize: unknown option 'out'");
  // @ts-expect-error
  expect('diagonal' in logSumExp.linearize(x()) && logSumExp.linearize(x()).diagonal).toBe(false);
});

test('arrays of typed rows, and what onnxruntime and a polyfill have, are typed by what they hold', async () => {
  expectTypeOf(tensor([Float32Array.of(1), Float32Array.of(2)])).toEqualTypeOf<Tensor<'float32', 2>>();
  expectTypeOf(tensor([[Float64Array.of(1)]])).toEqualTypeOf<Tensor<'float64', 3>>();
  expectTypeOf(tensor([Int8Array.of(1)])).toEqualTypeOf<Tensor<'int32', 2>>();
  const half = { data: Uint16Array.of(0x3c00), dims: [1], type: 'float16' } as const;
  expectTypeOf(tensor(half).dtype).toEqualTypeOf<'float32'>();
  expectTypeOf(tensor({ ...half, data: Uint8Array.of(1), type: 'bool' as const }).dtype).toEqualTypeOf<'bool'>();
  expectTypeOf(tensor({ ...half, type: 'uint16' as const }).dtype).toEqualTypeOf<'int32'>();
  expect(tensor(half).dtype).toBe('float32');
  // Of onnxruntime's `Tensor` and ndarray's `NdArray`, types don't tell what the elements are.
  interface Data {
    readonly data: Float32Array | BigInt64Array | readonly string[];
    readonly dims: readonly number[];
    readonly type: 'float32' | 'int64' | 'string';
  }
  interface Generic {
    data: Float32Array | number[] | { length: number; get(at: number): number; set(at: number, value: number): void };
    shape: number[];
    stride: number[];
    offset: number;
  }
  const logits = (value: Data['data']): Data => ({ data: value, dims: [1], type: 'float32' });
  expectTypeOf(softmax(logits(Float32Array.of(1)))).toEqualTypeOf<Tensor<FloatDType>>();
  expect(() => softmax(logits(['a']))).toThrow('softmax: logits: element 0 is the text "a", expected a number');
  const generic: Generic = { data: [1, 2], shape: [2], stride: [1], offset: 0 };
  expectTypeOf(softmax(generic)).toEqualTypeOf<Tensor<FloatDType>>();
  expect(softmax([1, 2], { mask: { data: Uint8Array.of(1, 1), dims: [2], type: 'bool' } }).size).toBe(2);
  // @ts-expect-error a text is not data
  expect(() => tensor({ data: '12', shape: [2] })).toThrow('cannot read');
  // @ts-expect-error a tensor is one already
  expect(() => tensor(x())).toThrow('await x.to(backend)');
  // @ts-expect-error an object with a length is no array
  expect(() => tensor({ length: 2, 0: 1 })).toThrow('Array.from(x)');
});

test('a mask of numbers does not compile', () => {
  const refused = { code: 'ERR_DTYPE', message: expect.stringContaining('expected booleans (true = keep)') };
  const thrown = (call: () => unknown) => {
    try {
      return call();
    } catch (error) {
      return error;
    }
  };
  // @ts-expect-error numbers are no booleans
  expect(thrown(() => softmax(x(), { mask: [[1, 0, 1]] }))).toMatchObject(refused);
  // @ts-expect-error nor are floats
  expect(thrown(() => softmax(x(), { mask: Float32Array.of(1, 0, 1) }))).toMatchObject(refused);
  expect(softmax(x(), { mask: [[true], [false]] }).arraySync()[1]).toEqual([0, 0, 0]);
});

test('a typed array of integers does not compile as an operand of floats', async () => {
  const refused = (call: () => unknown) => expect(call).toThrow('int32, expected floats');
  const integers = Int32Array.of(1, 2);
  // @ts-expect-error
  refused(() => softmax(integers));
  // @ts-expect-error
  refused(() => softmax(Uint8ClampedArray.of(1, 2)));
  // @ts-expect-error
  refused(() => softmax([Int8Array.of(1)]));
  // @ts-expect-error
  refused(() => softmax([[Uint16Array.of(1)]]));
  // @ts-expect-error
  refused(() => softmax(integers as Int32Array | Float32Array));
  // @ts-expect-error
  refused(() => softmax.jacobian(integers));
  // @ts-expect-error
  refused(() => logSoftmax.linearize(integers));
  // @ts-expect-error
  refused(() => logSumExp.gradient(integers));
  // @ts-expect-error
  refused(() => sigmoid(integers));
  // @ts-expect-error
  refused(() => relu.vjp(integers, [1, 1]));
  // @ts-expect-error
  refused(() => crossEntropy(integers, [0]));
  // @ts-expect-error
  await expect(gradcheck(softmax, integers)).rejects.toThrow('int32, expected floats');
  // @ts-expect-error
  await expect(gradgradcheck(softmax, integers)).rejects.toThrow('int32, expected floats');
  // Class indices and cotangents may be integers.
  expect(crossEntropy([[1, 2]], Int32Array.of(1)).loss.rank).toBe(0);
  expect(softmax.vjp(softmax(x()), [Int8Array.of(1, 0, 0), Int8Array.of(0, 1, 0)]).size).toBe(6);
  expect(tensor(integers).dtype).toBe('int32');
});

test('nor do data of integers with a shape, and tensors of integers and booleans', async () => {
  const refused = (call: () => unknown, dtype = 'int32') => expect(call).toThrow(`${dtype}, expected floats`);
  const data = Int32Array.of(1, 2);
  const labels = tensor(data);
  const kept = tensor([true, false]);
  const s = softmax([1, 2]);
  // @ts-expect-error
  refused(() => softmax({ data, shape: [1, 2] }));
  // @ts-expect-error
  refused(() => softmax({ data, dims: [1, 2] }));
  // @ts-expect-error
  refused(() => softmax({ data: Uint8Array.of(1, 2), shape: [2], strides: [1], offset: 0 }));
  // @ts-expect-error
  refused(() => logSumExp.gradient({ data: data as Int32Array | Float32Array, shape: [2] as readonly number[] }));
  // @ts-expect-error
  refused(() => relu({ data, shape: [2] }));
  // @ts-expect-error
  refused(() => crossEntropy({ data, shape: [1, 2] }, [0]));
  // @ts-expect-error
  await expect(gradcheck(softmax, { data, shape: [2] })).rejects.toThrow('int32, expected floats');
  // @ts-expect-error
  refused(() => softmax(labels));
  // @ts-expect-error
  refused(() => softmax(kept), 'bool');
  // @ts-expect-error
  refused(() => softmax(labels as Tensor<'int32' | 'float32'>));
  // @ts-expect-error
  refused(() => sigmoid(labels));
  // @ts-expect-error
  refused(() => softmax.linearize(labels));
  // @ts-expect-error
  refused(() => crossEntropy(labels, [0]));
  // @ts-expect-error
  await expect(gradcheck(softmax, labels)).rejects.toThrow('int32, expected floats');
  // @ts-expect-error
  refused(() => softmax.vjp(s, labels));
  // @ts-expect-error
  refused(() => softmax.hvp(s, s, kept), 'bool');
  // @ts-expect-error
  refused(() => logSumExp.vjp([1, 2], tensor(1, { dtype: 'int32' })));
  // @ts-expect-error
  refused(() => relu.jvp([1, 2], labels));
  // @ts-expect-error
  refused(() => softmax.linearize([1, 2]).vjp(labels));
  // @ts-expect-error
  refused(() => crossEntropy.vjp([[1, 2]], [0], tensor(1, { dtype: 'int32' })));
  // @ts-expect-error
  await expect(gradcheck(softmax, [1, 2], { cotangent: labels })).rejects.toThrow('int32, expected floats');
  // @ts-expect-error
  refused(() => softmax([1, 2], { out: labels }));
  // @ts-expect-error
  refused(() => relu([1, 2], { out: kept }), 'bool');
  // @ts-expect-error
  refused(() => crossEntropy([[1, 2]], [0], { out: { gradient: tensor([data]) } }));
  // @ts-expect-error
  refused(() => crossEntropy.gradient([[1, 2]], [0], { out: tensor([data]) }));
  // Cotangents may be integers in arrays, as numbers that are written out are, and those of onnxruntime are checked when they are read.
  expect(softmax.vjp([0.5, 0.5], data).arraySync()).toEqual([-0.25, 0.25]);
  expect(softmax.vjp(Float64Array.of(0.5, 0.5), { data, shape: [2] }).dtype).toBe('float64');
  const labelled = crossEntropy.vjp([Float64Array.of(1, 2)], tensor([1], { dtype: 'int32' }), Int8Array.of(1), {
    reduction: 'none',
  });
  expect(labelled.dtype).toBe('float64');
  expect(logSumExp.vjp([[1, 2]], Int32Array.of(0)).arraySync()).toEqual([[0, 0]]);
  refused(() => softmax({ data, dims: [2], type: 'int32' }));
});

test('what may be of floats compiles as an operand', () => {
  interface Half extends ArrayLike<number>, ArrayBufferView {
    readonly [Symbol.toStringTag]: 'Float16Array';
  }
  const values = Float32Array.of(1, 2);
  const shape: readonly number[] = [2];
  expectTypeOf(softmax(values)).toEqualTypeOf<Tensor<'float32', 1>>();
  expectTypeOf(softmax(Float64Array.of(1))).toEqualTypeOf<Tensor<'float64', 1>>();
  expectTypeOf(softmax([values, values])).toEqualTypeOf<Tensor<'float32', 2>>();
  expectTypeOf(softmax(values as Float32Array | Float64Array).dtype).toEqualTypeOf<'float32' | 'float64'>();
  expectTypeOf(softmax(values as unknown as Half).dtype).toEqualTypeOf<'float32'>();
  expectTypeOf(softmax({ data: values, shape: [1, 2] })).toEqualTypeOf<Tensor<'float32', 2>>();
  const known: readonly TensorLike[] = [
    values,
    [values],
    [[1, 2]],
    { data: values, shape },
    { data: values, dims: shape },
  ];
  // Functions that pass on what they get.
  const throughLike = (logits: TensorLike) => softmax(logits);
  const throughInput = (logits: TensorInput) => softmax(logits);
  const throughTyped = (logits: TypedArray) => softmax(logits);
  const ofArray = <A extends Float32Array | Float64Array>(logits: A) => softmax(logits);
  const ofAny = <A extends TensorLike>(logits: A) => softmax(logits);
  const ofTensor = <D extends FloatDType>(logits: Tensor<D>) => softmax(logits);
  const asFunction: (logits: Tensor) => Tensor = softmax;
  const throughAnyInto = (logits: Tensor, out: Tensor) => softmax.vjp(softmax(logits), logits, { out });
  for (const one of known) expect([throughLike(one).size, ofAny(one).size]).toEqual([2, 2]);
  expect([throughInput(values).size, throughTyped(values).size, ofArray(values).size]).toEqual([2, 2, 2]);
  expect([ofTensor(x()).size, asFunction(x()).size, throughAnyInto(x(), x()).size]).toEqual([6, 6, 6]);
  expect(softmax(x().dataSync()).size).toBe(6);
  expect(softmax(softmax(x() as Tensor).dataSync()).size).toBe(6);
});

test('what is read may be kept: its memory is no one else’s', async () => {
  const data: Float32Array<ArrayBuffer> = await x().data();
  const read: Float32Array<ArrayBuffer> = x().dataSync();
  expect([data.length, read.length]).toEqual([6, 6]);
});

test('the functions of an object literal for gradcheck and gradgradcheck need no types of their parameters', async () => {
  const square = { name: 'square', outputShape: [2, 3] };
  const forward = (values: Float64Array) => values.map((v) => v * v);
  const twice = (a: Tensor, b: Tensor) => {
    const other = b.dataSync();
    return tensor(
      a.dataSync().map((v, k) => 2 * v * other[k]),
      { shape: a.shape },
    );
  };
  const first = await gradcheck(
    {
      ...square,
      forward: (values) => {
        expectTypeOf(values).toEqualTypeOf<Float64Array>();
        return forward(values);
      },
      vjp: (of, g) => {
        expectTypeOf([of, g]).toEqualTypeOf<Tensor[]>();
        return twice(of, g);
      },
    },
    x(),
  );
  const second = await gradgradcheck(
    {
      ...square,
      forward,
      hvp: (_, g, t) => {
        expectTypeOf([g, t]).toEqualTypeOf<Tensor[]>();
        return twice(g, t);
      },
    },
    x(),
  );
  expect([first.ok, second.ok]).toEqual([true, true]);
  // Either kind may be in a variable.
  const operations: readonly Parameters<typeof gradcheck>[0][] = [softmax, { ...square, forward, vjp: twice }];
  for (const operation of operations) expect((await gradcheck(operation, x())).ok).toBe(true);
});
