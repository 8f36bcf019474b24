import { createRequire } from 'node:module';
import { afterAll, expect, test } from 'vitest';
import {
  formatAlike,
  formatFitting,
  formatMatrix,
  formatNumber,
  formatTable,
  formatWrapped,
  terminalWriter,
} from '../src/table.js';
import { csv, recorder, signal, softgrad, temporaryFolder } from './command.js';

const folder = temporaryFolder();
afterAll(folder.remove);

const input = folder.write('signal.csv', csv(signal));

/** The output on a terminal, whose width is unknown unless it is given. */
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

test('a long and wide one states what it leaves out', async () => {
  const stdout = await show(['softmax', folder.zeros('long.npy', 1000, 50)]);
  expect(stdout).toMatch(/^softmax \(1000, 50\)\n/);
  expect(stdout).toContain('│ … │');
  expect(stdout).toMatch(/\n… 980 more rows, 4\d more columns; --out FILE writes all of them\n$/);
  for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
});

test('help is as wide as the terminal, and 80 columns where there is none', async () => {
  const widest = async (terminal: false | { readonly columns: number }) => {
    const { stdout } = await softgrad(['relu', '--help'], { terminal });
    const options = stdout.slice(stdout.indexOf('Options:'), stdout.indexOf('Files that are read'));
    return Math.max(...options.split('\n').map((line) => line.length));
  };
  for (const columns of [72, 120]) {
    const width = await widest({ columns });
    expect(width).toBeLessThanOrEqual(columns);
    expect(width).toBeGreaterThan(columns - 15);
  }
  expect(await widest(false)).toBe(80);
});

test('prose is wrapped at the width of a terminal, but not in a pipe, and neither is code', async () => {
  const longest = (text: string) => Math.max(...text.split('\n').map((line) => line.length));
  for (const columns of [60, 80]) {
    const wrapped = await show(['demo', input], columns);
    expect(longest(wrapped)).toBeLessThanOrEqual(columns);
    expect(longest(wrapped)).toBeGreaterThan(columns - 10);
  }
  const args = ['doctor', '--did', 'J.sum(axis=1)'];
  const { stdout: plain } = await softgrad(args);
  expect(longest(plain)).toBeGreaterThan(100);
  const { stdout } = await softgrad(args, { terminal: { columns: 40 } });
  const [prose, code] = stdout.split(/(?=^ {2}TypeScript )/m);
  expect(longest(prose)).toBeLessThanOrEqual(40);
  expect(prose).toContain('\n  Σ_j J_ij = s_i − s_i Σ_j s_j = 0,\n  since');
  expect(plain.endsWith(code)).toBe(true);
  expect(prose.split(/\s+/)).toEqual(plain.slice(0, -code.length).split(/\s+/));
});

