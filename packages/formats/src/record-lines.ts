/** What csv-parse counts until the end of a record. */
export interface CsvCounts {
  readonly lines: number;
  readonly empty_lines: number;
}

/**
 * The first lines of csv-parse's records, in their order. The parser counts until a record's end, and an end of line \r\n in quotes as two lines.
 *
 * @example
 * const lines = recordLines();
 * parse(text, { on_record: (cells, counts) => found.push({ cells, line: lines.next(cells, counts) }) });
 */
export function recordLines() {
  let end: CsvCounts = { lines: 0, empty_lines: 0 };
  let countedTwice = 0;
  return {
    /** The first line of the next record. */
    next(cells: readonly string[], counts: CsvCounts): number {
      const line = counts.lines - countedTwice - occurrences(cells, /[\r\n]/g);
      countedTwice += occurrences(cells, /\r\n/g);
      end = counts;
      return line;
    },
    /** The first line of the record that the parser fails in, from its error, which has the counts too. */
    ofFailing(error: { readonly [name: string]: unknown }): number {
      return end.lines - countedTwice + 1 + Number(error.empty_lines) - end.empty_lines;
    },
  };
}

function occurrences(cells: readonly string[], pattern: RegExp): number {
  return cells.reduce((sum, cell) => sum + (cell.match(pattern)?.length ?? 0), 0);
}
