import type { Program } from '../pipelines.js';
import { numerics } from './numerics.js';
import { type Binding, type Parameters, program, type Width, workgroupSize } from './program.js';
import type { Input, RowOperation, State } from './row-operation.js';

/** How elements are distributed over invocations and workgroups. */
export interface Layout {
  readonly width: Width;
  /** Number of loads of `width` elements per row. */
  readonly units: number;
  /** Invocations that share a row; a workgroup has 256 / lanes rows. */
  readonly lanes: number;
  /** Neighbouring invocations process the same row (contiguous rows) or neighbouring rows (inner > 1): in both cases they load neighbouring elements. */
  readonly order: 'row' | 'column';
  /** Whether an invocation sums its elements in blocks, because it has so many that rounding errors would accumulate. */
  readonly blocked: boolean;
  /** Units per workgroup; longer rows are split among `parts` workgroups. */
  readonly chunk: number;
  readonly parts: number;
}

/** Elements of a block. */
export const blockLength = 64;

/**
 * `whole`: all passes in one dispatch. For long rows, `partial` writes the states of their parts and `final` merges them; `again`, between the two if
 * there is a second reduction, merges them and writes the states of that.
 */
export type Stage = 'whole' | 'partial' | 'again' | 'final';

/** A reduction: the fields of its state, and what the names of its type, its variable, its functions and its buffer of partial states end with. */
interface Reduction {
  readonly state: State;
  readonly suffix: '' | '_again';
}

/** The parameters of every row operation: the layout of the rows and their distribution. */
export const scaffold: Parameters = {
  rows: 'u32',
  classes: 'u32',
  inner: 'u32',
  units: 'u32',
  chunk: 'u32',
  parts: 'u32',
  spread: 'u32',
  mask_outer: 'u32',
};

/** The WGSL of one stage of an operation. */
export function rowProgram(
  operation: RowOperation,
  bound: readonly Binding[],
  { width, lanes, order, blocked }: Layout,
  stage: Stage,
  shuffled: number,
): Program {
  const { name, elements, perRow = [], state, again, out, rowOut, parameters } = operation;
  const slots = workgroupSize / lanes;
  const stride = order === 'row' ? 1 : slots;
  const isLast = stage === 'whole' || stage === 'final';
  const first: Reduction = { state, suffix: '' };
  const second: Reduction | null = again && stage !== 'partial' ? { state: again, suffix: '_again' } : null;
  const reduce = (reduction: Reduction, merging: boolean) => /* wgsl */ `
  var state${reduction.suffix} = empty${reduction.suffix}();
  if (inside) {${merging ? mergeParts(reduction, lanes) : visitUnits(reduction, elements, width, lanes, blocked)}
  }
  state${reduction.suffix} = across_lanes${reduction.suffix}(state${reduction.suffix}, local, lane);`;
  const masked = elements.some(({ buffer }) => buffer.dtype === 'bool');
  const body = /* wgsl */ `
${numerics}
struct Row { index: u32, base: u32, mask_base: u32${perRow.map((input) => `, ${input.name}: ${typeOfRowInput(input)}`).join('')} }
struct Element { ${elements.map((input) => `${input.name}: u32`).join(', ')} }
struct State { ${fieldsOf(state).join(', ')} }
${again ? `struct State_again { ${fieldsOf(again).join(', ')} }` : ''}
${elements.map((input) => loadAt(input, width)).join('\n')}
${operation.code()}
${acrossLanes(first, lanes, stride, shuffled)}
${second ? acrossLanes(second, lanes, stride, shuffled) : ''}
${perRow.map((input) => `var<workgroup> ${input.name}_of: array<${typeOfRowInput(input)}, ${slots}>;`).join('\n')}
@compute @workgroup_size(${workgroupSize})
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let g = group.x + group.y * groups.x;
  let row_group = g / P.spread;
  let part = g - row_group * P.spread;
  let lane = ${order === 'row' ? /* wgsl */ `local % ${lanes}u` : /* wgsl */ `local / ${slots}u`};
  let slot = ${order === 'row' ? /* wgsl */ `local / ${lanes}u` : /* wgsl */ `local % ${slots}u`};
  let index = row_group * ${slots}u + slot;
  let inside = index < P.rows;
  ${loadPerRow(perRow)}
  let outer = index / P.inner;
  let within = index - outer * P.inner;
  let row = Row(
    index,
    outer * P.classes * P.inner + within,
    ${masked ? /* wgsl */ `(outer % P.mask_outer) * P.classes * P.inner + within` : '0u'},${perRow.map((input) => ` ${input.name}_of[slot],`).join('')}
  );
  let first = part * P.chunk + lane;
  let last = min(P.units, (part + 1u) * P.chunk);
  ${reduce(first, stage === 'final' || stage === 'again')}
  ${stage === 'partial' ? storePart(first) : /* wgsl */ `var result = finish(row, state);`}
  ${second ? reduce(second, stage === 'final') : ''}
  ${second && isLast ? /* wgsl */ `result = finish_again(result, state_again);` : ''}
  ${second && !isLast ? storePart(second) : ''}
  ${isLast && rowOut ? /* wgsl */ `if (inside && lane == 0u && part == 0u) { store_row_out(index, row_value(result, row)); }` : ''}
  ${isLast && out ? emitUnits(elements, width, lanes) : ''}
}`;
  return program(name, { ...scaffold, ...parameters }, bound, shuffled > 1 ? ['subgroups'] : [], body);
}

