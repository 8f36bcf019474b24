import { SoftgradError } from '../errors.js';
import { conversionHint } from './conversion.js';
import { describe } from './describe.js';
import { isFloat16Like } from './half.js';
import { type Shape, show } from './shape.js';

/** Nested arrays of numbers, as `array()` gives them; booleans for bool tensors; a bare value for a scalar. */
export type NestedArray = number | boolean | readonly NestedArray[];

/** Nested arrays of R levels, or of any depth if the rank is not known. */
export type Nested<T, R extends number> = ByRank<T>[R];

// A lookup instead of a conditional type, so that a tensor of a known rank is assignable to one of any rank.
interface ByRank<T> {
  readonly 0: T;
  readonly 1: T[];
  readonly 2: T[][];
  readonly 3: T[][][];
  readonly 4: T[][][][];
  readonly [rank: number]: AnyDepth<T>;
}

/** The arrays are new and the caller's: other libraries take only arrays that are not readonly. */
type AnyDepth<T> = T | AnyDepth<T>[];

/**
 * The shape of nested arrays, read from their first entries; `flatten` verifies it.
 */
export function shapeOfNested(nested: NestedArray): number[] {
  const shape: number[] = [];
  let level: unknown = nested;
  while (isLevel(level)) {
    shape.push(level.length);
    level = level[0];
  }
  return shape;
}

/** An array, or a typed array as the innermost row. */
function isLevel(value: unknown): value is ArrayLike<unknown> {
  return Array.isArray(value) || (ArrayBuffer.isView(value) && 'length' in value) || isFloat16Like(value);
}

/**
 * Writes nested arrays of `shape` into `target`, row-major.
 *
 * @throws ERR_SHAPE for ragged rows, ERR_DTYPE for an entry that is not a number, both naming the place
 */
export function flatten(
  nested: NestedArray,
  shape: Shape,
  target: { [index: number]: number },
  booleans: boolean,
  what: string,
): void {
  let next = 0;
  const path: number[] = [];
  const innermost = shape.length - 1;
  const type = booleans ? 'boolean' : 'number';
  const visit = (node: unknown, depth: number): void => {
    if (!isLevel(node) || node.length !== shape[depth]) {
      const found = isLevel(node) ? `${node.length} ${node.length === 1 ? 'entry' : 'entries'}` : describe(node);
      throw new SoftgradError(
        'ERR_SHAPE',
        `${what}: ragged input: ${place(path)} has ${found}, expected ${shape[depth]} as in shape ${show(shape)}${conversionHint(node, true)}`,
      );
    }
    if (depth === innermost) {
      for (let k = 0; k < node.length; k++) {
        const value = node[k];
        if (typeof value === 'number' && !booleans) target[next++] = value;
        else if (typeof value === 'boolean' && booleans) target[next++] = value ? 1 : 0;
        else throw noEntry(value, [...path, k], type, what);
      }
      return;
    }
    for (let k = 0; k < node.length; k++) {
      path[depth] = k;
      visit(node[k], depth + 1);
    }
    path.length = depth;
  };
  if (innermost >= 0) visit(nested, 0);
  else target[0] = Number(nested);
}

function noEntry(value: unknown, path: readonly number[], type: 'boolean' | 'number', what: string): SoftgradError {
  const code = Array.isArray(value) ? 'ERR_SHAPE' : 'ERR_DTYPE';
  return new SoftgradError(
    code,
    `${what}: ${place(path)} is ${describe(value)}, expected a ${type}${conversionHint(value, true)}`,
  );
}

function place(path: readonly number[]): string {
  return `entry [${path.join('][')}]`;
}

/** Row-major data as nested arrays of `shape`. */
export function nest(data: ArrayLike<number>, shape: Shape, booleans: boolean): Nested<number | boolean, number> {
  let next = 0;
  const innermost = shape.length - 1;
  const build = (depth: number): Nested<number | boolean, number> => {
    const size = shape[depth];
    if (size === undefined) {
      const value = data[next++] ?? Number.NaN;
      return booleans ? value !== 0 : value;
    }
    const row: Nested<number | boolean, number>[] = [];
    if (depth === innermost && !booleans) for (let k = 0; k < size; k++) row.push(data[next++] ?? Number.NaN);
    else for (let k = 0; k < size; k++) row.push(build(depth + 1));
    return row;
  };
  return build(0);
}

/** Row-major data as nested arrays, abbreviated: at most six entries of each dimension, six digits of each number. */
export function preview(data: ArrayLike<number>, shape: Shape, booleans: boolean): string {
  const build = (depth: number, start: number, count: number): string => {
    const size = shape[depth];
    if (size === undefined) {
      const value = data[start] ?? Number.NaN;
      return String(booleans ? value !== 0 : Number(value.toPrecision(6)));
    }
    const each = count / size;
    const shown = Array.from({ length: Math.min(size, 6) }, (_, k) => build(depth + 1, start + k * each, each));
    return `[${shown.join(', ')}${size > 6 ? `, … ${size - 6} more` : ''}]`;
  };
  return build(0, 0, data.length);
}
