import { byteSize, type DType } from '@softgrad/core';
import type { Program } from '../pipelines.js';
import { halves } from './halves.js';

/** Elements that one invocation loads at once. */
export type Width = 1 | 4;

/** A buffer of a kernel. Its elements are accessed as u32: the bits of floats, mask bytes or raw words; class indices as i32. */
export interface Binding {
  readonly name: string;
  readonly dtype: DType | 'words';
  readonly width: Width;
  readonly access: 'r' | 'w';
}

/** The type of a kernel parameter, `P.name` in WGSL. */
export type ParameterType = 'u32' | 'i32' | 'f32';
export type Parameters = Readonly<Record<string, ParameterType>>;

/** Invocations per workgroup: the maximum that every WebGPU device supports. */
export const workgroupSize = 256;

/** The WGSL of a kernel: `enable` directives, parameters, bindings with `load_name(index)` and `store_name(index, bits)`, and its body. */
export function program(
  name: string,
  parameters: Parameters,
  bindings: readonly Binding[],
  features: readonly string[],
  body: string,
): Program {
  const half = bindings.some(({ dtype }) => dtype === 'float16');
  const enabled = [...features, ...(half ? ['f16'] : [])];
  const fields = Object.entries(parameters).map(([field, type]) => `  ${field}: ${type},`);
  const code = [
    ...enabled.map((feature) => `enable ${feature};`),
    `struct Parameters {\n${fields.join('\n')}\n}`,
    '@group(0) @binding(0) var<uniform> P: Parameters;',
    ...(half ? [halves] : []),
    ...bindings.map(declare),
    body,
  ].join('\n');
  return { name, code, access: bindings.map(({ access }) => access).join('') };
}

/** Parameters in the layout of the WGSL struct: at most 64 words, which fit into a dispatch's slot of the queue's buffer. */
export function packParameters(
  parameters: Parameters,
  values: Readonly<Record<string, number>>,
): Uint32Array<ArrayBuffer> {
  const names = Object.keys(parameters);
  const words = new Uint32Array(names.length);
  const floats = new Float32Array(words.buffer);
  names.forEach((name, i) => {
    const value = values[name];
    if (value === undefined) throw new Error(`parameter ${name} has no value`);
    if (parameters[name] === 'f32') floats[i] = value;
    else words[i] = value;
  });
  return words;
}

/** Size in bytes of `elements` elements. */
export function bytesOf(elements: number, dtype: DType): number {
  return elements * byteSize(dtype);
}

function declare({ name, dtype, width, access }: Binding, index: number): string {
  const vector = (type: string) => (width === 4 ? `vec4<${type}>` : type);
  const stored = dtype === 'float16' ? 'f16' : dtype === 'int32' ? 'i32' : 'u32';
  const elements = dtype === 'bool' ? 'u32' : vector(stored);
  const mode = access === 'w' ? 'read_write' : 'read';
  const declaration = `@group(0) @binding(${index + 1}) var<storage, ${mode}> ${name}: array<${elements}>;`;
  const u32 = vector('u32');
  const element = `${name}[i]`;
  if (access === 'w') {
    const value = dtype === 'float16' ? toHalf[width] : 'bits';
    return `${declaration}\nfn store_${name}(i: u32, bits: ${u32}) { ${element} = ${value}; }`;
  }
  if (dtype === 'float16')
    return `${declaration}\nfn load_${name}(i: u32) -> ${u32} { return ${fromHalf[width](element)}; }`;
  if (dtype !== 'bool') return `${declaration}\nfn load_${name}(i: u32) -> ${elements} { return ${element}; }`;
  // Four mask bytes per word, the first in the low bits.
  const unpack =
    width === 4
      ? /* wgsl */ `(vec4<u32>(${element}) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u)`
      : /* wgsl */ `(${name}[i >> 2u] >> ((i & 3u) * 8u)) & 255u`;
  return `${declaration}\nfn load_${name}(i: u32) -> ${u32} { return ${unpack}; }`;
}

/** Halves are loaded and stored as bits: a bitcast involves no arithmetic. */
const toHalf: Record<Width, string> = {
  1: 'bitcast<vec2<f16>>(bits_to_half(bits)).x',
  4: 'bitcast<vec4<f16>>(bits_to_halves(bits))',
};
const fromHalf: Record<Width, (element: string) => string> = {
  1: (element) => `half_to_bits(bitcast<u32>(vec2<f16>(${element}, 0h)) & 0xffffu)`,
  4: (element) => `halves_to_bits(bitcast<vec2<u32>>(${element}))`,
};
