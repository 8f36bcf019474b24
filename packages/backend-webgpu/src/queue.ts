import type { SoftgradError } from '@softgrad/core';
import { type Faults, outOfDeviceMemory, refused } from './faults.js';
import { bufferUsage, mapModeRead } from './gpu.js';
import { type Compiled, parameterBytes } from './pipelines.js';
import { bufferPool, type Slot } from './pool.js';
import type { Counters } from './statistics.js';

/** One kernel on its buffers. */
export interface Dispatch {
  readonly kernel: Compiled;
  /** In the order of the kernel's bindings. */
  readonly slots: readonly Slot[];
  readonly parameters: Uint32Array<ArrayBuffer>;
  readonly workgroups: number;
}

/** Executes work in order: dispatches are collected and submitted together, at the latest when a caller waits for a result. */
export interface Queue {
  /** @throws ERR_UNSUPPORTED if an input is invalid because the device rejected the work that computes it */
  enqueue(dispatch: Dispatch): void;
  /** Writes bytes (their number a multiple of 4) after all enqueued work. */
  upload(slot: Slot, bytes: Uint8Array<ArrayBuffer>): void;
  /** Reads the first `byteLength` bytes after all enqueued work. */
  download(slot: Slot, byteLength: number): Promise<ArrayBuffer>;
  /** Resolves when all enqueued work is done. @throws ERR_DEVICE_LOST and errors that the device has reported */
  done(): Promise<void>;
  /** Submits the work of `enqueue` separately, with timestamps for each compute pass. Batches are larger than usual, so that there are few passes. */
  time(enqueue: () => void, timestamps: () => GPUComputePassTimestampWrites): void;
  /** To be called when a buffer is allocated: an error of its earlier contents no longer applies. */
  claim(slot: Slot): void;
  /** To be called before a buffer is destroyed: submits work that needs it and drops its bind groups. */
  release(slot: Slot): void;
  readonly held: {
    readonly staging: { readonly buffers: number; readonly bytes: number };
    readonly bindGroups: number;
  };
  close(): void;
}

/** Dispatches per batch: enough to amortize the cost of a submit, few enough to keep the device busy while more work is enqueued. */
const batchSize = 64;
/** Dispatches per batch while they are timed: their parameters take 1 MiB. */
const timedBatchSize = 4096;
const mostBindGroups = 512;
/** Writes of at least this many bytes are checked for out-of-memory errors of the queue's staging memory; for smaller ones the error scope would cost more than the write. */
const largeUpload = 2 ** 20;
const stagingBound = 64 * 2 ** 20;

export function openQueue(device: GPUDevice, faults: Faults, counters: Counters): Queue {
  const batch: Dispatch[] = [];
  const inBatch = new Set<Slot>();
  const bindGroups = bindGroupCache(device);
  const staging = bufferPool(
    stagingBound,
    Number.MAX_SAFE_INTEGER,
    (size) => {
      const usage = bufferUsage.mapRead | bufferUsage.copyDestination;
      return faults.scope(
        'out-of-memory',
        () => outOfDeviceMemory(size),
        () => device.createBuffer({ size, usage }),
      );
    },
    ({ gpu }) => gpu.destroy(),
  );
  const invalid = invalidResults();
  let limit = batchSize;
  let timestamps: (() => GPUComputePassTimestampWrites) | null = null;
  let parameters = newParameters(device, batchSize * parameterBytes);

  const submit = (record: (encoder: GPUCommandEncoder) => void) => {
    const names = [...new Set(batch.map(({ kernel }) => kernel.name))].join(', ');
    const invalidate = invalid.ifRefused(batch);
    const fault = (message: string): SoftgradError => invalidate(refused(names ? `${message} (in ${names})` : message));
    faults.scope('validation', fault, () => {
      const encoder = device.createCommandEncoder();
      record(encoder);
      device.queue.submit([encoder.finish()]);
    });
    batch.length = 0;
    inBatch.clear();
    counters.submits++;
  };
  const record = (encoder: GPUCommandEncoder) => {
    if (batch.length === 0) return;
    const size = batch.length * parameterBytes;
    if (parameters.size < size) {
      parameters.destroy();
      parameters = newParameters(device, size);
      bindGroups.clear();
    }
    const words = new Uint32Array(size / 4);
    batch.forEach((dispatch, i) => {
      words.set(dispatch.parameters, (i * parameterBytes) / 4);
    });
    // All batches can share one buffer, because the queue executes this write after the previous batch.
    device.queue.writeBuffer(parameters, 0, words);
    const pass = encoder.beginComputePass(timestamps ? { timestampWrites: timestamps() } : {});
    batch.forEach(({ kernel, slots, workgroups }, i) => {
      const [x, y] = grid(workgroups, device.limits.maxComputeWorkgroupsPerDimension);
      pass.setPipeline(kernel.pipeline);
      pass.setBindGroup(0, bindGroups.get(kernel, parameters, slots), [i * parameterBytes]);
      pass.dispatchWorkgroups(x, y);
    });
    pass.end();
  };
  const flush = () => {
    if (batch.length > 0) submit(record);
  };

  return {
    enqueue(dispatch) {
      invalid.note(dispatch);
      batch.push(dispatch);
      for (const slot of dispatch.slots) inBatch.add(slot);
      counters.dispatches++;
      if (batch.length >= limit) flush();
    },
    upload(slot, bytes) {
      if (inBatch.has(slot)) flush();
      invalid.written(slot);
      const write = () => device.queue.writeBuffer(slot.gpu, 0, bytes);
      if (bytes.byteLength < largeUpload) write();
      else faults.scope('out-of-memory', () => outOfDeviceMemory(bytes.byteLength), write);
      counters.uploads++;
      counters.bytesUploaded += bytes.byteLength;
    },
    async download(slot, byteLength) {
      const target = staging.take(byteLength);
      submit((encoder) => {
        record(encoder);
        encoder.copyBufferToBuffer(slot.gpu, 0, target.gpu, 0, byteLength);
      });
      counters.readbacks++;
      counters.bytesReadBack += byteLength;
      let bytes: ArrayBuffer;
      try {
        await target.gpu.mapAsync(mapModeRead, 0, byteLength);
        bytes = target.gpu.getMappedRange(0, byteLength).slice(0);
        target.gpu.unmap();
      } catch (cause) {
        target.gpu.destroy();
        throw await faults.explain(cause);
      }
      staging.give(target);
      await faults.settle();
      invalid.check(slot);
      return bytes;
    },
    async done() {
      flush();
      try {
        await device.queue.onSubmittedWorkDone();
      } catch (cause) {
        throw await faults.explain(cause);
      }
      await faults.settle();
    },
    time(enqueue, next) {
      flush();
      // Calls may be nested.
      const outside = { limit, timestamps };
      [limit, timestamps] = [timedBatchSize, next];
      try {
        enqueue();
        flush();
      } finally {
        ({ limit, timestamps } = outside);
      }
    },
    claim: invalid.written,
    release(slot) {
      if (inBatch.has(slot)) flush();
      bindGroups.drop(slot);
    },
    held: {
      staging: staging.held,
      get bindGroups() {
        return bindGroups.size();
      },
    },
    close() {
      batch.length = 0;
      inBatch.clear();
      bindGroups.clear();
      staging.destroy();
      parameters.destroy();
    },
  };
}

