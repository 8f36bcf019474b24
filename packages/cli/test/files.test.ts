import { ReadStream, statSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { npyElements, npyHeader, npzBytes } from '@softgrad/formats';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { systemReason } from '../src/files/open.js';
import { outputFormat } from '../src/files/write.js';
import { csv, signal, softgrad, temporaryFolder } from './command.js';

const folder = temporaryFolder();
afterAll(folder.remove);

async function softmaxOf(file: string, input?: string | Uint8Array): Promise<string> {
  const { status, stdout, stderr } = await softgrad(
    ['softmax', file, '--backend', 'cpu'],
    input === undefined ? {} : { input },
  );
  expect(status, stderr).toBe(0);
  return stdout;
}

const npy = (values: readonly number[]) =>
  Buffer.concat([npyHeader('<f8', [1, values.length]), npyElements(Float64Array.from(values), '<f8')]);

describe('the ending of a file determines its format', () => {
  test('in any case', async () => {
    const expected = await softmaxOf(folder.write('x.json', '[[0, 1]]'));
    for (const [name, content] of [
      ['X.JSON', '[[0, 1]]'],
      ['x.Npy', npy([0, 1])],
      ['x.CSV', '0,1\n'],
      ['x.tsv', '0\t1\n'],
      ['x.TXT', '0 1'],
      ['x.npz', npzBytes({ a: npy([0, 1]) })],
      ['x.y.json', '[[0, 1]]'],
    ] as const) {
      expect(await softmaxOf(folder.write(name, content)), name).toBe(expected);
    }
  });

  test('an array of an archive is chosen after a colon, and other file names may contain colons', async () => {
    const archive = folder.write('two.npz', npzBytes({ a: npy([0, 0]), 'b:c': npy([0, 1]), 'd/e': npy([1, 1]) }));
    expect(await softmaxOf(`${archive}:a`)).toBe('[[0.5,0.5]]\n');
    expect(await softmaxOf(`${archive}:b:c`)).not.toBe('[[0.5,0.5]]\n');
    expect(await softmaxOf(folder.write('TWO.NPZ', npzBytes({ a: npy([0, 0]) })))).toBe('[[0.5,0.5]]\n');
    expect(await softmaxOf(folder.write('c:d.json', '[0, 0]'))).toBe('[0.5,0.5]\n');
    expect(await softmaxOf(`${archive}:d/e`)).toBe('[[0.5,0.5]]\n');
    expect(await softmaxOf(`${folder.write('two.json', '{"a": [0, 1], "d/e": [0, 0]}')}:d/e`)).toBe('[0.5,0.5]\n');
    expect((await softgrad(['softmax', `${archive}:c/d`])).stderr).toMatch(
      /two\.npz: has no array "c\/d"; it holds "a"/,
    );
    const { stderr } = await folder.softgrad(['softmax', archive]);
    expect(stderr).toMatch(/^softgrad: two\.npz: holds 3 arrays \("a", "b:c", "d\/e"\); choose one/);
  });

  test('a tensor of a model is chosen after a colon, whatever characters its name has', async () => {
    const model = folder.writeSafetensors('model.safetensors', { a: [[0, 1]], 'b/c:d': [[0, 0]] });
    expect(await softmaxOf(`${model}:b/c:d`)).toBe('[[0.5,0.5]]\n');
    expect(await softmaxOf(`${model}:a`)).not.toBe('[[0.5,0.5]]\n');
    const single = folder.writeSafetensors('ONE.SafeTensors', { a: [[0, 0]] });
    expect(await softmaxOf(single)).toBe('[[0.5,0.5]]\n');
    expect((await folder.softgrad(['softmax', `${model}:x`])).stderr).toBe(
      'softgrad: model.safetensors: has no tensor "x"; it holds "a", "b/c:d"\n',
    );
  });

  test('numbers separated by commas are data, and a name with an ending is a file', async () => {
    expect(await softmaxOf('0,0')).toBe('[0.5,0.5]\n');
    expect(await softmaxOf(' 1 , 1 ')).toBe('[0.5,0.5]\n');
    expect(await softmaxOf('7')).toBe('[1]\n');
    expect(await softmaxOf('1e0,1')).toBe('[0.5,0.5]\n');
    for (const name of ['0,x', ',', 'NaN'])
      expect((await softgrad(['softmax', name])).stderr, name).toMatch(/: no such file or directory; expected \.npy/);
    for (const name of ['0,,1', '0, ,1']) {
      const { stderr } = await softgrad(['softmax', name]);
      expect(stderr, name).toMatch(/: no such file or directory; a number is missing beside a comma; expected decimal/);
    }
  });

  test('a table is split at the separators of its numbers, and errors have line numbers', async () => {
    expect(await softmaxOf(folder.write('semicolons.csv', 'a;b\n0;0\n'))).toBe('[[0.5,0.5]]\n');
    expect(await softmaxOf(folder.write('first.csv', '0,0\t\n'))).toBe('[[0.5,0.5]]\n');
    expect(await softmaxOf(folder.write('tabs.tsv', 'a,b\tc\n0\t0\n'))).toBe('[[0.5,0.5]]\n');
  });
});

describe('standard input', () => {
  test('is text of any format, or a .npy, recognized by its first bytes', async () => {
    expect(await softmaxOf('-', npy([0, 0]))).toBe('[[0.5,0.5]]\n');
    for (const changed of [0, 1, 5]) {
      const bytes = npy([0, 0]);
      bytes[changed] = 0x31;
      const { stderr } = await softgrad(['softmax', '-'], { input: bytes });
      expect(stderr).toMatch(/^softgrad: standard input: (?!not a \.npy).*\n$/);
    }
  });

  test('prompts on standard error if it is a terminal', async () => {
    const ask = 'reading numbers (JSON, a table, or as NumPy prints them) from standard input; end with Ctrl-D\n';
    const run = (terminal: boolean) => softgrad(['softmax', '-', '--backend', 'cpu'], { input: '[0]', terminal });
    expect((await run(true)).stderr).toBe(ask);
    expect((await run(false)).stderr).toBe('');
  });
});

test('errors of the operating system are explained, or quoted', () => {
  const reason = (code: string) => systemReason(Object.assign(new Error(`${code}: its message`), { code }));
  expect(
    [
      'ENOENT',
      'EACCES',
      'EPERM',
      'EISDIR',
      'ENOTDIR',
      'ENOSPC',
      'EDQUOT',
      'EFBIG',
      'EIO',
      'ENAMETOOLONG',
      'ELOOP',
      'EROFS',
    ].map(reason),
  ).toEqual([
    'no such file or directory',
    'permission denied',
    'permission denied',
    'is a directory',
    'a part of the path is not a directory',
    'no space left on the device; free some, or write to another one',
    'the disk quota is used up; free some space, or write to another disk',
    'larger than the file system, or the limit of this process (ulimit -f), allows',
    'the disk reports an error',
    'the name is too long',
    'symbolic links that lead back to themselves',
    'the file system is read-only',
  ]);
  expect(reason('EMFILE')).toBe('EMFILE: its message');
  expect(systemReason(new Error('its message'))).toBe('its message');
  expect(systemReason('a text')).toBe('a text');
});

test('the ending of an output determines its format, in upper or lower case', () => {
  expect(['a.npy', 'b.NPZ', 'c.d.json', 'x/e.csv', 'f.Tsv'].map(outputFormat)).toEqual([
    'npy',
    'npz',
    'json',
    'csv',
    'tsv',
  ]);
  for (const path of ['a', 'a.txt', 'npy', '.json', 'a-']) {
    expect(() => outputFormat(path), path).toThrow(
      new RegExp(`^--out ${path}: unknown ending; expected .npy, .npz, .json, .csv or .tsv$`),
    );
  }
  expect(() => outputFormat('')).toThrow(/^--out '': unknown ending; expected .npy, .npz, .json, .csv or .tsv$/);
  for (const path of ['-', '/dev/stdout', '/dev/fd/63']) {
    expect(() => outputFormat(path), path).toThrow(
      `--out ${path}: unknown ending; expected .npy, .npz, .json, .csv or .tsv; without --out, the result is JSON on standard output; for another format there, write a file first: --out result.npy && cat result.npy`,
    );
  }
});

describe('results of any shape are written in each format', () => {
  const write = async (args: readonly string[], ending: string) => {
    const out = folder.at(`result.${ending}`);
    const { status, stdout, stderr } = await softgrad([...args, '--out', out, '--backend', 'cpu']);
    expect(status, stderr).toBe(0);
    return { out, stdout };
  };

  test('and give the same values when they are read', async () => {
    const shapes = ['[0, 0]', '[[0, 0], [0, 0]]', '[[[0, 0]], [[0, 0]]]', '[]', '[[], []]'];
    for (const [k, text] of shapes.entries()) {
      const input = folder.write(`shape-${k}.json`, text);
      const expected = await softmaxOf(input);
      for (const ending of ['npy', 'npz', 'json']) {
        const { out } = await write(['softmax', input], ending);
        // A softmax does not change the shape, and these probabilities are all 1/2.
        const again = (await softmaxOf(out)).replaceAll(/\s/g, '');
        expect(again, `${text} in .${ending}`).toBe(expected.replaceAll(/\s/g, ''));
      }
    }
  });

  test('in the dtype that was computed in', async () => {
    const input = folder.write('signal.csv', csv(signal));
    for (const [dtype, type] of [
      ['float32', Float32Array],
      ['float64', Float64Array],
    ] as const) {
      await write(['softmax', input, '--dtype', dtype], 'npy');
      expect((await folder.readNpy('result.npy')).data).toBeInstanceOf(type);
    }
    folder.zeros('single.npy', 1, 3);
    await write(['softmax', folder.at('single.npy')], 'npy');
    expect((await folder.readNpy('result.npy')).data).toBeInstanceOf(Float32Array);
  });

  test('a loss and its gradient, by name', async () => {
    const [x, y] = [folder.write('l.json', '[[0, 0], [0, 0]]'), folder.write('y.json', '[0, 1]')];
    const args = ['cross-entropy', x, '--target', y];
    const half = Math.log(2);
    const json = `{"loss": ${half},\n"gradient": [[-0.25,0.25],\n [0.25,-0.25]]}\n`;
    expect((await softgrad([...args, '--backend', 'cpu'])).stdout).toBe(json);
    const none = await softgrad([...args, '--reduction', 'none', '--backend', 'cpu']);
    expect(none.stdout).toBe(`{"loss": [${half},${half}],\n"gradient": [[-0.5,0.5],\n [0.5,-0.5]]}\n`);
    for (const ending of ['npy', 'csv', 'tsv']) {
      const { out, stdout } = await write(args, ending);
      expect(stdout).toBe(`{"loss": ${half}}\n`);
      expect(await softmaxOf(out)).toBe(await softmaxOf(folder.write('g.json', '[[-0.25, 0.25], [0.25, -0.25]]')));
    }
    const { out } = await write(args, 'npz');
    expect((await softgrad(['log-softmax', `${out}:loss`])).stderr).toMatch(/a single number/);
    expect(await softmaxOf(`${out}:gradient`)).toBe(await softmaxOf(folder.at('g.json')));
  });
});

test('a symbolic link to a symbolic link is followed to its target', async () => {
  const [first, third] = [folder.symlink('first.json', 'second.json'), folder.absent('third.json')];
  folder.symlink('second.json', 'third.json');
  const { status } = await softgrad(['softmax', folder.write('v.json', '[0, 0]'), '--out', first]);
  expect(status).toBe(0);
  expect(await softmaxOf(third)).toBe('[0.5,0.5]\n');
});

describe('files are read through handles', () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  /** The class of what `open` gives, which node does not export. */
  async function handles(): Promise<FileHandle> {
    const handle = await open(folder.write('any.json', '[0]'));
    await handle.close();
    return Object.getPrototypeOf(handle);
  }

  const npyFile = folder.write('h.npy', npy([0, 1]));
  const table = folder.write('h.csv', '0,1\n');
  const long = folder.write('long.csv', `${'0,1\n'.repeat(50_000)}x,1\n`);
  const archive = folder.write('h.npz', npzBytes({ a: npy([0, 1]) }));
  const model = folder.writeSafetensors('h.safetensors', { a: [[0, 1]] });

  test.each<[string, readonly string[], number]>([
    ['all formats', ['hvp', npyFile, '--upstream', table, '--tangent', archive, '--mask', model], 0],
    ['a Fortran order', ['softmax', folder.zeros('f.npy', 3, 2, 'Fortran')], 0],
    ['text', ['vjp', folder.write('h.txt', '0 1'), '--upstream', folder.write('h.json', '[[0, 1]]')], 0],
    ['a later operand that does not exist', ['vjp', npyFile, '--upstream', folder.at('nowhere.npy')], 2],
    ['a folder, which is not opened', ['softmax', folder.path], 2],
    ['an error long before the end of a table', ['vjp', npyFile, '--upstream', long], 2],
    ['the logits of a loss', ['cross-entropy', table, '--target', '1'], 0],
    ['a target that is invalid', ['cross-entropy', npyFile, '--target', table, '--weight', npyFile], 0],
    ['the demo', ['demo', npyFile, '--upstream', table], 0],
    ['a demo of other dimensions', ['demo', folder.write('h3.npy', npyHeader('<f8', [0, 1, 1]))], 2],
    ['the doctor', ['doctor', '--logits', npyFile, '--grad', table], 0],
    ['a doctor without memory', ['doctor', '--logits', npyFile, '--grad', folder.zeros('many.npy', 4, 4)], 2],
  ])('each of which is closed: %s', async (name, args, expected) => {
    const prototype = await handles();
    const spies = [vi.spyOn(prototype, 'stat'), vi.spyOn(prototype, 'read')];
    const streams = vi.spyOn(ReadStream.prototype, '_construct');
    const backend = args[0] === 'doctor' ? [] : ['--backend', 'cpu'];
    const limits = name.endsWith('memory') ? { memory: 64 } : {};
    const { status, stderr } = await softgrad([...args, ...backend], { limits });
    expect(status, stderr).toBe(expected);
    const opened = spies.flatMap(({ mock }) => mock.contexts);
    expect(opened.length > 0).toBe(name !== 'a folder, which is not opened');
    expect(opened.filter((handle) => Object(handle).fd !== -1)).toEqual([]);
    expect(streams.mock.contexts.every((stream) => Object(stream).destroyed)).toBe(true);
    if (args.includes(table) || args.includes(long)) expect(streams).toHaveBeenCalled();
  });

  test('which may give fewer bytes than were asked for', async () => {
    const files = [npyFile, archive, model];
    const whole = await Promise.all(files.map((file) => softmaxOf(file)));
    const prototype = await handles();
    const { read } = prototype;
    vi.spyOn(prototype, 'read').mockImplementation(function (this: FileHandle, ...args: readonly unknown[]) {
      const [buffer, offset, length, position] = args;
      return Reflect.apply(read, this, [buffer, offset, Math.min(Number(length), 3), position]);
    });
    expect(await Promise.all(files.map((file) => softmaxOf(file)))).toEqual(whole);
  });

  test.each([npyFile, model])('and one that is cut short while it is read is an error: %s', async (file) => {
    const prototype = await handles();
    const { read } = prototype;
    let reads = 0;
    vi.spyOn(prototype, 'read').mockImplementation(function (this: FileHandle, ...args: readonly unknown[]) {
      reads++;
      // An endless loop would be a test that never ends.
      if (reads > 100) throw new Error('reads on and on');
      const [buffer, offset, length, position] = args;
      const left = Math.max(0, statSync(file).size - 4 - Number(position));
      return Reflect.apply(read, this, [buffer, offset, Math.min(Number(length), left), position]);
    });
    const { status, stderr } = await softgrad(['softmax', file, '--backend', 'cpu']);
    expect(stderr).toMatch(/ take \d+ bytes, but only \d+ could be read\n$/);
    expect(status).toBe(2);
  });

  test('and a character that two pieces of UTF-16 share is one', async () => {
    // The pieces of a stream have 65536 bytes, the byte order mark among them.
    const text = `\ufeff# ${'a'.repeat(32_761)}\n1,😀\n`;
    expect(text.indexOf('😀')).toBe(32_767);
    const { stderr } = await softgrad(['softmax', folder.write('u.csv', Buffer.from(text, 'utf16le'))]);
    expect(stderr).toContain('is "😀"; expected a number');
  });
});
