export { backendContender, backendSource } from './backend-contender.js';
export { type Correctness, checkOutput } from './check.js';
export type { Batch, Contender, ContenderSource, Job } from './contender.js';
export { type Environment, environment } from './environment.js';
export { peers } from './peers.js';
export type { BenchReport, ContenderResult, Mode, WorkloadResult } from './report.js';
export { type BenchOptions, type BenchProgress, runBench } from './run.js';
export { type Selection, selectContenders, selectWorkloads } from './selection.js';
export { pairedRatio, type Ratio, type Timing } from './statistics.js';
export { formatMs, type ResultTable, resultTables, toMarkdown } from './table.js';
export {
  type BenchOp,
  type BenchShape,
  benchOps,
  jacobianShapes,
  standardShapes,
  type Workload,
  workloadName,
} from './workloads.js';
