import { faultyAnnouncements } from './faulty/announcements.js';
import { faultyDerivatives } from './faulty/derivatives.js';
import type { Fault } from './faulty/fault.js';
import { faultyFused } from './faulty/fused.js';
import { faultySoftmax } from './faulty/softmax.js';
import { faultyStorage } from './faulty/storage.js';

/** The suite's proof of itself: every backend in it has one mistake, and one case named for it fails. */
export const faulty: readonly Fault[] = [
  ...faultyStorage,
  ...faultySoftmax,
  ...faultyDerivatives,
  ...faultyFused,
  ...faultyAnnouncements,
];
