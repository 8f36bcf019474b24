import type { CaseReport } from '@softgrad/core/conformance';

export type Outcome = CaseReport['outcome'];

export const outcomes = ['passed', 'failed', 'skipped'] as const;

/** As `softgrad conformance` words them. */
export const outcomeNames = { passed: 'passed', failed: 'failed', skipped: 'does not apply' } as const;

/** A number of cases in words: `2 failed`, `1 does not apply`. */
export function counted(outcome: Outcome, count: number): string {
  return `${count} ${outcome === 'skipped' && count !== 1 ? 'do not apply' : outcomeNames[outcome]}`;
}

export function countOf(cases: readonly CaseReport[]): Readonly<Record<Outcome, number>> {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const { outcome } of cases) counts[outcome]++;
  return counts;
}
