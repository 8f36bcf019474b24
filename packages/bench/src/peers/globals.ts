/**
 * Records the named globals; the function that it returns restores them. Libraries define globals that change how others work:
 * onnxruntime-web defines `Worker` in Node, and jax-js then compiles kernels for a shared memory that it does not have.
 */
export function savedGlobals(names: readonly string[]): () => void {
  const before = names.map((name) => Object.getOwnPropertyDescriptor(globalThis, name));
  return () => {
    names.forEach((name, k) => {
      const descriptor = before[k];
      if (descriptor) Object.defineProperty(globalThis, name, descriptor);
      else Reflect.deleteProperty(globalThis, name);
    });
  };
}

/** Runs an action and restores the named globals. */
export async function keepingGlobals<T>(names: readonly string[], action: () => Promise<T>): Promise<T> {
  const restore = savedGlobals(names);
  try {
    return await action();
  } finally {
    restore();
  }
}
