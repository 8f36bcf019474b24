import { expect, test } from 'vitest';
import { forEachTile, leastColumns, mostElements, type Tile, tileElements, tileLength } from '../src/tiles.js';

const lengths = [1, 2, 3, 7, 64, 255, 256, 257, 4095, 4096, 4097, 50_257, 131_071, 131_072, 131_073, 2 ** 22];
const counts = [1, 2, 15, 16, 17, 300, 5000];

/** Of contiguous rows (inner 1) and of rows over an inner dimension. */
const problems = lengths.flatMap((classes) =>
  counts.flatMap((count) => [
    { outer: count, classes, inner: 1 },
    { outer: 2, classes, inner: count },
  ]),
);

test('a tile has as many rows as fit the cache, and columns enough to use the cache lines that it fetches while memory for it is small', () => {
  for (const rows of problems) {
    const { outer, classes, inner } = rows;
    const neighbours = inner === 1 ? outer : inner;
    const fetched = inner > 1 && leastColumns * classes <= mostElements ? leastColumns : 1;
    const count = Math.min(neighbours, Math.max(fetched, Math.floor(tileElements / classes)));
    expect(tileLength(rows) / classes, JSON.stringify(rows)).toBe(count);
  }
});

test('tiles have each row once, in order, and are as large as they can be', () => {
  for (const rows of problems) {
    const { outer, classes, inner } = rows;
    const tiles: Tile[] = [];
    forEachTile(rows, (tile) => tiles.push(tile));
    let next = 0;
    const isRight = tiles.every(({ base, step, stride, count, row, outer: first }) => {
      const [o, i] = [Math.floor(row / inner), row % inner];
      const isNext = row === next && first === o && base === o * classes * inner + i;
      next += count;
      const isLast = next === (inner === 1 ? outer : (o + 1) * inner);
      return (
        isNext &&
        count > 0 &&
        stride === inner &&
        step === (inner === 1 ? classes : 1) &&
        (isLast || count === tileLength(rows) / classes)
      );
    });
    expect([isRight, next], JSON.stringify(rows)).toEqual([true, outer * inner]);
  }
});
