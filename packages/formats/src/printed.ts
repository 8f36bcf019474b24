import { SoftgradError } from '@softgrad/core';
import { type FileArray, formatShape, sizeOf } from './array.js';
import { isBeyondRange, isEllipsis, parseEntry, printWhole, withinRange } from './number.js';
import { quote } from './quote.js';
import type { OnShare } from './row-reader.js';

const deepest = 64;
/** What Python sessions and PyTorch print before an array. */
const session = String.raw`(?:Out\[\d+\]:|>>>|Parameter containing:)?\s*`;
/** What names an array in code and in logs: `x = `, `const x: number[] = `, `"x": `. Blanks are limited, so that no text takes quadratic time. */
const assignment = String.raw`(?:(?:export\s{1,8})?(?:const|let|var)\s{1,8})?["']?[A-Za-z_$][\w.$-]{0,80}["']?\s{0,8}(?::|(?::[\w.<>[\], ]{1,80}?)?=)\s{0,8}`;
/** Imports before the code. */
const imports = String.raw`(?:(?:import|from)\s[^\n]*\n\s*)*`;
const lead = `${session}(?:${imports}${assignment})?`;
/** What tensors of TensorFlow.js and softgrad print before their values; a scalar has no brackets. */
const tensorLead = String.raw`(?:Tensor(?:\s+dtype: \w+\s+rank: \d+\s+shape: \[[\d,]*\]\s+values:)?\s|Tensor \([\d, ]*\) \w+ on \S+)\s*`;
/** How JavaScript's consoles begin an array: `Float32Array(3) [`, `Array(2) [`, `(2) [`. */
const ofJavaScript = String.raw`(?:\w*Array(?:\s?\(\d+\))?|\(\d+\))\s*(?=\[)`;
/** The shape that a tensor states: `size=(0, 3)` of PyTorch, `shape=(2, 3)` of TensorFlow and NumPy. */
const tensorFlow = /^\s*<tf\./;
const shapeAttribute = /^(?:size|shape)=\(([\d\s,]*)\)$/;
const opener = String.raw`(?:new\s{1,8})?(?:\w+\.)*(?:(?:as)?array|Array|tensor(?:[1-6]d)?|Tensor|(?:u?int|float|bfloat)\d+|\w+Array(?=\(\s{0,8}\[))\(`;
const entry = String.raw`\[|${ofJavaScript}|${opener}\s*(?:[[\d.+\-,)]|nan|inf)`;
/** The repr of TensorFlow: `<tf.Tensor: shape=(2, 3), dtype=float32, numpy=`, with `>` at its end. */
const tensorFlowLead = String.raw`<tf\.\w+[^>[]*?\bnumpy=\s*`;
const start = new RegExp(
  String.raw`^\s*(?:${lead}(?=${entry})|${tensorFlowLead}(?=${entry}|[\d.+\-]|nan|inf)|${tensorLead}(?=\[|[\d.+\-]|[nN]a[nN]|[iI]nf))`,
);
/** One token: blanks and JavaScript's text before a bracket, punctuation, the beginning of `array(`, `dtype=float32` and the like, or a word. */
const token = new RegExp(
  String.raw`(\s+|${ofJavaScript})|([[\],)])|(${opener})|(\w+=(?:<[^>]*>|'[^']*'|"[^"]*"|\([^)]*\)|[^\s,()]+))|([^\s,[\])]+)`,
  'y',
);

/**
 * Whether a text begins like an array printed by NumPy, PyTorch, JAX, TensorFlow.js or a JavaScript console, or like the code of one: with a
 * bracket, or as `array([`, `tensor([`, `Float32Array(3) [`, `Tensor [`, `x = [` and `const x = new Float32Array([`.
 *
 * @example
 * isPrinted('tensor([1., 2.])'); // true
 * isPrinted('1, 2'); // false
 */
export function isPrinted(text: string): boolean {
  return start.test(text);
}

/** A list that is being read: where it began, and how many entries of which kind have been read. */
interface List {
  readonly offset: number;
  entries: number;
  kind: 'number' | 'list' | null;
  /** How many entries the text before its bracket states: 3 for `Float32Array(3) [`. */
  readonly stated: number | null;
}

/**
 * Reads a printed array: entries separated by blanks or commas, with `array(…)`, `tensor(…)` and their dtype around it, or
 * `Float32Array(3)` before its brackets.
 *
 * @throws ERR_VALUE naming line and column of an entry that is not a number or of an unbalanced bracket, and for an abbreviated array
 * @throws ERR_SHAPE naming the line of a row that is longer or shorter than the first
 */
export function parsePrinted(text: string, name: string, booleans: boolean, onShare?: OnShare): FileArray {
  return new Printed(text, name, booleans).parse(onShare);
}