test('conditions of the list of expressions, errors and notices are wrapped on a terminal, and not in a pipe', async () => {
  const longestOf = (text: string) => Math.max(...text.split('\n').map((line) => line.length));
  const words = (text: string) => text.split(/[\s#]+/);
  const known: { expression: string }[] = JSON.parse((await softgrad(['doctor', '--list', '--json'])).stdout);
  const isCode = (line: string) => known.some(({ expression }) => line === `  ${expression}`);
  for (const args of [
    ['doctor', '--list'],
    ['doctor', '--did', 'J.total()'],
    ['softmax', 'missing.npy', '--axis', '1', '--backend', `cpu:${'option '.repeat(20)}`],
    ['softmax', input, '--no-such-option', '--backend', 'cpu'],
    ['conformance', '--module', 'missing.js', '--backend', 'cpu'],
  ]) {
    const plain = await softgrad(args);
    const shown = await softgrad(args, { terminal: { columns: 80 } });
    const [before, after] = [plain, shown].map(({ stdout, stderr }) => `${stdout}${stderr}`);
    expect(words(after)).toEqual(words(before));
    expect(
      longestOf(
        after
          .split('\n')
          .filter((line) => !isCode(line))
          .join('\n'),
      ),
      after,
    ).toBeLessThanOrEqual(80);
    expect(shown.status).toBe(plain.status);
    expect(plain.stderr.trimEnd()).not.toContain('\n');
  }
  // Code is not broken.
  const { stdout } = await softgrad(['doctor', '--list'], { terminal: { columns: 50 } });
  expect(stdout).toContain(
    '\n  # One row only, J (f, f) and g (f,): of a batch,\n  # J (n, f, f) and g (n, f), @ multiplies other\n',
  );
  const code = 's * (1 - s) + sum(-s * np.roll(s, i, axis=1) for i in range(1, s.shape[1]))';
  expect(stdout).toContain(`\n  ${code}\n`);
});

test('a table that is too wide for a terminal has long cells in two lines, and then no padding', () => {
  const head = ['', 'reused out', 'speed-up', 'of its bound'];
  const rows = [['wasm:threads=2', '66.3 µs', 'no difference (0.863–1.16)', '< 1 % of exp']];
  const shown = (columns: number) => formatFitting(head, rows, recorder({ columns }));
  const whole = formatTable(head, rows);
  const width = (table: string) => Math.max(...table.split('\n').map((line) => line.length));
  expect(formatFitting(head, rows, recorder())).toBe(whole);
  expect(shown(width(whole))).toBe(whole);
  expect(shown(width(whole) - 1)).toBe(
    [
      '┌───────────┬─────────┬───────────────┬────────┐',
      '│           │ reused  │ speed-up      │ of its │',
      '│           │ out     │               │ bound  │',
      '├───────────┼─────────┼───────────────┼────────┤',
      '│ wasm:     │ 66.3 µs │ no difference │ < 1 %  │',
      '│ threads=2 │         │ (0.863–1.16)  │ of exp │',
      '└───────────┴─────────┴───────────────┴────────┘',
    ].join('\n'),
  );
  expect(width(shown(48))).toBe(48);
  expect(width(shown(47))).toBe(40);
});

test('rows beyond those that are shown are not, however many are read at a time', async () => {
  const args = ['softmax', folder.zeros('tall.npy', 70, 2), '--backend', 'cpu'];
  const whole = await softgrad(args, { terminal: true });
  // Chunks of 30, 30 and 10 rows of two numbers in float64.
  const chunked = await softgrad(args, { terminal: true, limits: { chunk: 30 * 16 } });
  expect(chunked.stdout).toBe(whole.stdout);
  expect(chunked.stdout.match(/^│ \d+ /gm)).toHaveLength(20);
});

test('as many columns are shown as fit into the terminal', async () => {
  const wide = ['softmax', folder.zeros('wide.npy', 2, 8)];
  expect(await show(wide, 200)).not.toContain('more columns');
  const narrow = await show(wide, 40);
  expect(narrow).toMatch(/│ 0\.125000 +│ … │\n/);
  expect(narrow).toMatch(/\n… [1-9] more columns; --out FILE writes all of them\n$/);
  for (const line of narrow.split('\n').filter((text) => /[│┌└]/.test(text)))
    expect(line.length).toBeLessThanOrEqual(40);
});

test('numbers of a table have equally many decimals, unless one is too small for that: then each has its own', async () => {
  const small = await show(['softmax', folder.write('small.json', '[[0, 20, 5]]')]);
  expect(small).toMatch(/2\.06115e-9 +│ 1\.00000 +│ 3\.05902e-7 /);
  const plain = await show(['softmax', folder.write('plain.json', '[[0, 0, 0, 0], [1, 0, 1, 0]]')]);
  expect(plain.match(/\d\.\d+/g)?.every((number) => /^0\.\d{6}$/.test(number))).toBe(true);
});

test('each matrix is a table; a loss is a line', async () => {
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
  // Two decimals, those of −1003.05, leave one digit of −0.0486, which is too few.
  [
    [-1003.0486, -0.0486],
    ['-1003.05', '-0.0486000'],
  ],
  [
    [-1e5, -1.0986123],
    ['-100000', '-1.09861'],
  ],
  [
    [Number.NEGATIVE_INFINITY, -1.0986123, 0],
    ['-Infinity', '-1.09861', '0.00000'],
  ],
])('the notation of the numbers of a table keeps digits of each: %j', (values, texts) => {
  expect(formatAlike(values)).toEqual(texts);
});

test('0, NaN and infinities do not affect the notation', () => {
  for (const [values, texts] of [
    [[], []],
    [[0], ['0']],
    [[Number.NaN], ['NaN']],
    [
      [999_999, 1],
      ['999999', '1'],
    ],
    [
      [1_000_000, 1],
      ['1.00000e+6', '1.00000'],
    ],
    [
      [0.5, 0],
      ['0.500000', '0.000000'],
    ],
    [
      [1e7, 0.5, 0],
      ['1.00000e+7', '0.500000', '0'],
    ],
    [
      [123456.5, 100],
      ['123457', '100'],
    ],
    // Rounding errors are not shown as zeros.
    [
      [1.38778e-17, 0, -2.7755575e-17],
      ['1.38778e-17', '0', '-2.77556e-17'],
    ],
    [
      [1e-6, 0],
      ['0.00000100000', '0.00000000000'],
    ],
    [
      [9.99e-7, 1e-4],
      ['9.99000e-7', '0.000100000'],
    ],
    // A million or more has exponents, however many digits the others have.
    [
      [2_000_000.5, 1_000_000],
      ['2.00000e+6', '1.00000e+6'],
    ],
    [
      [999_999.5, 123_456],
      ['1000000', '123456'],
    ],
    [
      [1_000_000.5, 123_456],
      ['1.00000e+6', '123456'],
    ],
    // Three digits of the smallest remain, or fewer.
    [
      [1.5, 0.001],
      ['1.50000', '0.00100'],
    ],
    [
      [1.5, 0.0009],
      ['1.50000', '0.000900000'],
    ],
  ] as const) {
    expect(formatAlike(values), JSON.stringify(values)).toEqual(texts);
  }
});

test('a single number has six digits', () => {
  expect([0.1 + 0.2, 1234567, 1e-20 / 3, Number.NaN, Number.NEGATIVE_INFINITY, 5].map(formatNumber)).toEqual([
    '0.3',
    '1234570',
    '3.33333e-21',
    'NaN',
    '-Infinity',
    '5',
  ]);
});

test('a matrix has its numbers in columns, and of more than twelve the first', () => {
  expect(formatMatrix([1, -20, 3, 4], 2)).toBe('  [  1  -20]\n  [  3    4]');
  const counted = Array.from({ length: 13 }, (_, k) => k);
  expect(formatMatrix(counted.slice(0, 12), 12)).toBe('  [ 0   1   2   3   4   5   6   7   8   9  10  11]');
  expect(formatMatrix(counted, 13)).toBe('  [ 0   1   2   3   4   5   6   7   8   9  10  11  …]');
});

test('a table of texts wraps them at words in columns of given widths, with rules between rows', () => {
  expect(
    formatWrapped(
      ['a', 'b'],
      [
        ['1', 'two words'],
        ['3', '4'],
      ],
      [4, 8],
    ),
  ).toBe(
    [
      '┌────┬────────┐',
      '│ a  │ b      │',
      '├────┼────────┤',
      '│ 1  │ two    │',
      '│    │ words  │',
      '├────┼────────┤',
      '│ 3  │ 4      │',
      '└────┴────────┘',
    ].join('\n'),
  );
});

test('tables have no colors, also where the terminal has', () => {
  const ofTables = createRequire(createRequire(import.meta.url).resolve('cli-table3'));
  const colors: { enable(): void; disable(): void; red(text: string): string } = ofTables('@colors/colors/safe');
  const plain = formatTable(['a'], [['1']]);
  colors.enable();
  try {
    expect(colors.red('a')).not.toBe('a');
    expect(formatTable(['a'], [['1']])).toBe(plain);
  } finally {
    colors.disable();
  }
});

test('tables have a rule under their head and none between rows', () => {
  expect(
    formatTable(
      ['a', 'b'],
      [
        ['1', '2'],
        ['33', '4'],
      ],
    ),
  ).toBe(['┌────┬───┐', '│ a  │ b │', '├────┼───┤', '│ 1  │ 2 │', '│ 33 │ 4 │', '└────┴───┘'].join('\n'));
});

/** The output on a terminal for an array in chunks of this many rows. */
async function shown(shape: readonly number[], columns: number | undefined, chunk = shape[0]): Promise<string> {
  const stdout = recorder(columns === undefined ? true : { columns });
  const writer = terminalWriter('x', stdout);
  const row = shape.slice(1).reduce((product, length) => product * length, 1);
  for (let at = 0; at === 0 || at < shape[0]; at += Math.max(chunk, 1)) {
    const rows = Math.min(chunk, shape[0] - at);
    const data = Float64Array.from({ length: rows * row }, (_, k) => at * row + k);
    await writer.write({ shape: [rows, ...shape.slice(1)], data });
  }
  await writer.finish();
  await writer.abort();
  return stdout.text();
}

test('twenty rows of an array in chunks are shown, and the others counted', async () => {
  for (const chunk of [1, 7, 20, 21, 30]) {
    const text = await shown([21, 2], 80, chunk);
    expect(text).toBe(await shown([21, 2], 80));
    expect(text).toMatch(/^x \(21, 2\)\n┌/);
    expect(text).toMatch(/\n│ 19 │ 38 │ 39 │\n└.*\n… 1 more rows; --out FILE writes all of them\n$/);
    expect(await shown([20, 2], 80, chunk)).toMatch(/\n│ 19 │ 38 │ 39 │\n└.*┘\n$/);
  }
  expect(await shown([45, 1], 80, 21)).toContain('\n… 25 more rows; ');
});

test('vectors and arrays without rows are tables too', async () => {
  expect(await shown([3], 80)).toBe(
    'x (3,)\n┌───┬───┐\n│   │ 0 │\n├───┼───┤\n│ 0 │ 0 │\n│ 1 │ 1 │\n│ 2 │ 2 │\n└───┴───┘\n',
  );
  expect(await shown([0, 2], 80)).toBe('x (0, 2)\n┌──┬───┬───┐\n│  │ 0 │ 1 │\n└──┴───┴───┘\n');
});

test('a table is at most as wide as the terminal, and has from one to twelve columns', async () => {
  const widthOf = (text: string) =>
    Math.max(
      ...text
        .split('\n')
        .slice(1, -2)
        .map((line) => line.length),
    );
  // With one digit in each cell, a table of n columns is 4 n + 5 wide, and the last column of the terminal stays free.
  expect(await shown([1, 8], 38)).not.toContain('…');
  expect(widthOf(await shown([1, 8], 38))).toBe(37);
  const cut = await shown([1, 8], 37);
  expect(cut).toMatch(/│ 5 │ … │\n├/);
  expect(cut).toContain('… 2 more columns; --out FILE writes all of them\n');
  expect(widthOf(cut)).toBe(33);
  const narrow = await shown([1, 8], 5);
  expect(narrow).toMatch(/^x \(1, 8\)\n┌───┬───┬───┐\n│ {3}│ 0 │ … │\n/);
  expect(narrow).toContain('… 7 more columns; ');
  const wide = await shown([1, 13], 500);
  expect(wide).toMatch(/│ 11 │ … *│\n/);
  expect(wide).toContain('… 1 more columns; ');
  const rowsOf = (text: string) =>
    [...text.matchAll(/^│ (\d+) │ (\d+) .* (\S+) │ … *│$/gm)].map(([, ...cells]) => cells);
  expect(rowsOf(await shown([3, 14], 500))).toEqual([
    ['0', '0', '11'],
    ['1', '14', '25'],
    ['2', '28', '39'],
  ]);
  expect(await shown([1, 12], 500)).not.toContain('…');
  expect(await shown([1, 12], undefined)).toBe(await shown([1, 12], 80));
  expect(await shown([30, 13], 500)).toContain('\n… 10 more rows, 1 more columns; ');
});

test('matrices are shown separately, twenty rows of each', async () => {
  const text = await shown([2, 2, 2], 80);
  const table = (first: number) =>
    [
      '┌───┬───┬───┐',
      '│   │ 0 │ 1 │',
      '├───┼───┼───┤',
      `│ 0 │ ${first} │ ${first + 1} │`,
      `│ 1 │ ${first + 2} │ ${first + 3} │`,
      '└───┴───┴───┘',
    ].join('\n');
  expect(text).toBe(`x (2, 2, 2)\n[0]\n${table(0)}\n[1]\n${table(4)}\n`);
  const long = await shown([1, 21, 1], 80);
  expect(long).toMatch(/\n│ 19 │ 19 │\n└────┴────┘\n… 1 more rows\n$/);
  expect(await shown([1, 20, 1], 80)).not.toContain('…');
  expect((await shown([1, 2, 2, 2], 80)).match(/\[\d\]/g)).toEqual(['[0]', '[1]']);
});
