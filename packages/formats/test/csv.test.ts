import { isSoftgradError } from '@softgrad/core';
import { describe, expect, test } from 'vitest';
import { delimiterSample, nameOf } from '../src/delimiter.js';
import {
  type CsvRecord,
  type CsvSource,
  csvLines,
  csvParseOptions,
  csvRows,
  type Delimiter,
  detectDelimiter,
  placeOf,
  readAll,
  recordLines,
  type TableOptions,
  textRows,
} from '../src/index.js';

/** A table with one line for each row, already split into cells; line numbers count from 1. */
async function open(
  lines: readonly (readonly string[])[],
  delimiter: Delimiter = ',',
  options: Partial<CsvSource> = {},
) {
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
    ...options,
  });
}

const cut = (text: string, delimiter = ',') => text.split('\n').map((line) => line.split(delimiter));

/** The message of the error that a table causes, on opening or on reading it. */
async function refusal(text: string, delimiter: Delimiter = ',', options: TableOptions = {}): Promise<string> {
  try {
    const reader = await open(cut(text, delimiter), delimiter, options);
    return `read ${(await reader.next(100))?.data}`;
  } catch (error) {
    if (!isSoftgradError(error)) throw error;
    const ofShape = /has \d+ cells?;/.test(error.message);
    expect(error.code).toBe(ofShape ? 'ERR_SHAPE' : 'ERR_VALUE');
    return error.message;
  }
}

describe('rows', () => {
  test('are read in chunks of the requested size, with or without a header', async () => {
    for (const text of ['1,2\n3,4\n5,6', 'a,b\n1,2\n3,4\n5,6', ',\n1,2\n3,4\n5,6'.slice(2)]) {
      const reader = await open(cut(text));
      expect([reader.name, reader.shape, reader.byteLength, reader.position()]).toEqual(['x.csv', [null, 2], 99, 7]);
      expect(await reader.next(2)).toEqual({ shape: [2, 2], data: Float64Array.of(1, 2, 3, 4) });
      expect(await reader.next(2)).toEqual({ shape: [1, 2], data: Float64Array.of(5, 6) });
      expect(await reader.next(2)).toBeNull();
    }
  });

  test('know their lines, whatever is between them and however they are read', async () => {
    for (const [text, wanted] of [
      ['1,2\n3,4\n5,6', [1, 2, 3]],
      ['a,b\n1,2\n3,4\n# words\n# more words\n5,6\n7,8\n# words\n9,10', [2, 3, 6, 7, 9]],
    ] as const) {
      for (const count of [1, 2, 100]) {
        const reader = await open(cut(text));
        while (await reader.next(count));
        expect(wanted.map((_, row) => reader.lineOf?.(row))).toEqual(wanted);
        expect(wanted.flatMap((_, row) => [0, 1].map((column) => placeOf(reader, 2 * row + column, [5, 2])))).toEqual(
          wanted.flatMap((line) => [`line ${line}, column 1`, `line ${line}, column 2`]),
        );
      }
    }
    expect(placeOf({}, 5, [2, 2, 2])).toBe('[1, 0, 1]');
    const rows = await textRows(Buffer.from('# words\n\n1 2\n\n3 4\n'), 'x.txt', 1e9);
    expect([await rows.next(9), placeOf(rows, 0, [2, 2]), placeOf(rows, 3, [2, 2])]).toEqual([
      { shape: [2, 2], data: Float64Array.of(1, 2, 3, 4) },
      'line 3, column 1',
      'line 5, column 2',
    ]);
    expect((await textRows(Buffer.from('[[1, 2]]'), 'x.txt', 1e9)).lineOf).toBeUndefined();
  });

  test('separated by blanks may have any number of blanks between cells, and blank lines are skipped', async () => {
    const lines = [['', '', ''], ['', '1', '', '2'], [''], ['3', '4', '']];
    expect(await (await open(lines, ' ')).next(9)).toEqual({ shape: [2, 2], data: Float64Array.of(1, 2, 3, 4) });
  });

  test('are missing: the error says what was expected', async () => {
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
    await expect(open([], ',', { expected: 'anything' })).rejects.toThrow(`${none}anything`);
    await expect(open([['a', 'b']])).rejects.toThrow(expect.objectContaining({ code: 'ERR_VALUE' }));
  });
});

