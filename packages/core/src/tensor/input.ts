import { SoftgradError } from '../errors.js';
import { checkAttached } from './attached.js';
import { conversionHint } from './conversion.js';
import { describe } from './describe.js';
import { checkDTypeName, type DType, type HostArray, hostArray, isFloat, isHostArray } from './dtype.js';
import { fromHalfBits, isFloat16Like } from './half.js';
import { flatten, type NestedArray, shapeOfNested } from './nested.js';
import { checkShape, contiguousStrides, eachRun, type Shape, type Strided, show, sizeOf } from './shape.js';

/** Any flat array-like object of numbers. */
export type NumericArray = { readonly length: number; readonly [index: number]: number };

/** Layout of data from numeric libraries: data that is not contiguous has strides (in elements) and an offset. */
interface Layout {
  readonly stride?: readonly number[];
  readonly strides?: readonly number[];
  readonly offset?: number;
  /** onnxruntime's element type: it stores 'float16' as bits in a Uint16Array, 'bool' in a Uint8Array. */
  readonly type?: string;
}

/** A shape whose length the compiler infers where it is written out: with a tuple in the type, `[2, 3]` is a tuple as well. */
type InferredShape = Shape | readonly [];

interface StridedData extends Layout {
  readonly data: NumericArray | readonly boolean[];
}

/** Data with a shape, like the arrays of ndarray and TensorFlow.js. */
export interface NdArrayLike extends StridedData {
  readonly shape: InferredShape;
}

/** Data with its shape in `dims`, like onnxruntime's tensors. */
export interface DimsArrayLike extends StridedData {
  readonly dims: InferredShape;
}

/**
 * Data whose type does not say that they are numbers, like those of an onnxruntime `Tensor`, which may be texts, or of an ndarray's
 * `NdArray` without a type argument. The elements are checked when they are read.
 */
export type UncheckedArrayLike = Layout & {
  readonly data: (object & ArrayLike<unknown>) | { readonly length: number; get(index: number): unknown };
} & ({ readonly shape: InferredShape } | { readonly dims: InferredShape });

/** A typed array of numbers, flat. */
export type TypedArray = NumericArray & ArrayBufferView;

/** Nested arrays whose innermost rows are typed arrays. Deeper nesting is accepted too. */
export type TypedRows = readonly TypedArray[] | readonly (readonly TypedArray[])[];

/**
 * A typed array of floats, of whichever class. It has all members of one so that of the types in `FloatInput` it is the most similar to a typed array of
 * integers: the compiler explains the error about one by the names of the classes.
 */
interface NamedFloatArray extends NumericArray, ArrayBufferView, OtherMembers {
  readonly [Symbol.toStringTag]: 'Float16Array' | 'Float32Array' | 'Float64Array';
}

type OtherMembers = Omit<Record<keyof Float32Array, unknown>, keyof NumericArray | keyof ArrayBufferView>;

/** No typed array of integers: of another class than typed arrays, of floats, or of a type that does not tell its class. */
type NotOfIntegers = Partial<Pick<NamedFloatArray, typeof Symbol.toStringTag>>;

/** A typed array of floats, or one whose type does not tell its class. */
export type FloatArray = NamedFloatArray | (TypedArray & NotOfIntegers);

/** Data with a shape, without typed arrays of integers, except in a tensor of onnxruntime or ndarray: the type of its data often allows all classes. */
type ShapedFloats = (NdArrayLike | DimsArrayLike | UncheckedArrayLike) &
  ({ readonly data: NotOfIntegers } | { readonly type: string } | { readonly stride: readonly number[] });

/** The inputs of `tensor` without typed arrays of integers. Booleans are checked when they are read. */
export type FloatInput =
  | NestedArray
  | FloatArray
  | readonly FloatArray[]
  | readonly (readonly FloatArray[])[]
  | ShapedFloats;

