import { isSoftgradError } from '@softgrad/core';
import { describe, expect, test } from 'vitest';
import { delimiterSample, nameOf } from '../src/delimiter.js';
import { type CsvRecord, csvLines, csvParseOptions, csvRows, type Delimiter, detectDelimiter } from '../src/index.js';

/** A table of one line a row, whose cells are cut already; line numbers count from 1. */
async function open(lines: readonly (readonly string[])[], delimiter: Delimiter = ',', expected?: string) {
  async function* records(): AsyncGenerator<CsvRecord> {
    for (const [k, cells] of lines.entries()) yield { cells, line: k + 1 };
  }
  return csvRows({
    name: 'x.csv',
    delimiter,
    byteLength: 99,
    records: records(),
    position: () => 7,
    close: async () => {},
    ...(expected === undefined ? {} : { expected }),
  });
}

const cut = (text: string, delimiter = ',') => text.split('\n').map((line) => line.split(delimiter));

/** The message with which a table is refused, at once or on reading it. */
async function refusal(text: string, delimiter: Delimiter = ','): Promise<string> {
  try {
    const reader = await open(cut(text, delimiter), delimiter);
    return `read ${(await reader.next(100))?.data}`;
  } catch (error) {
    if (!isSoftgradError(error)) throw error;
    const ofShape = /has \d+ cells?;/.test(error.message);
    expect(error.code).toBe(ofShape ? 'ERR_SHAPE' : 'ERR_VALUE');
    return error.message;
  }
}

describe('rows', () => {
  test('come by as many as asked for, with or without a header', async () => {
    for (const text of ['1,2\n3,4\n5,6', 'a,b\n1,2\n3,4\n5,6', ',\n1,2\n3,4\n5,6'.slice(2)]) {
      const reader = await open(cut(text));
      expect([reader.name, reader.shape, reader.byteLength, reader.position()]).toEqual(['x.csv', [null, 2], 99, 7]);
      expect(await reader.next(2)).toEqual({ shape: [2, 2], data: Float64Array.of(1, 2, 3, 4) });
      expect(await reader.next(2)).toEqual({ shape: [1, 2], data: Float64Array.of(5, 6) });
      expect(await reader.next(2)).toBeNull();
    }
  });

  test('between blanks have their cells at any distance, and lines of blanks are none', async () => {
    const lines = [['', '', ''], ['', '1', '', '2'], [''], ['3', '4', '']];
    expect(await (await open(lines, ' ')).next(9)).toEqual({ shape: [2, 2], data: Float64Array.of(1, 2, 3, 4) });
  });

  test('say what was expected where there are none', async () => {
    const none = 'x.csv: no row of numbers; expected ';
    for (const [delimiter, name] of [
      [',', 'commas'],
      ['\t', 'tabs'],
      [';', 'semicolons'],
      [' ', 'blanks'],
    ] as const) {
      expect(nameOf(delimiter)).toBe(name);
      await expect(open([], delimiter)).rejects.toThrow(`${none}numbers separated by ${name}`);
    }
    await expect(open([], ',', 'anything')).rejects.toThrow(`${none}anything`);
    await expect(open([['a', 'b']])).rejects.toThrow(expect.objectContaining({ code: 'ERR_VALUE' }));
  });
});

