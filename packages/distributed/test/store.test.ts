import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { mkdirSync, readdirSync, symlinkSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs';
import files, { type FileHandle, open } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { isSoftgradError } from '@softgrad/core';
import { describe, expect, test, vi } from 'vitest';
import { folderStore } from '../src/index.js';
import { workspace } from './workspace.js';

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array) => new TextDecoder().decode(data);

describe('a folder as a store', () => {
  test('writes an object once, and the first one stays', async () => {
    using work = workspace();
    expect(await work.store.putOnce('a/b.txt', bytes('first'))).toBe(true);
    expect(await work.store.putOnce('a/b.txt', bytes('second'))).toBe(false);
    expect(text(await work.store.get('a/b.txt', 0, 100))).toBe('first');
    expect(readdirSync(work.path('a'))).toEqual(['b.txt']);
  });

  test('lets only one of many concurrent writers write an object', async () => {
    using work = workspace();
    const puts = Array.from({ length: 20 }, (_, k) => work.store.putOnce('one', bytes(`writer ${k}`)));
    expect((await Promise.all(puts)).filter(Boolean)).toHaveLength(1);
    expect(readdirSync(work.root)).toEqual(['one']);
  });

  test('reads a range, with fewer bytes only at the end', async () => {
    using work = workspace();
    await work.store.putOnce('x', bytes('0123456789'));
    expect(text(await work.store.get('x', 3, 4))).toBe('3456');
    expect(text(await work.store.get('x', 8, 4))).toBe('89');
    await expect(work.store.get('y', 0, 1)).rejects.toThrow('y: cannot be read: no such file or directory');
    const into = bytes('abcd');
    expect(await work.store.getInto?.('x', 8, into.subarray(1))).toBe(2);
    expect(text(into)).toBe('a89d');
  });

  test('says that a name has bytes that are not UTF-8 only where no file has it', async () => {
    using work = workspace();
    await work.store.putOnce('file', bytes('x'));
    const refusal = (path: string) => work.store.get(path, 0, 1).catch((error: Error) => error.message);
    expect(await refusal('\ufffd.npy')).toMatch(/: no such file or directory; the name has bytes that are not UTF-8/);
    expect(await refusal('file/\ufffd.npy')).toMatch(/: a part of the path is not a directory$/);
  });

  test('lists the objects below a folder in order, without unfinished ones', async () => {
    using work = workspace();
    for (const path of ['f/b', 'f/a/c', 'g']) await work.store.putOnce(path, bytes(path));
    writeFileSync(work.path('f/.softgrad-orphan'), '');
    expect((await work.store.list('f')).map(({ path }) => path)).toEqual(['f/a/c', 'f/b']);
    expect(await work.store.list('nowhere')).toEqual([]);
    expect([await work.store.match('f'), await work.store.match('f/*')]).toEqual([[], ['f/b']]);
    expect(await work.store.stat('f')).toBeNull();
    expect(await work.store.stat('g')).toMatchObject({ path: 'g', byteLength: 1 });
  });

  test('removes leftovers of interrupted writers, unless they are recent', async () => {
    using work = workspace();
    await work.store.putOnce('f/kept', bytes('kept'));
    for (const name of ['old', 'young']) writeFileSync(work.path(`f/.softgrad-${name}`), '');
    utimesSync(work.path('f/.softgrad-old'), 1000, 1000);
    expect(await work.store.sweep('f', 2_000_000)).toBe(1);
    expect(readdirSync(work.path('f'))).toEqual(['.softgrad-young', 'kept']);
    expect(await work.store.sweep('.', Number.POSITIVE_INFINITY)).toBe(1);
  });

  test.each(['/etc/passwd', '../x', 'a/../../x', 'a\\..\\x', 'C:/x', 'x\0y'])('refuses the path %j', async (path) => {
    using work = workspace();
    await expect(work.store.get(path, 0, 1)).rejects.toThrow('expected a path relative to');
    await expect(work.store.putOnce(path, bytes(''))).rejects.toThrow('expected a path relative to');
  });

  test('refuses symbolic links to other places, and accepts those within the store', async () => {
    using work = workspace();
    using other = workspace();
    await other.store.putOnce('secret', bytes('secret'));
    symlinkSync(other.root, work.path('out'));
    symlinkSync(join(other.root, 'secret'), work.path('file'));
    mkdirSync(work.path('real'));
    symlinkSync(work.path('real'), work.path('link'));
    await expect(work.store.get('out/secret', 0, 6)).rejects.toThrow(/a symbolic link leads to .*, outside of/);
    await expect(work.store.get('file', 0, 6)).rejects.toThrow(/a symbolic link leads to .*, outside of/);
    await expect(work.store.putOnce('out/new', bytes(''))).rejects.toThrow(/a symbolic link leads to .*, outside of/);
    expect(await work.store.putOnce('link/x', bytes('x'))).toBe(true);
  });

  test('closes every file that it opens, also after a failure', async () => {
    using work = workspace();
    const handle = await open(work.root);
    const prototype: FileHandle = Object.getPrototypeOf(handle);
    await handle.close();
    const leaked = async (action: Promise<unknown>) => {
      const before = readdirSync('/dev/fd').length;
      await action.catch(() => {});
      return readdirSync('/dev/fd').length - before;
    };
    const failing = (method: 'read' | 'sync' | 'write', after = 0) => {
      let calls = 0;
      const own = prototype[method] as (...given: unknown[]) => Promise<unknown>;
      return vi.spyOn(prototype, method).mockImplementation(function (this: FileHandle, ...given: unknown[]) {
        if (calls++ < after) return own.apply(this, given) as never;
        return Promise.reject(Object.assign(new Error('EIO: i/o error'), { code: 'EIO' })) as never;
      } as never);
    };
    expect(await leaked(work.store.putOnce('x', bytes('x')))).toBe(0);
    expect(await leaked(work.store.get('x', 0, 1))).toBe(0);
    // The second sync is that of the folder.
    for (const [method, after] of [
      ['write', 0],
      ['sync', 0],
      ['sync', 1],
    ] as const) {
      const fault = failing(method, after);
      expect(await leaked(work.store.putOnce('y', bytes('y')))).toBe(0);
      expect(fault).toHaveBeenCalledTimes(after + 1);
      fault.mockRestore();
      expect(readdirSync(work.root).filter((name) => name.startsWith('.'))).toEqual([]);
      await work.store.remove('y');
    }
    const fault = failing('read');
    expect(await leaked(work.store.get('x', 0, 1))).toBe(0);
    await expect(work.store.get('x', 0, 1)).rejects.toThrow('x: cannot be read: the disk reports an error');
    fault.mockRestore();
  });

  test('does not flush folders where the system cannot open them, as Windows, and reports other errors', async () => {
    using work = workspace();
    const own = files.open;
    const put = async (code: string) => {
      files.open = (path, ...rest) =>
        path === work.root ? Promise.reject(Object.assign(new Error(code), { code })) : own(path, ...rest);
      syncBuiltinESMExports();
      return work.store.putOnce(code, bytes('x')).catch(({ message }: Error) => message);
    };
    try {
      expect(await put('EPERM')).toBe(true);
      expect(await put('EISDIR')).toBe(true);
      expect(await put('EIO')).toBe('EIO: cannot be written: the disk reports an error');
    } finally {
      files.open = own;
      syncBuiltinESMExports();
    }
  });

  test('whose temporary file is swept has written the object, or fails', async () => {
    using work = workspace();
    const sweep = () => {
      for (const name of readdirSync(work.root)) if (name.startsWith('.softgrad-')) unlinkSync(work.path(name));
    };
    subscribe('softgrad:distributed', sweep);
    try {
      await expect(work.store.putOnce('x', bytes('x'))).rejects.toThrow(
        'x: cannot be written: no such file or directory',
      );
      writeFileSync(work.path('x'), 'by another worker');
      expect(await work.store.putOnce('x', bytes('x'))).toBe(false);
    } finally {
      unsubscribe('softgrad:distributed', sweep);
    }
    expect(readdirSync(work.root)).toEqual(['x']);
  });

  test('takes a path below a file as missing, and reports other errors', async () => {
    using work = workspace();
    await work.store.putOnce('file', bytes('x'));
    expect(await work.store.stat('file/x')).toBeNull();
    expect(await work.store.list('file/x')).toEqual([]);
    await work.store.remove('file/x');
    await expect(work.store.putOnce('file/x', bytes(''))).rejects.toThrow(
      /^file\/x: cannot be written: (a part of the path is not a directory|EEXIST.*)$/,
    );
    await expect(work.store.get('file/x', 0, 1)).rejects.toThrow(
      'file/x: cannot be read: a part of the path is not a directory',
    );
    await expect(work.store.stat('x'.repeat(300))).rejects.toThrow(
      expect.objectContaining({ code: 'ERR_VALUE', message: expect.stringMatching(/^x+: .*: the name is too long$/) }),
    );
    mkdirSync(work.path('folder'));
    await expect(work.store.get('folder', 0, 1)).rejects.toThrow('folder: cannot be read: is a directory');
    for (const target of ['..', '../x', '/x']) {
      let found: unknown;
      try {
        work.store.locate(target);
      } catch (error) {
        found = isSoftgradError(error) && [error.code, error.message];
      }
      expect(found).toEqual([
        'ERR_VALUE',
        `${target}: outside of ${work.root}, the folder that all workers can access; expected a path in it, or another --root`,
      ]);
    }
    expect(['x', './x/../y', `${work.root}/a/b`, '..x', '.'].map(work.store.locate)).toEqual([
      'x',
      'y',
      'a/b',
      '..x',
      '',
    ]);
  });

  test('names a missing folder in the error', async () => {
    const store = folderStore('/nowhere/at/all');
    await expect(store.stat('x')).rejects.toThrow('/nowhere/at/all: no such file or directory');
  });
});
