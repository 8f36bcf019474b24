// The tests that `npm test` runs once for several packages, in one process.

/** Their names, after which a configuration of Vitest at the root is called: `vitest.browsers.config.ts`. */
export const together = ['browsers', 'conformance'];

/** Folders of `packages` whose conformance suite runs in one process, with the files that it consists of. */
export const conformanceTests = {
  core: 'test/conformance*.test.ts',
  'backend-cpu': 'test/conformance.test.ts',
  'backend-wasm': 'test/conformance.test.ts',
  'backend-gpujs': 'test/conformance.test.ts',
  'backend-tfjs': 'test/conformance.test.ts',
};
