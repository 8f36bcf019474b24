import { faultyAnnouncements } from './announcements.js';
import { faultyDerivatives } from './derivatives.js';
import type { Fault } from './fault.js';
import { faultyFused } from './fused.js';
import { faultyRanges } from './ranges.js';
import { faultySoftmax } from './softmax.js';
import { faultyStorage } from './storage.js';

/** Tests of the suite itself: every backend in the list has one mistake, and the case named for it must fail. */
export const faulty: readonly Fault[] = [
  ...faultyStorage,
  ...faultySoftmax,
  ...faultyDerivatives,
  ...faultyFused,
  ...faultyRanges,
  ...faultyAnnouncements,
];
