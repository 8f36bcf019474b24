import { isSoftgradError } from '@softgrad/core';
import fc from 'fast-check';
import { zipSync } from 'fflate';
import { describe, expect, test } from 'vitest';
import { npzBytes, npzRows, sizeOf } from '../src/index.js';
import { numpyFiles, plain } from './numpy-files.js';

const { npz, npy } = numpyFiles;

async function read(bytes: Uint8Array, entry: string | null, limit = 1e9) {
  const array = await (await npzRows(bytes, entry, limit, 'x.npz')).next(Number.MAX_SAFE_INTEGER);
  if (array === null) throw new Error('no chunk');
  return array;
}

describe('archives written by NumPy', () => {
  test.each([
    ['one array', null],
    ['one array, compressed', null],
    ['one array, compressed', 'logits'],
    ['two arrays', 'gradient'],
  ])('%s, choosing %s', async (name, entry) => {
    const array = await read(npz[name].bytes, entry);
    expect(array.shape).toEqual(npz[name].shape);
    expect(plain(array)).toEqual(npz[name].values);
  });
});

test('what is written is read back, and the same arrays give the same bytes', async () => {
  const files = { loss: npy['a scalar'].bytes, gradient: npy['<f8 C'].bytes };
  const bytes = npzBytes(files);
  expect(plain(await read(bytes, 'loss'))).toEqual([2.5]);
  expect(plain(await read(bytes, 'gradient'))).toEqual(npy['<f8 C'].values);
  expect(npzBytes(files)).toEqual(bytes);
});

describe('what holds no such array is refused, saying what it holds', () => {
  test.each<[string, Uint8Array, string | null, string]>([
    [
      'several arrays and no name',
      npz['two arrays'].bytes,
      null,
      'x.npz: holds 2 arrays ("logits", "gradient"); expected one to be chosen, as in x.npz:logits',
    ],
    ['a name it lacks', npz['one array'].bytes, 'x', 'x.npz: has no array "x"; it holds "logits"'],
    [
      'no arrays',
      zipSync({ 'readme.txt': new Uint8Array(3) }),
      null,
      'x.npz: holds no array; expected .npy files in the archive',
    ],
    [
      'no archive',
      Buffer.from('not a zip file at all, but long enough for one'),
      null,
      'x.npz: not a .npz archive that can be unpacked (invalid zip data); expected what np.savez writes',
    ],
    [
      'a damaged array',
      zipSync({ 'a.npy': Buffer.from('hello, world') }),
      'a',
      'x.npz:a: not a .npy file: expected it to start with the bytes 93 4E 55 4D 50 59, found 68 65 6C 6C 6F 2C',
    ],
  ])('%s', async (_, bytes, entry, message) => {
    await expect(read(bytes, entry)).rejects.toThrow(expect.objectContaining({ message }));
  });

  test('an array that unpacks to more than there is room for, before it is unpacked', async () => {
    const bomb = zipSync({ 'a.npy': new Uint8Array(50e6) });
    expect(bomb.length).toBeLessThan(100_000);
    await expect(read(bomb, null, 40e6)).rejects.toThrow(
      'x.npz: "a" unpacks to 50 MB, more than can be held in memory',
    );
  });
});

test('however an archive is damaged, it is read as an array that fits its shape or refused in one line', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...Object.values(npz).map(({ bytes }) => bytes)),
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      fc.option(fc.nat()),
      async (original, changes, cut) => {
        const bytes = Buffer.from(original).subarray(0, cut === null ? original.length : cut % original.length);
        for (const [position, value] of changes) if (bytes.length > 0) bytes[position % bytes.length] = value;
        try {
          const array = await read(bytes, 'logits');
          expect(array.data.length).toBe(sizeOf(array.shape));
        } catch (error) {
          if (!isSoftgradError(error)) throw error;
          expect(error.message).toMatch(/^x\.npz(:logits)?: \P{Cc}+$/u);
        }
      },
    ),
    { numRuns: 2000 },
  );
});
