/** The value of a float16 given by its bits, which onnxruntime keeps in a Uint16Array. */
export function fromHalfBits(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** The Float16Array of a polyfill: a Proxy, which is not an ArrayBuffer view but can be indexed. */
export function isFloat16Like(value: unknown): value is { readonly length: number; readonly [index: number]: number } {
  return Object.prototype.toString.call(value) === '[object Float16Array]';
}
