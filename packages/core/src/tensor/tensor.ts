/// <reference lib="esnext.disposable" preserve="true" />
import type { Backend } from '../backend/interface.js';
import { isBranded } from './brand.js';
import type { DType, ElementOf, FloatDType, HostArrayOf, HostCopyOf } from './dtype.js';
import type { Nested } from './nested.js';
import type { Shape } from './shape.js';

/**
 * A dense, contiguous, row-major array that lives on one backend. Results of operations stay there until `data()`,
 * `array()` or `to()`. A tensor is a value: no operation changes it, save one that is told to by `out:`.
 */
export interface Tensor<D extends DType = DType, R extends number = number> {
  readonly shape: Shape;
  /** Number of dimensions: 0 for a scalar. */
  readonly rank: R;
  readonly dtype: D;
  /** Number of elements. */
  readonly size: number;
  /** Where it lives; an operation runs where its operands live. */
  readonly backend: Backend;
  readonly disposed: boolean;
  /** The elements, flat and row-major, in a host array that the caller may keep. @throws ERR_DISPOSED, ERR_DEVICE_LOST */
  data(): Promise<HostCopyOf<D>>;
  /** The elements as nested arrays; booleans for bool, a bare number for a scalar. */
  array(): Promise<Nested<ElementOf<D>, R>>;
  /** `data` without waiting. @throws ERR_UNSUPPORTED where the backend reads asynchronously only */
  dataSync(): HostCopyOf<D>;
  arraySync(): Nested<ElementOf<D>, R>;
  /** The backend's memory itself, without a copy: read or write it before the next operation. @throws ERR_UNSUPPORTED where it can't be seen */
  view(): HostArrayOf<D>;
  /**
   * A copy on another backend, in another float dtype, or both. Numbers are rounded to the nearest of the dtype, and ±Infinity beyond its range; those of
   * int32 are converted, those of bool become 0 and 1.
   *
   * @throws ERR_DTYPE where the dtype doesn't exist there, ERR_DISPOSED where that backend is closed, or is closed during the read
   * @example
   * const single = await tensor(Float64Array.of(1, 1e300)).to('float32');
   * await single.array(); // [1, Infinity]
   */
  to(backend: Backend): Promise<Tensor<D, R>>;
  to<F extends FloatDType>(dtype: F): Promise<Tensor<F, R>>;
  to<F extends FloatDType>(backend: Backend, dtype: F): Promise<Tensor<F, R>>;
  /** Logs what `String(tensor)` gives: shape, dtype, backend and, where they can be read at once, the first elements; elsewhere how to read them. */
  print(): void;
  /** What `JSON.stringify` writes: what the tensor is and where, not its elements, which `await array()` gives. */
  toJSON(): TensorSummary;
  /** Frees the memory now; using the tensor afterwards is ERR_DISPOSED, disposing it again is harmless. */
  dispose(): void;
  [Symbol.dispose](): void;
}

/** A tensor without its elements. */
export interface TensorSummary {
  readonly shape: Shape;
  readonly dtype: DType;
  /** The backend's name. */
  readonly device: string;
}

/**
 * True for a tensor, of any copy of softgrad in this process, also if it is disposed.
 *
 * @example
 * isTensor(tensor([1, 2])); // true
 */
export function isTensor(value: unknown): value is Tensor {
  return isBranded(value);
}