/** The inputs that `tensor` accepts. */
export type TensorInput = NestedArray | TypedArray | TypedRows | NdArrayLike | DimsArrayLike | UncheckedArrayLike;

/** Values of a tensor on the host, contiguous and row-major, of exactly its dtype. */
export interface HostData {
  readonly data: HostArray;
  readonly shape: Shape;
  readonly dtype: DType;
}

/**
 * Reads an input of `tensor` into contiguous host data of one dtype. The input is never modified and may be changed afterwards. The
 * data shares the input's memory if that already has the needed layout and dtype.
 *
 * @throws ERR_SHAPE (ragged, wrong count), ERR_DTYPE (an entry that is not a number, or that the dtype cannot hold), ERR_DISPOSED (a typed array whose
 *   memory was transferred)
 * @example
 * readInput([[1, 2], [3, 4]], undefined, 'float64'); // { data: [1, 2, 3, 4], shape: [2, 2], dtype: 'float64' }
 */
export function readInput(
  input: unknown,
  shape: Shape | undefined,
  dtype: DType | undefined,
  what = 'tensor',
): HostData {
  if (shape !== undefined) checkShape(what, shape);
  if (dtype !== undefined) checkDTypeName(what, dtype);
  const isNested = typeof input === 'number' || typeof input === 'boolean' || Array.isArray(input);
  if (!isNested && (isTypedArray(what, input) || isFloat16Like(input))) {
    return fromFlat(what, input, shape ?? [input.length], dtype);
  }
  const own = isNested ? fromNested(what, input as NestedArray, dtype) : fromNdArray(what, input, dtype);
  return shape === undefined ? own : { ...own, shape: shaped(what, shape, own.data.length) };
}

/** Whether nested arrays, or data with a shape, begin with a boolean. */
export function areBooleans(input: unknown): boolean {
  let first = (input as { readonly data?: unknown } | null)?.data ?? input;
  while (Array.isArray(first)) first = first[0];
  return typeof first === 'boolean';
}

function fromNested(what: string, nested: NestedArray, dtype: DType | undefined): HostData {
  const shape = shapeOfNested(nested);
  const natural = dtypeOfRows(what, nested);
  const type = dtype ?? natural;
  const values = hostArray(sizeOf(shape), isFloat(type) ? type : 'float64');
  flatten(nested, shape, values, natural === 'bool', what);
  return fromFlat(what, values, shape, type);
}

/** The dtype of the rows: of rows of several dtypes the one that holds the values of all. */
function dtypeOfRows(what: string, level: unknown): DType {
  if (isTypedArray(what, level)) return naturalDType(level);
  if (!Array.isArray(level)) return typeof level === 'boolean' ? 'bool' : 'float32';
  const [first] = level;
  const dtype = dtypeOfRows(what, first);
  // A row of numbers is not searched: only its entries' types would differ, which is an error of its own.
  if (typeof first !== 'object') return dtype;
  return level.reduce<DType>((widest, row) => wider(widest, dtypeOfRows(what, row)), dtype);
}

/** Floats before integers, float64 before float32. What is mixed with booleans is refused as an entry. */
function wider(a: DType, b: DType): DType {
  return a === 'float64' || a === 'bool' || b === 'int32' || b === 'bool' ? a : b;
}

function fromFlat(
  what: string,
  data: NumericArray | readonly boolean[],
  shape: Shape,
  dtype: DType | undefined,
): HostData {
  const type = dtype ?? naturalDType(data);
  return { data: converted(what, data, type), dtype: type, shape: shaped(what, shape, data.length) };
}

