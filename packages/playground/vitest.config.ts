import { mergeConfig } from 'vitest/config';
import { shared } from '../../vitest.shared.ts';

export default mergeConfig(shared, {
  test: {
    // Each file has a browser of its own, whose engines want the processors.
    fileParallelism: false,
    expect: { poll: { timeout: 30_000 } },
  },
});
