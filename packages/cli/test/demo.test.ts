import { afterAll, expect, test } from 'vitest';
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
  const input = folder.write('long.json', JSON.stringify(Array.from({ length: 9 }, () => [1, 2])));
  const { stdout, status } = await softgrad(['demo', input, '--backend', 'cpu']);
  expect(status).toBe(0);
  expect(stdout).toContain('The first 6 of 9 rows');
});

test('throws for other dimensions, and for an upstream of another shape', async () => {
  const vector = folder.write('vector.json', '[1, 2]');
  const matrix = folder.write('matrix.json', '[[1, 2]]');
  const other = folder.write('other.json', '[[1, 2, 3]]');
  const first = await softgrad(['demo', vector]);
  expect([first.status, first.stdout]).toEqual([2, '']);
  expect(first.stderr).toMatch(/vector\.json: 1 dimensions; expected \(n, f\)/);
  const second = await softgrad(['demo', matrix, '--upstream', other]);
  expect([second.status, second.stdout]).toEqual([2, '']);
  expect(second.stderr).toMatch(/--upstream .*other\.json: shape \(1, 3\); expected \(1, 2\), the shape of the signal/);
});