describe('invalid tables are errors that say where and why', () => {
  const index =
    'x.csv: line 1 leaves the first column without a name: the index that pandas writes; expected numbers only, as df.to_csv(path, index=False, header=False) saves them';
  const numbered =
    'x.csv: line 1 numbers the columns 0 to 1, as pandas writes a header that it was not given; expected numbers only, as df.to_csv(path, index=False, header=False) saves them (or 0.0 for a 0 that is a logit)';
  const inRange = 'a number in the range of float64, up to 1.8e308 in size, or';
  const leaveOut =
    'the labels of the rows, not a class; leave it out, as df.to_csv(path, index=False) does with an index (or rename it if it is a class)';
  const counts = (line: number, numbers: string, zero: string) =>
    `x.csv: from line ${line} on, the first column counts ${numbers} beside numbers with decimals: an index, as pandas writes it; expected numbers only, as df.to_csv(path, index=False, header=False) saves them (or ${zero} that is a number of the table)`;
  const twoRows = counts(1, '0, 1', '0.0 for a 0').replace('with decimals', 'with many digits');
  test.each<[string, string, Delimiter?]>([
    ['1,2\n3,x', 'x.csv: line 2, column 2 is "x"; expected a number'],
    ['name,a\nx,1', 'x.csv: line 2, column 1 is "x"; expected a number, no label'],
    ['a,b\n1,true', 'x.csv: line 2, column 2 is "true"; expected a number, as in 1'],
    ['a,class\n1,Oslo', 'x.csv: line 2, column 2 is "Oslo"; expected a number, no label'],
    ['a,b\nx,y', 'x.csv: line 2, column 1 is "x"; expected a number, no label'],
    ['a,b\n1,2\n3,x', 'x.csv: line 3, column 2 is "x"; expected a number'],
    ['id,a,b\n7,1.5,2.5', `x.csv: line 1 calls column 1 "id": ${leaveOut}`],
    ['# words\na,b,Row_Names\n1.5,2.5,Oslo', `x.csv: line 2 calls column 3 "Row_Names": ${leaveOut}`],
    ['Unnamed: 0,a\n0,1.5', `x.csv: line 1 calls column 1 "Unnamed: 0": ${leaveOut}`],
    [
      'a,b,label\n1.5,2.5,0',
      'x.csv: line 1 calls column 3 "label": the class of each row, not a number for one of the classes; leave it out; as a target it goes into a file of its own (or rename it if it is a class)',
    ],
    ['0,1.5,2.5\n1,nan,3e1\n2,0.5,.1\n9,9,9', counts(1, '0, 1, 2', '0.0 for a 0')],
    ['a;b\n# words\n1;1.5\n2;3.5\n3;0.5', counts(3, '1, 2, 3', '1.0 for a 1'), ';'],
    ['0,1.764052,0.4001572\n1,0.9787380,2.240893e-1', twoRows],
    ['1,1.764052\n2,0.9787380', twoRows.replace('0, 1', '1, 2').replaceAll('0.0 for a 0', '1.0 for a 1')],
    // Six digits, with those of an exponent left out; and a row that adds up to more than 1.001.
    ['0,1.76405\n1,-0.0978738E+02', twoRows],
    ['0,1.00110\n1,0.978738', twoRows],
    ['1,2\n,3', 'x.csv: line 2, column 1 is empty; expected a number (write nan for a missing value)'],
    ['1,2\n3', 'x.csv: line 2 has 1 cell; expected 2, as in line 1'],
    ['a,b\n1,2\n3,4,5', 'x.csv: line 3 has 3 cells; expected 2, as in line 2'],
    ['1,1e400', `x.csv: line 1, column 2 is "1e400"; expected ${inRange} inf`],
    ['1,2\n-1e309,4', `x.csv: line 2, column 1 is "-1e309"; expected ${inRange} -inf`],
    [`${9 * 1e15}${'0'.repeat(300)},2`, `x.csv: line 1, column 1 is "9${'0'.repeat(59)}…"; expected ${inRange} inf`],
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
      'x.csv: line 2, column 2 is "4;5"; expected a number; decimals have a point between semicolons too, as in 1.5;2.5',
    ],
    ['1,2\n3,4;x', 'x.csv: line 2, column 2 is "4;x"; expected a number'],
    ['1,5;x\n3;4', 'x.csv: line 1, column 1 is "1,5"; expected a decimal point, as in 1.5', ';'],
    [',a,b\n0,1.0,2.0', index],
    [',0,1\n0,1.0,2.0', index],
    [',logit\n0,0.5\n1,0.7', index],
    ['a,b\n0,1,2', index],
    ['a,b\n1,1,2', index],
    [
      'a;b;c\n1,5;2;3',
      'x.csv: line 2, column 2 is "5;2;3"; expected a number; decimals have a point between semicolons too, as in 1.5;2.5',
    ],
    ['a\tb\n0,5\t2', 'x.csv: line 2, column 2 is "5\\t2"; expected a number'],
    ['a b\n0,5 2', 'x.csv: line 2, column 2 is "5 2"; expected a number'],
    ['a|b\n1,5|2', 'x.csv: line 2, column 2 is "5|2"; expected a number'],
    ['0,1\n1.5,2.5', numbered],
    ['0,1\n15,2e5', numbered],
  ])('%j', async (text, message, delimiter = ',') => {
    const found = await refusal(text, delimiter);
    expect(found.slice(0, message.length)).toBe(message);
    if (!message.endsWith(';')) expect(found).toBe(message);
  });

  test('a first row that only resembles the header or index of pandas is not treated as one', async () => {
    for (const [text, values] of [
      ['a,b\n5,6', '5,6'],
      ['a,\n5,6', '5,6'],
      ['a,,c\n5,6,7', '5,6,7'],
      ['a,b,\n5,6', '5,6'],
      ['a,b,c\n5,6', 'x.csv: line 2 has 2 cells; expected 3, one for each name in line 1'],
      ['a,b,id\n1,2', 'x.csv: line 2 has 2 cells; expected 3, one for each name in line 1'],
      ['a,b\n5', 'x.csv: line 2 has 1 cell; expected 2, one for each name in line 1'],
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
      // Two rows that begin with 0 and 1 may have been typed, or be probabilities.
      ['0,1.5,2.5\n1,0.5,0.1', '0,1.5,2.5,1,0.5,0.1'],
      ['0,1.764052,0.5\n1,0.9787380,2.240893', '0,1.764052,0.5,1,0.978738,2.240893'],
      ['0,0.3311432,0.6688568\n1,1.764052e-9,3.112345e-12', '0,0.3311432,0.6688568,1,1.764052e-9,3.112345e-12'],
      ['0,1.764052\n2,0.9787380', '0,1.764052,2,0.978738'],
      ['0,1.764052,0.4001572', '0,1.764052,0.4001572'],
      ['0\n1', '0,1'],
      ['a,b\n2,1,2', 'x.csv: line 2 has 3 cells; expected 2, one for each name in line 1'],
      ['a,b\n1,0,1,2', 'x.csv: line 2 has 4 cells; expected 2, one for each name in line 1'],
    ]) {
      const found = await refusal(text);
      expect(found.replace(/^read /, '').startsWith(values), `${JSON.stringify(text)}: ${found}`).toBe(true);
    }
  });
});

