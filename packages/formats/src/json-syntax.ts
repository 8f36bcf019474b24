import { SoftgradError } from '@softgrad/core';
import { type ParseError, parse as parseWithPlaces } from 'jsonc-parser';
import { tooDeep } from './json-lists.js';
import { isPrinted } from './printed.js';
import { quote } from './quote.js';

/** The value of a JSON text, whatever its type, or null if the text is not JSON. */
export function readJson(text: string): { readonly root: unknown } | null {
  // Python's json module writes NaN and infinities without quotes.
  for (const written of [() => text, () => replaceWords(text, (word) => `"${word}"`)]) {
    try {
      return { root: JSON.parse(written()) };
    } catch {
      // NaN and infinities without quotes are tried next, then other formats.
    }
  }
  return null;
}

/** The text with NaN and infinities replaced, but not within its texts. */
function replaceWords(text: string, by: (word: string) => string): string {
  let isQuoted = false;
  return text.replace(/\\.|"|(?<![\w-])(?:-?Infinity|NaN)(?!["\w])/g, (token) => {
    if (token === '"') isQuoted = !isQuoted;
    return isQuoted || /["\\]/.test(token) ? token : by(token);
  });
}

/** @throws ERR_VALUE for an object with a name twice, of which JSON.parse keeps only the last */
export function refuseRepeatedNames(text: string, name: string): void {
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

/** @throws ERR_VALUE naming line and column */
export function refuseSyntax(text: string, name: string): never {
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

/** The offset of the syntax error. @throws ERR_SHAPE for lists nested so deep that finding it would overflow the stack */
function firstError(text: string, name: string): ParseError | undefined {
  const errors: ParseError[] = [];
  try {
    // Words for NaN and infinities are no errors: numbers of the same length are in their place.
    const numbers = replaceWords(text, (word) => '0'.padEnd(word.length));
    parseWithPlaces(numbers, errors, { disallowComments: true });
  } catch (cause) {
    if (cause instanceof RangeError) throw tooDeep(name);
    throw cause;
  }
  return errors[0];
}

/** Line and column of a character, from 1. */
function formatPlace(text: string, offset: number): string {
  const before = text.slice(0, offset);
  return `line ${before.split('\n').length}, column ${offset - before.lastIndexOf('\n')}`;
}
