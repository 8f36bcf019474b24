import type { BinaryOp, Extent, Operand, Rows, UnaryOp } from '@softgrad/core';
import { type Engine, launch } from '../engine.js';
import { bitsOfFloat32 } from '../float16.js';
import type { WebgpuBuffer } from '../storage.js';
import { numerics } from './numerics.js';
import { type Binding, bytesOf, type Parameters, program, workgroupSize } from './program.js';

const unaryCode: Record<UnaryOp, string> = {
  neg: 'return a ^ 0x80000000u;',
  exp: 'return exp_bits(a);',
  log: 'return log_of(a);',
};

const arithmetic = (operator: string) => `return bitcast<u32>(bitcast<f32>(a) ${operator} bitcast<f32>(b));`;
// NaN propagates; otherwise floats are ordered like their bits, once the bits of negative numbers are flipped.
const extremum = (comparison: string) => /* wgsl */ `
  if (is_nan(a)) { return a; }
  if (is_nan(b)) { return b; }
  let x = select(a | 0x80000000u, ~a, (a & 0x80000000u) != 0u);
  let y = select(b | 0x80000000u, ~b, (b & 0x80000000u) != 0u);
  return select(b, a, x ${comparison} y);`;

const binaryCode: Record<BinaryOp, string> = {
  add: arithmetic('+'),
  sub: arithmetic('-'),
  mul: arithmetic('*'),
  div: arithmetic('/'),
  max: extremum('>'),
  min: extremum('<'),
};

export function unary(engine: Engine, out: WebgpuBuffer, op: UnaryOp, x: WebgpuBuffer, length: number) {
  elementwise(engine, 'basis.unary', op, unaryCode[op], out, [flat(x, length)], [1, 1, length]);
}

export function binary(
  engine: Engine,
  out: WebgpuBuffer,
  op: BinaryOp,
  a: Operand<WebgpuBuffer>,
  b: Operand<WebgpuBuffer>,
  extent: Extent,
) {
  elementwise(engine, 'basis.binary', op, binaryCode[op], out, [a, b], extent);
}

export function select(
  engine: Engine,
  out: WebgpuBuffer,
  condition: Operand<WebgpuBuffer>,
  a: Operand<WebgpuBuffer>,
  b: Operand<WebgpuBuffer>,
  extent: Extent,
) {
  // Of floats, those above 0 choose a; a byte of a mask is below the bits of infinity.
  const code = 'return select(b, a, c != 0u && c <= INFINITY);';
  elementwise(engine, 'basis.select', '', code, out, [a, b, condition], extent);
}

/** `1 / (1 + exp(−x))`, computed from exp(−|x|), which never overflows. */
export function sigmoid(engine: Engine, out: WebgpuBuffer, x: WebgpuBuffer, length: number) {
  const code = /* wgsl */ `
  if (is_nan(a)) { return a; }
  let e = bitcast<f32>(exp_bits(a | 0x80000000u));
  return bitcast<u32>(select(1.0, e, (a & 0x80000000u) != 0u) / (1.0 + e));`;
  elementwise(engine, 'sigmoid', '', code, out, [flat(x, length)], [1, 1, length]);
}

/** `g ⊙ y ⊙ (1 − y)`. */
export function sigmoidVjp(engine: Engine, out: WebgpuBuffer, y: WebgpuBuffer, g: WebgpuBuffer, length: number) {
  const code = /* wgsl */ `
  if (is_nan(a) || is_nan(b)) { return NAN; }
  let y = bitcast<f32>(a);
  return bitcast<u32>(bitcast<f32>(b) * (y * (1.0 - y)));`;
  elementwise(engine, 'sigmoidVjp', '', code, out, [flat(y, length), flat(g, length)], [1, 1, length]);
}

/** `max(x, 0)`; NaN stays NaN. */
export function relu(engine: Engine, out: WebgpuBuffer, x: WebgpuBuffer, length: number) {
  const code = /* wgsl */ `return select(a, 0u, (a & 0x80000000u) != 0u && !is_nan(a));`;
  elementwise(engine, 'relu', '', code, out, [flat(x, length)], [1, 1, length]);
}

/** `y > 0 ? g : 0`. */
export function reluVjp(engine: Engine, out: WebgpuBuffer, y: WebgpuBuffer, g: WebgpuBuffer, length: number) {
  const code = /* wgsl */ `return select(0u, b, a != 0u && a <= INFINITY);`;
  elementwise(engine, 'reluVjp', '', code, out, [flat(y, length), flat(g, length)], [1, 1, length]);
}

/** `out[o,i,c] = x[o,c,i]`: a copy of x with its last two dimensions swapped. */
export function transpose(engine: Engine, out: WebgpuBuffer, x: WebgpuBuffer, { outer, classes, inner }: Rows) {
  const strides = [classes * inner, 1, inner] as const;
  run(engine, 'basis.transpose', '', 'return a;', out, [{ buffer: x, strides }], [outer, inner, classes]);
}

