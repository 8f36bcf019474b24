import { isSoftgradError } from '@softgrad/core';
import fc from 'fast-check';
import { zipSync } from 'fflate';
import { describe, expect, test } from 'vitest';
import { crc32 } from '../src/crc32.js';
import { npzBytes, npzRows, sizeOf } from '../src/index.js';
import { zipChecksums } from '../src/zip-checksums.js';
import { numpyFiles, plain } from './numpy-files.js';

const { npz, npy } = numpyFiles;

async function read(bytes: Uint8Array, entry: string | null, limit = 1e9) {
  const array = await (await npzRows(bytes, entry, limit, 'x.npz')).next(Number.MAX_SAFE_INTEGER);
  if (array === null) throw new Error('no chunk');
  return array;
}

describe('archives written by NumPy', () => {
  test.each([
    ['one array', null],
    ['one array, compressed', null],
    ['one array, compressed', 'logits'],
    ['two arrays', 'gradient'],
  ])('%s, choosing %s', async (name, entry) => {
    const array = await read(npz[name].bytes, entry);
    expect(array.shape).toEqual(npz[name].shape);
    expect(plain(array)).toEqual(npz[name].values);
  });
});

test('written arrays are read back, and the same arrays give the same bytes', async () => {
  const files = { loss: npy['a scalar'].bytes, gradient: npy['<f8 C'].bytes };
  const bytes = npzBytes(files);
  expect(plain(await read(bytes, 'loss'))).toEqual([2.5]);
  expect(plain(await read(bytes, 'gradient'))).toEqual(npy['<f8 C'].values);
  expect(npzBytes(files)).toEqual(bytes);
});

/** A member of an archive that a test assembles: its local header and its entry in the directory. */
interface Member {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Default: true. */
  readonly isUtf8?: boolean;
  readonly localExtra?: Uint8Array;
  readonly extra?: Uint8Array;
  readonly comment?: Uint8Array;
}

/** A stored ZIP archive by APPNOTE.TXT: local headers (4.3.7), the directory (4.3.12), and the record at its end (4.3.16). */
function archive(members: readonly Member[], comment = new Uint8Array(0)): Buffer {
  const local: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  const none = new Uint8Array(0);
  for (const { name, bytes, isUtf8 = true, localExtra = none, extra = none, comment = none } of members) {
    const text = Buffer.from(name, isUtf8 ? 'utf8' : 'latin1');
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    // Flag 11: names are UTF-8.
    common.writeUInt16LE(isUtf8 ? 0x800 : 0, 2);
    common.writeUInt32LE(crc32(bytes), 10);
    common.writeUInt32LE(bytes.length, 14);
    common.writeUInt32LE(bytes.length, 18);
    common.writeUInt16LE(text.length, 22);
    common.writeUInt16LE(localExtra.length, 24);
    const localHeader = Buffer.concat([Buffer.from('PK\u0003\u0004'), common, text, localExtra, bytes]);
    const central = Buffer.alloc(16);
    common.writeUInt16LE(extra.length, 24);
    central.writeUInt16LE(comment.length, 0);
    central.writeUInt32LE(offset, 10);
    const entry = [Buffer.from('PK\u0001\u0002\u0014\u0000'), common, central.subarray(0, 14), text, extra, comment];
    local.push(localHeader);
    directory.push(Buffer.concat(entry));
    offset += localHeader.length;
  }
  const end = Buffer.alloc(18);
  end.writeUInt16LE(members.length, 4);
  end.writeUInt16LE(members.length, 6);
  end.writeUInt32LE(Buffer.concat(directory).length, 8);
  end.writeUInt32LE(offset, 12);
  end.writeUInt16LE(comment.length, 16);
  return Buffer.concat([...local, ...directory, Buffer.from('PK\u0005\u0006'), end, comment]);
}

test('other members are not unpacked, even if they are large or damaged', async () => {
  const bytes = zipSync({ 'broken.npy': new Uint8Array(50_000), 'good.npy': npy['<f8 C'].bytes });
  bytes.fill(0xff, 42, 60);
  expect(plain(await read(bytes, 'good', 40_000))).toEqual(npy['<f8 C'].values);
  await expect(read(bytes, 'broken')).rejects.toThrow('not a .npz archive that can be unpacked');
});

