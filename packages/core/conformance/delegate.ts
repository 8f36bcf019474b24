import type { Backend } from '../src/index.js';

/** A backend that forwards every call to another backend, except for the members in `overrides`. */
export function delegate<B>(backend: Backend<B>, overrides: Partial<Backend<B>>): Backend<B> {
  const { readSync, view, bufferInfo } = backend;
  return {
    name: backend.name,
    supports: backend.supports,
    get closed() {
      return backend.closed;
    },
    alloc: (length, dtype) => backend.alloc(length, dtype),
    write: (buffer, host) => backend.write(buffer, host),
    read: (buffer) => backend.read(buffer),
    ...(readSync && { readSync: (buffer) => readSync.call(backend, buffer) }),
    ...(view && { view: (buffer) => view.call(backend, buffer) }),
    ...(bufferInfo && { bufferInfo: (buffer) => bufferInfo.call(backend, buffer) }),
    free: (buffer) => backend.free(buffer),
    sync: () => backend.sync(),
    close: () => backend.close(),
    softmax: (out, logits, rows, parameters) => backend.softmax(out, logits, rows, parameters),
    jacobian: (out, probabilities, rows, parameters) => backend.jacobian(out, probabilities, rows, parameters),
    vjp: (out, probabilities, cotangent, rows, parameters) =>
      backend.vjp(out, probabilities, cotangent, rows, parameters),
    ...(backend.basis && { basis: backend.basis }),
    ...(backend.kernels && { kernels: backend.kernels }),
    ...overrides,
  };
}
