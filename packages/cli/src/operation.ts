import { type Backend, type FloatDType, SoftgradError, type Tensor, tensor } from '@softgrad/core';
import { arrayRows, type FileArray, formatShape, type RowReader, readAll, sizeOf } from '@softgrad/formats';
import { checkDType, openBackend } from './backend.js';
import type { Context, Session } from './context.js';
import { openArray } from './files/open.js';
import { openWriter, outputFormat, type RowWriter } from './files/write.js';
import type { OperationOptions } from './options.js';
import { silent, startProgress } from './progress.js';
import { terminalWriter } from './table.js';

/** A file that an operation reads, and what the command line calls it: `INPUT`, `--upstream`. */
export interface OperandFile {
  readonly label: string;
  readonly file: string;
}

/**
 * Computes an operation whose result has the shape of its operands and whose rows along the first dimension are independent
 * (unless that is the axis): chunk of rows by chunk of rows, so that neither input nor output need fit in memory.
 */
export async function runRowwise(
  name: string,
  operands: readonly OperandFile[],
  options: OperationOptions,
  session: Session,
  compute: (operands: readonly Tensor[], axis: number) => Tensor,
): Promise<void> {
  const { memory, chunk: chunkBytes } = session.limits;
  await withReaders(operands, options, session, async (readers, backend) => {
    const [input] = readers;
    const axis = resolveAxis(options.axis, input);
    readers.slice(1).forEach((reader, i) => {
      checkSameShape(operands[i + 1].label, reader, input);
    });
    const sources = axis === 0 ? await Promise.all(readers.map((reader) => inMemory(reader, memory))) : readers;
    const count = axis === 0 ? Number.MAX_SAFE_INTEGER : rowsAtATime(input, chunkBytes);
    const bytes = input.byteLength ?? 0;
    const progress = bytes > chunkBytes ? startProgress(name, bytes, session) : silent(session);
    let writer: RowWriter | null = null;
    try {
      let dtype: FloatDType | null = null;
      let chunks = await nextOfAll(sources, count);
      while (chunks) {
        const [first] = chunks;
        const chosen: FloatDType = dtype ?? chooseDType(backend, options.dtype, first, input.name);
        dtype = chosen;
        writer ??= await openResult(name, options.out, first.shape.length, chosen, session);
        const tensors = chunks.map((chunk) => toTensor(chunk, chosen, backend));
        using result = compute(tensors, axis);
        const rows = await fromTensor(result);
        for (const operand of tensors) operand.dispose();
        // What follows is read first: of an input that fits one chunk nothing is written unless all of it is good.
        chunks = await nextOfAll(sources, count);
        await writer.write(rows);
        progress.update(input.position());
      }
      progress.stop();
      await writer?.finish();
    } finally {
      progress.stop();
      await writer?.abort();
    }
  });
}

/** Opens the files and the backend, and closes both whatever happens. */
export async function withReaders(
  operands: readonly OperandFile[],
  options: OperationOptions,
  session: Session,
  use: (readers: readonly RowReader[], backend: Backend) => Promise<void>,
): Promise<void> {
  if (options.out !== undefined) outputFormat(options.out);
  const fromStandardInput = operands.filter(({ file }) => file === '-').map(({ label }) => label);
  if (fromStandardInput.length > 1) {
    throw new SoftgradError('ERR_VALUE', `${fromStandardInput.join(' and ')} cannot both be standard input`);
  }
  const readers: RowReader[] = [];
  try {
    for (const { file } of operands) readers.push(await openArray(file, session));
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

async function inMemory(reader: RowReader, memory: number): Promise<RowReader> {
  const advice =
    reader.shape.length === 1
      ? 'its one axis takes all of it at once, which needs a machine with more memory'
      : "axis 0 takes all rows at once: store the transpose in C order (np.save('t.npy', np.ascontiguousarray(x.T))) and use --axis -1";
  return arrayRows(await readAll(reader, memory, advice), reader.name);
}

/** The next chunk of every reader, all of as many rows; null at their common end. */
async function nextOfAll(readers: readonly RowReader[], count: number): Promise<FileArray[] | null> {
  const [input, ...others] = readers;
  const first = await input.next(count);
  const chunks = first ? [first] : [];
  const wanted = first?.shape[0] ?? 1;
  for (const other of others) {
    const chunk = await other.next(first ? wanted : 1);
    if ((chunk === null) !== (first === null) || (chunk && first && chunk.shape[0] !== first.shape[0])) {
      const fewer = chunk === null || (first !== null && (chunk.shape[0] ?? 1) < wanted);
      throw new SoftgradError(
        'ERR_SHAPE',
        `${other.name}: ${fewer ? 'fewer' : 'more'} rows than ${input.name}; expected as many`,
      );
    }
    if (chunk) chunks.push(chunk);
  }
  return first ? chunks : null;
}

/** Where a result goes: the file, or standard output as a table or as JSON. */
export async function openResult(
  name: string,
  out: string | undefined,
  rank: number,
  dtype: FloatDType,
  { stdout }: Pick<Context, 'stdout'>,
): Promise<RowWriter> {
  return out === undefined && stdout.isTTY ? terminalWriter(name, stdout) : openWriter(out, rank, dtype, stdout);
}

/** Rows whose float64 values fill one chunk; at least one. */
function rowsAtATime(reader: RowReader, chunkBytes: number): number {
  const rowBytes = sizeOf(reader.shape.slice(1).map((length) => length ?? 1)) * 8;
  return Math.max(1, Math.floor(chunkBytes / Math.max(rowBytes, 1)));
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

/** The dtype asked for, else the file's own. @throws ERR_DTYPE where the backend lacks it */
export function chooseDType(
  backend: Backend,
  asked: FloatDType | undefined,
  array: FileArray,
  name: string,
): FloatDType {
  const dtype = asked ?? (array.data instanceof Float32Array ? 'float32' : 'float64');
  checkDType(backend, dtype, asked ? '--dtype' : name);
  return dtype;
}

export function toTensor(array: FileArray, dtype: FloatDType, backend: Backend): Tensor {
  return tensor(array.data, { shape: array.shape, dtype, backend });
}

export async function fromTensor(result: Tensor): Promise<FileArray> {
  return { shape: result.shape, data: await result.data() };
}

/** Shapes must agree as far as they are known before reading. */
function checkSameShape(option: string, second: RowReader, input: RowReader): void {
  const agree =
    second.shape.length === input.shape.length &&
    second.shape.every((length, axis) => length === null || input.shape[axis] === null || length === input.shape[axis]);
  if (agree) return;
  throw new SoftgradError(
    'ERR_SHAPE',
    `${option} ${second.name}: shape ${formatShape(second.shape)}; expected ${formatShape(input.shape)}, that of ${input.name}`,
  );
}
