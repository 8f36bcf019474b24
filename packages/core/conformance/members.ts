import type { Basis, Kernels } from '../src/index.js';

const verbs = { unary: true, binary: true, reduce: true, select: true, transpose: true } satisfies Record<
  keyof Basis<unknown>,
  true
>;

const kernels = {
  logSoftmax: true,
  logSoftmaxVjp: true,
  logSoftmaxJvp: true,
  logSoftmaxJacobian: true,
  maskedVjp: true,
  softmaxHvp: true,
  logSoftmaxHvp: true,
  logSumExp: true,
  logSumExpHvp: true,
  sigmoid: true,
  sigmoidVjp: true,
  sigmoidHvp: true,
  relu: true,
  reluVjp: true,
  crossEntropy: true,
} satisfies Record<keyof Kernels<unknown>, true>;

/** The optional kernels that core calls. */
export const kernelNames: readonly string[] = Object.keys(kernels);

/** Every primitive of a basis. */
export const verbNames: readonly string[] = Object.keys(verbs);

/** The functions of an object, or of an instance of a class, whose names are not in `known`, and which core therefore never calls. */
export function unknownFunctions(part: object, known: readonly string[]): readonly string[] {
  const names = new Set<string>();
  for (let level = part; level && level !== Object.prototype; level = Object.getPrototypeOf(level)) {
    for (const name of Object.getOwnPropertyNames(level)) names.add(name);
  }
  const isFunction = (name: string) => typeof (part as Record<string, unknown>)[name] === 'function';
  return [...names].filter((name) => name !== 'constructor' && !known.includes(name) && isFunction(name));
}
