import { npyHeader } from '@softgrad/formats';
import { afterAll, expect, test } from 'vitest';
import { formatMatrix, formatNumber } from '../src/table.js';
import { softgrad, temporaryFolder } from './command.js';

const folder = temporaryFolder();
afterAll(folder.remove);

/** The matrices of the demo, by the heading above each. */
function sections(stdout: string): Map<string, number[][]> {
  const found = new Map<string, number[][]>();
  for (const block of stdout.trim().split('\n\n')) {
    const [title, ...lines] = block.split('\n');
    const rows = lines.filter((line) => line.startsWith('  ['));
    found.set(
      title,
      rows.map((row) => row.replace(/[[\]]/g, '').trim().split(/\s+/).map(Number)),
    );
  }
  return found;
}

async function demo(...args: string[]): Promise<Map<string, number[][]>> {
  const { status, stdout, stderr } = await softgrad(['demo', ...args, '--backend', 'cpu']);
  expect(stderr).toBe('');
  expect(status).toBe(0);
  return sections(stdout);
}

test('both sums of Jacobian rows are rounding errors, the vjp is not', async () => {
  const shown = await demo();
  expect(shown.get('softmax(x)')?.[0]).toEqual([0.335327, 0.325237, 0.339436]);
  expect(shown.get('softmax.jacobian(s)')).toEqual([
    [0.222883, -0.109061, -0.113822],
    [-0.109061, 0.219458, -0.110397],
    [-0.113822, -0.110397, 0.224219],
  ]);
  for (const title of ['The np.roll way to get back to the shape of x', 'The J.sum(axis=1) way']) {
    const noise = shown.get(title)?.flat() ?? [];
    expect(noise).toHaveLength(12);
    for (const value of noise) expect(Math.abs(value)).toBeLessThan(1e-16);
  }
  expect(shown.get('softmax.vjp(s, g)')?.[1]).toEqual([-0.10911, 0.219524, -0.110413]);
  expect(shown.get('sigmoid.vjp(y, ones)')?.[0]).toEqual([0.242934, 0.24413, 0.242429]);
});

test('rounding errors are printed with exponents, not with many zeros', async () => {
  const { stdout } = await softgrad(['demo', '--backend', 'cpu']);
  expect(stdout).toMatch(/\d\.\d+e-1[78]/);
  expect(stdout).not.toMatch(/0\.00000/);
});

test('takes a signal and an upstream gradient', async () => {
  const input = folder.write('x.json', '[[0, 0]]');
  const upstream = folder.write('g.json', '[[2, 0]]');
  const shown = await demo(input, '--upstream', upstream);
  expect(shown.get('softmax(x)')).toEqual([[0.5, 0.5]]);
  expect(shown.get('softmax.vjp(s, g)')).toEqual([[0.5, -0.5]]);
  expect(shown.get('sigmoid(x)')).toEqual([[0.5, 0.5]]);
});

test('shows the first rows of a long signal, and says so', async () => {
  const signalOf = (length: number) => Array.from({ length }, (_, k) => [k, 2]);
  const input = folder.write('long.json', JSON.stringify(signalOf(9)));
  const { stdout, status } = await softgrad(['demo', input, '--backend', 'cpu']);
  expect(status).toBe(0);
  expect(stdout).toMatch(/^The first 6 of 9 rows of .*long\.json:\n\nThe signal x\n/);
  expect(sections(stdout.slice(stdout.indexOf('\n'))).get('The signal x')).toEqual(signalOf(6));
  const whole = await softgrad(['demo', folder.write('six.json', JSON.stringify(signalOf(6))), '--backend', 'cpu']);
  expect(whole.stdout).toBe(stdout.slice(stdout.indexOf('\n') + 1));
});

test('throws for other dimensions, and for an upstream of another shape', async () => {
  const vector = folder.write('vector.json', '[1, 2]');
  const matrix = folder.write('matrix.json', '[[1, 2]]');
  const other = folder.write('other.json', '[[1, 2, 3]]');
  const first = await softgrad(['demo', vector]);
  expect([first.status, first.stdout]).toEqual([2, '']);
  expect(first.stderr).toMatch(/vector\.json: shape \(2,\); expected \(n, f\)/);
  expect((await softgrad(['demo', matrix, '--upstream', '1,2'])).stderr).toMatch(
    /^softgrad: --upstream 1,2: shape \(2,\); expected \(n, f\)/,
  );
  const second = await softgrad(['demo', matrix, '--upstream', other]);
  expect([second.status, second.stdout]).toEqual([2, '']);
  expect(second.stderr).toMatch(/--upstream .*other\.json: shape \(1, 3\); expected \(1, 2\), the shape of the signal/);
});

