import { expect, inject, test } from 'vitest';
import { readValues } from '../src/arrays.js';
import { type DiagnoseInput, diagnose } from '../src/index.js';
import { right } from '../src/mistakes/right.js';
import { readProblem } from '../src/problem.js';
import { readingsOf } from '../src/reading.js';
import { search } from '../src/search.js';
import { cases } from './cases.js';

const all = [...cases(true)];
const oneOf = inject('everything') ? 23 : 61;
const asked = all.filter(({ input }, k) => k % oneOf === 0 && typeof input.gradient !== 'string');

test('an explanation that is no match is kept for the comparison, once', () => {
  const counts = asked.map(({ input }) => {
    const problem = readProblem(input);
    const { matches, others } = search(problem, readingsOf(problem, readValues('gradient', input.gradient)));
    const found = [...matches, ...others].map(({ id }) => id).filter((id) => id !== right.id);
    expect(found.filter((id, k) => found.indexOf(id) !== k)).toEqual([]);
    return others.length;
  });
  // Few explanations are about Jacobians, most about gradients.
  const several = counts.filter((count) => count > 5);
  expect(several.length / counts.length).toBeGreaterThan(0.9);
});

test('the next best explanation is in the notes, as one that is off or as one that fits as well', () => {
  const counts = { off: 0, fits: 0, none: 0 };
  // With few digits, what is right of a saturated softmax often fits no better than others.
  const rounded = all.filter(({ truth, noise }) => /^(?:right|saturated)$/.test(truth) && noise === 'bfloat16');
  const tied: DiagnoseInput = {
    logits: [
      [12, 0.4559079706668854, -0.19139133393764496],
      [-0.09443187713623047, 12, -0.4123150110244751],
    ],
    upstream: [
      [-0.44994276762008667, 0.42589065432548523, 1.0567270517349243],
      [0.10748942196369171, 0.29788461327552795, -0.26529911160469055],
    ],
    gradient: [
      [-3 * 2 ** -24, 2 ** -24, 2 ** -24],
      [0, 0, 0],
    ],
    temperature: 0.7,
  };
  for (const input of [...[...asked, ...rounded].map((one) => one.input), tied]) {
    const { matches, evidence } = diagnose(input);
    const notes = evidence.notes.filter((note) => /^(The next best explanation|Within that rounding), /.test(note));
    const [best] = matches;
    const { nextBest } = evidence;
    if (!best || !nextBest) {
      expect(notes).toEqual([]);
      counts.none++;
      continue;
    }
    const isOff = nextBest.error > best.error;
    const named = `${nextBest.name} (${nextBest.formula})`;
    expect(notes).toEqual([
      isOff
        ? expect.stringContaining(`The next best explanation, ${named}, is off by `)
        : `Within that rounding, ${named} fits as well.`,
    ]);
    counts[isOff ? 'off' : 'fits']++;
  }
  expect(
    Object.values(counts).every((count) => count > 0),
    JSON.stringify(counts),
  ).toBe(true);
});
