import type { Rows } from '@softgrad/core';
import type { SoftmaxPlan } from './engine.js';
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

/** Values of a kernel's own parameters, in their order. */
export interface Scalars {
  readonly integers?: readonly number[];
  readonly numbers?: readonly number[];
}

/** Allocates a temporary buffer of one operation, which is freed when the operation is enqueued. */
export type Scratch = (length: number) => GpujsBuffer;

/** How operations enqueue their kernels. */
export interface Launch {
  readonly softmaxPlan: SoftmaxPlan;
  run(program: Program, out: GpujsBuffer, inputs: readonly GpujsBuffer[], scalars: readonly number[]): void;
  elementwise(
    kernel: Elementwise,
    out: GpujsBuffer,
    inputs: readonly GpujsBuffer[],
    rows: Rows,
    scalars?: Scalars,
  ): void;
  rowwise(kernel: Rowwise, out: GpujsBuffer, inputs: readonly GpujsBuffer[], rows: Rows, scalars?: Scalars): void;
  /** Reduces each row to one element: `kernel` reduces blocks of classes, and `merge` reduces the results of the blocks. */
  reduce(
    kernel: Reduction,
    out: GpujsBuffer,
    inputs: readonly GpujsBuffer[],
    rows: Rows,
    scalars: Scalars,
    merge: Merge,
  ): void;
  /** Provides scratch buffers to `work` and frees them when `work` is enqueued. */
  within<T>(work: (scratch: Scratch) => T): T;
}

/** A reduction over the results of the blocks, which are its last input. */
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
    softmaxPlan: storage.softmaxPlan,
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
