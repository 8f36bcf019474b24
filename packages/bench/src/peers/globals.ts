/**
 * Runs an action and restores the named globals. Libraries define globals that change how others work:
 * onnxruntime-web defines `Worker` in Node, and jax-js then compiles kernels for a shared memory that it does not have.
 */
export async function keepingGlobals<T>(names: readonly string[], action: () => Promise<T>): Promise<T> {
  const before = names.map((name) => Object.getOwnPropertyDescriptor(globalThis, name));
  try {
    return await action();
  } finally {
    names.forEach((name, k) => {
      const descriptor = before[k];
      if (descriptor) Object.defineProperty(globalThis, name, descriptor);
      else Reflect.deleteProperty(globalThis, name);
    });
  }
}
