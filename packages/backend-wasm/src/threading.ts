// What only a backend with several threads needs, in a dynamic import of its own: most pages use one thread. These files import nothing of the others but
// types, since a bundler would put what both need into a third chunk, which every page loads.
export { controlBytes } from './job.js';
export { spawner, threadsMissing } from './spawn.js';
export { openPool } from './threads.js';
