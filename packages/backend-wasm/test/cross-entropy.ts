import type { Backend, Rows } from '@softgrad/core';
import { plainCrossEntropy } from '@softgrad/core/conformance';
import type { WasmBuffer } from '../src/index.js';

type Host = Float32Array | Float64Array;

export interface CrossEntropyOptions {
  readonly temperature?: number;
  readonly weight?: Host | null;
  readonly scale?: number;
  /** What is computed; the other result is empty. */
  readonly results?: 'loss' | 'gradient' | 'both';
  /** Whether the gradient overwrites the logits. */
  readonly inPlace?: boolean;
}

/** Losses of rows and their gradient, for class indices or probabilities; the target is the last operand that is allocated. */
export function crossEntropyOf(
  backend: Backend<WasmBuffer>,
  x: Host,
  rows: Rows,
  target: Int32Array | Host,
  { temperature = 1, weight = null, scale = 1, results = 'both', inPlace = false }: CrossEntropyOptions = {},
): { readonly loss: ArrayLike<number>; readonly gradient: ArrayLike<number> } {
  const dtype = x instanceof Float64Array ? 'float64' : 'float32';
  const hold = (host: Int32Array | Host) => {
    const buffer = backend.alloc(host.length, host instanceof Int32Array ? 'int32' : dtype);
    backend.write(buffer, host);
    return buffer;
  };
  const logits = hold(x);
  const loss = results === 'gradient' ? null : backend.alloc(rows.outer * rows.inner, dtype);
  const own = inPlace ? logits : backend.alloc(results === 'loss' ? 0 : x.length, dtype);
  const gradient = results === 'loss' ? null : own;
  const weights = weight && hold(weight);
  const buffer = hold(target);
  const kind = target instanceof Int32Array ? 'indices' : 'probabilities';
  const parameters = { ...plainCrossEntropy, temperature, target: { kind, buffer }, weight: weights, scale } as const;
  backend.kernels?.crossEntropy?.({ loss, gradient }, logits, rows, parameters);
  const found = {
    loss: (loss && backend.readSync?.(loss)) ?? [],
    gradient: (gradient && backend.readSync?.(gradient)) ?? [],
  };
  for (const used of new Set([logits, loss, own, weights, buffer])) if (used) backend.free(used);
  return found;
}
