import type { BoundCase } from './run.js';

/** The outcome of a case. */
export interface CaseReport {
  readonly id: string;
  readonly name: string;
  readonly section: string;
  readonly outcome: 'passed' | 'failed' | 'skipped';
  /** The error, or why the case does not apply here: what the backend does not announce, or that a kernel declined. */
  readonly reason: string | null;
}

/** The outcomes of a backend's cases: plain data, an entry of the output of `softgrad conformance --json`. */
export interface ConformanceReport {
  readonly backend: string;
  /** Why the backend cannot run here, or null. */
  readonly unavailable: string | null;
  /** How many cases the whole suite has for this backend: more than `cases` if only a part of it ran, and 0 if the backend cannot run. */
  readonly total: number;
  readonly cases: readonly CaseReport[];
}

/**
 * Runs a case, unless it does not apply, and reports its outcome; never rejects.
 *
 * @example
 * const [first] = await conformance(cpu);
 * (await reportCase(first)).outcome; // 'passed'
 */
export async function reportCase({ id, name, section, skip, run, declined }: BoundCase): Promise<CaseReport> {
  if (skip !== null) return { id, name, section, outcome: 'skipped', reason: skip };
  try {
    await run();
    const reason = declined?.() ?? null;
    return { id, name, section, outcome: reason === null ? 'passed' : 'skipped', reason };
  } catch (error) {
    return { id, name, section, outcome: 'failed', reason: error instanceof Error ? error.message : String(error) };
  }
}
