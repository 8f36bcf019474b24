/**
 * The value of a half-precision number (float16), from its 16 bits: IEEE 754's binary16, with subnormal numbers, infinities and NaN.
 *
 * @example
 * halfToNumber(0x3c00); // 1
 */
export function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/**
 * The 16 bits of the half-precision number (IEEE 754's binary16) nearest to `value`, ties to even. From 65520 on it is infinity; NaN is 0x7e00.
 *
 * @example
 * numberToHalf(1).toString(16); // '3c00'
 */
export function numberToHalf(value: number): number {
  if (Number.isNaN(value)) return 0x7e00;
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  if (magnitude >= 65520) return sign | 0x7c00;
  if (magnitude < 2 ** -14) return sign | roundHalfEven(magnitude * 2 ** 24);
  const exponent = Math.floor(Math.log2(magnitude));
  // A fraction that rounds up to 2 carries into the exponent, which is the correct result.
  return sign | (((exponent + 15) << 10) + roundHalfEven((magnitude / 2 ** exponent - 1) * 1024));
}

function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}

/** The value of a bfloat16 number's 16 bits: the upper half of a float32. */
export function bfloat16ToNumber(bits: number): number {
  words[0] = bits << 16;
  return floats[0] ?? 0;
}

const words = new Uint32Array(1);
const floats = new Float32Array(words.buffer);
