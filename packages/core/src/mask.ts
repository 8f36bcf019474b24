import type { Basis, Operand, Rows, SoftmaxParameters } from './backend.js';
import { type HostArray, hostArray } from './dtype.js';
import { SoftgradError } from './errors.js';
import { type NdArrayLike, readInput, typedArrayKind } from './input.js';
import type { NestedArray } from './nested.js';
import { checkBackend, type FloatTensor, type Scratch } from './op.js';
import { broadcasts, type Shape, show, sizeOf } from './shape.js';
import { allocate, asTensor, isTensor, type Tensor } from './tensor.js';

/** True = keep. A bool tensor on the operands' backend, nested booleans, or booleans with a shape; broadcast by NumPy's rule. */
export type MaskInput = Tensor | NestedArray | NdArrayLike;

/** A mask laid out for an operand's rows: `outer` blocks of `classes × inner` that repeat. */
export interface Mask {
  readonly buffer: unknown;
  readonly outer: number;
  /** The same on the host. */
  readonly host: HostArray;
}

/**
 * Calls `body` with the mask laid out on the operand's backend, or with null where there is none; frees what it had to upload.
 *
 * @throws ERR_DTYPE unless it is bool, ERR_SHAPE unless it broadcasts to the operand, ERR_BACKEND_MISMATCH
 */
export function withMask<T>(
  operation: string,
  input: MaskInput | undefined,
  x: FloatTensor,
  rows: Rows,
  body: (mask: Mask | null) => T,
): T {
  if (input === undefined) return body(null);
  const given = isTensor(input) ? fromTensor(operation, input, x) : fromHost(operation, input);
  if (!broadcasts(given.shape, x.shape)) {
    throw new SoftgradError(
      'ERR_SHAPE',
      `${operation}: mask ${show(given.shape)} doesn't broadcast to ${show(x.shape)}`,
    );
  }
  const block = rows.classes * rows.inner;
  const repeats = isSuffix(given.shape, x.shape) && block > 0 && sizeOf(given.shape) % block === 0;
  const host = repeats ? given.host : expand(given.host, given.shape, x.shape);
  const outer = block === 0 ? 0 : host.length / block;
  if (repeats && given.buffer !== null) return body({ buffer: given.buffer, outer, host });
  const buffer = allocate(x.backend, host.length, 'bool');
  try {
    x.backend.write(buffer, host);
    return body({ buffer, outer, host });
  } finally {
    x.backend.free(buffer);
  }
}

interface Given {
  readonly shape: Shape;
  readonly host: HostArray;
  readonly buffer: unknown;
}

function fromTensor(operation: string, input: Tensor, x: FloatTensor): Given {
  const mask = asTensor(operation, 'mask', input);
  if (mask.dtype !== 'bool' || mask.host === null) throw notBool(operation, mask.dtype);
  checkBackend(operation, 'mask', mask, x.backend);
  return { shape: mask.shape, host: mask.host, buffer: mask.buffer };
}

function fromHost(operation: string, input: NestedArray | NdArrayLike): Given {
  const own = readInput(input, undefined, undefined);
  if (sizeOf(own.shape) === 0) return { shape: own.shape, host: hostArray(0, 'bool'), buffer: null };
  if (own.dtype === 'bool') return { shape: own.shape, host: own.data, buffer: null };
  const bytes = typeof input === 'object' && 'data' in input && typedArrayKind(input.data) === 'Uint8Array';
  if (!bytes) throw notBool(operation, own.dtype);
  return { shape: own.shape, host: readInput(input, undefined, 'bool').data, buffer: null };
}

function notBool(operation: string, dtype: string): SoftgradError {
  return new SoftgradError('ERR_DTYPE', `${operation}: mask is ${dtype}, expected booleans (true = keep)`);
}

/** True where broadcasting only repeats whole blocks: equal dimensions at the end, nothing but 1 before. */
function isSuffix(from: Shape, to: Shape): boolean {
  const shift = to.length - from.length;
  let k = from.length - 1;
  while (k >= 0 && from[k] === to[k + shift]) k--;
  return from.slice(0, k + 1).every((dimension) => dimension === 1);
}

function expand(host: HostArray, from: Shape, to: Shape): HostArray {
  const expanded = hostArray(sizeOf(to), 'bool');
  const shift = to.length - from.length;
  const strides = new Array<number>(to.length).fill(0);
  for (let k = from.length - 1, stride = 1; k >= 0; k--) {
    if (from[k] !== 1) strides[k + shift] = stride;
    stride *= from[k];
  }
  const index = new Array<number>(to.length).fill(0);
  let at = 0;
  for (let n = 0; n < expanded.length; n++) {
    expanded[n] = host[at];
    for (let k = to.length - 1; k >= 0; k--) {
      at += strides[k];
      if (++index[k] < to[k]) break;
      at -= strides[k] * to[k];
      index[k] = 0;
    }
  }
  return expanded;
}

/** What fused kernels take. */
export function parameters(temperature: number, mask: Mask | null): SoftmaxParameters<unknown> {
  return { temperature, mask: mask && { buffer: mask.buffer, outer: mask.outer } };
}

/** The terms of a sum that the mask keeps, the others 0: 0 times a slope would not be enough where a factor is not finite. */
export function keptOf(
  basis: Basis<unknown>,
  scratch: Scratch,
  terms: unknown,
  mask: Mask | null,
  rows: Rows,
): unknown {
  if (mask === null) return terms;
  const kept = scratch(rows.outer * rows.classes * rows.inner);
  selectMasked(basis, kept, mask, terms, 0, rows);
  return kept;
}

/** `out = mask ? a : b` over rows, by a basis. */
export function selectMasked(basis: Basis<unknown>, out: unknown, mask: Mask, a: unknown, b: number, rows: Rows): void {
  const block = mask.outer * rows.classes * rows.inner;
  const extent = [rows.outer / mask.outer, 1, block] as const;
  const condition: Operand<unknown> = { buffer: mask.buffer, extent: [1, 1, block] };
  basis.select(out, condition, { buffer: a, extent }, b, extent);
}
