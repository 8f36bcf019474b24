import type { UnaryOp } from '@softgrad/core';
import type { KernelBackend, NamedAttrMap, TensorInfo } from '@tensorflow/tfjs-core';
import { deviceInfo } from '../storage.js';
import {
  broadcast,
  type ElementOp,
  inOrder,
  ordered,
  type Program,
  type Shape,
  shapeOf,
  sizeOf,
  stridesOf,
  type Target,
  type Verbs,
} from './verbs.js';

/** Runs a kernel of tfjs by name on the engine, regardless of `tf.setBackend`. */
export type RunKernel = (
  name: string,
  inputs: Readonly<Record<string, TensorInfo>>,
  attributes?: NamedAttrMap,
) => TensorInfo;

/** Differences between the engines that run tfjs's kernels. */
export interface EagerTraits {
  /** Whether Maximum and Minimum lose a NaN in their second operand. */
  readonly losesSecondNaN: boolean;
  /** Whether its Softmax and Sigmoid are single kernels with correct results. */
  readonly fusedKernels: boolean;
  /** Whether its Log1p is accurate for small operands: that of wasm is log(1 + x). */
  readonly accurateLog1p: boolean;
  /** Whether its kernels take an order of magnitude longer for an operand that broadcasts along any but its leading dimensions. */
  readonly slowBroadcast: boolean;
  /** Checks that this many more floats fit. @throws ERR_OUT_OF_MEMORY */
  reserve(elements: number): void;
}

const unaryKernels: Readonly<Record<UnaryOp, string>> = { neg: 'Neg', exp: 'Exp', log: 'Log' };

const binaryKernels: Readonly<Record<Exclude<ElementOp, 'equal'>, string>> = {
  add: 'Add',
  sub: 'Sub',
  mul: 'Multiply',
  div: 'RealDiv',
  max: 'Maximum',
  min: 'Minimum',
};

/** Elements that are added up one by one. */
const longestPlainSum = 256;
const longestBlock = 64;
const shortestBlock = 8;
/**
 * Longer rows of tfjs's Softmax are divided by their sum: it adds the exponentials one by one, so that all probabilities of a row are off by the same
 * factor, 640 ULP at 128,256 classes and 40,000 at 10 million.
 */
const longestSoftmax = 4096;

/** The largest length of blocks that divides a row's, or null. */
function blockOf(classes: number): number | null {
  for (let block = longestBlock; block >= shortestBlock; block--) if (classes % block === 0) return block;
  return null;
}

interface Value {
  readonly info: TensorInfo;
  readonly shape: Shape;
}

