import type { HostArray } from '@softgrad/core';
import type { GpuKernel, GpuLibrary, WasmModule } from '../gpu.js';

/** Regions of more elements hold a multiple of it; smaller ones hold 1024 times a power of four. */
const step = 2 ** 16;

/** Regions of at least this many elements are not kept for shorter operands. */
const large = 2 ** 20;

/**
 * Runs a kernel. gpu.js compiles the lengths of operands into a module, and so would need one for each combination of lengths. Here a
 * module has room for longer operands, and is only replaced when one of them does not fit.
 *
 * @param values arrays and numbers
 */
export function runModule(
  library: GpuLibrary,
  kernel: GpuKernel,
  values: readonly unknown[],
  length: number,
): Float32Array {
  const { layout, f32, i32, run, runSimd } = moduleFor(library, kernel, values, length);
  for (const { index, offset } of Object.values(layout.arrays)) f32.set(values[index] as HostArray, offset / 4);
  for (const { index, offset, type } of Object.values(layout.scalars)) {
    (type === 'Integer' ? i32 : f32)[offset / 4] = values[index] as number;
  }
  // Not more elements than the result has: indices that follow from others could be outside of the memory.
  const inFours = runSimd ? length - (length % 4) : 0;
  runSimd?.(0, inFours, 0);
  run(inFours, length, 0);
  const start = layout.outputOffset / 4;
  return f32.slice(start, start + length);
}

function moduleFor(library: GpuLibrary, kernel: GpuKernel, values: readonly unknown[], length: number): WasmModule {
  const { kernel: internal } = kernel;
  const present = internal._active ?? null;
  const regions = Object.values(present?.layout.arrays ?? {});
  const lengthAt = (index: number) => (values[index] as HostArray).length;
  if (present && fits(length, present.cells) && regions.every((r) => fits(lengthAt(r.index), r.flatLength))) {
    return present;
  }
  const held = new Map(regions.map(({ index, flatLength }) => [index, flatLength]));
  const output = grown(length, present?.cells);
  const capacities = values.map((value, index) =>
    typeof value === 'number' ? null : grown(lengthAt(index), held.get(index)),
  );
  const operands = capacities.map((capacity, index) =>
    capacity === null ? values[index] : library.input(new Float32Array(capacity), [capacity]),
  );
  kernel.setOutput([output]);
  // The module that is replaced is freed.
  internal.moduleCacheLimit = 1;
  if (kernel.built) {
    internal.threadDim = [output, 1, 1];
    internal._instantiate?.([output, ...capacities].join(), operands);
  } else {
    kernel.build(...operands);
  }
  const module = kernel.kernel._active;
  if (!module) throw new TypeError('gpu.js assembled no module');
  return module;
}

function fits(length: number, capacity: number): boolean {
  return length <= capacity && (capacity < large || capacity === capacityOf(length));
}

function grown(length: number, capacity = 0): number {
  return capacityOf(capacity < large ? Math.max(length, capacity) : length);
}

function capacityOf(length: number): number {
  if (length > step) return Math.ceil(length / step) * step;
  let capacity = 1024;
  while (capacity < length) capacity *= 4;
  return capacity;
}
