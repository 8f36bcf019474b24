import type { ReduceOp } from '@softgrad/core';
import type { KernelBackend, TensorInfo } from '@tensorflow/tfjs-core';
import { deviceInfo } from '../storage.js';
import { constant, type Expression, operation } from './expression.js';
import {
  inOrder,
  ordered,
  type Program,
  type Shape,
  shapeOf,
  sizeOf,
  stridesOf,
  type Target,
  type Verbs,
} from './verbs.js';

/** The programs of a GPU engine; each writes `sizeOf(shape)` floats. */
export interface GpuPrograms {
  /** `out[at] = expression(at)`. */
  map(expression: Expression, shape: Shape): TensorInfo;
  /**
   * Reduces the third dimension of the expression in windows. The third dimension of `shape` is the number of windows; window w
   * covers the elements from w·window to (w+1)·window or to the last.
   */
  reduce(op: ReduceOp, expression: Expression, shape: Shape, window: number): TensorInfo;
}

/** Each row up to this length is reduced by one invocation; longer rows are reduced in about √n windows first. */
const longestWindow = 64;

/** Runs kernels as few fused GPU programs: elementwise operations become part of the program that uses them. */
export function runLazily(
  instance: KernelBackend,
  programs: GpuPrograms,
  targets: readonly Target[],
  program: Program,
): readonly TensorInfo[] {
  const made: TensorInfo[] = [];
  const kept = (info: TensorInfo, shape: Shape): Expression => {
    made.push(info);
    return { kind: 'input', shape, info, strides: stridesOf(shape) };
  };
  const reduce = (op: ReduceOp, x: Expression): Expression => {
    const [a, b, length, d] = x.shape;
    if (length === 1) return x;
    let rest = x;
    if (length > longestWindow) {
      const window = Math.ceil(Math.sqrt(length));
      const partial: Shape = [a, b, Math.ceil(length / window), d];
      rest = kept(programs.reduce(op, x, partial, window), partial);
    }
    const reduced: Shape = [a, b, 1, d];
    return kept(programs.reduce(op, rest, reduced, rest.shape[2]), reduced);
  };
  const term = (x: Expression | number) => (typeof x === 'number' ? constant(x) : x);
  const verbs: Verbs<Expression> = {
    input(buffer, shape, order = inOrder) {
      const steps = stridesOf(shape);
      const reordered = ordered(steps, order);
      return { kind: 'input', shape: ordered(shape, order), info: deviceInfo(instance, buffer), strides: reordered };
    },
    coordinate: (dimension, size) => {
      const shape: Shape = dimension === 2 ? [1, 1, size, 1] : [1, 1, 1, size];
      return { kind: 'coordinate', shape, dimension };
    },
    unary: (op, x) => operation(op, [x]),
    gap(x, shift, divisor) {
      const { value, lost } = gapOf(x, shift, divisor);
      return {
        value,
        lost,
        exp: () => operation('exp', [value, lost]),
        sumOfOthers(exponentials) {
          const isLargest = operation('equal', [value, constant(0)]);
          const lower = reduce('sum', operation('sub', [exponentials, isLargest]));
          // Every entry that equals the largest but one counts.
          return operation('add', [lower, operation('sub', [reduce('sum', isLargest), constant(1)])]);
        },
      };
    },
    log1p,
    complement,
    binary: (op, a, b) => operation(op, [term(a), term(b)]),
    select: (condition, a, b) => operation('select', [term(condition), term(a), term(b)]),
    reduce,
    keep: (x) => (x.kind === 'operation' ? kept(programs.map(x, x.shape), x.shape) : x),
    softmax: () => null,
    centred: () => null,
    slopes: () => null,
    sigmoid: () => null,
  };
  const results: TensorInfo[] = [];
  try {
    for (const [k, result] of program(verbs).entries()) results.push(programs.map(result, shapeOf(targets, k)));
    return results;
  } catch (error) {
    // The results of the earlier targets have no owner yet.
    made.push(...results);
    throw error;
  } finally {
    for (const info of made) instance.disposeData(info.dataId);
  }
}

