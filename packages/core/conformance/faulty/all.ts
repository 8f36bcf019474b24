import { faultyAnnouncements } from './announcements.js';
import { faultyDerivatives } from './derivatives.js';
import type { Fault } from './fault.js';
import { faultyFused } from './fused.js';
import { faultyRanges } from './ranges.js';
import { faultySoftmax } from './softmax.js';
import { faultyStorage } from './storage.js';

/** The suite's proof of itself: every backend in it has one mistake, and one case named for it fails. */
export const faulty: readonly Fault[] = [
  ...faultyStorage,
  ...faultySoftmax,
  ...faultyDerivatives,
  ...faultyFused,
  ...faultyRanges,
  ...faultyAnnouncements,
];