/** One lane loads the per-row inputs for all lanes of its row. */
function loadPerRow(inputs: readonly Input[]): string {
  if (inputs.length === 0) return '';
  const loads = inputs.map(({ name }) => `${name}_of[slot] = load_${name}(index);`);
  return /* wgsl */ `if (inside && lane == 0u) { ${loads.join(' ')} }
  workgroupBarrier();`;
}

function typeOfRowInput({ buffer }: Input): 'i32' | 'u32' {
  return buffer.dtype === 'int32' ? 'i32' : 'u32';
}

/** A function that loads an input at one class of a row. */
function loadAt(input: Input, width: Width): string {
  const { name } = input;
  const load = width === 4 ? /* wgsl */ `${loadOf(input, width, 'c / 4u')}[c % 4u]` : loadOf(input, width, 'c');
  return /* wgsl */ `fn ${name}_at(row: Row, c: u32) -> u32 { return ${load}; }`;
}

/** Loads one unit of each input. */
function loadUnit(elements: readonly Input[], width: Width): string {
  return elements.map((input) => `let ${input.name}_unit = ${loadOf(input, width, 'u')};`).join(' ');
}

function loadOf({ name, buffer }: Input, width: Width, unit: string): string {
  const base = buffer.dtype === 'bool' ? 'row.mask_base' : 'row.base';
  const at = width === 4 ? /* wgsl */ `${base} / 4u + ${unit}` : /* wgsl */ `${base} + ${unit} * P.inner`;
  return `load_${name}(${at})`;
}

/** The Element of class k of the unit. Loops over k are left to the compiler to unroll, because unrolled source takes seconds to compile. */
function elementOf(elements: readonly Input[], width: Width): string {
  return `Element(${elements.map(({ name }) => (width === 4 ? `${name}_unit[k]` : `${name}_unit`)).join(', ')})`;
}

function visitUnits(
  { suffix }: Reduction,
  elements: readonly Input[],
  width: Width,
  lanes: number,
  blocked: boolean,
): string {
  const element = elementOf(elements, width);
  const known = suffix === '' ? 'row' : 'result';
  const visits = (into: string) =>
    width === 4
      ? /* wgsl */ `for (var k = 0u; k < 4u; k++) { ${into} = visit${suffix}(${into}, ${known}, u * 4u + k, ${element}); }`
      : `${into} = visit${suffix}(${into}, ${known}, u, ${element});`;
  if (!blocked) {
    return /* wgsl */ `
    for (var u = first; u < last; u += ${lanes}u) {
      ${loadUnit(elements, width)}
      ${visits(`state${suffix}`)}
    }`;
  }
  return /* wgsl */ `
    for (var start = first; start < last; start += ${lanes * blockLength}u) {
      var block = empty${suffix}();
      for (var u = start; u < min(last, start + ${lanes * blockLength}u); u += ${lanes}u) {
        ${loadUnit(elements, width)}
        ${visits('block')}
      }
      state${suffix} = merge${suffix}(state${suffix}, block);
    }`;
}

