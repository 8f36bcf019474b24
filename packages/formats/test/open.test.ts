import { describe, expect, test } from 'vitest';
import {
  arrayRows,
  type FileSource,
  npyElements,
  npyHeader,
  npzBytes,
  openRows,
  parseJson,
  parseText,
  readAll,
  textRows,
} from '../src/index.js';

const text = (value: string) => new TextEncoder().encode(value);
const npy = Buffer.concat([npyHeader('<f8', [1, 2]), npyElements(Float64Array.of(1, 2), '<f8')]);

/** A file in memory, with a log of the calls to it. */
function source(name: string, bytes: Uint8Array): FileSource & { readonly log: string[] } {
  const log: string[] = [];
  return {
    name,
    byteLength: bytes.length,
    log,
    async read(position, length) {
      return bytes.subarray(position, position + length);
    },
    async whole() {
      log.push('whole');
      return bytes;
    },
    async table(preferred, { header }) {
      log.push(`table ${JSON.stringify(preferred)}${header === undefined ? '' : `, header ${header}`}`);
      return arrayRows({ shape: [1, 2], data: Float64Array.of(1, 2) }, name);
    },
    async close() {
      log.push('close');
    },
  };
}

describe('the ending of a file name determines its format', () => {
  test.each([
    ['a.npy', npy, []],
    ['A.NPY', npy, []],
    ['folder.csv/a.npy', npy, []],
    ['a.json', text('[[1, 2]]'), ['whole', 'close']],
    ['a.b.Json', text('[[1, 2]]'), ['whole', 'close']],
    ['a.txt', text('1 2\n'), ['whole', 'close']],
    ['a.csv', text(''), ['table ","', 'close']],
    ['a.tsv', text(''), ['table "\\t"', 'close']],
  ] as const)('%s', async (name, bytes, log) => {
    const file = source(name, bytes);
    const rows = await openRows(file, { memory: 1e6 });
    expect(file.log).toEqual(log);
    expect([rows.name, rows.shape]).toEqual([name, [1, 2]]);
    expect([...(await readAll(rows, 1e6, '')).data]).toEqual([1, 2]);
  });
});

test('the array of an archive is the named one, or the only one', async () => {
  const open = (files: Readonly<Record<string, Uint8Array>>, entry?: string) =>
    openRows(source('a.npz', npzBytes(files)), { memory: 1e6, entry });
  expect((await open({ x: npy })).shape).toEqual([1, 2]);
  expect((await open({ x: text('no array'), y: npy }, 'y')).shape).toEqual([1, 2]);
  await expect(open({ x: npy, y: npy })).rejects.toThrow('a.npz');
});

test('a .npy or .safetensors is read from its source until its reader is closed', async () => {
  const header = '{"a": {"dtype": "F64", "shape": [1, 2], "data_offsets": [0, 16]}}';
  const safetensors = Buffer.concat([
    Uint8Array.of(header.length, 0, 0, 0, 0, 0, 0, 0),
    text(header),
    npy.subarray(-16),
  ]);
  for (const file of [source('a.npy', npy), source('a.SafeTensors', safetensors)]) {
    const rows = await openRows(file, { memory: 1e6 });
    expect([...(await readAll(rows, 1e6, '')).data]).toEqual([1, 2]);
    expect(file.log).toEqual([]);
    await rows.close();
    expect(file.log).toEqual(['close']);
  }
  const none = source('a.safetensors', safetensors);
  await expect(openRows(none, { memory: 1e6, entry: 'b' })).rejects.toThrow('a.safetensors: has no tensor "b"');
});

test('the caller can say whether a table has a header', async () => {
  const file = source('a.csv', text(''));
  await openRows(file, { memory: 1e6, header: 'no' });
  expect(file.log).toEqual(['table ",", header no', 'close']);
  const rows = await openRows(source('a.txt', text('1 2\n3 4')), { memory: 1e6, header: 'yes' });
  expect([...(await readAll(rows, 1e6, '')).data]).toEqual([3, 4]);
});

test.each([
  ['notes.md', 'notes.md: unknown ending .md; expected .npy, .npz, .safetensors, .json, .csv, .tsv, .txt'],
  ['folder.npy/notes', 'folder.npy/notes: the name has no ending; expected .npy'],
  ['.json', '.json: the name has no ending; expected .npy'],
])('%s has an unknown ending, and is closed', async (name, message) => {
  const file = source(name, text('[1]'));
  const refused = { code: 'ERR_VALUE', message: expect.stringContaining(message) };
  await expect(openRows(file, { memory: 1e6 })).rejects.toMatchObject(refused);
  expect(file.log).toEqual(['close']);
});