/**
 * The rounding error of a difference is computed exactly (Knuth, TAOCP vol. 2, 4.2.2, theorem B). That of a quotient q is the remainder
 * `difference − q · divisor`, divided by the divisor; the products are exact, because both factors are split into parts of 12 bits (Dekker, "A
 * floating-point technique for extending the available precision", 1971). The last part of the divisor is what float32 cannot hold of it. A shader
 * compiler that reassociates sums makes the error 0.
 */
function gapOf(x: Expression, shift: Expression, divisor: number): Record<'value' | 'lost', Expression> {
  const difference = operation('sub', [x, shift]);
  const z = operation('sub', [difference, x]);
  const ofX = operation('sub', [x, operation('sub', [difference, z])]);
  const lost = operation('sub', [ofX, operation('add', [shift, z])]);
  if (divisor === 1) return { value: difference, lost: ifFinite(lost) };
  const size = constant(divisor);
  const [first, second] = [leading(divisor), leading(divisor - leading(divisor))];
  const [head, middle, tail] = [constant(first), constant(second), constant(divisor - first - second)];
  const value = operation('div', [difference, size]);
  const upper = operation('leading', [value]);
  const lower = operation('sub', [value, upper]);
  const products = [
    [upper, head],
    [lower, head],
    [upper, middle],
    [lower, middle],
    [value, tail],
  ].map((factors) => operation('mul', factors));
  const rest = products.reduce((dividend, product) => operation('sub', [dividend, product]), difference);
  return { value, lost: ifFinite(operation('div', [operation('add', [rest, lost]), size])) };
}

/** The error of an infinite or NaN gap is not finite. One of 1 or more belongs to a gap above 2²³, whose exponential is 0. */
function ifFinite(lost: Expression): Expression {
  const isSmall = operation('sub', [constant(1), operation('mul', [lost, lost])]);
  return operation('select', [isSmall, lost, constant(0)]);
}

/** x rounded to 12 bits of significand (Dekker). */
function leading(x: number): number {
  const product = Math.fround(4097 * Math.fround(x));
  return product - Math.fround(product - Math.fround(x));
}

/** Denominators of the series of artanh(z) / z between its 1 and its z¹⁴/15: for z ≤ 1/3 the next term is below half an ULP of float32. */
const denominators = [13, 11, 9, 7, 5, 3];

/**
 * Up to 1 it is `2 artanh(x / (2 + x))` by its series: a GPU's log has an absolute error between ½ and 2, and its compiler may take a correction
 * by what 1 + x drops for 0.
 */
function log1p(x: Expression): Expression {
  const z = operation('div', [x, operation('add', [x, constant(2)])]);
  const square = operation('mul', [z, z]);
  const series = denominators.reduce<Expression>(
    (sum, k) => operation('mul', [square, operation('add', [sum, constant(1 / k)])]),
    operation('mul', [square, constant(1 / 15)]),
  );
  const twice = operation('add', [z, z]);
  const bySeries = operation('add', [twice, operation('mul', [twice, series])]);
  const sum = operation('add', [x, constant(1)]);
  const isLarge = operation('sub', [sum, constant(2)]);
  return operation('select', [isLarge, operation('log', [sum]), bySeries]);
}

/**
 * `2 z / (z + z coth z)` with z = −y / 2, and z coth z as the continued fraction `1 + z² / (3 + z² / (5 + …))`, whose next term would change the result by
 * 2⁻²⁹: a GPU has no expm1, and `1 − exp(y)` would cancel.
 */
function complement(y: Expression): Expression {
  const z = operation('mul', [y, constant(-0.5)]);
  const square = operation('mul', [z, z]);
  const fraction = [5, 3, 1].reduce<Expression>(
    (sum, k) => operation('add', [operation('div', [square, sum]), constant(k)]),
    constant(7),
  );
  return operation('div', [operation('sub', [constant(0), y]), operation('add', [fraction, z])]);
}

/** The output shape of a program for tfjs: one dimension. */
export function flat(shape: Shape): number[] {
  return [sizeOf(shape)];
}
