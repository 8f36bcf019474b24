import { type Backend, byteSize, type FloatDType, type MaskInput, SoftgradError, type Tensor } from '@softgrad/core';
import { arrayRows, type FileArray, formatBytes, formatShape, type RowReader, sizeOf } from '@softgrad/formats';
import type { Context, Session } from './context.js';
import { openWriter, type RowWriter } from './files/write.js';
import { maskOperands, type OpenMask, openMask, toMask } from './mask.js';
import {
  checkSameShape,
  nextOfAll,
  type OneOrMore,
  type OperandFile,
  readWatched,
  resolveAxis,
  withReaders,
} from './operands.js';
import type { FileOptions, OperationOptions } from './options.js';
import { choosePrecision, fromTensor, overflowNotice, type Precision, toTensor } from './precision.js';
import { checkForProbabilities } from './probabilities.js';
import { startLateProgress } from './progress.js';
import { lineWriter, terminalWriter } from './table.js';

/** The options of the command line that core's functions take. */
export interface ComputeOptions {
  readonly axis: number;
  readonly temperature: number;
  readonly mask?: MaskInput;
}

/** An operation whose rows along the first dimension are independent, unless the first dimension is the axis. */
export interface RowwiseOperation {
  readonly name: string;
  /** The input, then the upstream and the tangent if the operation takes them. */
  readonly operands: OneOrMore<OperandFile>;
  /** Whether the result has a matrix for each row of the operands. */
  readonly matrices?: boolean;
  /** What to do about a result that does not fit in memory. */
  readonly advice?: string;
  /** The input is passed for an operand that the command line does not have. */
  compute(operands: readonly [input: Tensor, upstream: Tensor, tangent: Tensor], options: ComputeOptions): Tensor;
}

/**
 * Computes an operation in chunks of rows, so that neither input nor output has to fit into memory; all rows at once if the
 * first dimension is the axis. Elementwise operations have no axis.
 */
export async function runRowwise(
  operation: RowwiseOperation,
  options: FileOptions & Partial<OperationOptions>,
  session: Session,
): Promise<void> {
  const { name, operands } = operation;
  await withReaders([...operands, ...maskOperands(options)], options, session, async (readers, backend) => {
    const [input] = readers;
    const others = readers.slice(1, operands.length);
    const axis = options.axis === undefined ? null : resolveAxis(options.axis, input);
    for (const [k, other] of others.entries()) checkSameShape(operands[k + 1]?.label ?? '', other, input);
    const inMemory = (reader: RowReader) => wholeInMemory(reader, operation, session);
    const sources: OneOrMore<RowReader> =
      axis === 0 ? [await inMemory(input), ...(await Promise.all(others.map(inMemory)))] : [input, ...others];
    const mask = await openMask(readers[operands.length], input, axis, session);
    const count = axis === 0 ? Number.MAX_SAFE_INTEGER : rowsAtATime(input, operation, axis, session);
    const settings = { axis: axis ?? -1, temperature: options.temperature ?? 1 };
    let precision: Precision | undefined;
    const notices = sources.map((reader) => overflowNotice(reader, session));
    const probabilities = checkForProbabilities(input, name, session);
    const compute = async (chunk: Chunk): Promise<Computed> => {
      const [first, upstream, tangent] = chunk.operands;
      precision ??= choosePrecision(backend, options.dtype, first, input.name);
      const { computed, written } = precision;
      if (operation.matrices) checkFits(first, axis ?? 0, computed, backend, operation, session, input.name);
      for (const [k, array] of chunk.operands.entries()) notices[k]?.(array, computed);
      if (axis !== null) probabilities.add(first, axis);
      using x = toTensor(first, computed, backend);
      using g = upstream && toTensor(upstream, computed, backend);
      using t = tangent && toTensor(tangent, computed, backend);
      using result = operation.compute([x, g ?? x, t ?? x], chunk.mask ? { ...settings, mask: chunk.mask } : settings);
      return { rows: await fromTensor(result, written), dtype: written };
    };
    const open = ({ rows, dtype }: Computed) => openResult(name, options.out, rows.shape.length, dtype, session);
    await pump(
      () => nextChunk(sources, mask, count),
      compute,
      open,
      measure(name, sources[0], axis === 0, session),
      session,
    );
    if (axis !== null) probabilities.finish();
  });
}

/** Rows of all operands, with their part of the mask. */
interface Chunk {
  readonly operands: OneOrMore<FileArray>;
  readonly mask: MaskInput | null;
}

/** A result and the dtype in which it is written. */
interface Computed {
  readonly rows: FileArray;
  readonly dtype: FloatDType;
}

async function nextChunk(
  sources: OneOrMore<RowReader>,
  { rows, whole }: OpenMask,
  count: number,
): Promise<Chunk | null> {
  if (rows === null) {
    const operands = await nextOfAll(sources, count);
    return operands && { operands, mask: whole };
  }
  const chunks = await nextOfAll([...sources, rows], count);
  if (chunks === null) return null;
  const [first, ...others] = chunks;
  const mask = others.pop();
  return { operands: [first, ...others], mask: mask ? toMask(mask) : null };
}

