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

/** `start:stop:step` in an index. */
export class Slice {
  readonly start: number | null;
  readonly stop: number | null;
  readonly step: number;
  constructor(start: number | null, stop: number | null, step = 1) {
    this.start = start;
    this.stop = stop;
    this.step = step;
  }
}

/** The array of a value; of a sequence, of its items. @throws for any other value */
export function asArray(value: Value | undefined): NdArray {
  if (Array.isArray(value)) {
    const items = value.map((item) => asArray(item));
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
  ([operand, second, third], named) => {
    const axis = named.get('axis') ?? named.get('dim') ?? second ?? null;
    const keep = named.get('keepdims') ?? named.get('keepdim') ?? third;
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
const min = reduction((values) => Math.min(...values));

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

/** The same data in one dimension. */
export const flat = ({ data }: NdArray): NdArray => ({ shape: [data.length], data });

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

/** @throws for an axis that the array does not have */
function axisOf({ shape }: NdArray, axis: number): number {
  const d = axis < 0 ? axis + shape.length : axis;
  if (shape[d] === undefined) throw new CannotRun('axis');
  return d;
}

const roll: Call = ([operand, shift], named) => {
  const given = asArray(operand);
  const axis = named.get('axis');
  // Without an axis, the array is rolled as one row.
  const array = axis === undefined ? flat(given) : given;
  const d = axis === undefined ? 0 : axisOf(array, asNumber(axis));
  const size = Number(array.shape[d]);
  const { data } = built(array.shape, (index) =>
    entryOf(array, index.with(d, (Number(index[d]) - asNumber(shift)) % size)),
  );
  return { shape: given.shape, data };
};

const cumsum: Call = ([operand, second], named) => {
  const axis = named.get('axis') ?? named.get('dim') ?? second ?? null;
  const array = axis === null ? flat(asArray(operand)) : asArray(operand);
  const d = axis === null ? 0 : axisOf(array, asNumber(axis));
  return built(array.shape, (index) => {
    let sum = 0;
    for (let k = 0; k <= Number(index[d]); k++) sum += entryOf(array, index.with(d, k));
    return sum;
  });
};

const clip: Call = ([operand, least, most], named) => {
  const bound = (value: Value | undefined, none: number) => (value ? asArray(value) : scalar(none));
  const lower = bound(named.get('min') ?? named.get('a_min') ?? least, Number.NEGATIVE_INFINITY);
  const upper = bound(named.get('max') ?? named.get('a_max') ?? most, Number.POSITIVE_INFINITY);
  return elementwise((a, b, c) => Math.min(Math.max(a, b), c), asArray(operand), lower, upper);
};

function functionIn(value: Value | undefined): Call {
  if (typeof value !== 'function') throw new CannotRun('no function');
  return value;
}

const eachItem: Call = ([operand, each], named) => {
  const call = functionIn(each);
  return itemsOf(operand).map((item, k) => call([item, scalar(k)], named));
};

const folded: Call = ([operand, combine, initial], named) => {
  const call = functionIn(combine);
  const items = itemsOf(operand);
  const [first = null, ...others] = initial === undefined ? items : [initial, ...items];
  const from = items.length - others.length;
  return others.reduce<Value>((all, item, k) => call([all, item, scalar(k + from)], named), first);
};

/** An array of JavaScript: of so many zeros, or a copy. */
const newArray: Call = ([operand], named) =>
  asArray(operand).shape.length === 0 ? filled(0)([asArray(operand)], named) : copied([asArray(operand)], named);

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

const append: Call = ([list, item]) => {
  if (!Array.isArray(list)) throw new CannotRun('append');
  list.push(item);
  return list;
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
    Array: newArray,
    Number: copied,
    flat: ([operand]) => flat(asArray(operand)),
    Float32Array: newArray,
    Float64Array: newArray,
    abs: mapped(Math.abs),
    add: mapped((a, b) => a + b),
    append,
    arange: range,
    argmax: reduction((values) => values.indexOf(largest(values))),
    array: copied,
    array_from: (operands, named) => (operands[1] === undefined ? copied : eachItem)(operands, named),
    arraySync: copied,
    asarray: copied,
    astype: copied,
    bmm: dot,
    backward: ([loss]) => scalar(asNumber(loss)),
    categorical_crossentropy: (operands, options) => kerasLoss(operands, options),
    clamp: clip,
    clip,
    clone: copied,
    cross_entropy: crossEntropy,
    copy: copied,
    cumsum,
    detach: copied,
    diag,
    diag_embed: ([operand]) => diagonalMatrices(asArray(operand)),
    diagflat: ([operand]) => diagonalMatrices(flat(asArray(operand))),
    diagonal: ([operand]) => diagonal(asArray(operand)),
    div: mapped((a, b) => a / b),
    divide: mapped((a, b) => a / b),
    dot,
    einsum: ([text, ...operands]) => einsum(`${text}`, ...operands.map(asArray)),
    empty: filled(0),
    empty_like: filledLike(0),
    enumerate: ([operand]) => itemsOf(operand).map((item, k) => [scalar(k), item]),
    exp: mapped(Math.exp),
    expandDims: withAxis,
    expand_dims: withAxis,
    eye,
    fill: ([operand, value]) => elementwise((_, one) => one, asArray(operand), value ? asArray(value) : scalar(0)),
    // Of a loss, whose derivative is taken of what it is: of its value, or of a function of the logits.
    grad: ([loss]) => (typeof loss === 'function' ? loss : scalar(asNumber(loss))),
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
    map: eachItem,
    matMul: dot,
    matmul: dot,
    max,
    maximum: mapped(Math.max),
    mean,
    min,
    minimum: mapped(Math.min),
    mul: mapped((a, b) => a * b),
    multiply: mapped((a, b) => a * b),
    neg: mapped((a) => -a),
    negative: mapped((a) => -a),
    nll_loss: nllLoss,
    oneHot,
    one_hot: oneHot,
    ones: filled(1),
    ones_like: filledLike(1),
    outer,
    pow: mapped((a, b) => a ** b),
    power: mapped((a, b) => a ** b),
    push: append,
    range,
    ravel: ([operand]) => flat(asArray(operand)),
    reduce: folded,
    relu: mapped((a) => Math.max(a, 0)),
    reshape,
    slice: copied,
    roll,
    scalar: copied,
    sigmoid: mapped((a) => 1 / (1 + Math.exp(-a))),
    rows: ([operand]) => scalar(Number(asArray(operand).shape[0])),
    cols: ([operand]) => scalar(Number(asArray(operand).shape[1])),
    size: ([operand, axis]) => scalar(Number(asArray(operand).shape.at(axis === undefined ? 0 : asNumber(axis)))),
    softmax,
    softmax_cross_entropy_with_logits: crossEntropy,
    softmaxCrossEntropy: ([labels, logits]) => crossEntropy([logits ?? null, labels ?? null], new Map()),
    sqrt: mapped(Math.sqrt),
    square: mapped((a) => a * a),
    squeeze,
    sub: mapped((a, b) => a - b),
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
    tolist: copied,
    tensor1d: copied,
    tensor2d: copied,
    tidy: ([call], named) => functionIn(call)([], named),
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
