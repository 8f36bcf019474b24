import type { UnaryOp } from '@softgrad/core';
import type { TensorInfo } from '@tensorflow/tfjs-core';
import { broadcast, type ElementOp, type Shape, type Strides } from './verbs.js';

/** A value that is not computed yet: a tree whose leaves are buffers, constants and coordinates. */
export type Expression =
  | { readonly kind: 'input'; readonly shape: Shape; readonly info: TensorInfo; readonly strides: Strides }
  | { readonly kind: 'constant'; readonly shape: Shape; readonly value: number }
  | { readonly kind: 'coordinate'; readonly shape: Shape; readonly dimension: 2 | 3 }
  | {
      readonly kind: 'operation';
      readonly shape: Shape;
      readonly op: UnaryOp | ElementOp | 'select' | 'leading';
      readonly operands: readonly Expression[];
    };

export type Operation = Extract<Expression, { kind: 'operation' }>['op'];

export function operation(op: Operation, operands: readonly Expression[]): Expression {
  return { kind: 'operation', shape: broadcast(operands.map(({ shape }) => shape)), op, operands };
}

export function constant(value: number): Expression {
  return { kind: 'constant', shape: [1, 1, 1, 1], value };
}

/** The parts of a shading language in which GLSL and WGSL differ. */
export interface Language {
  declare(name: string, value: string): string;
  /** Element `index` of operand k, as a float. */
  load(k: number, index: string): string;
  toFloat(integer: string): string;
  /**
   * `exp` takes one operand, or two and returns the exp of their sum, of which the second is below 1. `leading` is its operand with no more than
   * 12 bits of significand; on a GPU the others are masked out, which no compiler can simplify.
   */
  operation: Readonly<Record<Operation, (...operands: readonly string[]) => string>>;
}

/**
 * Code that declares `n` and `p` such that `exp(x + lost)` is `2ⁿ p`, within 1 ULP. WGSL allows its own exp an error of 3 + 2|x| ULP, and devices
 * use it, because they compute `exp2(x · log₂ e)` with a rounded product. Here ln 2 is subtracted n times, in two parts (Cody and Waite), and p is a
 * polynomial by Chebyshev interpolation of (exp(t) − 1 − t)/t² on |t| ≤ ln 2/2. x is clamped where the result is 0 or Infinity. Multiply by
 * 2ⁿ in two factors, because 2ⁿ alone may be outside of float32's range.
 */
export function exponentialParts(declare: Language['declare']): string {
  return [
    declare('z', 'clamp(x, -110.0, 89.0)'),
    declare('n', 'floor(z * 1.44269504 + 0.5)'),
    declare('a', 'z - n * 0.693145751953125'),
    declare('b', 'lost - n * 1.42860677e-6'),
    declare('t', 'a + b'),
    declare('c2', '(t * 0.0013926250394433737 + 0.00836323294788599) * t + 0.04166655242443085'),
    declare('c1', '(c2 * t + 0.16666576266288757) * t + 0.5'),
    declare('p', '1.0 + (a + (b + t * t * c1))'),
  ].join('\n  ');
}

/** How a reduction combines `result` and `next`, and what it gives at the end. */
export interface Combination {
  readonly before: string;
  readonly step: string;
  readonly result: string;
}

/**
 * The reductions of a language. What each addition loses by rounding is added last (Knuth's TwoSum); a compiler that simplifies it makes it 0.
 *
 * @param before code that declares the variable `lost` as 0
 * @param total code for `result + lost` where `lost` is finite, else `result`
 */
export function combinations(
  declare: Language['declare'],
  before: string,
  total: string,
): Readonly<Record<'sum' | 'max', Combination>> {
  const step = [
    declare('sum', 'result + next'),
    declare('added', 'sum - result'),
    'lost += (result - (sum - added)) + (next - added);',
    'result = sum;',
  ].join('\n    ');
  return {
    max: { before: '', step: 'result = larger(result, next);', result: 'result' },
    sum: { before, step, result: total },
  };
}

/** An expression as code: statements that compute it at the position `at`, and the inputs and constants they use. */
export interface Emitted {
  readonly statements: string;
  readonly result: string;
  readonly inputs: readonly Extract<Expression, { kind: 'input' }>[];
  readonly constants: readonly number[];
}

/**
 * Each distinct node becomes one statement. Strides and constants are uniforms (`stride0`, `constant0`), not literals, so
 * that one compiled program works for every shape and temperature.
 */
export function emit(root: Expression, language: Language): Emitted {
  const names = new Map<Expression, string>();
  const inputs: Extract<Expression, { kind: 'input' }>[] = [];
  const constants: number[] = [];
  const statements: string[] = [];

  const codeOf = (node: Expression): string => {
    switch (node.kind) {
      case 'constant':
        constants.push(node.value);
        return `constant${constants.length - 1}`;
      case 'coordinate':
        return language.toFloat(`at.${'xyzw'[node.dimension]}`);
      case 'input': {
        const k = inputs.push(node) - 1;
        const steps = [...'xyzw'].map((d) => `at.${d} * stride${k}.${d}`);
        return language.load(k, steps.join(' + '));
      }
      case 'operation':
        return language.operation[node.op](...node.operands.map(visit));
    }
  };
  const visit = (node: Expression): string => {
    const known = names.get(node);
    if (known !== undefined) return known;
    const value = codeOf(node);
    const name = `v${names.size}`;
    names.set(node, name);
    statements.push(language.declare(name, value));
    return name;
  };
  const result = visit(root);
  return { statements: statements.join('\n  '), result, inputs, constants };
}
