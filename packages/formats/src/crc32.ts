/**
 * Four tables of 256 words. Table k has the contribution to the checksum of a byte that is followed by k zero bytes, so that four bytes
 * are processed in one step. A DataView, because reading one gives a number or throws.
 */
const tables = new DataView(new ArrayBuffer(4 * 1024));
for (let index = 0; index < 1024; index++) {
  const [table, byte] = [index >> 8, index & 255];
  let rest = byte;
  // The polynomial of ISO 3309 with its bits reversed, as ZIP and PNG use it.
  for (let bit = 0; bit < 8 * (table + 1); bit++) rest = (rest >>> 1) ^ (rest & 1 ? 0xedb88320 : 0);
  tables.setInt32(4 * index, rest, true);
}

/** The CRC-32 of all bytes so far, given that of the bytes before `bytes`; start from 0. */
export function crc32(bytes: Uint8Array, before = 0): number {
  let rest = ~before;
  const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = bytes.length & ~3;
  for (let k = 0; k < end; k += 4) {
    rest ^= words.getInt32(k, true);
    rest =
      tables.getInt32(3072 + ((rest << 2) & 1020), true) ^
      tables.getInt32(2048 + ((rest >>> 6) & 1020), true) ^
      tables.getInt32(1024 + ((rest >>> 14) & 1020), true) ^
      tables.getInt32((rest >>> 22) & 1020, true);
  }
  for (const byte of bytes.subarray(end)) {
    rest = (rest >>> 8) ^ tables.getInt32(((rest ^ byte) << 2) & 1020, true);
  }
  return ~rest >>> 0;
}
