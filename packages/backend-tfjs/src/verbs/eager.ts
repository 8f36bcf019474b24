import type { UnaryOp } from '@softgrad/core';
import type { KernelBackend, NamedAttrMap, TensorInfo } from '@tensorflow/tfjs-core';
import { deviceInfo } from '../storage.js';
import { complementInto, equalInto, log1pInto, type Operand, selectInto, sigmoidInto, type Values } from './passes.js';
import { centred, exponentials, max, type RowPass, slopes, softmax, sum, sumOfOthers } from './row-passes.js';
import {
  broadcast,
  type Dimension,
  type ElementOp,
  inOrder,
  type Order,
  ordered,
  type Program,
  type Shape,
  shapeOf,
  sizeOf,
  type Target,
  type Verbs,
} from './verbs.js';

/** Runs a kernel of tfjs by name on the engine, regardless of `tf.setBackend`. */
export type RunKernel = (
  name: string,
  inputs: Readonly<Record<string, TensorInfo>>,
  attributes?: NamedAttrMap,
) => TensorInfo;

/** Differences between the engines that have their data in the memory of this process. */
export interface EagerTraits {
  /** Whether Maximum and Minimum lose a NaN in their second operand. */
  readonly losesSecondNaN: boolean;
  /** Whether its kernels take an order of magnitude longer for an operand that broadcasts along any but its leading dimensions. */
  readonly slowBroadcast: boolean;
  /** Checks that this many more floats fit. @throws ERR_OUT_OF_MEMORY */
  reserve(elements: number): void;
  /** float32 values that are not set yet. */
  allocate(shape: Shape): TensorInfo;
  /** The values themselves, until something is allocated. */
  view(info: TensorInfo): Values;
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

/** The third dimension after the fourth, and back. */
const rowsLast: Order = [0, 1, 3, 2];

interface Value {
  readonly info: TensorInfo;
  readonly shape: Shape;
}

/** Runs each operation of a program as a kernel of tfjs or as a pass over the values, and disposes the intermediate results. */
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
  /** A kernel with one operand. */
  const kernel = (name: string, x: Value, shape: Shape, attributes: NamedAttrMap): Value => {
    traits.reserve(sizeOf(shape));
    return owned(runKernel(name, { x: { ...x.info, shape: [...x.shape] } }, attributes), shape);
  };
  /** An elementwise kernel without dimensions of 1, and scalars without any. */
  const elementwise = (name: string, inputs: Readonly<Record<string, Value>>, shape: Shape): Value => {
    traits.reserve(sizeOf(shape));
    const used = inOrder.filter((k) => shape[k] > 1);
    const operand = (x: Value): TensorInfo => {
      if (sizeOf(x.shape) === 1) return { ...x.info, shape: [] };
      const own = used.map((k) => x.shape[k]);
      if (!traits.slowBroadcast) return { ...x.info, shape: own };
      const inner = own.slice(own.findIndex((size) => size > 1));
      return inner.includes(1)
        ? { ...filled(x, shape).info, shape: used.map((k) => shape[k]) }
        : { ...x.info, shape: inner };
    };
    const infos = Object.fromEntries(Object.entries(inputs).map(([key, x]) => [key, operand(x)]));
    return owned(runKernel(name, infos), shape);
  };
  const hosted = (values: Float32Array, shape: Shape): Value =>
    owned({ dataId: instance.write(values, [...shape], 'float32'), shape: [...shape], dtype: 'float32' }, shape);
  const constant = (value: number): Value => hosted(Float32Array.of(value), [1, 1, 1, 1]);
  const term = (x: Value | number): Value => (typeof x === 'number' ? constant(x) : numeric(x));
  const numeric = (x: Value): Value =>
    x.info.dtype === 'float32' ? x : kernel('Cast', x, x.shape, { dtype: 'float32' });
  /** The result of a pass over the operands. Their values are looked up once the result is allocated, because that may move the engine's memory. */
  const passed = <T extends readonly (Value | number)[]>(
    operands: readonly [...T],
    shape: Shape,
    pass: (out: Float32Array, ...operands: { readonly [K in keyof T]: Operand }) => void,
  ): Value => {
    traits.reserve(sizeOf(shape));
    const result = owned(traits.allocate(shape), shape);
    const read = (x: Value | number): Operand =>
      typeof x === 'number'
        ? { values: Float32Array.of(x), shape: [1, 1, 1, 1] }
        : { values: traits.view(x.info), shape: x.shape };
    pass(traits.view(result.info) as Float32Array, ...(operands.map(read) as { [K in keyof T]: Operand }));
    return result;
  };
  const shapeOfAll = (operands: readonly (Value | number)[]): Shape =>
    broadcast(operands.flatMap((x) => (typeof x === 'number' ? [] : [x.shape])));
  const choose = (
    condition: Value | number,
    a: Value | number,
    b: Value | number,
    shape = shapeOfAll([condition, a, b]),
  ) => passed([condition, a, b], shape, (out, ...parts) => selectInto(out, shape, ...parts));
  const equal = (a: Value | number, b: Value | number): Value => {
    const shape = shapeOfAll([a, b]);
    return passed([a, b], shape, (out, ...parts) => equalInto(out, shape, ...parts));
  };
  /** The value broadcast to a shape. */
  const filled = (x: Value, shape: Shape): Value =>
    inOrder.every((k) => x.shape[k] === shape[k]) ? x : choose(1, x, x, shape);

