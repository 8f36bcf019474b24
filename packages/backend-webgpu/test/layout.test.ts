import { expect, test } from 'vitest';
import { blockLength } from '../src/kernels/row-program.js';
import { layOut } from '../src/kernels/run-rows.js';

test.each([
  // Along the last axis: a lane takes up to four units, of four elements where a row has a multiple of four.
  ['1 × 3 × 1', 'row', 1, 3, 1, 3, 1],
  ['1 × 4 × 1', 'row', 4, 1, 1, 1, 1],
  ['1 × 5 × 1', 'row', 1, 5, 4, 5, 1],
  ['1 × 16 × 1', 'row', 4, 4, 1, 4, 1],
  ['1 × 20 × 1', 'row', 4, 5, 4, 5, 1],
  ['1 × 64 × 1', 'row', 4, 16, 4, 16, 1],
  ['1 × 68 × 1', 'row', 4, 17, 16, 17, 1],
  ['1 × 4096 × 1', 'row', 4, 1024, 256, 1024, 1],
  ['1 × 16384 × 1', 'row', 4, 4096, 256, 4096, 1],
  // More than 32768 classes are divided among workgroups, 16384 for each.
  ['1 × 32768 × 1', 'row', 4, 8192, 256, 8192, 1],
  ['1 × 32769 × 1', 'row', 1, 32769, 256, 16384, 3],
  ['1 × 32772 × 1', 'row', 4, 8193, 256, 4096, 3],
  ['1 × 49152 × 1', 'row', 4, 12288, 256, 4096, 3],
  ['1 × 49156 × 1', 'row', 4, 12289, 256, 4096, 4],
  // Along another axis.
  ['1 × 8 × 2', 'column', 1, 8, 1, 8, 1],
  ['1 × 9 × 2', 'column', 1, 9, 4, 9, 1],
  ['1 × 512 × 2', 'column', 1, 512, 4, 512, 1],
  ['1 × 513 × 2', 'column', 1, 513, 16, 513, 1],
  // Few long columns get the lanes that are left.
  ['1 × 4096 × 2', 'column', 1, 4096, 16, 4096, 1],
  ['1 × 4097 × 2', 'column', 1, 4097, 64, 4097, 1],
  ['1 × 4097 × 4', 'column', 1, 4097, 64, 4097, 1],
  ['2 × 4097 × 4', 'column', 1, 4097, 16, 4097, 1],
  ['1 × 32768 × 2', 'column', 1, 32768, 64, 32768, 1],
  ['1 × 32769 × 2', 'column', 1, 32769, 64, 8192, 5],
  ['9 × 40960 × 2', 'column', 1, 40960, 16, 8192, 5],
  ['9 × 40961 × 2', 'column', 1, 40961, 16, 8192, 6],
] as const)('%s', (shape, order, width, units, lanes, chunk, parts) => {
  const [outer = 0, classes = 0, inner = 0] = shape.split(' × ').map(Number);
  expect(layOut({ outer, classes, inner })).toMatchObject({ order, width, units, lanes, chunk, parts });
});

test('long parts of columns are added up in blocks', () => {
  const isBlocked = (classes: number, inner: number) => layOut({ outer: 9, classes, inner }).blocked;
  const blocks = (lanes: number) => 4 * blockLength * lanes;
  expect([isBlocked(blocks(16), 2), isBlocked(blocks(16) + 1, 2)]).toEqual([false, true]);
  expect(isBlocked(1_000_000, 1)).toBe(false);
});
