import { SoftgradError } from '../../src/index.js';
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
    'full-range-unannounced',
    'announces an ordinary range, and has all of it.',
    'supports/range:declared=ordinary',
    ({ supports }) => ({ supports: { ...supports, range: 'ordinary' } }),
  ),
  fault(
    'asks-for-too-much',
    'announces an exp so inexact that any result would pass.',
    'supports/exp-ulp',
    ({ supports }) => ({ supports: { ...supports, expUlp: { base: 1e5, slope: 0 } } }),
  ),
  fault(
    'slope-of-any-size',
    'announces an exp whose error grows so fast that any result would pass.',
    'supports/exp-ulp',
    ({ supports }) => ({ supports: { ...supports, expUlp: { base: 0, slope: 1e3 } } }),
  ),
  fault('negative-exp-ulp', 'announces an exp that is better than exact.', 'supports/plain-data', ({ supports }) => ({
    supports: { ...supports, expUlp: { base: 1, slope: -1 } },
  })),
  fault(
    'exp-less-exact-than-announced',
    'announces an exp of 1 ULP and has one of 8.',
    'basis/unary:op=exp',
    ({ basis }) =>
      basis
        ? {
            basis: {
              ...basis,
              unary(out, op, x, length) {
                basis.unary(out, op, x, length);
                if (op === 'exp') out.data.set(out.data.map((value) => value * (1 + 2 ** -20)));
              },
            },
          }
        : {},
  ),
  fault(
    'float64-that-is-float32',
    'announces float64 and stores float32.',
    'storage/round-trip:dtype=float64',
    ({ write }) => ({
      write: (buffer, host) => write(buffer, buffer.dtype === 'float64' ? host.map(Math.fround) : host),
    }),
  ),
  fault('unknown-dtype', 'announces a dtype that core does not have.', 'supports/plain-data', ({ supports }) => ({
    supports: { ...supports, dtypes: ['float32', 'bfloat16' as never] },
  })),
  fault('no-dtype', 'announces no dtype at all.', 'supports/plain-data', ({ supports }) => ({
    supports: { ...supports, dtypes: [] },
  })),
  fault('no-device', 'does not say what it runs on.', 'supports/plain-data', ({ supports }) => ({
    supports: { ...supports, device: '' },
  })),
  fault('no-name', 'has no name for errors and tables.', 'supports/plain-data', () => ({ name: '' })),
  fault(
    'unlimited',
    'announces an infinite limit, which JSON does not hold.',
    'supports/plain-data',
    ({ supports }) => ({
      supports: { ...supports, limits: { ...supports.limits, classes: Number.POSITIVE_INFINITY } },
    }),
  ),
  fault('no-elements', 'announces that no buffer has an element.', 'supports/plain-data', ({ supports }) => ({
    supports: { ...supports, limits: { ...supports.limits, elements: 0 } },
  })),
  fault('no-classes', 'announces that no row has a class.', 'supports/plain-data', ({ supports }) => ({
    supports: { ...supports, limits: { ...supports.limits, classes: 0 } },
  })),
  fault(
    'limit-of-elements-too-high',
    'announces buffers of 2²⁸ elements and has memory for 2¹⁶.',
    'softmax/many-rows:shape=65537x3;axis=1;input=spread',
    ({ alloc }) => ({
      alloc(length, dtype) {
        if (length > 2 ** 16) throw new SoftgradError('ERR_OUT_OF_MEMORY', 'a buffer has 2^16 elements at most');
        return alloc(length, dtype);
      },
    }),
  ),
  fault(
    'limit-of-classes-too-high',
    'announces rows of 2²⁸ classes and handles the first 1024.',
    'softmax/lengths:shape=3x1023..1025;axis=1;input=spread',
    (right) => ({
      softmax: (out, x, rows, parameters) =>
        right.softmax(out, x, { ...rows, classes: Math.min(rows.classes, 1024) }, parameters),
    }),
  ),
  fault(
    'vjp-flushes-undeclared',
    'announces that it preserves subnormals, and its vjp makes them 0.',
    'vjp/values:shape=7x5;axis=1;input=wide;cotangent=uniform',
    (right) => ({
      vjp(out, s, g, rows, parameters) {
        right.vjp(out, s, g, rows, parameters);
        out.data.set(out.data.map((value) => (Math.abs(value) < 2 ** -126 ? 0 : value)));
      },
    }),
  ),
  fault(
    'basis-not-in-place',
    'announces inPlace, and its binary clears out before it reads its operands.',
    'basis/in-place',
    ({ basis }) =>
      basis
        ? {
            basis: {
              ...basis,
              binary(out, op, a, b, extent) {
                out.data.fill(0);
                basis.binary(out, op, a, b, extent);
              },
            },
          }
        : {},
  ),
  fault(
    'basis-without-nan',
    'announces ieee, and its maximum of NaN and a number is the number.',
    'basis/binary:op=max;values=non-finite',
    ({ basis }) =>
      basis
        ? {
            basis: {
              ...basis,
              binary(out, op, a, b, extent) {
                basis.binary(out, op, a, b, extent);
                if (op === 'max') out.data.set(out.data.map((value) => (Number.isNaN(value) ? 0 : value)));
              },
            },
          }
        : {},
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
  fault('misspelt-kernel', 'has a kernel that nobody calls.', 'supports/known-members', ({ kernels = {} }) => {
    const { logSoftmax, ...others } = kernels;
    return { kernels: Object.assign(others, { logSoftmaxx: logSoftmax }) };
  }),
  fault('misspelt-verb', 'has a verb that nobody calls.', 'supports/known-members', ({ basis }) =>
    basis ? { basis: Object.assign({ reduceMax: basis.reduce }, basis) } : {},
  ),
];
