import { createRequire } from 'node:module';
import { type FileArray, formatShape, sizeOf } from '@softgrad/formats';
import type { TableConstructorOptions } from 'cli-table3';
import type { OutputStream } from './context.js';
import type { RowWriter } from './files/write.js';

const require = createRequire(import.meta.url);

/** The largest number of rows and columns of an array that a terminal shows. */
const shownRows = 20;
const shownColumns = 12;

/** Aligned columns under headings, without lines between rows. */
export function formatTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return render(head, rows, {});
}

/** The same with columns of given widths, in which text wraps at words. */
export function formatWrapped(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  widths: readonly number[],
): string {
  return render(head, rows, { colWidths: [...widths], wordWrap: true });
}

/** The same as `formatTable`, except that on a terminal which is too narrow for it, long cells have two lines, and then no padding. */
export function formatFitting(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  { isTTY, columns }: OutputStream,
): string {
  const plain = formatTable(head, rows);
  const fits = (table: string) => table.indexOf('\n') <= (columns || 80);
  if (!isTTY || fits(plain)) return plain;
  const broken = [head, ...rows].map((cells) => cells.map(inTwoLines));
  const [brokenHead = [], ...brokenRows] = broken;
  const padded = formatTable(brokenHead, brokenRows);
  return fits(padded) ? padded : render(brokenHead, brokenRows, {}, { 'padding-left': 0, 'padding-right': 0 });
}

/** The longest cell that stays in one line. */
const shortCell = 8;

/** The text, broken at the space or colon that is nearest to its middle. */
function inTwoLines(text: string): string {
  if (text.length <= shortCell) return text;
  const breaks = [...text.matchAll(/ |(?<=:)/g)].map(({ index }) => index);
  const distance = (index: number) => Math.abs(index - text.length / 2);
  const [middle] = breaks.sort((a, b) => distance(a) - distance(b));
  return middle === undefined ? text : `${text.slice(0, middle)}\n${text.slice(middle).trimStart()}`;
}

function render(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  options: TableConstructorOptions,
  style: TableConstructorOptions['style'] = {},
): string {
  const compact = options.wordWrap !== true;
  // Loaded when a table is printed, which few commands do.
  const Table = require('cli-table3') as typeof import('cli-table3');
  const table = new Table({ head: [...head], style: { head: [], border: [], compact, ...style }, ...options });
  table.push(...rows.map((row) => [...row]));
  return table.toString();
}

/** Prose, wrapped at words for a terminal, each line with its own indent; unchanged for a pipe or a file. */
export function formatProse(text: string, { isTTY, columns }: OutputStream): string {
  return isTTY ? text.replace(/^.*$/gm, (line) => wrapLine(line, columns || 80)) : text;
}

/** A line, wrapped at words; every line has its indent. */
export function wrapLine(line: string, width: number): string {
  const [indent = ''] = /^ */.exec(line) ?? [];
  const lines: string[] = [];
  for (const word of line.split(' ').filter((part) => part !== '')) {
    const extended = `${lines.at(-1)} ${word}`;
    if (lines.length > 0 && extended.length <= width) lines.splice(-1, 1, extended);
    else lines.push(`${indent}${word}`);
  }
  return lines.join('\n');
}

/** A number in six significant digits. */
export function formatNumber(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(6))) : String(value);
}

/** Numbers in aligned columns, with brackets around rows as NumPy prints them. */
export function formatMatrix(values: ArrayLike<number>, columns: number): string {
  const texts = formatAlike(Array.from(values));
  const width = Math.max(...texts.map((text) => text.length));
  const lines: string[] = [];
  for (let at = 0; at < texts.length; at += columns) {
    const shown = texts.slice(at, at + Math.min(columns, shownColumns)).map((text) => text.padStart(width));
    lines.push(`[${shown.join('  ')}${columns > shownColumns ? '  …' : ''}]`);
  }
  return lines.map((line) => `  ${line}`).join('\n');
}

/** The fewest significant digits of any number in a table. */
const fewestDigits = 3;
/** Numbers below it have exponents, as in JavaScript, because their zeros are hard to count. */
const smallestPlain = 1e-6;
/** Numbers from it on have exponents, unless all numbers are integers below it. */
const smallestLarge = 1e6;

/**
 * The numbers of one table: integers as they are; with equally many decimals, six significant digits of the largest number, if the smallest still
 * has enough digits; otherwise each with six significant digits, so that an exponent of one number leaves the others readable.
 */
