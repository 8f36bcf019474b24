import { type FileArray, formatShape, sizeOf } from '@softgrad/formats';
import Table, { type TableConstructorOptions } from 'cli-table3';
import type { RowWriter } from './files/write.js';

/** Most rows and columns of an array that a terminal shows. */
const shownRows = 20;
const shownColumns = 12;

/** Lines in columns under headings, without rules between rows. */
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

function render(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  options: TableConstructorOptions,
): string {
  const compact = options.wordWrap !== true;
  const table = new Table({ head: [...head], style: { head: [], border: [], compact }, ...options });
  table.push(...rows.map((row) => [...row]));
  return table.toString();
}

/** A number as a terminal shows it: six significant digits. */
export function formatNumber(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(6))) : String(value);
}

/** Numbers in rows of aligned columns, in brackets as NumPy prints them. */
export function formatMatrix(values: ArrayLike<number>, columns: number): string {
  const texts = Array.from(values, formatNumber);
  const width = Math.max(...texts.map((text) => text.length));
  const lines: string[] = [];
  for (let at = 0; at < texts.length; at += columns) {
    const shown = texts.slice(at, at + Math.min(columns, shownColumns)).map((text) => text.padStart(width));
    lines.push(`[${shown.join('  ')}${columns > shownColumns ? '  …' : ''}]`);
  }
  return lines.map((line) => `  ${line}`).join('\n');
}

/** Writes an array to the terminal as a table that says what it leaves out. */
export function terminalWriter(name: string): RowWriter {
  const kept: FileArray[] = [];
  let rows = 0;
  let rest: readonly number[] = [];
  return {
    async write(chunk) {
      rest = chunk.shape.slice(1);
      if (rows < shownRows || kept.length === 0) {
        const take = Math.min(chunk.shape[0] ?? 1, shownRows - rows);
        kept.push({ ...chunk, shape: [take, ...rest], data: chunk.data.slice(0, take * sizeOf(rest)) });
      }
      rows += chunk.shape[0] ?? 1;
    },
    async finish() {
      process.stdout.write(
        `${name} ${formatShape(kept[0].shape.length === 0 ? [] : [rows, ...rest])}\n${matrixTables(kept)}\n`,
      );
      if (rows > shownRows) process.stdout.write(`${rows - shownRows} more rows; --out FILE writes all of them\n`);
    },
    async abort() {},
  };
}

/** Tables of the last two dimensions; more dimensions give one table each. */
function matrixTables(chunks: readonly FileArray[]): string {
  const [first] = chunks;
  const [, ...rest] = first.shape;
  const columns = rest.at(-1) ?? 1;
  const matrixRows = rest.length > 1 ? (rest.at(-2) ?? 1) : null;
  const values = chunks.flatMap((chunk) => Array.from(chunk.data));
  const lines: string[][] = [];
  for (let at = 0; at < values.length; at += columns) {
    const shown = values.slice(at, at + Math.min(columns, shownColumns)).map(formatNumber);
    lines.push([String(at / columns), ...shown, ...(columns > shownColumns ? ['…'] : [])]);
  }
  const head = [
    '',
    ...Array.from({ length: Math.min(columns, shownColumns) }, (_, column) => String(column)),
    ...(columns > shownColumns ? [`… ${columns}`] : []),
  ];
  if (matrixRows === null) return formatTable(head, lines);
  const tables: string[] = [];
  for (let at = 0; at < lines.length; at += matrixRows) {
    const block = lines
      .slice(at, at + Math.min(matrixRows, shownRows))
      .map((line, row) => [String(row), ...line.slice(1)]);
    const more = matrixRows > shownRows ? `\n${matrixRows - shownRows} more rows` : '';
    tables.push(`[${at / matrixRows}]\n${formatTable(head, block)}${more}`);
  }
  return tables.join('\n');
}
