/** Conformance cases that a test does not run. */
export interface LeftOut {
  readonly ids: RegExp;
  /** How many cases these are, without those that do not apply to the backend and without those of an earlier entry. */
  readonly cases: number;
  /** What proves the same, or why nothing is proved. */
  readonly because: string;
}

interface Case {
  readonly id: string;
  readonly skip: string | null;
}

/** The cases that apply and are not left out, and the entries with their number of cases as it is. */
export function select<C extends Case>(
  cases: readonly C[],
  leftOut: readonly LeftOut[],
): { readonly selected: readonly C[]; readonly leftOut: readonly LeftOut[] } {
  const counts = leftOut.map(() => 0);
  const selected = cases.filter(({ id, skip }) => {
    if (skip !== null) return false;
    const entry = leftOut.findIndex(({ ids }) => ids.test(id));
    if (entry >= 0) counts[entry]++;
    return entry < 0;
  });
  return { selected, leftOut: leftOut.map((entry, i) => ({ ...entry, cases: counts[i] })) };
}
