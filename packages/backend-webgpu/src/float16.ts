/** A float32, to be seen as its bits. */
const single = new DataView(new ArrayBuffer(4));

/** float32 values as IEEE 754 half precision, rounded to nearest, ties to even. */
export function toFloat16(values: ArrayLike<number>): Uint16Array<ArrayBuffer> {
  const out = new Uint16Array(values.length);
  for (let i = 0; i < out.length; i++) out[i] = half(values[i] ?? Number.NaN);
  return out;
}

function half(value: number): number {
  const bits = bitsOfFloat32(value);
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  // At or above the midpoint between the largest half, 65504, and 65536.
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  // Below 2^-14 halves are multiples of 2^-24; adding 0.5 rounds to such a multiple and leaves it in the low bits of the float32.
  if (magnitude < 0x38800000) return sign | (bitsOfFloat32(Math.abs(Math.fround(value)) + 0.5) - 0x3f000000);
  return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
}

/** The bits of the nearest float32. */
export function bitsOfFloat32(value: number): number {
  single.setFloat32(0, value);
  return single.getUint32(0);
}

/** Half precision as float32, exactly. */
export function fromFloat16(halves: Uint16Array): Float32Array<ArrayBuffer> {
  const out = new Float32Array(halves.length);
  let i = 0;
  for (const bits of halves) out[i++] = valueOfHalf(bits);
  return out;
}

function valueOfHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
