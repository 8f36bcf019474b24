import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isSoftgradError } from '@softgrad/core';
import { csvLines, type FileArray, parseText, readAll, type TableOptions } from '@softgrad/formats';
import fc from 'fast-check';
import { afterAll, describe, expect, inject, test } from 'vitest';
import { openCsv } from '../src/files/csv.js';

const folder = mkdtempSync(join(tmpdir(), 'softgrad-csv-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function parse(content: string | Uint8Array, delimiter: ',' | '\t' = ',', options: TableOptions = {}) {
  const path = join(folder, 'x.csv');
  writeFileSync(path, content);
  const reader = await openCsv(path, content.length, delimiter, options);
  try {
    return await readAll(reader, Number.POSITIVE_INFINITY, '');
  } finally {
    await reader.close();
  }
}

const numbers = { shape: [2, 3], data: Float64Array.of(1, -2.5, 3e-7, 4, 5, 0.1) };

test.each([
  ['plain', '1,-2.5,3e-7\n4,5,.1\n', ','],
  ['with a header', 'a,b,c\n1,-2.5,3e-7\n4,5,.1\n', ','],
  ['with quotes, spaces, empty lines and no end of line', '"a","b b","c,c"\n\n1, -2.5 ,"3e-7"\n\n4,5,0.1', ','],
  ['with Windows ends of lines and a byte order mark', '\ufeffa,b,c\r\n1,-2.5,3e-7\r\n4,5,.1\r\n', ','],
  ['with tabs', 'a\tb\tc\n1\t-2.5\t3e-7\n4\t5\t.1\n', '\t'],
  ['with semicolons', '1;-2.5;3e-7\n4;5;.1\n', ','],
  ['with semicolons and a header', 'a, in m;b;"c;c"\n1;-2.5;3e-7\n4;5;.1\n', ','],
  ['with blanks, as np.savetxt writes them', '1.0e+00 -2.5e+00 3e-7\n4 5 .1\n', ','],
  ['with a comment and columns that are aligned', '# a b c\n  1  -2.5   3e-7 \n\n  4   5     .1\n', ','],
  ['with tabs in spite of its ending', '1\t-2.5\t3e-7\n4\t5\t.1\n', ','],
  ['with commas in spite of its ending', '1,-2.5,3e-7\n4,5,.1\n', '\t'],
  ['in UTF-16, as Excel writes it', Buffer.from('\ufeffα\tb\tc\r\n1\t-2.5\t3e-7\r\n4\t5\t.1\r\n', 'utf16le'), ','],
  ['in UTF-16, big endian', Buffer.from('\ufeff1;-2.5;3e-7\n4;5;.1\n', 'utf16le').swap16(), ','],
  ['in UTF-16 without a byte order mark', Buffer.from('1,-2.5,3e-7\n4,5,.1\n', 'utf16le'), ','],
  ['with the delimiter that Excel is told', 'sep=;\r\n1;-2.5;3e-7\r\n4;5;.1\r\n', ','],
  ['with that and a header', '\ufeffsep=;\na, b;c;"d;d"\n1;-2.5;3e-7\n4;5;.1\n', ','],
  ['with quotes in comments', '# it is 5" wide, "x"\n1,-2.5,3e-7\n#a "b", c"\n4,5,.1\n', ','],
  ['with a first line of 70 kB', `${'a'.repeat(70_000)},b,c\n1,-2.5,3e-7\n4,5,.1\n`, ','],
] as const)('a table is read: %s', async (_, content, delimiter) => {
  expect(await parse(content, delimiter)).toEqual(numbers);
});

test('NaN and infinities are read in any case', async () => {
  const { data } = await parse('nan,NaN,inf,-Inf,+Infinity\n');
  expect([...data]).toEqual([
    Number.NaN,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    Number.POSITIVE_INFINITY,
  ]);
});

test('every float64 is written so that it is read back', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc
        .integer({ min: 1, max: 4 })
        .chain((columns) =>
          fc.array(fc.array(fc.double(), { minLength: columns, maxLength: columns }), { minLength: 1, maxLength: 5 }),
        ),
      fc.constantFrom<[',', '\t']>(',', '\t'),
      async (rows, delimiter) => {
        const data = Float64Array.from(rows.flat());
        const shape = [rows.length, rows[0].length];
        // A first row of words alone would be a header; NaN and infinities are numbers.
        const read = await parse([...csvLines({ shape, data }, delimiter)].join(''), delimiter);
        expect(read.shape).toEqual(shape);
        expect(read.data).toEqual(data);
      },
    ),
    { numRuns: 30 },
  );
});

