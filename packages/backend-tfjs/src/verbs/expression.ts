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
      readonly op: UnaryOp | ElementOp | 'select';
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
  operation: Readonly<Record<Operation, (...operands: readonly string[]) => string>>;
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
