import type { Algebra } from '../backend/algebra.js';
import type { Value } from '../backend/graph.js';
import type { Backend, KernelName, Rows, SoftmaxParameters } from '../backend/interface.js';

/** A function of core as data: its names and its mathematics. */
export interface Definition {
  /** The public name: `logSoftmax`. */
  readonly name: string;
  /** 'rows': of logits, along an axis, with temperature and mask. 'entries': of x, elementwise, without these options. */
  readonly over: 'rows' | 'entries';
  /** The factor of the temperature: −1 for softmin. Default 1. */
  readonly sign?: 1 | -1;
  /** What its output is called where derivatives take it. Without a name they take the input. */
  readonly output?: 'probabilities' | 'logProbabilities' | 'y';
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

/** The members of a definition with the directions that each takes after its first operand. Only `linearize` offers the diagonal. */
export const directionsOf = {
  value: [],
  gradient: [],
  vjp: ['cotangent'],
  jvp: ['tangent'],
  hvp: ['cotangent', 'tangent'],
  doubleBackward: ['cotangent', 'upstream'],
  jacobian: [],
  diagonal: [],
} as const;

export type MemberName = keyof typeof directionsOf;

/** A kernel, and how it is called. */
export interface Kernel {
  readonly name: Exclude<KernelName, 'crossEntropy'>;
  /** Returns false if the backend does not have it, or declines. */
  call<B>(backend: Backend<B>, call: KernelCall<B>, out: B, operands: Operands<B>): void | false;
}

/** A member has exactly the operands that its kernel takes. By index, because the iterator of a pattern takes time in short calls. */
export type Operands<B> = readonly [first: B, second: B, third: B];

/** What a kernel is called with beside its buffers. */
export interface KernelCall<B> extends SoftmaxParameters<B> {
  readonly rows: Rows;
}

/** One function of a definition: its value, or one of its derivatives. */
export interface Member {
  /** The cotangent has one number a row. Otherwise it has the shape of the first operand, as all other directions do. */
  readonly cotangent?: 'rows';
  /** One number a row, or a classes × classes matrix a row. Otherwise the result has the shape of the first operand. */
  readonly result?: 'rows' | 'matrices';
  /** The value for a row without entries. */
  readonly ofNothing?: number;
  /** It depends on `x / T` alone, so that it can be computed from other logits at a temperature near 1. */
  readonly isOfQuotient?: true;
  /** The kernel of backends that have one for it. */
  readonly kernel?: Kernel;
  /** The kernel that takes the mask of a derivative at the output, too. */
  readonly masked?: Pick<Kernel, 'call'>;
  /** The composition for backends without the kernel, or if it declines. */
  formula<B>(m: Expressions<B>, ...operands: Value<B>[]): Value<B>;
}

/** The algebra in which formulas are written: operations of the backend's basis and other functions of core. */
export interface Expressions<B> extends Algebra<B> {
  /** A function of core as a term, with the temperature and mask of this call, computed with its kernel if the backend has one. */
  of(member: Member, ...operands: Value<B>[]): Value<B>;
  /** A function whose kernel every backend has, at temperature 1 without a mask: that call may not be declined. @throws ERR_UNSUPPORTED if it is */
  plain(member: Member, ...operands: Value<B>[]): Value<B>;
  /** A function of core at another temperature. */
  at(temperature: number, member: Member, ...operands: Value<B>[]): Value<B>;
}

/** Whether the first operand of a function is the output, as that of most derivatives, and not the input. */
export function takesOutput({ output }: Definition, member: MemberName): boolean {
  return member !== 'value' && output !== undefined;
}

/** The public name of a function. */
export function operationName({ name }: Definition, member: MemberName): string {
  if (member === 'value') return name;
  return member === 'diagonal' ? `${name}.linearize.diagonal` : `${name}.${member}`;
}
