import type { Op } from '@softgrad/core';

/** What is timed of each function of core with its default options, by its name in reports. A function that is missing here is a compile error. */
const timed = {
  softmax: ['softmax', 'jacobian', 'vjp'],
  logSoftmax: ['logSoftmax'],
  crossEntropy: ['crossEntropy'],
  // Softmax with a factor of −1.
  softmin: [],
  // The same as logSoftmax without its last pass.
  logSumExp: [],
  sigmoid: ['sigmoid'],
  relu: ['relu'],
} as const satisfies Record<Op, readonly string[]>;

/** A function of core, or softmax's `jacobian` and `vjp`, with its default options. */
export type PlainOp = (typeof timed)[Op][number];

/** All ops with their default options. */
export const plainOps: readonly PlainOp[] = Object.values(timed).flat();

/** An op and the options that it is called with. */
export interface OpParts {
  readonly op: PlainOp;
  /**
   * 'padding' masks the last quarter of the classes in all rows: one row of booleans, which is broadcast. 'causal' has a boolean for each logit, and
   * row by row one class more is kept, until the last row keeps all: the scores of queries of which none may see the keys after it.
   */
  readonly mask?: 'padding' | 'causal';
  readonly temperature?: number;
  readonly labelSmoothing?: number;
  /** Default: class indices. 'someIgnored' are class indices as well, but every fourth row has the index that is ignored. */
  readonly target?: 'probabilities' | 'someIgnored';
  /** Whether the classes have weights. */
  readonly weight?: true;
}

const withOptions = {
  'softmax:paddingMask': { op: 'softmax', mask: 'padding' },
  'softmax:causalMask': { op: 'softmax', mask: 'causal' },
  'softmax:temperature': { op: 'softmax', temperature: 0.7 },
  'vjp:causalMask': { op: 'vjp', mask: 'causal' },
  'crossEntropy:labelSmoothing': { op: 'crossEntropy', labelSmoothing: 0.1 },
  'crossEntropy:probabilities': { op: 'crossEntropy', target: 'probabilities' },
  'crossEntropy:ignoreIndex': { op: 'crossEntropy', target: 'someIgnored' },
  'crossEntropy:weight': { op: 'crossEntropy', weight: true },
  'crossEntropy:classMask': { op: 'crossEntropy', mask: 'padding' },
} as const satisfies Readonly<Record<`${PlainOp}:${string}`, OpParts>>;

/** A call with an option other than the defaults. */
export type OpWithOptions = keyof typeof withOptions;

/** All calls with options, named after the op and the option. */
export const opsWithOptions = Object.keys(withOptions) as readonly OpWithOptions[];

/** What can be timed. */
export type BenchOp = PlainOp | OpWithOptions;

/** All that can be timed. */
export const benchOps: readonly BenchOp[] = [...plainOps, ...opsWithOptions];

/**
 * The plain op and the options that a name stands for.
 *
 * @example
 * partsOf('softmax:temperature'); // { op: 'softmax', temperature: 0.7 }
 */
export function partsOf(op: BenchOp): OpParts {
  return isPlain(op) ? { op } : withOptions[op];
}

/**
 * The op without its option.
 *
 * @example
 * plainOpOf('softmax:causalMask'); // 'softmax'
 */
export function plainOpOf(op: BenchOp): PlainOp {
  return partsOf(op).op;
}

function isPlain(op: BenchOp): op is PlainOp {
  return (plainOps as readonly BenchOp[]).includes(op);
}
