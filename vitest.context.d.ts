import 'vitest';

declare module 'vitest' {
  interface ProvidedContext {
    /** Whether every test runs, as in `npm run test:all`: see vitest.shared.ts. */
    everything: boolean;
  }
}
