import type { Backend, FloatDType } from '../../../src/index.js';
import { type ConformanceCase, defineCase, dtypeOnly, type Requirements } from '../../case.js';
import { rounded } from '../../inputs.js';
import { explaining } from '../../sweep.js';

/** The dtypes whose whole range kernels compute with. */
export type RangeDType = Exclude<FloatDType, 'float16'>;
export const rangeDTypes = ['float32', 'float64'] as const satisfies readonly RangeDType[];

/** One row of logits at the ends of a dtype's range, and its temperature. */
export interface RangeRow {
  readonly x: readonly number[];
  readonly temperature: number;
}

const overflowOnTheWay =
  "if results overflow on the way, scale the operands by a power of 2, or announce supports.range: 'ordinary'";

/** A case for backends that compute with operands up to the ends of the dtype's range, which is the default of `supports.range`. */
export function fullRangeCase(
  id: string,
  requires: Requirements,
  run: (backend: Backend) => Promise<void>,
): ConformanceCase {
  return defineCase(id, { ...requires, features: ['range: full'] }, (backend) =>
    explaining(overflowOnTheWay, run(backend)),
  );
}

const apart =
  "if a product of several factors leaves the range on the way, multiply by them one after the other, in an order in which it does not, or announce supports.range: 'ordinary'";

/** Operands whose product is in the range although a product of some of them is not. */
export function factorsCase(
  id: string,
  dtype: RangeDType,
  requires: Requirements,
  run: (backend: Backend) => Promise<void>,
) {
  const features = [...(requires.features ?? []), 'range: full'] as const;
  return defineCase(`${id}${dtypeOnly(dtype)}`, { dtype, ...requires, features }, (backend) =>
    explaining(apart, run(backend)),
  );
}

export function inDType(values: readonly number[], dtype: FloatDType): Float64Array {
  return Float64Array.from(values, (value) => rounded(value, dtype));
}
