import { mergeConfig } from 'vitest/config';
import { sharedBuilt } from '../../vitest.shared.ts';

/** Needs a server that the tests do not start: see the file. */
const withServer = process.env.SOFTGRAD_TEST_S3 ? [] : ['test/s3.server.test.ts'];

// Tests of faults start processes: more of them at once than there are cores only wait for each other.
export default mergeConfig(sharedBuilt(import.meta.dirname), { test: { maxConcurrency: 2, exclude: withServer } });
