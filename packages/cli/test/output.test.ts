import { chmodSync, linkSync, lstatSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { Writable } from 'node:stream';
import { afterAll, expect, test } from 'vitest';
import { removeTemporariesOn, standardOutput, writeTextFile } from '../src/files/output.js';
import { openWriter } from '../src/files/write.js';
import { type SignalledProcess, signalsOf } from '../src/signals.js';
import { csv, recorder, signal, softgrad, temporaryFolder } from './command.js';

const folder = temporaryFolder();
afterAll(folder.remove);

const input = folder.write('signal.csv', csv(signal));

/** A process that records the codes with which it would end. */
function fakeProcess() {
  type Signal = Parameters<SignalledProcess['on']>[0];
  const listeners = new Map<Signal, (signal: Signal) => void>();
  const codes: number[] = [];
  return {
    codes,
    awaited: () => [...listeners.keys()],
    send: (signal: Signal) => listeners.get(signal)?.(signal),
    on: (signal: Signal, listener: (signal: Signal) => void) => listeners.set(signal, listener),
    off: (signal: Signal) => listeners.delete(signal),
    exit: (code: number) => codes.push(code),
  };
}

test('an existing file is replaced by another file and never partly overwritten: a hard link to it keeps the old content', async () => {
  const out = folder.write('named.json', 'old');
  const second = folder.absent('second.json');
  linkSync(out, second);
  const before = statSync(out).ino;
  expect((await softgrad(['softmax', input, '--out', out])).status).toBe(0);
  expect(JSON.parse(readFileSync(out, 'utf8'))).toHaveLength(4);
  expect(statSync(out).ino).not.toBe(before);
  expect(readFileSync(second, 'utf8')).toBe('old');
});

test('an existing file stays until the result is complete, which is written to a temporary file beside it', async () => {
  const out = folder.write('begun.csv', 'old');
  const writer = await openWriter(out, 2, 'float64', recorder());
  await writer.write({ shape: [1, 2], data: Float64Array.of(1, 2) });
  expect(readFileSync(out, 'utf8')).toBe('old');
  const [temporary, ...others] = readdirSync(folder.path).filter((name) => name.startsWith('.begun.csv.'));
  expect(others).toEqual([]);
  expect(temporary).toMatch(/\.tmp$/);
  const written = statSync(folder.at(temporary)).ino;
  await writer.finish();
  await writer.abort();
  expect(readFileSync(out, 'utf8')).toBe('1,2\n');
  expect(statSync(out).ino).toBe(written);
  expect(readdirSync(folder.path)).not.toContain(temporary);
});

test('an existing file is replaced with its permissions; a symbolic link stays a link', async () => {
  const out = folder.write('old.json', 'old');
  chmodSync(out, 0o600);
  const link = folder.symlink('link.json', out);
  expect((await softgrad(['softmax', input, '--out', link])).status).toBe(0);
  expect(JSON.parse(readFileSync(out, 'utf8'))).toHaveLength(4);
  expect(statSync(out).mode & 0o777).toBe(0o600);
  expect(lstatSync(link).isSymbolicLink()).toBe(true);
});

test('a read-only file is not replaced, although its folder could be written to', async () => {
  const out = folder.write('kept.json', 'old');
  for (const mode of [0o444, 0o400, 0o000]) {
    chmodSync(out, mode);
    for (const name of [out, folder.symlink(`kept-${mode}.json`, out)]) {
      expect(await softgrad(['softmax', input, '--out', name])).toMatchObject({
        status: 2,
        stderr: `softgrad: ${name}: cannot be written: the file is read-only; expected a writable file, or another name\n`,
      });
    }
  }
  chmodSync(out, 0o644);
  expect(readFileSync(out, 'utf8')).toBe('old');
  expect(readdirSync(folder.path).filter((name) => name.startsWith('.kept'))).toEqual([]);
  expect((await softgrad(['softmax', input, '--out', out])).status).toBe(0);
  expect(JSON.parse(readFileSync(out, 'utf8'))).toHaveLength(4);
});

test('a text file appears complete or not at all, and leaves no temporary file', async () => {
  const out = folder.at('text.md');
  await writeTextFile(out, 'one\n');
  expect(readFileSync(out, 'utf8')).toBe('one\n');
  await writeTextFile(out, 'two\n');
  expect(readFileSync(out, 'utf8')).toBe('two\n');
  await expect(writeTextFile(folder.path, 'three')).rejects.toThrow(
    `${folder.path}: cannot be written: is a directory`,
  );
  expect(readdirSync(folder.path).filter((name) => name.includes('.tmp'))).toEqual([]);
});

test('the target of a dangling symbolic link is created, and the link stays', async () => {
  const [made, forward] = [folder.absent('made.json'), folder.symlink('forward.json', 'made.json')];
  expect((await softgrad(['softmax', input, '--out', forward])).status).toBe(0);
  expect(JSON.parse(readFileSync(made, 'utf8'))).toHaveLength(4);
  expect(lstatSync(forward).isSymbolicLink()).toBe(true);
});

test('circular symbolic links are explained in the error', async () => {
  const circle = folder.symlink('circle.json', 'circle.json');
  const { status, stderr } = await softgrad(['softmax', input, '--out', circle]);
  expect(status).toBe(2);
  expect(stderr).toMatch(/circle\.json: cannot be written: symbolic links that lead back to themselves\n$/);
});

test('the name may have the maximum length', async () => {
  const longest = `${'ü'.repeat(125)}.json`;
  expect((await softgrad(['softmax', input, '--out', folder.at(longest)])).status).toBe(0);
  expect(JSON.parse(readFileSync(folder.at(longest), 'utf8'))).toHaveLength(4);
});

test('input and output may be the same file', async () => {
  folder.writeNpy('same.npy', [
    [0, 0],
    [0, 0],
  ]);
  expect((await softgrad(['softmax', folder.at('same.npy'), '--out', folder.at('same.npy')])).status).toBe(0);
  expect([...(await folder.readNpy('same.npy')).data]).toEqual([0.5, 0.5, 0.5, 0.5]);
});

test('a .npz of more than 2 GiB is an error before it is assembled, and leaves no file', async () => {
  const writer = await openWriter(folder.at('huge.npz'), 1, 'float32', recorder());
  // The memory is never accessed, so none is used.
  const data = new Float32Array(2 ** 29 + 1);
  const most = await openWriter(folder.at('most.npz'), 1, 'float32', recorder());
  await most.write({ shape: [2 ** 29], data: data.subarray(1) });
  await most.abort();
  const error = await writer.write({ shape: [data.length], data }).catch((caught: unknown) => caught);
  expect(error).toMatchObject({
    code: 'ERR_OUT_OF_MEMORY',
    message: `--out ${folder.at('huge.npz')}: the result is larger than 2.15 GB, the limit for writing a .npz; expected .npy`,
  });
  await writer.abort();
  expect(readdirSync(folder.path).filter((name) => name.includes('huge'))).toEqual([]);
});

test('standard output is written at the speed of its reader', async () => {
  let release = () => {};
  const reader = new Writable({
    highWaterMark: 4,
    write(_chunk, _encoding, done) {
      release = done;
    },
  });
  const output = standardOutput(reader);
  let written = false;
  const writing = output.write('more than fits').then(() => {
    written = true;
  });
  await new Promise(setImmediate);
  expect(written).toBe(false);
  release();
  await writing;
  await expect(output.writeAt(new Uint8Array(1), 0)).rejects.toThrow('cannot be written out of order');
});

test('if a signal ends the process, it removes unfinished files and ends with the code of that signal', async () => {
  const process = fakeProcess();
  removeTemporariesOn(signalsOf(process));
  const begun = () => readdirSync(folder.path).filter((name) => name.startsWith('.unfinished.csv'));
  const writer = await openWriter(folder.at('unfinished.csv'), 1, 'float64', recorder());
  expect(begun()).toHaveLength(1);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.send(signal);
    expect(begun()).toEqual([]);
  }
  expect(process.codes).toEqual([130, 143, 129]);
  await writer.abort();
});

test('no signal is listened to before a file is begun and after it is finished, given up or refused: the system ends the process', async () => {
  const process = fakeProcess();
  removeTemporariesOn(signalsOf(process));
  expect(process.awaited()).toEqual([]);
  const open = (name: string) => openWriter(folder.at(name), 1, 'float64', recorder());
  const [first, second] = [await open('first.csv'), await open('second.csv')];
  const all = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  expect(process.awaited()).toEqual(all);
  await first.write({ shape: [1, 1], data: Float64Array.of(1) });
  await first.finish();
  expect(process.awaited()).toEqual(all);
  await second.abort();
  expect(process.awaited()).toEqual([]);
  await expect(open('absent/third.csv')).rejects.toThrow('cannot be written');
  expect(process.awaited()).toEqual([]);
});

test('a command that ends its work first gets the exit code of the first signal; the system handles the second one', () => {
  const process = fakeProcess();
  const signals = signalsOf(process);
  const told: number[] = [];
  const release = signals.interrupt((exitCode) => told.push(exitCode));
  signals.beforeEnd(() => told.push(0))();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.send(signal);
  expect([told, process.codes, process.awaited()]).toEqual([[130, 143], [], ['SIGHUP']]);
  release();
  expect(process.awaited()).toEqual([]);
});
