import { checkOptions, namesOf, SoftgradError } from '@softgrad/core';
import { type FileArray, formatShape, sizeOf } from './array.js';
import { decodeText } from './decode.js';
import { fill, shapeOf, shareOfSyntax } from './json-lists.js';
import { readJson, refuseRepeatedNames, refuseSyntax } from './json-syntax.js';
import { quote } from './quote.js';
import type { OnShare } from './row-reader.js';

/** Which array of a JSON file is read. */
export interface JsonOptions {
  /** The name of the array in an object of several; default: the only one. */
  readonly entry?: string | undefined;
  readonly onShare?: OnShare | undefined;
}

const optionNames = namesOf<JsonOptions>({ entry: true, onShare: true });

/**
 * Reads nested lists of numbers, or one of an object of such lists, each of which may also be flat, as `{"data": […], "shape": […]}`. JSON has no NaN and no infinities: the texts "NaN", "Infinity" and "-Infinity" stand for them;
 * the same words without quotes, as Python's json module writes them, are accepted too.
 *
 * @param bytes the text in UTF-8 or UTF-16
 * @param name of the file, for messages
 * @returns the array: float64, or bytes 0 and 1 if the lists have booleans
 * @throws ERR_VALUE naming line and column of a syntax error or of a name that an object has twice, or the path of an entry that is not a number; if
 *   there is no such array, or if there are several and none is named
 * @throws ERR_SHAPE for ragged lists, and for flat data that do not fit their shape
 * @throws ERR_DISPOSED for bytes that were transferred to a worker
 * @example
 * const { shape, data } = parseJson(new TextEncoder().encode('[[1, 2], [3, "NaN"]]'), 'logits.json');
 * shape; // [2, 2]
 * data; // [1, 2, 3, NaN]
 */
export function parseJson(bytes: Uint8Array, name: string, options: JsonOptions = {}): FileArray {
  checkOptions('parseJson', options, optionNames);
  const text = decodeText(bytes, name);
  options.onShare?.(0.1);
  const syntax = readJson(text);
  options.onShare?.(shareOfSyntax);
  if (!syntax) refuseSyntax(text, name);
  if (isObject(syntax.root)) refuseRepeatedNames(text, name);
  return jsonArray(syntax.root, name, options);
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
