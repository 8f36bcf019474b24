import {
  built,
  CannotRun,
  einsum,
  elementwise,
  entryOf,
  matmul,
  mostEntries,
  type NdArray,
  product,
  reduced,
  scalar,
  transposed,
} from './nd-array.js';

/** What code computes: arrays, and what is passed to functions. Sequences are lists, tuples and generators. */
export type Value = NdArray | Call | Slice | string | null | readonly Value[];
/** A function, with its keyword arguments. */
export type Call = (operands: readonly Value[], named: ReadonlyMap<string, Value>) => Value;

/** `start:stop` in an index. */
export class Slice {
  readonly start: number | null;
  readonly stop: number | null;
  constructor(start: number | null, stop: number | null) {
    this.start = start;
    this.stop = stop;
  }
}

/** The array of a value; of a sequence, of its items. @throws for any other value */
export function asArray(value: Value | undefined): NdArray {
  if (Array.isArray(value)) {
    const items = value.map(asArray);
    const [first] = items;
    if (items.some(({ shape }) => String(shape) !== String(first?.shape)))
      throw new CannotRun('rows of several lengths');
    const shape = [items.length, ...(first?.shape ?? [])];
    // A list that has another one twice, and so on, is as large as two to the power of its depth.
    if (product(shape.filter(Boolean)) > mostEntries) throw new CannotRun('too large');
    return { shape, data: items.flatMap(({ data }) => data) };
  }
  if (value && typeof value === 'object' && 'data' in value) return value;
  throw new CannotRun('no array');
}

export function asNumber(value: Value | undefined): number {
  const { data } = asArray(value);
  if (data.length !== 1) throw new CannotRun('no number');
  return Number(data[0]);
}

/** The rows of an array, or the items of a sequence. */
export function itemsOf(value: Value | undefined): readonly Value[] {
  if (Array.isArray(value)) return value;
  const { shape, data } = asArray(value);
  const [length = 0, ...rest] = shape;
  const size = product(rest);
  // Nothing is assigned into rows, which are copies here and views in NumPy.
  return Array.from({ length }, (_, k) => ({
    shape: rest,
    data: Object.freeze(data.slice(k * size, (k + 1) * size)) as number[],
  }));
}

const reduction =
  (reduce: (values: readonly number[]) => number): Call =>
  ([operand, second], named) => {
    const axis = named.get('axis') ?? named.get('dim') ?? second ?? null;
    const keep = named.get('keepdims') ?? named.get('keepdim');
    return reduced(
      asArray(operand),
      axis === null ? null : asNumber(axis),
      keep !== undefined && asNumber(keep) === 1,
      reduce,
    );
  };

const total = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0);
const largest = (values: readonly number[]): number => Math.max(...values);
const sum = reduction(total);
const mean = reduction((values) => total(values) / values.length);
const max = reduction(largest);

const mapped =
  (compute: (...values: number[]) => number): Call =>
  (operands) =>
    elementwise(compute, ...operands.map(asArray));

const copied: Call = ([operand]) => {
  const { shape, data } = asArray(operand);
  return { shape, data: [...data] };
};
const sized = (sizes: readonly Value[]): readonly number[] => sizes.flatMap((one) => asArray(one).data);
const filled =
  (value: number): Call =>
  (sizes) =>
    built(sized(sizes), () => value);
const filledLike =
  (value: number): Call =>
  ([operand]) =>
    built(asArray(operand).shape, () => value);

const softmax: Call = ([operand, second], named) => {
  const x = asArray(operand);
  const axis = named.get('axis') ?? named.get('dim') ?? second;
  // Of one row as a column, the classes are along its only long axis.
  const d = axis === undefined ? (x.shape[1] === 1 ? 0 : -1) : asNumber(axis);
  const e = elementwise(Math.exp, x);
  return elementwise((a, b) => a / b, e, reduced(e, d, true, total));
};

const diagonal = (array: NdArray): NdArray =>
  built(array.shape.slice(0, -1), (index) => entryOf(array, [...index, Number(index.at(-1))]));

