import type { Rows } from '@softgrad/core';
import { type Engine, type Launch, launch } from '../engine.js';
import type { Program } from '../pipelines.js';
import type { WebgpuBuffer } from '../storage.js';
import { numerics } from './numerics.js';
import { type Binding, bytesOf, type Parameters, program, type Width, workgroupSize } from './program.js';

/**
 * An operation that reduces each row to a state and then writes, from the state, the row's elements, one value, or both.
 * Its WGSL says what to do with one element; where the elements are, and who looks at them, is said here.
 *
 * - `empty() -> State`, `visit(State, Row, c, Element) -> State`, `merge(State, State) -> State`: the reduction, in one pass.
 * - `finish(Row, State) -> Result`: once a row.
 * - `emit(Result, Row, c, Element) -> u32`: the bits of an output element, from a second load of its inputs.
 * - `row_value(Result, Row) -> u32`: the bits of the row's value.
 */
export interface RowOperation {
  /** The member of `Backend` or `Kernels`. */
  readonly name: string;
  /** What tells its variants apart. */
  readonly variant: string;
  /** Inputs laid out like the logits, fields of `Element` under their names: floats as bits, masks as 0 or not. */
  readonly elements: readonly Input[];
  /** Inputs that its WGSL loads by itself: one value a class or a row. */
  readonly others: readonly Input[];
  readonly parameters: Parameters;
  readonly values: Readonly<Record<string, number>>;
  /** The fields of `State`, scalars. */
  readonly state: Readonly<Record<string, 'f32' | 'u32'>>;
  readonly code: () => string;
  readonly out: WebgpuBuffer | null;
  readonly rowOut: WebgpuBuffer | null;
  /** Blocks of the mask, which repeats over `outer`. */
  readonly maskOuter?: number;
}

export interface Input {
  readonly name: string;
  readonly buffer: WebgpuBuffer;
}

/** Classes up to which a row is one workgroup's work: then an operation is one dispatch. */
export const singleDispatchClasses = 32768;

/** Who looks at which element. */
interface Layout {
  readonly width: Width;
  /** Loads of `width` elements in a row. */
  readonly units: number;
  /** Invocations that share a row; a workgroup has 256 / lanes rows. */
  readonly lanes: number;
  /** Neighbouring invocations in one row (contiguous rows), or in neighbouring rows (inner > 1): either way they load neighbouring elements. */
  readonly order: 'row' | 'column';
  /** Units that a workgroup looks at; longer rows are shared by `parts` workgroups. */
  readonly chunk: number;
  readonly parts: number;
}

/** `whole`: both passes in one dispatch. Long rows: `partial` writes the states of their parts, `final` merges them. */
type Stage = 'whole' | 'partial' | 'final';

const scaffold: Parameters = {
  rows: 'u32',
  classes: 'u32',
  inner: 'u32',
  units: 'u32',
  chunk: 'u32',
  parts: 'u32',
  spread: 'u32',
  mask_outer: 'u32',
};

/** Enqueues an operation: one dispatch up to 32768 classes, two beyond. */
export function runRows(engine: Engine, operation: RowOperation, rows: Rows): void {
  const layout = layOut(rows);
  if (layout.parts === 1) {
    launch(engine, operation.name, [stageOf(engine, operation, rows, layout, 'whole', null)]);
    return;
  }
  engine.check();
  const words = Object.keys(operation.state).length * layout.parts * rows.outer * rows.inner;
  const partials = engine.storage.alloc(words, 'int32');
  try {
    const stages = (['partial', 'final'] as const).map((stage) =>
      stageOf(engine, operation, rows, layout, stage, partials),
    );
    launch(engine, operation.name, stages);
  } finally {
    engine.storage.free(partials);
  }
}

function layOut({ classes, inner }: Rows): Layout {
  const long = classes > singleDispatchClasses;
  if (inner === 1) {
    const width = classes % 4 === 0 ? 4 : 1;
    const units = classes / width;
    const lanes = Math.min(workgroupSize, powerOf2(Math.ceil(units / 4)));
    const chunk = long ? 16384 / width : Math.max(1, units);
    return { width, units, lanes, order: 'row', chunk, parts: Math.max(1, Math.ceil(units / chunk)) };
  }
  const lanes = classes <= 8 ? 1 : classes <= 2048 ? 8 : 32;
  const chunk = long ? 8192 : Math.max(1, classes);
  const parts = Math.max(1, Math.ceil(classes / chunk));
  return { width: 1, units: classes, lanes, order: 'column', chunk, parts };
}