/** Tokens between two reports of progress. */
const betweenReports = 2 ** 13;

/** What may follow an array in code: the end of its statement, and a comment. */
const statementEnd = /;?[^\S\n]*(?:(?:\/\/|#)[^\n]*)?\s*$/y;
/** The shape or the dtype after an array in a call: `tf.tensor2d([[1, 2]], [1, 2])`, `np.array([1], np.float32)`. */
const shapeArgument = /\[([\d\s,]*)\]/y;
const dtypeArgument = /^(?:'\w+'|"\w+"|[A-Za-z_][\w.]*)$/;

const pasteAll = 'expected all of what was printed';

function countOf(entries: number): string {
  return entries === 1 ? '1 entry' : `${entries} entries`;
}

class Printed {
  readonly #text: string;
  readonly #name: string;
  readonly #booleans: boolean;
  readonly #values: number[] = [];
  /** Known lengths, from the outermost dimension on. */
  readonly #shape: number[] = [];
  readonly #lists: List[] = [];
  readonly #calls: number[] = [];
  /** The depth of the numbers, known after the first innermost list has ended. */
  #rank: number | null = null;
  /** Set at the end of the array, after which no list can begin. */
  #done = false;
  /** A comma must follow a value. */
  #afterValue = false;
  /** The count in the JavaScript text before the next bracket. */
  #stated: number | null = null;
  #statedShape: { readonly lengths: readonly number[]; readonly offset: number } | null = null;

  constructor(text: string, name: string, booleans: boolean) {
    this.#booleans = booleans;
    this.#text = text;
    this.#name = name;
  }

  parse(onShare?: OnShare): FileArray {
    const text = tensorFlow.test(this.#text) ? this.#text.replace(/>\s*$/, '') : this.#text;
    const lead = start.exec(text)?.[0] ?? '';
    token.lastIndex = lead.length;
    this.#stateShape(/shape: \[([\d,]*)\]|shape=\(([\d\s,]*)\)|Tensor \(([\d\s,]*)\)/.exec(lead)?.slice(1).join(''), 0);
    let tokens = 0;
    for (let at = token.lastIndex; at < text.length; at = token.lastIndex) {
      const match = token.exec(text);
      if (onShare && ++tokens % betweenReports === 0) onShare(at / text.length);
      if (!match) throw this.#unexpected(text.charAt(at), at);
      const [whole, blanks, punctuation, call, attribute] = match;
      if (blanks !== undefined) {
        const count = /\d+(?=\))/.exec(blanks)?.[0];
        if (count !== undefined) this.#stated = Number(count);
        continue;
      }
      if (this.#done) {
        statementEnd.lastIndex = at;
        if (this.#calls.length === 0 && statementEnd.test(text)) break;
        if (this.#argument(whole, at)) continue;
      }
      if (punctuation !== undefined) this.#punctuation(punctuation, at);
      else if (call !== undefined) this.#calls.push(at);
      else if (attribute !== undefined && this.#calls.length > 0) {
        this.#afterValue = true;
        // Of a list of tensors, each states its own shape.
        if (this.#lists.length === 0) this.#stateShape(shapeAttribute.exec(attribute)?.[1], at);
      } else this.#word(whole, at);
    }
    const open = this.#lists.at(-1)?.offset ?? this.#calls.at(-1);
    if (open !== undefined) {
      const bracket = this.#lists.length > 0 ? '"["' : '"("';
      throw this.#error('ERR_VALUE', `${bracket} is never closed; expected brackets in pairs`, open);
    }
    if (!this.#done) throw this.#error('ERR_VALUE', 'no array; expected numbers in brackets', text.length);
    return { shape: this.#checkedShape(), data: Float64Array.from(this.#values) };
  }

  /** Reads an argument after the array in the call around it; false if it is none. */
  #argument(whole: string, at: number): boolean {
    if (this.#calls.length !== 1) return false;
    shapeArgument.lastIndex = at;
    const shape = shapeArgument.exec(this.#text);
    if (shape !== null) {
      this.#stateShape(shape[1], at);
      token.lastIndex = shapeArgument.lastIndex;
    } else if (!dtypeArgument.test(whole) || parseEntry(whole) !== null) return false;
    this.#afterValue = true;
    return true;
  }

  #stateShape(lengths: string | undefined, offset: number): void {
    if (lengths === undefined) return;
    this.#statedShape = { lengths: (lengths.match(/\d+/g) ?? []).map(Number), offset };
  }

  /** The shape of the numbers, or the stated one of an array without any, whose brackets do not show it. */
  #checkedShape(): readonly number[] {
    const stated = this.#statedShape;
    if (stated === null || stated.lengths.join() === this.#shape.join()) return this.#shape;
    if (this.#values.length === 0 && sizeOf(stated.lengths) === 0) return stated.lengths;
    const [expected, found] = [stated.lengths, this.#shape].map(formatShape);
    throw this.#error(
      'ERR_SHAPE',
      `the text states shape ${expected}, but its numbers have ${found}; ${pasteAll}`,
      stated.offset,
    );
  }

  #punctuation(sign: string, at: number): void {
    if (sign === '[') this.#open(at);
    else if (sign === ']') this.#close(at);
    else if (sign === ')') {
      if (this.#calls.pop() === undefined) throw this.#unexpected(sign, at);
    } else {
      if (!this.#afterValue) throw this.#unexpected(sign, at);
      this.#afterValue = false;
    }
  }

  #open(at: number): void {
    const depth = this.#lists.length;
    if (depth === deepest) throw this.#error('ERR_SHAPE', `lists nested more than ${deepest} deep`, at);
    if (this.#lists.at(-1)?.kind === 'number' || (this.#rank !== null && depth >= this.#rank && !this.#done)) {
      throw this.#error('ERR_SHAPE', 'a list among numbers; expected rows of one length', at);
    }
    this.#count('list', at);
    this.#lists.push({ offset: at, entries: 0, kind: null, stated: this.#stated });
    this.#stated = null;
    this.#afterValue = false;
  }

  #close(at: number): void {
    const list = this.#lists.pop();
    if (!list) throw this.#unexpected(']', at);
    const depth = this.#lists.length;
    if (list.stated !== null && list.stated !== list.entries) {
      const what = `the text states ${countOf(list.stated)}, but the list has ${list.entries}; ${pasteAll}`;
      throw this.#error('ERR_SHAPE', what, list.offset);
    }
    this.#rank ??= depth + 1;
    const expected = this.#shape[depth];
    if (expected === undefined) this.#shape[depth] = list.entries;
    else if (expected !== list.entries) {
      throw this.#error(
        'ERR_SHAPE',
        `ragged: a list of ${countOf(list.entries)}; expected ${expected}, as in the first`,
        list.offset,
      );
    }
    this.#afterValue = true;
    if (depth === 0) this.#done = true;
  }

  #word(word: string, at: number): void {
    if (isEllipsis(word)) throw this.#error('ERR_VALUE', printWhole, at);
    const value = parseEntry(word, this.#booleans);
    if (value === null) throw this.#notNumber(word, at);
    const depth = this.#lists.length;
    if (this.#lists.at(-1)?.kind === 'list' || (this.#rank !== null && depth !== this.#rank && !this.#done)) {
      throw this.#error('ERR_SHAPE', `the number ${quote(word)} among lists; expected rows of one length`, at);
    }
    this.#count('number', at);
    this.#values.push(value);
    this.#afterValue = true;
    if (depth === 0) this.#done = true;
  }

  /** Counts an entry of the innermost list. */
  #count(kind: 'number' | 'list', at: number): void {
    if (this.#done) throw this.#afterEnd(at);
    const list = this.#lists.at(-1);
    if (!list) return;
    list.kind = kind;
    list.entries++;
  }

  #notNumber(word: string, at: number): SoftgradError {
    if (this.#done) return this.#afterEnd(at);
    const comment = /^(?:#|\/\/).*/.exec(this.#text.slice(at))?.[0];
    if (comment !== undefined) return this.#error('ERR_VALUE', `a comment; remove ${quote(comment)}`, at);
    if (isBeyondRange(word)) {
      const expectation = withinRange(word.startsWith('-') ? '-inf' : 'inf');
      return this.#error('ERR_VALUE', `${quote(word)} is beyond float64; expected ${expectation}`, at);
    }
    const rows = word.includes(';') ? '; expected each row in brackets, as in [[1, 2], [3, 4]]' : '';
    return this.#error('ERR_VALUE', `${quote(word)} is not a number${rows}`, at);
  }

  #afterEnd(at: number): SoftgradError {
    const rest = quote(this.#text.slice(at).trim());
    return this.#error('ERR_VALUE', `text after the end of the array; expected one array; remove ${rest}`, at);
  }

  #unexpected(sign: string, at: number): SoftgradError {
    return this.#error('ERR_VALUE', `unexpected ${quote(sign)}; expected numbers, and brackets in pairs`, at);
  }

  #error(code: 'ERR_VALUE' | 'ERR_SHAPE', what: string, at: number): SoftgradError {
    const before = this.#text.slice(0, at);
    const line = before.split('\n').length;
    return new SoftgradError(code, `${this.#name}: line ${line}, column ${at - before.lastIndexOf('\n')}: ${what}`);
  }
}
