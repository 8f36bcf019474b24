import { mergeConfig } from 'vitest/config';
import { shared } from '../../vitest.shared.ts';

// Files share what they import: loading it again for each took longer than their tests.
export default mergeConfig(shared, { test: { isolate: false } });
