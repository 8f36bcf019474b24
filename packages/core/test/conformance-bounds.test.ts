import { describe, expect, test } from 'vitest';
import { assertClose, toleranceUsed } from '../conformance/check.js';
import { rounded } from '../conformance/inputs.js';
import * as bounds from '../conformance/tolerance.js';
import * as lossBounds from '../conformance/tolerance-cross-entropy.js';
import * as secondBounds from '../conformance/tolerance-hvp.js';
import { arithmetics } from './bounds/arithmetic.js';
import { sizesOf } from './bounds/sizes.js';
import { subjects as others, problemOf, type Setting } from './bounds/subjects.js';
import { lossSubjects } from './bounds/subjects-cross-entropy.js';
import { markdown, sharesOf, titles } from './bounds/table.js';

const subjects = [...others, ...lossSubjects];
const exported = Object.keys({ ...bounds, ...lossBounds, ...secondBounds }).filter((name) =>
  name.endsWith('Tolerance'),
);

describe('every bound', () => {
  test('that the suite exports is measured here', () => {
    expect(exported.length).toBeGreaterThanOrEqual(15);
    expect(new Set(subjects.map(({ bound }) => bound))).toEqual(new Set(exported));
  });

  test('admits the usual formula, every step of it rounded, and float32 uses a fifth or more: a looser one would hide mistakes', async () => {
    const table = subjects.map(sharesOf);
    const refused = table.flatMap(({ subject, shares }) =>
      shares.flatMap((share, k) => (share <= 1 ? [] : [`${subject.name}, ${titles[k]}: ${share}`])),
    );
    expect(refused).toEqual([]);
    const loose = exported.filter((name) => {
      const rows = table.filter(({ subject }) => subject.bound === name);
      return !(Math.max(...rows.flatMap(({ shares }) => shares.slice(0, 6))) >= 0.2);
    });
    expect(loose, `\n${markdown(table)}`).toEqual([]);
    await expect(markdown(table)).toMatchFileSnapshot('bounds/shares.md');
  });

  test('is as large as the table says', async () => {
    await expect(sizesOf(subjects)).toMatchFileSnapshot('bounds/sizes.md');
  });
});

/** Ordinary rows, and rows whose probabilities underflow or are 0. */
const tried: readonly Setting[] = [
  { input: 'spread', classes: 5 },
  { input: 'spread', classes: 5, temperature: 0.7 },
  { input: 'wide', classes: 5 },
  { input: 'removed', classes: 5 },
];

/** In float64 an expected value is itself rounded, which a bound of one or two units shows. */
const coarse = arithmetics.filter(({ dtype }) => dtype !== 'float64');

/** The message of the error that an action throws. */
function messageOf(action: () => void): string {
  try {
    action();
  } catch (error) {
    return (error as Error).message;
  }
  return 'nothing was thrown';
}

/** Whether a message says that one element is beyond its bound, and which. */
function namesOne(message: string, element: number, length: number): boolean {
  return (
    message.includes(`: element ${element} is `) &&
    message.includes(' times the bound of ') &&
    message.endsWith(`; 1 of ${length} are wrong`)
  );
}

test.for(subjects)(
  'a result of $name is accepted within its bound and refused beyond it, in each element',
  (subject) => {
    for (const arithmetic of coarse) {
      for (const setting of tried) {
        const { expected, bound } = subject.measure(problemOf(arithmetic, setting));
        const right = expected.map((value) => rounded(value, arithmetic.dtype));
        assertClose(subject.name, right, expected, bound);
        expected.forEach((value, i) => {
          // Infinities, and results of infinities, are exact.
          if (!Number.isFinite(value) || !Number.isFinite(bound[i])) {
            for (const other of [-3e38, 1e-45])
              expect(toleranceUsed(other, value, bound[i])).toBe(Number.POSITIVE_INFINITY);
            return;
          }
          for (const sign of [-1, 1]) {
            const compare = (units: number) =>
              assertClose(subject.name, right.with(i, value + sign * units * bound[i]), expected, bound);
            compare(0.9);
            const message = messageOf(() => compare(1.5));
            // Not `toThrow`, which takes most of the time of these thousands of comparisons.
            if (!namesOne(message, i, expected.length)) expect(message).toBe(`an error about element ${i} alone`);
          }
        });
      }
    }
  },
);
