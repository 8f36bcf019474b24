import { type Frame, shared, type Tracked } from '../copies.js';
import { SoftgradError } from '../errors.js';
import { isBranded } from './brand.js';
import { ignoreRejection, tagOf } from './promise.js';

/** Records a new tensor, in the innermost scope and in the trace. */
export function track<T extends Tracked>(tensor: T): T {
  shared.innermost?.made.push(tensor);
  shared.trace?.made(tensor);
  return tensor;
}

/**
 * Runs `body` and disposes every tensor made in it that its result does not contain. The result is searched through arrays, objects of any
 * class, and the keys and values of Maps and Sets. Private fields and the variables of closures cannot be searched: tensors
 * that only these refer to are disposed, unless `keep` is called with them. Tensors of the result belong to the enclosing scope, if there is one.
 *
 * `body` must be synchronous, because other code could run in the scope while an async function waits. All operations are
 * synchronous; read results after the scope.
 *
 * @throws ERR_VALUE where the result is, or contains, a promise (or anything else with a method `then`) or an iterator, such as a generator's:
 *   the tensors would be disposed before it settles or runs; or the `view()` of a tensor that is disposed, whose memory other tensors get; whatever `body`
 *   throws, after disposing everything it made
 *
 * @example
 * const dx = scope(() => {
 *   const s = softmax(x);        // disposed when the scope ends
 *   return softmax.vjp(s, g);    // kept
 * });
 */
export function scope<T>(body: () => T): T {
  const frame: Frame = { made: [], released: new Set(), around: shared.innermost };
  shared.innermost = frame;
  let kept: ReadonlySet<Tracked> | undefined;
  let result: T;
  try {
    result = body();
    const contents = contentsOf(result, 'scope: the result');
    checkViews(frame, contents);
    kept = contents.tensors;
  } finally {
    shared.innermost = frame.around;
    for (const tensor of frame.made) {
      if (frame.released.has(tensor)) continue;
      if (kept?.has(tensor)) shared.innermost?.made.push(tensor);
      else tensor.endScope();
    }
  }
  return result;
}

/** @throws ERR_VALUE for the view of a tensor that the scope is going to dispose */
function checkViews({ made, released }: Frame, { tensors, arrays }: Contents): void {
  for (const tensor of made) {
    if (released.has(tensor) || tensors.has(tensor) || !arrays.some((array) => tensor.sharesMemory(array))) continue;
    throw new SoftgradError(
      'ERR_VALUE',
      'scope: the result contains the view() of a tensor that the scope disposes; return dataSync(), a copy, or the tensor',
    );
  }
}

/**
 * Takes tensors out of all open scopes: no scope disposes them, and the caller does. For tensors that are stored where the result
 * of the scope does not lead, such as in a private field. Takes one tensor, or anything that a scope may return; returns its argument.
 *
 * @throws ERR_VALUE for a promise or an iterator
 *
 * @example
 * scope(() => {
 *   this.#probabilities = keep(softmax(x));
 * });
 */
export function keep<T>(value: T): T {
  const { tensors } = contentsOf(value, 'keep: the value');
  for (let { innermost } = shared; innermost !== null; innermost = innermost.around) {
    for (const tensor of tensors) innermost.released.add(tensor);
  }
  return value;
}

interface Contents {
  readonly tensors: ReadonlySet<Tracked>;
  readonly arrays: readonly ArrayBufferView[];
}

/** The tensors and typed arrays that a value contains. @throws ERR_VALUE for what would compute after the scope */
function contentsOf(value: unknown, what: string): Contents {
  const tensors = new Set<Tracked>();
  const arrays: ArrayBufferView[] = [];
  const found = { tensors, arrays };
  if (!isObject(value)) return found;
  const seen = new Set<object>();
  const containers: object[] = [];
  // Searched last, and without the check: a promise in a field of a class does not make the result one that has to be awaited.
  const others: object[] = [];
  const searchLater = (list: object[]) => (node: unknown) => {
    if (!isObject(node) || seen.has(node)) return;
    seen.add(node);
    if (isBranded(node)) tensors.add(node as unknown as Tracked);
    // The elements of typed arrays are numbers, and may be many.
    else if (ArrayBuffer.isView(node)) arrays.push(node);
    else list.push(node);
  };
  const visit = searchLater(containers);
  visit(value);
  for (const node of containers) {
    checkIsDone(node, node === value ? `${what} is` : `${what} contains`);
    if (Array.isArray(node) || isPlain(node) || isCollection(node)) eachChild(node, visit);
    else others.push(node);
  }
  for (const node of others) eachChild(node, searchLater(others));
  return found;
}

function isObject(value: unknown): value is object {
  return (typeof value === 'object' && value !== null) || typeof value === 'function';
}

function hasMethod(node: object, name: string): boolean {
  return typeof Reflect.get(node, name) === 'function';
}

/** @throws ERR_VALUE for thenables and iterators */
function checkIsDone(node: object, is: string): void {
  const isThenable = hasMethod(node, 'then');
  ignoreRejection(node);
  if (!isThenable && !(hasMethod(node, 'next') && (Symbol.iterator in node || Symbol.asyncIterator in node))) return;
  const what = isThenable
    ? 'a promise: the body must not be async; await results after the scope'
    : 'an iterator, whose values are made after the scope; if it is called values, return Array.from(values)';
  throw new SoftgradError('ERR_VALUE', `${is} ${what}`);
}

/** Calls `visit` with what an object refers to. */
function eachChild(node: object, visit: (child: unknown) => void): void {
  const isArray = Array.isArray(node);
  if (isArray || isPlain(node)) {
    for (const key of isArray ? Object.keys(node) : Reflect.ownKeys(node)) visit(Reflect.get(node, key));
    return;
  }
  if (isCollection(node)) {
    node.forEach((entry, key) => {
      visit(key);
      visit(entry);
    });
  }
  // A getter of a class may do anything.
  for (const key of Reflect.ownKeys(node)) visit(Reflect.getOwnPropertyDescriptor(node, key)?.value);
}

/** True for objects without a class, of any realm. */
function isPlain(node: object): boolean {
  const prototype = Object.getPrototypeOf(node);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** True for a Map or a Set, of any realm, and for classes that derive from them. */
function isCollection(node: object): node is ReadonlyMap<unknown, unknown> {
  return (
    node instanceof Map || node instanceof Set || (/^(?:Map|Set)$/.test(tagOf(node)) && hasMethod(node, 'forEach'))
  );
}
