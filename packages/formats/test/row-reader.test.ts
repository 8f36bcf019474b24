import { describe, expect, test } from 'vitest';
import { arrayRows, type FileArray, type RowReader, readAll } from '../src/index.js';

/** All chunks of at most `count` rows. */
async function chunksOf(reader: RowReader, count: number): Promise<FileArray[]> {
  const chunks: FileArray[] = [];
  for (let chunk = await reader.next(count); chunk; chunk = await reader.next(count)) chunks.push(chunk);
  expect(await reader.next(count)).toBeNull();
  return chunks;
}

const cube = { shape: [3, 2, 1], data: Int32Array.of(1, 2, 3, 4, 5, 6) };

describe('an array in memory', () => {
  test('is read in chunks of the requested number of rows, the last with fewer', async () => {
    const reader = arrayRows(cube, 'cube');
    expect([reader.name, reader.shape, reader.byteLength, reader.position()]).toEqual(['cube', [3, 2, 1], null, 0]);
    expect(await chunksOf(reader, 2)).toEqual([
      { shape: [2, 2, 1], data: Int32Array.of(1, 2, 3, 4) },
      { shape: [1, 2, 1], data: Int32Array.of(5, 6) },
    ]);
    expect(await chunksOf(arrayRows(cube, 'cube'), 3)).toEqual([cube]);
    expect(await chunksOf(arrayRows(cube, 'cube'), 4)).toEqual([cube]);
  });

  test('of one number is one chunk, and so is one without rows', async () => {
    const scalar = { shape: [], data: Float64Array.of(7) };
    expect(await chunksOf(arrayRows(scalar, 'scalar'), 5)).toEqual([scalar]);
    const empty = { shape: [0, 3], data: new Float64Array(0) };
    expect(await chunksOf(arrayRows(empty, 'empty'), 5)).toEqual([empty]);
  });
});

/** A reader that knows the number of rows only after reading them; it reads them one by one, on request. */
function uncounted(rows: number, asked: number[] = []): RowReader {
  let at = 0;
  return {
    name: 'rows.csv',
    shape: [null, 2],
    byteLength: null,
    async next(count) {
      asked.push(count);
      return at < rows ? { shape: [1, 2], data: Float64Array.of(at, -at++) } : null;
    },
    position: () => 0,
    close: async () => {},
  };
}

describe('reading all', () => {
  const advice = 'use less';
  const tooLarge = { code: 'ERR_OUT_OF_MEMORY', message: 'rows.csv: too large to fit into memory; use less' };

  test('gives the array, in its stored type if its size is known', async () => {
    expect(await readAll(arrayRows(cube, 'cube'), 1e9, advice)).toEqual(cube);
    const scalar = { shape: [], data: Float64Array.of(7) };
    expect(await readAll(arrayRows(scalar, 'scalar'), 1e9, advice)).toEqual(scalar);
    expect(await readAll(uncounted(3), 1e9, advice)).toEqual({
      shape: [3, 2],
      data: Float64Array.of(0, -0, 1, -1, 2, -2),
    });
    const none = await readAll(uncounted(0), 1e9, advice);
    expect(none).toEqual({ shape: [0, 2], data: new Float64Array(0) });
  });

  test('requests all rows at once if their number is known, thousands at a time otherwise, and none twice', async () => {
    const asked: number[] = [];
    const counted: RowReader = {
      ...arrayRows(cube, 'cube'),
      async next(count) {
        asked.push(count);
        return cube;
      },
    };
    await readAll(counted, 1e9, advice);
    await readAll({ ...counted, shape: [0, 2] }, 1e9, advice);
    expect(asked).toEqual([3, 1]);
    const uncountedAsked: number[] = [];
    await readAll(uncounted(2, uncountedAsked), 1e9, advice);
    expect(uncountedAsked).toEqual([4096, 4096, 4096]);
  });

  test('throws for an array above the limit, before reading it or as soon as the size is known', async () => {
    // Four times in float64: 6 numbers are 192 bytes.
    const refused = readAll(arrayRows(cube, 'rows.csv'), 191, advice);
    await expect(refused).rejects.toThrow(expect.objectContaining(tooLarge));
    expect(await readAll(arrayRows(cube, 'cube'), 192, advice)).toEqual(cube);
    const asked: number[] = [];
    await expect(readAll(uncounted(9, asked), 3 * 64 - 1, advice)).rejects.toThrow(expect.objectContaining(tooLarge));
    expect(asked).toHaveLength(3);
    expect((await readAll(uncounted(3), 3 * 64, advice)).shape).toEqual([3, 2]);
  });

  test('continues to the end after an empty chunk', async () => {
    const reader: RowReader = { ...arrayRows(cube, 'cube'), next: async () => null };
    expect(await readAll(reader, 1e9, advice)).toEqual({ shape: [0, 2, 1], data: new Float64Array(0) });
  });
});
