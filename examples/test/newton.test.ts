import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const main = fileURLToPath(new URL('../dist/newton/main.js', import.meta.url));

test('Newton’s method doubles its digits with each step, and finds what a textbook prints', () => {
  const folder = mkdtempSync(join(tmpdir(), 'newton-'));
  try {
    const svg = join(folder, 'new', 'curves.svg');
    const output = execFileSync(process.execPath, [main, '--svg', svg], { encoding: 'utf8' });
    const slopes = [...output.matchAll(/^ {2}step \d.* (\S+)$/gm)].map(([, slope]) => Number(slope));
    expect(slopes.length).toBe(7);
    // A wrong Hessian would still converge, but by a constant factor each step.
    expect(slopes[5] / slopes[4]).toBeLessThan(1e-3);
    expect(slopes[6]).toBeLessThan(1e-12);
    const rows = [...output.matchAll(/│ (\S+) +│ (\S+) +│ (\S+) ± (\S+) +│/g)];
    expect(rows.length).toBe(4);
    for (const [, estimate, error, ...published] of rows) expect([estimate, error]).toEqual(published);
    expect(readFileSync(svg, 'utf8')).toContain('>invertebrates</text>');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
