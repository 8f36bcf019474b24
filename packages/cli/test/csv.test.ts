import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isSoftgradError } from '@softgrad/core';
import { csvLines, readAll } from '@softgrad/formats';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { openCsv } from '../src/files/csv.js';

const folder = mkdtempSync(join(tmpdir(), 'softgrad-csv-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function parse(content: string | Uint8Array, delimiter: ',' | '\t' = ',') {
  const path = join(folder, 'x.csv');
  writeFileSync(path, content);
  const reader = await openCsv(path, content.length, delimiter);
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

describe('what is no table of numbers is refused, saying where and why', () => {
  test.each([
    ['1,2\n3,x\n', /line 2, column 2 is "x"; expected a number$/],
    ['a,b\n1,2\n3,\n', /line 3, column 2 is empty; expected a number \(write nan for a missing value\)$/],
    ['a,1\n2,3\n', /line 1, column 1 is "a"; expected a number$/],
    ['1,2\n3,4\n5\n', /line 3 has 1 cell; expected 2, as in line 1$/],
    ['1,2\n3,4,5\n', /line 2 has 3 cells; expected 2, as in line 1$/],
    ['1;2\n3;4\n1,2\n', /line 3 has 1 cell; expected 2, as in line 1$/],
    ['1 2\n3 4 5\n', /line 2 has 3 cells; expected 2, as in line 1$/],
    ['1 2\n... ...\n5 6\n', /line 2: abbreviated/],
    ['1,5;2,5\n', /line 1, column 2 is "5;2"; expected a number; .* decimals have a point, as in 1\.5;2\.5$/],
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
    ['', /no row of numbers; expected numbers separated by commas$/],
    ['a,b,c\n', /no row of numbers/],
    ['1,2\n3,\u001b[31mred\n', /line 2, column 2 is "\\u001b\[31mred"; expected a number$/],
  ])('%j', async (content, message) => {
    const error = await parse(content).catch((caught: unknown) => caught);
    expect(isSoftgradError(error), String(error)).toBe(true);
    expect(String(error instanceof Error && error.message)).toMatch(message);
  });
});

test('whatever the bytes, they are read as a table or refused in one line', async () => {
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
