import { type Backend, isSoftgradError } from '../src/index.js';
import { delegate, wrapped } from './delegate.js';
import { isPlain } from './kernel.js';

const live = new WeakMap<Backend, Set<unknown>>();
/** The backend that one with a count is about, and how its provider opens another. */
const origins = new WeakMap<Backend, { readonly backend: Backend; readonly open: (() => Promise<Backend>) | null }>();

/**
 * A backend that counts its buffers: `liveBuffers` returns how many are allocated and not freed. Calls that wait are errors.
 *
 * @param open opens another backend of the same provider, if there is one
 */
export function counted(backend: Backend, open: (() => Promise<Backend>) | null = null): Backend {
  const buffers = new Set<unknown>();
  const { basis, kernels, readSync, view } = backend;
  const counting = delegate(backend, {
    alloc(length, dtype, use) {
      const buffer: unknown = atOnce('alloc', backend.alloc(length, dtype, use));
      if (buffer === undefined || buffer === null)
        throw new Error(`alloc returned ${buffer}; expected a buffer (${length} ${dtype})`);
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
    write: (buffer, host) => atOnce('write', backend.write(buffer, host)),
    ...(readSync && { readSync: (buffer) => atOnce('readSync', readSync.call(backend, buffer)) }),
    ...(view && { view: (buffer) => atOnce('view', view.call(backend, buffer)) }),
    softmax: (...args) => atOnce('softmax', backend.softmax(...args)),
    jacobian: (...args) => atOnce('jacobian', backend.jacobian(...args)),
    vjp: (...args) => atOnce('vjp', backend.vjp(...args)),
    ...(basis && { basis: group('basis', basis) }),
    ...(kernels && { kernels: group('kernels', kernels) }),
  });
  live.set(counting, buffers);
  origins.set(counting, { backend, open });
  return counting;
}

/** Another backend of the provider of a counted backend; null if that was given open, or its device is for one backend at a time. */
export async function openAgain(backend: Backend): Promise<Backend | null> {
  try {
    return (await origins.get(backend)?.open?.()) ?? null;
  } catch (error) {
    if (isSoftgradError(error) && error.code === 'ERR_BACKEND_UNAVAILABLE') return null;
    throw error;
  }
}

/** Whether another backend is the one that a counted backend is about. */
export function isSame(backend: Backend, other: Backend): boolean {
  return origins.get(backend)?.backend === other;
}

function group<T extends object>(name: string, functions: T): T {
  return wrapped(
    functions,
    (member, call) =>
      (...args) =>
        atOnce(`${name}.${member}`, call(...args)),
  );
}

/** What a call returned. @throws Error for a promise, such as an async function returns: core does not wait for it */
function atOnce<R>(name: string, result: R): R {
  if (!(result instanceof Promise)) return result;
  result.catch(() => {}); // the case has failed already
  throw new Error(
    `${name} returned a promise; only open, read, sync and close may wait: the other functions enqueue their work, or have their result at once`,
  );
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
