import { shared, type Tracked } from '../copies.js';
import { SoftgradError } from '../errors.js';
import { byteSize, type DType } from './dtype.js';
import type { Shape } from './shape.js';
import type { Tensor } from './tensor.js';

/** Tensors of one shape, dtype and backend that were made at one place of the program and are not disposed. */
export interface TensorGroup {
  readonly count: number;
  /** Of all of them together. */
  readonly bytes: number;
  readonly shape: Shape;
  readonly dtype: DType;
  readonly backend: string;
  /** The lines of the call stack, the innermost call first. */
  readonly stack: string;
}

/** A record of the tensors that are made, from `traceTensors` until `stop`. */
export interface TensorTrace {
  /** Those that are not disposed, by the place where they were made; the most bytes first. */
  live(): readonly TensorGroup[];
  stop(): void;
}

/**
 * Records where each tensor is made, until `stop()`, to find those that a loop forgets to dispose. Tensors that it has recorded are not collected as garbage before
 * `stop()`, so that on cpu, too, it shows what would fill the memory of another backend. Making a tensor takes some microseconds more.
 *
 * @throws ERR_VALUE while an earlier trace has not been stopped
 *
 * @example
 * const trace = traceTensors();
 * for (let step = 0; step < 3; step++) softmax(tensor([[1, 2]])).dispose(); // the tensor of the logits stays
 * trace.live(); // [{ count: 3, bytes: 24, shape: [1, 2], dtype: 'float32', … }]
 * trace.stop();
 */
export function traceTensors(): TensorTrace {
  if (shared.trace) throw new SoftgradError('ERR_VALUE', 'traceTensors: an earlier trace is running; stop() it first');
  const stacks = new Map<Tracked, string>();
  const trace = {
    made: (tensor: Tracked) => stacks.set(tensor, callers()),
    freed: (tensor: Tracked) => stacks.delete(tensor),
  };
  shared.trace = trace;
  return {
    live: () => {
      const groups = new Map<string, TensorGroup>();
      for (const [tracked, stack] of stacks) {
        const tensor = tracked as unknown as Tensor;
        if (tensor.disposed) continue;
        const { shape, dtype, size, backend } = tensor;
        const key = JSON.stringify([shape, dtype, backend.name, stack]);
        const { count, bytes } = groups.get(key) ?? { count: 0, bytes: 0 };
        const group = { shape, dtype, backend: backend.name, stack };
        groups.set(key, { count: count + 1, bytes: bytes + size * byteSize(dtype), ...group });
      }
      return [...groups.values()].sort((a, b) => b.bytes - a.bytes);
    },
    stop: () => {
      if (shared.trace === trace) shared.trace = null;
      stacks.clear();
    },
  };
}

/** The calls of core's functions within each other, from the one that a program calls to the one that makes a tensor, are fewer. */
const ownCalls = 30;

/** The lines of the stack above `made`, without the error's own line, which only V8 writes. */
function callers(): string {
  // V8 keeps ten calls by default, and crossEntropy alone takes more. Other engines have no such limit to set.
  const name = 'stackTraceLimit';
  const limit: number | undefined = Reflect.get(Error, name);
  if (limit) Reflect.set(Error, name, limit + ownCalls);
  const error = new Error();
  if (limit) Reflect.set(Error, name, limit);
  const lines = (error.stack ?? '').split('\n').map((line) => line.trim());
  return lines.slice(lines[0]?.startsWith('Error') ? 3 : 2).join('\n');
}
