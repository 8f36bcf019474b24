/**
 * `@softgrad/core/conformance`: the test suite for backends, with its reference and its tolerances.
 *
 * @module conformance
 */

export {
  crossEntropy as referenceCrossEntropy,
  type ReferenceCrossEntropy,
  type ReferenceCrossEntropyOptions,
  type ReferenceTarget,
} from '../reference/cross-entropy.js';
export * as reference from '../reference/functions.js';
export type { ConformanceCase, Feature, Requirements } from './case.js';
export { cases } from './cases/all.js';
export { type Mismatch, mismatchOf } from './check.js';
export { type ExactBuffer, exact } from './exact.js';
export { faulty } from './faulty/all.js';
export type { Fault } from './faulty/fault.js';
export { type InputName, inputs, logits } from './inputs.js';
export { plain, plainCrossEntropy } from './kernel.js';
export { type CaseReport, type ConformanceReport, reportCase } from './report.js';
export { type BoundCase, type ConformanceOptions, conformance } from './run.js';
export { type ConformanceSection, sections, skipReasons } from './sections.js';
export * as tolerance from './tolerance.js';
export { type Traced, type TracedCall, traced } from './traced.js';