  /** The value with its dimensions in another order: itself where only dimensions of 1 move, of which tfjs's Transpose would make a copy. */
  const permuted = (x: Value, order: Order): Value => {
    const shape = ordered(x.shape, order);
    const moved = order.filter((k) => x.shape[k] > 1);
    if (moved.every((k, i) => i === 0 || (moved[i - 1] as Dimension) < k)) return { info: x.info, shape };
    return kernel('Transpose', x, shape, { perm: [...order] });
  };

  /** The result of a pass over rows along the third dimension, which has the shape `[…, 1, …]` or that of the first operand. */
  const overRows = <T extends readonly [Values, ...Values[]]>(
    operands: readonly Value[],
    pass: RowPass<T>,
    reduces: 'to 1' | null = null,
  ): Value => {
    const last = operands.map((x) => permuted(x, rowsLast));
    const [a, b, d, classes] = (last[0] as Value).shape;
    const result = passed(last, [a, b, d, reduces === null ? classes : 1], (out, ...parts) =>
      pass(out, classes, ...(parts.map(({ values }) => values) as unknown as T)),
    );
    return permuted(result, rowsLast);
  };

  const verbs: Verbs<Value> = {
    input: (buffer, shape, order = inOrder) => permuted({ info: deviceInfo(instance, buffer), shape }, order),
    coordinate(dimension, size) {
      const shape: Shape = dimension === 2 ? [1, 1, size, 1] : [1, 1, 1, size];
      return hosted(
        Float32Array.from({ length: size }, (_, k) => k),
        shape,
      );
    },
    unary: (op, x) => elementwise(unaryKernels[op], { x: numeric(x) }, x.shape),
    gap: (x, shift, divisor) => ({
      // Computed where it is asked for.
      get value() {
        const difference = verbs.binary('sub', x, shift);
        return divisor === 1 ? difference : verbs.binary('div', difference, divisor);
      },
      lost: null,
      exp: () => overRows([x, shift], exponentials(divisor)),
      sumOfOthers: (terms) => overRows([terms], sumOfOthers, 'to 1'),
    }),
    log1p: (x) => passed([x], x.shape, log1pInto),
    complement: (y) => passed([y], y.shape, complementInto),
    binary(op, a, b) {
      if (op === 'equal') return equal(a, b);
      const operands = { a: term(a), b: term(b) };
      const result = elementwise(binaryKernels[op], operands, broadcast([operands.a.shape, operands.b.shape]));
      const losesNaN = (op === 'max' || op === 'min') && traits.losesSecondNaN && typeof b !== 'number';
      return losesNaN ? choose(equal(b, b), result, operands.b) : result;
    },
    select: (condition, a, b) => choose(condition, a, b),
    reduce: (op, x) => overRows([numeric(x)], op === 'max' ? max : sum, 'to 1'),
    keep: (x) => x,
    softmax: (x, divisor) => overRows([x], softmax(divisor)),
    slopes: (terms, q) => overRows([terms, q], slopes),
    centred: (p, v) => overRows([p, v], centred),
    sigmoid: (x) => passed([x], x.shape, sigmoidInto),
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
