import type { Value } from '../backend/graph.js';
import type { KernelName } from '../backend/interface.js';
import type { SoftmaxAlgebra } from '../backend/softmax-algebra.js';

/** A function of core as data: its names and its mathematics. */
export interface Definition {
  /** As a user writes it: `logSoftmax`. */
  readonly name: string;
  /** 'rows': along an axis, at a temperature, under a mask. 'entries': each entry by itself, without options. */
  readonly over: 'rows' | 'entries';
  /** What the temperature is multiplied by: −1 for softmin. Default 1. */
  readonly sign?: 1 | -1;
  readonly value: Member;
  readonly gradient?: Member;
  readonly vjp: Member;
  readonly jvp: Member;
  /** The derivative of the vjp along a tangent. */
  readonly hvp?: Member;
  /** The derivative of the vjp with respect to the output that it takes, multiplied from the left with an upstream gradient. */
  readonly doubleBackward?: Member;
  readonly jacobian?: Member;
  /** The Jacobian's diagonal, which `linearize` offers beside the matrices. */
  readonly diagonal?: Member;
}

/** The functions that a definition makes beside its value. */
export const derivativeNames = ['gradient', 'vjp', 'jvp', 'hvp', 'doubleBackward', 'jacobian'] as const;

/** What a definition has formulas of: its functions, and the diagonal, which only `linearize` offers. */
export type MemberName = 'value' | (typeof derivativeNames)[number] | 'diagonal';

/** One function of a definition: its value, or one of its derivatives. */
export interface Member {
  /** What its operand is: the function's input, or its output under the name that it has there. */
  readonly operand: 'logits' | 'x' | 'probabilities' | 'logProbabilities' | 'y';
  /** The second operand, if there is one. */
  readonly direction?: 'cotangent' | 'tangent';
  /** 'rows': the second operand has one number a row. Default 'entries': it has the shape of the first. */
  readonly directionOver?: 'rows' | 'entries';
  /** The third operand, if there is one, in the shape of the first: the direction of a second derivative. */
  readonly along?: 'tangent' | 'upstream';
  /** Shape of the result: that of the operand (default), one number a row, or a classes × classes matrix a row. */
  readonly result?: 'entries' | 'rows' | 'matrices';
  /** What one number a row is where rows have no entries. */
  readonly ofNothing?: number;
  /** The backend's kernel for it. */
  readonly kernel?: Exclude<KernelName, 'crossEntropy'>;
  /** How it is composed where there is no kernel or it declines. */
  formula<B>(m: Expressions<B>, ...operands: Value<B>[]): Value<B>;
  /** How a mask is taken care of around `unmasked`, by those that can't have one: derivatives. */
  masked?<B>(m: Expressions<B>, unmasked: (...operands: Value<B>[]) => Value<B>, ...operands: Value<B>[]): Value<B>;
}

/** What formulas are written in: the algebra over the backend's basis, with the other functions of core as terms. */
export interface Expressions<B> extends SoftmaxAlgebra<B> {
  /** The value of a function at the temperature and under the mask of this call: by its kernel if the backend has one. */
  of(member: Member, ...operands: Value<B>[]): Value<B>;
}

/** The name of a function as a user writes it. */
export function operationName({ name }: Definition, member: MemberName): string {
  if (member === 'value') return name;
  return member === 'diagonal' ? `${name}.linearize.diagonal` : `${name}.${member}`;
}