/** How much of the time for a chunk goes by until it is written. */
const shareOfComputing = 0.5;

/** Computes and writes all chunks. */
async function pump(
  next: () => Promise<Chunk | null>,
  compute: (chunk: Chunk) => Promise<Computed>,
  open: (first: Computed) => Promise<RowWriter>,
  progress: RowProgress,
  session: Session,
): Promise<void> {
  let writer: RowWriter | undefined;
  try {
    for (let chunk = await next(); chunk !== null; ) {
      const rows = chunk.operands[0].shape[0] ?? 1;
      const computed = await compute(chunk);
      progress.partly(shareOfComputing * rows);
      writer ??= await open(computed);
      // The next chunk is read before this one is written: if the input fits into one chunk, nothing is written unless all of it is valid.
      chunk = await next();
      await writer.write(computed.rows, (share) =>
        progress.partly((shareOfComputing + (1 - shareOfComputing) * share) * rows),
      );
      progress.add(rows);
    }
    progress.stop();
    const ending = startLateProgress('writing', 1, session, writer?.held?.());
    try {
      await writer?.finish();
    } finally {
      ending.stop();
    }
  } finally {
    progress.stop();
    await writer?.abort();
  }
}

/** A progress bar that counts rows. */
interface RowProgress {
  add(rows: number): void;
  /** Shows that many more rows without counting them. */
  partly(rows: number): void;
  stop(): void;
}

/** The progress of an operation: in rows if their number is known, else in bytes of the file. */
function measure(name: string, input: RowReader, atOnce: boolean, session: Session): RowProgress {
  const known = input.shape.length === 0 ? 1 : input.shape[0];
  const bytes = atOnce ? 8 * sizeOf(input.shape.map((length) => length ?? 1)) : 0;
  const progress = startLateProgress(name, known ?? input.byteLength ?? 1, session, bytes);
  let done = 0;
  const show = (rows: number) => progress.update(known === null ? input.position() : rows);
  return {
    add(rows) {
      done += rows;
      show(done);
    },
    partly: (rows) => show(done + rows),
    stop: () => progress.stop(),
  };
}

/** An array that is read whole. */
async function wholeInMemory(
  reader: RowReader,
  { matrices, advice }: RowwiseOperation,
  session: Session,
): Promise<RowReader> {
  const ofAxis =
    reader.shape.length === 1
      ? 'its only axis needs all of it at once, on a machine with more memory'
      : "axis 0 needs all rows at once: store the transpose in C order (np.save('t.npy', np.ascontiguousarray(x.T))) and use --axis -1";
  const array = await readWatched(reader, matrices ? `so is its Jacobian, but ${advice}` : ofAxis, session);
  return { ...arrayRows(array, reader.name), lineOf: reader.lineOf };
}

/** The destination of a result: the file, or standard output as a table or as JSON. */
export async function openResult(
  name: string,
  out: string | undefined,
  rank: number,
  dtype: FloatDType,
  { stdout }: Pick<Context, 'stdout'>,
): Promise<RowWriter> {
  if (out === undefined && stdout.isTTY && rank === 0) return lineWriter(name, stdout);
  return out === undefined && stdout.isTTY ? terminalWriter(name, stdout) : openWriter(out, rank, dtype, stdout);
}

/** The number of rows whose float64 values, or those of their matrices, fill one chunk; at least one. */
function rowsAtATime(
  { shape }: RowReader,
  { matrices }: RowwiseOperation,
  axis: number | null,
  { limits }: Session,
): number {
  const rowBytes = sizeOf(shape.slice(1).map((length) => length ?? 1)) * 8;
  if (!matrices) return Math.max(1, Math.floor(limits.chunk / Math.max(rowBytes, 1)));
  // Matrices are held twice: by the backend and while they are written.
  const most = Math.min(limits.chunk, limits.memory / 2);
  return Math.max(1, Math.floor(most / Math.max(rowBytes * (shape[axis ?? 0] ?? 1), 1)));
}

/** @throws ERR_OUT_OF_MEMORY if the matrices of these rows do not fit into memory */
function checkFits(
  { shape }: FileArray,
  axis: number,
  dtype: FloatDType,
  backend: Backend,
  { advice }: RowwiseOperation,
  { limits }: Session,
  name: string,
): void {
  const classes = shape[axis] ?? 1;
  const matrices = [...shape.slice(0, axis), ...shape.slice(axis + 1), classes, classes];
  const bytes = sizeOf(matrices) * byteSize(dtype);
  const most = Math.min(limits.memory / 2, backend.supports.limits.elements * byteSize(dtype));
  if (bytes <= most) return;
  throw new SoftgradError(
    'ERR_OUT_OF_MEMORY',
    `${name}: its Jacobian of shape ${formatShape(matrices)} takes ${formatBytes(bytes)} in ${dtype}, but ${backend.name} can hold ${formatBytes(most)} here; ${advice}`,
  );
}
