export { speedTargets } from './performance/bars.js';
export { type CallOverhead, measureCallOverhead } from './performance/call-overhead.js';
export { performancePage } from './performance/page.js';
export { runStudies, type Studies } from './performance/studies.js';
export type { Target } from './performance/targets.js';
