import type { Backend } from '../backend/interface.js';
import { checkDType } from '../backend/limits.js';
import { checkLivesOn } from '../backend/mismatch.js';
import { backendOfNewTensor } from '../backend/registry.js';
import { inOperation, SoftgradError } from '../errors.js';
import { checkOptions, namesOf } from '../options.js';
import { checkAttached } from './attached.js';
import { beginningOf } from './beginning.js';
import { describe } from './describe.js';
import { asTensor, DeviceTensor, make } from './device-tensor.js';
import { type DType, type FloatDType, isFloat } from './dtype.js';
import { readInput, type TensorInput } from './input.js';
import { track } from './scope.js';
import { checkShape, type Shape, sameShape, show, sizeOf } from './shape.js';
import type { Tensor } from './tensor.js';
import type { DTypeOf, RankOf, RankOfShape } from './typed.js';

export interface TensorOptions {
  /** Default: that of `out`, else float64 for a Float64Array, int32 for integer arrays, bool for booleans, float32 for others. */
  readonly dtype?: DType | undefined;
  /** Default: the shape of the nested arrays; of a typed array that of `out` if it has as many elements, else one dimension. */
  readonly shape?: Shape | undefined;
  /** Default: the backend chosen by `setBackend`. */
  readonly backend?: Backend | undefined;
  /** Write into this tensor instead of making a new one; its shape, dtype and backend must fit. */
  readonly out?: Tensor | undefined;
}

/** The dtype given in the options, which may be a type parameter of the caller, or any dtype if its type is not known. */
type DTypeOption<O, Default extends DType> = O extends { readonly dtype: infer D extends DType }
  ? D
  : 'dtype' extends keyof O
    ? DType
    : Default;

/** The type of the tensor that `tensor` makes from an input and options. */
type Made<I, O> = O extends { readonly out: Tensor<infer D, infer R> }
  ? Tensor<D, R>
  : Tensor<
      DTypeOption<O, DTypeOf<I>>,
      'shape' extends keyof O ? (O['shape'] extends Shape ? RankOfShape<O['shape']> : number) : RankOf<I>
    >;

const tensorNames = /* @__PURE__ */ namesOf<TensorOptions>({ dtype: true, shape: true, backend: true, out: true });
const emptyNames = /* @__PURE__ */ namesOf<Pick<TensorOptions, 'dtype' | 'backend'>>({ dtype: true, backend: true });

/**
 * A tensor from nested arrays, a typed array with a shape, or anything with `data` and `shape` (and strides).
 *
 * The shape is that of the nested arrays, `data.shape`, or `options.shape` if it has the same number of elements. The input is copied.
 *
 * @throws ERR_SHAPE (ragged rows, wrong count), ERR_DTYPE (an entry that is not a number; a dtype that the backend lacks),
 *   ERR_BACKEND_UNAVAILABLE (no `setBackend` yet and none given), ERR_OUT_OF_MEMORY, ERR_DISPOSED (a typed array whose memory was transferred)
 *
 * @example
 * await setBackend(cpu);
 * const x = tensor([[1, 2, 3], [1, 2, 4]]);
 * x.shape; // [2, 3]
 * x.dtype; // 'float32'
 */
export function tensor<I extends TensorInput, const O extends TensorOptions = Record<never, never>>(
  input: I,
  options?: O,
): Made<I, O>;
export function tensor(input: TensorInput, options: TensorOptions = {}): Tensor {
  const { out } = checkOptions('tensor', options, tensorNames);
  return inOperation('tensor', () => {
    if (out !== undefined) return overwrite(asTensor('tensor', 'out', out), input, options);
    const host = readInput(input, options.shape, options.dtype);
    const { backend = backendOfNewTensor() } = options;
    checkDType('tensor', host.dtype, backend);
    const made = make(backend, host.shape, host.dtype, host.data);
    made.beginning = beginningOf(host.data);
    return made;
  });
}

/**
 * A tensor whose contents are unspecified until they are written: as `out`, or through `view()` if the backend's memory is
 * accessible. Its dtype is float32 unless given, its backend the chosen one.
 *
 * @throws ERR_SHAPE, ERR_DTYPE, ERR_OUT_OF_MEMORY
 * @example
 * const x = empty([2, 3]);
 * x.view().set([1, 2, 3, 1, 2, 4]);
 * await x.array(); // [[1, 2, 3], [1, 2, 4]]
 */
export function empty<
  const S extends Shape,
  const O extends Pick<TensorOptions, 'dtype' | 'backend'> = Record<never, never>,
>(shape: S, options?: O): Tensor<DTypeOption<O, 'float32'>, RankOfShape<S>>;
export function empty(shape: Shape, options: Pick<TensorOptions, 'dtype' | 'backend'> = {}): Tensor {
  checkShape('empty', shape);
  checkOptions('empty', options, emptyNames);
  const { backend = backendOfNewTensor(), dtype = 'float32' } = options;
  checkDType('empty', dtype, backend);
  return inOperation('empty', () => make(backend, Object.freeze([...shape]), dtype, null));
}

