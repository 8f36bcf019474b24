/// <reference lib="esnext.disposable" preserve="true" />
import type { Backend, Rows } from '../backend/interface.js';
import { allocate, checkDType } from '../backend/limits.js';
import { inspect } from '../backend/printed.js';
import { shared, twoCopies } from '../copies.js';
import { inOperation, SoftgradError } from '../errors.js';
import { checkAttached } from './attached.js';
import { beginningOf } from './beginning.js';
import { brand, layout } from './brand.js';
import { describe } from './describe.js';
import { type DType, type FloatDType, type HostArray, type HostCopy, hostArray, isDType, isFloat } from './dtype.js';
import { type Nested, nest, preview } from './nested.js';
import { track } from './scope.js';
import { type Shape, show, sizeOf } from './shape.js';
import { isTensor, type Tensor, type TensorSummary } from './tensor.js';

/** A mask laid out for an operand's rows, on the host: `outer` blocks of `classes × inner` that repeat. */
export interface LaidMask {
  readonly host: HostArray;
  readonly outer: number;
  /** The tensor whose buffer holds the same, if there is one. */
  readonly tensor: DeviceTensor | null;
}

/** The settings of a call with the defaults filled in. Its result remembers them for its derivatives. */
export interface Origin {
  /** `softmax` */
  readonly operation: string;
  /** From 0. */
  readonly axis: number;
  readonly rows: Rows;
  readonly temperature: number;
  readonly mask: LaidMask | null;
}

const symbolDispose: typeof Symbol.dispose = Symbol.dispose ?? (Symbol.for('Symbol.dispose') as never);

/** What the checks of class indices need to know. */
export interface IndexSummary {
  readonly host: HostArray;
  readonly ignoreIndex: number;
  /** The smallest and the largest index that is not `ignoreIndex`, or 0. */
  readonly least: number;
  readonly largest: number;
  /** How many are not `ignoreIndex`. */
  readonly counted: number;
}

/** The tensor behind the interface, with the buffer that core hands to kernels. A class, since every operation makes one. */
export class DeviceTensor implements Tensor {
  readonly [brand]: number = layout;
  // Kernels trust these four, so users get them by getters and cannot assign them. They are not #private, because a Proxy around the tensor, as Vue makes, could not read those.
  private readonly ownBackend: Backend;
  private readonly ownShape: Shape;
  private readonly ownDType: DType;
  private readonly ownSize: number;
  /** Class indices and masks keep their host data: core validates it there, and no operation makes them. Replaced, never written to. */
  host: HostArray | null;
  /** The range of the class indices in `host`. The first call of crossEntropy computes it, so that later calls need not read all indices. */
  summary: IndexSummary | null = null;
  /** `host` as a mask that was broadcast to another shape, which has that of the shape before, until the tensor is overwritten or disposed. */
  broadcast: DeviceTensor | null = null;
  /** As a mask: how it was laid out for the latest operand, until the tensor is overwritten. */
  lastLaid: { readonly over: Shape; readonly block: number; readonly mask: LaidMask } | null = null;
  /** `undefined` once disposed, `null` once disposed at the end of a scope. */
  buffer: unknown;
  /** How often it was written to as `out`. */
  writes = 0;
  /** The call that made it, where derivatives depend on that. */
  origin: Origin | null = null;
  /** The first elements, if the tensor was made of host data and nothing can have written to it since: derivatives check that they are probabilities. */
  beginning: ArrayLike<number> | null = null;

  constructor(backend: Backend, shape: Shape, dtype: DType, buffer: unknown, host: HostArray | null) {
    this.ownBackend = backend;
    this.ownShape = shape;
    this.ownDType = dtype;
    this.ownSize = sizeOf(shape);
    this.buffer = buffer;
    this.host = host;
  }

  get backend(): Backend {
    return this.ownBackend;
  }

  get shape(): Shape {
    return this.ownShape;
  }

  get rank(): number {
    return this.ownShape.length;
  }