describe('what is no table of numbers is refused, saying where and why', () => {
  const index =
    'x.csv: line 1 leaves the first column without a name: the index that pandas writes; expected numbers only, as df.to_csv(path, index=False, header=False) saves them';
  const numbered =
    'x.csv: line 1 numbers the columns 0 to 1, as pandas writes a header that it was not given; expected numbers only, as df.to_csv(path, index=False, header=False) saves them (or 0.0 for a 0 that is a logit)';
  test.each<[string, string, Delimiter?]>([
    ['1,2\n3,x', 'x.csv: line 2, column 2 is "x"; expected a number'],
    ['1,2\n,3', 'x.csv: line 2, column 1 is empty; expected a number (write nan for a missing value)'],
    ['1,2\n3', 'x.csv: line 2 has 1 cell; expected 2, as in line 1'],
    ['a,b\n1,2\n3,4,5', 'x.csv: line 3 has 3 cells; expected 2, as in line 2'],
    ['1,2\n...', 'x.csv: line 2: abbreviated ("..."): entries are missing;'],
    ['1,2\n3,…', 'x.csv: line 2: abbreviated ("..."): entries are missing;'],
    ['1,2\n3,...,4', 'x.csv: line 2: abbreviated ("..."): entries are missing;'],
    ['1;2\n3;4,55', 'x.csv: line 2, column 2 is "4,55"; expected a decimal point, as in 4.55', ';'],
    ['1;2\n3;4,5e-17', 'x.csv: line 2, column 2 is "4,5e-17"; expected a decimal point, as in 4.5e-17', ';'],
    ['1;2\n3;4,5', 'x.csv: line 2, column 2 is "4,5"; expected a decimal point, as in 4.5', ';'],
    ['1;2\n3;-4,5e-7', 'x.csv: line 2, column 2 is "-4,5e-7"; expected a decimal point, as in -4.5e-7', ';'],
    ['1;2\n3;,5E7', 'x.csv: line 2, column 2 is ",5E7"; expected a decimal point, as in .5E7', ';'],
    ['1;2\n3;4,x', 'x.csv: line 2, column 2 is "4,x"; expected a number', ';'],
    ['1;2\n3;4,5,6', 'x.csv: line 2, column 2 is "4,5,6"; expected a number', ';'],
    ['1;2\n3;x4,5', 'x.csv: line 2, column 2 is "x4,5"; expected a number', ';'],
    [
      '1,2\n3,4;5',
      'x.csv: line 2, column 2 is "4;5"; expected a number; between semicolons, too, decimals have a point, as in 1.5;2.5',
    ],
    ['1,2\n3,4;x', 'x.csv: line 2, column 2 is "4;x"; expected a number'],
    ['1,5;x\n3;4', 'x.csv: line 1, column 1 is "1,5"; expected a decimal point, as in 1.5', ';'],
    [',a,b\n0,1.0,2.0', index],
    [',0,1\n0,1.0,2.0', index],
    ['a,b\n0,1,2', index],
    ['a,b\n1,1,2', index],
    ['0,1\n1.5,2.5', numbered],
    ['0,1\n15,2e5', numbered],
  ])('%j', async (text, message, delimiter = ',') => {
    const found = await refusal(text, delimiter);
    expect(found.slice(0, message.length)).toBe(message);
    if (!message.endsWith(';')) expect(found).toBe(message);
  });

  test('a header or first row that only looks like those of pandas is none', async () => {
    for (const [text, values] of [
      ['a,b\n5,6', '5,6'],
      ['a,\n5,6', '5,6'],
      ['a,,c\n5,6,7', '5,6,7'],
      [',0,5\n3,4,5', 'x.csv: line 1, column 1 is empty; expected a number (write nan for a missing value)'],
      [',\n1,2', 'x.csv: line 1, column 1 is empty; expected a number (write nan for a missing value)'],
      ['\n1', 'x.csv: line 1, column 1 is empty; expected a number (write nan for a missing value)'],
      [',2.5\n3,4', 'x.csv: line 1, column 1 is empty; expected a number (write nan for a missing value)'],
      [',1,0\n3,4,5', 'x.csv: line 1, column 1 is empty; expected a number (write nan for a missing value)'],
      ['0,1\n15,25', '0,1,15,25'],
      ['0,1', '0,1'],
      ['1,0\n1.5,2.5', '1,0,1.5,2.5'],
      ['0\n1.5', '0,1.5'],
      ['0.0,1\n1.5,2.5', '0,1,1.5,2.5'],
      ['0,1\n1.5', 'x.csv: line 1 numbers the columns 0 to 1'],
      ['1,2\n0,1,2', 'x.csv: line 2 has 3 cells; expected 2, as in line 1'],
      ['a,b\n2,1,2', '2,1,2'],
      ['a,b\n10,1,2', '10,1,2'],
      ['a,b\n1,0,1,2', '1,0,1,2'],
    ]) {
      const found = await refusal(text);
      expect(found.replace(/^read /, '').startsWith(values), `${JSON.stringify(text)}: ${found}`).toBe(true);
    }
  });
});

