import { afterAll, expect, test } from 'vitest';
import { formatAlike } from '../src/table.js';
import { csv, signal, softgrad, temporaryFolder } from './command.js';

const folder = temporaryFolder();
afterAll(folder.remove);

const input = folder.write('signal.csv', csv(signal));

/** What a terminal shows, of a width that is not known unless it is given. */
async function show(args: readonly string[], columns?: number): Promise<string> {
  const terminal = columns === undefined ? true : { columns };
  const { status, stdout, stderr } = await softgrad([...args, '--backend', 'cpu'], { terminal });
  expect(status, stderr).toBe(0);
  return stdout;
}

test('an array is a table, with its shape', async () => {
  const stdout = await show(['softmax', input]);
  expect(stdout).toMatch(/^softmax \(4, 3\)\n/);
  expect(stdout).toContain('0.335327');
  expect(stdout.split('\n').filter((line) => line.includes('0.33'))).toHaveLength(4);
});

test('a long and wide one says what it leaves out', async () => {
  const stdout = await show(['softmax', folder.zeros('long.npy', 1000, 50)]);
  expect(stdout).toMatch(/^softmax \(1000, 50\)\n/);
  expect(stdout).toContain('│ … │');
  expect(stdout).toMatch(/\n… 980 more rows, 4\d more columns; --out FILE writes all of them\n$/);
  for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
});

test('as many columns are shown as the terminal is wide', async () => {
  const wide = ['softmax', folder.zeros('wide.npy', 2, 8)];
  expect(await show(wide, 200)).not.toContain('more columns');
  const narrow = await show(wide, 40);
  expect(narrow).toMatch(/│ 0\.125000 +│ … │\n/);
  expect(narrow).toMatch(/\n… [1-9] more columns; --out FILE writes all of them\n$/);
  for (const line of narrow.split('\n').filter((text) => /[│┌└]/.test(text)))
    expect(line.length).toBeLessThanOrEqual(40);
});

test('the numbers of one table are in one notation', async () => {
  const small = await show(['softmax', folder.write('small.json', '[[0, 20, 5]]')]);
  expect(small).toMatch(/2\.06115e-9 +│ 1\.00000e\+0 +│ 3\.05902e-7 /);
  const plain = await show(['softmax', folder.write('plain.json', '[[0, 0, 0, 0], [1, 0, 1, 0]]')]);
  expect(plain.match(/\d\.\d+/g)?.every((number) => /^0\.\d{6}$/.test(number))).toBe(true);
});

test('matrices are a table each; a loss is a line', async () => {
  expect(await show(['jacobian', input])).toMatch(/^jacobian \(4, 3, 3\)\n\[0\]\n[^[]*\n\[1\]\n/);
  expect(await show(['cross-entropy', input, '--target', input])).toMatch(/^loss 1\.09781\ngradient \(4, 3\)\n/);
});

test.each([
  [
    [1, -2, 0],
    ['1', '-2', '0'],
  ],
  [
    [0.0486, 0.5],
    ['0.048600', '0.500000'],
  ],
  [
    [12.345678, 0.05],
    ['12.3457', '0.0500'],
  ],
  // Six digits after the first of −1003.05 leave one of −0.0486: that is no result.
  [
    [-1003.0486, -0.0486],
    ['-1.00305e+3', '-4.86000e-2'],
  ],
  [
    [-1e5, -1.0986123],
    ['-1.00000e+5', '-1.09861e+0'],
  ],
  [
    [Number.NEGATIVE_INFINITY, -1.0986123, 0],
    ['-Infinity', '-1.09861', '0.00000'],
  ],
])('numbers of one table are in one notation that keeps digits of each: %j', (values, texts) => {
  expect(formatAlike(values)).toEqual(texts);
});
