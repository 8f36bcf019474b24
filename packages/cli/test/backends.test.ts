import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { softgrad } from './command.js';

const names = readdirSync(new URL('../..', import.meta.url))
  .filter((folder) => folder.startsWith('backend-'))
  .map((folder) => folder.slice('backend-'.length));

test('every backend is listed: what it can do here, or why it cannot run', () => {
  const { status, stdout } = softgrad(['backends', '--json']);
  expect(status).toBe(0);
  const reports: {
    name: string;
    unavailable: string | null;
    device: string | null;
    dtypes: string[];
    operations: Record<string, string>;
  }[] = JSON.parse(stdout);
  expect(reports.map(({ name }) => name).sort()).toEqual([...names].sort());
  for (const { unavailable, device, dtypes, operations } of reports) {
    if (unavailable !== null) {
      expect(unavailable).not.toBe('');
      expect([device, dtypes, operations]).toEqual([null, [], {}]);
    } else {
      expect(device).toBeTruthy();
      expect(dtypes).toContain('float32');
      expect(operations).toMatchObject({ softmax: 'kernel', 'softmax.jacobian': 'kernel', 'softmax.vjp': 'kernel' });
    }
  }
  expect(reports.find(({ name }) => name === 'cpu')).toMatchObject({
    unavailable: null,
    dtypes: ['float32', 'float64'],
  });
});

test('as a table for people', () => {
  const { status, stdout } = softgrad(['backends']);
  expect(status).toBe(0);
  for (const name of names) expect(stdout).toMatch(new RegExp(`│ ${name} +│ (yes|no) `));
});
