// The size that a bundled application loads: minified and gzipped, each backend in a separate chunk that is loaded when it is chosen.
// docs/architecture.md, section "Bundle size", says what it consists of and what cannot be left out.
const path = 'dist/index.js';
const others = ['@softgrad/backend-webgpu', '@softgrad/backend-gpujs', '@softgrad/backend-tfjs'];

/** Like bundlers for browsers: ES modules, and a chunk for each import(). */
const inChunks = (config) => ({ ...config, format: 'esm', splitting: true, platform: 'browser' });

const check = (name, limit, ignore) => ({
  name,
  path,
  import: '{ tensor, softmax, setBackend }',
  ignore,
  limit,
  gzip: true,
  modifyEsbuildConfig: inChunks,
});

export default [
  check('tensor, softmax, setBackend, with cpu', '25.6 kB', ['@softgrad/backend-wasm', ...others]),
  // An engine loads only one of the two builds of the kernels, which have about the same size. The worker's
  // source is loaded only if threads are asked for and its file is not found.
  check('the same, with cpu and wasm', '74.8 kB', [...others, './relaxed.generated.js', './worker.generated.js']),
];