/**
 * A tensor over an existing buffer of the backend, without a copy. The tensor owns the buffer and frees it when it is disposed.
 *
 * No other tensor may have any of its memory, and nothing else may use it later, because the backend uses freed memory again. On cpu a buffer is a typed
 * array, which may be a part of a larger one, `array.subarray(0, 6)`: kernels assume that such views do not overlap, and this is not checked.
 *
 * The length and the dtype of the buffer must be those of the tensor. The backends of this project know their buffers; only cpu, whose
 * buffers are typed arrays, and wasm do not recognise one that was freed. A backend without `bufferInfo` cannot be asked: a wrong buffer then has the
 * consequences that its kernels have.
 *
 * @throws ERR_VALUE for what is not a buffer of the backend, ERR_SHAPE for one of another length, ERR_DTYPE, ERR_DISPOSED
 * @example
 * const backend = await cpu.open();
 * const x = fromBuffer(backend, Float32Array.of(1, 2, 3), [1, 3], 'float32');
 * await logSumExp(x).array(); // [3.4076]
 */
export function fromBuffer<B, const S extends Shape, D extends FloatDType>(
  backend: Backend<B>,
  buffer: B,
  shape: S,
  dtype: D,
): Tensor<D, RankOfShape<S>>;
export function fromBuffer<B>(backend: Backend<B>, buffer: B, shape: Shape, dtype: FloatDType): Tensor {
  checkShape('fromBuffer', shape);
  if (!isFloat(dtype)) {
    throw new SoftgradError(
      'ERR_DTYPE',
      `fromBuffer: ${String(dtype)} tensors also have a copy on the host: make them with tensor(data, { dtype: '${String(dtype)}' })`,
    );
  }
  checkDType('fromBuffer', dtype, backend);
  checkBuffer(backend, buffer, shape, dtype);
  return track(new DeviceTensor(backend, Object.freeze([...shape]), dtype, buffer, null));
}

/**
 * The backend's buffer of a tensor, without a copy: the inverse of `fromBuffer`. The tensor remains its owner.
 *
 * @throws ERR_BACKEND_MISMATCH if the tensor is on another backend; ERR_DISPOSED; ERR_DTYPE for anything but a tensor
 * @example
 * const backend = await cpu.open();
 * bufferOf(backend, tensor([1, 2, 3], { backend })); // [1, 2, 3], a Float32Array
 */
export function bufferOf<B>(backend: Backend<B>, x: Tensor): B {
  const known = asTensor('bufferOf', 'x', x);
  checkLivesOn('bufferOf', 'x', known.backend, backend as Backend);
  known.beginning = null;
  return known.buffer as B;
}

/** @throws ERR_VALUE, ERR_DTYPE, ERR_SHAPE, ERR_DISPOSED unless the backend has such a buffer, as far as it can be asked */
function checkBuffer(backend: Backend, buffer: unknown, shape: Shape, dtype: FloatDType): void {
  if (ArrayBuffer.isView(buffer)) checkAttached('fromBuffer', buffer);
  const info = buffer === null || buffer === undefined ? null : backend.bufferInfo?.(buffer);
  const size = sizeOf(shape);
  if (info === undefined || (info?.dtype === dtype && info.length === size)) return;
  throw new SoftgradError(
    info === null ? 'ERR_VALUE' : info.dtype === dtype ? 'ERR_SHAPE' : 'ERR_DTYPE',
    `fromBuffer: the buffer is ${info ? `${info.length} ${info.dtype}` : describe(buffer)}, expected ${size} ${dtype} for shape ${show(shape)}, allocated by this ${backend.name} and not freed`,
  );
}

function overwrite(target: DeviceTensor, input: TensorInput, options: TensorOptions): Tensor {
  const { shape, dtype = target.dtype, backend } = options;
  if (backend !== undefined) checkLivesOn('tensor', 'out', target.backend, backend, 'leave the option backend out');
  // A typed array has no shape of its own.
  const isFlat = ArrayBuffer.isView(input) && 'length' in input && input.length === target.size;
  const host = readInput(input, shape ?? (isFlat ? target.shape : undefined), dtype);
  if (!sameShape(target.shape, host.shape) || target.dtype !== host.dtype) {
    throw new SoftgradError(
      'ERR_SHAPE',
      `tensor: out is ${show(target.shape)} ${target.dtype}, the input ${show(host.shape)} ${host.dtype}`,
    );
  }
  // A result may remember this mask: writing to it must not change the remembered copy. Copied first, because there may be no memory for it.
  const kept = target.host && host.data.slice();
  target.backend.write(target.buffer, host.data);
  target.overwritten(beginningOf(host.data));
  target.host = kept;
  return target;
}
