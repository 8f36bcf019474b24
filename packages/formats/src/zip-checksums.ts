import { strFromU8 } from 'fflate';

/**
 * The CRC-32 that a ZIP archive's central directory states for each member, by name; of two members with one name the last one, as in
 * unpacking. For archives that have already been unpacked: reading stops at the first invalid entry.
 */
export function zipChecksums(bytes: Uint8Array): ReadonlyMap<string, number> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const checksums = new Map<string, number>();
  let at = directoryStart(view);
  while (at + 46 <= bytes.length && view.getUint32(at, true) === 0x02014b50) {
    const isUtf8 = (view.getUint16(at + 8, true) & 0x800) !== 0;
    const nameLength = view.getUint16(at + 28, true);
    const name = strFromU8(bytes.subarray(at + 46, at + 46 + nameLength), !isUtf8);
    checksums.set(name, view.getUint32(at + 16, true));
    at += 46 + nameLength + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return checksums;
}

/** The offset of the central directory, as stated by the record at the archive's end (APPNOTE.TXT, 4.3.14 to 4.3.16). */
function directoryStart(view: DataView): number {
  let end = view.byteLength - 22;
  while (end >= 0 && view.getUint32(end, true) !== 0x06054b50) end--;
  if (end < 0) return view.byteLength;
  const start = view.getUint32(end + 16, true);
  const locator = end - 20;
  if (start !== 0xffffffff || locator < 0 || view.getUint32(locator, true) !== 0x07064b50) return start;
  const record = Number(view.getBigUint64(locator + 8, true));
  return record + 56 <= view.byteLength ? Number(view.getBigUint64(record + 48, true)) : view.byteLength;
}
