import type { Rows } from '@softgrad/core';
import type { Reduction } from '../kernel-places.js';
import type { Launch } from '../launch.js';
import type { Program, Quotient } from '../program.js';
import type { GpujsBuffer } from '../storage.js';
import { bySum } from './reduce.js';

const p = 'this.thread.x';

/** For an element of (outer, inner, classes, classes): its row and column in the matrix, its matrix, and the indices of their operands. */
function placeOf(quotient: Quotient) {
  const line = quotient(p, 'classes');
  const matrix = quotient(p, 'classes * classes');
  const outer = quotient(p, 'classes * classes * inner');
  return {
    r: `${line} - ${matrix} * classes`,
    c: `${p} - ${line} * classes`,
    matrix,
    operand: (k: string) => `(${outer} * classes + ${k}) * inner + ${matrix} - ${outer} * inner`,
  };
}

const softmaxJacobian: Program = {
  name: 'jacobian',
  arrays: ['s', 'others'],
  integers: ['classes', 'inner'],
  numbers: ['temperature'],
  body(quotient) {
    const { r, c, matrix, operand } = placeOf(quotient);
    return `
    const a = s[${operand(r)}];
    const b = s[${operand(c)}];
    if (${r} == ${c}) {
      if (a > 0.5) { return a * others[${matrix}] / temperature; }
      return a * (1 - b) / temperature;
    }
    return -a * b / temperature;`;
  },
};

/** The sum of a row without a probability above ½: it replaces `1 − s` for this probability, which would cancel. */
const sumOfOthers: Reduction = {
  name: 'jacobian/others',
  arrays: ['s'],
  start: () => 'let result = 0;',
  step: (j) => `if (s[${j}] <= 0.5) { part += s[${j}]; }`,
  inParts: true,
};

const logSoftmaxJacobian: Program = {
  name: 'log-softmax/jacobian',
  arrays: ['y'],
  integers: ['classes', 'inner'],
  numbers: ['temperature'],
  body(quotient) {
    const { r, c, operand } = placeOf(quotient);
    return `
    const v = y[${operand(c)}];
    const b = expOf(v);
    if (${r} == ${c}) {
      if (b > 0.5) { return complementOf(v) / temperature; }
      return (1 - b) / temperature;
    }
    return -b / temperature;`;
  },
};

/** `(diag(s) − s sᵀ) / T`, one matrix per row, rows in (outer, inner) order. */
export function softmaxJacobianInto(
  launch: Launch,
  out: GpujsBuffer,
  probabilities: GpujsBuffer,
  rows: Rows,
  temperature: number,
): void {
  const { outer, classes, inner } = rows;
  launch.within((scratch) => {
    const others = scratch(outer * inner);
    launch.reduce(sumOfOthers, others, [probabilities], rows, {}, bySum);
    launch.run(softmaxJacobian, out, [probabilities, others], [classes, inner, temperature]);
  });
}

/** `(δ_rc − exp(y_c)) / T`. */
export function logSoftmaxJacobianInto(
  launch: Launch,
  out: GpujsBuffer,
  logProbabilities: GpujsBuffer,
  rows: Rows,
  temperature: number,
): void {
  const { classes, inner } = rows;
  launch.run(logSoftmaxJacobian, out, [logProbabilities], [classes, inner, temperature]);
}
