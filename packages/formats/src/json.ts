import { SoftgradError } from '@softgrad/core';
import { type ParseError, parse as parseWithPlaces } from 'jsonc-parser';
import { type FileArray, formatShape, sizeOf } from './array.js';
import { decodeText } from './decode.js';
import { withinRange } from './number.js';
import { isPrinted } from './printed.js';
import { quote } from './quote.js';
import type { OnShare } from './row-reader.js';

const deepest = 64;

export interface JsonOptions {
  /** The name of the array in an object of several; default: the only one. */
  readonly entry?: string | undefined;
  readonly onShare?: OnShare | undefined;
}

/**
 * Reads nested lists of numbers, or one of an object of such lists, each of which may also be flat, as `{"data": […], "shape": […]}`. JSON has no NaN and no infinities: the texts "NaN", "Infinity" and "-Infinity" stand for them;
 * the same words without quotes, as Python's json module writes them, are accepted too.
 *
 * @throws ERR_VALUE naming line and column of a syntax error or of a name that an object has twice, or the path of an entry that is not a number
 * @throws ERR_SHAPE for ragged lists
 */
export function parseJson(bytes: Uint8Array, name: string, options: JsonOptions = {}): FileArray {
  const text = decodeText(bytes, name);
  options.onShare?.(0.1);
  const syntax = readJson(text);
  options.onShare?.(shareOfSyntax);
  if (!syntax) refuseSyntax(text, name);
  if (isObject(syntax.root)) refuseRepeatedNames(text, name);
  return jsonArray(syntax.root, name, options);
}

/** How much of the time of reading JSON its syntax takes. */
const shareOfSyntax = 0.5;

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
export function jsonArray(root: unknown, name: string, { entry, onShare }: JsonOptions = {}): FileArray {
  if (isObject(root)) return member(root, entry, name, onShare);
  if (entry !== undefined) {
    throw new SoftgradError('ERR_VALUE', `${name}: has no array ${quote(entry)}; it holds one without a name`);
  }
  const shape = shapeOf(root, name);
  const data = new Float64Array(sizeOf(shape));
  const kinds = fill(data, root, shape, name, onShare);
  if (kinds.boolean && kinds.number) {
    throw new SoftgradError(
      'ERR_VALUE',
      `${name}: ${kinds.boolean} is a boolean and ${kinds.number} is a number; expected all of one kind`,
    );
  }
  return { shape, data: kinds.boolean ? Uint8Array.from(data) : data };
}

type JsonObject = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The named array of an object, or its only one; the object itself if it is a flat array with its shape. */
function member(root: JsonObject, entry: string | undefined, name: string, onShare: OnShare | undefined): FileArray {
  const names = Object.keys(root);
  const [first, ...others] = names;
  if (entry === undefined && isFlat(root)) return flatArray(root, name, onShare);
  if (first === undefined) throw new SoftgradError('ERR_VALUE', `${name}: an empty object; expected nested lists`);
  const known = names.slice(0, shownNames).map((each) => quote(each));
  const listed = `${known.join(', ')}${names.length > known.length ? ', …' : ''}`;
  if (entry === undefined && others.length > 0) {
    const file = /\.json$/i.test(name) ? name : 'FILE.json';
    throw new SoftgradError(
      'ERR_VALUE',
      `${name}: an object of ${names.length} (${listed}); choose one, as in ${file}:${/^[\w.-]+$/.test(first) ? first : 'NAME'}`,
    );
  }
  const chosen = entry ?? first;
  if (!Object.hasOwn(root, chosen)) {
    throw new SoftgradError('ERR_VALUE', `${name}: has no array ${quote(chosen)}; it holds ${listed}`);
  }
  const value = root[chosen];
  const label = entry === undefined ? name : `${name}:${entry}`;
  if (!isObject(value)) return jsonArray(value, label, { onShare });
  if (isFlat(value)) return flatArray(value, label, onShare);
  throw new SoftgradError('ERR_VALUE', `${label}: ${quote(chosen)} is an object; expected nested lists of numbers`);
}

/** The largest number of names in a message. */
const shownNames = 8;

function isFlat(value: JsonObject): boolean {
  return Array.isArray(value.data) && Array.isArray(value.shape);
}

