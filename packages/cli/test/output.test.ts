import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, lstatSync, readdirSync, readFileSync, statSync, symlinkSync, truncateSync, watch } from 'node:fs';
import { npyHeader } from '@softgrad/formats';
import { afterAll, describe, expect, test } from 'vitest';
import { openWriter } from '../src/files/write.js';
import { csv, main, signal, softgrad, temporaryFolder } from './command.js';

const folder = temporaryFolder();
afterAll(folder.remove);

const input = folder.write('signal.csv', csv(signal));

/** A file of zeros that takes no room on the disk. */
function zeros(name: string, rows: number, columns: number): string {
  const header = npyHeader('<f4', [rows, columns]);
  const path = folder.write(name, header);
  truncateSync(path, header.length + rows * columns * 4);
  return path;
}

test('what was there is replaced, with its permissions; a link stays a link', () => {
  const out = folder.write('old.json', 'old');
  chmodSync(out, 0o600);
  symlinkSync(out, folder.at('link.json'));
  expect(softgrad(['softmax', input, '--out', folder.at('link.json')]).status).toBe(0);
  expect(JSON.parse(readFileSync(out, 'utf8'))).toHaveLength(4);
  expect(statSync(out).mode & 0o777).toBe(0o600);
  expect(lstatSync(folder.at('link.json')).isSymbolicLink()).toBe(true);
});

test('a link to what is not there yet has it made, and stays a link', () => {
  symlinkSync('made.json', folder.at('forward.json'));
  expect(softgrad(['softmax', input, '--out', folder.at('forward.json')]).status).toBe(0);
  expect(JSON.parse(readFileSync(folder.at('made.json'), 'utf8'))).toHaveLength(4);
  expect(lstatSync(folder.at('forward.json')).isSymbolicLink()).toBe(true);
});

test('links in a circle are refused in words', () => {
  symlinkSync('circle.json', folder.at('circle.json'));
  const { status, stderr } = softgrad(['softmax', input, '--out', folder.at('circle.json')]);
  expect(status).toBe(2);
  expect(stderr).toMatch(/circle\.json: cannot be written: symbolic links that lead back to themselves\n$/);
});

test('the name may be as long as names can be', () => {
  const longest = `${'ü'.repeat(125)}.json`;
  expect(softgrad(['softmax', input, '--out', folder.at(longest)]).status).toBe(0);
  expect(JSON.parse(readFileSync(folder.at(longest), 'utf8'))).toHaveLength(4);
});

test('input and output may be the same file', async () => {
  folder.writeNpy('same.npy', [
    [0, 0],
    [0, 0],
  ]);
  expect(softgrad(['softmax', folder.at('same.npy'), '--out', folder.at('same.npy')]).status).toBe(0);
  expect([...(await folder.readNpy('same.npy')).data]).toEqual([0.5, 0.5, 0.5, 0.5]);
});

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('told to end by %s, it removes what it had begun and leaves what was there', async (signalName, code) => {
  const big = zeros('big.npy', 2_000_000, 100);
  const out = folder.write('kept.npy', 'as it was');
  const begun = () => readdirSync(folder.path).filter((name) => name.endsWith('.tmp'));
  const watcher = watch(folder.path);
  const child = spawn(process.execPath, [main, 'softmax', big, '--out', out], { stdio: 'ignore' });
  const ended = once(child, 'exit');
  while (begun().length === 0 && child.exitCode === null) await once(watcher, 'change');
  watcher.close();
  child.kill(signalName);
  expect(await ended).toEqual([code, null]);
  expect(begun()).toEqual([]);
  expect(readFileSync(out, 'utf8')).toBe('as it was');
});

test('a .npz of more than 2 GiB is refused before it is put together, and leaves nothing', async () => {
  const writer = await openWriter(folder.at('huge.npz'), 1, 'float32');
  // Never touched, it takes no memory.
  const data = new Float32Array(2 ** 29 + 1);
  await expect(writer.write({ shape: [data.length], data })).rejects.toThrow(
    'huge.npz: the result is larger than 2.15 GB, the most that a .npz is written with; expected .npy',
  );
  await writer.abort();
  expect(readdirSync(folder.path).filter((name) => name.includes('huge'))).toEqual([]);
});

test('a reader that closes the pipe early is no failure', async () => {
  const child = spawn(process.execPath, [main, 'softmax', zeros('piped.npy', 500_000, 20), '--backend', 'cpu']);
  let errors = '';
  child.stderr.on('data', (text) => {
    errors += text;
  });
  await once(child.stdout, 'data');
  child.stdout.destroy();
  expect(await once(child, 'exit')).toEqual([0, null]);
  expect(errors).toBe('');
});

describe('on a terminal', () => {
  const terminal = 'process.stdout.isTTY = process.stderr.isTTY = true';
  const run = (...args: string[]) => softgrad([...args, '--backend', 'cpu'], { before: terminal });

  test('an array is a table, with its shape', () => {
    const { stdout } = run('softmax', input);
    expect(stdout).toMatch(/^softmax \(4, 3\)\n/);
    expect(stdout).toContain('0.335327');
    expect(stdout.split('\n').filter((line) => line.includes('0.33'))).toHaveLength(4);
  });

  test('a long and wide one says what it leaves out', () => {
    const { stdout } = run('softmax', zeros('long.npy', 1000, 50));
    expect(stdout).toMatch(/^softmax \(1000, 50\)\n/);
    expect(stdout).toContain('│ … │');
    expect(stdout).toMatch(/\n… 980 more rows, 4\d more columns; --out FILE writes all of them\n$/);
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  });

  test('as many columns are shown as the terminal is wide', () => {
    const width = (columns: number) => `${terminal}; process.stdout.columns = ${columns}`;
    const show = (columns: number) =>
      softgrad(['softmax', zeros('wide.npy', 2, 8), '--backend', 'cpu'], { before: width(columns) }).stdout;
    expect(show(200)).not.toContain('more columns');
    const narrow = show(40);
    expect(narrow).toMatch(/│ 0\.125000 +│ … │\n/);
    expect(narrow).toMatch(/\n… [1-9] more columns; --out FILE writes all of them\n$/);
    for (const line of narrow.split('\n').filter((text) => /[│┌└]/.test(text)))
      expect(line.length).toBeLessThanOrEqual(40);
  });

  test('the numbers of one table are in one notation', () => {
    const small = run('softmax', folder.write('small.json', '[[0, 20, 5]]')).stdout;
    expect(small).toMatch(/2\.06115e-9 +│ 1\.00000e\+0 +│ 3\.05902e-7 /);
    const plain = run('softmax', folder.write('plain.json', '[[0, 0, 0, 0], [1, 0, 1, 0]]')).stdout;
    expect(plain.match(/\d\.\d+/g)?.every((number) => /^0\.\d{6}$/.test(number))).toBe(true);
  });

  test('matrices are a table each; a loss is a line', () => {
    expect(run('jacobian', input).stdout).toMatch(/^jacobian \(4, 3, 3\)\n\[0\]\n[^[]*\n\[1\]\n/);
    expect(run('cross-entropy', input, '--target', input).stdout).toMatch(/^loss 1\.09781\ngradient \(4, 3\)\n/);
  });

  test('a long run shows a bar on standard error, and none where that is no terminal', () => {
    const long = zeros('progress.npy', 300_000, 20);
    const out = folder.at('progress-out.npy');
    expect(run('softmax', long, '--out', out).stderr).toMatch(/softmax .*\d+%/);
    expect(softgrad(['softmax', long, '--out', out, '--backend', 'cpu']).stderr).toBe('');
  });
});