  get dtype(): DType {
    return this.ownDType;
  }

  get size(): number {
    return this.ownSize;
  }

  get disposed(): boolean {
    return this.buffer == null || this.backend.closed;
  }

  data(): Promise<HostCopy> {
    return dataOf(this, 'data');
  }

  async array(): Promise<Nested<number | boolean, number>> {
    return nest(await dataOf(this, 'array'), this.shape, this.dtype === 'bool');
  }

  dataSync(): HostCopy {
    return dataOfSync(this, 'dataSync', 'data');
  }

  arraySync(): Nested<number | boolean, number> {
    return nest(dataOfSync(this, 'arraySync', 'array'), this.shape, this.dtype === 'bool');
  }

  view(): HostArray {
    const buffer = liveBuffer('view', this);
    if (!isFloat(this.dtype)) {
      throw new SoftgradError('ERR_DTYPE', `view: ${this.dtype} tensors are constants; views are for float dtypes`);
    }
    if (!this.backend.view) {
      throw new SoftgradError(
        'ERR_UNSUPPORTED',
        `view: the host cannot access the memory of ${this.backend.name}: await data()`,
      );
    }
    this.beginning = null;
    return this.backend.view(buffer);
  }

  async to<F extends FloatDType>(target: Backend | F, as?: F): Promise<Tensor<F>> {
    const [backend, dtype] = isDType(target) ? [this.backend, target] : [target as Backend, as ?? this.dtype];
    checkDType('to', dtype, backend);
    const { origin } = this;
    const data = await dataOf(this, 'to');
    // The backend may have been closed during the read, and some backends still allocate then.
    checkDType('to', dtype, backend);
    const copy = inOperation('to', () => {
      let values = data;
      if (dtype !== this.dtype) {
        if (!isFloat(dtype))
          throw new SoftgradError(
            'ERR_DTYPE',
            `to: ${dtype} is not a float dtype: tensor(data, { dtype: '${dtype}' })`,
          );
        values = hostArray(this.size, dtype);
        values.set(data);
      }
      const made = make(backend, this.shape, dtype, values);
      made.beginning = beginningOf(values);
      return made;
    });
    copy.origin = origin;
    return copy as Tensor as Tensor<F>;
  }

  /** Called after the tensor was written to as `out`. `beginning` are the first elements, if they came from the host. */
  overwritten(beginning: ArrayLike<number> | null): void {
    this.origin = null;
    this.beginning = beginning;
    this.writes++;
    this.freeBroadcast();
  }

  freeBroadcast(): void {
    this.broadcast?.dispose();
    this.broadcast = null;
    this.lastLaid = null;
  }

  dispose(): void {
    if (this.buffer == null) return;
    this.freeBroadcast();
    if (!this.backend.closed) this.backend.free(this.buffer);
    this.buffer = undefined;
    shared.trace?.freed(this);
  }

  endScope(): void {
    if (this.buffer == null) return;
    this.dispose();
    this.buffer = null;
  }

  sharesMemory({ buffer, byteOffset, byteLength }: ArrayBufferView): boolean {
    if (this.disposed || !isFloat(this.dtype)) return false;
    const own = this.backend.view?.(this.buffer);
    if (own?.buffer !== buffer) return false;
    return byteOffset < own.byteOffset + own.byteLength && own.byteOffset < byteOffset + byteLength;
  }

  [symbolDispose](): void {
    this.dispose();
  }

  toJSON(): TensorSummary {
    return { shape: this.shape, dtype: this.dtype, device: this.backend.name };
  }

  /** As a number it would be NaN: `loss > 1` would be false whatever the loss is, and `total += loss` a text. */
  [Symbol.toPrimitive](hint: string): string {
    if (hint === 'string') return this.toString();
    throw new SoftgradError(
      'ERR_VALUE',
      'a tensor is not a number: read it with await x.array() or x.arraySync(); its text is String(x)',
    );
  }