function flat(buffer: WebgpuBuffer, length: number): Operand<WebgpuBuffer> {
  return { buffer, extent: [1, 1, length] };
}

/** A buffer with its strides along the three dimensions (null: contiguous like the result), or a constant. */
type Strided = number | { readonly buffer: WebgpuBuffer; readonly strides: Extent | null };

/** Applies `code` to the elements of the broadcast operands. If all operands have the extent of the result, four elements are loaded at a time. */
function elementwise(
  engine: Engine,
  name: string,
  variant: string,
  code: string,
  out: WebgpuBuffer,
  operands: readonly Operand<WebgpuBuffer>[],
  extent: Extent,
) {
  const alike = operands.every(
    (operand) => typeof operand === 'number' || operand.extent.every((d, k) => d === extent[k]),
  );
  const strided = operands.map((operand): Strided => {
    if (typeof operand === 'number') return operand;
    const [outer, classes, inner] = operand.extent;
    const strides = [outer === 1 ? 0 : classes * inner, classes === 1 ? 0 : inner, inner === 1 ? 0 : 1] as const;
    return { buffer: operand.buffer, strides: alike ? null : strides };
  });
  run(engine, name, variant, code, out, strided, extent);
}

function run(
  engine: Engine,
  name: string,
  variant: string,
  code: string,
  out: WebgpuBuffer,
  operands: readonly Strided[],
  [outer, classes, inner]: Extent,
) {
  const length = outer * classes * inner;
  const wide = operands.every((operand) => typeof operand === 'number' || operand.strides === null);
  const width = wide ? 4 : 1;
  const units = Math.ceil(length / width);
  const parameters: Record<string, 'u32'> = { units: 'u32', classes: 'u32', inner: 'u32' };
  const values: Record<string, number> = { units, classes, inner };
  const bindings: Binding[] = [];
  const buffers: WebgpuBuffer[] = [];
  operands.forEach((operand, k) => {
    const operandName = nameOf(k);
    if (typeof operand === 'number') {
      parameters[`${operandName}_bits`] = 'u32';
      values[`${operandName}_bits`] = bitsOfFloat32(operand);
      return;
    }
    bindings.push({ name: operandName, dtype: operand.buffer.dtype, width, access: 'r' });
    buffers.push(operand.buffer);
    operand.strides?.forEach((stride, dimension) => {
      parameters[`${operandName}_${dimension}`] = 'u32';
      values[`${operandName}_${dimension}`] = stride;
    });
  });
  bindings.push({ name: 'out', dtype: out.dtype, width, access: 'w' });
  const shape = operands.map((operand) => (typeof operand === 'number' ? 'constant' : operand.buffer.dtype)).join(',');
  const read = operands.map((operand) => (typeof operand === 'number' ? 0 : bytesOf(length, operand.buffer.dtype)));
  launch(engine, name, [
    {
      key: [name, variant, shape, out.dtype, width].join(' '),
      program: () => elementwiseProgram(name, code, parameters, bindings, operands, width),
      parameters,
      values,
      buffers: [...buffers, out],
      workgroups: Math.ceil(units / workgroupSize),
      bytesRead: read.reduce((a, b) => a + b, 0),
      bytesWritten: bytesOf(length, out.dtype),
    },
  ]);
}

/** The name of an operand in WGSL. */
function nameOf(operand: number): string {
  return 'abc'.charAt(operand);
}

function elementwiseProgram(
  name: string,
  code: string,
  parameters: Parameters,
  bindings: readonly Binding[],
  operands: readonly Strided[],
  width: number,
) {
  const names = operands.map((_, k) => nameOf(k));
  const loads = operands.map((operand, k) => {
    const operandName = nameOf(k);
    if (typeof operand === 'number') {
      const bits = `P.${operandName}_bits`;
      return `let ${operandName}_unit = ${width === 4 ? `vec4<u32>(${bits})` : bits};`;
    }
    const at = operand.strides
      ? /* wgsl */ `o * P.${operandName}_0 + k * P.${operandName}_1 + i * P.${operandName}_2`
      : 'u';
    return `let ${operandName}_unit = load_${operandName}(${at});`;
  });
  const value = (component: string) =>
    `value(${names.map((operandName) => `${operandName}_unit${component}`).join(', ')})`;
  const store =
    width === 4
      ? /* wgsl */ `var values: vec4<u32>;
  for (var v = 0u; v < 4u; v++) { values[v] = ${value('[v]')}; }
  store_out(u, values);`
      : `store_out(u, ${value('')});`;
  const body = /* wgsl */ `
${numerics}
fn value(${names.map((operandName) => `${operandName}: u32`).join(', ')}) -> u32 {
  ${code}
}
@compute @workgroup_size(${workgroupSize})
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let u = (group.x + group.y * groups.x) * ${workgroupSize}u + local;
  if (u >= P.units) { return; }
  let i = u % P.inner;
  let k = (u / P.inner) % P.classes;
  let o = u / P.inner / P.classes;
  ${loads.join('\n  ')}
  ${store}
}`;
  return program(name, parameters, bindings, [], body);
}
