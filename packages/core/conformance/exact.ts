import { crossEntropyGradient, crossEntropyLoss } from '../reference/cross-entropy.js';
import * as reference from '../reference/functions.js';
import { elements, type ReferenceParameters, type Values } from '../reference/row-entries.js';
import {
  type Backend,
  type BackendProvider,
  type Basis,
  type DerivativeParameters,
  type DType,
  type Extent,
  type HostArray,
  hostArray,
  type Kernels,
  type Operand,
  type Rows,
  type SoftmaxParameters,
} from '../src/index.js';
import { repeated } from '../src/tensor/mask.js';
import { rounded } from './inputs.js';
import { ofRepeatingRows } from './repeating-rows.js';

/** A buffer of the exact backend. */
export interface ExactBuffer {
  readonly dtype: DType;
  readonly data: HostArray;
}

/**
 * A complete and correct backend, intentionally slow: every kernel is the reference, rounded once to the dtype. The faulty backends are derived
 * from it, and authors of backends can compare each kernel with it.
 *
 * @example
 * const backend = await exact.open();
 * await softmax(tensor([[1, 2, 3]], { backend })).array(); // [[0.0900, 0.2447, 0.6652]], each the float32 next to the exact value
 */
export const exact: BackendProvider<ExactBuffer> = {
  name: 'exact',
  unavailable: async () => null,
  open: async () => openExact(),
};

function openExact(): Backend<ExactBuffer> {
  let closed = false;
  const live = new WeakSet<ExactBuffer>();
  return {
    name: 'exact',
    supports: {
      dtypes: ['float32', 'float64', 'float16'],
      inPlace: true,
      limits: { elements: 2 ** 28, classes: 2 ** 28 },
      device: 'double-double on the host',
      subnormals: 'preserve',
      nonFinite: 'ieee',
      expUlp: { base: 1, slope: 0 },
    },
    get closed() {
      return closed;
    },
    alloc(length, dtype) {
      const buffer = { dtype, data: hostArray(length, dtype) };
      live.add(buffer);
      return buffer;
    },
    write: (buffer, host) => store(buffer, host),
    read: async (buffer) => buffer.data.slice(),
    readSync: (buffer) => buffer.data.slice(),
    view: (buffer) => buffer.data,
    free: (buffer) => void live.delete(buffer),
    bufferInfo(buffer) {
      if (!live.has(buffer as ExactBuffer)) return null;
      const { dtype, data } = buffer as ExactBuffer;
      return { dtype, length: data.length };
    },
    sync: async () => {},
    close: () => {
      closed = true;
    },
    softmax: (out, logits, rows, parameters) => store(out, ofRows(reference.softmax, rows, parameters, logits)),
    jacobian: (out, probabilities, rows, { temperature }) =>
      store(out, ofRows(reference.softmaxJacobian, rows, { temperature }, probabilities)),
    vjp: (out, probabilities, cotangent, rows, { temperature }) =>
      store(out, ofRows(reference.softmaxVjp, rows, { temperature }, probabilities, cotangent)),
    basis,
    kernels,
  };
}

const basis: Basis<ExactBuffer> = {
  unary(out, op, x, length) {
    const functions = { neg: (value: number) => -value, exp: Math.exp, log: Math.log };
    store(
      out,
      elements(length, (i) => functions[op](x.data[i] ?? Number.NaN)),
    );
  },
  binary(out, op, a, b, extent) {
    const functions = {
      add: (x: number, y: number) => x + y,
      sub: (x: number, y: number) => x - y,
      mul: (x: number, y: number) => x * y,
      div: (x: number, y: number) => x / y,
      max: Math.max,
      min: Math.min,
    };
    const [left, right, compute] = [broadcast(a, extent), broadcast(b, extent), functions[op]];
    for (let k = 0; k < left.length; k++) left[k] = compute(left[k] ?? Number.NaN, right[k] ?? Number.NaN);
    store(out, left);
  },
  reduce(out, op, x, rows) {
    const reduced = reference.rowIndices(rows).map((at) => {
      const values = reference.rowValues(x.data, at);
      if (op === 'sum') return values.reduce((a, b) => a + b, 0);
      return values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
    });
    store(out, reduced);
  },
  select(out, condition, a, b, extent) {
    const [decides, left, right] = [broadcast(condition, extent), broadcast(a, extent), broadcast(b, extent)];
    store(
      out,
      left.map((value, k) => ((decides[k] ?? Number.NaN) > 0 ? value : (right[k] ?? Number.NaN))),
    );
  },
  transpose(out, x, { outer, classes, inner }) {
    store(out, strided(x.data, [outer, inner, classes], [classes * inner, 1, inner]));
  },
};

