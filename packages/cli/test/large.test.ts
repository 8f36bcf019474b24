import { statSync, truncateSync, writeFileSync } from 'node:fs';
import { npyElements, npyHeader } from '@softgrad/formats';
import { afterAll, expect, test } from 'vitest';
import { softgrad, temporaryFolder } from './command.js';

const folder = temporaryFolder();
afterAll(folder.remove);

/** A float32 file of zeros that takes no room on the disk. */
function zeros(name: string, rows: number, columns: number, order: 'C' | 'Fortran' = 'C'): string {
  const header = Buffer.from(npyHeader('<f4', [rows, columns])).toString('latin1');
  const text = order === 'C' ? header : header.replace("'fortran_order': False", "'fortran_order': True ");
  const path = folder.write(name, Buffer.from(text, 'latin1'));
  truncateSync(path, text.length + rows * columns * 4);
  return path;
}

/** Runs a command and gives the most memory that it had, in bytes. */
function peakMemory(args: readonly string[]): number {
  const before = `import { writeSync } from 'node:fs'; process.on('exit', () => writeSync(2, 'peak ' + process.resourceUsage().maxRSS))`;
  const { status, stderr } = softgrad([...args, '--backend', 'cpu'], { before });
  expect(status, stderr).toBe(0);
  return Number(/^peak (\d+)$/.exec(stderr)?.[1]) * 1024;
}

test('a file is computed in less memory than it takes, and all of it', async () => {
  const input = zeros('zeros.npy', 800_000, 128);
  const out = folder.at('out.npy');
  expect(peakMemory(['softmax', input, '--out', out])).toBeLessThan(0.75 * statSync(input).size);
  expect(statSync(out).size).toBe(statSync(input).size);
});

test('so are two files at once, one of them in Fortran order', () => {
  const input = zeros('c.npy', 400_000, 128);
  const upstream = zeros('f.npy', 400_000, 128, 'Fortran');
  const out = folder.at('out.npy');
  expect(peakMemory(['vjp', input, '--upstream', upstream, '--out', out])).toBeLessThan(
    0.75 * 2 * statSync(input).size,
  );
  expect(statSync(out).size).toBe(statSync(input).size);
});

test('a .csv is computed in a JavaScript heap smaller than its numbers', () => {
  const rows = 400_000;
  const input = folder.at('tall.csv');
  writeFileSync(input, `${'1,'.repeat(19)}1\n`.repeat(rows));
  expect(rows * 20 * 8).toBeGreaterThan(60e6);
  const out = folder.at('out.npy');
  const { status, stderr } = softgrad(['log-softmax', input, '--out', out, '--backend', 'cpu'], {
    node: ['--max-old-space-size=40'],
  });
  expect(status, stderr).toBe(0);
  expect(statSync(out).size).toBe(128 + rows * 20 * 8);
});

test('chunks join without a seam', async () => {
  const rows = 1_000_000;
  const data = Float64Array.from({ length: rows * 3 }, (_, k) => Math.sin(k * k));
  const input = folder.write('waves.npy', Buffer.concat([npyHeader('<f8', [rows, 3]), npyElements(data, '<f8')]));
  expect(softgrad(['softmax', input, '--out', folder.at('waves-out.npy'), '--backend', 'cpu']).status).toBe(0);
  const result = await folder.readNpy('waves-out.npy');
  expect(result.shape).toEqual([rows, 3]);
  let largest = 0;
  for (let row = 0; row < rows; row++) {
    const exps = [0, 1, 2].map((column) => Math.exp(data[row * 3 + column]));
    const total = exps[0] + exps[1] + exps[2];
    for (let column = 0; column < 3; column++) {
      largest = Math.max(largest, Math.abs(result.data[row * 3 + column] - exps[column] / total));
    }
  }
  expect(largest).toBeLessThan(1e-15);
});
