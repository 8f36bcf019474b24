import {
  type BuiltIn,
  crossEntropy,
  logSoftmax,
  logSumExp,
  type Op,
  relu,
  sigmoid,
  softmax,
  softmin,
} from '@softgrad/core';

/** Every function of core. One that is missing here is a compile error. */
const functions = {
  softmax,
  softmin,
  logSoftmax,
  logSumExp,
  sigmoid,
  relu,
  crossEntropy,
} as const satisfies Record<Op, BuiltIn>;

/** All but softmin, which is softmax at a negative temperature on the same kernels. */
export type Measured = Exclude<Op, 'softmin'>;

/** A function, its derivatives, and the diagonal of its `linearize`; the matrices of that are those of `jacobian`. The value of crossEntropy is that of two of its members. */
export type NamesOf<K extends Measured> =
  | Exclude<K, 'crossEntropy'>
  | `${K}.${Exclude<keyof (typeof functions)[K] & string, 'linearize'>}`
  | ('jacobian' extends keyof (typeof functions)[K] ? `${K}.linearize.diagonal` : never);

/** A function of core whose errors can be measured: `softmax`, `softmax.vjp`. */
export type AccuracyOpName = { readonly [K in Measured]: NamesOf<K> }[Measured];
