import { SoftgradError } from '@softgrad/core';
import { type Parameters, packParameters } from './kernels/program.js';
import type { Pipelines, Program } from './pipelines.js';
import type { Queue } from './queue.js';
import { type Counters, countCall } from './statistics.js';
import type { Storage, WebgpuBuffer } from './storage.js';

/** The device-side services that kernels need. */
export interface Engine {
  readonly queue: Queue;
  readonly pipelines: Pipelines;
  readonly storage: Storage;
  readonly counters: Counters;
  /** Number of consecutive invocations, by local index, that a shuffle can reach; 1 without subgroup operations. */
  readonly subgroup: number;
  /** @throws ERR_DEVICE_LOST, ERR_DISPOSED */
  check(): void;
}

/** One kernel of an operation, ready to be enqueued. */
export interface Launch {
  /** Identifies the variant: equal keys have equal programs. */
  readonly key: string;
  readonly program: () => Program;
  readonly parameters: Parameters;
  readonly values: Readonly<Record<string, number>>;
  readonly buffers: readonly WebgpuBuffer[];
  readonly workgroups: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
}

/** Enqueues the kernels of one call of an operation and counts them. */
export function launch(engine: Engine, operation: string, launches: readonly Launch[]): void {
  engine.check();
  const counts = countCall(engine.counters, operation);
  for (const { key, program, parameters, values, buffers, workgroups, bytesRead, bytesWritten } of launches) {
    if (workgroups === 0) continue;
    const slots = buffers.map(({ slot }) => {
      if (!slot) throw new SoftgradError('ERR_DISPOSED', `webgpu: an operand of ${operation} was freed`);
      return slot;
    });
    const kernel = engine.pipelines.get(key, program);
    engine.queue.enqueue({ kernel, slots, parameters: packParameters(parameters, values), workgroups });
    counts.dispatches++;
    counts.bytesRead += bytesRead;
    counts.bytesWritten += bytesWritten;
  }
}
