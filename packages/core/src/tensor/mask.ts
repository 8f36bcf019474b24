import type { Backend, Rows } from '../backend/interface.js';
import { allocate } from '../backend/limits.js';
import { checkLivesOn } from '../backend/mismatch.js';
import { SoftgradError } from '../errors.js';
import { asTensor, DeviceTensor, type LaidMask } from './device-tensor.js';
import { type HostArray, hostArray } from './dtype.js';
import { type DimsArrayLike, type NdArrayLike, readInput, typedArrayKind, type UncheckedArrayLike } from './input.js';
import { hintOfShape } from './operands.js';
import {
  asInteger,
  broadcasts,
  contiguousStrides,
  eachRun,
  type Shape,
  type Strided,
  sameShape,
  show,
  sizeOf,
} from './shape.js';
import { isTensor, type Tensor } from './tensor.js';

/** True = keep. A bool tensor on the operands' backend, nested booleans, bytes of 0 and 1, or either with a shape; broadcast by NumPy's rule. */
export type MaskInput = Tensor | NestedMask | NdArrayLike | DimsArrayLike | UncheckedArrayLike;

type NestedMask = boolean | Uint8Array | readonly NestedMask[];

/** A laid-out mask on the operand's backend. */
export interface Mask<B> {
  readonly buffer: B;
  readonly outer: number;
  readonly host: HostArray;
}

/**
 * Lays a mask out for the rows of an operand.
 *
 * @throws ERR_DTYPE unless it is bool, ERR_SHAPE unless it broadcasts to the operand, ERR_BACKEND_MISMATCH
 */
export function layMask(operation: string, input: MaskInput, x: DeviceTensor, rows: Rows): LaidMask {
  const given = isTensor(input) ? fromTensor(operation, input, x) : fromHost(operation, input);
  const block = rows.classes * rows.inner;
  const last = given.tensor?.lastLaid;
  if (last && last.block === block && sameShape(last.over, x.shape)) return last.mask;
  if (!broadcasts(given.shape, x.shape)) {
    throw new SoftgradError(
      'ERR_SHAPE',
      `${operation}: mask ${show(given.shape)} doesn't broadcast to ${show(x.shape)}${hintOfShape(given.shape, x.shape)}`,
    );
  }
  const laid = laidOver(given, repeatedPart(given.shape, x.shape, block));
  const mask = { ...laid, outer: block === 0 ? 0 : asInteger(laid.host.length / block) };
  if (given.tensor) given.tensor.lastLaid = { over: x.shape, block, mask };
  return mask;
}

/** Whether a mask keeps an entry of the rows. */
export function keeps(mask: Mask<unknown>, rows: Rows, outer: number, classIndex: number, inner: number): boolean {
  return mask.host[((outer % mask.outer) * rows.classes + classIndex) * rows.inner + inner] !== 0;
}

/** A laid-out mask with an entry for each of `size` elements. */
export function repeated(host: HostArray, size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => (host[i % host.length] === 0 ? 0 : 1));
}

/** True where two masks keep the same entries of the same rows. */
export function sameMask(a: LaidMask, b: LaidMask): boolean {
  const [few, many] = a.host.length <= b.host.length ? [a.host, b.host] : [b.host, a.host];
  return few === many || many.every((keep, i) => (keep !== 0) === (few[i % few.length] !== 0));
}

/** Calls `body` with the mask on the backend, or with null without a mask, and frees the uploaded copy afterwards. */
export function withMask<B, T>(backend: Backend<B>, laid: LaidMask | null, body: (mask: Mask<B> | null) => T): T {
  if (laid === null) return body(null);
  const { host, outer, tensor } = laid;
  // The tensor may have been disposed or overwritten since, and the result that remembers the mask may be on another backend now.
  if (tensor !== null && tensor.backend === backend && !tensor.disposed && tensor.host === host) {
    return body({ buffer: tensor.buffer as B, outer, host });
  }
  const buffer = allocate(backend, host.length, 'bool');
  try {
    backend.write(buffer, host);
    return body({ buffer, outer, host });
  } finally {
    backend.free(buffer);
  }
}

interface Given {
  readonly shape: Shape;
  readonly host: HostArray;
  readonly tensor: DeviceTensor | null;
}

