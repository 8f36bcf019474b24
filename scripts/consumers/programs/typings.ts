// Lines that a consumer writes without a cast, and lines that have to be refused. The arrays of `array()` have the rank of the tensor.
import { wasm } from '@softgrad/backend-wasm';
import { crossEntropy, softmax, type Tensor, tensor } from 'softgrad';

const s = softmax([[1, 2, 3]]);
export const sum: number = (await s.data()).reduce((total, value) => total + value, 0);
export const entry: number | undefined = (await s.array())[0]?.[1];
export const values: Float32Array = await s.data();
export const backend = await wasm.open({ threads: undefined, required: undefined, relaxedSimd: undefined });

// Of a tensor whose dtype only the run knows, every method of typed arrays can be called.
export async function ofAnyDType(x: Tensor, dtype: 'float32' | 'float64'): Promise<unknown[]> {
  const data = await x.data();
  const array: Float32Array | Float64Array | Int32Array | Uint8Array = data;
  const first: number | undefined = data[0];
  const floats: Float32Array | Float64Array = await tensor([1, 2], { dtype }).data();
  const total: number = (await tensor([1, 2], { dtype }).data()).reduce((a, b) => a + b, 0);
  const loss: number = (await crossEntropy(x, [1]).loss.data()).reduce((a, b) => a + b);
  const text: string = x.view().reduce((a, b) => a + b, '');
  const names: string[] = x.dataSync().reduce<string[]>((a, b) => a.concat(`${b}`), []);
  const chained: number = data
    .map((value, k, all) => (value + k) / all.length)
    .filter((value) => value > 0)
    .slice(1)
    .subarray(1)
    .sort((a, b) => a - b)
    .reverse()
    .fill(0, 1)
    .reduceRight((a, b) => Math.max(a, b));
  data.forEach((value, k) => {
    data.set([value], k);
  });
  for (const value of data) if (value === data.find((other) => other > 0)) break;
  const known: boolean = data.every(Number.isFinite) || data.some(Number.isNaN) || data.findIndex((v) => v > 0) < 0;
  const copied = Float64Array.from(data, (value) => value * 2);
  return [
    array,
    first,
    floats,
    total,
    loss,
    text,
    names,
    chained,
    known,
    copied,
    Math.max(...data),
    new Float32Array(data),
  ];
}
/** A tensor of which more is known, and its data, are one of which less is known. */
export const lessKnown: Tensor = s;
export const lessKnownData: Awaited<ReturnType<Tensor['data']>> = await s.data();
export const dataOf = async <D extends 'float32' | 'float64'>(x: Tensor<D>) => (await x.data()).length;

// The tensors that a session of onnxruntime returns, and ndarrays without a type argument: their elements may be anything.
interface Output {
  readonly data: Float32Array | Uint8Array | BigInt64Array | string[];
  readonly dims: readonly number[];
  readonly type: 'float32' | 'bool' | 'int64' | 'string';
}
interface Elements {
  get(index: number): number;
  set(index: number, value: number): void;
  length: number;
}
interface Strided {
  data: Elements | number[] | Float32Array;
  shape: number[];
  stride: number[];
  offset: number;
}
export const ofOthers = (output: Output, mask: Output, x: Strided): Tensor[] => [
  softmax(output, { mask }),
  softmax(x),
  tensor(x, { dtype: 'float64' }),
];

// @ts-expect-error: a tensor is one already.
export const twice = tensor(s);
// @ts-expect-error: the data of a float tensor are never integers.
export const integers: Int32Array = await s.data();
// @ts-expect-error: an object with a length is not an array.
export const arrayLike = tensor({ length: 2, 0: 1 });
