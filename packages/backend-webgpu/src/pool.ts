import type { Slot } from './interface.js';

export type { Slot } from './interface.js';

/** Buffers of one usage, kept by size class up to a bound. */
export interface Pool {
  /** A buffer of at least `byteLength` bytes, contents unspecified. */
  take(byteLength: number): Slot;
  /** Takes a buffer back, to be given out again or, beyond the bound, retired. */
  give(slot: Slot): void;
  readonly held: { readonly buffers: number; readonly bytes: number };
  destroy(): void;
}

let lastId = 0;

/** The slot of a buffer, under an id of its own. */
export function slotFor(gpu: GPUBuffer): Slot {
  return { id: ++lastId, gpu, byteLength: gpu.size };
}

/**
 * @param create makes a buffer of exactly so many bytes
 * @param retire destroys one, when nothing enqueued needs it any more
 * @param usable false for a buffer of which it has turned out that the device had no room for it
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
  /** The class that waited longest goes first: it is the least likely to be asked for. */
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

/** Rounds up to a quarter of the power of two below, at least 256: no more than a quarter is wasted. */
export function sizeClass(byteLength: number, largest: number): number {
  if (byteLength <= 256) return 256;
  const step = 2 ** (Math.floor(Math.log2(byteLength - 1)) - 2);
  return Math.max(byteLength, Math.min(Math.ceil(byteLength / step) * step, largest));
}
