import { readFileSync } from 'node:fs';
import { csvLines, jsonRows, npyElements, npyHeader } from '@softgrad/formats';
import { afterAll, describe, expect, test } from 'vitest';
import { limitsOf } from '../src/limits.js';
import { softgrad, temporaryFolder } from './command.js';

const folder = temporaryFolder();
afterAll(folder.remove);

test('the limit is three quarters of the memory, or of that of the container if it is less', () => {
  expect(limitsOf(0, 1000).memory).toBe(750);
  expect(limitsOf(400, 1000).memory).toBe(300);
  expect(limitsOf(2 ** 63, 1000).memory).toBe(750);
});

describe('rows are computed in chunks, without a seam', () => {
  const rows = 7;
  const logits = Float64Array.from({ length: rows * 3 }, (_, k) => Math.sin(k * k));
  const cotangent = Float64Array.from(logits, (value) => Math.cos(9 * value));
  const npy = (name: string, shape: readonly number[], data: Float64Array) =>
    folder.write(name, Buffer.concat([npyHeader('<f8', shape), npyElements(data, '<f8')]));
  const x = npy('x.npy', [rows, 3], logits);
  const g = folder.write('g.csv', [...csvLines({ shape: [rows, 3], data: cotangent }, ',')].join(''));
  const vector = npy('vector.npy', [rows], logits.slice(0, rows));
  const cube = npy('cube.npy', [3, 7, 1], logits);
  const kept = Float64Array.from(logits, (_, k) => (k % 4 === 0 ? 0 : 1));
  const rowMask = npy('mask.npy', [rows, 3], kept);
  const tableMask = folder.write('mask.csv', [...csvLines({ shape: [rows, 3], data: kept }, ',')].join(''));

  /** The output file of a command that processes at most `chunk` bytes at once. */
  async function outputOf(args: readonly string[], ending: string, chunk: number): Promise<Buffer> {
    const out = folder.at(`out.${ending}`);
    const { status, stderr } = await softgrad([...args, '--out', out, '--backend', 'cpu'], { limits: { chunk } });
    expect(status, stderr).toBe(0);
    return readFileSync(out);
  }

  test.each(['npy', 'npz', 'json', 'csv', 'tsv'])('in .%s, whatever the chunk', async (ending) => {
    const whole = await outputOf(['softmax', x], ending, 2 ** 20);
    // A row takes 24 bytes: a smaller chunk has one row nevertheless.
    for (const chunk of [1, 47, 72, 144]) {
      const parts = await outputOf(['softmax', x], ending, chunk);
      expect(parts.equals(whole), `by ${chunk} bytes`).toBe(true);
    }
  });

  test('of two files at once, of a .csv, and of more dimensions', async () => {
    for (const args of [
      ['vjp', x, '--upstream', g],
      ['jvp', g, '--upstream', x],
      ['hvp', g, '--upstream', x, '--tangent', g],
      ['softmax', cube, '--axis', '1'],
      ['jacobian', x],
      ['jacobian', cube, '--axis', '1'],
      ['log-sum-exp', cube, '--axis', '1'],
      ['log-sum-exp', x],
      ['sigmoid', cube],
      ['softmax', x, '--mask', rowMask],
      ['softmax', x, '--mask', tableMask],
      ['vjp', g, '--upstream', x, '--mask', '1,0,1'],
    ]) {
      const whole = await outputOf(args, 'json', 2 ** 20);
      expect((await outputOf(args, 'json', 56)).equals(whole), args.join(' ')).toBe(true);
    }
  });

  test('on standard output, too', async () => {
    const { stdout } = await softgrad(['softmax', x, '--backend', 'cpu'], { limits: { chunk: 24 } });
    const shown: number[][] = JSON.parse(stdout);
    expect(shown.map((row) => row.length)).toEqual(new Array(rows).fill(3));
    const whole = await softgrad(['softmax', x, '--backend', 'cpu']);
    expect(stdout).toBe(whole.stdout);
    expect(stdout).toMatch(/^\[\[/);
    expect([...jsonRows({ shape: [rows, 3], data: Float64Array.from(shown.flat()) })].join('')).toBe(
      stdout.slice(1, -2),
    );
  });

  test('the first axis needs all rows at once', async () => {
    for (const args of [
      ['softmax', x, '--axis', '0'],
      ['softmax', vector],
    ]) {
      const whole = await outputOf(args, 'npy', 2 ** 20);
      expect((await outputOf(args, 'npy', 8)).equals(whole)).toBe(true);
    }
  });
});

describe('data that does not fit into memory is an error with advice, and data that fits is accepted', () => {
  const ones = folder.writeNpy('ones.npy', [
    [1, 1, 1],
    [1, 1, 1],
    [1, 1, 1],
    [1, 1, 1],
  ]);
  const text = '[[1, 1, 1], [1, 1, 1], [1, 1, 1], [1, 1, 1]]';
  const list = folder.write('list.json', '[1, 2, 3]');
  const json = folder.write('ones.json', text);
  const txt = folder.write('ones.txt', text);
  const labels = folder.write('labels.json', '[0, 0, 0, 0]');
  // The limit counts an array four times in float64: 12 numbers are 384 bytes.
  const all = 384;
  const advice = {
    rows: 'ones.npy: too large to fit into memory; axis 0 needs all rows at once: store the transpose in C order',
    axis: 'its only axis needs all of it at once, on a machine with more memory',
    jacobian: 'too large to fit into memory; so is its Jacobian, but `softgrad vjp` multiplies by it in O(f) per row',
    loss: 'ones.npy: too large to fit into memory; compute the rows in parts, and add up their losses',
    demo: 'ones.npy: too large to fit into memory; pass fewer rows',
    doctor: 'ones.npy: too large to fit into memory; pass fewer rows: any of them shows the mistake',
    matrices: 'its Jacobian of shape (3, 3) takes 72 bytes in float64, but cpu can hold',
    row: 'its Jacobian of shape (1, 3, 3) takes 72 bytes in float64, but cpu can hold',
    mask: 'ones.csv: too large to fit into memory; a mask as a .npy is read row by row',
  };

  test.each<[string, readonly string[], number, string]>([
    ['the first axis', ['softmax', ones, '--axis', '0'], all, advice.rows],
    ['the one axis', ['softmax', list], 96, advice.axis],
    ['the logits of a Jacobian', ['jacobian', list], 96, advice.jacobian],
    ['a Jacobian', ['jacobian', list], 2 * 72, advice.matrices],
    ['the Jacobian of a row', ['jacobian', ones], 2 * 72, advice.row],
    ['a mask in a table', ['softmax', ones, '--mask', folder.write('ones.csv', '1,1,1\n'.repeat(4))], all, advice.mask],
    ['a cross-entropy', ['cross-entropy', ones, '--target', labels], all, advice.loss],
    ['the target', ['cross-entropy', folder.write('two.json', '[[1, 2]]'), '--target', ones], all, advice.loss],
    ['the demo', ['demo', ones], all, advice.demo],
    ['the doctor', ['doctor', '--logits', ones, '--grad', ones], all, advice.doctor],
    [
      'a .json file',
      ['softmax', json],
      text.length,
      'ones.json: 44 bytes have to be read at once, but at most 43 bytes can be; use .npy or .csv, which are read row by row',
    ],
    [
      'a .txt file',
      ['softmax', txt],
      text.length,
      'ones.txt: 44 bytes have to be read at once, but at most 43 bytes can be',
    ],
  ])('%s', async (_, args, needed, message) => {
    const backend = args[0] === 'doctor' ? [] : ['--backend', 'cpu'];
    const run = (memory: number) => softgrad([...args, ...backend], { limits: { memory } });
    const { status, stdout, stderr } = await run(needed - 1);
    expect(stderr).toContain(message);
    expect([status, stdout]).toEqual([2, '']);
    expect((await run(2 * needed)).stderr).not.toContain('memory');
    const enough = await run(needed);
    expect(enough.stderr).not.toContain(message);
    expect(enough.stderr).not.toContain('have to be read at once');
  });
});

test('a file that ends with a chunk before the other file does has fewer rows, and one that goes on has more', async () => {
  const rows = (name: string, count: number) => folder.writeNpy(name, Array(count).fill([1, 2]));
  const [two, four] = [rows('two.npy', 2), rows('four.npy', 4)];
  // Chunks of two rows.
  const run = (input: string, upstream: string) =>
    softgrad(['vjp', input, '--upstream', upstream, '--backend', 'cpu'], { limits: { chunk: 32 } });
  const table = folder.write('two.csv', '1,2\n3,4\n');
  expect((await run(four, table)).stderr).toMatch(/two\.csv: fewer rows than .*four\.npy; expected the same number\n$/);
  expect((await run(two, folder.write('four.csv', '1,2\n'.repeat(4)))).stderr).toMatch(
    /four\.csv: more rows than .*two\.npy/,
  );
});

test('Jacobians of as many rows as fit into memory are computed at a time, whichever dimension has the classes', async () => {
  // Two rows of 10 classes, or 10 rows of 2: the Jacobians of one row take 800 or 32 bytes in float64.
  for (const [rows, columns, axis] of [
    [2, 10, -1],
    [10, 2, -1],
  ]) {
    const file = folder.writeNpy(`${rows}-rows.npy`, Array(rows).fill(Array(columns).fill(0)));
    const args = ['jacobian', file, '--axis', `${axis}`, '--backend', 'cpu'];
    const { status, stdout, stderr } = await softgrad(args, { limits: { memory: 2 * 8 * columns ** 2 } });
    expect([status, stderr]).toEqual([0, '']);
    expect(JSON.parse(stdout)).toHaveLength(rows);
  }
});
