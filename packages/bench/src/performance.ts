export { speedTargets } from './performance/bars.js';
export { type CallOverhead, measureCallOverhead } from './performance/call-overhead.js';
export { type Cost, type CostPair, measureCosts } from './performance/costs.js';
export { performancePage } from './performance/page.js';
export { performancePictures } from './performance/pictures.js';
export { runStudies, type Studies } from './performance/studies.js';
export { parseStudies, stringifyStudies } from './performance/studies-file.js';
export type { Target } from './performance/targets.js';
