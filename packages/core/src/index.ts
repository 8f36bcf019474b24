/**
 * `@softgrad/core`: tensors, softmax and its relatives with all their derivatives, the Backend interface, gradcheck.
 *
 * @module core
 */

export type {
  Backend,
  BackendProvider,
  Basis,
  BinaryOp,
  CrossEntropyParameters,
  DerivativeParameters,
  Extent,
  KernelName,
  Kernels,
  Operand,
  ReduceOp,
  Rows,
  SoftmaxParameters,
  Supports,
  UnaryOp,
} from './backend/interface.js';
export {
  type BackendCandidate,
  getBackend,
  loadProvider,
  openShared,
  type ProviderLoader,
  register,
  registered,
  type Selection,
  type SelectionOptions,
  type SyncProvider,
  setBackend,
  setDefaultBackend,
} from './backend/registry.js';
export { type ErrorCode, isSoftgradError, SoftgradError } from './errors.js';
export { gradcheck } from './gradcheck/check.js';
export type { GradcheckFunction, GradgradcheckFunction } from './gradcheck/function.js';
export type { GradcheckTarget } from './gradcheck/operations.js';
export type { GradcheckOptions, GradgradcheckOptions } from './gradcheck/options.js';
export type { GradcheckEntry, GradcheckReport } from './gradcheck/report.js';
export { gradgradcheck } from './gradcheck/second.js';
export type { DirectionLike, FloatLike, TensorLike } from './ops/arguments.js';
export { type Computed, operationsOf } from './ops/computed.js';
export { type CrossEntropy, type CrossEntropyResult, crossEntropy } from './ops/cross-entropy.js';
export type { CrossEntropyOptions } from './ops/cross-entropy-options.js';
export type { CrossEntropyTarget } from './ops/cross-entropy-target.js';
export type { Elementwise } from './ops/elementwise.js';
export type {
  LinearOperator,
  OperatorOf,
  RowOperatorOf,
  SquareOperator,
} from './ops/linear-operator.js';
export { type LogSoftmax, logSoftmax } from './ops/log-softmax.js';
export { type LogSumExp, logSumExp } from './ops/log-sum-exp.js';
export { relu } from './ops/relu.js';
export type { AxisOption, OutOption, SoftmaxOptions } from './ops/settings.js';
export { type Sigmoid, sigmoid } from './ops/sigmoid.js';
export { type Softmax, softmax } from './ops/softmax.js';
export { softmin } from './ops/softmin.js';
export type { BuiltIn, Op } from './ops/table.js';
export { checkOptions, namesOf } from './options.js';
export { shortened } from './shortened.js';
export { optionMeant } from './similar-names.js';
export { checkAttached } from './tensor/attached.js';
export { empty, fromBuffer, type TensorOptions, tensor } from './tensor/create.js';
export { describeOption } from './tensor/describe.js';
export {
  type ArrayMethods,
  byteSize,
  type CopyMethods,
  type DType,
  type ElementOf,
  type FloatDType,
  type HostArray,
  type HostArrayOf,
  type HostCopy,
  type HostCopyOf,
  hostArray,
  isFloat,
} from './tensor/dtype.js';
export {
  type DimsArrayLike,
  type FloatArray,
  type FloatInput,
  type HostData,
  type NdArrayLike,
  type NumericArray,
  readInput,
  type TensorInput,
  type TypedArray,
  type TypedRows,
  type UncheckedArrayLike,
} from './tensor/input.js';
export type { MaskInput } from './tensor/mask.js';
export type { Nested, NestedArray } from './tensor/nested.js';
export { keep, scope } from './tensor/scope.js';
export { resolveAxis, type Shape, sameShape, show as formatShape, sizeOf, withoutAxis } from './tensor/shape.js';
export { bufferOf, isTensor, type Tensor, type TensorOfFloats, type TensorSummary } from './tensor/tensor.js';
export { type TensorGroup, type TensorTrace, traceTensors } from './tensor/trace.js';
export type { DTypeOf, Like, LikeOfRank, MatricesOf, RankOf, RowsOf } from './tensor/typed.js';
