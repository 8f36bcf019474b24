/**
 * Half precision to and from the bits of float32, by integer arithmetic: WGSL's built-in conversion may assume that there is no
 * infinity and no NaN, and leaves the result for values beyond the largest half unspecified. Rounds to nearest, ties to even.
 */
export const halves = /* wgsl */ `
fn half_to_bits(half: u32) -> u32 {
  let sign = (half & 0x8000u) << 16u;
  let rest = half & 0x7fffu;
  if (rest > 0x7c00u) { return 0x7fc00000u; }
  if (rest == 0x7c00u) { return sign | 0x7f800000u; }
  if (rest >= 0x0400u) { return sign | ((rest << 13u) + 0x38000000u); }
  // A multiple of 2^-24, which float32 holds as a normal number.
  return sign | bitcast<u32>(f32(rest) * 5.9604644775390625e-8);
}
fn bits_to_half(bits: u32) -> u32 {
  let sign = (bits >> 16u) & 0x8000u;
  let rest = bits & 0x7fffffffu;
  if (rest > 0x7f800000u) { return 0x7e00u; }
  if (rest >= 0x477ff000u) { return sign | 0x7c00u; }
  if (rest >= 0x38800000u) { return sign | ((rest - 0x38000000u + 0xfffu + ((rest >> 13u) & 1u)) >> 13u); }
  if (rest < 0x33000000u) { return sign; }
  // Below 2^-14: the fraction with its leading bit, in units of 2^-24.
  let fraction = (rest & 0x7fffffu) | 0x800000u;
  let shift = 126u - (rest >> 23u);
  let kept = fraction >> shift;
  let dropped = fraction & ((1u << shift) - 1u);
  let middle = 1u << (shift - 1u);
  return sign | (kept + select(0u, 1u, dropped > middle || (dropped == middle && (kept & 1u) == 1u)));
}
fn halves_to_bits(words: vec2<u32>) -> vec4<u32> {
  return vec4<u32>(
    half_to_bits(words.x & 0xffffu), half_to_bits(words.x >> 16u),
    half_to_bits(words.y & 0xffffu), half_to_bits(words.y >> 16u),
  );
}
fn bits_to_halves(bits: vec4<u32>) -> vec2<u32> {
  return vec2<u32>(
    bits_to_half(bits.x) | (bits_to_half(bits.y) << 16u),
    bits_to_half(bits.z) | (bits_to_half(bits.w) << 16u),
  );
}
`;
