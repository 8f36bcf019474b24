import {
  type Backend,
  byteSize,
  type FloatDType,
  type MaskInput,
  SoftgradError,
  type Tensor,
  tensor,
} from '@softgrad/core';
import {
  arrayRows,
  type FileArray,
  formatBytes,
  formatShape,
  halfToNumber,
  numberToHalf,
  placeOf,
  type RowReader,
  readAll,
  sizeOf,
} from '@softgrad/formats';
import { checkDType, openBackend } from './backend.js';
import type { Context, Session } from './context.js';
import { openArray, openOperand } from './files/open.js';
import { openWriter, outputFormat, type RowWriter } from './files/write.js';
import type { FileOptions, OperationOptions } from './options.js';
import { startLateProgress } from './progress.js';
import { lineWriter, terminalWriter } from './table.js';

/** A file that an operation reads, with its name on the command line: `INPUT`, `--upstream`. */
export interface OperandFile {
  readonly label: string;
  readonly file: string;
}

type OneOrMore<T> = readonly [T, ...T[]];

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
    const compute = async (chunk: Chunk): Promise<Computed> => {
      const [first, upstream, tangent] = chunk.operands;
      precision ??= choosePrecision(backend, options.dtype, first, input.name);
      const { computed, written } = precision;
      if (operation.matrices) checkFits(first, axis ?? 0, computed, backend, operation, session, input.name);
      for (const [k, array] of chunk.operands.entries()) notices[k]?.(array, computed);
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

/** Opens the files and the backend, and closes both in any case. */
export async function withReaders(
  operands: OneOrMore<OperandFile>,
  options: FileOptions,
  session: Session,
  use: (readers: OneOrMore<RowReader>, backend: Backend) => Promise<void>,
): Promise<void> {
  if (options.out !== undefined) outputFormat(options.out);
  const fromStandardInput = operands.filter(({ file }) => file === '-').map(({ label }) => label);
  if (fromStandardInput.length > 1) {
    throw new SoftgradError('ERR_VALUE', `${fromStandardInput.join(' and ')} cannot both be standard input`);
  }
  const open = async ({ label, file }: OperandFile) => {
    const table = { header: options.header, headerAdvice, booleans: label === '--mask' };
    return label === 'INPUT' ? openArray(file, session, table) : openOperand(label, file, session, table);
  };
  const [input, ...others] = operands;
  const readers: [RowReader, ...RowReader[]] = [await open(input)];
  try {
    for (const other of others) readers.push(await open(other));
    const backend = await openBackend(options.backend, session);
    try {
      await use(readers, backend);
    } finally {
      await backend.close();
    }
  } finally {
    for (const reader of readers) await reader.close();
  }
}

/** For messages about the first line of a table. */
export const headerAdvice = '--header yes if line 1 names the columns, --header no if it does not';

/** The mask as one more file, if there is one. */
export function maskOperands({ mask }: Partial<OperationOptions>): readonly OperandFile[] {
  return mask === undefined ? [] : [{ label: '--mask', file: mask }];
}

/** A mask whose rows correspond to the input's, or one row for all. */
interface OpenMask {
  readonly rows: RowReader | null;
  readonly whole: MaskInput | null;
}

/** @throws ERR_SHAPE unless it broadcasts to the input */
async function openMask(
  reader: RowReader | undefined,
  input: RowReader,
  axis: number | null,
  session: Session,
): Promise<OpenMask> {
  if (!reader) return { rows: null, whole: null };
  const booleans = booleanRows(reader);
  // The number of rows of a table is known only at its end, and a single row applies to all.
  const known =
    reader.shape[0] === null ? arrayRows(await readWatched(booleans, maskAdvice, session), reader.name) : booleans;
  checkBroadcasts(known, input);
  const alike = known.shape.length === input.shape.length && known.shape[0] !== 1;
  if (alike && axis !== 0) return { rows: known, whole: null };
  return { rows: null, whole: toMask(await readWatched(known, maskAdvice, session)) };
}

const maskAdvice = 'a mask as a .npy is read row by row';

/** The rows of a mask. @throws ERR_VALUE naming the place of an entry that is neither true nor false, as soon as it is read */
export function booleanRows(reader: RowReader): RowReader {
  let row = 0;
  return {
    ...reader,
    async next(count) {
      const chunk = await reader.next(count);
      if (chunk === null) return null;
      const { data, shape } = chunk;
      const wrong = data.findIndex((value) => value !== 0 && value !== 1);
      if (wrong >= 0) {
        const place = placeOf(reader, row * sizeOf(shape.slice(1)) + wrong, [
          Number.MAX_SAFE_INTEGER,
          ...shape.slice(1),
        ]);
        throw new SoftgradError(
          'ERR_VALUE',
          `--mask ${reader.name}: ${place} is ${data[wrong]}, not a boolean; expected true or 1 to keep an entry, false or 0 to mask it`,
        );
      }
      row += shape[0] ?? 1;
      return chunk;
    },
  };
}

export function toMask({ data, shape }: FileArray): MaskInput {
  return { data: Uint8Array.from(data), shape };
}

/** By NumPy's broadcasting rule, as far as shapes are known before reading. */
export function checkBroadcasts(
  mask: Pick<RowReader, 'name' | 'shape'>,
  input: Pick<RowReader, 'name' | 'shape'>,
): void {
  const shift = input.shape.length - mask.shape.length;
  const fits = mask.shape.every((length, axis) => {
    const wanted = input.shape[axis + shift];
    return length === 1 || wanted === null || wanted === length;
  });
  if (shift >= 0 && fits) return;
  throw new SoftgradError(
    'ERR_SHAPE',
    `--mask ${mask.name}: shape ${formatShape(mask.shape)}; expected a shape that broadcasts to ${formatShape(input.shape)}, the shape of ${input.name}`,
  );
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

/** The whole array, with a progress bar if reading takes long. @throws ERR_OUT_OF_MEMORY with `advice` */
export async function readWatched(reader: RowReader, advice: string, session: Session): Promise<FileArray> {
  const progress = startLateProgress(`reading ${reader.name}`, reader.byteLength ?? 1, session);
  const watched: RowReader = {
    ...reader,
    async next(count) {
      const chunk = await reader.next(count);
      progress.update(reader.position());
      return chunk;
    },
  };
  try {
    return await readAll(watched, session.limits.memory, advice);
  } finally {
    progress.stop();
  }
}

/** The next chunk of every reader, all with the same number of rows; null at their common end. */
async function nextOfAll(readers: OneOrMore<RowReader>, count: number): Promise<OneOrMore<FileArray> | null> {
  const [input, ...others] = readers;
  const first = await input.next(count);
  const chunks: FileArray[] = [];
  const wanted = first?.shape[0] ?? 1;
  for (const other of others) {
    const chunk = await other.next(first ? wanted : 1);
    if (chunk?.shape[0] !== first?.shape[0]) {
      const fewer = chunk === null || (chunk.shape[0] ?? 1) < wanted;
      throw new SoftgradError(
        'ERR_SHAPE',
        `${other.name}: ${fewer ? 'fewer' : 'more'} rows than ${input.name}; expected the same number`,
      );
    }
    if (chunk) chunks.push(chunk);
  }
  return first && [first, ...chunks];
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

/** @throws ERR_AXIS naming the file's rank */
export function resolveAxis(axis: number, reader: RowReader): number {
  const rank = reader.shape.length;
  if (rank === 0) {
    throw new SoftgradError(
      'ERR_SHAPE',
      `${reader.name}: a single number; expected at least one dimension to take the softmax over`,
    );
  }
  if (axis >= -rank && axis < rank) return axis < 0 ? axis + rank : axis;
  throw new SoftgradError(
    'ERR_AXIS',
    `${reader.name}: axis ${axis} of an array of shape ${formatShape(reader.shape)}; expected ${-rank} to ${rank - 1}`,
  );
}

/** The dtypes in which operations compute and results are written. */
export interface Precision {
  readonly computed: FloatDType;
  readonly written: FloatDType;
}

/**
 * The given dtype, else that of the file. If it is float16 and the backend has no float16, the operation computes in float32.
 *
 * @throws ERR_DTYPE if the backend does not have it
 */
export function choosePrecision(
  backend: Backend,
  asked: FloatDType | undefined,
  array: FileArray,
  name: string,
): Precision {
  const written = asked ?? array.stored ?? (array.data instanceof Float32Array ? 'float32' : 'float64');
  const computed = written === 'float16' && !backend.supports.dtypes.includes('float16') ? 'float32' : written;
  checkDType(backend, computed, asked ? '--dtype' : name);
  return { computed, written };
}

/** Checks the chunks of a file one after another, and notices the first number that is finite in the file and infinite in the dtype. */
export function overflowNotice(
  reader: Pick<RowReader, 'name' | 'lineOf'>,
  { notices }: Session,
): (array: FileArray, dtype: FloatDType) => void {
  let checked = 0;
  let noticed = false;
  return ({ data, shape }, dtype) => {
    if (noticed || dtype === 'float64' || (dtype === 'float32' && data instanceof Float32Array)) return;
    const overflows = (value: number) => Number.isFinite(value) && !Number.isFinite(rounded(value, dtype));
    const first = data.findIndex(overflows);
    if (first >= 0) {
      const [rows = 1, ...rest] = shape;
      const place = placeOf(reader, checked + first, shape.length === 0 ? [] : [checked + rows, ...rest]);
      const infinity = (data[first] ?? 0) > 0 ? 'Infinity' : '-Infinity';
      notices.push(
        `${reader.name}: ${place} is ${data[first]}, beyond ${dtype}: computed as ${infinity}; --dtype float64 keeps it`,
      );
      noticed = true;
    }
    checked += data.length;
  };
}

function rounded(value: number, dtype: FloatDType): number {
  return dtype === 'float16' ? halfToNumber(numberToHalf(value)) : Math.fround(value);
}

export function toTensor(array: FileArray, dtype: FloatDType, backend: Backend): Tensor {
  return tensor(array.data, { shape: array.shape, dtype, backend });
}

export async function fromTensor(result: Tensor, written: FloatDType): Promise<FileArray> {
  const data = await result.data();
  if (written !== 'float16') return { shape: result.shape, data };
  return { shape: result.shape, data: Float32Array.from(data, (value) => halfToNumber(numberToHalf(value))) };
}

/** Checks that shapes agree as far as they are known before reading. */
function checkSameShape(option: string, second: RowReader, input: RowReader): void {
  const agree =
    second.shape.length === input.shape.length &&
    second.shape.every((length, axis) => length === null || input.shape[axis] === null || length === input.shape[axis]);
  if (agree) return;
  throw new SoftgradError(
    'ERR_SHAPE',
    `${option} ${second.name}: shape ${formatShape(second.shape)}; expected ${formatShape(input.shape)}, the shape of ${input.name}`,
  );
}
