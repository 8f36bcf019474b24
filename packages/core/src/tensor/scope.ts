import { SoftgradError } from '../errors.js';

/** The part of a tensor that a scope uses. */
interface Tracked {
  dispose(): void;
}

/** The tensors made since the innermost scope was opened; null if no scope is open. */
let innermost: Set<Tracked> | null = null;

/** Records a new tensor in the innermost scope. */
export function track<T extends Tracked>(tensor: T): T {
  innermost?.add(tensor);
  return tensor;
}

/**
 * Runs `body` and disposes every tensor made in it that it does not return (alone, or anywhere in arrays and plain objects).
 * Returned tensors belong to the enclosing scope, if there is one.
 *
 * `body` must be synchronous, because other code could run in the scope while an async function waits. All operations are
 * synchronous; read results after the scope.
 *
 * @throws ERR_VALUE where `body` returns a promise; whatever `body` throws, after disposing everything it made
 *
 * @example
 * const dx = scope(() => {
 *   const s = softmax(x);        // disposed when the scope ends
 *   return softmax.vjp(s, g);    // kept
 * });
 */
export function scope<T>(body: () => T): T {
  const around = innermost;
  const made = new Set<Tracked>();
  innermost = made;
  let kept: Set<Tracked> = new Set();
  try {
    const result = body();
    if (result instanceof Promise) {
      result.catch(() => {});
      throw new SoftgradError('ERR_VALUE', 'scope: the body must not be async; await results after the scope');
    }
    kept = tensorsIn(result, made);
    return result;
  } finally {
    innermost = around;
    for (const tensor of made) {
      if (kept.has(tensor)) track(tensor);
      else tensor.dispose();
    }
  }
}

function tensorsIn(value: unknown, made: ReadonlySet<Tracked>): Set<Tracked> {
  const found = new Set<Tracked>();
  const seen = new Set<object>();
  const visit = (node: unknown): void => {
    if (typeof node !== 'object' || node === null || seen.has(node)) return;
    seen.add(node);
    if (made.has(node as Tracked)) found.add(node as Tracked);
    else if (Array.isArray(node)) node.forEach(visit);
    else if (node instanceof Map) for (const entry of node.values()) visit(entry);
    else if (isPlain(node)) Object.values(node).forEach(visit);
  };
  visit(value);
  return found;
}

function isPlain(node: object): boolean {
  const prototype = Object.getPrototypeOf(node);
  return prototype === Object.prototype || prototype === null;
}