const diagonalMatrices = (array: NdArray): NdArray =>
  built([...array.shape, Number(array.shape.at(-1))], (index) =>
    index.at(-1) === index.at(-2) ? entryOf(array, index.slice(0, -1)) : 0,
  );

const flat = ({ data }: NdArray): NdArray => ({ shape: [data.length], data });

const eye: Call = ([size]) => diagonalMatrices(built([asNumber(size)], () => 1));

const range: Call = (ends) => {
  const [first = 0, end] = sized(ends);
  const [start, stop] = end === undefined ? [0, first] : [first, end];
  return built([Math.max(stop - start, 0)], ([k = 0]) => start + k);
};

const reshape: Call = ([operand, ...sizes]) => {
  const { data } = asArray(operand);
  const shape = sized(sizes);
  const rest = data.length / Math.abs(product(shape));
  const whole = shape.map((size) => (size === -1 ? rest : size));
  if (product(whole) !== data.length || !whole.every((size) => Number.isInteger(size) && size >= 0)) {
    throw new CannotRun('reshape');
  }
  return { shape: whole, data };
};

const withAxis: Call = ([operand, axis]) => {
  const { shape, data } = asArray(operand);
  const d = asNumber(axis);
  return { shape: shape.toSpliced(d < 0 ? d + shape.length + 1 : d, 0, 1), data };
};

const squeeze: Call = ([operand]) => {
  const { shape, data } = asArray(operand);
  return { shape: shape.filter((size) => size !== 1), data };
};

const diag: Call = ([operand]) => {
  const array = asArray(operand);
  return array.shape.length === 1 ? diagonalMatrices(array) : diagonal(array);
};

const roll: Call = ([operand, shift], named) => {
  const array = asArray(operand);
  const axis = named.get('axis');
  if (array.shape.length === 0 || (axis === undefined && array.shape.length > 1)) throw new CannotRun('roll');
  const d = axis === undefined ? 0 : (asNumber(axis) + array.shape.length) % array.shape.length;
  const size = Number(array.shape[d]);
  return built(array.shape, (index) => entryOf(array, index.with(d, (Number(index[d]) - asNumber(shift)) % size)));
};

const outer: Call = ([a, b]) => einsum('i,j->ij', flat(asArray(a)), flat(asArray(b)));
const dot: Call = ([a, b]) => {
  const operands = [asArray(a), asArray(b)] as const;
  return operands.some(({ shape }) => shape.length === 0)
    ? elementwise((one, other) => one * other, ...operands)
    : matmul(...operands);
};

const logSoftmax: Call = (operands, named) => elementwise(Math.log, asArray(softmax(operands, named)));

/** −Σ y log s, averaged over the rows, of logarithms of probabilities and a target of class indices or probabilities. */
function meanLoss(logs: NdArray, target: NdArray): NdArray {
  const y = target.shape.length < logs.shape.length ? asArray(oneHot([target], new Map())) : target;
  return scalar((-total(elementwise((a, b) => a * b, logs, y).data) * Number(logs.shape.at(-1))) / logs.data.length);
}

const nllLoss: Call = ([logs, target]) => meanLoss(asArray(logs), asArray(target));

/** Of logits: as positional arguments of PyTorch, and as the keyword arguments of TensorFlow. */
const crossEntropy: Call = ([logits, target], named) =>
  meanLoss(
    asArray(logSoftmax([named.get('logits') ?? logits ?? null], new Map())),
    asArray(named.get('labels') ?? target),
  );

/** Of a target and probabilities, or logits if they are said to be. */
const kerasLoss: Call = ([target, output], options) => {
  const from = options.get('from_logits');
  const logs =
    from !== undefined && asNumber(from) === 1
      ? logSoftmax([output ?? null], options)
      : elementwise(Math.log, asArray(output));
  return meanLoss(asArray(logs), asArray(target));
};

const oneHot: Call = ([operand]) => {
  const indices = asArray(operand);
  return built([...indices.shape, largest(indices.data) + 1], (index) =>
    Number(entryOf(indices, index.slice(0, -1)) === index.at(-1)),
  );
};

