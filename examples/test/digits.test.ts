import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';

const main = fileURLToPath(new URL('../dist/digits/main.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'softgrad-digits-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Accuracies in percent by epoch, from what the example prints. */
function train(...options: string[]): Map<string, number[]> {
  const output = execFileSync(process.execPath, [main, '--backend', 'cpu', ...options], { encoding: 'utf8' });
  const byDerivative = new Map<string, number[]>();
  for (const [, derivative, accuracy] of output.matchAll(/^(\S+) +epoch .* accuracy +([\d.]+) %$/gm)) {
    byDerivative.set(derivative, [...(byDerivative.get(derivative) ?? []), Number(accuracy)]);
  }
  return byDerivative;
}

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

test('nine thousand digits are learned to more than 93 %', () => {
  expect(train('--epochs', '8').get('fused')?.at(-1)).toBeGreaterThan(93);
});

test('a sigmoid layer learns too', () => {
  expect(train('--activation', 'sigmoid', '--epochs', '2', '--digits', '3000').get('fused')?.at(-1)).toBeGreaterThan(
    75,
  );
});
