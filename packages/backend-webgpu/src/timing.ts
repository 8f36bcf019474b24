import type { Faults } from './faults.js';
import { bufferUsage, mapModeRead } from './gpu.js';
import type { Queue } from './queue.js';

/** Alignment in bytes of the destination of resolveQuerySet (WebGPU's QUERY_RESOLVE_BUFFER alignment). */
const resolveAlignment = 256;

/**
 * The sum of the milliseconds between the begin and end timestamps of the compute passes with `enqueue`'s dispatches; time
 * between passes is not counted. null if the device has no clock, or if the clock was reset meanwhile.
 */
export async function timed(
  device: GPUDevice,
  queue: Queue,
  faults: Faults,
  enqueue: () => void,
): Promise<number | null> {
  if (!device.features.has('timestamp-query')) {
    enqueue();
    return null;
  }
  const passes: GPUQuerySet[] = [];
  const buffers: GPUBuffer[] = [];
  const bufferOf = (size: number, usage: number) => {
    const buffer = device.createBuffer({ size, usage });
    buffers.push(buffer);
    return buffer;
  };
  try {
    queue.time(enqueue, () => {
      const querySet = device.createQuerySet({ type: 'timestamp', count: 2 });
      passes.push(querySet);
      return { querySet, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 };
    });
    if (passes.length === 0) return 0;
    const size = resolveAlignment * passes.length;
    const resolved = bufferOf(size, bufferUsage.queryResolve | bufferUsage.copySource);
    const readable = bufferOf(size, bufferUsage.mapRead | bufferUsage.copyDestination);
    const encoder = device.createCommandEncoder();
    for (const [k, pass] of passes.entries()) encoder.resolveQuerySet(pass, 0, 2, resolved, resolveAlignment * k);
    encoder.copyBufferToBuffer(resolved, 0, readable, 0, size);
    device.queue.submit([encoder.finish()]);
    await queue.done();
    await readable.mapAsync(mapModeRead).catch(async (cause) => {
      throw await faults.explain(cause);
    });
    const ticks = new DataView(readable.getMappedRange());
    const tick = (pass: number, index: 0 | 1) => ticks.getBigUint64(resolveAlignment * pass + 8 * index, true);
    const elapsed = passes.map((_, k) => Number(tick(k, 1) - tick(k, 0)) / 1e6);
    return elapsed.some((ms) => ms < 0) ? null : elapsed.reduce((sum, ms) => sum + ms, 0);
  } finally {
    for (const made of [...passes, ...buffers]) made.destroy();
  }
}
