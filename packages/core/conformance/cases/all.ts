import type { ConformanceCase } from '../case.js';
import { completeCase } from '../structure.js';
import { basis } from './basis.js';
import { besideNans } from './beside-nan.js';
import { combinations } from './combinations.js';
import { extremes } from './extremes.js';
import { jacobian } from './jacobian.js';
import { lawCases } from './laws/all.js';
import { close, lifecycle } from './lifecycle.js';
import { manyRows } from './many-rows.js';
import { manyRowsOfOperations } from './many-rows-of-operations.js';
import { maskedVjp } from './masked-vjp.js';
import { nonFiniteCotangents } from './non-finite-cotangents.js';
import { oneLoss } from './one-loss.js';
import { crossEntropyValues, values } from './operations.js';
import { ranges } from './range/all.js';
import { rowGroups } from './row-groups.js';
import { rowLengths } from './row-lengths.js';
import { elementwiseSizes } from './sizes.js';
import { softmax } from './softmax.js';
import { storage, storageOrder } from './storage.js';
import { supportsCases } from './supports.js';
import { vjp } from './vjp.js';

/** What a backend computes and how it stores it. */
const behaviour: readonly ConformanceCase[] = [
  ...storage,
  ...storageOrder,
  ...softmax,
  ...vjp,
  ...maskedVjp,
  ...jacobian,
  ...basis,
  ...manyRows,
  ...values,
  ...crossEntropyValues,
  ...extremes,
  ...ranges,
  ...nonFiniteCotangents,
  ...oneLoss,
  ...rowGroups,
  ...manyRowsOfOperations,
  ...rowLengths,
  ...elementwiseSizes,
  ...besideNans,
  ...combinations,
  ...lawCases,
  ...lifecycle,
];

/** Every case except the last one, in the order in which they run. */
export const casesBeforeClose: readonly ConformanceCase[] = [completeCase, ...supportsCases(behaviour), ...behaviour];

/**
 * Every case of the suite, in the order in which they run. The last one closes the backend. `conformance` binds them to a backend.
 *
 * @example
 * cases.some(({ id }) => id === 'softmax/sums'); // true
 */
export const cases: readonly ConformanceCase[] = [...casesBeforeClose, close];
