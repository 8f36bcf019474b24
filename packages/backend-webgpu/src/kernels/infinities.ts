/**
 * Sums with terms that are not finite, by their bits, because WGSL lets a compiler assume that arithmetic meets none. A state keeps which of NaN, Infinity and
 * −Infinity are among the terms, which count as 0 in its finite sum.
 *
 * - `met(bits)`: that of one term; 0 if it is finite. Those of several terms are joined by `|`; NaN is 1.
 * - `sum_of_met(met)`: the bits of the sum in IEEE 754: NaN, Infinity or −Infinity, or 0 if all terms are finite.
 */
export const infinities = /* wgsl */ `
const SIGN: u32 = 0x80000000u;
fn met(bits: u32) -> u32 {
  return select(select(select(2u, 4u, bits == MINUS_INFINITY), 1u, is_nan(bits)), 0u, is_finite(bits));
}
fn sum_of_met(met: u32) -> u32 {
  let infinite = select(INFINITY, MINUS_INFINITY, met == 4u);
  return select(select(NAN, infinite, (met == 2u) | (met == 4u)), 0u, met == 0u);
}
fn finite_or_0(bits: u32) -> u32 { return select(0u, bits, is_finite(bits)); }
`;
