import { SoftgradError } from '@softgrad/core';
import { unzipSync, zipSync } from 'fflate';
import { formatBytes, type OwnBytes } from './array.js';
import { crc32 } from './crc32.js';
import { npyRows } from './npy.js';
import { quote } from './quote.js';
import type { OnShare, RowReader } from './row-reader.js';
import { misplacedDirectory, zipChecksums } from './zip-checksums.js';

/**
 * Reads one array of a NumPy archive: the named one, or the only one.
 *
 * @param entry the name of the array, without .npy; null for the only one
 * @param limit the largest number of bytes that the array may unpack to
 * @param name of the file, for messages
 * @throws ERR_VALUE if it is not such an archive, if there is no such array, if there are several and no name is given, or if the checksum is wrong
 * @throws ERR_OUT_OF_MEMORY if the array would unpack to more than `limit` bytes
 * @throws as `npyRows`
 * @example
 * const x = new Uint8Array([...npyHeader('<f4', [2]), ...npyElements(Float32Array.of(1, 2), '<f4')]);
 * const reader = await npzRows(npzBytes({ x }), 'x', 1e9, 'logits.npz');
 * (await reader.next(2))?.data; // [1, 2]
 */
export async function npzRows(
  bytes: Uint8Array,
  entry: string | null,
  limit: number,
  name: string,
  onShare?: OnShare,
): Promise<RowReader> {
  const unpacked = unpack(bytes, entry, limit, name, onShare);
  const label = entry === null ? name : `${name}:${entry}`;
  return npyRows(async (position, length) => unpacked.subarray(position, position + length), unpacked.length, label);
}

function unpack(bytes: Uint8Array, entry: string | null, limit: number, name: string, onShare?: OnShare): Uint8Array {
  const misplaced = misplacedDirectory(bytes);
  if (misplaced !== null) {
    const expected = 'expected an archive as np.savez writes it, and nothing else in the file';
    throw new SoftgradError('ERR_VALUE', `${name}: not a .npz archive that can be unpacked: ${misplaced}; ${expected}`);
  }
  const names: string[] = [];
  const attempt = (filter: Parameters<typeof unzipSync>[1]) => {
    try {
      return unzipSync(bytes, filter);
    } catch (cause) {
      if (cause instanceof SoftgradError) throw cause;
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new SoftgradError(
        'ERR_VALUE',
        `${name}: not a .npz archive that can be unpacked (${reason}); expected an archive as np.savez writes it`,
        { cause },
      );
    }
  };
  attempt({
    filter: (file) => {
      if (file.name.endsWith('.npy')) names.push(file.name.slice(0, -4));
      return false;
    },
  });
  const known = names.map((known) => quote(known)).join(', ');
  const [first] = names;
  if (first === undefined)
    throw new SoftgradError('ERR_VALUE', `${name}: holds no array; expected .npy files in the archive`);
  if (entry === null && names.length > 1) {
    throw new SoftgradError(
      'ERR_VALUE',
      `${name}: holds ${names.length} arrays (${known}); choose one, as in ${name}:${first}`,
    );
  }
  const chosen = entry ?? first;
  const files = attempt({
    filter: (file) => {
      if (file.name !== `${chosen}.npy`) return false;
      if (file.originalSize > limit) {
        throw new SoftgradError(
          'ERR_OUT_OF_MEMORY',
          `${name}: ${quote(chosen)} unpacks to ${formatBytes(file.originalSize)}, more than can be held in memory; unpack it and use the .npy file in it`,
        );
      }
      return true;
    },
  });
  const member = `${chosen}.npy`;
  const unpacked = files[member];
  if (unpacked === undefined)
    throw new SoftgradError('ERR_VALUE', `${name}: has no array ${quote(chosen)}; it holds ${known}`);
  const expected = zipChecksums(bytes).get(member);
  const found = checksum(unpacked, onShare);
  if (found !== expected) {
    const wanted = expected === undefined ? 'one in the archive' : hex(expected);
    throw new SoftgradError(
      'ERR_VALUE',
      `${name}: ${quote(member)} is damaged: its CRC-32 is ${hex(found)}, expected ${wanted}`,
    );
  }
  return unpacked;
}

/** The CRC-32 in pieces, which are the second half of the work. */
function checksum(bytes: Uint8Array, onShare: OnShare | undefined): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += pieceLength) {
    onShare?.(0.5 + 0.5 * (at / bytes.length));
    sum = crc32(bytes.subarray(at, at + pieceLength), sum);
  }
  return sum;
}

const pieceLength = 2 ** 16;

function hex(checksum: number): string {
  return checksum.toString(16).padStart(8, '0');
}

/**
 * An uncompressed archive of .npy files as np.savez writes it; the same arrays give the same bytes.
 *
 * @param files the bytes of a .npy file by the name of its array
 * @example
 * const x = new Uint8Array([...npyHeader('<f4', [2]), ...npyElements(Float32Array.of(1, 2), '<f4')]);
 * const archive = npzBytes({ x }); // np.load(…)['x'] is array([1., 2.], dtype=float32)
 */
export function npzBytes(files: Readonly<Record<string, Uint8Array>>): OwnBytes {
  const entries = Object.entries(files).map(([name, bytes]) => [`${name}.npy`, bytes]);
  return zipSync(Object.fromEntries(entries), { level: 0, mtime: new Date(1980, 0, 1) });
}
