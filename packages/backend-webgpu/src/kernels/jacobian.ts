import type { Rows } from '@softgrad/core';
import { type Engine, launch } from '../engine.js';
import type { WebgpuBuffer } from '../storage.js';
import { numerics } from './numerics.js';
import { type Binding, bytesOf, type Parameters, program, type Width, workgroupSize } from './program.js';

type Jacobian = 'jacobian' | 'logSoftmaxJacobian';

/** Up to this many classes, a workgroup keeps whole rows in workgroup memory; larger matrices are split into tiles. */
const longestWhole = 512;
/** Number of values that a workgroup keeps. */
const kept = 1024;
/** Maximum number of entries that one workgroup writes if it keeps whole rows; larger matrices are split into bands. */
const bandEntries = 65536;
/** Rows and columns of a tile: two loads for every 256 stores. */
const tileSide = 256;

const parameters: Parameters = {
  rows: 'u32',
  classes: 'u32',
  inner: 'u32',
  slots: 'u32',
  bands: 'u32',
  band: 'u32',
  tiles: 'u32',
  inverse_temperature: 'f32',
};

/**
 * `(diag(s) − s sᵀ) / T`, or from log-probabilities `(δ_rc − exp(y_c)) / T`, in one dispatch. A workgroup loads its values first and then
 * only writes. Several short rows share a workgroup; several workgroups share a large matrix.
 */
export function jacobian(
  engine: Engine,
  name: Jacobian,
  out: WebgpuBuffer,
  input: WebgpuBuffer,
  { outer, classes, inner }: Rows,
  temperature: number,
) {
  const rows = outer * inner;
  const entries = classes * classes;
  const width = classes % 4 === 0 ? 4 : 1;
  const whole = classes <= longestWhole;
  const bands = Math.ceil(entries / bandEntries);
  const slots = bands > 1 ? 1 : Math.max(1, Math.floor(kept / classes));
  const tiles = Math.ceil(classes / tileSide);
  const bindings: readonly Binding[] = [
    { name: 'row_values', dtype: input.dtype, width: 1, access: 'r' },
    { name: 'out', dtype: out.dtype, width, access: 'w' },
  ];
  launch(engine, name, [
    {
      key: [name, input.dtype, width, whole].join(' '),
      program: () => jacobianProgram(name, bindings, width, whole),
      parameters,
      values: {
        rows,
        classes,
        inner,
        slots,
        bands,
        band: bands > 1 ? bandEntries / width : (slots * entries) / width,
        tiles,
        inverse_temperature: 1 / temperature,
      },
      buffers: [input, out],
      workgroups: whole ? Math.ceil(rows / slots) * bands : rows * tiles ** 2,
      bytesRead: bytesOf(rows * classes * (whole ? bands : 2 * tiles), input.dtype),
      bytesWritten: bytesOf(rows * entries, out.dtype),
    },
  ]);
}

function jacobianProgram(name: Jacobian, bindings: readonly Binding[], width: Width, whole: boolean) {
  const ofLogarithms = name === 'logSoftmaxJacobian';
  const body = /* wgsl */ `
${numerics}
fn load_bits(row: u32, k: u32) -> u32 {
  return load_row_values((row / P.inner) * P.classes * P.inner + row % P.inner + k * P.inner);
}
fn load_value(row: u32, k: u32) -> u32 { return ${ofLogarithms ? 'exp_bits(load_bits(row, k))' : 'load_bits(row, k)'}; }
fn entry(head: u32, column: u32, diagonal: bool) -> u32 {
  if (is_nan(column)${ofLogarithms ? '' : ' || is_nan(head)'}) { return NAN; }
  let difference = select(0.0, 1.0, diagonal) - bitcast<f32>(column);
  return bitcast<u32>(${ofLogarithms ? '' : 'bitcast<f32>(head) * '}difference * P.inverse_temperature);
}
fn is_dominant(head: u32) -> bool { return !is_nan(head) && bitcast<f32>(head) > 0.5; }
${ofLogarithms ? dominantOfLogarithms : dominantOfSum(whole)}
@compute @workgroup_size(${workgroupSize})
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let g = group.x + group.y * groups.x;
  ${whole ? wholeRows(width) : tile(width)}
}`;
  const memory = whole
    ? `var<workgroup> values: array<u32, ${kept}>;`
    : `var<workgroup> heads: array<u32, ${tileSide}>;\nvar<workgroup> columns: array<u32, ${tileSide}>;`;
  return program(name, parameters, bindings, [], memory + body);
}

