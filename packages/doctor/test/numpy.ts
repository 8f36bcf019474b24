/** An interpreter of the part of NumPy in which expressions of gradients are written: arrays of float64, broadcast as in NumPy. */

export interface NdArray {
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

interface Slice {
  readonly from: number | null;
}

type Call = (operands: readonly Value[], named: Readonly<Record<string, Value>>) => Value;
type Value = NdArray | Call | Slice | string | null | readonly Value[];
export type Scope = Readonly<Record<string, Value>>;
type Code = (scope: Scope) => Value;

export function array(values: unknown): NdArray {
  if (typeof values === 'number') return { shape: [], data: [values] };
  const rows = (values as readonly unknown[]).map(array);
  return { shape: [rows.length, ...(rows[0]?.shape ?? [])], data: rows.flatMap(({ data }) => data) };
}

/** The rows of an array, as nested lists. */
export function nested({ shape: [length, ...shape], data }: NdArray): unknown {
  if (length === undefined) return data[0];
  const size = data.length / length;
  return Array.from({ length }, (_, k) => nested({ shape, data: data.slice(k * size, (k + 1) * size) }));
}

function asArray(value: Value | undefined): NdArray {
  if (value && typeof value === 'object' && 'data' in value) return value;
  throw new Error(`no array: ${JSON.stringify(value)}`);
}

const scalar = (value: number): NdArray => ({ shape: [], data: [value] });
const numberIn = (value: Value | undefined): number => asArray(value).data[0] ?? Number.NaN;
const product = (sizes: readonly number[]): number => sizes.reduce((all, size) => all * size, 1);

/** The index along every axis of an entry, and back. */
function unravel(k: number, shape: readonly number[]): number[] {
  return shape.map((size, d) => Math.floor(k / product(shape.slice(d + 1))) % size);
}

function ravel(index: readonly number[], shape: readonly number[]): number {
  return index.reduce((k, i, d) => k * shape[d] + i, 0);
}

function built(shape: readonly number[], valueAt: (index: readonly number[], k: number) => number): NdArray {
  return { shape, data: Array.from({ length: product(shape) }, (_, k) => valueAt(unravel(k, shape), k)) };
}

function broadcast(shapes: readonly (readonly number[])[]): number[] {
  const length = Math.max(...shapes.map((shape) => shape.length));
  return Array.from({ length }, (_, d) => {
    const sizes = shapes.map((shape) => shape[d - length + shape.length] ?? 1);
    const size = sizes.find((one) => one !== 1) ?? 1;
    if (sizes.some((one) => one !== 1 && one !== size)) throw new Error(`shapes ${JSON.stringify(shapes)}`);
    return size;
  });
}

function elementwise(compute: (...values: number[]) => number, ...operands: readonly NdArray[]): NdArray {
  return built(broadcast(operands.map(({ shape }) => shape)), (index) =>
    compute(
      ...operands.map(({ shape, data }) => {
        const own = index.slice(index.length - shape.length).map((i, d) => (shape[d] === 1 ? 0 : i));
        return data[ravel(own, shape)];
      }),
    ),
  );
}

function transposed({ shape, data }: NdArray): NdArray {
  return built(shape.toReversed(), (index) => data[ravel(index.toReversed(), shape)]);
}

/** What remains of the values along an axis, or along all of them. */
function reduced(reduce: (values: readonly number[]) => number): Call {
  return ([operand, second], { axis = second ?? null, keepdims = null }) => {
    const { shape, data } = asArray(operand);
    if (axis === null) return scalar(reduce(data));
    const d = (numberIn(axis) + shape.length) % shape.length;
    const [before, size, after] = [shape.slice(0, d), shape[d], shape.slice(d + 1)];
    const values = built([...before, 1, ...after], (index) =>
      reduce(Array.from({ length: size }, (_, i) => data[ravel(index.with(d, i), shape)])),
    );
    return keepdims === null ? { ...values, shape: [...before, ...after] } : values;
  };
}

function einsum(specification: string, ...operands: readonly NdArray[]): NdArray {
  const [inputs = '', output = ''] = specification.split('->');
  const subscripts = inputs.split(',');
  const sizes = new Map(subscripts.flatMap((text, k) => [...text].map((name, d) => [name, operands[k].shape[d]])));
  const names = [...sizes.keys()];
  const all = names.map((name) => sizes.get(name) ?? 0);
  const shape = [...output].map((name) => sizes.get(name) ?? 0);
  const sums = new Array<number>(product(shape)).fill(0);
  for (let k = 0; k < product(all); k++) {
    const index = unravel(k, all);
    const at = (text: string) => [...text].map((name) => index[names.indexOf(name)]);
    const term = operands.map((one, i) => one.data[ravel(at(subscripts[i]), one.shape)]);
    sums[ravel(at(output), shape)] += product(term);
  }
  return { shape, data: sums };
}

function matmul(a: NdArray, b: NdArray): NdArray {
  const letters = (length: number, last: string) => `${'nm'.slice(2 - Math.max(0, length - 2))}${last}`;
  const left = a.shape.length === 1 ? 'j' : letters(a.shape.length, 'ij');
  const right = b.shape.length === 1 ? 'j' : letters(b.shape.length, 'jk');
  const output = [...new Set(`${left}${right}`)].filter((name) => name !== 'j').sort((x, y) => order(x) - order(y));
  return einsum(`${left},${right}->${output.join('')}`, a, b);
}

const order = (name: string) => 'nmik'.indexOf(name);

function selected(operand: NdArray, index: readonly Value[]): NdArray {
  const { shape, data } = operand;
  const lists = index.filter((one) => one !== null && typeof one === 'object' && 'data' in one).map(asArray);
  const length = Math.max(...lists.map((list) => list.data.length), 1);
  const isList = lists.some((list) => list.shape.length > 0);
  const picked: number[] = [];
  const result: number[] = [];
  const places: ((at: readonly number[]) => number)[] = [];
  let d = 0;
  let listAxis: number | null = null;
  for (const one of [...index, ...new Array(shape.length).fill({ from: null })]) {
    if (one === null) {
      result.push(1);
      continue;
    }
    if (d === shape.length) break;
    const size = shape[d++];
    if ('data' in one) {
      if (isList && listAxis === null) listAxis = result.push(length) - 1;
      const at = listAxis;
      const values = asArray(one).data;
      places.push((own) => ((values[values.length === 1 || at === null ? 0 : own[at]] ?? 0) + size) % size);
    } else {
      const from = one.from === null ? 0 : (one.from + size) % size;
      const axis = result.push(size - from) - 1;
      places.push((own) => own[axis] + from);
    }
  }
  const whole = built(result, (own) => {
    const place = ravel(
      places.map((at) => at(own)),
      shape,
    );
    picked.push(place);
    return data[place];
  });
  return { ...whole, places: picked } as NdArray;
}

/** The array with 1 subtracted at an index, once for each place. */
export function decremented(operand: NdArray, index: string, scope: Scope): NdArray {
  const { places } = selected(operand, parsed(`(${index},)`)(scope) as readonly Value[]) as unknown as {
    readonly places: readonly number[];
  };
  return { ...operand, data: operand.data.map((value, k) => value - (places.includes(k) ? 1 : 0)) };
}

const sum = reduced((values) => values.reduce((all, value) => all + value, 0));
const mean = reduced((values) => values.reduce((all, value) => all + value, 0) / values.length);
const max = reduced((values) => Math.max(...values));
const argmax = reduced((values) => values.indexOf(Math.max(...values)));
const map =
  (compute: (value: number) => number): Call =>
  ([operand]) =>
    elementwise(compute, asArray(operand));
const sigmoid = map((value) => 1 / (1 + Math.exp(-value)));

const softmax: Call = ([operand]) => {
  const e = elementwise(Math.exp, asArray(operand));
  const sums = sum([e], { axis: scalar(e.shape.length === 2 && e.shape[1] === 1 ? 0 : -1), keepdims: scalar(1) });
  return elementwise((a, b) => a / b, e, asArray(sums));
};

function diagonalMatrix({ data }: NdArray): NdArray {
  return built([data.length, data.length], ([i, j]) => (i === j ? data[i] : 0));
}

const cumsum: Call = ([operand], { axis }) => {
  const { shape, data } = asArray(operand);
  const d = numberIn(axis);
  return built(shape, (index) => {
    const before = Array.from({ length: index[d] + 1 }, (_, i) => data[ravel(index.with(d, i), shape)]);
    return before.reduce((all, value) => all + value, 0);
  });
};

const roll: Call = ([operand, shift], { axis = scalar(0) }) => {
  const { shape, data } = asArray(operand);
  const d = numberIn(axis);
  return built(shape, (index) => data[ravel(index.with(d, (index[d] - numberIn(shift) + shape[d]) % shape[d]), shape)]);
};

const clip: Call = ([operand, least, most]) =>
  elementwise((value) => Math.min(Math.max(value, numberIn(least)), numberIn(most)), asArray(operand));

const eye: Call = ([size]) => diagonalMatrix({ shape: [], data: new Array<number>(numberIn(size)).fill(1) });

const functions: Scope = {
  'np.exp': map(Math.exp),
  'np.tanh': map(Math.tanh),
  'np.log': map(Math.log),
  'np.sum': sum,
  'np.mean': mean,
  'np.max': max,
  'np.einsum': ([text, ...operands]) => einsum(`${text}`, ...operands.map(asArray)),
  'np.outer': (operands) => {
    const [a, b] = operands.map(asArray);
    return built([a.data.length, b.data.length], ([i, j]) => a.data[i] * b.data[j]);
  },
  'np.diag': ([operand]) => diagonalMatrix(asArray(operand)),
  'np.diagflat': ([operand]) => diagonalMatrix(asArray(operand)),
  'np.dot': ([a, b]) => matmul(asArray(a), asArray(b)),
  'np.eye': eye,
  'np.arange': ([size]) => array([...new Array(numberIn(size)).keys()]),
  'np.diagonal': ([operand]) => einsum(asArray(operand).shape.length === 2 ? 'ii->i' : 'nii->ni', asArray(operand)),
  'np.cumsum': cumsum,
  'np.roll': roll,
  'np.clip': clip,
  'torch.diag_embed': ([operand]) => {
    const { shape, data } = asArray(operand);
    return built([...shape, shape[1]], ([n, i, j]) => (i === j ? data[n * shape[1] + i] : 0));
  },
  'keras.ops.sum': sum,
  range: ([a, b]) =>
    b ? array([...new Array(numberIn(b)).keys()].slice(numberIn(a))) : array([...new Array(numberIn(a)).keys()]),
  sum,
  sigmoid,
  softmax,
  relu: map((value) => Math.max(value, 0)),
  True: scalar(1),
  None: null,
};

const methods: Readonly<Record<string, Call>> = {
  sum,
  mean,
  max,
  argmax,
  cumsum,
  reshape: ([operand, ...sizes]) => {
    const { data } = asArray(operand);
    const shape = sizes.length > 1 ? sizes.map(numberIn) : asArray(sizes[0]).data;
    const rest = data.length / Math.abs(product(shape));
    return { shape: shape.map((size) => (size === -1 ? rest : size)), data };
  },
  flatten: ([operand]) => ({ shape: [asArray(operand).data.length], data: asArray(operand).data }),
  unsqueeze: ([operand, axis]) => {
    const { shape, data } = asArray(operand);
    const d = numberIn(axis) < 0 ? numberIn(axis) + shape.length + 1 : numberIn(axis);
    return { shape: [...shape.slice(0, d), 1, ...shape.slice(d)], data };
  },
};

const operators: Readonly<Record<string, (a: NdArray, b: NdArray) => NdArray>> = {
  '+': (a, b) => elementwise((x, y) => x + y, a, b),
  '-': (a, b) => elementwise((x, y) => x - y, a, b),
  '*': (a, b) => elementwise((x, y) => x * y, a, b),
  '/': (a, b) => elementwise((x, y) => x / y, a, b),
  '**': (a, b) => elementwise((x, y) => x ** y, a, b),
  '>': (a, b) => elementwise((x, y) => Number(x > y), a, b),
  '@': matmul,
};

/** Compiles an expression. */
function parsed(text: string): Code {
  const tokens =
    text.match(/\d+(?:\.\d+)?(?:e-?\d+)?|'[^']*'|(?:np|torch|keras\.ops)\.\w+|[A-Za-z_]\w*|\*\*|[^\s]/g) ?? [];
  let next = 0;
  const accept = (token: string): boolean => tokens[next] === token && next++ >= 0;
  const expect = (token: string): void => {
    if (!accept(token)) throw new Error(`${text}: expected ${token} before ${tokens.slice(next).join(' ')}`);
  };

  const binary = (symbols: readonly string[], operand: () => Code) => (): Code => {
    let left = operand();
    for (let symbol = tokens[next]; symbol !== undefined && symbols.includes(symbol); symbol = tokens[next]) {
      next++;
      const [a, b, compute] = [left, operand(), operators[symbol]];
      left = (scope) => compute(asArray(a(scope)), asArray(b(scope)));
    }
    return left;
  };
  const power = (): Code => binary(['**'], postfix)();
  const unary = (): Code => {
    if (!accept('-')) return power();
    const operand = unary();
    return (scope) => elementwise((value) => -value, asArray(operand(scope)));
  };
  const term = binary(['*', '/', '@'], unary);
  const expression = binary(['>'], binary(['+', '-'], term));

  /** The items of a call, an index or a tuple, up to the closing bracket. */
  function items(end: string): { readonly codes: readonly Code[]; readonly named: Readonly<Record<string, Code>> } {
    const codes: Code[] = [];
    const named: Record<string, Code> = {};
    while (!accept(end)) {
      if (tokens[next + 1] === '=') {
        const name = tokens[next] ?? '';
        next += 2;
        named[name] = expression();
      } else if (tokens[next] === ':') {
        next++;
        codes.push(() => ({ from: null }));
      } else {
        const one = expression();
        if (accept(':')) codes.push((scope) => ({ from: numberIn(one(scope)) }));
        else codes.push(tokens[next] === 'for' ? summedOver(one) : one);
      }
      if (!accept(',')) {
        expect(end);
        break;
      }
    }
    return { codes, named };
  }

  function summedOver(term: Code): Code {
    expect('for');
    const name = tokens[next++] ?? '';
    expect('in');
    const values = expression();
    return (scope) =>
      asArray(values(scope))
        .data.map((value) => asArray(term({ ...scope, [name]: scalar(value), delta: scalar(value === 0 ? 1 : 0) })))
        .reduce((a, b) => elementwise((x, y) => x + y, a, b));
  }

  function postfix(): Code {
    let value = atom();
    for (;;) {
      const operand = value;
      if (accept('.')) {
        const name = tokens[next++] ?? '';
        if (name === 'T') value = (scope) => transposed(asArray(operand(scope)));
        else if (name === 'shape') value = (scope) => array(asArray(operand(scope)).shape);
        else {
          expect('(');
          const { codes, named } = items(')');
          value = (scope) =>
            methods[name]([operand(scope), ...codes.map((code) => code(scope))], evaluated(named, scope));
        }
      } else if (accept('(')) {
        const { codes, named } = items(')');
        value = (scope) => {
          const [first] = codes;
          const called = operand(scope);
          // The sum of a generator is the sum of its arrays.
          if (called === sum && first !== undefined && Object.keys(named).length === 0 && text.includes(' for '))
            return first(scope);
          return (called as Call)(
            codes.map((code) => code(scope)),
            evaluated(named, scope),
          );
        };
      } else if (accept('[')) {
        const { codes } = items(']');
        value = (scope) =>
          selected(
            asArray(operand(scope)),
            codes.map((code) => code(scope)),
          );
      } else return value;
    }
  }

  function atom(): Code {
    const token = tokens[next++] ?? '';
    if (token === '(') {
      const { codes } = items(')');
      const [only] = codes;
      const isTuple = tokens[next - 2] === ',' || codes.length > 1;
      return isTuple || codes.length === 0 ? (scope) => codes.map((code) => code(scope)) : only;
    }
    if (token.startsWith("'")) return () => token.slice(1, -1);
    if (/^\d/.test(token)) return () => scalar(Number(token));
    return (scope) => {
      const value = scope[token];
      if (value === undefined) throw new Error(`${text}: unknown name ${token}`);
      return value;
    };
  }

  const code = expression();
  if (next < tokens.length) throw new Error(`${text}: ${tokens.slice(next).join(' ')} is left`);
  return code;
}

function evaluated(named: Readonly<Record<string, Code>>, scope: Scope): Readonly<Record<string, Value>> {
  return Object.fromEntries(Object.entries(named).map(([name, code]) => [name, code(scope)]));
}

/** The array that an expression computes of the variables in the scope. */
export function evaluate(expression: string, scope: Scope): NdArray {
  return asArray(parsed(expression)({ ...functions, ...scope }));
}
