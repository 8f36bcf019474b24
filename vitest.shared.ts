import { defineConfig } from 'vitest/config';

/** What every package's tests have in common: a readable log and a count for the total of `npm test`. */
export const shared = defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    reporters: ['default', ['json', { outputFile: 'reports/vitest.json' }]],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
