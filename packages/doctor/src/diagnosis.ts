import type { TensorInput } from '@softgrad/core';
import type { ProblemInput } from './input.js';
import type { Remedy } from './remedy.js';

/** What `diagnose` takes: host data as nested arrays, typed arrays or `{ data, shape }`. */
export interface DiagnoseInput extends ProblemInput {
  /** The numbers somebody computed, (n, f) or (n, f, f), or the NumPy expression they used, one of `knownExpressions()`. */
  readonly gradient: TensorInput | string;
}

/** Options of `diagnose` that do not affect the result. */
export interface DiagnoseOptions {
  /** Called with the share of the work that is done, in (0, 1], which never falls; arrays of millions of numbers take seconds. */
  readonly onProgress?: (share: number) => void;
}

/** An explanation and its relative error, ‖given − explained‖ / max(‖given‖, ‖explained‖), where differences within rounding count as 0. */
export interface DiagnosisMatch {
  readonly id: string;
  readonly name: string;
  readonly formula: string;
  readonly error: number;
}

/** The numbers behind a diagnosis; null or 0 where an expression was given without data. */
export interface DiagnosisEvidence {
  /** The nearest explanation that does not fit. */
  readonly nextBest: DiagnosisMatch | null;
  /** The largest finite magnitude among the numbers. */
  readonly largest: number | null;
  /** How many of the numbers are NaN or infinite. */
  readonly nonFinite: number;
  readonly rows: number;
  /** Rows whose Jacobian is nearly 0, so that every gradient through it is too. */
  readonly saturatedRows: number;
  /** Rows whose Jacobian is 0 in float32 and whose given numbers are all 0. */
  readonly underflowedRows: number;
  /** Further observations, in sentences. */
  readonly notes: readonly string[];
}

/** What the given numbers are, why, and what to write instead; plain data that can be serialized as JSON. */
export interface Diagnosis {
  /** 'right', a mistake's id, 'saturated', 'underflow', 'ambiguous' (several fit) or 'unknown' (none does). */
  readonly verdict: string;
  /** The explanations that fit, the best first: one for a clear verdict, several for 'ambiguous', none for 'unknown'. */
  readonly matches: readonly DiagnosisMatch[];
  readonly evidence: DiagnosisEvidence;
  /** What the numbers are, in one sentence. */
  readonly what: string;
  readonly why: string;
  /** Correct code: a replacement for a mistake, or a reference if the numbers are right or unknown. */
  readonly instead: Remedy;
  /** True where the numbers are right and this code computes them: no loss with options or a mean that nobody told. */
  readonly insteadIsTheSame: boolean;
  /** The whole diagnosis as text, as `formatDiagnosis` writes it. */
  readonly text: string;
}
