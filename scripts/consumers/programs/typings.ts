// Lines that a consumer writes without a cast, and lines that have to be refused. The arrays of `array()` have the rank of the tensor.
import { wasm } from '@softgrad/backend-wasm';
import { softmax, tensor } from 'softgrad';

const s = softmax([[1, 2, 3]]);
export const sum: number = (await s.data()).reduce((total, value) => total + value, 0);
export const entry: number | undefined = (await s.array())[0]?.[1];
export const values: Float32Array = await s.data();
export const backend = await wasm.open({ threads: undefined, required: undefined, relaxedSimd: undefined });

// @ts-expect-error: the data of a float tensor are never integers.
export const integers: Int32Array = await s.data();
// @ts-expect-error: an object with a length is not an array.
export const arrayLike = tensor({ length: 2, 0: 1 });