describe('lines are written', () => {
  const written = (shape: readonly number[], values: readonly number[], delimiter: ',' | '\t' = ',') =>
    [...csvLines({ shape, data: Float64Array.from(values) }, delimiter)].join('');

  test('one a row, a vector as a column, in full precision', () => {
    expect(written([2, 3], [1, 0.1, -2, 3e300, -0, 1 / 3])).toBe('1,0.1,-2\n3e+300,-0,0.3333333333333333\n');
    expect(written([2], [1, 2], '\t')).toBe('1\n2\n');
    expect(written([], [7])).toBe('7\n');
    expect(written([2, 2], [1, 2, 3, 4], '\t')).toBe('1\t2\n3\t4\n');
    expect(written([1, 3], [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])).toBe('nan,inf,-inf\n');
    expect(written([2, 0], [])).toBe('\n\n');
    expect(written([0, 2], [])).toBe('');
  });

  test('in pieces, each of which is short enough for a string', () => {
    // The second is a whole number of pieces.
    for (const columns of [20_000, 2 ** 14]) {
      const data = Int32Array.from({ length: 2 * columns }, (_, k) => k % 1000);
      const pieces = [...csvLines({ shape: [2, columns], data }, ',')];
      expect(Math.max(...pieces.map((piece) => piece.length))).toBeLessThan(2 ** 16);
      const lines = [data.slice(0, columns), data.slice(columns)].map((row) => `${row.join(',')}\n`);
      expect(pieces.join('') === lines.join('')).toBe(true);
    }
  });
});

describe('the delimiter is told by the first line of numbers', () => {
  test.each<[string, Delimiter, Delimiter]>([
    ['1,2', ',', ','],
    ['1;2', ',', ';'],
    ['1\t2', ',', '\t'],
    ['1 2', ',', ' '],
    ['1,2', '\t', ','],
    ['1\t2,3', '\t', '\t'],
    ['1\t2,3', ';', ','],
    ['1;2\t3', ' ', ';'],
    ['1', ';', ';'],
    ['', '\t', '\t'],
    ['a;b\n1,2', ';', ','],
    ['a;b\n1,x', ';', ','],
    ['a 1\n2;3', ',', ';'],
    ['# 1;2\n\n  \n1 2', ',', ' '],
    ['a,b\r1;2', ',', ';'],
    ['a,b\r\n1;2', ',', ';'],
    ['"1";"2"', ',', ';'],
    ['"a 1"\n "1", "2" ', ' ', ' '],
    ['  1,2  ', ' ', ','],
    ['# 1;2\nx,1', '\t', ','],
    ['a;1\n1,2,', '\t', ','],
    ['a b', ' ', ' '],
    ['a;b', ' ', ' '],
  ])('%j, preferably %j: %j', (text, preferred, delimiter) => {
    expect(detectDelimiter(text, preferred)).toBe(delimiter);
  });

  test('what stands past the beginning of a long text is not looked at', () => {
    const header = 'a'.repeat(delimiterSample - 4);
    expect(detectDelimiter(`${header}\n1;2`, ',')).toBe(';');
    expect(detectDelimiter(`${header}aaa\n1;2`, ',')).toBe(',');
  });

  test('a parser cuts tables at it, whatever the ending promises', () => {
    expect(csvParseOptions(';').delimiter).toBe(';');
    expect(csvParseOptions(' ').delimiter).toEqual([' ', '\t']);
    const { delimiter, ...others } = csvParseOptions(',');
    expect(delimiter).toBe(',');
    expect(others).toEqual({
      comment: '#',
      comment_no_infix: true,
      bom: true,
      trim: true,
      info: true,
      relax_column_count: true,
      skip_empty_lines: true,
    });
  });
});
