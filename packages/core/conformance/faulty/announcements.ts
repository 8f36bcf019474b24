import { type Fault, fault } from './fault.js';

/** Backends that are right and say something else of themselves. */
export const faultyAnnouncements: readonly Fault[] = [
  fault(
    'flush-that-is-not-there',
    'announces that it flushes subnormals, and keeps them.',
    'supports/subnormals:declared=flush',
    ({ supports }) => ({ supports: { ...supports, subnormals: 'flush' } }),
  ),
  fault(
    'ieee-unannounced',
    'announces nothing about NaN and infinities, and does all of it right.',
    'supports/non-finite:declared=unspecified',
    ({ supports }) => ({ supports: { ...supports, nonFinite: 'unspecified' } }),
  ),
  fault(
    'read-sync-undeclared',
    'has readSync and announces that it has not.',
    'supports/read-sync:declared=false',
    ({ supports }) => ({ supports: { ...supports, readSync: false } }),
  ),
  fault(
    'view-undeclared',
    'has view and announces that it has not.',
    'supports/host-view:declared=false',
    ({ supports }) => ({ supports: { ...supports, hostView: false } }),
  ),
  fault(
    'asks-for-too-much',
    'announces an exp so inexact that any result would pass.',
    'supports/exp-ulp',
    ({ supports }) => ({ supports: { ...supports, expUlp: { base: 1e5, slope: 0 } } }),
  ),
  fault('no-jacobian', 'lacks one of the three required kernels.', 'supports/complete', () => ({
    // As an author's object may be where no types say otherwise.
    jacobian: undefined as never,
  })),
  fault('no-exp-ulp', 'says nothing of how exact its exp is.', 'supports/complete', ({ supports }) => ({
    supports: { ...supports, expUlp: undefined as never },
  })),
  fault('half-a-basis', 'has a basis without select.', 'supports/complete', ({ basis }) =>
    basis ? { basis: { ...basis, select: undefined as never } } : {},
  ),
  fault('misspelt-kernel', 'has a fused softmax that nobody calls.', 'supports/known-members', ({ kernels = {} }) => {
    const { softmax, ...others } = kernels;
    return { kernels: Object.assign(others, { softmaxx: softmax }) };
  }),
  fault('misspelt-verb', 'has a verb that nobody calls.', 'supports/known-members', ({ basis }) =>
    basis ? { basis: Object.assign({ reduceMax: basis.reduce }, basis) } : {},
  ),
];
