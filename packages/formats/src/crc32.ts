/** Table k: what a byte that is followed by k bytes of 0 adds to the checksum, so that four bytes take one step. */
const tables = Int32Array.from({ length: 4 * 256 });
for (let byte = 0; byte < 256; byte++) {
  let rest = byte;
  // The polynomial of ISO 3309, its bits reversed: the one that ZIP and PNG have.
  for (let bit = 0; bit < 8; bit++) rest = (rest >>> 1) ^ (rest & 1 ? 0xedb88320 : 0);
  tables[byte] = rest;
}
for (let k = 256; k < 1024; k++) tables[k] = (tables[k - 256] >>> 8) ^ tables[tables[k - 256] & 255];

/** The CRC-32 of the bytes so far, given that of those before: start from 0. */
export function crc32(bytes: Uint8Array, before = 0): number {
  let rest = ~before;
  let k = 0;
  for (; k < bytes.length - 3; k += 4) {
    rest ^= bytes[k] | (bytes[k + 1] << 8) | (bytes[k + 2] << 16) | (bytes[k + 3] << 24);
    rest =
      tables[768 + (rest & 255)] ^
      tables[512 + ((rest >>> 8) & 255)] ^
      tables[256 + ((rest >>> 16) & 255)] ^
      tables[rest >>> 24];
  }
  for (; k < bytes.length; k++) rest = (rest >>> 8) ^ tables[(rest ^ bytes[k]) & 255];
  return ~rest >>> 0;
}