/** Runs each operation of a program as a kernel of tfjs, and disposes the intermediate results. */
export function runEagerly(
  instance: KernelBackend,
  runKernel: RunKernel,
  traits: EagerTraits,
  targets: readonly Target[],
  program: Program,
): readonly TensorInfo[] {
  const made = new Set<TensorInfo>();
  const owned = (info: TensorInfo, shape: Shape): Value => {
    made.add(info);
    return { info, shape };
  };
  const kernel = (
    name: string,
    inputs: Readonly<Record<string, Value>>,
    shape: Shape,
    attributes?: NamedAttrMap,
  ): Value => {
    // A reduction over a middle dimension transposes first, which may need a copy of operand and result.
    traits.reserve(Math.max(sizeOf(shape), ...Object.values(inputs).map((input) => sizeOf(input.shape))) * 2);
    const infos = Object.fromEntries(
      Object.entries(inputs).map(([key, { info, shape: own }]) => [key, { ...info, shape: [...own] }]),
    );
    return owned(runKernel(name, infos, attributes), shape);
  };
  /** A kernel on operands that are seen as another shape. */
  const reshaped = (
    name: string,
    inputs: Readonly<Record<string, Value>>,
    operandShape: readonly number[],
    shape: Shape,
    attributes: NamedAttrMap,
  ): Value => {
    traits.reserve(sizeOf(shape));
    const infos = Object.fromEntries(
      Object.entries(inputs).map(([key, { info }]) => [key, { ...info, shape: [...operandShape] }]),
    );
    return owned(runKernel(name, infos, attributes), shape);
  };
  /** An elementwise kernel without dimensions of 1, and scalars without any: where ranks are equal, tfjs's Greater takes 20 times as long. */
  const elementwise = (name: string, inputs: Readonly<Record<string, Value>>, shape: Shape): Value => {
    traits.reserve(sizeOf(shape));
    const used = inOrder.filter((k) => shape[k] > 1);
    const operand = (x: Value): TensorInfo => {
      if (sizeOf(x.shape) === 1) return { ...x.info, shape: [] };
      const own = used.map((k) => x.shape[k]);
      if (!traits.slowBroadcast) return { ...x.info, shape: own };
      const inner = own.slice(own.findIndex((size) => size > 1));
      return inner.includes(1)
        ? { ...spread(x, shape).info, shape: used.map((k) => shape[k]) }
        : { ...x.info, shape: inner };
    };
    const infos = Object.fromEntries(Object.entries(inputs).map(([key, x]) => [key, operand(x)]));
    return owned(runKernel(name, infos), shape);
  };
  /** The value broadcast to a shape on the host, for an engine whose data is there. */
  const spread = ({ info, shape: own }: Value, shape: Shape): Value => {
    const values = broadcastTo(instance.readSync(info.dataId) as Float32Array, own, shape);
    return owned(
      { dataId: instance.write(values, [...shape], info.dtype), shape: [...shape], dtype: info.dtype },
      shape,
    );
  };
  const hosted = (values: Float32Array, shape: Shape): Value =>
    owned({ dataId: instance.write(values, [...shape], 'float32'), shape: [...shape], dtype: 'float32' }, shape);
  const constant = (value: number): Value => hosted(Float32Array.of(value), [1, 1, 1, 1]);
  const term = (x: Value | number): Value => (typeof x === 'number' ? constant(x) : numeric(x));
  const numeric = (x: Value): Value =>
    x.info.dtype === 'float32' ? x : kernel('Cast', { x }, x.shape, { dtype: 'float32' });
  const isNot = (x: Value): Value => elementwise('NotEqual', { a: x, b: x }, x.shape);
  const conditions = new Map<Value, Value>();
  /** Computed once for each value. */
  const isPositive = (x: Value): Value => {
    if (x.info.dtype === 'bool') return x;
    const known = conditions.get(x) ?? elementwise('Greater', { a: x, b: constant(0) }, x.shape);
    conditions.set(x, known);
    return known;
  };
  const everywhere = (value: number, shape: Shape): Value => {
    traits.reserve(sizeOf(shape));
    return owned(runKernel('Fill', {}, { shape: [...shape], value, dtype: 'float32' }), shape);
  };
  /** The value broadcast to a shape, because tfjs's Select does not broadcast. Multiplying by ones takes a 15th of the time of its Tile. */
  const filled = (x: Value, shape: Shape): Value => {
    if (inOrder.every((k) => x.shape[k] === shape[k])) return x;
    if (traits.slowBroadcast) return spread(x, shape);
    const factors = elementwise('Multiply', { a: numeric(x), b: everywhere(1, shape) }, shape);
    return x.info.dtype === 'bool' ? isPositive(factors) : factors;
  };
  const choose = (condition: Value, a: Value | number, b: Value | number): Value => {
    const shapes = [condition, a, b].flatMap((operand) => (typeof operand === 'number' ? [] : [operand.shape]));
    const shape = broadcast(shapes);
    const operand = (x: Value | number) => (typeof x === 'number' ? everywhere(x, shape) : filled(numeric(x), shape));
    return elementwise('Select', { condition: filled(condition, shape), t: operand(a), e: operand(b) }, shape);
  };

  /** A reduction along the third dimension, in three dimensions where possible: tfjs transposes unless that is the last, even before one of size 1. */
  const reduced = (name: string, x: Value, attributes: NamedAttrMap): Value => {
    const [a, b, classes, d] = x.shape;
    return d === 1
      ? reshaped(name, { x }, [a, b, classes], [a, b, 1, 1], attributes)
      : kernel(name, { x }, [a, b, 1, d], attributes);
  };

  /** Σ along the third dimension. Longer rows are summed in blocks, because tfjs adds float32 one by one and the rounding errors add up. */
  const summed = (x: Value): Value => {
    const [a, b, classes, d] = x.shape;
    if (classes <= longestPlainSum) {
      return reduced('Sum', x, { axis: [2], keepDims: true });
    }
    const block = blockOf(classes);
    if (block !== null) {
      const count = classes / block;
      // In four dimensions where possible: tfjs transposes before it reduces a dimension that is not the last.
      const blocks = d === 1 ? [a, b, count, block] : [a, b, count, block, d];
      return summed(reshaped('Sum', { x }, blocks, [a, b, count, d], { axis: [3], keepDims: false }));
    }
    const whole = classes - (classes % longestBlock);
    const part = (first: number, size: number) =>
      summed(kernel('Slice', { x }, [a, b, size, d], { begin: [0, 0, first, 0], size: [a, b, size, d] }));
    return elementwise('Add', { a: part(0, whole), b: part(whole, classes - whole) }, [a, b, 1, d]);
  };

  const transposed = (x: Value): Value =>
    kernel('Transpose', { x }, ordered(x.shape, [0, 1, 3, 2]), { perm: [0, 1, 3, 2] });

  const verbs: Verbs<Value> = {
    input(buffer, shape, order = inOrder) {
      const x: Value = { info: deviceInfo(instance, buffer), shape };
      if (order.every((from, k) => from === k)) return x;
      return kernel('Transpose', { x }, ordered(shape, order), { perm: [...order] });
    },
    coordinate(dimension, size) {
      const shape: Shape = dimension === 2 ? [1, 1, size, 1] : [1, 1, 1, size];
      return hosted(
        Float32Array.from({ length: size }, (_, k) => k),
        shape,
      );
    },
    unary: (op, x) => elementwise(unaryKernels[op], { x: numeric(x) }, x.shape),
    gap(x, shift, divisor) {
      const difference = verbs.binary('sub', x, shift);
      return { value: divisor === 1 ? difference : verbs.binary('div', difference, divisor), lost: null };
    },
    expOfGap: ({ value }) => verbs.unary('exp', value),
    log1p(x) {
      if (traits.accurateLog1p) return elementwise('Log1p', { x }, x.shape);
      // The part of x that 1 + x loses is added (HP-15C handbook, 1982).
      const sum = verbs.binary('add', x, 1);
      const lost = verbs.binary('sub', x, verbs.binary('sub', sum, 1));
      return verbs.binary('add', verbs.unary('log', sum), verbs.binary('div', lost, sum));
    },
    binary(op, a, b) {
      const operands = { a: term(a), b: term(b) };
      const shape = broadcast([operands.a.shape, operands.b.shape]);
      if (op === 'equal') return numeric(elementwise('Equal', operands, shape));
      const result = elementwise(binaryKernels[op], operands, shape);
      if ((op === 'max' || op === 'min') && traits.losesSecondNaN && typeof b !== 'number') {
        return choose(isNot(operands.b), operands.b, result);
      }
      return result;
    },
    select(condition, a, b) {
      const value = typeof condition === 'number' ? constant(condition) : condition;
      return choose(isPositive(value), a, b);
    },
    reduce(op, x) {
      const operand = numeric(x);
      return op === 'max' ? reduced('Max', operand, { reductionIndices: [2], keepDims: true }) : summed(operand);
    },
    sumOfOthers(x, exponentials) {
      const [a, b, classes, d] = x.shape;
      // In three dimensions where possible: tfjs transposes before it reduces a dimension that is not the last, even if that has size 1.
      const shape = d === 1 ? [a, b, classes] : x.shape;
      const indices = reshaped('ArgMax', { x }, shape, [a, b, d, 1], { axis: 2 });
      const attributes = { depth: classes, onValue: 1, offValue: 0, dtype: 'int32' };
      const oneHot = reshaped('OneHot', { indices }, [a, b, d], [a, b, d, classes], attributes);
      const largest = d === 1 ? { ...oneHot, shape: x.shape } : transposed(oneHot);
      return verbs.reduce('sum', verbs.binary('sub', exponentials, largest));
    },
    keep: (x) => x,
    softmax(x) {
      if (!traits.fusedKernels) return null;
      const last = transposed(x);
      const probabilities = kernel('Softmax', { logits: last }, last.shape, { dim: 3 });
      const result = transposed(probabilities);
      return x.shape[2] > longestSoftmax ? verbs.binary('div', result, verbs.reduce('sum', result)) : result;
    },
    sigmoid: (x) => (traits.fusedKernels ? elementwise('Sigmoid', { x }, x.shape) : null),
  };

  try {
    const results = program(verbs).map((result, k) => filled(numeric(result), shapeOf(targets, k)).info);
    return results.map((info) => {
      if (made.delete(info)) return info;
      instance.incRef(info.dataId);
      return info;
    });
  } finally {
    for (const info of made) instance.disposeData(info.dataId);
  }
}

/** Repeats values of shape `own` along its dimensions of 1. */
function broadcastTo<A extends Float32Array | Int32Array | Uint8Array>(values: A, own: Shape, shape: Shape): A {
  const steps = stridesOf(own);
  const result = new (values.constructor as new (length: number) => A)(sizeOf(shape));
  let index = 0;
  for (let x = 0; x < shape[0]; x++) {
    for (let y = 0; y < shape[1]; y++) {
      for (let z = 0; z < shape[2]; z++) {
        const first = x * steps[0] + y * steps[1] + z * steps[2];
        if (steps[3] === 0) result.fill(values[first] as number, index, index + shape[3]);
        else result.set(values.subarray(first, first + shape[3]), index);
        index += shape[3];
      }
    }
  }
  return result;
}
