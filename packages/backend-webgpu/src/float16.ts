const single = new Float32Array(1);
const singleBits = new Uint32Array(single.buffer);

/** float32 values as IEEE 754 half precision, rounded to nearest, ties to even. */
export function toFloat16(values: ArrayLike<number>): Uint16Array<ArrayBuffer> {
  const out = new Uint16Array(values.length);
  for (let i = 0; i < out.length; i++) {
    single[0] = values[i];
    const bits = singleBits[0];
    const sign = (bits >>> 16) & 0x8000;
    const magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000) out[i] = sign | 0x7e00;
    // At or above the midpoint between the largest half, 65504, and 65536.
    else if (magnitude >= 0x477ff000) out[i] = sign | 0x7c00;
    // Below 2^-14 halves are multiples of 2^-24; adding 0.5 rounds to such a multiple and leaves it in the low bits of the float32.
    else if (magnitude < 0x38800000) {
      single[0] = Math.abs(single[0]) + 0.5;
      out[i] = sign | (singleBits[0] - 0x3f000000);
    } else out[i] = sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
  }
  return out;
}

/** Half precision as float32, exactly. */
export function fromFloat16(halves: Uint16Array): Float32Array<ArrayBuffer> {
  const out = new Float32Array(halves.length);
  for (let i = 0; i < out.length; i++) {
    const half = halves[i];
    const sign = half & 0x8000 ? -1 : 1;
    const exponent = (half >>> 10) & 0x1f;
    const fraction = half & 0x3ff;
    if (exponent === 0x1f) out[i] = fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
    else if (exponent === 0) out[i] = sign * fraction * 2 ** -24;
    else out[i] = sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }
  return out;
}
