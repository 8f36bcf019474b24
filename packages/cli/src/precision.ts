import { type Backend, type FloatDType, type Tensor, tensor } from '@softgrad/core';
import { type FileArray, halfToNumber, numberToHalf, placeOf, type RowReader } from '@softgrad/formats';
import { checkDType } from './backend.js';
import type { Session } from './context.js';

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
  { notices }: Pick<Session, 'notices'>,
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