test('its titles and explanations equal the reviewed snapshot; titles are bold on a terminal', async () => {
  const { stdout } = await softgrad(['demo', '--backend', 'cpu']);
  const lines = stdout.split('\n').filter((line) => !line.startsWith('  ['));
  const text = lines.join('\n').replace(/at most \S+ here/, 'at most … here');
  await expect(text).toMatchFileSnapshot('fixtures/demo.txt');
  const terminal = (await softgrad(['demo', '--backend', 'cpu'], { terminal: { columns: 200 } })).stdout;
  const bold = terminal.split('\n').filter((line) => line.startsWith('\u001b[1m') && line.endsWith('\u001b[22m'));
  const plain = (line: string) => line.replaceAll('\u001b[1m', '').replaceAll('\u001b[22m', '');
  expect(bold.map(plain)).toEqual([...sections(stdout).keys()]);
  expect(plain(terminal)).toBe(stdout);
});

test('both sums add the entries of the Jacobian in the order of NumPy, and the largest error is stated', async () => {
  const classes = 5;
  const rows = Array.from({ length: 3 }, (_, n) => Array.from({ length: classes }, (_, i) => Math.sin(7 * n + i * i)));
  const input = folder.write('noise.json', JSON.stringify(rows));
  const jacobian: number[][][] = JSON.parse((await softgrad(['jacobian', input, '--backend', 'cpu'])).stdout);
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  // np.roll(s, k) moves entry i − k to i.
  const rolled = jacobian.map((J) => J.map((row, i) => sum(row.map((_, k) => row[(i - k + classes) % classes]))));
  const summed = jacobian.map((J) => J[0].map((_, j) => sum(J.map((row) => row[j]))));
  const { stdout } = await softgrad(['demo', input, '--backend', 'cpu']);
  const block = (title: string) => stdout.split('\n\n').find((text) => text.trim().startsWith(title)) ?? '';
  expect(rolled.flat()).not.toEqual(summed.flat());
  for (const [title, noise] of [
    ['The np.roll way', rolled],
    ['The J.sum(axis=1) way', summed],
  ] as const) {
    expect(noise.flat().some((value) => value !== 0)).toBe(true);
    expect(block(title)).toContain(`:\n${formatMatrix(noise.flat(), classes)}`);
  }
  const most = Math.max(...summed.flat().map(Math.abs));
  expect(block('The J.sum(axis=1) way')).toContain(`: at most ${formatNumber(most)} here. `);
});

test.each([
  ['rows', '(0, 3)', () => folder.write('none.npy', npyHeader('<f8', [0, 3]))],
  ['columns', '(2, 0)', () => folder.write('none.json', '[[], []]')],
])('a signal without %s is an error', async (_, shape, write) => {
  const { status, stdout, stderr } = await folder.softgrad(['demo', write()]);
  expect(stderr).toMatch(/^softgrad: none\.(npy|json): /);
  expect(stderr).toContain(`: ${shape} is empty\n`);
  expect([status, stdout]).toEqual([2, '']);
});

test('an engine without float64 computes in float32', async () => {
  const { stdout } = await softgrad(['demo', '--backend', 'gpujs']);
  expect(stdout).toMatch(/^\nThe signal x\n\(4, 3\) in float32, computed on gpujs/);
  expect(sections(stdout).get('softmax(x)')?.[0]).toEqual([0.335327, 0.325237, 0.339436]);
});

test('an input that is no matrix is an error that begins with its name', async () => {
  const { status, stderr } = await softgrad(['demo', '1,2']);
  expect(stderr).toBe('softgrad: 1,2: shape (2,); expected (n, f), samples by features\n');
  expect(status).toBe(2);
});

test('only one of its files can be standard input', async () => {
  expect(await softgrad(['demo', '-', '--upstream', '-'], { input: '1,2\n3,4\n' })).toEqual({
    status: 2,
    stdout: '',
    stderr: 'softgrad: INPUT and --upstream cannot both be standard input\n',
  });
});
