import type { ConformanceCase } from './case.js';
import { basis } from './cases/basis.js';
import { combinations } from './cases/combinations.js';
import { extremes } from './cases/extremes.js';
import { jacobian } from './cases/jacobian.js';
import { lawCases } from './cases/laws.js';
import { close, lifecycle } from './cases/lifecycle.js';
import { crossEntropyValues, values } from './cases/operations.js';
import { softmax } from './cases/softmax.js';
import { storage, storageOrder } from './cases/storage.js';
import { supportsCases } from './cases/supports.js';
import { vjp } from './cases/vjp.js';
import { completeCase } from './structure.js';

/** What a backend computes and how it stores it. */
const behaviour: readonly ConformanceCase[] = [
  ...storage,
  ...storageOrder,
  ...softmax,
  ...vjp,
  ...jacobian,
  ...basis,
  ...values,
  ...crossEntropyValues,
  ...extremes,
  ...combinations,
  ...lawCases,
  ...lifecycle,
];

/** Every case of the suite, in the order in which they are run. The last closes the backend. */
export const cases: readonly ConformanceCase[] = [completeCase, ...supportsCases(behaviour), ...behaviour, close];
