import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { train } from './digits.js';

const folder = mkdtempSync(join(tmpdir(), 'softgrad-digits-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('the right derivatives learn, and the row sums stay exactly where they were', () => {
  const svg = join(folder, 'curves.svg');
  const runs = train('--derivative', 'all', '--epochs', '1', '--digits', '3000', '--svg', svg);
  expect(runs.get('fused')?.at(-1)).toBeGreaterThan(75);
  expect(runs.get('vjp')?.at(-1)).toBeGreaterThan(75);
  const [before, after] = runs.get('row-sum') ?? [];
  expect(after).toBe(before);
  expect(runs.get('diagonal')?.at(-1)).toBeLessThan(20);
  expect(readFileSync(svg, 'utf8')).toMatch(/^<svg .*xmlns="http:\/\/www.w3.org\/2000\/svg"/);
});

test('a sigmoid layer learns too', () => {
  expect(train('--activation', 'sigmoid', '--epochs', '2', '--digits', '3000').get('fused')?.at(-1)).toBeGreaterThan(
    75,
  );
});