/** Cells that are not names of columns, and what is expected instead, on the first line and on any other. */
const misspelled: readonly (readonly [cell: string, expected: string])[] = [
  ['1,049.34', 'no thousands separators, as in 1049.34'],
  ['2,000.10', 'no thousands separators, as in 2000.10'],
  ['-1,234,567', 'no thousands separators, as in -1234567'],
  ['1,00,000', 'no thousands separators, as in 100000'],
  ["1'234.5", 'no thousands separators, as in 1234.5'],
  ['1\u202f234\u202f567', 'no thousands separators, as in 1234567'],
  ['1.234.567,5', 'no thousands separators and a decimal point, as in 1234567.5'],
  ['1,234', 'no thousands separator, as in 1234, or a decimal point, as in 1.234'],
  ['1,2345', 'a decimal point, as in 1.2345'],
  ['NA', 'a number (write nan for a missing value)'],
  ['n/a', 'a number (write nan for a missing value)'],
  ['#N/A', 'a number (write nan for a missing value)'],
  ['#DIV/0!', 'a number (write nan for a missing value)'],
  ['<NA>', 'a number (write nan for a missing value)'],
  ['NULL', 'a number (write nan for a missing value)'],
  ['None', 'a number (write nan for a missing value)'],
  ['-', 'a number (write nan for a missing value)'],
  ['\u22121.5', '"-" for the sign, as in -1.5'],
  ['\u20131.5', '"-" for the sign, as in -1.5'],
  ['1e\u22125', '"-" for the sign, as in 1e-5'],
  ['10%', 'no percent sign, as in 0.1'],
  ['-0,5 %', 'a decimal point and no percent sign, as in -0.005'],
  ['7.3%', 'no percent sign, as in 0.073'],
  ['$1.5', 'no currency sign, as in 1.5'],
  ['-$1,049.34', 'no currency sign and no thousands separators, as in -1049.34'],
  ['US$ 2', 'no currency sign, as in 2'],
  ['EUR 1,5', 'no currency sign and a decimal point, as in 1.5'],
  ['2 €', 'no currency sign, as in 2'],
  ['1.5D+00', 'e before the exponent, as in 1.5e+00'],
  ['-.5d2', 'e before the exponent, as in -.5e2'],
  ['TRUE', 'a number, as in 1'],
  ['false', 'a number, as in 0'],
  ['1_000', 'no underscores, as in 1000'],
  ['1.#INF', 'a number, as in inf'],
  ['-1.#INF', 'a number, as in -inf'],
  ['-1.#IND', 'a number, as in nan'],
  ['1.#QNAN0', 'a number, as in nan'],
  ['-nan(ind)', 'a number, as in nan'],
  ['\u2212∞', 'a number, as in -inf'],
  ['(1.5)', "a number without parentheses: -1.5 if they are an accountant's minus sign"],
  ['１', 'digits from 0 to 9, as in 1'],
  ['NaN)', 'a number without ")", as in NaN'],
  // For these there is no better suggestion, but they are not names either.
  ...['0x10', '1st', '1.5.2', '<0.001', '±1', '‘2’', '½', '*', '%', 'O.5', 'E-05', 'inf.', 'x1%'.slice(1)].map(
    (cell) => [cell, cell === '1%' ? 'no percent sign, as in 0.01' : 'a number'] as const,
  ),
];

