import { altered } from './device.js';

/**
 * Emulates shader-f16 on a device without it: the bits of halves are loaded from and stored into whole words instead of `f16`s.
 * Everything else (conversions, layout, widths, arithmetic, host code) is the same as with the feature. A single half is
 * stored by two atomic operations, because another invocation may store its neighbour.
 */
export function withFloat16(device: GPUDevice): GPUDevice {
  return altered(device, {
    features: new Set([...device.features, 'shader-f16']),
    createShaderModule: ({ label = '', code }: GPUShaderModuleDescriptor) =>
      device.createShaderModule({ label, code: emulated(code) }),
  });
}

/** The exact WGSL of kernels that accesses halves, and its replacement. */
const accessors = [
  {
    elements: 'f16',
    own: 'fn load_NAME(i: u32) -> u32 { return half_to_bits(bitcast<u32>(vec2<f16>(NAME[i], 0h)) & 0xffffu); }',
    words: 'u32',
    instead: 'fn load_NAME(i: u32) -> u32 { return half_to_bits((NAME[i >> 1u] >> ((i & 1u) * 16u)) & 0xffffu); }',
  },
  {
    elements: 'vec4<f16>',
    own: 'fn load_NAME(i: u32) -> vec4<u32> { return halves_to_bits(bitcast<vec2<u32>>(NAME[i])); }',
    words: 'vec2<u32>',
    instead: 'fn load_NAME(i: u32) -> vec4<u32> { return halves_to_bits(NAME[i]); }',
  },
  {
    elements: 'f16',
    own: 'fn store_NAME(i: u32, bits: u32) { NAME[i] = bitcast<vec2<f16>>(bits_to_half(bits)).x; }',
    words: 'atomic<u32>',
    instead: `fn store_NAME(i: u32, bits: u32) {
  let shift = (i & 1u) * 16u;
  atomicAnd(&NAME[i >> 1u], ~(0xffffu << shift));
  atomicOr(&NAME[i >> 1u], bits_to_half(bits) << shift);
}`,
  },
  {
    elements: 'vec4<f16>',
    own: 'fn store_NAME(i: u32, bits: vec4<u32>) { NAME[i] = bitcast<vec4<f16>>(bits_to_halves(bits)); }',
    words: 'vec2<u32>',
    instead: 'fn store_NAME(i: u32, bits: vec4<u32>) { NAME[i] = bits_to_halves(bits); }',
  },
] as const;

function emulated(code: string): string {
  if (!code.includes('enable f16;\n')) return code;
  let words = code.replace('enable f16;\n', '');
  for (const [, name] of code.matchAll(/var<storage, \w+> (\w+): array<(?:vec4<f16>|f16)>;/g)) {
    for (const accessor of accessors) {
      const own = `> ${name}: array<${accessor.elements}>;\n${accessor.own.replaceAll('NAME', name)}\n`;
      const instead = `> ${name}: array<${accessor.words}>;\n${accessor.instead.replaceAll('NAME', name)}\n`;
      words = words.replace(own, instead);
    }
  }
  if (/\bf16\b/.test(words)) throw new Error('a kernel uses f16 in a way that is not emulated');
  return words;
}
