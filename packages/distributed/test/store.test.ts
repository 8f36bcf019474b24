import { mkdirSync, readdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
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
  });

  test('lists the objects below a folder in order, without unfinished ones', async () => {
    using work = workspace();
    for (const path of ['f/b', 'f/a/c', 'g']) await work.store.putOnce(path, bytes(path));
    writeFileSync(work.path('f/.softgrad-orphan'), '');
    expect((await work.store.list('f')).map(({ path }) => path)).toEqual(['f/a/c', 'f/b']);
    expect(await work.store.list('nowhere')).toEqual([]);
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

  test('names a missing folder in the error', async () => {
    const store = folderStore('/nowhere/at/all');
    await expect(store.stat('x')).rejects.toThrow('/nowhere/at/all: no such file or directory');
  });
});
