import type { Slot } from './interface.js';

export type { Slot } from './interface.js';

/** A pool of buffers of one usage, by size class, up to a bound. */
export interface Pool {
  /** A buffer of at least `byteLength` bytes, contents unspecified. */
  take(byteLength: number): Slot;
  /** Returns a buffer to the pool for reuse; beyond the bound, buffers are retired. */
  give(slot: Slot): void;
  readonly held: { readonly buffers: number; readonly bytes: number };
  destroy(): void;
}

let lastId = 0;

/** A slot with a new id for a buffer. */
export function slotFor(gpu: GPUBuffer): Slot {
  return { id: ++lastId, gpu, byteLength: gpu.size };
}

/**
 * @param create creates a buffer of exactly `byteLength` bytes
 * @param retire destroys a buffer once no enqueued work needs it
 * @param usable false for a buffer whose allocation is known to have failed
 */
export function bufferPool(
  boundBytes: number,
  largest: number,
  create: (byteLength: number) => GPUBuffer,
  retire: (slot: Slot) => void,
  usable: (gpu: GPUBuffer) => boolean = () => true,
): Pool {
  const classes = new Map<number, Slot[]>();
  const held = { buffers: 0, bytes: 0 };

  const remove = (byteLength: number) => {
    const slots = classes.get(byteLength);
    const slot = slots?.pop();
    if (slots?.length === 0) classes.delete(byteLength);
    if (!slot) return undefined;
    held.buffers--;
    held.bytes -= byteLength;
    return slot;
  };
  /** Retires buffers of the least recently used size classes first. */
  const shrinkTo = (bytes: number) => {
    for (const byteLength of classes.keys()) {
      for (let slot: Slot | undefined; held.bytes > bytes; ) {
        slot = remove(byteLength);
        if (!slot) break;
        retire(slot);
      }
    }
  };
  return {
    held,
    take(byteLength) {
      const size = sizeClass(byteLength, largest);
      for (let slot = remove(size); slot; slot = remove(size)) {
        if (usable(slot.gpu)) return slot;
        retire(slot);
      }
      return slotFor(create(size));
    },
    give(slot) {
      if (!usable(slot.gpu)) {
        retire(slot);
        return;
      }
      const slots = classes.get(slot.byteLength) ?? [];
      slots.push(slot);
      classes.delete(slot.byteLength);
      classes.set(slot.byteLength, slots);
      held.buffers++;
      held.bytes += slot.byteLength;
      if (held.bytes > boundBytes) shrinkTo(boundBytes);
    },
    destroy: () => shrinkTo(-1),
  };
}

/** Rounds up to a multiple of a quarter of the next lower power of two, and to at least 256, so that at most a quarter is wasted. */
export function sizeClass(byteLength: number, largest: number): number {
  if (byteLength <= 256) return 256;
  const step = 2 ** (Math.floor(Math.log2(byteLength - 1)) - 2);
  return Math.max(byteLength, Math.min(Math.ceil(byteLength / step) * step, largest));
}