describe('invalid tables are errors that say where and why', () => {
  test.each([
    ['1,2\n3,x\n', /line 2, column 2 is "x"; expected a number$/],
    ['a,b\n1,2\n3,\n', /line 3, column 2 is empty; expected a number \(write nan for a missing value\)$/],
    ['a,1\n2,3\n', /line 1, column 1 is "a"; expected a number$/],
    ['1,2\n3,4\n5\n', /line 3 has 1 cell; expected 2, as in line 1$/],
    ['1,2\n3,4,5\n', /line 2 has 3 cells; expected 2, as in line 1$/],
    ['1;2\n3;4\n1,2\n', /line 3 has 1 cell; expected 2, as in line 1$/],
    ['1 2\n3 4 5\n', /line 2 has 3 cells; expected 2, as in line 1$/],
    ['1 2\n... ...\n5 6\n', /line 2: abbreviated/],
    ['1,5;2,5\n', /line 1, column 2 is "5;2"; expected a number; decimals have a point .*, as in 1\.5;2\.5$/],
    ['1;2\n1;2,5\n', /line 2, column 2 is "2,5"; expected a decimal point, as in 2\.5$/],
    [',a,b\n0,1.0,2.0\n1,3,4', /line 1 leaves the first column without a name: .* pandas .*index=False, header=False/],
    [',0,1\n0,1.0,2.0\n1,3,4', /line 1 leaves the first column without a name/],
    [';a;b\n7;1.0;2.0\n3;3;4', /line 1 leaves the first column without a name/],
    [',a,b\nx,1.0,2.0\n', /line 1 leaves the first column without a name/],
    ['     a    b\n0  1.0  2.0\n1  3.0  4.0', /line 1 leaves the first column without a name/],
    ['0,1\n1.5,2.5\n', /line 1 numbers the columns 0 to 1, as pandas .*index=False, header=False.* \(or 0\.0/],
    ['"0,1","0,2"\n1,2\n', /line 1, column 1 is "0,1"; expected a decimal point, as in 0\.1$/],
    [',2.5\n3,4\n', /line 1, column 1 is empty; expected a number/],
    ['0x10,2\n', /line 1, column 1 is "0x10"; expected a number$/],
    ['1,2\n"3,4\n', /line 2: quote not closed; expected/],
    [
      '"1,049.34","2,000.10"\n999.5,998.2\n',
      /line 1, column 1 is "1,049\.34"; expected no thousands separators, as in/,
    ],
    [
      '"1,234","2,345"\n',
      /line 1, column 1 is "1,234"; expected no thousands separator, as in 1234, or a decimal point, as/,
    ],
    ['#N/A,#N/A\n1,2\n', /line 1, column 1 is "#N\/A"; expected a number \(write nan for a missing value\)$/],
    ['1,2\n#N/A,4\n', /line 2, column 1 is "#N\/A"/],
    ['1,2\n# a,"b\n3,4"\n', /a comment with an unclosed quote, which includes the following lines/],
    ['1,2\n# a,"b\n3,4\n', /quote not closed/],
    ['1,2\n3,"4"5\n', /line 2: invalid closing quote; expected numbers in cells, quotes in pairs$/],
    ['', /no row of numbers; expected numbers separated by commas$/],
    ['a,b,c\n', /no row of numbers/],
    ['1,2\n3,\u001b[31mred\n', /line 2, column 2 is "\\u001b\[31mred"; expected a number$/],
  ])('%j', async (content, message) => {
    const error = await parse(content).catch((caught: unknown) => caught);
    expect(isSoftgradError(error), String(error)).toBe(true);
    expect(String(error instanceof Error && error.message)).toMatch(message);
  });
});

describe('a record of several lines is named by its first', () => {
  test.each([
    ['a cell', 'a,b\n1,2\n"x\n\ny",4\n5,6\n', /line 3, column 1 is "x\\n\\ny"/],
    ['the number of cells', 'a,b\n1,2\n"3\n",4,5\n', /line 3 has 3 cells/],
    ['a quote that is not closed', 'a,b\n1,2\n\n"3,4\n5,6\n7,8\n', /line 4: quote not closed/],
    ['a quote that is closed too early', 'a,b\n1,2\n3,"4\n"5\n', /line 3: invalid closing quote/],
  ])('%s', async (_what, content, message) => {
    for (const end of ['\n', '\r\n'])
      await expect(parse(content.replaceAll('\n', end))).rejects.toThrow(
        new RegExp(message.source.replaceAll('\\\\n', end === '\n' ? '\\\\n' : '\\\\r\\\\n')),
      );
  });

  test.each(['\n', '\r\n', '\r'])('and a record after it by its own, with lines that end in %j', async (end) => {
    const lines = ['"first', 'name",b', '1,2', '"3', '"', '', '"5', '",oops'];
    await expect(parse(lines.join(end))).rejects.toThrow(/line 4 has 1 cell/);
    lines.splice(3, 2);
    await expect(parse(lines.join(end))).rejects.toThrow(/line 5, column 1 is "5/);
  });
});

describe('of two errors, the one named is the first in the file', () => {
  const faults: Readonly<Record<string, readonly [line: string, message: string]>> = {
    'a word': ['3,oops', 'column 2 is "oops"'],
    'a cell too few': ['3', 'has 1 cell'],
    'a quote within a cell': ['3,"4"5', 'invalid closing quote'],
    'a quote that is not closed': ['3,"4', 'quote not closed'],
    'a row as a comment': ['#3,4', 'starts with # but reads as a row of numbers'],
    'a comment with an open quote': ['# a,"b\nc"', 'a comment with an unclosed quote'],
  };
  const pairs = Object.keys(faults).flatMap((one) => Object.keys(faults).map((other) => [one, other] as const));

  // What follows an open quote belongs to its cell.
  test.each(pairs.filter(([first]) => first !== 'a quote that is not closed'))('%s, then %s', async (one, other) => {
    const [first, message] = faults[one];
    const [later] = faults[other];
    for (const before of ['', '1,2\n', '1,2\n'.repeat(40)])
      for (const between of ['', '1,2\n', '1,2\n'.repeat(40)]) {
        // A first row is that to which the others are compared, and before it a comment is a title.
        if (before === '' && /cell too few|comment/.test(one)) continue;
        const line = before.length / 4 + 1;
        const error = await parse(`${before}${first}\n${between}${later}\n`).catch((caught: unknown) => caught);
        expect(String(error)).toContain(message);
        expect(String(error)).toContain(`line ${line}`);
      }
  });
});

test('any bytes are read as a table or are a one-line error', async () => {
  const fragment = fc.constantFrom(
    '1',
    ',',
    '\n',
    '\r\n',
    '"',
    'x',
    '-',
    'nan',
    '\t',
    ' ',
    ';',
    '#',
    '\u0000',
    '\u009b',
    'é',
  );
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.array(fragment, { maxLength: 30 }).map((parts) => Buffer.from(parts.join(''))),
        fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
      ),
      async (bytes) => {
        try {
          const { data, shape } = await parse(bytes);
          expect(data.length).toBe(shape[0] * shape[1]);
        } catch (error) {
          if (!isSoftgradError(error)) throw error;
          expect(error.message).toMatch(/^.*x\.csv: \P{Cc}+$/u);
        }
      },
    ),
    { numRuns: 60 },
  );
});

