import type { DType, FloatDType } from './dtype.js';
import type { TensorInput } from './input.js';
import type { Tensor } from './tensor.js';

// What types know of tensors: the dtype D and the rank R, which is `number` where only the run knows it.

/** The rank of a Jacobian's matrices: one more than that of the operand. */
type More<R extends number> = R extends 1 ? 2 : R extends 2 ? 3 : R extends 3 ? 4 : R extends 4 ? 5 : number;

/** The rank without the axis. */
type Less<R extends number> = R extends 1 ? 0 : R extends 2 ? 1 : R extends 3 ? 2 : R extends 4 ? 3 : number;

/** The entries of nested arrays, to a limited depth: types may contain themselves. */
type Leaf<T, Depth extends readonly 0[] = []> = Depth['length'] extends 5
  ? unknown
  : T extends readonly (infer Entry)[]
    ? Leaf<Entry, [...Depth, 0]>
    : T;

type RankOfNested<T, Depth extends readonly 0[] = []> = Depth['length'] extends 5
  ? number
  : T extends readonly (infer Entry)[]
    ? RankOfNested<Entry, [...Depth, 0]>
    : T extends ArrayBufferView
      ? [...Depth, 0]['length']
      : T extends number | boolean
        ? Depth['length']
        : number;

/** The rank of a shape: known where it is a tuple. */
export type RankOfShape<S> = S extends readonly unknown[] ? S['length'] : number;

/** The rank of what `tensor` reads. */
export type RankOf<I> = I extends ArrayBufferView
  ? 1
  : I extends { readonly data: unknown; readonly shape: unknown }
    ? RankOfShape<I['shape']>
    : I extends { readonly data: unknown; readonly dims: unknown }
      ? RankOfShape<I['dims']>
      : I extends number | boolean | readonly unknown[]
        ? RankOfNested<I>
        : number;

/** The dtype of data if the caller does not give one. */
export type DTypeOf<I> = I extends { readonly data: infer Data }
  ? I extends { readonly type: infer Type extends keyof OfElementType }
    ? OfElementType[Type]
    : DTypeOfEntries<Data>
  : DTypeOfEntries<I>;

type DTypeOfEntries<I> = I extends ArrayBufferView ? DTypeOfLeaf<I> : DTypeOfLeaf<Leaf<I>>;

type DTypeOfLeaf<L> = L extends boolean
  ? 'bool'
  : L extends Float64Array
    ? 'float64'
    : L extends number | Float32Array | Float16
      ? 'float32'
      : L extends ArrayBufferView
        ? 'int32'
        : DType;

/** A Float16Array, for which not every library of types has a name. */
interface Float16 {
  readonly [Symbol.toStringTag]: 'Float16Array';
}

/** The dtypes of onnxruntime's element types that its arrays do not tell. */
interface OfElementType {
  readonly float16: 'float32';
  readonly bool: 'bool';
}

/** A tensor of the dtype and shape of an operand. Operands are floats: of one that may be anything, the result is one of these. */
export type Like<X> =
  X extends Tensor<infer D, infer R>
    ? Tensor<Extract<D, FloatDType>, R>
    : X extends TensorInput
      ? Tensor<Extract<DTypeOf<X>, FloatDType>, RankOf<X>>
      : Tensor<FloatDType>;

/** One matrix for each row of an operand. */
export type MatricesOf<X> = Like<X> extends Tensor<infer D, infer R> ? Tensor<D, More<R>> : Tensor;

/** One number for each row of an operand. */
export type RowsOf<X> = Like<X> extends Tensor<infer D, infer R> ? Tensor<D, Less<R>> : Tensor;

/** A tensor of an operand's dtype, of a rank. */
export type LikeOfRank<X, R extends number> = Like<X> extends Tensor<infer D, number> ? Tensor<D, R> : Tensor;