/** The functions of NumPy, PyTorch and Python that gradients are written with; also as methods of their first operand. */
export const functions: ReadonlyMap<string, Call> = new Map<string, Call>(
  Object.entries({
    CategoricalCrossentropy: (_, options) => (operands) => kerasLoss(operands, options),
    CrossEntropyLoss: () => crossEntropy,
    LogSoftmax: (_, named) => (operands) => logSoftmax(operands, named),
    NLLLoss: () => nllLoss,
    SparseCategoricalCrossentropy: (_, options) => (operands) => kerasLoss(operands, options),
    Softmax: (_, named) => (operands) => softmax(operands, named),
    add: mapped((a, b) => a + b),
    append: ([list, item]) => {
      if (!Array.isArray(list)) throw new CannotRun('append');
      list.push(item);
      return list;
    },
    arange: range,
    argmax: reduction((values) => values.indexOf(largest(values))),
    array: copied,
    asarray: copied,
    astype: copied,
    bmm: dot,
    backward: ([loss]) => scalar(asNumber(loss)),
    categorical_crossentropy: (operands, options) => kerasLoss(operands, options),
    clone: copied,
    cross_entropy: crossEntropy,
    copy: copied,
    detach: copied,
    diag,
    diag_embed: ([operand]) => diagonalMatrices(asArray(operand)),
    diagflat: ([operand]) => diagonalMatrices(flat(asArray(operand))),
    diagonal: ([operand]) => diagonal(asArray(operand)),
    divide: mapped((a, b) => a / b),
    dot,
    einsum: ([text, ...operands]) => einsum(`${text}`, ...operands.map(asArray)),
    empty: filled(0),
    empty_like: filledLike(0),
    enumerate: ([operand]) => itemsOf(operand).map((item, k) => [scalar(k), item]),
    exp: mapped(Math.exp),
    expand_dims: withAxis,
    eye,
    flatten: ([operand]) => flat(asArray(operand)),
    float: copied,
    identity: eye,
    int: copied,
    len: ([operand]) => scalar(itemsOf(operand).length),
    log: mapped(Math.log),
    log_softmax: logSoftmax,
    logsumexp: (operands, named) =>
      elementwise(
        Math.log,
        asArray(sum([asArray(mapped(Math.exp)(operands.slice(0, 1), named)), ...operands.slice(1)], named)),
      ),
    matmul: dot,
    max,
    maximum: mapped(Math.max),
    mean,
    mul: mapped((a, b) => a * b),
    multiply: mapped((a, b) => a * b),
    negative: mapped((a) => -a),
    nll_loss: nllLoss,
    one_hot: oneHot,
    ones: filled(1),
    ones_like: filledLike(1),
    outer,
    power: mapped((a, b) => a ** b),
    range,
    ravel: ([operand]) => flat(asArray(operand)),
    relu: mapped((a) => Math.max(a, 0)),
    reshape,
    roll,
    sigmoid: mapped((a) => 1 / (1 + Math.exp(-a))),
    size: ([operand, axis]) => scalar(Number(asArray(operand).shape.at(axis === undefined ? 0 : asNumber(axis)))),
    softmax,
    softmax_cross_entropy_with_logits: crossEntropy,
    square: mapped((a) => a * a),
    squeeze,
    subtract: mapped((a, b) => a - b),
    reduce_mean: mean,
    reduce_sum: sum,
    sum,
    sum_of_items: ([operand]) =>
      itemsOf(operand)
        .map(asArray)
        .reduce((a, b) => elementwise((one, other) => one + other, a, b), scalar(0)),
    tanh: mapped(Math.tanh),
    transpose: ([operand]) => transposed(asArray(operand)),
    unsqueeze: withAxis,
    view: reshape,
    where: mapped((condition, a, b) => (condition ? a : b)),
    xrange: range,
    zeros: filled(0),
    zeros_like: filledLike(0),
    zip: (operands) => {
      const [first = [], ...others] = operands.map(itemsOf);
      return first.map((item, k) => [item, ...others.map((items) => items[k] ?? null)]);
    },
  }),
);
