import type { ConformanceCase } from './case.js';
import { basis } from './cases/basis.js';
import { jacobian } from './cases/jacobian.js';
import { close } from './cases/lifecycle.js';
import { crossEntropyValues, values } from './cases/operations.js';
import { softmax } from './cases/softmax.js';
import { storage, storageOrder } from './cases/storage.js';
import { vjp } from './cases/vjp.js';

/** Every case of the suite, in the order in which they are run. The last closes the backend. */
export const cases: readonly ConformanceCase[] = [
  ...storage,
  ...storageOrder,
  ...softmax,
  ...vjp,
  ...jacobian,
  ...basis,
  ...values,
  ...crossEntropyValues,
  close,
];