function emitUnits(elements: readonly Input[], width: Width, lanes: number): string {
  const element = elementOf(elements, width);
  const stores =
    width === 4
      ? /* wgsl */ `var values: vec4<u32>;
      for (var k = 0u; k < 4u; k++) { values[k] = emit(result, row, u * 4u + k, ${element}); }
      store_out(row.base / 4u + u, values);`
      : /* wgsl */ `store_out(row.base + u * P.inner, emit(result, row, u, ${element}));`;
  return /* wgsl */ `if (inside) {
    for (var u = first; u < last; u += ${lanes}u) {
      ${loadUnit(elements, width)}
      ${stores}
    }
  }`;
}

/** Stores the bits of a state's fields; the parts of a row are consecutive in memory. */
function storePart({ state, suffix }: Reduction): string {
  const names = Object.keys(state);
  const stores = names.map((field, k) => {
    const bits = state[field] === 'f32' ? `bitcast<u32>(state${suffix}.${field})` : `state${suffix}.${field}`;
    return /* wgsl */ `store_partials${suffix}(at + ${k}u, ${bits});`;
  });
  return /* wgsl */ `if (inside && lane == 0u) {
    let at = (index * P.parts + part) * ${names.length}u;
    ${stores.join('\n    ')}
  }`;
}

function mergeParts({ state, suffix }: Reduction, lanes: number): string {
  const names = Object.keys(state);
  const loads = names.map((field, k) => {
    const bits = /* wgsl */ `load_partials${suffix}(at + ${k}u)`;
    return state[field] === 'f32' ? `bitcast<f32>(${bits})` : bits;
  });
  return /* wgsl */ `
    for (var p = lane; p < P.parts; p += ${lanes}u) {
      let at = (index * P.parts + p) * ${names.length}u;
      state${suffix} = merge${suffix}(state${suffix}, State${suffix}(${loads.join(', ')}));
    }`;
}

/**
 * Merges the states of a row's lanes by a butterfly reduction: by shuffles within a subgroup, then through workgroup memory.
 * Both lanes of a pair merge the lower lane's state first, so that all lanes end with the same bits; after the shuffles one of each
 * subgroup stores them for all, because drivers clear this memory at the start, some by code for every word of it.
 */
function acrossLanes({ state, suffix }: Reduction, lanes: number, stride: number, shuffled: number): string {
  const shuffle = Object.keys(state).map((field) => `subgroupShuffleXor(s.${field}, reach)`);
  const byShuffle = /* wgsl */ `other = State${suffix}(${shuffle.join(', ')});`;
  const throughMemory = /* wgsl */ `if (local % ${shuffled}u == 0u) { exchange${suffix}[local / ${shuffled}u] = s; }
    workgroupBarrier();
    other = exchange${suffix}[(local ^ (reach * ${stride}u)) / ${shuffled}u];
    workgroupBarrier();`;
  const either = /* wgsl */ `if (reach < ${shuffled}u) { ${byShuffle} } else { ${throughMemory} }`;
  const hasMemory = lanes > shuffled;
  // One loop with one call of merge, because compilers inline each.
  const loop = /* wgsl */ `
  for (var k = 0u; k < ${Math.log2(lanes)}u; k++) {
    let reach = 1u << k;
    var other: State${suffix};
    ${shuffled === 1 ? throughMemory : hasMemory ? either : byShuffle}
    if ((lane & reach) != 0u) { let upper = s; s = other; other = upper; }
    s = merge${suffix}(s, other);
  }`;
  return `${hasMemory ? `var<workgroup> exchange${suffix}: array<State${suffix}, ${workgroupSize / shuffled}>;` : ''}
fn across_lanes${suffix}(own: State${suffix}, local: u32, lane: u32) -> State${suffix} {
  var s = own;${lanes > 1 ? loop : ''}
  return s;
}`;
}

function fieldsOf(fields: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(fields).map(([name, type]) => `${name}: ${type}`);
}
