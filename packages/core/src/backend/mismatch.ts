import { SoftgradError } from '../errors.js';
import type { Backend } from './interface.js';

// Errors for tensors on different backends. A frequent cause is `setBackend` without await: the tensors made before it has opened its backend
// go to the previous one. The error comes later, so the backends of these tensors are remembered.

/** For each call of setBackend that has not finished, the backends that new tensors have gone to since it was made. */
const unfinished = new Set<Set<Backend>>();
/** The backends that new tensors went to while setBackend was still opening the key. */
const usedWhileOpening = new WeakMap<Backend, WeakSet<Backend>>();

/** Follows a call of setBackend until its backend is open. */
export function followOpening(opening: Promise<Backend>): void {
  const used = new Set<Backend>();
  unfinished.add(used);
  const end = () => unfinished.delete(used);
  opening.then((backend) => {
    end();
    const known = usedWhileOpening.get(backend) ?? new WeakSet();
    for (const one of used) known.add(one);
    usedWhileOpening.set(backend, known);
  }, end);
}

/** Whether a call of setBackend has not finished. */
export function isOpening(): boolean {
  return unfinished.size > 0;
}

/** Remembers that a new tensor goes to this backend. */
export function noteUse(backend: Backend): void {
  for (const used of unfinished) used.add(backend);
}

/**
 * @throws ERR_BACKEND_MISMATCH unless the backend where the argument lives is the wanted one; the message names the cause if new tensors went to one of them
 *   while setBackend was still opening the other
 */
export function checkLivesOn(
  operation: string,
  argument: string,
  backend: Backend,
  wanted: Backend,
  advice = 'move it with await x.to(backend)',
): void {
  if (backend === wanted) return;
  const where =
    backend.name === wanted.name ? `another instance of ${wanted.name}` : `${backend.name}, not on ${wanted.name}`;
  const cause = (earlier: Backend, opened: Backend) =>
    usedWhileOpening.get(opened)?.has(earlier)
      ? `. Tensors were made on ${earlier.name} while setBackend was still opening ${opened.name}: await setBackend(…) before the first tensor`
      : '';
  throw new SoftgradError(
    'ERR_BACKEND_MISMATCH',
    `${operation}: ${argument} lives on ${where}; ${advice}${cause(backend, wanted) || cause(wanted, backend)}`,
  );
}
