import { SoftgradError } from '@softgrad/core';
import { type ParseError, parse as parseWithPlaces } from 'jsonc-parser';
import { type FileArray, sizeOf } from './array.js';
import { decodeText } from './decode.js';
import { quote } from './quote.js';

const deepest = 64;

/**
 * Reads nested lists of numbers. JSON has no NaN and no infinities: the texts "NaN", "Infinity" and "-Infinity" stand for them;
 * the same words without quotes, as Python's json module writes them, are accepted too.
 *
 * @throws ERR_VALUE naming line and column of a syntax error, or the path of an entry that is not a number
 * @throws ERR_SHAPE for ragged lists
 */
export function parseJson(bytes: Uint8Array, name: string): FileArray {
  const text = decodeText(bytes, name);
  const syntax = readJson(text);
  return jsonArray(syntax ? syntax.root : refuseSyntax(text, name), name);
}

/** The value of a JSON text, whatever its type, or null if the text is not JSON. */
export function readJson(text: string): { readonly root: unknown } | null {
  for (const written of [() => text, () => quoteWords(text)]) {
    try {
      return { root: JSON.parse(written()) };
    } catch {
      // NaN and infinities without quotes are tried next, then other formats.
    }
  }
  return null;
}

/** The array in JSON's nested lists. @throws ERR_VALUE, ERR_SHAPE */
export function jsonArray(root: unknown, name: string): FileArray {
  const shape = shapeOf(root, name);
  const data = new Float64Array(sizeOf(shape));
  const kinds = fill(data, root, shape, name);
  if (kinds.boolean && kinds.number) {
    throw new SoftgradError(
      'ERR_VALUE',
      `${name}: ${kinds.boolean} is a boolean and ${kinds.number} is a number; expected all of one kind`,
    );
  }
  return { shape, data: kinds.boolean ? Uint8Array.from(data) : data };
}

function refuseSyntax(text: string, name: string): never {
  const offset = firstError(text, name)?.offset ?? text.length;
  const before = text.slice(0, offset);
  const line = before.split('\n').length;
  const column = offset - before.lastIndexOf('\n');
  const found = offset >= text.trimEnd().length ? 'the end of the file' : quote(text.slice(offset, offset + 20));
  throw new SoftgradError(
    'ERR_VALUE',
    `${name}: line ${line}, column ${column}: not JSON at ${found}; expected nested lists of numbers`,
  );
}

/** Python's json module writes NaN and infinities without quotes. */
function quoteWords(text: string): string {
  return text.replace(/(?<!["\w-])(-?Infinity|NaN)(?!["\w])/g, '"$1"');
}

/** The offset of the syntax error. @throws ERR_SHAPE for lists nested so deep that finding it would overflow the stack */
function firstError(text: string, name: string): ParseError | undefined {
  const errors: ParseError[] = [];
  try {
    parseWithPlaces(text, errors, { disallowComments: true });
  } catch (cause) {
    if (cause instanceof RangeError) throw tooDeep(name);
    throw cause;
  }
  return errors[0];
}

function tooDeep(name: string): SoftgradError {
  return new SoftgradError('ERR_SHAPE', `${name}: lists nested more than ${deepest} deep`);
}

/** The shape according to the first entries; `fill` checks that the others agree. */
function shapeOf(root: unknown, name: string): number[] {
  const shape: number[] = [];
  for (let node = root; Array.isArray(node); node = node[0]) {
    if (shape.length === deepest) throw tooDeep(name);
    shape.push(node.length);
  }
  return shape;
}

function fill(data: Float64Array, root: unknown, shape: readonly number[], name: string) {
  const kinds: { number?: string; boolean?: string } = {};
  const path: number[] = [];
  let at = 0;
  const visit = (node: unknown): void => {
    const axis = path.length;
    if (axis === shape.length) {
      const value = leaf(node);
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

/** A number in full precision: parsing the text gives the same number. */
function jsonNumber(value: number): string {
  if (Object.is(value, -0)) return '-0';
  return Number.isFinite(value) ? String(value) : `"${value}"`;
}

/**
 * The rows of an array, separated, without the list around them; in pieces of bounded length, because one row of a Jacobian
 * can be longer than any string.
 */
export function* jsonRows(array: FileArray): Generator<string> {
  const [rows = 1, ...rowShape] = array.shape;
  if (rowShape.length === 0) {
    yield* numbers(array, 0, array.data.length);
    return;
  }
  const rowSize = sizeOf(rowShape);
  for (let row = 0; row < rows; row++) {
    if (row > 0) yield ',\n ';
    yield* list(array, rowShape, row * rowSize);
  }
}

/** The nested lists of a shape, or the single number of a scalar. */
function* list(array: FileArray, shape: readonly number[], start: number): Generator<string> {
  const [length = 1, ...rest] = shape;
  yield '[';
  if (rest.length === 0) {
    yield* numbers(array, start, start + length);
  } else {
    const step = sizeOf(rest);
    for (let i = 0; i < length; i++) {
      if (i > 0) yield ',';
      yield* list(array, rest, start + i * step);
    }
  }
  yield ']';
}

/** The largest number of numbers that are joined to one text. */
const pieceLength = 8192;

function* numbers({ data }: FileArray, start: number, end: number): Generator<string> {
  for (let at = start; at < end; at += pieceLength) {
    const separator = at > start ? ',' : '';
    yield separator + Array.from(data.subarray(at, Math.min(end, at + pieceLength)), jsonNumber).join(',');
  }
}