function fromNdArray(what: string, input: unknown, dtype: DType | undefined): HostData {
  if (!isNdArrayLike(what, input)) {
    const expected = '; expected nested arrays, a typed array, or an object with data and shape';
    throw new SoftgradError(
      'ERR_DTYPE',
      `${what}: cannot read ${describe(input)}${conversionHint(input, false) || expected}`,
    );
  }
  const shape = shapeOf(input);
  checkShape(what, shape);
  if (isHalfBits(input)) return fromNdArray(what, decoded(input), dtype);
  const type = dtype ?? boolOf(input) ?? naturalDType(input.data);
  const strides = input.strides ?? input.stride;
  const offset = input.offset ?? 0;
  const isContiguous = strides === undefined && offset === 0;
  const data = isContiguous ? input.data : gather(what, input.data, shape, strides ?? contiguousStrides(shape), offset);
  return fromFlat(what, data, shape, type);
}

/** Whether the data are the bits of onnxruntime's float16. A Float16Array needs no decoding. */
function isHalfBits({ data, type }: NdArrayLike | DimsArrayLike): boolean {
  return type === 'float16' && typedArrayKind(data) === 'Uint16Array';
}

function decoded(input: NdArrayLike | DimsArrayLike): NdArrayLike {
  const data = Float32Array.from<number | boolean>(input.data, (bits) => fromHalfBits(Number(bits)));
  const { strides = input.stride, offset = 0 } = input;
  return { data, shape: shapeOf(input), offset, ...(strides && { strides }) };
}

/** onnxruntime stores booleans in a Uint8Array. */
function boolOf({ data, type }: NdArrayLike | DimsArrayLike): 'bool' | undefined {
  return type === 'bool' && typedArrayKind(data) === 'Uint8Array' ? 'bool' : undefined;
}

function shapeOf(input: NdArrayLike | DimsArrayLike): Shape {
  return 'shape' in input ? input.shape : input.dims;
}

function gather(
  what: string,
  data: NdArrayLike['data'],
  shape: Shape,
  strides: readonly number[],
  offset: number,
): Float64Array {
  if (strides.length !== shape.length || !strides.every(Number.isInteger) || !Number.isInteger(offset)) {
    throw new SoftgradError(
      'ERR_SHAPE',
      `${what}: strides (${strides.join(', ')}) and offset ${offset} don't fit shape ${show(shape)}`,
    );
  }
  const size = sizeOf(shape);
  const gathered = hostArray(size, 'float64');
  if (size === 0) return gathered;
  const dimensions = shape.map((dimension, k): Strided => [dimension, strides[k] ?? 0]);
  let least = offset;
  let most = offset;
  for (const [dimension, stride] of dimensions) {
    const reach = (dimension - 1) * stride;
    if (reach < 0) least += reach;
    else most += reach;
  }
  if (least < 0 || most >= data.length) {
    throw new SoftgradError(
      'ERR_SHAPE',
      `${what}: shape ${show(shape)} with strides (${strides.join(', ')}) and offset ${offset} reaches elements ${least} to ${most} of data that has ${data.length}`,
    );
  }
  const numeric = ArrayBuffer.isView(data);
  let n = 0;
  eachRun(dimensions, offset, (start, count, stride) => {
    for (let k = 0; k < count; k++) {
      const at = start + k * stride;
      gathered[n++] = numeric ? Number(data[at]) : numberAt(what, data, at);
    }
  });
  return gathered;
}

/** A frozen copy of the shape. @throws ERR_SHAPE unless it has so many elements */
function shaped(what: string, shape: Shape, size: number): Shape {
  if (sizeOf(shape) !== size) {
    throw new SoftgradError(
      'ERR_SHAPE',
      `${what}: ${size} values don't fill shape ${show(shape)} of ${sizeOf(shape)} elements`,
    );
  }
  return Object.freeze([...shape]);
}

/** The dtype of data if the caller does not give one. */
function naturalDType(data: NumericArray | readonly boolean[]): DType {
  const kind = typedArrayKind(data);
  if (kind === 'Float64Array') return 'float64';
  if (isOfIntegers(kind)) return 'int32';
  return typeof data[0] === 'boolean' ? 'bool' : 'float32';
}

