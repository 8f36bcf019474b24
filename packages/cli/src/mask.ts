import { type MaskInput, SoftgradError } from '@softgrad/core';
import { arrayRows, type FileArray, formatShape, placeOf, type RowReader, sizeOf } from '@softgrad/formats';
import type { Session } from './context.js';
import { type OperandFile, readWatched } from './operands.js';
import type { OperationOptions } from './options.js';

/** The mask as one more file, if there is one. */
export function maskOperands({ mask }: Partial<OperationOptions>): readonly OperandFile[] {
  return mask === undefined ? [] : [{ label: '--mask', file: mask }];
}

/** A mask whose rows correspond to the input's, or one row for all. */
export interface OpenMask {
  readonly rows: RowReader | null;
  readonly whole: MaskInput | null;
}

/** @throws ERR_SHAPE unless it broadcasts to the input */
export async function openMask(
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
