import type { Rows } from '@softgrad/core';
import { type Engine, type Launch, launch } from '../engine.js';
import type { WebgpuBuffer } from '../storage.js';
import { type Binding, bytesOf, workgroupSize } from './program.js';
import type { RowOperation } from './row-operation.js';
import { blockLength, type Layout, rowProgram, type Stage, scaffold } from './row-program.js';

/** Up to this many classes, one workgroup processes a row, and an operation is one dispatch. */
export const singleDispatchClasses = 32768;

/** Enqueues an operation: one dispatch up to 32768 classes, otherwise one for each reduction and one for the elements. */
export function runRows(engine: Engine, operation: RowOperation, rows: Rows): void {
  const layout = layOut(rows);
  if (layout.parts === 1) {
    launch(engine, operation.name, [stageOf(engine, operation, rows, layout, 'whole', [])]);
    return;
  }
  engine.check();
  const { state: first, again } = operation;
  const stages: readonly Stage[] = again ? ['partial', 'again', 'final'] : ['partial', 'final'];
  const partials: WebgpuBuffer[] = [];
  try {
    for (const state of again ? [first, again] : [first]) {
      const words = Object.keys(state).length * layout.parts * rows.outer * rows.inner;
      partials.push(engine.storage.alloc(words, 'int32'));
    }
    const launches = stages.map((stage, k) =>
      stageOf(engine, operation, rows, layout, stage, partials.slice(0, k + 1)),
    );
    launch(engine, operation.name, launches);
  } finally {
    for (const buffer of partials) engine.storage.free(buffer);
  }
}

/** Distributes rows over invocations. */
export function layOut({ outer, classes, inner }: Rows): Layout {
  const long = classes > singleDispatchClasses;
  if (inner === 1) {
    const width = classes % 4 === 0 ? 4 : 1;
    const units = classes / width;
    const lanes = Math.min(workgroupSize, powerOf4(Math.ceil(units / 4)));
    const chunk = long ? 16384 / width : Math.max(1, units);
    return { width, units, lanes, order: 'row', blocked: false, chunk, parts: Math.max(1, Math.ceil(units / chunk)) };
  }
  // As few lanes per row as accuracy of the sums allows, so that loads are coalesced over many rows; more if there are too few long rows to fill a workgroup.
  const needed = classes <= 8 ? 1 : classes <= 512 ? 4 : 16;
  const spare = classes > 4096 ? Math.floor(workgroupSize / powerOf4(outer * inner)) : 0;
  const lanes = Math.max(needed, spare);
  const chunk = long ? 8192 : Math.max(1, classes);
  const parts = Math.max(1, Math.ceil(classes / chunk));
  const blocked = Math.min(classes, chunk) > 4 * blockLength * lanes;
  return { width: 1, units: classes, lanes, order: 'column', blocked, chunk, parts };
}

function stageOf(
  engine: Engine,
  operation: RowOperation,
  rows: Rows,
  layout: Layout,
  stage: Stage,
  /** Those with the states of parts up to this stage: it writes the last, unless it is the last stage. */
  partials: readonly WebgpuBuffer[],
): Launch {
  const { name, variant, out, rowOut, elements, again, perClass = [], perRow = [], maskOuter = rows.outer } = operation;
  const { width, units, lanes, order, blocked, chunk, parts } = layout;
  const count = rows.outer * rows.inner;
  const shuffled = order === 'row' ? Math.min(engine.subgroup, lanes) : 1;
  // Without an output per element, one workgroup merges all parts of a row.
  const spread = stage === 'final' && !out ? 1 : parts;
  const isLast = stage === 'whole' || stage === 'final';
  const bound: (Binding & { readonly buffer: WebgpuBuffer })[] = [
    ...elements.map((input) => ({ ...input, dtype: input.buffer.dtype, width, access: 'r' as const })),
    ...[...perClass, ...perRow].map((input) => ({
      ...input,
      dtype: input.buffer.dtype,
      width: 1 as const,
      access: 'r' as const,
    })),
  ];
  partials.forEach((buffer, k) => {
    const access = isLast || k < partials.length - 1 ? 'r' : 'w';
    bound.push({ name: k === 0 ? 'partials' : 'partials_again', buffer, dtype: 'words', width: 1, access });
  });
  if (isLast) {
    if (out) bound.push({ name: 'out', buffer: out, dtype: out.dtype, width, access: 'w' });
    if (rowOut) bound.push({ name: 'row_out', buffer: rowOut, dtype: rowOut.dtype, width: 1, access: 'w' });
  }
  const dtypes = bound.map(({ dtype }) => dtype).join(',');
  const reductions = stage === 'final' ? 0 : stage === 'whole' && again ? 2 : 1;
  const passes = reductions + (isLast && out ? 1 : 0);
  const sizeOf = (side: 'r' | 'w') =>
    bound.reduce(
      (sum, { name, access, buffer }) => sum + (name.startsWith('partials') && access === side ? 4 * buffer.length : 0),
      0,
    );
  const elementBytes = [...elements, ...perClass].reduce(
    (sum, { buffer }) => sum + bytesOf(count * rows.classes, buffer.dtype),
    0,
  );
  const rowBytes = perRow.reduce((sum, { buffer }) => sum + bytesOf(count * spread, buffer.dtype), 0);
  const written = [out, rowOut].reduce((sum, buffer) => sum + (buffer ? bytesOf(buffer.length, buffer.dtype) : 0), 0);
  return {
    key: [name, variant, dtypes, width, lanes, order, blocked, stage, shuffled, out !== null, rowOut !== null].join(
      ' ',
    ),
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
    bytesRead: elementBytes * passes + rowBytes + sizeOf('r') * spread,
    bytesWritten: isLast ? written : sizeOf('w'),
  };
}

/** Powers of 4 rather than 2 halve the number of variants to compile. */
function powerOf4(atLeast: number): number {
  return 4 ** Math.ceil(Math.log2(Math.max(1, atLeast)) / 2);
}
