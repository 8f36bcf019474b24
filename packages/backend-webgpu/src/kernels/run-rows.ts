import type { Rows } from '@softgrad/core';
import { type Engine, type Launch, launch } from '../engine.js';
import type { WebgpuBuffer } from '../storage.js';
import { type Binding, bytesOf, workgroupSize } from './program.js';
import type { RowOperation } from './row-operation.js';
import { blockLength, type Layout, rowProgram, type Stage, scaffold } from './row-program.js';

/** Up to this many classes, one workgroup processes a row, and an operation is one dispatch. */
export const singleDispatchClasses = 32768;

/** Enqueues an operation: one dispatch up to 32768 classes, otherwise two. */
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
  partials: WebgpuBuffer | null,
): Launch {
  const { name, variant, out, rowOut, elements, perClass = [], perRow = [], maskOuter = rows.outer } = operation;
  const { width, units, lanes, order, blocked, chunk, parts } = layout;
  const count = rows.outer * rows.inner;
  const shuffled = order === 'row' ? Math.min(engine.subgroup, lanes) : 1;
  // Without an output per element, one workgroup merges all parts of a row.
  const spread = stage === 'final' && !out ? 1 : parts;
  const bound: (Binding & { readonly buffer: WebgpuBuffer })[] = [
    ...elements.map((input) => ({ ...input, dtype: input.buffer.dtype, width, access: 'r' as const })),
    ...[...perClass, ...perRow].map((input) => ({
      ...input,
      dtype: input.buffer.dtype,
      width: 1 as const,
      access: 'r' as const,
    })),
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
  const elementBytes = [...elements, ...perClass].reduce(
    (sum, { buffer }) => sum + bytesOf(count * rows.classes, buffer.dtype),
    0,
  );
  const rowBytes = perRow.length * bytesOf(count * spread, 'int32');
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
    bytesRead: elementBytes * passes + rowBytes + (stage === 'final' ? partialBytes : 0),
    bytesWritten: stage === 'partial' ? partialBytes : written,
  };
}

/** Powers of 4 rather than 2 halve the number of variants to compile. */
function powerOf4(atLeast: number): number {
  return 4 ** Math.ceil(Math.log2(Math.max(1, atLeast)) / 2);
}
