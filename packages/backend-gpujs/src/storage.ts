import { byteSize, type DType, type HostArray, hostArray } from '@softgrad/core';
import { type Engine, outOfMemory, type Resident, type SoftmaxPlan } from './engine.js';
import type { Program } from './program.js';
import type { Programs } from './programs.js';
import type { Stream } from './stream.js';

/**
 * A buffer. Written data is kept on the host and uploaded when a kernel first reads it; the result of a kernel stays on the
 * device. Textures and storage buffers of gpu.js cannot be overwritten, so a kernel's result replaces the previous
 * resident data, which is deleted.
 */
export interface GpujsBuffer {
  readonly dtype: DType;
  readonly length: number;
  /** The written data; null before the first write and after a kernel's result has replaced it. */
  host: HostArray | null;
  /** Whether the elements are on the device, or will be once the enqueued work has run. */
  onDevice: boolean;
  resident: Resident | null;
  /** The error of the work that should have computed the elements. */
  failure: { readonly error: unknown } | null;
}

export interface Storage {
  readonly softmaxPlan: SoftmaxPlan;
  alloc(length: number, dtype: DType): GpujsBuffer;
  write(buffer: GpujsBuffer, host: HostArray): void;
  read(buffer: GpujsBuffer): Promise<HostArray>;
  readSync(buffer: GpujsBuffer): HostArray;
  free(buffer: GpujsBuffer): void;
  bufferInfo(buffer: unknown): GpujsBuffer | null;
  memory(): { readonly buffers: number; readonly bytes: number };
  /** The elements of a buffer that only the host writes. */
  hostData(buffer: GpujsBuffer): HostArray;
  /** Enqueues a program that computes every element of `out` from its inputs, which may include `out`. */
  run(program: Program, out: GpujsBuffer, inputs: readonly GpujsBuffer[], scalars: readonly number[]): void;
  freeAll(): void;
}

const upload: Program = {
  name: 'upload',
  arrays: ['x'],
  integers: [],
  numbers: [],
  body: () => 'return x[this.thread.x];',
};

export function createStorage(engine: Engine, stream: Stream, programs: Programs): Storage {
  const buffers = new Set<GpujsBuffer>();

  function release(buffer: GpujsBuffer): void {
    if (!buffer.onDevice) return;
    buffer.onDevice = false;
    stream.enqueue(
      () => undefined,
      () => replace(buffer, null),
      () => undefined,
    );
  }

  function replace(buffer: GpujsBuffer, resident: Resident | null): void {
    buffer.resident?.delete();
    buffer.resident = resident;
    buffer.failure = null;
  }

  function hostData(buffer: GpujsBuffer): HostArray {
    buffer.host ??= hostArray(buffer.length, buffer.dtype);
    return buffer.host;
  }

  /** Enqueues the upload of the host's data. */
  function toDevice(buffer: GpujsBuffer): void {
    if (buffer.onDevice) return;
    const host = hostData(buffer);
    const { length } = buffer;
    const work = engine.host ? () => engine.host?.(host) : () => programs.upload(upload, host, length);
    stream.enqueue(
      work,
      (resident) => replace(buffer, resident ?? null),
      (error) => fail(buffer, error),
    );
    buffer.onDevice = true;
  }

  function fail(buffer: GpujsBuffer, error: unknown): void {
    replace(buffer, null);
    buffer.failure = { error };
  }

  /** The device data of a buffer; only valid when all earlier work has run. */
  function residentOf(buffer: GpujsBuffer): Resident {
    if (buffer.failure) throw buffer.failure.error;
    if (buffer.resident) return buffer.resident;
    throw new TypeError('a buffer was used after it was freed');
  }

  /** Starts to read a buffer. Checks again afterwards, because data from a device that was lost meanwhile is invalid. */
  function elementsOf(buffer: GpujsBuffer): Float32Array | Promise<Float32Array> {
    engine.check();
    const elements = residentOf(buffer).toArray();
    engine.check();
    return elements;
  }

  /** Kernels compute float32. A device may give the rest of its last texel, too. */
  function toHost({ length }: GpujsBuffer, values: Float32Array): HostArray {
    return values.length === length ? values : values.slice(0, length);
  }

  return {
    softmaxPlan: engine.softmaxPlan,
    hostData,
    alloc(length, dtype) {
      if (length > engine.limits.elements) throw outOfMemory(engine.mode, length, engine.limitedBy);
      const buffer: GpujsBuffer = { dtype, length, host: null, onDevice: false, resident: null, failure: null };
      buffers.add(buffer);
      return buffer;
    },
    write(buffer, host) {
      buffer.host = host.slice();
      release(buffer);
    },
    async read(buffer) {
      if (!buffer.onDevice || buffer.host) return hostData(buffer).slice();
      return toHost(buffer, await stream.request(() => elementsOf(buffer)));
    },
    readSync(buffer) {
      if (!buffer.onDevice || buffer.host) return hostData(buffer).slice();
      return toHost(buffer, elementsOf(buffer) as Float32Array);
    },
    bufferInfo: (buffer) => (buffers.has(buffer as GpujsBuffer) ? (buffer as GpujsBuffer) : null),
    memory: () => ({
      buffers: buffers.size,
      bytes: [...buffers].reduce((sum, { length, dtype }) => sum + length * byteSize(dtype), 0),
    }),
    free(buffer) {
      buffers.delete(buffer);
      buffer.host = null;
      release(buffer);
    },
    run(program, out, inputs, scalars) {
      for (const input of inputs) toDevice(input);
      const elements = (input: GpujsBuffer) => ({ resident: residentOf(input), length: input.length });
      stream.enqueue(
        () => programs.run(program, out.length, inputs.map(elements), scalars),
        (resident) => replace(out, resident),
        (error) => fail(out, error),
      );
      out.host = null;
      out.onDevice = true;
    },
    freeAll() {
      for (const buffer of buffers) {
        buffer.host = null;
        replace(buffer, null);
      }
      buffers.clear();
    },
  };
}
