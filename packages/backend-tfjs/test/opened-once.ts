import type { Backend } from '@softgrad/core';
import { afterAll } from 'vitest';

/** One backend for all tests that ask for it, opened for the first of them and closed after the last: a new one compiles its kernels again. */
export function openedOnce<B extends Backend>(open: () => Promise<B>): () => Promise<B> {
  let opened: Promise<B> | undefined;
  afterAll(async () => {
    await (await opened)?.close();
  });
  return () => {
    opened ??= open();
    return opened;
  };
}