/** A grid of workgroups in two dimensions of at most `most` each. Kernels ignore the surplus. */
export function grid(workgroups: number, most: number): readonly [x: number, y: number] {
  const y = Math.ceil(workgroups / most);
  return [Math.ceil(workgroups / y), y];
}

/**
 * Results of rejected submits. If the device rejects one dispatch, no dispatch of its batch runs. The next call that waits throws the
 * error once; the outputs of the whole batch stay invalid until something else is written to them.
 */
function invalidResults() {
  const faults = new WeakMap<Slot, SoftgradError>();
  const writes = new WeakMap<Slot, number>();
  const check = (slot: Slot) => {
    const fault = faults.get(slot);
    if (fault) throw fault;
  };
  const written = (slot: Slot) => {
    faults.delete(slot);
    writes.set(slot, (writes.get(slot) ?? 0) + 1);
  };
  const results = ({ kernel, slots }: Dispatch) => slots.filter((_, i) => kernel.access[i] === 'w');
  return {
    check,
    written,
    /** @throws the fault of an input that is invalid */
    note(dispatch: Dispatch) {
      const own = new Set(results(dispatch));
      for (const slot of dispatch.slots) if (!own.has(slot)) check(slot);
      for (const slot of own) written(slot);
    },
    /** Returns a function to call with the fault if the device rejects these dispatches. */
    ifRefused(dispatches: readonly Dispatch[]) {
      const expected = dispatches.flatMap(results).map((slot) => ({ slot, write: writes.get(slot) }));
      return (fault: SoftgradError) => {
        for (const { slot, write } of expected) if (writes.get(slot) === write) faults.set(slot, fault);
        return fault;
      };
    },
  };
}

function newParameters(device: GPUDevice, size: number): GPUBuffer {
  return device.createBuffer({ size, usage: bufferUsage.uniform | bufferUsage.copyDestination });
}

/** A cache of bind groups by kernel layout and buffers, with least-recently-used eviction. */
function bindGroupCache(device: GPUDevice) {
  const groups = new Map<string, { readonly group: GPUBindGroup; readonly slots: readonly Slot[] }>();
  return {
    get({ access, layout }: Compiled, parameters: GPUBuffer, slots: readonly Slot[]): GPUBindGroup {
      const key = `${access} ${slots.map(({ id }) => id).join(' ')}`;
      let entry = groups.get(key);
      if (entry) {
        groups.delete(key);
      } else {
        const entries = [
          { binding: 0, resource: { buffer: parameters, size: parameterBytes } },
          ...slots.map(({ gpu }, i) => ({ binding: i + 1, resource: { buffer: gpu } })),
        ];
        entry = { group: device.createBindGroup({ layout, entries }), slots };
        if (groups.size >= mostBindGroups) for (const [oldest] of groups) if (groups.delete(oldest)) break;
      }
      groups.set(key, entry);
      return entry.group;
    },
    drop(slot: Slot) {
      for (const [key, { slots }] of groups) if (slots.includes(slot)) groups.delete(key);
    },
    clear: () => groups.clear(),
    size: () => groups.size,
  };
}
