import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { estimate } from '../src/digits/estimate.js';
import { train } from './digits.js';

const folder = mkdtempSync(join(tmpdir(), 'softgrad-digits-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('the right derivatives learn, and the row sums stay exactly where they were', () => {
  const svg = join(folder, 'curves.svg');
  const options = ['--derivative', 'all', '--epochs', '1', '--digits', '800', '--svg', svg];
  const { accuracies: runs, stderr } = train(...options);
  expect(runs.get('fused')?.at(-1)).toBeGreaterThan(75);
  expect(runs.get('vjp')?.at(-1)).toBeGreaterThan(75);
  const [before, after] = runs.get('row-sum') ?? [];
  expect(after).toBe(before);
  expect(runs.get('diagonal')?.at(-1)).toBeLessThan(20);
  expect(readFileSync(svg, 'utf8')).toMatch(/^<svg .*xmlns="http:\/\/www.w3.org\/2000\/svg"/);
  expect(stderr).toMatch(/^about \d+ s for the other 3 epochs, with 4 networks of 1\n$/);
});

test('a sigmoid layer learns too', () => {
  const { accuracies } = train('--activation', 'sigmoid', '--epochs', '2', '--digits', '1500');
  expect(accuracies.get('fused')?.at(-1)).toBeGreaterThan(75);
});

test('after the first epoch it is said how long the others take', () => {
  /** What is said about training whose first epoch takes so long. */
  const said = (networks: number, epochs: number, seconds: number) => {
    const now = vi.spyOn(performance, 'now').mockReturnValue(5000);
    const lines: string[] = [];
    const onEpoch = estimate(networks, epochs, (line) => lines.push(line));
    now.mockReturnValue(5000 + 1000 * seconds);
    for (let epoch = 0; epoch < networks * epochs; epoch++) onEpoch();
    now.mockRestore();
    return lines;
  };
  expect(said(4, 2, 1.01)).toEqual(['about 8 s for the other 7 epochs, with 4 networks of 2']);
  expect(said(1, 2, 119)).toEqual(['about 119 s for the other epoch']);
  expect(said(1, 2, 119.1)).toEqual(['about 2 min for the other epoch']);
  expect(said(1, 3, 75)).toEqual(['about 3 min for the other 2 epochs']);
  expect(said(1, 1, 1)).toEqual([]);
});