/** True for typed arrays of integers. */
export function isIntegerArray(data: unknown): boolean {
  return isOfIntegers(typedArrayKind(data));
}

function isOfIntegers(kind: string | null): boolean {
  return kind !== null && !kind.startsWith('Float');
}

/**
 * The class of a typed array, null for anything else. By name: arrays of another realm (an iframe, node's vm, a test runner)
 * are not instances of this realm's classes, and Float16Array does not exist everywhere.
 */
export function typedArrayKind(data: unknown): string | null {
  if (!ArrayBuffer.isView(data)) return null;
  const { [Symbol.toStringTag]: kind } = data as ArrayBufferView & { readonly [Symbol.toStringTag]: string };
  return kind === 'DataView' ? null : kind;
}

/** Host data of exactly `dtype`. @throws ERR_DTYPE for a value that is not a number, or that int32 or bool cannot hold */
function converted(what: string, data: NumericArray | readonly boolean[], dtype: DType): HostArray {
  if (isHostArray(data, dtype)) return data;
  const result = hostArray(data.length, dtype);
  const numeric = ArrayBuffer.isView(data);
  if (numeric && isFloat(dtype)) {
    result.set(data as NumericArray);
    return result;
  }
  for (let k = 0; k < data.length; k++) {
    const value = numeric ? Number(data[k]) : numberAt(what, data, k);
    result[k] = value;
    if (dtype === 'int32' && result[k] !== value) {
      throw new SoftgradError('ERR_DTYPE', `${what}: element ${k} is ${value}, which int32 cannot hold`);
    }
    if (dtype === 'bool' && value !== 0 && value !== 1) {
      throw new SoftgradError('ERR_DTYPE', `${what}: element ${k} is ${value}; a bool is true, false, 1 or 0`);
    }
  }
  return result;
}

/** An element as a number. @throws ERR_DTYPE unless it is a number or a boolean */
function numberAt(what: string, data: NumericArray | readonly boolean[], k: number): number {
  const value: unknown = data[k];
  if (typeof value === 'number' || typeof value === 'boolean') return Number(value);
  throw new SoftgradError('ERR_DTYPE', `${what}: element ${k} is ${describe(value)}, expected a number`);
}

function isTypedArray(what: string, value: unknown): value is NumericArray & ArrayBufferView {
  const kind = typedArrayKind(value);
  if (kind === null) return false;
  if (kind === 'BigInt64Array' || kind === 'BigUint64Array') {
    // An Int32Array would wrap larger integers, such as an `ignoreIndex` of 2⁴⁰ among labels.
    const fit = (value as BigInt64Array | BigUint64Array).every((entry) => BigInt.asIntN(32, entry) === entry);
    throw new SoftgradError(
      'ERR_DTYPE',
      `${what}: 64-bit integers are not a dtype here; convert the data with ${fit ? 'Int32Array' : 'Array'}.from(data, Number), and keep its shape`,
    );
  }
  checkAttached(what, value as ArrayBufferView);
  return true;
}

function isNdArrayLike(what: string, value: unknown): value is NdArrayLike | DimsArrayLike {
  if (typeof value !== 'object' || value === null || !('data' in value)) return false;
  checkLocation(what, value);
  const { data } = value;
  return (
    (isTypedArray(what, data) || isFloat16Like(data) || Array.isArray(data)) &&
    Array.isArray(shapeOf(value as NdArrayLike))
  );
}

/** @throws ERR_DTYPE for a tensor of onnxruntime on a device, whose `data` cannot be read */
function checkLocation(what: string, value: object): void {
  if (!('location' in value && 'getData' in value)) return;
  const { location } = value;
  if (typeof location !== 'string' || location.startsWith('cpu')) return;
  throw new SoftgradError(
    'ERR_DTYPE',
    `${what}: the data of the onnxruntime tensor is on its device (${location}); if the tensor is called x, pass { data: await x.getData(), dims: x.dims, type: x.type }`,
  );
}
