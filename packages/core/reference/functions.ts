/**
 * The reference: every function of core and its derivatives, computed in double-double and rounded once to float64.
 * Slow and direct; tests compare it with arithmetic of 50 digits and with published values.
 *
 * Operands are flat, row-major and laid out as `Rows` says. Their values are those that the tested backend was given, already
 * rounded to its dtype, so that a difference is the backend's own error.
 */

export {
  crossEntropyGradient,
  crossEntropyHvp,
  crossEntropyJvp,
  crossEntropyLoss,
  crossEntropyVjp,
} from './cross-entropy.js';
export { relu, reluVjp, sigmoid, sigmoidHvp, sigmoidVjp } from './elementwise.js';
export {
  complement,
  isDominant,
  logSoftmax,
  logSoftmaxHvp,
  logSoftmaxJacobian,
  logSoftmaxJvp,
  logSoftmaxVjp,
} from './log-softmax.js';
export { logSumExp, logSumExpCurvature, logSumExpHvp, logSumExpJvp, logSumExpVjp } from './log-sum-exp.js';
export { type ReferenceParameters, rowIndices, rowValues, type Values } from './row-entries.js';
export { softmax, softmaxDoubleBackward, softmaxHvp, softmaxJacobian, softmaxVjp } from './softmax.js';
