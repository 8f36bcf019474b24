import type { Backend } from '../src/index.js';

/** A backend that forwards every call to another backend, except for the members in `overrides`. */
export function delegate<B>(backend: Backend<B>, overrides: Partial<Backend<B>>): Backend<B> {
  const { readSync, view, bufferInfo, memory } = backend;
  return {
    name: backend.name,
    supports: backend.supports,
    get closed() {
      return backend.closed;
    },
    get lost() {
      return backend.lost;
    },
    alloc: (length, dtype, use) => backend.alloc(length, dtype, use),
    write: (buffer, host) => backend.write(buffer, host),
    read: (buffer) => backend.read(buffer),
    ...(readSync && { readSync: (buffer) => readSync.call(backend, buffer) }),
    ...(view && { view: (buffer) => view.call(backend, buffer) }),
    ...(bufferInfo && { bufferInfo: (buffer) => bufferInfo.call(backend, buffer) }),
    ...(memory && { memory: () => memory.call(backend) }),
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

type Call = (...args: readonly unknown[]) => unknown;

/** Kernels or a basis, each function of which is replaced by what `wrap` makes of it. */
export function wrapped<T extends object>(functions: T, wrap: (name: string, call: Call) => Call): T {
  // Not a proxy of the functions themselves: if they were frozen, it would have to return them as they are.
  return new Proxy<T>(Object.create(functions), {
    get(_, name) {
      const member: unknown = Reflect.get(functions, name);
      if (typeof member !== 'function') return member;
      return wrap(String(name), (...args) => Reflect.apply(member, functions, args));
    },
  });
}