/** `{"data": [1, 2], "shape": [2, 1]}`, as softgrad's own tensors have it; the data are in row-major order. */
function flatArray({ data, shape, ...layout }: JsonObject, name: string, onShare: OnShare | undefined): FileArray {
  const flat = jsonArray(data, `${name}:data`, { onShare });
  const lengths = jsonArray(shape, `${name}:shape`);
  const counts = Array.from(lengths.data);
  const fits =
    lengths.shape.length === 1 &&
    lengths.data instanceof Float64Array &&
    counts.every((length) => Number.isSafeInteger(length) && length >= 0);
  if (!fits) {
    throw new SoftgradError(
      'ERR_SHAPE',
      `${name}: the shape is ${quote(JSON.stringify(shape))}; expected a flat list of lengths, as in [2, 3]`,
    );
  }
  refuseOtherLayout(layout, counts, name);
  if (flat.shape.length === 1 && sizeOf(counts) === flat.data.length) return { ...flat, shape: counts };
  throw new SoftgradError(
    'ERR_SHAPE',
    `${name}: data of shape ${formatShape(flat.shape)} for the shape ${formatShape(counts)}; expected a flat list of as many numbers`,
  );
}

/** @throws ERR_VALUE for a layout that is not row-major: read as if it were, the numbers would be in other places */
function refuseOtherLayout(layout: JsonObject, shape: readonly number[], name: string): void {
  const rowMajor = shape.map((_, axis) => sizeOf(shape.slice(axis + 1)));
  const isRowMajor: readonly (readonly [key: string, test: (value: unknown) => boolean])[] = [
    ['order', (value) => value === 'C'],
    ['stride', (value) => JSON.stringify(value) === JSON.stringify(rowMajor)],
    ['strides', (value) => JSON.stringify(value) === JSON.stringify(rowMajor)],
    ['offset', (value) => value === 0],
  ];
  for (const [key, test] of isRowMajor) {
    const value = layout[key];
    if (value === undefined || value === null || test(value)) continue;
    throw new SoftgradError(
      'ERR_VALUE',
      `${name}: ${key} is ${quote(JSON.stringify(value))}; expected the data in row-major order, without ${key}`,
    );
  }
}

/** @throws ERR_VALUE for an object with a name twice, of which JSON.parse keeps only the last */
function refuseRepeatedNames(text: string, name: string): void {
  const open: Set<string>[] = [];
  const colon = /\s*:/y;
  /** The opening quote of the text that is being read, or −1. */
  let start = -1;
  // One escape at a time: a pattern for whole texts would take stack for each.
  for (const { 0: token, index } of text.matchAll(/\\.|["{}]/g)) {
    if (token === '"') {
      colon.lastIndex = index + 1;
      if (start < 0) start = index;
      else {
        if (colon.test(text)) addName(open.at(-1), start, index);
        start = -1;
      }
    } else if (start < 0) {
      if (token === '{') open.push(new Set());
      else open.pop();
    }
  }
  function addName(names: Set<string> | undefined, begin: number, end: number): void {
    const key: string = JSON.parse(text.slice(begin, end + 1));
    if (names?.has(key)) {
      throw new SoftgradError(
        'ERR_VALUE',
        `${name}: ${formatPlace(text, begin)}: the name ${quote(key)} a second time; expected each name once`,
      );
    }
    names?.add(key);
  }
}

/** Line and column of a character, from 1. */
function formatPlace(text: string, offset: number): string {
  const before = text.slice(0, offset);
  return `line ${before.split('\n').length}, column ${offset - before.lastIndexOf('\n')}`;
}

function refuseSyntax(text: string, name: string): never {
  const offset = firstError(text, name)?.offset ?? text.length;
  const found = offset >= text.trimEnd().length ? 'the end of the file' : quote(text.slice(offset, offset + 20));
  const other =
    isPrinted(text) && !/^\s*\[/.test(text)
      ? ', or the ending .txt, for arrays as they are printed and written in code'
      : '';
  throw new SoftgradError(
    'ERR_VALUE',
    `${name}: ${formatPlace(text, offset)}: not JSON at ${found}; expected nested lists of numbers${other}`,
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

/** Numbers between two reports of progress. */
const betweenReports = 2 ** 13;

function fill(data: Float64Array, root: unknown, shape: readonly number[], name: string, onShare?: OnShare) {
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
