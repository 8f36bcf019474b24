import { isSoftgradError } from '@softgrad/core';
import { describe, expect, test } from 'vitest';
import { type DiagnoseInput, diagnose } from '../src/index.js';

const rows = 2;
const classes = 3;
const zeros = () => Array.from({ length: rows }, () => Array.from({ length: classes }, () => 0));
const thirds = () => Array.from({ length: rows }, () => [0.25, 0.25, 0.5]);
const ones = () => Array.from({ length: rows }, () => Array.from({ length: classes }, () => 1));
const gradient = zeros();

function refusal(input: DiagnoseInput): string {
  try {
    diagnose(input);
  } catch (error) {
    if (isSoftgradError(error)) return `${error.code} ${error.message}`;
    throw error;
  }
  return 'no error';
}

/** The places of a matrix, with a copy that has another number there. */
function* changed(
  matrix: number[][],
  to: number,
): Generator<readonly [row: number, column: number, matrix: number[][]]> {
  for (let n = 0; n < rows; n++) {
    for (let i = 0; i < classes; i++) {
      yield [n, i, matrix.map((row, k) => row.map((value, j) => (k === n && j === i ? to : value)))];
    }
  }
}

describe('an impossible number is named with its place, wherever it is', () => {
  test.each([
    ['logits', zeros(), Number.NaN, 'expected a finite number or -Infinity (masked out)'],
    ['logits', zeros(), Number.POSITIVE_INFINITY, 'expected a finite number or -Infinity (masked out)'],
    ['probabilities', thirds(), -0.1, 'expected a number from 0 to 1'],
    ['probabilities', thirds(), 1.5, 'expected a number from 0 to 1'],
    ['probabilities', thirds(), Number.NaN, 'expected a number from 0 to 1'],
    ['upstream', zeros(), Number.NEGATIVE_INFINITY, 'expected a finite number'],
    ['upstream', zeros(), Number.NaN, 'expected a finite number'],
    ['target', thirds(), -0.1, 'expected a probability'],
    ['target', thirds(), Number.POSITIVE_INFINITY, 'expected a probability'],
  ] as const)('%s', (name, matrix, wrong, expected) => {
    for (const axis of [-1, 0]) {
      for (const [n, i, operand] of changed(matrix, wrong)) {
        const logits = name === 'probabilities' ? {} : { logits: zeros() };
        const found = refusal({ ...logits, gradient, axis, [name]: operand });
        expect(found).toContain(`ERR_VALUE diagnose: ${name}[${n}][${i}] is ${wrong}; ${expected}`);
      }
    }
  });

  test('mask', () => {
    for (const [n, i, mask] of changed(ones(), 2)) {
      expect(refusal({ logits: zeros(), gradient, mask })).toBe(
        `ERR_VALUE diagnose: mask entry ${n * classes + i} is 2; expected true or 1 where an entry takes part, false or 0 where it does not`,
      );
    }
  });

  test('weight', () => {
    for (const wrong of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
      for (let i = 0; i < classes; i++) {
        const weight = [1, 1, 1].map((value, k) => (k === i ? wrong : value));
        expect(refusal({ logits: zeros(), gradient, target: [0, 1], weight })).toBe(
          `ERR_VALUE diagnose: weight[${i}] is ${wrong}; expected a finite number from 0`,
        );
      }
    }
  });

  test('class indices, of classes that there are not or that are masked', () => {
    for (let row = 0; row < rows; row++) {
      for (const wrong of [classes, -1, 0.5]) {
        const target = [0, 1].map((value, k) => (k === row ? wrong : value));
        expect(refusal({ logits: zeros(), gradient, target })).toContain(`target entry ${row} is ${wrong}; expected`);
      }
      for (let i = 0; i < classes; i++) {
        const mask = ones().map((own, k) => own.map((value, j) => (k === row && j === i ? 0 : value)));
        const other = (i + 1) % classes;
        const target = [0, 1].map((_, k) => (k === row ? i : other));
        expect(refusal({ logits: zeros(), gradient, mask, target })).toBe(
          `ERR_VALUE diagnose: target entry ${row} is class ${i}, which is masked`,
        );
      }
    }
  });
});
