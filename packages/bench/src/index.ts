export { backendContender, backendSource } from './backend-contender.js';
export { backends, registerBackends } from './backends.js';
export { type Correctness, checkOutput } from './check.js';
export type { Batch, Contender, ContenderSource, Job } from './contender.js';
export { type Environment, environment } from './environment.js';
export { naive } from './peers/naive.js';
export { tfjs } from './peers/tfjs.js';
export type { BenchReport, ContenderResult, Mode, WorkloadResult } from './report.js';
export { type BenchOptions, type BenchProgress, runBench } from './run.js';
export { pairedRatio, type Ratio, type Timing } from './statistics.js';
export {
  type BenchOp,
  type BenchShape,
  benchOps,
  jacobianShapes,
  standardShapes,
  type Workload,
  workloadName,
} from './workloads.js';