test('columns and rows that are no labels, or need not be, are read', async () => {
  for (const text of [
    'id,a\n0.5,1.5',
    'id,a\nnan,1',
    'id\n7\n8',
    'label\n0\n2',
    'idea,labelled\n1,2',
    '0,1.5\n1,2.5',
    '0,1.5\n1,2.5\n3,3.5',
    '0.0,1.5\n1.0,2.5\n2.0,3.5',
    '0,1.5\n1,2\n2,3.5',
    '2,1.5\n3,2.5\n4,3.5',
    '0\n1\n2',
    // What counts begins in the first row, and no number beside it is whole.
    '5,1.5\n0,2.5\n1,3.5\n2,4.5',
    '0,1.5,2\n1,2.5,3\n2,3.5,4',
    // Five digits, with or without those of an exponent and zeros.
    '0,1.7640\n1,0.97873',
    '0,1.76405\n1,0.97873e+10',
    '0,1.76405\n1,000.97873',
    // A row that adds up to 1, as it was rounded.
    '0,1.00090\n1,0.978738',
  ]) {
    const rows = text.split('\n').length - (/^[a-z]/.test(text) ? 1 : 0);
    expect((await readAll(await open(cut(text)), 1e9, '')).shape[0], text).toBe(rows);
  }
  // Rows that are read one at a time are counted too.
  const reader = await open(cut('0,1.5\n1,2.5\n2,3.5'));
  await reader.next(1);
  await reader.next(1);
  await expect(reader.next(1)).rejects.toThrow('the first column counts 0, 1, 2 beside');
});

