import { SoftgradError } from '../../src/index.js';
import { type Fault, fault } from './fault.js';

/** Backends that compute correctly but announce something else. */
export const faultyAnnouncements: readonly Fault[] = [
  fault(
    'flush-that-is-not-there',
    'announces that it flushes subnormals, but keeps them.',
    'supports/subnormals:declared=flush',
    ({ supports }) => ({ supports: { ...supports, subnormals: 'flush' } }),
  ),
  fault(
    'ieee-unannounced',
    'announces nothing about NaN and infinities, but handles all of them correctly.',
    'supports/non-finite:declared=unspecified',
    ({ supports }) => ({ supports: { ...supports, nonFinite: 'unspecified' } }),
  ),
  fault(
    'full-range-unannounced',
    'announces an ordinary range, but handles the full range.',
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
    'announces an exp error of 1 ULP, but has an error of 8 ULP.',
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
    'announces float64, but stores float32.',
    'storage/round-trip:dtype=float64',
    ({ write }) => ({
      write: (buffer, host) => write(buffer, buffer.dtype === 'float64' ? host.map(Math.fround) : host),
    }),
  ),
  fault(
    'float16-that-is-float32',
    'announces float16, but stores float32.',
    'storage/round-trip:dtype=float16',
    () => ({
      write: (buffer, host) => buffer.data.set(host),
    }),
  ),
  fault('unknown-dtype', 'announces a dtype that core does not have.', 'supports/plain-data', ({ supports }) => ({
    supports: { ...supports, dtypes: ['float32', 'bfloat16' as never] },
  })),
  fault('no-dtype', 'announces no dtype at all.', 'supports/plain-data', ({ supports }) => ({
    supports: { ...supports, dtypes: [] },
  })),
  fault('no-device', 'has an empty device.', 'supports/plain-data', ({ supports }) => ({
    supports: { ...supports, device: '' },
  })),
  fault('no-name', 'has an empty name.', 'supports/plain-data', () => ({ name: '' })),
  fault(
    'unlimited',
    'announces an infinite limit, which JSON cannot represent.',
    'supports/plain-data',
    ({ supports }) => ({
      supports: { ...supports, limits: { ...supports.limits, classes: Number.POSITIVE_INFINITY } },
    }),
  ),
  fault('no-elements', 'announces a limit of 0 elements.', 'supports/plain-data', ({ supports }) => ({
    supports: { ...supports, limits: { ...supports.limits, elements: 0 } },
  })),
  fault('no-classes', 'announces a limit of 0 classes.', 'supports/plain-data', ({ supports }) => ({
    supports: { ...supports, limits: { ...supports.limits, classes: 0 } },
  })),
  fault(
    'limit-of-elements-too-high',
    'announces buffers of 2²⁸ elements, but has memory for 2¹⁶.',
    'softmax/many-rows:shape=65537x3;axis=1;input=spread',
    ({ alloc }) => ({
      alloc(length, dtype, use) {
        if (length > 2 ** 16) throw new SoftgradError('ERR_OUT_OF_MEMORY', 'a buffer has 2^16 elements at most');
        return alloc(length, dtype, use);
      },
    }),
  ),
  fault(
    'limit-of-classes-too-high',
    'announces rows of 2²⁸ classes, but handles only the first 1024.',
    'softmax/lengths:shape=3x1023..1025;axis=1;input=spread',
    (right) => ({
      softmax: (out, x, rows, parameters) =>
        right.softmax(out, x, { ...rows, classes: Math.min(rows.classes, 1024) }, parameters),
    }),
  ),
  fault(
    'vjp-flushes-undeclared',
    'announces that it preserves subnormals, but its vjp flushes them to 0.',
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
    'announces inPlace, but its binary clears out before it reads its operands.',
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
    'announces ieee, but its maximum of NaN and a number is the number.',
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
  fault(
    'basis-reduces-without-nan',
    'announces ieee, but its largest number of a row with NaN is that of the others.',
    'basis/reduce-non-finite',
    ({ basis }) =>
      basis
        ? {
            basis: {
              ...basis,
              reduce(out, op, x, rows) {
                const lost = x.data.map((value) => (Number.isNaN(value) ? Number.NEGATIVE_INFINITY : value));
                basis.reduce(out, op, op === 'max' ? { ...x, data: lost } : x, rows);
              },
            },
          }
        : {},
  ),
  fault('no-jacobian', 'lacks one of the three required kernels.', 'supports/complete', () => ({
    // An author's object may lack it where types are not checked.
    jacobian: undefined as never,
  })),
  fault('lost-as-promise', 'has a promise of the loss of its device, as a GPUDevice has.', 'supports/complete', () => ({
    lost: new Promise(() => {}) as never,
  })),
  fault('no-exp-ulp', 'does not announce the error of its exp.', 'supports/complete', ({ supports }) => ({
    supports: { ...supports, expUlp: undefined as never },
  })),
  fault('half-a-basis', 'has a basis without select.', 'supports/complete', ({ basis }) =>
    basis ? { basis: { ...basis, select: undefined as never } } : {},
  ),
  fault(
    'misspelt-kernel',
    'has a kernel whose name core does not know.',
    'supports/known-members',
    ({ kernels = {} }) => {
      const { logSoftmax, ...others } = kernels;
      return { kernels: Object.assign(others, { logSoftmaxx: logSoftmax }) };
    },
  ),
  fault('misspelt-verb', 'has a primitive whose name core does not know.', 'supports/known-members', ({ basis }) =>
    basis ? { basis: Object.assign({ reduceMax: basis.reduce }, basis) } : {},
  ),
];
