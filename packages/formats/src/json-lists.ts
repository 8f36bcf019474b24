import { SoftgradError } from '@softgrad/core';
import { withinRange } from './number.js';
import { quote } from './quote.js';
import type { OnShare } from './row-reader.js';

const deepest = 64;

export function tooDeep(name: string): SoftgradError {
  return new SoftgradError('ERR_SHAPE', `${name}: lists nested more than ${deepest} deep`);
}

/** How much of the time of reading JSON its syntax takes. */
export const shareOfSyntax = 0.5;

/** The shape according to the first entries; `fill` checks that the others agree. */
export function shapeOf(root: unknown, name: string): number[] {
  const shape: number[] = [];
  for (let node = root; Array.isArray(node); node = node[0]) {
    if (shape.length === deepest) throw tooDeep(name);
    shape.push(node.length);
  }
  return shape;
}

/** Numbers between two reports of progress. */
const betweenReports = 2 ** 13;

/** Fills `data` in row-major order, and gives the place of a number and of a boolean. @throws ERR_VALUE, ERR_SHAPE */
export function fill(data: Float64Array, root: unknown, shape: readonly number[], name: string, onShare?: OnShare) {
  const kinds: { number?: string; boolean?: string } = {};
  const path: number[] = [];
  let at = 0;
  const visit = (node: unknown): void => {
    const axis = path.length;
    if (axis === shape.length) {
      const value = leaf(node);
      if (typeof node === 'number' && !Number.isFinite(node)) {
        const infinity = `"${node}" in quotes`;
        throw new SoftgradError(
          'ERR_VALUE',
          `${name}: ${formatPath(path)} is a number beyond float64; expected ${withinRange(infinity)}`,
        );
      }
      if (value === null) {
        const hint = node === null ? ' (write "NaN" for a missing value)' : '';
        throw new SoftgradError(
          'ERR_VALUE',
          `${name}: ${formatPath(path)} is ${describe(node)}; expected a number${hint}`,
        );
      }
      if (typeof node === 'boolean') kinds.boolean ??= formatPath(path);
      else kinds.number ??= formatPath(path);
      data[at++] = value;
      if (at % betweenReports === 0) onShare?.(shareOfSyntax + (1 - shareOfSyntax) * (at / data.length));
      return;
    }
    if (!Array.isArray(node)) {
      throw new SoftgradError(
        'ERR_SHAPE',
        `${name}: ${formatPath(path)} is ${describe(node)}; expected a list of ${shape[axis]}`,
      );
    }
    if (node.length !== shape[axis]) {
      const first = formatPath(path.map(() => 0));
      throw new SoftgradError(
        'ERR_SHAPE',
        `${name}: ragged: ${formatPath(path)} has ${node.length} entries; expected ${shape[axis]}, as in ${first}`,
      );
    }
    for (let i = 0; i < node.length; i++) {
      path.push(i);
      visit(node[i]);
      path.pop();
    }
  };
  visit(root);
  return kinds;
}

const words: ReadonlyMap<unknown, number> = new Map([
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
]);

function leaf(node: unknown): number | null {
  if (typeof node === 'number') return node;
  if (typeof node === 'boolean') return node ? 1 : 0;
  return words.get(node) ?? null;
}

function formatPath(path: readonly number[]): string {
  return path.length === 0 ? 'the value' : path.map((index) => `[${index}]`).join('');
}

function describe(node: unknown): string {
  if (typeof node === 'string') return `the text ${quote(node)}`;
  if (Array.isArray(node)) return `a list of ${node.length}`;
  return node !== null && typeof node === 'object' ? 'an object' : String(node);
}
