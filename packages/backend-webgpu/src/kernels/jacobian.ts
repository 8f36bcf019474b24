import type { Rows } from '@softgrad/core';
import { type Engine, launch } from '../engine.js';
import type { WebgpuBuffer } from '../storage.js';
import { numerics } from './numerics.js';
import { type Binding, bytesOf, type Parameters, program, type Width, workgroupSize } from './program.js';

type Jacobian = 'jacobian' | 'softmaxJacobian' | 'logSoftmaxJacobian';

/** Values that a workgroup keeps in its memory: whole rows, each loaded once, up to this many classes. */
const staged = 1024;
/** Entries that one workgroup writes of a large matrix. */
const bandEntries = 65536;

const parameters: Parameters = {
  rows: 'u32',
  classes: 'u32',
  inner: 'u32',
  slots: 'u32',
  bands: 'u32',
  band: 'u32',
  inverse_temperature: 'f32',
};

/**
 * `(diag(s) − s sᵀ) / T`, or from log-probabilities `(δ_rc − exp(y_c)) / T`, in one dispatch that only writes once it has the
 * rows: several short ones to a workgroup, several workgroups to a large matrix.
 */
export function jacobian(
  engine: Engine,
  name: Jacobian,
  out: WebgpuBuffer,
  input: WebgpuBuffer,
  { outer, classes, inner }: Rows,
  temperature = 1,
) {
  const rows = outer * inner;
  const entries = classes * classes;
  const width = classes % 4 === 0 ? 4 : 1;
  const bands = Math.ceil(entries / bandEntries);
  const slots = bands > 1 ? 1 : Math.max(1, Math.floor(staged / classes));
  const keep = classes <= staged;
  const bindings: readonly Binding[] = [
    { name: 'row_values', dtype: input.dtype, width: 1, access: 'r' },
    { name: 'out', dtype: out.dtype, width, access: 'w' },
  ];
  const loads = keep ? rows * classes * bands : (rows * entries * (width + 1)) / width;
  launch(engine, name, [
    {
      key: [name, input.dtype, width, keep].join(' '),
      program: () => jacobianProgram(name, bindings, width, keep),
      parameters,
      values: {
        rows,
        classes,
        inner,
        slots,
        bands,
        band: bands > 1 ? bandEntries / width : (slots * entries) / width,
        inverse_temperature: 1 / temperature,
      },
      buffers: [input, out],
      workgroups: Math.ceil(rows / slots) * bands,
      bytesRead: bytesOf(loads, input.dtype),
      bytesWritten: bytesOf(rows * entries, out.dtype),
    },
  ]);
}

function jacobianProgram(name: Jacobian, bindings: readonly Binding[], width: Width, keep: boolean) {
  const convert = name === 'logSoftmaxJacobian' ? 'exp_bits(bits)' : 'bits';
  const factor = name === 'logSoftmaxJacobian' ? '' : 'bitcast<f32>(value_of(slot * P.classes + r)) * ';
  const missing = name === 'logSoftmaxJacobian' ? 'false' : 'is_nan(value_of(slot * P.classes + r))';
  const store =
    width === 4
      ? `var row_entries: vec4<u32>;
    for (var k = 0u; k < 4u; k++) { row_entries[k] = entry(slot, r, c + k); }
    store_out(first * entries / 4u + u, row_entries);`
      : 'store_out(first * entries + u, entry(slot, r, c));';
  const load = /* wgsl */ `
fn load_value(first: u32, k: u32) -> u32 {
  let row = first + k / P.classes;
  let bits = load_row_values((row / P.inner) * P.classes * P.inner + row % P.inner + (k % P.classes) * P.inner);
  return ${convert};
}`;
  const body = /* wgsl */ `
${numerics}
${load}
${keep ? `var<workgroup> values: array<u32, ${staged}>;` : 'var<private> first_row: u32;'}
fn value_of(k: u32) -> u32 { return ${keep ? 'values[k]' : 'load_value(first_row, k)'}; }
fn entry(slot: u32, r: u32, c: u32) -> u32 {
  let column = value_of(slot * P.classes + c);
  if (is_nan(column) || ${missing}) { return NAN; }
  let difference = select(0.0, 1.0, r == c) - bitcast<f32>(column);
  return bitcast<u32>(${factor}difference * P.inverse_temperature);
}
@compute @workgroup_size(${workgroupSize})
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let g = group.x + group.y * groups.x;
  let first = (g / P.bands) * P.slots;
  let count = select(min(P.slots, P.rows - first), 0u, first >= P.rows);
  ${
    keep
      ? `for (var k = local; k < count * P.classes; k += ${workgroupSize}u) { values[k] = load_value(first, k); }
  workgroupBarrier();`
      : 'first_row = first;'
  }
  let entries = P.classes * P.classes;
  let start = (g % P.bands) * P.band;
  let end = min(start + P.band, count * entries / ${width}u);
  for (var u = start + local; u < end; u += ${workgroupSize}u) {
    let at = u * ${width}u;
    let slot = at / entries;
    let r = at % entries / P.classes;
    let c = at % P.classes;
    ${store}
  }
}`;
  return program(name, parameters, bindings, [], body);
}