/** A table with known content, and its text. */
interface Written {
  readonly bytes: Uint8Array;
  /** Its numbers, if all of its cells are numbers. */
  readonly numbers: readonly (readonly number[])[] | null;
  /** Lines that are neither empty nor comments nor Excel's declaration, and whether the first of them is a header. */
  readonly lines: number;
  readonly named: boolean;
  /** True where a quote in a comment may take further lines into it. */
  readonly open: boolean;
  /** Which of these lines have a cell that is not a number with any delimiter. */
  readonly wrong: readonly number[];
}

const encodings: readonly ((text: string) => Uint8Array)[] = [
  (text) => Buffer.from(text),
  (text) => Buffer.from(`\ufeff${text}`),
  (text) => Buffer.from(`\ufeff${text}`, 'utf16le'),
  (text) => Buffer.from(`\ufeff${text}`, 'utf16le').swap16(),
];

const number = fc.oneof(
  fc.double(),
  fc.integer({ min: -9, max: 9 }),
  fc.constantFrom(-0, 1e300, Number.NaN, Number.POSITIVE_INFINITY),
);
/** Neither numbers nor names, on any line. */
const misspelled = fc.constantFrom(
  ...[
    '1,049.34',
    '2,000',
    '1,5',
    'NA',
    'n/a',
    '#N/A',
    '#DIV/0!',
    '\u22121.5',
    '10%',
    '$1.5',
    '1.5D+00',
    'TRUE',
    '1_000',
  ],
  ...[
    '1.#INF',
    '-nan(ind)',
    '',
    '-',
    '?',
    '1e',
    '0x1',
    '1.2.3',
    '1;2',
    '1"',
    '"',
    "1'",
    '1 2',
    '\u0000',
    '€',
    '1\n2',
    'null',
  ],
);
const names = fc.constantFrom('a', 'b1', 'sepal length', 'p=0.5', '_', 'Δ', 'x,y', 'u;v', 'loss "a"');

