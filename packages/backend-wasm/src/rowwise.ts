import type { Rows } from '@softgrad/core';
import type { WasmBuffer } from './buffer.js';
import { kernelName, type Runner } from './run.js';

/** Bytes of a vector, which holds one class of a group of rows in lanes. */
const vector = 16;

/** Groups of rows in lanes (src/kernels/lanes.h): four rows of float32, two of float64. */
function groups({ outer, inner }: Rows, buffer: WasmBuffer): number {
  const lanes = buffer.dtype === 'float64' ? 2 : 4;
  return inner === 1 ? Math.ceil(outer / lanes) : outer * Math.ceil(inner / lanes);
}

/** Classes up to which contiguous rows go in blocks: MOST_CLASSES of src/kernels/blocks.h. */
const mostClassesInBlocks = 256;

/** Classes from which vjp, and sums in float32, read rows in place, without scratch: no less than ROWS_FROM of src/kernels/single-rows.h. */
const rowsFrom = 48;

/** Groups of rows in a block, of 4 KiB of logits: block_groups of src/kernels/blocks.h. Threads take whole blocks, so that results have the same bits for any number of threads. */
function groupsPerBlock({ classes, inner }: Rows): number {
  return inner === 1 && classes <= mostClassesInBlocks ? Math.floor(mostClassesInBlocks / classes) : 1;
}

/** Runs a kernel that reduces over rows: `(begin, end, outer, classes, inner, ...operands, scratch, ...rest)`. */
export function runRows(
  runner: Runner,
  name: string,
  out: WasmBuffer,
  rows: Rows,
  operands: readonly number[],
  scratchVectors: number,
  rest: readonly number[],
  before?: () => void,
): void {
  const { outer, classes, inner } = rows;
  const args = [outer, classes, inner];
  for (let k = 0; k < operands.length; k++) args.push(operands[k] as number);
  args.push(0);
  for (let k = 0; k < rest.length; k++) args.push(rest[k] as number);
  runner.run(kernelName(name, out), {
    before,
    units: groups(rows, out),
    work: outer * classes * inner * operands.length,
    args,
    scratch: { argument: 3 + operands.length, bytes: scratchVectors * classes * vector },
    alignment: groupsPerBlock(rows),
  });
}

/** Whether the permanent scratch memory is enough for vjp, and for softmax of rows too long for blocks. */
export function goesByRows({ classes, inner }: Rows, temperature: number): boolean {
  return inner === 1 && temperature === 1 && classes >= rowsFrom;
}

/** Whether reduce_sum of src/kernels/basis.c reads rows in place, without scratch. The losses of a batch are one long row. */
export function sumsInPlace({ outer, classes, inner }: Rows, { dtype }: WasmBuffer): boolean {
  return inner === 1 && (dtype === 'float64' ? outer === 1 : classes >= rowsFrom);
}

/** Runs a kernel that writes a classes × classes matrix for each row. */
export function runMatrices(
  runner: Runner,
  name: string,
  out: WasmBuffer,
  x: WasmBuffer,
  rows: Rows,
  temperature: number,
): void {
  const { outer, classes, inner } = rows;
  runner.run(kernelName(name, out), {
    units: outer * inner,
    work: outer * inner * classes * classes,
    args: [outer, classes, inner, out.address, x.address, 0, temperature],
    scratch: { argument: 5, bytes: (classes + 8) * vector },
  });
}

/** Runs a kernel over elements. */
export function runElements(
  runner: Runner,
  name: string,
  out: WasmBuffer,
  operands: readonly WasmBuffer[],
  length: number,
): void {
  runner.run(kernelName(name, out), {
    units: length,
    work: length * (operands.length + 1),
    args: [out.address, ...operands.map(({ address }) => address)],
    alignment: 16,
  });
}

/** `out = mask ? x : value` over elements, the mask repeated after `period` of them; out may be x, which is given by its address. */
export function runMaskFill(
  runner: Runner,
  out: WasmBuffer,
  x: number,
  length: number,
  mask: WasmBuffer,
  period: number,
  value: number,
): void {
  runner.run(kernelName('mask_fill', out), {
    units: length,
    work: length * 2,
    args: [out.address, x, mask.address, period, value],
    alignment: 16,
  });
}
