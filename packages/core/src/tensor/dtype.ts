import { SoftgradError } from '../errors.js';

/** Floating-point dtypes. `float16` is storage only: arithmetic on it is done in float32, and its host data is a `Float32Array`. */
export type FloatDType = 'float16' | 'float32' | 'float64';

/** All dtypes: floats for values, `int32` for class indices, `bool` for masks. */
export type DType = FloatDType | 'int32' | 'bool';

/** The arrays that hold a tensor's data on the host. */
export type HostArray = Float32Array | Float64Array | Int32Array | Uint8Array;

/** The host array type of a dtype. */
export type HostArrayOf<D extends DType> = HostArrays[D];

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
export type HostCopyOf<D extends DType> = HostCopies[D];

/** A host copy of any dtype. */
export type HostCopy = HostCopies[DType];

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
 */
export function hostArray<D extends DType>(length: number, dtype: D): HostCopyOf<D> {
  checkDTypeName(dtype);
  try {
    return new constructors[dtype](length) as HostCopyOf<D>;
  } catch (cause) {
    const bytes = length * constructors[dtype].BYTES_PER_ELEMENT;
    throw new SoftgradError('ERR_OUT_OF_MEMORY', `cannot allocate ${bytes} bytes for ${length} ${dtype} elements`, {
      cause,
    });
  }
}

/** @throws ERR_DTYPE unless it is the name of a dtype */
export function checkDTypeName(dtype: DType): void {
  if (Object.hasOwn(constructors, dtype)) return;
  const known = Object.keys(constructors).join(', ');
  throw new SoftgradError('ERR_DTYPE', `unknown dtype '${String(dtype)}'; expected one of ${known}`);
}

/** True for the dtypes that hold values. */
export function isFloat(dtype: DType): dtype is FloatDType {
  return dtype === 'float32' || dtype === 'float64' || dtype === 'float16';
}

/** Bytes that one element takes in memory. */
export function byteSize(dtype: DType): number {
  return dtype === 'float64' ? 8 : dtype === 'float16' ? 2 : dtype === 'bool' ? 1 : 4;
}

/** The largest finite value of a float dtype. */
export function largestFinite(dtype: FloatDType): number {
  return dtype === 'float64' ? Number.MAX_VALUE : dtype === 'float32' ? 3.4028234663852886e38 : 65504;
}
