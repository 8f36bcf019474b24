import type { Rows } from '@softgrad/core';
import {
  block,
  type Elementwise,
  elementwise,
  type Reduction,
  type Rowwise,
  reduction,
  rowwise,
} from './kernel-places.js';
import type { Program } from './program.js';
import type { GpujsBuffer, Storage } from './storage.js';

/** Numbers for a kernel's own parameters, in its order. */
export interface Scalars {
  readonly integers?: readonly number[];
  readonly numbers?: readonly number[];
}

/** Buffers of one operation, freed when it is enqueued. */
export type Scratch = (length: number) => GpujsBuffer;

/** How operations enqueue their kernels. */
export interface Launch {
  run(program: Program, out: GpujsBuffer, inputs: readonly GpujsBuffer[], scalars: readonly number[]): void;
  elementwise(
    kernel: Elementwise,
    out: GpujsBuffer,
    inputs: readonly GpujsBuffer[],
    rows: Rows,
    scalars?: Scalars,
  ): void;
  rowwise(kernel: Rowwise, out: GpujsBuffer, inputs: readonly GpujsBuffer[], rows: Rows, scalars?: Scalars): void;
  /** Reduces each row to one element: `merge` goes through the results of its blocks as `kernel` went through its classes. */
  reduce(
    kernel: Reduction,
    out: GpujsBuffer,
    inputs: readonly GpujsBuffer[],
    rows: Rows,
    scalars: Scalars,
    merge: Merge,
  ): void;
  /** Hands out scratch buffers and frees them when `work` is enqueued. */
  within<T>(work: (scratch: Scratch) => T): T;
}

/** A reduction over the blocks' results, which are its last input. */
export interface Merge {
  readonly kernel: Reduction;
  readonly inputs?: readonly GpujsBuffer[];
  readonly scalars?: Scalars;
}

export function createLaunch(storage: Storage): Launch {
  const list = (
    { classes, inner }: Rows,
    { integers = [], numbers = [] }: Scalars = {},
    own: readonly number[] = [],
  ) => [classes, inner, ...own, ...integers, ...numbers];

  function within<T>(work: (scratch: Scratch) => T): T {
    const made: GpujsBuffer[] = [];
    try {
      return work((length) => {
        const buffer = storage.alloc(length, 'float32');
        made.push(buffer);
        return buffer;
      });
    } finally {
      for (const buffer of made) storage.free(buffer);
    }
  }

  const launch: Launch = {
    within,
    run: storage.run,
    elementwise(kernel, out, inputs, rows, scalars) {
      storage.run(elementwise(kernel, rows.inner === 1), out, inputs, list(rows, scalars));
    },
    rowwise(kernel, out, inputs, rows, scalars) {
      storage.run(rowwise(kernel, rows.inner === 1), out, inputs, list(rows, scalars));
    },
    reduce(kernel, out, inputs, rows, scalars, merge) {
      const flat = rows.inner === 1;
      const blocks = Math.ceil(rows.classes / block);
      if (blocks <= 1) {
        storage.run(reduction(kernel, flat, true), out, inputs, list(rows, scalars, [1]));
        return;
      }
      within((scratch) => {
        const partial = scratch(rows.outer * blocks * rows.inner);
        storage.run(reduction(kernel, flat, false), partial, inputs, list(rows, scalars, [blocks]));
        const merged = [...(merge.inputs ?? []), partial];
        launch.reduce(merge.kernel, out, merged, { ...rows, classes: blocks }, merge.scalars ?? {}, merge);
      });
    },
  };
  return launch;
}