/** Instead of 1 − s, which would cancel for s above ½: the sum of the other probabilities. */
function dominantOfSum(whole: boolean): string {
  return /* wgsl */ `
fn dominant(row: u32, base: u32, r: u32, head: u32) -> u32 {
  var others = 0.0;
  for (var k = 0u; k < P.classes; k++) {
    let value = ${whole ? 'values[base + k]' : 'load_value(row, k)'};
    if (is_nan(value)) { return NAN; }
    if (k != r) { others += bitcast<f32>(value); }
  }
  return bitcast<u32>(bitcast<f32>(head) * others * P.inverse_temperature);
}`;
}

/** Of log-probabilities, the loaded one itself has every digit of 1 − exp(y). */
const dominantOfLogarithms = /* wgsl */ `
fn dominant(row: u32, base: u32, r: u32, head: u32) -> u32 {
  return bitcast<u32>(complement_of(load_bits(row, r)) * P.inverse_temperature);
}`;

/** A workgroup loads all values of its rows, and writes their matrices or a band of one matrix. */
function wholeRows(width: Width): string {
  return /* wgsl */ `
  let first = (g / P.bands) * P.slots;
  let count = select(min(P.slots, P.rows - first), 0u, first >= P.rows);
  for (var k = local; k < count * P.classes; k += ${workgroupSize}u) {
    values[k] = load_value(first + k / P.classes, k % P.classes);
  }
  workgroupBarrier();
  let entries = P.classes * P.classes;
  let start = (g % P.bands) * P.band;
  let end = min(start + P.band, count * entries / ${width}u);
  for (var u = start + local; u < end; u += ${workgroupSize}u) {
    let at = u * ${width}u;
    let values_at = at / entries * P.classes;
    let r = at % entries / P.classes;
    let c = at % P.classes;
    ${store(width, 'first * entries', 'u', 'values[values_at + r]', 'values[values_at + c + k]', 'first + at / entries, values_at')}
  }`;
}

/** A workgroup loads the values of a tile's rows and columns. */
function tile(width: Width): string {
  return /* wgsl */ `
  let row = g / (P.tiles * P.tiles);
  let first_r = g / P.tiles % P.tiles * ${tileSide}u;
  let first_c = g % P.tiles * ${tileSide}u;
  let inside = row < P.rows;
  let high = min(${tileSide}u, P.classes - first_r);
  let wide = min(${tileSide}u, P.classes - first_c);
  if (inside && local < high) { heads[local] = load_value(row, first_r + local); }
  if (inside && local < wide) { columns[local] = load_value(row, first_c + local); }
  workgroupBarrier();
  let end = select(0u, high * wide / ${width}u, inside);
  for (var u = local; u < end; u += ${workgroupSize}u) {
    let tile_c = u * ${width}u % wide;
    let tile_r = u * ${width}u / wide;
    let r = first_r + tile_r;
    let c = first_c + tile_c;
    ${store(width, 'row * P.classes * P.classes', `(r * P.classes + c) / ${width}u`, 'heads[tile_r]', 'columns[tile_c + k]', 'row, 0u')}
  }`;
}

/** Writes `width` entries of matrix row `r` from column `c` on; `place` is the row and the index of its first value in workgroup memory. */
function store(width: Width, base: string, unit: string, head: string, column: string, place: string): string {
  return /* wgsl */ `var row_entries: ${width === 4 ? 'vec4<u32>' : 'array<u32, 1>'};
    for (var k = 0u; k < ${width}u; k++) { 
      row_entries[k] = entry(${head}, ${column}, r == c + k);
      if (r == c + k && is_dominant(${head})) { row_entries[k] = dominant(${place}, r, ${head}); }
    }
    store_out(${base} / ${width}u + ${unit}, ${width === 4 ? 'row_entries' : 'row_entries[0]'});`;
}