function stageOf(
  engine: Engine,
  operation: RowOperation,
  rows: Rows,
  layout: Layout,
  stage: Stage,
  partials: WebgpuBuffer | null,
): Launch {
  const { name, variant, out, rowOut, elements, others, maskOuter = rows.outer } = operation;
  const { width, units, lanes, order, chunk, parts } = layout;
  const count = rows.outer * rows.inner;
  const shuffled = order === 'row' ? Math.min(engine.subgroup, lanes) : 1;
  // Where nothing is written an element, one workgroup merges all parts of a row.
  const spread = stage === 'final' && !out ? 1 : parts;
  const bound: (Binding & { readonly buffer: WebgpuBuffer })[] = [
    ...elements.map((input) => ({ ...input, dtype: input.buffer.dtype, width, access: 'r' as const })),
    ...others.map((input) => ({ ...input, dtype: input.buffer.dtype, width: 1 as const, access: 'r' as const })),
  ];
  if (partials) {
    const access = stage === 'partial' ? 'w' : 'r';
    bound.push({ name: 'partials', buffer: partials, dtype: 'words', width: 1, access });
  }
  if (stage !== 'partial') {
    if (out) bound.push({ name: 'out', buffer: out, dtype: out.dtype, width, access: 'w' });
    if (rowOut) bound.push({ name: 'row_out', buffer: rowOut, dtype: rowOut.dtype, width: 1, access: 'w' });
  }
  const dtypes = bound.map(({ dtype }) => dtype).join(',');
  const passes = stage === 'partial' ? 1 : (stage === 'whole' ? 1 : 0) + (out ? 1 : 0);
  const partialBytes = (partials?.length ?? 0) * 4 * (stage === 'final' ? spread : 1);
  const elementBytes = elements.reduce((sum, { buffer }) => sum + bytesOf(count * rows.classes, buffer.dtype), 0);
  const written = [out, rowOut].reduce((sum, buffer) => sum + (buffer ? bytesOf(buffer.length, buffer.dtype) : 0), 0);
  const perRowBytes = others.reduce((sum, { buffer }) => sum + bytesOf(buffer.length, buffer.dtype), 0);
  return {
    key: [name, variant, dtypes, width, lanes, order, stage, shuffled, out !== null, rowOut !== null].join(' '),
    program: () => rowProgram(operation, bound, layout, stage, shuffled),
    parameters: { ...scaffold, ...operation.parameters },
    values: {
      rows: count,
      classes: rows.classes,
      inner: rows.inner,
      units,
      chunk,
      parts,
      spread,
      mask_outer: maskOuter,
      ...operation.values,
    },
    buffers: bound.map(({ buffer }) => buffer),
    workgroups: Math.ceil(count / (workgroupSize / lanes)) * spread,
    bytesRead: elementBytes * passes + (passes > 0 ? perRowBytes : 0) + (stage === 'final' ? partialBytes : 0),
    bytesWritten: stage === 'partial' ? partialBytes : written,
  };
}

function rowProgram(
  operation: RowOperation,
  bound: readonly Binding[],
  { width, lanes, order }: Layout,
  stage: Stage,
  shuffled: number,
): Program {
  const { name, elements, state, out, rowOut, parameters } = operation;
  const slots = workgroupSize / lanes;
  const masked = elements.some(({ buffer }) => buffer.dtype === 'bool');
  const body = /* wgsl */ `
${numerics}
struct Row { index: u32, base: u32, mask_base: u32 }
struct Element { ${elements.map((input) => `${input.name}: u32`).join(', ')} }
struct State { ${fieldsOf(state).join(', ')} }
${operation.code()}
${acrossLanes(state, lanes, order === 'row' ? 1 : slots, shuffled)}
@compute @workgroup_size(${workgroupSize})
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let g = group.x + group.y * groups.x;
  let part = g % P.spread;
  let lane = ${order === 'row' ? `local % ${lanes}u` : `local / ${slots}u`};
  let index = (g / P.spread) * ${slots}u + ${order === 'row' ? `local / ${lanes}u` : `local % ${slots}u`};
  let inside = index < P.rows;
  let outer = index / P.inner;
  let row = Row(
    index,
    outer * P.classes * P.inner + index % P.inner,
    ${masked ? '(outer % P.mask_outer) * P.classes * P.inner + index % P.inner' : '0u'},
  );
  let first = part * P.chunk + lane;
  let last = min(P.units, (part + 1u) * P.chunk);
  var state = empty();
  if (inside) {${stage === 'final' ? mergeParts(state, lanes) : visitUnits(elements, width, lanes)}
  }
  state = across_lanes(state, local, lane);
  ${stage === 'partial' ? storePart(state) : ''}
  ${stage === 'partial' ? '' : `let result = finish(row, state);`}
  ${stage !== 'partial' && rowOut ? 'if (inside && lane == 0u && part == 0u) { store_row_out(index, row_value(result, row)); }' : ''}
  ${stage !== 'partial' && out ? emitUnits(elements, width, lanes) : ''}
}`;
  return program(name, { ...scaffold, ...parameters }, bound, shuffled > 1 ? ['subgroups'] : [], body);
}

