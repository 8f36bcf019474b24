import { SoftgradError } from '@softgrad/core';

/** Addresses in a WebAssembly memory, handed out and taken back. */
export interface Heap {
  /** The address of `bytes` bytes, 64-aligned; the 64 that follow them may be read (kernels load whole vectors). @throws ERR_OUT_OF_MEMORY */
  allocate(bytes: number): number;
  /** Frees an address returned by `allocate(bytes)`. */
  release(address: number, bytes: number): void;
}

/** 4 GiB less a page, so that the end of every block is still a 32-bit number. */
export const heapLimit = 65535 * 65536;

const page = 65536;
const granule = 64;
/** Free blocks are kept by size: four classes to an octave, so that a block from the class above always fits. */
const classesPerOctave = 4;
/** Freed blocks of up to this size are kept as they are, some of each size: merging and dividing them takes a third of the time of a small network. */
const largestKept = 2 ** 16;
const mostKept = 32;

/**
 * A segregated-fit heap with deferred coalescing (Wilson et al., "Dynamic Storage Allocation: A Survey and Critical Review", 1995): freed blocks are found
 * again by size in constant time, and merge with free neighbours, small ones only before the memory would grow; it grows only if no free block fits, by
 * what is missing and an eighth, and never moves a block.
 */
export function createHeap(memory: WebAssembly.Memory, base: number): Heap {
  const sizeAt = new Map<number, number>();
  const startOfEnd = new Map<number, number>();
  const bins: Set<number>[] = Array.from({ length: 33 * classesPerOctave }, () => new Set());
  /** A bit for each bin that is not empty. */
  const occupied = new Int32Array(Math.ceil(bins.length / 32));
  /** The starts of freed blocks that are kept as they are, by their size in granules. */
  const kept: number[][] = Array.from({ length: largestKept / granule + 1 }, () => []);
  let top = rounded(base);
  /** The size of the memory, which only this heap grows. Reading it from `memory.buffer` takes as long as the rest of an allocation. */
  let reserved = memory.buffer.byteLength;

  /** The bin of a size class, of blocks of about `size`. */
  function binAt(index: number, size: number): Set<number> {
    const bin = bins[index];
    if (bin === undefined) throw outOfMemory(size);
    return bin;
  }

  /** Once `mergeKept` has run. */
  function outOfMemory(asked: number): SoftgradError {
    const most = `a WebAssembly memory has at most ${heapLimit} bytes`;
    if (asked > heapLimit) return full(asked, `${most}; work in parts`);
    let free = 0;
    for (const size of sizeAt.values()) free += size;
    const used = `${top - rounded(base) - free} are in use, ${reserved} are reserved, and ${most}`;
    return full(asked, `${used}; free results that are no longer needed, by scope(), using, dispose() or out`);
  }

  function mark(index: number, isOccupied: boolean): void {
    const bit = 1 << (index & 31);
    const word = occupied[index >>> 5] ?? 0;
    occupied[index >>> 5] = isOccupied ? word | bit : word & ~bit;
  }

  /** A start in the first bin behind that of `index` which is not empty. */
  function startAfter(index: number): number | null {
    let word = index >>> 5;
    let bits = (occupied[word] ?? 0) & (-2 << (index & 31));
    while (bits === 0 && ++word < occupied.length) bits = occupied[word] ?? 0;
    if (bits === 0) return null;
    for (const start of bins[word * 32 + 31 - Math.clz32(bits & -bits)] ?? []) return start;
    return null;
  }

  function insert(start: number, size: number): void {
    sizeAt.set(start, size);
    startOfEnd.set(start + size, start);
    const index = classOf(size);
    binAt(index, size).add(start);
    mark(index, true);
  }

  function remove(start: number, size: number): void {
    sizeAt.delete(start);
    startOfEnd.delete(start + size);
    const index = classOf(size);
    const bin = binAt(index, size);
    bin.delete(start);
    mark(index, bin.size > 0);
  }

  /** A free block of at least `size`: the first block of the same size class if it fits, otherwise one of a larger class. */
  function find(size: number): number | null {
    const index = classOf(size);
    for (const start of binAt(index, size)) {
      if ((sizeAt.get(start) ?? 0) >= size) return start;
      break;
    }
    return startAfter(index);
  }

  /** The first block of the same size class that fits, if there is one. */
  function findInClass(size: number): number | null {
    for (const start of binAt(classOf(size), size)) if ((sizeAt.get(start) ?? 0) >= size) return start;
    return null;
  }

  /** The start of a free block of at least `size`, divided, or null. */
  function take(size: number, found: number | null): number | null {
    if (found === null) return null;
    const whole = sizeAt.get(found) ?? size;
    remove(found, whole);
    if (whole > size) insert(found + size, whole - size);
    return found;
  }

  /** Merges a freed block with its free neighbours. */
  function merge(address: number, bytes: number): void {
    let start = address;
    let size = bytes;
    const before = startOfEnd.get(start);
    if (before !== undefined) {
      const length = sizeAt.get(before) ?? 0;
      remove(before, length);
      start = before;
      size += length;
    }
    const after = sizeAt.get(start + size);
    if (after !== undefined) {
      remove(start + size, after);
      size += after;
    }
    if (start + size === top) top = start;
    else insert(start, size);
  }

  function mergeKept(): void {
    for (const [granules, starts] of kept.entries()) {
      for (const start of starts.splice(0)) merge(start, granules * granule);
    }
  }

  return {
    allocate(bytes) {
      const size = rounded(bytes);
      if (size > heapLimit) throw outOfMemory(bytes);
      const same = kept[size / granule]?.pop();
      if (same !== undefined) return same;
      let found = take(size, find(size));
      if (found === null && top + size + granule > reserved) {
        mergeKept();
        found = take(size, find(size) ?? findInClass(size));
      }
      if (found !== null) return found;
      const end = top + size + granule;
      if (end > reserved) {
        if (!reaches(memory, end)) throw outOfMemory(bytes);
        reserved = memory.buffer.byteLength;
      }
      const start = top;
      top += size;
      return start;
    },
    release(address, bytes) {
      const size = rounded(bytes);
      const starts = kept[size / granule];
      if (starts !== undefined && starts.length < mostKept) starts.push(address);
      else merge(address, size);
    },
  };
}

function rounded(bytes: number): number {
  return Math.max(granule, Math.ceil(bytes / granule) * granule);
}

function classOf(size: number): number {
  const octave = 31 - Math.clz32(size);
  return octave * classesPerOctave + ((size >>> (octave - 2)) & (classesPerOctave - 1));
}

/** Grows the memory until `end`, which is behind it, is inside; false if that is impossible. */
function reaches(memory: WebAssembly.Memory, end: number): boolean {
  const have = memory.buffer.byteLength;
  const missing = Math.ceil((end - have) / page);
  const spare = Math.floor(Math.min(have / 8, Math.max(0, heapLimit - end)) / page);
  return end <= heapLimit && (tryGrow(memory, missing + spare) || (spare > 0 && tryGrow(memory, missing)));
}

function full(asked: number, why: string): SoftgradError {
  return new SoftgradError('ERR_OUT_OF_MEMORY', `wasm: cannot allocate ${asked} bytes: ${why}`);
}

function tryGrow(memory: WebAssembly.Memory, pages: number): boolean {
  try {
    memory.grow(pages);
    return true;
  } catch {
    return false;
  }
}
