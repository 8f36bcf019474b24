export { speedTargets } from './bars.js';
export { type CallOverhead, measureCallOverhead } from './call-overhead.js';
export { type Cost, type CostPair, measureCosts } from './costs.js';
export { performancePage } from './page.js';
export { performancePictures } from './pictures.js';
export { browserBench, runStudies, type Studies } from './studies.js';
export { parseStudies, stringifyStudies } from './studies-file.js';
export type { Target } from './targets.js';
export { measureWaking, type Waking } from './waking.js';
