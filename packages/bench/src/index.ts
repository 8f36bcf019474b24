export {
  type AccuracyOptions,
  type AccuracyProgress,
  type AccuracyReport,
  type AccuracyResult,
  measureAccuracy,
} from './accuracy/measure.js';
export type { AccuracyOpName } from './accuracy/ops/names.js';
export { selectAccuracyOps } from './accuracy/ops/table.js';
export { accuracyOverview, accuracySummary, accuracyTables, worstOf } from './accuracy/tables.js';
export { type BackendVariant, backendContender, backendSource } from './backend-contender.js';
export { type Correctness, outputChecker } from './check.js';
export { type Change, type Comparison, compareReports, comparisonTable } from './compare.js';
export type { Batch, Contender, ContenderSource, DeviceBatch, ExpLoop, Job } from './contender.js';
export { differences, type Environment, environment } from './environment.js';
export { describeColumns } from './legend.js';
export { markdownTable, toMarkdown } from './markdown.js';
export { calibrate, interleave, type Loop, type RoundTimes } from './measure.js';
export {
  type BenchOp,
  benchOps,
  type OpWithOptions,
  opsWithOptions,
  type PlainOp,
  plainOpOf,
  plainOps,
} from './ops.js';
export { peers } from './peers/all.js';
export type {
  BenchReport,
  ContenderDescription,
  ContenderResult,
  Mode,
  PerMode,
  RawResult,
  RawWorkload,
  Timed,
  WorkloadResult,
} from './report.js';
export { parseNumbers, parseReport, stringifyReport } from './report-file.js';
export type { Bound, Roof } from './roofline.js';
export { type BenchOptions, type BenchProgress, type Method, runBench } from './run.js';
export { selectContenders, selectWorkloads, type WorkloadSelection } from './selection.js';
export { isDifference, pairedRatio, type Ratio, type Samples, type Timing, timing } from './statistics.js';
export { summarize } from './summary.js';
export { describeRun, formatMs, formatSpeedUp, resultTable, resultTables, type TextTable } from './table.js';
export { type WorkloadInput, workloadInput } from './workload-input.js';
export {
  type BenchDType,
  type BenchShape,
  jacobianShapes,
  standardShapes,
  type Workload,
  workloadName,
} from './workloads.js';
