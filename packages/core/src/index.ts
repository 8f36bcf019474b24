export type {
  Backend,
  BackendProvider,
  Basis,
  BinaryOp,
  CrossEntropyParameters,
  Extent,
  Kernels,
  Operand,
  ReduceOp,
  Rows,
  SoftmaxParameters,
  Supports,
  UnaryOp,
} from './backend.js';
export {
  byteSize,
  type DType,
  type FloatDType,
  type HostArray,
  type HostArrayOf,
  hostArray,
  isFloat,
} from './dtype.js';
export { type ErrorCode, isSoftgradError, SoftgradError } from './errors.js';
