import { bufferUsage, mapModeRead } from './gpu.js';
import type { Queue } from './queue.js';

/**
 * Milliseconds between the timestamps at the beginning and the end of the compute pass that `enqueue`'s dispatches make, or null
 * where the device has no clock. The batch is not cut while it is timed, so it is one pass.
 */
export async function timed(device: GPUDevice, queue: Queue, enqueue: () => void): Promise<number | null> {
  queue.flush();
  if (!device.features.has('timestamp-query')) {
    enqueue();
    return null;
  }
  const querySet = device.createQuerySet({ type: 'timestamp', count: 2 });
  const resolved = device.createBuffer({ size: 256, usage: bufferUsage.queryResolve | bufferUsage.copySource });
  const readable = device.createBuffer({ size: 16, usage: bufferUsage.mapRead | bufferUsage.copyDestination });
  try {
    queue.hold(enqueue);
    queue.flush({ querySet, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 });
    const encoder = device.createCommandEncoder();
    encoder.resolveQuerySet(querySet, 0, 2, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, readable, 0, 16);
    device.queue.submit([encoder.finish()]);
    await queue.done();
    await readable.mapAsync(mapModeRead);
    const [begin, end] = new BigUint64Array(readable.getMappedRange());
    return Number(end - begin) / 1e6;
  } finally {
    querySet.destroy();
    resolved.destroy();
    readable.destroy();
  }
}