/** The loads of one unit, and the Element of each of its classes. */
function loadUnit(elements: readonly Input[], width: Width): string {
  return elements
    .map(({ name, buffer }) => {
      const base = buffer.dtype === 'bool' ? 'row.mask_base' : 'row.base';
      const at = width === 4 ? `${base} / 4u + u` : `${base} + u * P.inner`;
      return `let ${name}_unit = load_${name}(${at});`;
    })
    .join(' ');
}

function elementsOf(elements: readonly Input[], width: Width): readonly { readonly c: string; readonly e: string }[] {
  return ['x', 'y', 'z', 'w'].slice(0, width).map((component, k) => {
    const fields = elements.map(({ name }) => (width === 4 ? `${name}_unit.${component}` : `${name}_unit`));
    return { c: width === 4 ? `u * 4u + ${k}u` : 'u', e: `Element(${fields.join(', ')})` };
  });
}

function visitUnits(elements: readonly Input[], width: Width, lanes: number): string {
  const visits = elementsOf(elements, width).map(({ c, e }) => `state = visit(state, row, ${c}, ${e});`);
  return `
    for (var u = first; u < last; u += ${lanes}u) {
      ${loadUnit(elements, width)}
      ${visits.join('\n      ')}
    }`;
}

function emitUnits(elements: readonly Input[], width: Width, lanes: number): string {
  const values = elementsOf(elements, width).map(({ c, e }) => `emit(result, row, ${c}, ${e})`);
  const stored =
    width === 4
      ? `store_out(row.base / 4u + u, vec4<u32>(${values.join(', ')}))`
      : `store_out(row.base + u * P.inner, ${values[0]})`;
  return `if (inside) {
    for (var u = first; u < last; u += ${lanes}u) {
      ${loadUnit(elements, width)}
      ${stored};
    }
  }`;
}

/** A state in memory is its fields' bits, one part of a row after the other. */
function storePart(state: RowOperation['state']): string {
  const names = Object.keys(state);
  const stores = names.map((field, k) => {
    const bits = state[field] === 'f32' ? `bitcast<u32>(state.${field})` : `state.${field}`;
    return `store_partials(at + ${k}u, ${bits});`;
  });
  return `if (inside && lane == 0u) {
    let at = (index * P.parts + part) * ${names.length}u;
    ${stores.join('\n    ')}
  }`;
}

function mergeParts(state: RowOperation['state'], lanes: number): string {
  const names = Object.keys(state);
  const loads = names.map((field, k) =>
    state[field] === 'f32' ? `bitcast<f32>(load_partials(at + ${k}u))` : `load_partials(at + ${k}u)`,
  );
  return `
    for (var p = lane; p < P.parts; p += ${lanes}u) {
      let at = (index * P.parts + p) * ${names.length}u;
      state = merge(state, State(${loads.join(', ')}));
    }`;
}

/**
 * Merges the states of a row's lanes in a butterfly, by shuffles as far as a subgroup reaches and through workgroup memory
 * beyond. The lower lane's state comes first on both sides, so that all lanes end with the same bits.
 */
function acrossLanes(state: RowOperation['state'], lanes: number, stride: number, shuffled: number): string {
  const steps: string[] = [];
  for (let reach = 1; reach < lanes; reach *= 2) {
    const fields = Object.keys(state).map((field) => `subgroupShuffleXor(s.${field}, ${reach}u)`);
    const other =
      reach < shuffled
        ? `let other = State(${fields.join(', ')});`
        : `exchange[local] = s; workgroupBarrier(); let other = exchange[local ^ ${reach * stride}u]; workgroupBarrier();`;
    steps.push(`{ ${other} if ((lane & ${reach}u) == 0u) { s = merge(s, other); } else { s = merge(other, s); } }`);
  }
  const memory = lanes > shuffled ? `var<workgroup> exchange: array<State, ${workgroupSize}>;` : '';
  return `${memory}
fn across_lanes(own: State, local: u32, lane: u32) -> State {
  var s = own;
  ${steps.join('\n  ')}
  return s;
}`;
}

function fieldsOf(fields: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(fields).map(([name, type]) => `${name}: ${type}`);
}

function powerOf2(atLeast: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(1, atLeast)));
}
