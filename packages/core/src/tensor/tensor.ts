/// <reference lib="esnext.disposable" preserve="true" />
import type { Backend } from '../backend/interface.js';
import { isBranded } from './brand.js';
import type { DType, ElementOf, FloatDType, HostArrayOf, HostCopyOf } from './dtype.js';
import type { Nested } from './nested.js';
import type { Shape } from './shape.js';

/** The key of a member that only types have. */
declare const dtypeOf: unique symbol;

/**
 * A dense, contiguous, row-major array that lives on one backend. Results of operations stay there until `data()`,
 * `array()` or `to()`. No operation changes a tensor, except the one that it is passed to as `out`.
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
  /** `data` without waiting. @throws ERR_UNSUPPORTED if the backend can only be read asynchronously, as a GPU */
  dataSync(): HostCopyOf<D>;
  arraySync(): Nested<ElementOf<D>, R>;
  /** The backend's memory itself, without a copy: read or write it before the next operation. @throws ERR_UNSUPPORTED if the host cannot access it, as on a GPU */
  view(): HostArrayOf<D>;
  /**
   * A copy on another backend, in another float dtype, or both. Numbers are rounded to the nearest of the dtype, and ±Infinity beyond its range; those of
   * int32 are converted, those of bool become 0 and 1.
   *
   * @throws ERR_DTYPE if the backend does not compute in the dtype, ERR_DISPOSED if it is closed, also during the read
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
  /** Not there when the program runs: from it, `TensorOfFloats` tells a tensor that may have any dtype from one of int32. */
  [dtypeOf]?(dtype: D): void;
}

/** A tensor whose dtype only the run knows. One of a known dtype is a `Tensor`, too, but not this: the parameter of a property is compared strictly. */
interface TensorOfAnyDType extends Tensor {
  readonly [dtypeOf]?: (dtype: DType) => void;
}

/** A tensor of floats, or one whose dtype only the run knows: one of int32 or bool does not compile as an operand of floats. */
export type TensorOfFloats = Tensor<FloatDType> | TensorOfAnyDType;

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