  /** What Node and the consoles that follow it print. */
  [inspect](): string {
    return this.toString();
  }

  print(): void {
    (globalThis as { readonly console?: { log(text: string): void } }).console?.log(this.toString());
  }

  toString(): string {
    const what = `Tensor ${show(this.shape)} ${this.dtype} on ${this.backend.name}`;
    if (this.disposed) return `${what}, disposed`;
    if (isLost(this)) return `${what}, detached`;
    const { backend } = this;
    const data = this.host ?? backend.view?.(this.buffer) ?? backend.readSync?.(this.buffer);
    if (data === undefined) return `${what} (await its array() for the values)`;
    return `${what} ${preview(data, this.shape, this.dtype === 'bool')}`;
  }
}

/** The argument as a tensor that can be used. @throws ERR_DTYPE unless it is a tensor, ERR_DISPOSED if it was disposed or its backend closed */
export function asTensor(operation: string, argument: string, value: unknown): DeviceTensor {
  if (!isTensor(value)) {
    throw new SoftgradError(
      'ERR_DTYPE',
      `${operation}: ${argument} is ${describe(value)}, expected a tensor: make one with tensor(…)`,
    );
  }
  liveBuffer(operation, value as DeviceTensor, argument);
  return value as DeviceTensor;
}

async function dataOf(x: DeviceTensor, caller: string): Promise<HostCopy> {
  const buffer = liveBuffer(caller, x);
  return x.host ? x.host.slice() : ((await x.backend.read(buffer)) as HostCopy);
}

function dataOfSync(x: DeviceTensor, caller: string, waiting: string): HostCopy {
  const buffer = liveBuffer(caller, x);
  if (x.host) return x.host.slice();
  if (!x.backend.readSync) {
    throw new SoftgradError(
      'ERR_UNSUPPORTED',
      `${caller}: ${x.backend.name} reads asynchronously only: await ${waiting}()`,
    );
  }
  return x.backend.readSync(buffer) as HostCopy;
}

function liveBuffer(operation: string, x: DeviceTensor, argument = 'the tensor'): unknown {
  if (x[brand] !== layout) {
    throw new SoftgradError(
      'ERR_VALUE',
      `${operation}: ${argument} is a tensor of another version of core; ${twoCopies}`,
    );
  }
  if (x.buffer == null) {
    const when = x.buffer === null ? ' at the end of its scope: return it from the scope, or call keep with it' : '';
    throw new SoftgradError('ERR_DISPOSED', `${operation}: ${argument} ${show(x.shape)} was disposed${when}`);
  }
  if (x.backend.closed) {
    throw new SoftgradError('ERR_DISPOSED', `${operation}: ${argument} lived on ${x.backend.name}, which was closed`);
  }
  if (isLost(x)) {
    throw new SoftgradError(
      'ERR_DISPOSED',
      `${operation}: ${argument} ${show(x.shape)} was detached: its view() was transferred; transfer a copy, view().slice()`,
    );
  }
  return x.buffer;
}

/** Whether the buffer is a typed array, as on cpu, that a user has transferred to a worker: its length is then 0. */
function isLost({ buffer, size }: DeviceTensor): boolean {
  return size > 0 && (buffer as { readonly length?: unknown }).length === 0 && ArrayBuffer.isView(buffer);
}

/** Allocates a tensor and, where there is host data, fills it. */
export function make(backend: Backend, shape: Shape, dtype: DType, host: HostArray | null): DeviceTensor {
  const size = sizeOf(shape);
  const buffer = allocate(backend, size, dtype);
  let kept: HostArray | null = null;
  try {
    // Allocating may have grown the memory that the array is a view of.
    if (host) checkAttached('tensor', host);
    if (!isFloat(dtype)) kept = host ? host.slice() : hostArray(size, dtype);
    if (host) backend.write(buffer, host);
  } catch (error) {
    backend.free(buffer);
    throw error;
  }
  return track(new DeviceTensor(backend, shape, dtype, buffer, kept));
}
