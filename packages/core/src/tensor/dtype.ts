import { SoftgradError } from '../errors.js';
import { shortened } from '../shortened.js';
import { hintOf } from '../similar-names.js';

/** Floating-point dtypes. `float16` is storage only: arithmetic on it is done in float32, and its host data is a `Float32Array`. */
export type FloatDType = 'float16' | 'float32' | 'float64';

/** All dtypes: floats for values, `int32` for class indices, `bool` for masks. */
export type DType = FloatDType | 'int32' | 'bool';

/** The arrays that hold a tensor's data on the host. */
export type HostArray = Float32Array | Float64Array | Int32Array | Uint8Array;

/** The host array type of a dtype. Of one of several dtypes, the methods with callbacks can be called too. */
export type HostArrayOf<D extends DType> = [OtherDTypes<D>] extends [never]
  ? HostArrays[D]
  : ArrayMethods<D> & HostArrays[D];

interface HostArrays {
  readonly float16: Float32Array;
  readonly float32: Float32Array;
  readonly float64: Float64Array;
  readonly int32: Int32Array;
  readonly bool: Uint8Array;
}

/**
 * A host array with its own ArrayBuffer, as `Blob`, `fetch` and WebGPU require. Written as the return type of `from`,
 * because typed arrays have no type parameter before TypeScript 5.7.
 */
export type HostCopyOf<D extends DType> = [OtherDTypes<D>] extends [never]
  ? HostCopies[D]
  : CopyMethods<D> & HostCopies[D];

/** A host copy of any dtype. */
export type HostCopy = HostCopyOf<DType>;

/** Never for a single dtype. */
type OtherDTypes<D extends DType> = { readonly [One in D]: Exclude<D, One> }[D];

/** Methods of a host array of one of several dtypes. */
export interface ArrayMethods<D extends DType> extends Methods<HostArrayOf<D>, HostCopyOf<D>> {}

/** Methods of a host copy of one of several dtypes. */
export interface CopyMethods<D extends DType> extends Methods<HostCopyOf<D>, HostCopyOf<D>> {}

/**
 * Methods of every typed array. TypeScript cannot call a method of a union of typed arrays that takes a callback, because the
 * callback's last parameter differs: the same signatures have to be in each of them, before their own.
 */
interface Methods<Self, Copy> {
  every(predicate: (value: number, index: number, array: Self) => unknown, thisArg?: unknown): boolean;
  some(predicate: (value: number, index: number, array: Self) => unknown, thisArg?: unknown): boolean;
  find(predicate: (value: number, index: number, array: Self) => boolean, thisArg?: unknown): number | undefined;
  findIndex(predicate: (value: number, index: number, array: Self) => boolean, thisArg?: unknown): number;
  forEach(callback: (value: number, index: number, array: Self) => void, thisArg?: unknown): void;
  filter(predicate: (value: number, index: number, array: Self) => unknown, thisArg?: unknown): Copy;
  map(callback: (value: number, index: number, array: Self) => number, thisArg?: unknown): Copy;
  reduce(callback: (previous: number, value: number, index: number, array: Self) => number, initial?: number): number;
  reduce<T>(callback: (previous: T, value: number, index: number, array: Self) => T, initial: T): T;
  reduceRight(
    callback: (previous: number, value: number, index: number, array: Self) => number,
    initial?: number,
  ): number;
  reduceRight<T>(callback: (previous: T, value: number, index: number, array: Self) => T, initial: T): T;
  slice(start?: number, end?: number): Copy;
  subarray(begin?: number, end?: number): Self;
  fill(value: number, start?: number, end?: number): Self;
  reverse(): Self;
  sort(compare?: (a: number, b: number) => number): Self;
}

interface HostCopies {
  readonly float16: ReturnType<Float32ArrayConstructor['from']>;
  readonly float32: ReturnType<Float32ArrayConstructor['from']>;
  readonly float64: ReturnType<Float64ArrayConstructor['from']>;
  readonly int32: ReturnType<Int32ArrayConstructor['from']>;
  readonly bool: ReturnType<Uint8ArrayConstructor['from']>;
}

/** The type of an element. */
export type ElementOf<D extends DType> = Elements[D];

interface Elements {
  readonly float16: number;
  readonly float32: number;
  readonly float64: number;
  readonly int32: number;
  readonly bool: boolean;
}

const constructors = {
  float16: Float32Array,
  float32: Float32Array,
  float64: Float64Array,
  int32: Int32Array,
  bool: Uint8Array,
} as const;

/**
 * A new zeroed host array of a dtype: float16 and float32 → `Float32Array`, float64 → `Float64Array`, int32 → `Int32Array`, bool → `Uint8Array`.
 *
 * @throws ERR_DTYPE for the name of none, ERR_OUT_OF_MEMORY when the host cannot allocate it
 * @example
 * hostArray(3, 'float16'); // [0, 0, 0], a Float32Array
 */
export function hostArray<D extends DType>(length: number, dtype: D): HostCopyOf<D> {
  checkDTypeName('hostArray', dtype);
  try {
    return new constructors[dtype](length) as HostCopyOf<D>;
  } catch (cause) {
    const bytes = length * constructors[dtype].BYTES_PER_ELEMENT;
    throw new SoftgradError('ERR_OUT_OF_MEMORY', `cannot allocate ${bytes} bytes for ${length} ${dtype} elements`, {
      cause,
    });
  }
}

/** Whether it is the name of a dtype. */
export function isDType(value: unknown): value is DType {
  return typeof value === 'string' && Object.hasOwn(constructors, value);
}

/** @throws ERR_DTYPE unless it is the name of a dtype; `what` is what was called with it */
export function checkDTypeName(what: string, dtype: DType): void {
  if (isDType(dtype)) return;
  const known = Object.keys(constructors);
  // A constructor such as Float64Array has a name.
  const name = shortened(String(Object(dtype).name ?? dtype));
  throw new SoftgradError(
    'ERR_DTYPE',
    `${what}: unknown dtype '${name}'${hintOf(name, known)}; expected one of ${known.join(', ')}`,
  );
}

/** Whether it is an array that holds a tensor of the dtype. An array of another realm is not, and one of bytes may hold others than 0 and 1. */
export function isHostArray(data: object, dtype: DType): data is HostArray {
  return dtype !== 'bool' && data.constructor === constructors[dtype];
}

/**
 * True for the dtypes that hold values: float16, float32 and float64.
 *
 * @example
 * isFloat('int32'); // false
 */
export function isFloat(dtype: DType): dtype is FloatDType {
  return dtype === 'float32' || dtype === 'float64' || dtype === 'float16';
}

/**
 * Bytes that one element takes in the memory of a backend. On the host a float16 is held as float32.
 *
 * @example
 * byteSize('float16'); // 2
 */
export function byteSize(dtype: DType): number {
  return dtype === 'float64' ? 8 : dtype === 'float16' ? 2 : dtype === 'bool' ? 1 : 4;
}

/** The largest finite value of a float dtype. */
export function largestFinite(dtype: FloatDType): number {
  return dtype === 'float64' ? Number.MAX_VALUE : dtype === 'float32' ? 3.4028234663852886e38 : 65504;
}