/** A cell, in quotes if necessary or at random. */
function quoted(cell: string, always: boolean): string {
  return always || /[,;\t\r\n"]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}

/** Comments in which a cell begins with a quote that ends on another line, such as `end`, or nowhere. */
const openComments = fc.constantFrom('# a,"b', '# a;"b', '# a\t"b', '# "b', '#,"');
const end = '# c"';

const tables: fc.Arbitrary<Written> = fc
  .record({
    rows: fc
      .integer({ min: 1, max: 4 })
      .chain((columns) =>
        fc.array(fc.array(number, { minLength: columns, maxLength: columns }), { minLength: 1, maxLength: 6 }),
      ),
    wrong: fc.array(fc.tuple(fc.nat(5), fc.nat(3), misspelled), { maxLength: 2 }),
    among: fc.option(fc.tuple(fc.nat(3), names)),
    header: fc.option(fc.array(names, { minLength: 4, maxLength: 4 })),
    delimiter: fc.constantFrom(',', ';', '\t', ' '),
    newline: fc.constantFrom('\n', '\r\n'),
    quotes: fc.infiniteStream(fc.boolean()),
    stated: fc.boolean(),
    comment: fc.option(fc.tuple(fc.nat(6), fc.constantFrom('# a, b', '#', '# 5" wide', '#1,x'))),
    open: fc.option(fc.tuple(fc.nat(6), openComments, fc.option(fc.nat(6))), { freq: 2 }),
    blankLine: fc.option(fc.nat(6)),
    atEnd: fc.boolean(),
    encoding: fc.constantFrom(...encodings),
  })
  .map((drawn) => {
    const {
      rows,
      wrong,
      among,
      header,
      delimiter,
      newline,
      quotes,
      stated,
      comment,
      open,
      blankLine,
      atEnd,
      encoding,
    } = drawn;
    const cells = rows.map((row) => row.map((value) => (Object.is(value, -0) ? '-0' : String(value))));
    const inPlace: [number, number, string][] = wrong.filter(([row, column]) => cells[row]?.[column] !== undefined);
    for (const [row, column, cell] of inPlace) cells[row][column] = cell;
    const columns = rows[0].length;
    // A name and a number: the line is neither a header nor a row.
    const [column = 0, name = ''] = among ?? [];
    if (
      among &&
      delimiter !== ' ' &&
      column < columns &&
      cells[0].some((cell, k) => k !== column && cell === String(rows[0][k]))
    ) {
      cells[0][column] = name;
      inPlace.push([0, column, name]);
    }
    const table = header ? [header.slice(0, columns), ...cells] : cells;
    // Without quotes, an only cell `1 2` would be a row of two numbers.
    const isOneCell = (cell: string) => columns === 1 && cell.includes(' ');
    const lines = table.map((row) =>
      row.map((cell) => quoted(cell, quotes.next().value || isOneCell(cell))).join(delimiter),
    );
    // Cells separated by blanks contain none and are not empty; and a single empty cell would be an empty line.
    const plain = table.map((row) =>
      row.map((cell) => quoted(cell === '' ? '""' : cell.replace(/\s/g, ''), false)).join(' '),
    );
    const texts = (delimiter === ' ' ? plain : lines).map((line) => (line.trim() === '' ? '""' : line));
    if (comment) texts.splice(comment[0], 0, comment[1]);
    if (open) {
      const [first, text, further] = open;
      if (further !== null) texts.splice(first + further, 0, end);
      texts.splice(first, 0, text);
    }
    if (blankLine !== null) texts.splice(blankLine, 0, '');
    if (stated && delimiter !== ' ') texts.unshift(`sep=${delimiter}`);
    return {
      bytes: encoding(`${texts.join(newline)}${atEnd ? newline : ''}`),
      numbers: inPlace.length > 0 ? null : rows,
      lines: table.length,
      named: header !== null,
      open: open !== null,
      // Some of them are numbers without their blanks.
      wrong: delimiter === ' ' ? [] : inPlace.map(([row]) => row + (header ? 1 : 0)),
    };
  });

describe('the number of rows is preserved, or the table is an error: no row is silently lost', () => {
  const readers: Readonly<Record<string, (bytes: Uint8Array, options: TableOptions) => Promise<FileArray>>> = {
    'a .csv': (bytes, options) => parse(bytes, ',', options),
    'a .tsv': (bytes, options) => parse(bytes, '\t', options),
    'a text': (bytes, options) => parseText(bytes, 'x.csv', 1e9, options),
  };

  const numRuns = inject('everything') ? 400 : 150;
  test.each(Object.entries(readers))('%s', async (_, read) => {
    const seen = { read: 0, refused: 0 };
    await fc.assert(
      fc.asyncProperty(tables, fc.constantFrom(undefined, 'yes', 'no'), async (written, header) => {
        const { bytes, numbers, lines, named, open, wrong } = written;
        try {
          const { data, shape } = await read(bytes, { header });
          const skipped = header === undefined ? named : header === 'yes';
          expect(shape[0]).toBe(lines - (skipped ? 1 : 0));
          expect(wrong.filter((line) => line > 0 || !skipped)).toEqual([]);
          expect(data.length).toBe(shape[0] * shape[1]);
          if (numbers) expect([...data]).toEqual(numbers.slice(numbers.length - shape[0]).flat());
          seen.read++;
        } catch (error) {
          if (!isSoftgradError(error)) throw error;
          expect(error.message).toMatch(/^.*x\.csv: \P{Cc}+$/u);
          // A valid table is read, unless it resembles an index or header of pandas.
          if (numbers && !open && (header === undefined || (header === 'yes') === named))
            expect(error.message).toContain('pandas');
          seen.refused++;
        }
      }),
      { numRuns },
    );
    // Neither is what all of them come to.
    expect(Math.min(seen.read, seen.refused)).toBeGreaterThan(numRuns / 10);
  });
});