test('the first lines of records are counted from what csv-parse counts until their ends', () => {
  const lines = recordLines();
  expect(lines.ofFailing({ empty_lines: 0 })).toBe(1);
  expect(lines.ofFailing({ empty_lines: 2 })).toBe(3);
  expect(lines.next(['1', '2'], { lines: 1, empty_lines: 0 })).toBe(1);
  // Lines 2 and 3, of which the parser counts the first one twice.
  expect(lines.next(['x\r\ny', '2'], { lines: 4, empty_lines: 0 })).toBe(2);
  // Lines 4 to 6.
  expect(lines.next(['x\ny', 'x\ry'], { lines: 7, empty_lines: 0 })).toBe(4);
  // Lines 7 and 8 are empty.
  expect(lines.next(['1', '2'], { lines: 10, empty_lines: 2 })).toBe(9);
  expect(lines.ofFailing({ empty_lines: 2 })).toBe(10);
  expect(lines.ofFailing({ empty_lines: 3 })).toBe(11);
});

describe('a first row is the header only if its cells look like names', () => {
  test.each(misspelled)('%j is an error, as on any other line', async (cell, expected) => {
    const message = (line: number, column: number) =>
      `x.csv: line ${line}, column ${column} is ${JSON.stringify(cell)}; expected ${expected}`;
    const first = async (...lines: (readonly string[])[]) => {
      try {
        await readAll(await open(lines, ';'), 1e9, '');
      } catch (error) {
        return isSoftgradError(error) ? error.message : error;
      }
      return 'read';
    };
    expect(await first([cell, cell], ['1', '2'])).toBe(message(1, 1));
    expect(await first(['nan', cell], ['1', '2'])).toBe(message(1, 2));
    expect(await first(['1', '2'], ['3', cell])).toBe(message(2, 2));
    expect(await first([cell])).toBe(message(1, 1));
    // A name in another cell does not make the row a header.
    expect(await first(['a', cell], ['1', '2'])).toBe('x.csv: line 1, column 1 is "a"; expected a number');
  });

  test('names begin with a letter and may contain any other characters', async () => {
    for (const name of [
      ...[
        'a',
        '_',
        'x1',
        'sepal length',
        'a, in m',
        'p=0.5',
        '(a)',
        '[m/s]',
        'µ',
        '∂L/∂s',
        'e1',
        'PC1',
        'CO2',
        'Δ',
        '名',
        '$x_1$',
      ],
      ...[
        'nano',
        'NaN count',
        'inf_loss',
        'information',
        'na.rm',
        'nothing',
        'true class',
        'yes',
        'D0',
        'USD',
        'EUR 2',
      ],
    ]) {
      const reader = await open(
        [
          [name, name],
          ['1', '2'],
        ],
        ';',
      );
      expect(await reader.next(9), name).toEqual({ shape: [1, 2], data: Float64Array.of(1, 2) });
    }
  });

  test('unless the option header says otherwise', async () => {
    const read = (text: string, header: 'yes' | 'no') => refusal(text, ',', { header, headerAdvice: 'says --header' });
    expect(await read('1,2\n3,4', 'yes')).toBe('read 3,4');
    expect(await read('10%,NA\n3,4', 'yes')).toBe('read 3,4');
    expect(await read('0,1\n1.5,2.5', 'yes')).toBe('read 1.5,2.5');
    expect(await read('0,1\n1.5,2.5', 'no')).toBe('read 0,1,1.5,2.5');
    expect(await read('a,b\n1,2', 'no')).toBe('x.csv: line 1, column 1 is "a"; expected a number');
    expect(await read(',a\n1,2', 'no')).toContain('line 1, column 1 is empty');
    expect(await read('a,b', 'yes')).toContain('no row of numbers');
    // An index column is recognized with the option header too.
    expect(await read(',a,b\n0,1.0,2.0', 'yes')).toContain('leaves the first column without a name');
    expect(await read('# 1,x\n3,4\n5,6', 'yes')).toBe('read 5,6');
    expect(await read('sep=,\n3,4\n5,6', 'yes')).toBe('read 5,6');
  });

  test('and the error about a first line names the option', async () => {
    const options = { headerAdvice: 'see --header' };
    expect(await refusal('1st,2nd\n1,2', ',', options)).toBe(
      'x.csv: line 1, column 1 is "1st"; expected a number (see --header)',
    );
    expect(await refusal(',2.5\n1,2', ',', options)).toMatch(/column 1 is empty; .*missing value\) \(see --header\)$/);
    expect(await refusal('0,1\n1.5,2.5', ',', options)).toMatch(/a 0 that is a logit\) \(see --header\)$/);
    expect(await refusal('1,2\n3,x', ',', options)).toBe('x.csv: line 2, column 2 is "x"; expected a number');
    expect(await refusal('a,b\n3,x', ',', options)).toBe('x.csv: line 2, column 2 is "x"; expected a number, no label');
  });
});

