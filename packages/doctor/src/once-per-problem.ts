import type { Problem } from './problem.js';

/** The results of functions of a problem, kept by it: a weak map of many problems takes the garbage collector longer than most of the functions take. */
const results = Symbol('results');

let functions = 0;

export interface OncePerProblem<T> {
  (problem: Problem): T;
  /** Takes the result of a problem for another one, too. */
  share(problem: Problem, other: Problem): void;
}

/** Caches what is computed from a problem, because many mistakes are computed from it: the correct candidates, the labels. */
export function oncePerProblem<T>(compute: (problem: Problem) => T): OncePerProblem<T> {
  const which = functions++;
  const once = (problem: Problem): T => {
    const known = resultsOf<T>(problem);
    const before = known[which];
    if (before) return before.value;
    const value = compute(problem);
    known[which] = { value };
    return value;
  };
  return Object.assign(once, {
    share(problem: Problem, other: Problem): void {
      resultsOf<T>(other)[which] = { value: once(problem) };
    },
  });
}

/** A problem that is made of another one, { ...problem, s }, has none of its results: they are not enumerable. */
function resultsOf<T>(problem: Problem & { readonly [results]?: { readonly value: T }[] }): { readonly value: T }[] {
  const known = problem[results];
  if (known) return known;
  const value: { readonly value: T }[] = [];
  Object.defineProperty(problem, results, { value });
  return value;
}
