import { mergeConfig } from 'vitest/config';
import { shared } from '../../vitest.shared.ts';

export default mergeConfig(shared, {
  test: {
    // All files share a browser, whose engines want the processors.
    fileParallelism: false,
    globalSetup: 'test/global-setup.ts',
    expect: { poll: { timeout: 150_000 } },
  },
});
