// The sizes that a bundled application loads: minified and gzipped. First the package softgrad, each backend in a separate chunk that is loaded when
// it is chosen; docs/architecture.md, section "Bundle size", says what it consists of and what cannot be left out. Then each entry of the other
// packages that a page can load, with everything that it exports and what it imports.
const optional = ['@softgrad/backend-webgpu', '@softgrad/backend-gpujs', '@softgrad/backend-tfjs'];
// A page loads only one of the modules with the kernels; the two builds, with and without relaxed SIMD, have about the same size. What starts threads is
// loaded only if they are asked for, and the worker's source only if its file is not found.
const unusedByWasm = [
  './relaxed.generated.js',
  './relaxed-float32.generated.js',
  './threading.js',
  './worker.generated.js',
];
const unusedWithFloat64 = [...unusedByWasm, './simd-float32.generated.js'];
const unusedWithoutFloat64 = [...unusedByWasm, './simd.generated.js'];
const competitors = [
  '@tensorflow/*',
  '@jax-js/jax',
  'onnxruntime-common',
  'onnxruntime-node',
  'onnxruntime-web',
  'gpu.js',
];

/** Like bundlers for browsers: ES modules, and a chunk for each import(). */
const inChunks = (config) => ({ ...config, format: 'esm', splitting: true, platform: 'browser' });

/** Bundled into one file, import() and all. */
const inOneFile = (config) => ({ ...config, format: 'esm', splitting: false, platform: 'browser' });

const limited = { gzip: true, modifyEsbuildConfig: inChunks };

const application = (name, limit, ignore) => ({
  ...limited,
  name,
  path: 'dist/index.js',
  import: '{ tensor, softmax, setBackend }',
  ignore,
  limit,
});

/** Of @softgrad/core instead of softgrad, whose default backend is cpu. */
const withoutCpu = (name, limit, ignore) => ({
  ...application(name, limit, ignore),
  path: '../core/dist/src/index.js',
  import: {
    '../core/dist/src/index.js': '{ tensor, softmax, setBackend }',
    '../backend-wasm/dist/index.js': '{ wasm }',
  },
});

const entry = (name, file, limit, ignore = []) => ({
  ...limited,
  name: `@softgrad/${name}`,
  path: `../${file}`,
  ignore,
  limit,
});

export default [
  application('tensor, softmax, setBackend, with cpu', '34 kB', ['@softgrad/backend-wasm', ...optional]),
  application('the same, with cpu and wasm', '96.5 kB', [...optional, ...unusedWithFloat64]),
  {
    ...application('the same, with cpu and wasm for float32 alone', '71.5 kB', [...optional, ...unusedWithoutFloat64]),
    import: { 'dist/index.js': '{ tensor, softmax, setBackend }', '../backend-wasm/dist/index.js': '{ wasm }' },
  },
  withoutCpu('tensor, softmax, setBackend of core, with wasm', '78.1 kB', unusedWithFloat64),
  withoutCpu('the same, with wasm for float32 alone', '52.9 kB', unusedWithoutFloat64),
  entry('core', 'core/dist/src/index.js', '34.8 kB'),
  entry('core/conformance', 'core/dist/conformance/index.js', '96.3 kB'),
  entry('doctor', 'doctor/dist/index.js', '75.2 kB'),
  entry('doctor/code', 'doctor/dist/code.js', '87.5 kB'),
  entry('formats', 'formats/dist/index.js', '27.2 kB'),
  entry('backend-cpu', 'backend-cpu/dist/index.js', '18.5 kB'),
  entry('backend-wasm', 'backend-wasm/dist/index.js', '62.9 kB', unusedWithFloat64),
  { ...entry('backend-wasm/simd', 'backend-wasm/dist/simd.js', '66.8 kB'), modifyEsbuildConfig: inOneFile },
  { ...entry('backend-wasm/relaxed', 'backend-wasm/dist/relaxed.js', '65.4 kB'), modifyEsbuildConfig: inOneFile },
  entry('backend-wasm/worker', 'backend-wasm/dist/softgrad-worker.js', '1 kB'),
  entry('backend-webgpu', 'backend-webgpu/dist/index.js', '23.1 kB', ['webgpu']),
  entry('backend-gpujs without gpu.js', 'backend-gpujs/dist/index.js', '16.3 kB', ['gpu.js']),
  entry('backend-tfjs without TensorFlow.js', 'backend-tfjs/dist/index.js', '19.5 kB', ['@tensorflow/*']),
  entry('bench without the competing libraries', 'bench/dist/index.js', '57.5 kB', competitors),
  entry('bench/charts', 'bench/dist/charts.js', '87.5 kB'),
];