describe('a line before the rows', () => {
  test('is a comment if it starts with #, but not if it starts with a spreadsheet error such as #N/A', async () => {
    expect(await refusal('# a,b\n1,2\n#3,4,5\n#,\n# 3\n#3,x\n#\n5,6')).toBe('read 1,2,5,6');
    expect(await refusal('1,2\n#N/A,4')).toMatch(/^x\.csv: line 2, column 1 is "#N\/A"; /);
    expect(await refusal('#N/A,#N/A\n1,2')).toMatch(/^x\.csv: line 1, column 1 is "#N\/A"; /);
    expect(
      await (
        await open(
          [
            ['', '#', 'a'],
            ['', '1', '2'],
          ],
          ' ',
        )
      ).next(9),
    ).toEqual({
      shape: [1, 2],
      data: Float64Array.of(1, 2),
    });
    const swallowing = await open([
      ['1', '2'],
      ['# a', 'b\n3,4'],
      ['5', '6'],
    ]);
    await expect(swallowing.next(9)).rejects.toMatchObject({
      code: 'ERR_VALUE',
      message:
        'x.csv: line 2: a comment with an unclosed quote, which includes the following lines; expected quotes in pairs',
    });
  });

  test('is an error if it starts with # and the rest reads as a row of the table', async () => {
    for (const [text, line] of [
      ['1,2\n#3,4\n5,6', 2],
      ['1,2\n## 3,nan\n5,6', 2],
      ['# 3,4\na,b\n1,2', 1],
      ['1,2\n3,4\n#5,6', 3],
      ['# 1,2\n# 1,2,3\n1,2', 1],
      ['# 1,2,3\n# 1,2\n# 1\n1,2', 2],
    ] as const) {
      expect(await refusal(text), text).toBe(
        `x.csv: line ${line} starts with # but reads as a row of numbers; expected the row without #, or a comment in words`,
      );
    }
    for (const commented of [
      ['#', '3', '4'],
      ['#3', '4'],
    ]) {
      const reader = open([['1', '2'], commented], ' ').then((rows) => rows.next(9));
      await expect(reader).rejects.toThrow('x.csv: line 2 starts with # but reads as a row');
    }
  });

  test('is a comment if # stands in place of the first cell: only blanks make it a sign before the row', async () => {
    expect(await refusal('#,2\n1\n3')).toBe('read 1,3');
  });

  test("may be Excel's declaration of the delimiter", async () => {
    for (const text of ['sep=;\n1;2', 'SEP=;\na;b\n1;2', 'sep=;;\n1;2']) {
      expect(await refusal(text, ';'), text).toBe('read 1,2');
    }
    expect(await (await open([['sep=;'], ['1', '2']], ';')).next(9)).toMatchObject({ shape: [1, 2] });
    expect(await refusal('sep=|\n1,2')).toBe(
      'x.csv: line 1 says that cells are separated by "|"; expected a comma, a semicolon, a tab or a blank',
    );
    // A name, not a declaration.
    expect(await refusal('sep=,b\n1,2')).toBe('read 1,2');
    expect(await refusal('separate,b\n1,2')).toBe('read 1,2');
    expect(await refusal('sep=|,b\n1,2')).toBe('read 1,2');
    for (const longer of ['resep=|', 'sep=none']) expect(await refusal(`${longer}\n1`), longer).toBe('read 1');
    expect(await refusal('1,2\nsep=,')).toContain('line 2, column 1 is "sep="');
  });
});

