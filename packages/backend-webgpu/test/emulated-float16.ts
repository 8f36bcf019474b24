import { altered } from './device.js';

/**
 * A device without shader-f16 as one that has it: what kernels load from and store into buffers of halves is done by WGSL on whole
 * words, and everything else (layout, widths, arithmetic in float32, the host's conversions) is as it will be where the feature
 * exists. A single half is stored by two atomic operations, since its neighbour may be another invocation's.
 */
export function withFloat16(device: GPUDevice): GPUDevice {
  return altered(device, {
    features: new Set([...device.features, 'shader-f16']),
    createShaderModule: ({ label = '', code }: GPUShaderModuleDescriptor) =>
      device.createShaderModule({ label, code: code.includes('f16') ? emulated(code) : code }),
  });
}

const conversions = /* wgsl */ `
fn half_to_bits(half: u32) -> u32 {
  let sign = (half & 0x8000u) << 16u;
  let rest = half & 0x7fffu;
  if (rest > 0x7c00u) { return 0x7fc00000u; }
  if (rest == 0x7c00u) { return sign | 0x7f800000u; }
  if (rest >= 0x0400u) { return sign | ((rest << 13u) + 0x38000000u); }
  return sign | bitcast<u32>(f32(rest) * 5.9604644775390625e-8);
}
fn bits_to_half(bits: u32) -> u32 {
  let sign = (bits >> 16u) & 0x8000u;
  let rest = bits & 0x7fffffffu;
  if (rest > 0x7f800000u) { return 0x7e00u; }
  if (rest >= 0x477ff000u) { return sign | 0x7c00u; }
  if (rest >= 0x38800000u) { return sign | ((rest - 0x38000000u + 0xfffu + ((rest >> 13u) & 1u)) >> 13u); }
  if (rest < 0x33000000u) { return sign; }
  // Below 2^-14: the fraction with its leading bit, moved to units of 2^-24 and rounded to even.
  let fraction = (rest & 0x7fffffu) | 0x800000u;
  let shift = 126u - (rest >> 23u);
  let kept = fraction >> shift;
  let dropped = fraction & ((1u << shift) - 1u);
  let middle = 1u << (shift - 1u);
  return sign | (kept + select(0u, 1u, dropped > middle || (dropped == middle && (kept & 1u) == 1u)));
}`;

function emulated(code: string): string {
  const halves = /var<storage, (\w+)> (\w+): array<(vec4<f16>|f16)>;\nfn (load|store)_\w+\(.*$/gm;
  const body = code
    .replace('enable f16;\n', '')
    .replace(halves, (_, mode: string, name: string, type: string, what: string) => {
      const wide = type.startsWith('vec4');
      const atomic = what === 'store' && !wide;
      const declared = `var<storage, ${mode}> ${name}: array<${atomic ? 'atomic<u32>' : 'u32'}>;`;
      return `${declared}\n${accessors[`${what} ${wide ? 'four' : 'one'}`].replaceAll('NAME', name)}`;
    });
  if (/\bf16\b/.test(body)) throw new Error('a kernel uses f16 in a way that is not emulated');
  return body.replace(/^(?=struct Parameters)/m, `${conversions}\n`);
}

const accessors: Readonly<Record<string, string>> = {
  'load one': 'fn load_NAME(i: u32) -> u32 { return half_to_bits((NAME[i >> 1u] >> ((i & 1u) * 16u)) & 0xffffu); }',
  'load four': `fn load_NAME(i: u32) -> vec4<u32> {
  let low = NAME[2u * i];
  let high = NAME[2u * i + 1u];
  return vec4<u32>(half_to_bits(low & 0xffffu), half_to_bits(low >> 16u), half_to_bits(high & 0xffffu), half_to_bits(high >> 16u));
}`,
  'store one': `fn store_NAME(i: u32, bits: u32) {
  let shift = (i & 1u) * 16u;
  atomicAnd(&NAME[i >> 1u], ~(0xffffu << shift));
  atomicOr(&NAME[i >> 1u], bits_to_half(bits) << shift);
}`,
  'store four': `fn store_NAME(i: u32, bits: vec4<u32>) {
  NAME[2u * i] = bits_to_half(bits.x) | (bits_to_half(bits.y) << 16u);
  NAME[2u * i + 1u] = bits_to_half(bits.z) | (bits_to_half(bits.w) << 16u);
}`,
};
