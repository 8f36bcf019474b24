import type { Value } from '../backend/graph.js';
import type { KernelName } from '../backend/interface.js';
import type { SoftmaxAlgebra } from '../backend/softmax-algebra.js';

/** A function of core as data: its names and its mathematics. */
export interface Definition {
  /** The public name: `logSoftmax`. */
  readonly name: string;
  /** 'rows': along an axis, with temperature and mask. 'entries': elementwise, without these options. */
  readonly over: 'rows' | 'entries';
  /** The factor of the temperature: −1 for softmin. Default 1. */
  readonly sign?: 1 | -1;
  /** The derivatives, which take the output, are the same at the input. */
  readonly alsoOfInput?: true;
  readonly value: Member;
  readonly gradient?: Member;
  readonly vjp: Member;
  readonly jvp: Member;
  /** The derivative of the vjp along a tangent. */
  readonly hvp?: Member;
  /** The derivative of the vjp with respect to the output that it takes, multiplied from the left with an upstream gradient. */
  readonly doubleBackward?: Member;
  readonly jacobian?: Member;
  /** The Jacobian's diagonal, which `linearize` has in addition to the matrices. */
  readonly diagonal?: Member;
}

/** The derivatives that `define` makes functions of. */
export const derivativeNames = ['gradient', 'vjp', 'jvp', 'hvp', 'doubleBackward', 'jacobian'] as const;

/** The members of a definition: its functions, and the diagonal, which only `linearize` offers. */
export type MemberName = 'value' | (typeof derivativeNames)[number] | 'diagonal';

/** One function of a definition: its value, or one of its derivatives. */
export interface Member {
  /** The name of its operand, which is the function's input or its output. */
  readonly operand: 'logits' | 'x' | 'probabilities' | 'logProbabilities' | 'y';
  /** The second operand, if there is one. */
  readonly direction?: 'cotangent' | 'tangent';
  /** 'rows': the second operand has one number a row. Default 'entries': it has the shape of the first. */
  readonly directionOver?: 'rows' | 'entries';
  /** The third operand, if there is one, in the shape of the first: the direction of a second derivative. */
  readonly along?: 'tangent' | 'upstream';
  /** Shape of the result: that of the operand (default), one number a row, or a classes × classes matrix a row. */
  readonly result?: 'entries' | 'rows' | 'matrices';
  /** The value for a row without entries. */
  readonly ofNothing?: number;
  /** The backend's kernel for it. */
  readonly kernel?: Exclude<KernelName, 'crossEntropy'>;
  /** The composition for backends without the kernel, or if it declines. */
  formula<B>(m: Expressions<B>, ...operands: Value<B>[]): Value<B>;
  /** Sets masked entries of the result of a derivative at the output to 0. Default `m.keep(result, 0)`. */
  keep?<B>(m: Expressions<B>, result: Value<B>): Value<B>;
}

/** The algebra in which formulas are written: operations of the backend's basis and other functions of core. */
export interface Expressions<B> extends SoftmaxAlgebra<B> {
  /** A function of core as a term, with the temperature and mask of this call, computed with its kernel if the backend has one. */
  of(member: Member, ...operands: Value<B>[]): Value<B>;
}

/** The public name of a function. */
export function operationName({ name }: Definition, member: MemberName): string {
  if (member === 'value') return name;
  return member === 'diagonal' ? `${name}.linearize.diagonal` : `${name}.${member}`;
}