test('the message names other inputs that the caller accepts', async () => {
  const opening = openRows(source('notes', text('')), { memory: 1e6, besides: 'or - for standard input' });
  await expect(opening).rejects.toThrow(/\.tsv, \.txt, or - for standard input$/);
});

test('a source that cannot be read is closed', async () => {
  for (const name of ['a.npy', 'a.json', 'a.npz']) {
    const file = source(name, text('{'));
    await expect(openRows(file, { memory: 1e6 })).rejects.toThrow(`${name}: `);
    expect(file.log.at(-1)).toBe('close');
  }
});

test('the message about an unknown ending lists the formats, and nothing more where the caller takes nothing more', async () => {
  await expect(openRows(source('a.xyz', text('')), { memory: 1e6 })).rejects.toThrow(
    /expected \.npy, \.npz, \.safetensors, \.json, \.csv, \.tsv, \.txt$/,
  );
});

test('reading a file whole reports shares of it that grow', async () => {
  const rows = Array.from({ length: 2 ** 15 }, (_, row) => row);
  const column = { shape: [rows.length, 1], data: Float64Array.from(rows) };
  const json = JSON.stringify(rows.map((row) => [row]));
  const bytes = Buffer.concat([npyHeader('<f8', column.shape), npyElements(column.data, '<f8')]);
  for (const [name, content] of [
    ['a.json', text(json)],
    ['json.txt', text(json)],
    ['printed.txt', text(json.replaceAll(',', ' '))],
    ['table.txt', text(rows.join('\n'))],
    ['a.npz', npzBytes({ a: bytes })],
  ] as const) {
    const shares: number[] = [];
    const onShare = (share: number) => shares.push(share);
    const reader = await openRows(source(name, content), { memory: 1e9, onShare });
    const { shape, data } = await readAll(reader, 1e9, '');
    expect([shape, data.join()], name).toEqual([column.shape, column.data.join()]);
    expect(shares.length, name).toBeGreaterThan(0);
    expect(shares, name).toEqual([...new Set(shares)].sort((a, b) => a - b));
    expect(shares.at(-1), name).toBeLessThanOrEqual(1);
    expect(shares.at(-1), name).toBeGreaterThanOrEqual(0.5);
    // The second half of unpacking is its check.
    if (name === 'a.npz') expect(shares.filter((share) => share >= 0.5 && share < 1).length).toBeGreaterThan(3);
  }
});

test('a compressed file is an error with the command that unpacks it', async () => {
  for (const [name, command] of [
    ['a.csv.gz', 'gunzip'],
    ['a.GZ', 'gunzip'],
    ['a.json.bz2', 'bunzip2'],
    ['a.npy.zst', 'unzstd'],
    ['a.txt.xz', 'unxz'],
  ]) {
    await expect(openRows(source(name, text('')), { memory: 1e6 })).rejects.toMatchObject({
      code: 'ERR_VALUE',
      message: `${name}: compressed; expected its content on standard input, as in ${command} -c FILE | softgrad softmax -`,
    });
  }
});

test('what is no JSON is refused in a .json, although it would be read in a .txt', async () => {
  await expect(openRows(source('a.json', text('1 2\n')), { memory: 1e6 })).rejects.toThrow(/not JSON/);
});

test('an unknown option is refused, with the one that was meant', async () => {
  const unknown = (name: string) => ({
    code: 'ERR_VALUE',
    message: expect.stringMatching(new RegExp(`^${name}: unknown option 'Header' \\(did you mean 'header'\\?\\)`)),
  });
  const opened = source('a.csv', text('1,2'));
  await expect(openRows(opened, { memory: 1e6, Header: 'no' } as never)).rejects.toMatchObject(unknown('openRows'));
  expect(opened.log).toEqual(['close']);
  await expect(parseText(text('1,2'), 'a', 1e6, { Header: 'no' } as never)).rejects.toMatchObject(unknown('parseText'));
  await expect(textRows(text('1,2'), 'a', 1e6, { Header: 'no' } as never)).rejects.toMatchObject(unknown('textRows'));
  expect(() => parseJson(text('[1]'), 'a', { entries: 'x' } as never)).toThrow(
    "parseJson: unknown option 'entries' (did you mean 'entry'?); expected one of entry, onShare",
  );
});