test('names are UTF-8 if their flag says so, otherwise one byte per character', async () => {
  const bytes = archive([{ name: 'größe.npy', bytes: npy['a scalar'].bytes, isUtf8: false }]);
  expect(plain(await read(bytes, 'größe'))).toEqual([2.5]);
});

test('members may have extra fields, of other lengths before their data than in the directory, and comments', async () => {
  const extra = (length: number) => new Uint8Array(length).fill(0x50);
  const comment = Buffer.from('made by hand');
  const bytes = archive(
    [
      { name: 'loss.npy', bytes: npy['a scalar'].bytes, localExtra: extra(28), extra: extra(24), comment },
      { name: 'größe.npy', bytes: npy['one dimension'].bytes, localExtra: extra(4), extra: extra(36) },
      { name: 'gradient.npy', bytes: npy['<f8 C'].bytes, extra: extra(9), comment },
    ],
    comment,
  );
  expect(plain(await read(bytes, 'loss'))).toEqual([2.5]);
  expect(plain(await read(bytes, 'größe'))).toEqual(npy['one dimension'].values);
  expect(plain(await read(bytes, 'gradient'))).toEqual(npy['<f8 C'].values);
});

describe('an archive without the requested array is an error that lists its arrays', () => {
  test.each<[string, Uint8Array, string | null, string]>([
    [
      'several arrays and no name',
      npz['two arrays'].bytes,
      null,
      'x.npz: holds 2 arrays ("logits", "gradient"); choose one, as in x.npz:logits',
    ],
    ['a name it lacks', npz['one array'].bytes, 'x', 'x.npz: has no array "x"; it holds "logits"'],
    [
      'no arrays',
      zipSync({ 'readme.txt': new Uint8Array(3) }),
      null,
      'x.npz: holds no array; expected .npy files in the archive',
    ],
    [
      'no archive',
      Buffer.from('not a zip file at all, but long enough for one'),
      null,
      'x.npz: not a .npz archive that can be unpacked (invalid zip data); expected an archive as np.savez writes it',
    ],
    [
      'a damaged array',
      zipSync({ 'a.npy': Buffer.from('hello, world') }),
      'a',
      'x.npz:a: not a .npy file: expected it to start with the bytes 93 4E 55 4D 50 59, found 68 65 6C 6C 6F 2C',
    ],
  ])('%s', async (_, bytes, entry, message) => {
    await expect(read(bytes, entry)).rejects.toThrow(expect.objectContaining({ code: 'ERR_VALUE', message }));
  });

  test('an archive that cannot be unpacked, with the cause', async () => {
    const error: unknown = await read(Buffer.alloc(50), null).catch((caught: unknown) => caught);
    expect(error instanceof Error && error.cause).toBeInstanceOf(Error);
  });

  test('a damaged array in an archive with one array is an error that names the archive', async () => {
    await expect(read(zipSync({ 'a.npy': Buffer.from('hello, world') }), null)).rejects.toThrow(
      /^x\.npz: not a \.npy file: /,
    );
  });

  test('an array too large for the memory limit is an error before it is unpacked', async () => {
    const bomb = zipSync({ 'a.npy': new Uint8Array(50_000) });
    // Its compressed data is damaged, so unpacking would throw another error.
    bomb.fill(0xff, 40, 60);
    const message =
      'x.npz: "a" unpacks to 50 kB, more than can be held in memory; unpack it and use the .npy file in it';
    await expect(read(bomb, null, 49_999)).rejects.toThrow(
      expect.objectContaining({ code: 'ERR_OUT_OF_MEMORY', message }),
    );
    await expect(read(bomb, null, 50_000)).rejects.toThrow('not a .npz archive that can be unpacked');
  });
});

