import type { Backend } from '../src/index.js';
import { delegate } from './delegate.js';
import { isPlain } from './kernel.js';

const live = new WeakMap<Backend, Set<unknown>>();

/** A backend that counts its buffers: `liveBuffers` returns how many are allocated and not freed. */
export function counted(backend: Backend): Backend {
  const buffers = new Set<unknown>();
  const counting = delegate(backend, {
    alloc(length, dtype) {
      const buffer = backend.alloc(length, dtype);
      if (buffers.has(buffer)) throw new Error(`alloc returned a buffer that is still in use (${length} ${dtype})`);
      buffers.add(buffer);
      return buffer;
    },
    free(buffer) {
      if (!buffers.delete(buffer)) throw new Error('a buffer was freed twice, or was never allocated here');
      backend.free(buffer);
    },
    async close() {
      await backend.close();
      buffers.clear();
    },
  });
  live.set(counting, buffers);
  return counting;
}

/** The number of buffers of a counted backend that have not been freed. */
export function liveBuffers(backend: Backend): number {
  return live.get(backend)?.size ?? 0;
}

/** Frees the buffers that a failed case left, so that they do not fail the next case. */
export function freeAll(backend: Backend): void {
  for (const buffer of live.get(backend) ?? []) backend.free(buffer);
}

/** The same backend with the same count of buffers, but only the plain calls of the required kernels. */
export function withoutKernels(backend: Backend): Backend {
  const composed = delegate(backend, {
    softmax: (out, x, rows, on) => (isPlain(on) ? backend.softmax(out, x, rows, on) : false),
    jacobian: (out, s, rows, on) => (isPlain(on) ? backend.jacobian(out, s, rows, on) : false),
    vjp: (out, s, g, rows, on) => (isPlain(on) ? backend.vjp(out, s, g, rows, on) : false),
    kernels: {},
  });
  const buffers = live.get(backend);
  if (buffers) live.set(composed, buffers);
  return composed;
}
