import type { TestProject } from 'vitest/node';
import { startServer } from '../server.mjs';

declare module 'vitest' {
  export interface ProvidedContext {
    /** The address of the page. */
    url: string;
  }
}

/** One server for all test files. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await startServer();
  project.provide('url', server.url);
  return () => server.close();
}
