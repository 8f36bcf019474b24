import { strFromU8 } from 'fflate';

/**
 * The CRC-32 that a ZIP archive's central directory states for each member, by name; of two members with one name the last one, as in
 * unpacking. For archives that have already been unpacked: reading stops at the first invalid entry.
 */
export function zipChecksums(bytes: Uint8Array): ReadonlyMap<string, number> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const checksums = new Map<string, number>();
  let at = directoryStart(view);
  while (isDirectory(view, at)) {
    const isUtf8 = (view.getUint16(at + 8, true) & 0x800) !== 0;
    const nameLength = view.getUint16(at + 28, true);
    const name = strFromU8(bytes.subarray(at + 46, at + 46 + nameLength), !isUtf8);
    checksums.set(name, view.getUint32(at + 16, true));
    at += 46 + nameLength + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return checksums;
}

/**
 * Why the central directory is not where the archive's end says, which unpacking would take for an archive of other members or of none; null if it
 * is there, and for bytes that are no archive.
 */
export function misplacedDirectory(bytes: Uint8Array): string | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = endOf(view);
  if (end < 0) return null;
  const stated = directoryStart(view);
  if (isDirectory(view, stated)) return null;
  // Without ZIP64's records, the directory is followed by the archive's end.
  const found = Math.max(0, end - view.getUint32(end + 12, true));
  // It is damaged, or has no members.
  if (found === stated) return null;
  if (!isDirectory(view, found)) return 'its directory is not where its end says';
  const count = Math.abs(found - stated);
  const length = count === 1 ? '1 byte' : `${count} bytes`;
  return found > stated ? `${length} too many before its directory` : `${length} missing before its directory`;
}

function isDirectory(view: DataView, at: number): boolean {
  return at + 46 <= view.byteLength && view.getUint32(at, true) === 0x02014b50;
}

/** The offset of the central directory, as stated by the record at the archive's end (APPNOTE.TXT, 4.3.14 to 4.3.16). */
function directoryStart(view: DataView): number {
  const end = endOf(view);
  if (end < 0) return view.byteLength;
  const start = view.getUint32(end + 16, true);
  const locator = end - 20;
  if (start !== 0xffffffff || locator < 0 || view.getUint32(locator, true) !== 0x07064b50) return start;
  const record = Number(view.getBigUint64(locator + 8, true));
  return record + 56 <= view.byteLength ? Number(view.getBigUint64(record + 48, true)) : view.byteLength;
}

/** The offset of the end of central directory record, which a comment of up to 65,535 bytes may follow; −1 without such a record. */
function endOf(view: DataView): number {
  const last = view.byteLength - 22;
  for (let end = last; end >= Math.max(0, last - 65_535); end--)
    if (view.getUint32(end, true) === 0x06054b50) return end;
  return -1;
}
