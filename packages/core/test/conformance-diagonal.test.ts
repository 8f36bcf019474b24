import { expect, test } from 'vitest';
import { operations } from '../conformance/operations/all.js';
import { operationPrecision } from '../conformance/precision.js';
import { problemOf } from '../conformance/problem.js';
import type { ProblemStatement } from '../conformance/statement.js';
import { rowIndices } from '../reference/functions.js';

const precision = operationPrecision({ expUlp: { base: 1, slope: 0.5 }, subnormals: 'preserve' }, 'float32');
const statements: readonly ProblemStatement[] = [
  { shape: [3, 5, 2], axis: 1, input: 'spread', temperature: 0.7, mask: 'full' },
  { shape: [7, 4], axis: 0, input: 'spread', mask: 'row' },
  // Entries above ½ have a bound of their own.
  { shape: [13, 6], axis: 1, input: 'confident' },
];

test.each(operations.filter(({ member }) => member === 'diagonal').map((operation) => [operation.name, operation]))(
  '%s is expected to be the diagonal of the matrices, to the bit, and so is its bound',
  (name, diagonal) => {
    const dense = operations.find((operation) => operation.name === name.replace('diagonal', 'toDense'));
    for (const statement of statements) {
      const problem = problemOf(statement);
      const { rows } = problem;
      const values = diagonal.operands(problem).map((operand) => operand.values);
      const matrices = dense?.expected(values, problem) ?? [];
      const bounds = dense?.tolerance(precision, values, new Float64Array(matrices), problem) ?? [];
      const expected = diagonal.expected(values, problem);
      const tolerance = diagonal.tolerance(precision, values, expected, problem);
      expect(expected.length).toBe(problem.values.length);
      rowIndices(rows).forEach((at, row) => {
        for (const [c, i] of at.entries()) {
          const place = (row * rows.classes + c) * rows.classes + c;
          expect([expected[i], tolerance[i]]).toEqual([matrices[place], bounds[place]]);
        }
      });
    }
  },
);
