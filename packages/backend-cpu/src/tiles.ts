import type { Rows } from '@softgrad/core';
import type { CpuBuffer, FloatArray } from './storage.js';

/**
 * A few neighbouring rows, brought into contiguous scratch memory so that kernels see one layout and one element type.
 * Row r's element of class c is at `base + r * step + c * stride`.
 */
export interface Tile {
  readonly base: number;
  readonly step: number;
  readonly stride: number;
  /** Rows in this tile. */
  readonly count: number;
  /** The first row's number in (outer, inner) order. */
  readonly row: number;
  readonly outer: number;
}

/** The mask of contiguous rows, repeated after `rows` rows: 0 for masked entries. */
export interface Keep {
  readonly buffer: Uint8Array;
  readonly rows: number;
}

/** Elements of a tile, unless one row has more: a few tiles fit the second-level cache. */
export const tileElements = 4096;
/** Least neighbouring columns taken at once where inner > 1, so that each cache line fetched is used. */
export const leastColumns = 16;
/** Most elements that `leastColumns` may take. */
export const mostElements = 2 ** 21;

/** Elements of scratch memory that the largest tile of `rows` needs. */
export function tileLength(rows: Rows): number {
  return (
    rows.classes *
    (rows.inner === 1 ? Math.min(rowsPerTile(rows), rows.outer) : Math.min(rowsPerTile(rows), rows.inner))
  );
}

/** Visits all rows, tile by tile. Where inner > 1 a tile has neighbouring columns of one outer block, in memory order. */
export function forEachTile(rows: Rows, visit: (tile: Tile) => void): void {
  const { outer, classes, inner } = rows;
  const most = rowsPerTile(rows);
  if (inner === 1) {
    for (let row = 0; row < outer; row += most) {
      visit(tileOf(row, Math.min(most, outer - row), classes));
    }
    return;
  }
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i += most) {
      const base = o * classes * inner + i;
      visit({ base, step: 1, stride: inner, count: Math.min(most, inner - i), row: o * inner + i, outer: o });
    }
  }
}

/** `count` contiguous rows. */
export function tileOf(row: number, count: number, classes: number): Tile {
  return { base: row * classes, step: classes, stride: 1, count, row, outer: row };
}

/** Copies a tile into `to`, row after row. */
export function gather(to: FloatArray, from: FloatArray, tile: Tile, classes: number): void {
  const { base, step, stride, count } = tile;
  if (stride === 1) {
    const length = count * classes;
    for (let k = 0; k < length; k++) to[k] = from[base + k];
    return;
  }
  for (let c = 0; c < classes; c++) {
    for (let r = 0; r < count; r++) to[r * classes + c] = from[base + r * step + c * stride];
  }
}

/** Copies the row of a tile that starts at `start` in `to`. */
export function gatherRow(to: FloatArray, from: FloatArray, tile: Tile, start: number, classes: number): void {
  const { base, step, stride } = tile;
  const first = base + (start / classes) * step;
  for (let c = 0; c < classes; c++) to[start + c] = from[first + c * stride];
}

/** Copies contiguous rows in `from` back to the positions of the tile. */
export function scatter(to: FloatArray, from: FloatArray, tile: Tile, classes: number): void {
  const { base, step, stride, count } = tile;
  if (stride === 1) {
    const length = count * classes;
    for (let k = 0; k < length; k++) to[base + k] = from[k];
    return;
  }
  for (let c = 0; c < classes; c++) {
    for (let r = 0; r < count; r++) to[base + r * step + c * stride] = from[r * classes + c];
  }
}

/** Copies a tile of a mask whose blocks repeat: 0 for masked entries, 1 for others. */
export function gatherMask(keep: Uint8Array, mask: { buffer: CpuBuffer; outer: number }, tile: Tile, rows: Rows): void {
  const { classes, inner } = rows;
  for (let r = 0; r < tile.count; r++) {
    const block = (inner === 1 ? tile.outer + r : tile.outer) % mask.outer;
    const first = block * classes * inner + ((tile.row + r) % inner);
    for (let c = 0; c < classes; c++) keep[r * classes + c] = mask.buffer[first + c * inner] === 0 ? 0 : 1;
  }
}

function rowsPerTile({ classes, inner }: Rows): number {
  const fitting = Math.floor(tileElements / classes);
  const least = inner > 1 && classes * leastColumns <= mostElements ? leastColumns : 1;
  return Math.max(least, fitting);
}