const kernels: Kernels<ExactBuffer> = {
  maskedVjp: (out, probabilities, cotangent, rows, parameters) =>
    store(out, ofRows(reference.softmaxVjp, rows, parameters, probabilities, cotangent)),
  logSoftmax: (out, logits, rows, parameters) => store(out, ofRows(reference.logSoftmax, rows, parameters, logits)),
  logSoftmaxVjp: (out, y, cotangent, rows, { temperature }) =>
    store(out, ofRows(reference.logSoftmaxVjp, rows, { temperature }, y, cotangent)),
  logSoftmaxJvp: (out, y, tangent, rows, { temperature }) =>
    store(out, ofRows(reference.logSoftmaxJvp, rows, { temperature }, y, tangent)),
  logSoftmaxJacobian: (out, y, rows, { temperature }) =>
    store(out, ofRows(reference.logSoftmaxJacobian, rows, { temperature }, y)),
  softmaxHvp: (out, s, cotangent, tangent, rows, { temperature }) =>
    store(out, ofRows(reference.softmaxHvp, rows, { temperature }, s, cotangent, tangent)),
  logSoftmaxHvp: (out, y, cotangent, tangent, rows, { temperature }) =>
    store(out, ofRows(reference.logSoftmaxHvp, rows, { temperature }, y, cotangent, tangent)),
  logSumExp: (out, logits, rows, parameters) => store(out, ofRows(reference.logSumExp, rows, parameters, logits)),
  logSumExpHvp: (out, logits, cotangent, tangent, rows, parameters) =>
    store(out, ofRows(reference.logSumExpHvp, rows, parameters, logits, cotangent, tangent)),
  crossEntropy(out, logits, rows, parameters) {
    const { target, weight, labelSmoothing, ignoreIndex, scale } = parameters;
    const ofWeights = weight === null ? 1 : unitOfWeights(weight.data, scale);
    const rest = scale / ofWeights;
    const given = {
      weight: weight && Float64Array.from(weight.data, (value) => value * ofWeights),
      labelSmoothing,
      ignoreIndex,
      reduction: 'none',
    } as const;
    const scaled = (compute: typeof crossEntropyLoss) => {
      const over = (x: Values, values: Values, some: Rows, options: ReferenceParameters) =>
        compute(x, { kind: target.kind, values }, some, { ...options, ...given });
      return ofRows(over, rows, parameters, logits, target.buffer).map((entry) => rest * entry);
    };
    const { loss, gradient } = out;
    // Both are computed before one is stored: an output may be an operand.
    const losses = loss && scaled(crossEntropyLoss);
    if (gradient) store(gradient, scaled(crossEntropyGradient));
    if (loss && losses) store(loss, losses);
  },
  sigmoid: (out, x) => store(out, reference.sigmoid(x.data)),
  sigmoidVjp: (out, y, cotangent) => store(out, reference.sigmoidVjp(y.data, cotangent.data)),
  sigmoidHvp: (out, y, cotangent, tangent) => store(out, reference.sigmoidHvp(y.data, cotangent.data, tangent.data)),
  relu: (out, x) => store(out, reference.relu(x.data)),
  reluVjp: (out, y, cotangent) => store(out, reference.reluVjp(y.data, cotangent.data)),
};

/** The part of an extreme scale that multiplies the weights: as much of a small one as brings large weights back into the range. */
function unitOfWeights(weights: HostArray, scale: number): number {
  if (!(scale > 0) || Math.abs(Math.log2(scale)) <= 32) return 1;
  let largest = 1;
  for (const weight of weights) largest = Math.max(largest, Math.abs(weight));
  return scale > 1 ? scale : Math.max(scale, 2 ** -Math.ceil(Math.log2(largest)));
}

/** Rounds results to the buffer's dtype; typed arrays do this for every dtype except float16. */
function store(out: ExactBuffer, values: ArrayLike<number>): void {
  const { dtype, data } = out;
  data.set(dtype === 'float16' ? elements(values.length, (i) => rounded(values[i] ?? Number.NaN, dtype)) : values);
}

/** A function of the reference over rows, of buffers: the mask is repeated for every block of the logits. */
function ofRows<B extends readonly ExactBuffer[]>(
  compute: (...args: [...{ [K in keyof B]: Values }, rows: Rows, parameters: ReferenceParameters]) => Float64Array,
  rows: Rows,
  { temperature, mask }: DerivativeParameters & Partial<Pick<SoftmaxParameters<ExactBuffer>, 'mask'>>,
  ...buffers: B
): Float64Array {
  const operands = buffers.map(({ data }) => data);
  if (mask) operands.push(repeated(mask.buffer.data, operands[0]?.length ?? 0));
  return ofRepeatingRows(operands, rows, (values, some) => {
    const given = values.slice(0, buffers.length) as { [K in keyof B]: Values };
    return compute(...given, some, { temperature, mask: values[buffers.length] ?? null });
  });
}

/** The numbers at all places of an extent, of an array in which neighbours along each axis are so many places apart. */
function strided(data: HostArray, [outer, classes, inner]: Extent, [perBlock, perClass, step]: Extent): Float64Array {
  const values = new Float64Array(outer * classes * inner);
  let at = 0;
  for (let o = 0; o < outer; o++) {
    for (let c = 0; c < classes; c++) {
      const first = o * perBlock + c * perClass;
      for (let i = 0; i < inner; i++) values[at++] = data[first + i * step] ?? Number.NaN;
    }
  }
  return values;
}

/** The numbers of an operand: axes of length 1 are repeated. */
function broadcast(operand: Operand<ExactBuffer>, extent: Extent): Float64Array {
  if (typeof operand === 'number') return strided(Float64Array.of(operand), extent, [0, 0, 0]);
  const { data } = operand.buffer;
  const [outer, classes, inner] = operand.extent;
  return strided(data, extent, [outer === 1 ? 0 : classes * inner, classes === 1 ? 0 : inner, inner === 1 ? 0 : 1]);
}
