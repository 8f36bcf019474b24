// Two copies of core in one program, such as two versions in node_modules, share their tensors, functions and scopes. They find them by registered
// symbols, whose names are the same in all versions.

/** The part of a tensor that a scope uses. */
export interface Tracked {
  /** Disposes it, and remembers why for the errors of later calls. */
  endScope(): void;
  /** Whether a typed array shows memory of the tensor. */
  sharesMemory(array: ArrayBufferView): boolean;
}

/** An open scope: the tensors made in it, those of them that it does not dispose of, and the scope around it. */
export interface Frame {
  readonly made: Tracked[];
  readonly released: Set<Tracked>;
  readonly around: Frame | null;
}

/** Is told of each tensor that is made or disposed. */
interface Trace {
  made(tensor: Tracked): void;
  freed(tensor: Tracked): void;
}

interface Shared {
  /** The innermost open scope: it also owns the tensors that another copy makes. */
  innermost: Frame | null;
  /** The one that runs, if one does. */
  trace: Trace | null;
  /** Whether a backend was chosen, or made the default, in a copy. */
  hasBackend: boolean;
  /** Whether a backend was registered in a copy. */
  hasNames: boolean;
}

export const shared = /* @__PURE__ */ sharedByCopies();

function sharedByCopies(): Shared {
  const name = Symbol.for('softgrad.shared');
  const known: unknown = Reflect.get(globalThis, name);
  if (known !== undefined) return known as Shared;
  const value = { innermost: null, trace: null, hasBackend: false, hasNames: false };
  Reflect.defineProperty(globalThis, name, { value });
  return value;
}

/** The end of a message. */
export const twoCopies =
  'there are two copies of @softgrad/core: npm ls @softgrad/core lists them, npm dedupe merges them';

/** The name of one of core's functions, under which another copy finds its definition. */
export const functionName: unique symbol = Symbol.for('softgrad.operation') as never;