describe('an archive that is not all of the file is an error that says so', () => {
  const bytes = npz['one array'].bytes;
  const moved = (change: string) =>
    `x.npz: not a .npz archive that can be unpacked: ${change}; expected an archive as np.savez writes it, and nothing else in the file`;
  test.each<[string, Uint8Array, string]>([
    ['bytes before it', Buffer.concat([Buffer.from('hello'), bytes]), moved('5 bytes too many before its directory')],
    [
      'many bytes before it',
      Buffer.concat([Buffer.alloc(1000), bytes]),
      moved('1000 bytes too many before its directory'),
    ],
    ['without its first byte', bytes.subarray(1), moved('1 byte missing before its directory')],
    [
      'with an end that states the wrong size, too',
      Buffer.concat([Buffer.from('hello'), bytes.subarray(0, -10), Buffer.alloc(10)]),
      'x.npz: not a .npz archive that can be unpacked: its directory is not where its end says; expected an archive as np.savez writes it, and nothing else in the file',
    ],
    [
      'with an end that states a directory larger than the file, too',
      Buffer.concat([Buffer.from('hello'), bytes.subarray(0, -10), Buffer.alloc(4, 0xff), bytes.subarray(-6)]),
      'x.npz: not a .npz archive that can be unpacked: its directory is not where its end says; expected an archive as np.savez writes it, and nothing else in the file',
    ],
  ])('%s', async (_, broken, message) => {
    for (const entry of [null, 'logits'])
      await expect(read(broken, entry)).rejects.toThrow(expect.objectContaining({ code: 'ERR_VALUE', message }));
  });

  test('but what follows it is a comment, of at most 65,535 bytes', async () => {
    const members = [{ name: 'x.npy', bytes: npy['a scalar'].bytes }];
    expect(plain(await read(archive(members, Buffer.alloc(65_535)), 'x'))).toEqual([2.5]);
  });

  test('but one without members holds no array', async () => {
    await expect(read(archive([]), null)).rejects.toThrow('x.npz: holds no array; expected .npy files');
  });
});

test('a damaged archive gives an array that fits its shape, or a one-line error', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...Object.values(npz).map(({ bytes }) => bytes)),
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      fc.option(fc.nat()),
      async (original, changes, cut) => {
        const bytes = Buffer.from(original).subarray(0, cut === null ? original.length : cut % original.length);
        for (const [position, value] of changes) if (bytes.length > 0) bytes[position % bytes.length] = value;
        try {
          const array = await read(bytes, 'logits');
          expect(array.data.length).toBe(sizeOf(array.shape));
        } catch (error) {
          if (!isSoftgradError(error)) throw error;
          expect(error.message).toMatch(/^x\.npz(:logits)?: \P{Cc}+$/u);
        }
      },
    ),
    { numRuns: 200 },
  );
});

