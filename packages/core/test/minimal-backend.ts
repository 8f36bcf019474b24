/** A complete backend by a third party: storage and the three kernels, nothing else. */
export { MyBackend as MinimalBackend, mine as minimal } from '../template/backend.js';