export function formatAlike(values: readonly number[]): string[] {
  const sizes = values.filter((value) => Number.isFinite(value) && value !== 0).map(Math.abs);
  const largest = Math.max(...sizes, Number.MIN_VALUE);
  const notation = (): ((value: number) => string) => {
    if (largest < smallestLarge && sizes.every(Number.isInteger)) return String;
    const decimals = Math.max(0, 5 - Math.floor(Math.log10(largest)));
    const smallest = Math.min(...sizes);
    const digits = decimals + Math.floor(Math.log10(smallest)) + 1;
    if (largest < smallestLarge && smallest >= smallestPlain && digits >= fewestDigits)
      return (value) => value.toFixed(decimals);
    return formatAlone;
  };
  const format = notation();
  return values.map((value) => (Number.isFinite(value) ? format(value) : String(value)));
}

/** A number in six significant digits, with trailing zeros, and with an exponent from 1e6 on and below 1e-6. */
function formatAlone(value: number): string {
  return value === 0 ? '0' : value.toPrecision(6);
}

/** Writes a single number to the terminal. */
export function lineWriter(name: string, stdout: OutputStream): RowWriter {
  return {
    async write({ data }) {
      stdout.write(`${name} ${formatNumber(data[0] ?? Number.NaN)}\n`);
    },
    async finish() {},
    async abort() {},
  };
}

/** Writes an array of at least one dimension to the terminal as a table, and states what is left out. */
export function terminalWriter(name: string, stdout: OutputStream): RowWriter {
  const kept: FileArray['data'][] = [];
  let rows = 0;
  let rest: readonly number[] = [];
  return {
    async write(chunk) {
      const [length = 1, ...others] = chunk.shape;
      rest = others;
      if (rows < shownRows) {
        const take = Math.min(length, shownRows - rows);
        kept.push(chunk.data.slice(0, take * sizeOf(rest)));
      }
      rows += length;
    },
    async finish() {
      const { text, columns } = matrixTables(kept, rest, stdout.columns || 80);
      stdout.write(`${name} ${formatShape([rows, ...rest])}\n${text}\n`);
      const more = [
        ...(rows > shownRows ? [`${rows - shownRows} more rows`] : []),
        ...(columns > 0 ? [`${columns} more columns`] : []),
      ];
      if (more.length > 0) stdout.write(`… ${more.join(', ')}; --out FILE writes all of them\n`);
    },
    async abort() {},
  };
}

/** Tables of chunks whose rows have the shape `rest`, one for each matrix in the last two dimensions, and how many columns they leave out. */
function matrixTables(
  chunks: readonly FileArray['data'][],
  rest: readonly number[],
  terminalColumns: number,
): { readonly text: string; readonly columns: number } {
  const columns = rest.at(-1) ?? 1;
  const matrixRows = rest.length > 1 ? (rest.at(-2) ?? 1) : null;
  const values = chunks.flatMap((data) => Array.from(data));
  const most = Math.min(columns, shownColumns);
  const texts = formatAlike(values.filter((_, k) => k % columns < most));
  const width = Math.max(...texts.map((text) => text.length), String(most).length);
  const shown = Math.min(most, columnsThatFit(width, columns, terminalColumns));
  const cut = shown < columns ? ['…'] : [];
  const lines: string[][] = [];
  for (let at = 0; at < texts.length; at += most) {
    lines.push([String(at / most), ...texts.slice(at, at + shown), ...cut]);
  }
  const head = ['', ...Array.from({ length: shown }, (_, column) => String(column)), ...cut];
  if (matrixRows === null) return { text: formatTable(head, lines), columns: columns - shown };
  const tables: string[] = [];
  for (let at = 0; at < lines.length; at += matrixRows) {
    const block = lines
      .slice(at, at + Math.min(matrixRows, shownRows))
      .map((line, row) => [String(row), ...line.slice(1)]);
    const more = matrixRows > shownRows ? `\n… ${matrixRows - shownRows} more rows` : '';
    tables.push(`[${at / matrixRows}]\n${formatTable(head, block)}${more}`);
  }
  return { text: tables.join('\n'), columns: columns - shown };
}

/** How many columns of a table, with cells of `width` between bars, fit into the terminal; at least one. */
function columnsThatFit(width: number, columns: number, terminalColumns: number): number {
  const bars = 3;
  const rowNumber = 2 + bars;
  const available = terminalColumns - 1 - rowNumber;
  const fit = Math.floor(available / (width + bars));
  return fit >= columns ? columns : Math.max(1, Math.floor((available - 1 - bars) / (width + bars)));
}
