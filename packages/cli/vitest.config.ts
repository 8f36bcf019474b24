import { mergeConfig } from 'vitest/config';
import { sharedBuilt } from '../../vitest.shared.ts';

export default mergeConfig(sharedBuilt(import.meta.dirname), {
  test: {
    // What a spawned process does is not seen by mutation testing, whose copy of the package is not built.
    exclude: process.env.STRYKER_MUTATOR_WORKER === undefined ? [] : ['test/process.test.ts'],
  },
});