describe('checksums', () => {
  /** A stored archive in which one bit of the array `logits` is flipped. */
  function damaged(archive: Uint8Array = npzBytes({ loss: npy['a scalar'].bytes, logits: npy['<f8 C'].bytes })) {
    const bytes = archive.slice();
    bytes[Buffer.from(bytes).indexOf(npy['<f8 C'].bytes) + npy['<f8 C'].bytes.length - 3] ^= 1;
    return bytes;
  }

  /** The same archive with its directory's place in a ZIP64 record only, as in archives of more than 4 GB. */
  function zip64(archive: Uint8Array): Uint8Array {
    const end = archive.length - 22;
    const bytes = new Uint8Array(archive.length + 76);
    bytes.set(archive.subarray(0, end));
    bytes.set(archive.subarray(end), end + 76);
    const view = new DataView(bytes.buffer);
    const count = view.getUint16(end + 76 + 10, true);
    view.setUint32(end, 0x06064b50, true);
    view.setBigUint64(end + 4, 44n, true);
    view.setBigUint64(end + 24, BigInt(count), true);
    view.setBigUint64(end + 32, BigInt(count), true);
    view.setBigUint64(end + 48, BigInt(view.getUint32(end + 76 + 16, true)), true);
    view.setUint32(end + 56, 0x07064b50, true);
    view.setBigUint64(end + 64, BigInt(end), true);
    view.setUint32(end + 76 + 16, 0xffffffff, true);
    return bytes;
  }

  test('a flipped bit is an error that names the file, the member and both checksums', async () => {
    await expect(read(damaged(), 'logits')).rejects.toThrow(
      /^x\.npz: "logits\.npy" is damaged: its CRC-32 is [0-9a-f]{8}, expected [0-9a-f]{8}$/,
    );
    expect(plain(await read(damaged(), 'loss'))).toEqual([2.5]);
  });

  test('a checksum is printed with all digits, including leading zeros', async () => {
    const bytes = npzBytes({ x: npy['a scalar'].bytes });
    const directory = new DataView(bytes.buffer, bytes.length - 22 - 51);
    expect(directory.getUint32(0, true)).toBe(0x02014b50);
    directory.setUint32(16, 0xabc, true);
    await expect(read(bytes, 'x')).rejects.toThrow(/^x\.npz: "x\.npy" is damaged: .*, expected 00000abc$/);
  });

  test('a directory given by a ZIP64 record is read as well', async () => {
    const archive = zip64(npzBytes({ logits: npy['<f8 C'].bytes }));
    expect(plain(await read(archive, 'logits'))).toEqual(npy['<f8 C'].values);
    await expect(read(damaged(archive), 'logits')).rejects.toThrow('is damaged');
  });

  test('a ZIP64 record is used only if it is announced, in its place and needed; otherwise the directory is not found', () => {
    const plainArchive = npzBytes({ logits: npy['<f8 C'].bytes });
    const [end, checksums] = [plainArchive.length - 22, zipChecksums(plainArchive)];
    expect(checksums.size).toBe(1);
    const changed = (change: (view: DataView) => void) => {
      const bytes = zip64(plainArchive);
      change(new DataView(bytes.buffer));
      return zipChecksums(bytes);
    };
    expect(changed(() => {})).toEqual(checksums);
    const start = new DataView(plainArchive.buffer).getUint32(end + 16, true);
    // Not needed: the record at the archive's end has the directory's offset.
    const given = (view: DataView) => {
      view.setUint32(end + 76 + 16, start, true);
      view.setBigUint64(end + 48, 0n, true);
    };
    expect(changed(given)).toEqual(checksums);
    for (const change of [
      (view: DataView) => view.setUint32(end + 56, 0, true),
      (view: DataView) => view.setBigUint64(end + 64, 2n ** 40n, true),
      (view: DataView) => view.setBigUint64(end + 64, BigInt(view.byteLength - 10), true),
    ]) {
      expect(changed(change).size).toBe(0);
    }
    // Only that record, which refers to a ZIP64 record for the offset.
    const lone = Buffer.alloc(22);
    lone.set(Buffer.from('PK\u0005\u0006'));
    lone.fill(0xff, 16, 20);
    expect(zipChecksums(lone).size).toBe(0);
  });

  test('of two members with one name the last is used, and a member missing from the directory is an error', async () => {
    const [first, last] = [npy['a scalar'].bytes, npy['<f8 C'].bytes];
    const twice = archive([
      { name: 'x.npy', bytes: first },
      { name: 'x.npy', bytes: last },
    ]);
    expect(plain(await read(twice, 'x'))).toEqual(npy['<f8 C'].values);
    expect(zipChecksums(twice.subarray(0, twice.length - 22))).toEqual(new Map());
    const commented = archive([{ name: 'x.npy', bytes: first }], Buffer.alloc(99));
    expect([...zipChecksums(commented)]).toEqual([['x.npy', crc32(first)]]);
    expect(zipChecksums(new Uint8Array(0)).size).toBe(0);
    // Unpacking uses the number of entries and does not check their signatures.
    const unsigned = archive([{ name: 'x.npy', bytes: first }]);
    unsigned[unsigned.lastIndexOf('PK\u0001\u0002')] = 0;
    await expect(read(unsigned, 'x')).rejects.toThrow(
      expect.objectContaining({
        code: 'ERR_VALUE',
        message: `x.npz: "x.npy" is damaged: its CRC-32 is ${crc32(first).toString(16).padStart(8, '0')}, expected one in the archive`,
      }),
    );
  });

  test('equal the published check value, however the data is split', () => {
    const digits = Buffer.from('123456789');
    expect(crc32(digits)).toBe(0xcbf43926);
    for (let cut = 0; cut <= 9; cut++)
      expect(crc32(digits.subarray(cut), crc32(digits.subarray(0, cut)))).toBe(0xcbf43926);
    expect(crc32(new Uint8Array(0))).toBe(0);
  });
});
