import { type Backend, SoftgradError } from '@softgrad/core';
import { type FileArray, formatShape, type RowReader, readAll } from '@softgrad/formats';
import { withBackend } from './backend.js';
import type { Session } from './context.js';
import { openArray, openOperand } from './files/open.js';
import { outputFormat } from './files/write.js';
import type { FileOptions } from './options.js';
import { startLateProgress } from './progress.js';

/** A file that an operation reads, with its name on the command line: `INPUT`, `--upstream`. */
export interface OperandFile {
  readonly label: string;
  readonly file: string;
}

export type OneOrMore<T> = readonly [T, ...T[]];

/** Opens the files and the backend, and closes both in any case. */
export async function withReaders(
  operands: OneOrMore<OperandFile>,
  options: FileOptions,
  session: Session,
  use: (readers: OneOrMore<RowReader>, backend: Backend) => Promise<void>,
): Promise<void> {
  if (options.out !== undefined) outputFormat(options.out);
  checkStandardInput(operands);
  const open = async ({ label, file }: OperandFile) => {
    const table = { header: options.header, headerAdvice, booleans: label === '--mask' };
    return label === 'INPUT' ? openArray(file, session, table) : openOperand(label, file, session, table);
  };
  const [input, ...others] = operands;
  const readers: [RowReader, ...RowReader[]] = [await open(input)];
  try {
    for (const other of others) readers.push(await open(other));
    checkHeader(options.header, readers);
    await withBackend(options, session, (backend) => use(readers, backend));
  } finally {
    for (const reader of readers) await reader.close();
  }
}

/** @throws ERR_VALUE if several files are standard input, which can be read once */
export function checkStandardInput(operands: readonly OperandFile[]): void {
  const labels = operands.filter(({ file }) => file === '-').map(({ label }) => label);
  if (labels.length > 1) throw new SoftgradError('ERR_VALUE', `${labels.join(' and ')} cannot both be standard input`);
}

/** For messages about the first line of a table. */
export const headerAdvice = '--header yes if line 1 names the columns, --header no if it does not';

/** @throws ERR_VALUE for --header unless one of the files is a table: nothing else has a line that names columns */
export function checkHeader(
  header: FileOptions['header'],
  readers: readonly Pick<RowReader, 'name' | 'lineOf'>[],
): void {
  if (header === undefined || readers.some(({ lineOf }) => lineOf !== undefined)) return;
  const names = readers.map(({ name }) => name);
  const found =
    ['no file is read', `${names[0]} is not a table`][names.length] ?? `none of ${names.join(', ')} is a table`;
  throw new SoftgradError(
    'ERR_VALUE',
    `--header ${header}: ${found}; expected a .csv or .tsv, or lines of numbers in a .txt or on standard input`,
  );
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
export async function nextOfAll(readers: OneOrMore<RowReader>, count: number): Promise<OneOrMore<FileArray> | null> {
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

/** Checks that shapes agree as far as they are known before reading. */
export function checkSameShape(option: string, second: RowReader, input: RowReader): void {
  const agree =
    second.shape.length === input.shape.length &&
    second.shape.every((length, axis) => length === null || input.shape[axis] === null || length === input.shape[axis]);
  if (agree) return;
  throw new SoftgradError(
    'ERR_SHAPE',
    `${option} ${second.name}: shape ${formatShape(second.shape)}; expected ${formatShape(input.shape)}, the shape of ${input.name}`,
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