function fromTensor(operation: string, input: Tensor, x: DeviceTensor): Given {
  const mask = asTensor(operation, 'mask', input);
  if (mask.dtype !== 'bool' || mask.host === null) throw notBool(operation, mask.dtype);
  checkLivesOn(operation, 'mask', mask.backend, x.backend);
  return { shape: mask.shape, host: mask.host, tensor: mask };
}

function fromHost(operation: string, input: Exclude<MaskInput, Tensor>): Given {
  const own = readInput(input, undefined, undefined, `${operation}: mask`);
  if (sizeOf(own.shape) === 0) return { shape: own.shape, host: hostArray(0, 'bool'), tensor: null };
  if (own.dtype === 'bool') return { shape: own.shape, host: own.data, tensor: null };
  if (!areBytes(input)) throw notBool(operation, own.dtype, own.data);
  return { shape: own.shape, host: readInput(input, undefined, 'bool', `${operation}: mask`).data, tensor: null };
}

function areBytes(input: unknown): boolean {
  if (Array.isArray(input)) return input.every(areBytes);
  return typedArrayKind(input) === 'Uint8Array' || typedArrayKind((input as { data?: unknown }).data) === 'Uint8Array';
}

function notBool(operation: string, dtype: string, data?: HostArray): SoftgradError {
  // In a mask that is added to logits, 0 keeps an entry: converted as a mask of 0 and 1, it would keep the opposite entries.
  const negative = data?.find((entry) => entry < 0);
  const conversion =
    negative === undefined
      ? "a mask of 0 and 1 becomes one by tensor(mask, { dtype: 'bool' })"
      : `it has ${negative}, as a mask that is added to logits has; add it to them, or pass true where it is 0`;
  return new SoftgradError(
    'ERR_DTYPE',
    `${operation}: mask is ${dtype}, expected booleans (true = keep): ${conversion}`,
  );
}

/** The last dimensions of an operand over which a mask is laid out: it repeats over those before, and whole rows of `block` elements are in one part. */
function repeatedPart(from: Shape, to: Shape, block: number): Shape {
  const shift = to.length - from.length;
  const first = from.findIndex((dimension) => dimension !== 1);
  let start = first === -1 ? to.length : first + shift;
  while (start > 0 && sizeOf(to.slice(start)) % block !== 0) start--;
  return to.slice(start);
}

/**
 * A mask broadcast to a shape. A tensor keeps the latest two, so that the next call neither expands nor uploads it again: a padding mask has those of
 * self-attention and cross-attention, whose queries differ in number.
 */
function laidOver({ shape, host, tensor }: Given, to: Shape): Pick<LaidMask, 'host' | 'tensor'> {
  if (host.length === sizeOf(to)) return { host, tensor };
  for (let known = tensor?.broadcast; known; known = known.broadcast) {
    if (sameShape(known.shape, to)) return { host: known.host as HostArray, tensor: known };
  }
  const expanded = expand(host, shape, to);
  if (tensor === null) return { host: expanded, tensor };
  const { backend, broadcast: latest } = tensor;
  const buffer = allocate(backend, expanded.length, 'bool');
  try {
    backend.write(buffer, expanded);
  } catch (error) {
    backend.free(buffer);
    throw error;
  }
  latest?.freeBroadcast();
  tensor.broadcast = new DeviceTensor(backend, to, 'bool', buffer, expanded);
  tensor.broadcast.broadcast = latest;
  return { host: expanded, tensor: tensor.broadcast };
}

function expand(host: HostArray, from: Shape, to: Shape): HostArray {
  const expanded = hostArray(sizeOf(to), 'bool');
  const shift = to.length - from.length;
  const strides = contiguousStrides(from);
  // A repeated dimension has stride 0, and the last one otherwise stride 1.
  const dimensions = to.map((size, k): Strided => [size, from[k - shift] === 1 ? 0 : (strides[k - shift] ?? 0)]);
  let n = 0;
  eachRun(dimensions, 0, (start, size, stride) => {
    if (stride === 0) expanded.fill(host[start] as number, n, n + size);
    else expanded.set(host.subarray(start, start + size), n);
    n += size;
  });
  return expanded;
}
