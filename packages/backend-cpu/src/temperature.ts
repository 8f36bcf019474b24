/**
 * Temperatures beyond 2^±64, which kernels decline: core then multiplies logits and T by a power of 2, or divides derivatives in several steps, so that
 * only it has to know the ends of the range.
 */
export function isFar(temperature: number): boolean {
  const size = Math.abs(temperature);
  return size < 2 ** -64 || size > 2 ** 64;
}
