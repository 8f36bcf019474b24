import type { SoftgradError } from '@softgrad/core';
import { type Faults, noRoom, refused } from './faults.js';
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

/** Work in order: dispatches are collected and submitted together, at the latest when somebody waits for a result. */
export interface Queue {
  enqueue(dispatch: Dispatch): void;
  /** Writes bytes (a multiple of 4 of them) after all that is enqueued. */
  upload(slot: Slot, bytes: Uint8Array<ArrayBuffer>): void;
  /** The first `byteLength` bytes, after all that is enqueued. */
  download(slot: Slot, byteLength: number): Promise<ArrayBuffer>;
  /** Resolves when all enqueued work is done. @throws ERR_DEVICE_LOST and whatever the device has refused */
  done(): Promise<void>;
  /** Runs `enqueue` between submits of its own; each pass that it makes has timestamps. Passes are long, so that few are made. */
  time(enqueue: () => void, timestamps: () => GPUComputePassTimestampWrites): void;
  /** Before a buffer is destroyed: submits what needs it and forgets its bind groups. */
  release(slot: Slot): void;
  readonly held: {
    readonly staging: { readonly buffers: number; readonly bytes: number };
    readonly bindGroups: number;
  };
  close(): void;
}

/** Dispatches a batch: enough to hide the cost of a submit, few enough to keep the device busy while more is enqueued. */
const batchSize = 64;
/** Dispatches a batch while they are timed: their parameters take a megabyte. */
const timedBatchSize = 4096;
const mostBindGroups = 512;
/** Bytes from which the room that the queue itself needs for a write may be missing; a scope costs more than a small write. */
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
        () => noRoom(size),
        () => device.createBuffer({ size, usage }),
      );
    },
    ({ gpu }) => gpu.destroy(),
  );
  let limit = batchSize;
  let timestamps: (() => GPUComputePassTimestampWrites) | null = null;
  let parameters = newParameters(device, batchSize * parameterBytes);

  const submit = (record: (encoder: GPUCommandEncoder) => void) => {
    const names = [...new Set(batch.map(({ kernel }) => kernel.name))].join(', ');
    const fault = (message: string): SoftgradError => refused(names ? `${message} (in ${names})` : message);
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
    // One buffer serves every batch: the queue writes it only after the batch before has run.
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
      batch.push(dispatch);
      for (const slot of dispatch.slots) inBatch.add(slot);
      counters.dispatches++;
      if (batch.length >= limit) flush();
    },
    upload(slot, bytes) {
      if (inBatch.has(slot)) flush();
      const write = () => device.queue.writeBuffer(slot.gpu, 0, bytes);
      if (bytes.byteLength < largeUpload) write();
      else faults.scope('out-of-memory', () => noRoom(bytes.byteLength), write);
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
      // Something timed may be part of something timed.
      const outside = { limit, timestamps };
      [limit, timestamps] = [timedBatchSize, next];
      try {
        enqueue();
        flush();
      } finally {
        ({ limit, timestamps } = outside);
      }
    },
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

/** Workgroups in two dimensions, of which each takes at most `most`. Kernels ignore the surplus. */
export function grid(workgroups: number, most: number): readonly [x: number, y: number] {
  const y = Math.ceil(workgroups / most);
  return [Math.ceil(workgroups / y), y];
}

function newParameters(device: GPUDevice, size: number): GPUBuffer {
  return device.createBuffer({ size, usage: bufferUsage.uniform | bufferUsage.copyDestination });
}

/** Bind groups by kernel layout and buffers; the ones not used for longest go first. */
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
