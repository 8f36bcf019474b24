import { expect, test } from 'vitest';
import { openPool } from '../src/pool.js';

test('a pool has the threads that are asked for, up to a number that a machine can start', async () => {
  for (const [threads, expected] of [
    [1, 1],
    [1024, 1024],
    [1025, 1024],
    [1e9, 1024],
  ] as const) {
    const pool = openPool({ root: '.', backends: 'file:///none.mjs', threads });
    expect(pool.threads).toBe(expected);
    await pool.close();
  }
});
