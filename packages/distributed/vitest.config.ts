import { mergeConfig } from 'vitest/config';
import { shared } from '../../vitest.shared.ts';

// Tests of faults start processes: more of them at once than there are cores only wait for each other.
export default mergeConfig(shared, { test: { maxConcurrency: 2 } });
