import { expect, test } from 'vitest';
import { readValues } from '../src/arrays.js';
import { right } from '../src/mistakes/right.js';
import { readProblem } from '../src/problem.js';
import { readingsOf } from '../src/reading.js';
import { search } from '../src/search.js';
import { cases } from './cases.js';

test('an explanation that is no match is kept for the comparison, once', () => {
  const asked = [...cases(true)].filter(({ input }, k) => k % 23 === 0 && typeof input.gradient !== 'string');
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