describe('written lines', () => {
  const written = (shape: readonly number[], values: readonly number[], delimiter: ',' | '\t' = ',') =>
    [...csvLines({ shape, data: Float64Array.from(values) }, delimiter)].join('');

  test('have one row each, a vector as a column, in full precision', () => {
    expect(written([2, 3], [1, 0.1, -2, 3e300, -0, 1 / 3])).toBe('1,0.1,-2\n3e+300,-0,0.3333333333333333\n');
    expect(written([2], [1, 2], '\t')).toBe('1\n2\n');
    expect(written([], [7])).toBe('7\n');
    expect(written([2, 2], [1, 2, 3, 4], '\t')).toBe('1\t2\n3\t4\n');
    expect(written([1, 3], [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])).toBe('nan,inf,-inf\n');
    expect(written([2, 0], [])).toBe('\n\n');
    expect(written([0, 2], [])).toBe('');
  });

  test('come in pieces, each of which fits into a string', () => {
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

describe('the delimiter is determined by the first line of numbers', () => {
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
    ['sep=;\n1,2', ',', ';'],
    ['SEP=\t\r\n1,2', ',', '\t'],
    ['sep=,\r1;2', '\t', ','],
    ['"sep=;"\n1,2', ',', ';'],
    ['sep=;;;\n1,2', ',', ';'],
    ['\ufeffsep=;\n1,2', ',', ';'],
    ['sep= \n1,2', ',', ' '],
    ['sep=;', ',', ';'],
    ['sep=|\n1,2', ';', ','],
    ['sep=;x\n1,2', ';', ','],
    ['1,2\nsep=;', ';', ','],
    ['#N/A;1', ',', ';'],
    ['"1,234";"2,345"', ',', ';'],
    ['"1,234"', ';', ';'],
  ])('%j, preferably %j: %j', (text, preferred, delimiter) => {
    expect(detectDelimiter(text, preferred)).toBe(delimiter);
  });

  test('only the beginning of a long text is examined', () => {
    const header = 'a'.repeat(delimiterSample - 4);
    expect(detectDelimiter(`${header}\n1;2`, ',')).toBe(';');
    expect(detectDelimiter(`${header}aaa\n1;2`, ',')).toBe(',');
  });

  test('a parser splits tables at it, whatever the ending of the file', () => {
    expect(csvParseOptions(';').delimiter).toBe(';');
    expect(csvParseOptions(' ').delimiter).toEqual([' ', '\t']);
    const { delimiter, ...others } = csvParseOptions(',');
    expect(delimiter).toBe(',');
    expect(others).toEqual({
      relax_quotes: true,
      bom: true,
      trim: true,
      info: true,
      relax_column_count: true,
      skip_empty_lines: true,
    });
  });
});
