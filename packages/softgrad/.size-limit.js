// What an application loads that bundles softgrad: minified, gzipped, each backend a chunk of its own that is loaded when it is chosen.
const path = 'dist/index.js';
const others = ['@softgrad/backend-webgpu', '@softgrad/backend-gpujs', '@softgrad/backend-tfjs'];

/** As bundlers for browsers do it: modules, and a chunk for each import(). */
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
  check('tensor, softmax, setBackend, with cpu', '21.5 kB', ['@softgrad/backend-wasm', ...others]),
  // An engine loads one of the two builds of the kernels, which are of about the same size. The worker's source is loaded where
  // threads are asked for and its file is not found.
  check('the same, with cpu and wasm', '69 kB', [...others, './relaxed.generated.js', './worker.generated.js']),
];
