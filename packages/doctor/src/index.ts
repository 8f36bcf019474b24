/**
 * `@softgrad/doctor`: which known mistake explains a softmax gradient that somebody computed, and what to write instead.
 *
 * @module doctor
 */

export { diagnose } from './diagnose.js';
export type { DiagnoseInput, DiagnoseOptions, Diagnosis, DiagnosisEvidence, DiagnosisMatch } from './diagnosis.js';
export { type KnownExpression, knownExpressions } from './expressions/unknown.js';
export type { Layer, LossReduction, ProblemInput } from './input.js';
export type { Remedy } from './remedy.js';
export { formatDiagnosis } from './report.js';
