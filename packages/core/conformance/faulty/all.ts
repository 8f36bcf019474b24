import { faultyAnnouncements } from './announcements.js';
import { faultyCalls } from './calls.js';
import { faultyCrossEntropy } from './cross-entropy.js';
import { faultyDerivatives } from './derivatives.js';
import { faultyDispatches } from './dispatches.js';
import { faultyElementwise } from './elementwise.js';
import type { Fault } from './fault.js';
import { faultyHvp } from './hvp.js';
import { faultyLarge } from './large.js';
import { faultyLogFamily } from './log-family.js';
import { faultyNonFinite } from './non-finite.js';
import { faultyParameters } from './parameters.js';
import { faultyRanges } from './ranges.js';
import { faultySizes } from './sizes.js';
import { faultySoftmax } from './softmax.js';
import { faultyStorage } from './storage.js';

/**
 * Tests of the suite itself: every backend in the list has one mistake, and the case named for it must fail.
 *
 * @example
 * faulty.find(({ name }) => name === 'write-keeps-the-host-array').caughtBy; // 'storage/write-copies:dtype=float32'
 */
export const faulty: readonly Fault[] = [
  ...faultyStorage,
  ...faultySoftmax,
  ...faultyDerivatives,
  ...faultyDispatches,
  ...faultyParameters,
  ...faultyLogFamily,
  ...faultyElementwise,
  ...faultyHvp,
  ...faultyCrossEntropy,
  ...faultyRanges,
  ...faultySizes,
  ...faultyLarge,
  ...faultyNonFinite,
  ...faultyCalls,
  ...faultyAnnouncements,
];
