import { library, ownSoftmax } from '../spelling.js';
import { asArray, asNumber, type Call, flat, functions, itemsOf, Slice, type Value } from './functions.js';
import {
  built,
  CannotRun,
  elementwise,
  entryOf,
  matmul,
  type NdArray,
  placeOf,
  scalar,
  transposed,
} from './nd-array.js';

/** The variables of running code, and what a name stands for that nothing has been assigned to. */
export interface Scope {
  readonly variables: Map<string, Value>;
  /** True if operators take numbers alone, as those of JavaScript do. */
  readonly ofNumbers: boolean;
  free(name: string): Value | undefined;
  /** Counts a step of a loop. @throws after more than code has that computes a derivative of a sample */
  step(): void;
}

export type Code = (scope: Scope) => Value;

const truth =
  (compare: (a: number, b: number) => boolean) =>
  (a: NdArray, b: NdArray): NdArray =>
    elementwise((one, other) => Number(compare(one, other)), a, b);
const numeric =
  (compute: (a: number, b: number) => number) =>
  (a: NdArray, b: NdArray): NdArray =>
    elementwise(compute, a, b);

/** The operators with two operands, and how tightly they bind. */
const binary: Readonly<Record<string, readonly [binds: number, compute: (a: NdArray, b: NdArray) => NdArray]>> = {
  '==': [1, truth((a, b) => a === b)],
  '!=': [1, truth((a, b) => a !== b)],
  '<': [1, truth((a, b) => a < b)],
  '>': [1, truth((a, b) => a > b)],
  '<=': [1, truth((a, b) => a <= b)],
  '>=': [1, truth((a, b) => a >= b)],
  '+': [2, numeric((a, b) => a + b)],
  '-': [2, numeric((a, b) => a - b)],
  '*': [3, numeric((a, b) => a * b)],
  '/': [3, numeric((a, b) => a / b)],
  '@': [3, matmul],
  '%': [3, numeric((a, b) => a - b * Math.floor(a / b))],
  '**': [5, numeric((a, b) => a ** b)],
};
const ofSign = 4;

export function operated(operator: string, a: Value | undefined, b: Value): NdArray {
  const [, compute] = binary[operator] ?? [];
  if (!compute) throw new CannotRun(operator);
  return compute(asArray(a), asArray(b));
}

/** The place in the data of each entry that an index selects, and the shape of what is selected. */
export function selected({ shape }: NdArray, index: readonly Value[]): { shape: readonly number[]; places: NdArray } {
  const lists: NdArray[] = [];
  const result: number[] = [];
  const ofAxis: ((own: readonly number[]) => number)[] = [];
  let ofLists = -1;
  const given = index.includes('...')
    ? index.flatMap((one) =>
        one === '...' ? shape.slice(index.filter((other) => other !== null).length - 1).map(() => whole) : [one],
      )
    : index;
  const axes = given.filter((one) => one !== null).length;
  for (const one of [...given, ...shape.slice(axes).map(() => whole)]) {
    if (one === null) {
      result.push(1);
      continue;
    }
    const size = shape[ofAxis.length];
    if (size === undefined) throw new CannotRun('index');
    if (one instanceof Slice) {
      const { step } = one;
      const within = (end: number) => Math.min(Math.max(end < 0 ? end + size : end, step < 0 ? -1 : 0), size);
      const start =
        one.start === null ? (step < 0 ? size - 1 : 0) : Math.min(within(one.start), step < 0 ? size - 1 : size);
      const stop = one.stop === null ? (step < 0 ? -1 : size) : within(one.stop);
      const axis = result.push(Math.max(Math.ceil((stop - start) / step), 0)) - 1;
      ofAxis.push((own) => start + step * Number(own[axis]));
    } else {
      const list = asArray(one);
      lists.push(list);
      if (list.shape.length > 1) throw new CannotRun('index');
      if (list.shape.length === 1 && ofLists < 0) ofLists = result.push(0) - 1;
      const at = ofLists;
      ofAxis.push((own) => entryOf(list, list.shape.length === 0 ? [] : [Number(own[at])]));
    }
  }
  if (ofLists >= 0) result[ofLists] = Math.max(...lists.map(({ data }) => data.length));
  const places = built(result, (own) =>
    placeOf(
      shape,
      ofAxis.map((indexOf) => indexOf(own)),
    ),
  );
  return { shape: result, places };
}

const whole = new Slice(null, null);

export function entriesAt(array: NdArray, index: readonly Value[]): NdArray {
  const { shape, places } = selected(array, index);
  return { shape, data: places.data.map((place) => Number(array.data[place])) };
}

const tokenOf = /\d+\.?\d*(?:e[-+]?\d+)?f?|\.\d+|'[^']*'|"[^"]*"|[A-Za-z_]\w*|\.\.\.|\*\*|=>|[<>=!]=|\S/g;

/** Calls of a model or one of its layers, whose results are the logits. */
const ofModel = /(?<![\w.])(?:self\.)?(?:model|net|network|linear\w*|fc\w?|encoder|forward|layers?\d?)\(\w+\)/g;

/**
 * Code without the names of libraries and objects before other names, with Python's own `sum` under a name of its own, because it is not NumPy's, and
 * with the elementwise operators of MATLAB as those of Python.
 */
export function withoutLibraries(code: string): string {
  return code
    .replace(/(?<![\w.])sum(?=\()/g, 'sum_of_items')
    .replace(ofModel, 'logits')
    .replace(library, '')
    .replace(/(?<![\w.])(?:(?:autograd|jax|losses|metrics)\.(?=\w+\()|[A-Z][a-z]\w+\.(?=softmax\())/g, '')
    .replace(/(?<![\w.])(?:self|this)\.|[A-Za-z_]\w*::(?=[A-Za-z_])|(?<![\w.])(?:[a-z]+\.)+(?=[A-Z]\w*\()/g, '')
    .replace(
      /(?<![\w.)\]])(?:[A-Za-z_]\w*\.)+(?!(?:T|shape|size|flat|length|rows|cols)\b)(?=[A-Za-z_]\w*(?![\w(]))/g,
      '',
    )
    .replace(/\.(?=[*/^])/g, '')
    .replace(ownSoftmax, 'softmax(');
}

/** More tokens than an expression of a gradient has: were each of them nested in the one before, they would exhaust the stack. */
const mostTokens = 1e3;

/** Compiles a Python expression. @throws for what is none, or has something in it that gradients are seldom written with */
export function compiled(text: string): Code {
  const tokens = text.match(tokenOf) ?? [];
  if (tokens.length > mostTokens) throw new CannotRun('too large');
  let next = 0;
  const accept = (token: string): boolean => tokens[next] === token && next++ >= 0;
  const expect = (token: string): void => {
    if (!accept(token)) throw new CannotRun(`expected ${token}`);
  };

  function expression(): Code {
    const value = logical('or');
    const isFirst = accept('?');
    if (!isFirst && !accept('if')) return value;
    const [condition, first] = isFirst ? [value, expression()] : [logical('or'), value];
    expect(isFirst ? ':' : 'else');
    const other = expression();
    return (scope) => (asNumber(condition(scope)) ? first : other)(scope);
  }

  function logical(operator: 'or' | 'and'): Code {
    let left = operator === 'or' ? logical('and') : negation();
    while (accept(operator)) {
      const [a, b] = [left, operator === 'or' ? logical('and') : negation()];
      left = (scope) => {
        const value = a(scope);
        return (asNumber(value) !== 0) === (operator === 'or') ? value : b(scope);
      };
    }
    return left;
  }

  function negation(): Code {
    if (!accept('not')) return operation(0);
    const operand = negation();
    return (scope) => scalar(Number(asNumber(operand(scope)) === 0));
  }

  function operation(least: number): Code {
    let left = sign();
    for (;;) {
      const operator = tokens[next] ?? '';
      const [binds = -1] = Object.hasOwn(binary, operator) ? (binary[operator] ?? []) : [];
      if (binds <= least) return left;
      next++;
      const [a, b] = [left, operation(operator === '**' ? ofSign - 1 : binds)];
      left = (scope) => {
        const operands = [a(scope), b(scope)] as const;
        if (scope.ofNumbers && operands.some((one) => asArray(one).shape.length > 0)) throw new CannotRun('no numbers');
        return operated(operator, ...operands);
      };
    }
  }

  function sign(): Code {
    if (accept('+')) return sign();
    if (!accept('-')) return postfix(atom());
    const operand = operation(ofSign);
    return (scope) => elementwise((value) => -value, asArray(operand(scope)));
  }

  /** The items up to the closing bracket, and the keyword arguments. */
  function items(end: string): { readonly codes: readonly Code[]; readonly named: ReadonlyMap<string, Code> } {
    const codes: Code[] = [];
    const named = new Map<string, Code>();
    while (!accept(end)) {
      if (tokens[next + 1] === '=') {
        const name = tokens[next] ?? '';
        next += 2;
        named.set(name, expression());
      } else codes.push(item());
      if (!accept(',')) {
        expect(end);
        break;
      }
    }
    return { codes, named };
  }

  function item(): Code {
    const isEnd = () => [',', ']', ':'].includes(tokens[next] ?? '');
    const start = tokens[next] === ':' ? null : expression();
    if (accept('for')) return generator(start ?? (() => null));
    if (!accept(':')) return start ?? (() => null);
    const stop = isEnd() ? null : expression();
    const step = accept(':') && !isEnd() ? expression() : null;
    return (scope) => {
      const [from, to, by] = [start, stop, step].map((end) => end && asNumber(end(scope)));
      if (by === 0) throw new CannotRun('step');
      return new Slice(from ?? null, to ?? null, by ?? 1);
    };
  }

  function generator(term: Code): Code {
    const names = namesUpTo('in');
    const values = operation(0);
    const condition = accept('if') ? expression() : null;
    return (scope) =>
      itemsOf(values(scope)).flatMap((value) => {
        scope.step();
        const own = { ...scope, variables: new Map(scope.variables) };
        bind(own.variables, names, value);
        return condition && asNumber(condition(own)) === 0 ? [] : [term(own)];
      });
  }

  function namesUpTo(end: string): readonly string[] {
    const names: string[] = [];
    while (!accept(end)) {
      if (next >= tokens.length) throw new CannotRun(`expected ${end}`);
      names.push(tokens[next++] ?? '');
    }
    return names.filter((name) => /\w/.test(name));
  }

  function postfix(operand: Code): Code {
    if (accept('.')) {
      const name = tokens[next++] ?? '';
      if (name === 'flat' && tokens[next] !== '(') return postfix((scope) => flat(asArray(operand(scope))));
      if (accept('(')) {
        const { codes, named } = items(')');
        return postfix((scope) => called(functions.get(name), [operand, ...codes], named, scope));
      }
      return postfix((scope) => attribute(asArray(operand(scope)), name));
    }
    if (accept('(')) {
      const { codes, named } = items(')');
      return postfix((scope) => called(operand(scope), codes, named, scope));
    }
    if (accept('[')) {
      const { codes } = items(']');
      return postfix((scope) => {
        return entriesAt(
          asArray(operand(scope)),
          codes.map((code) => code(scope)),
        );
      });
    }
    return operand;
  }

  /** True if what follows are the parameters of an arrow function. */
  function isArrow(): boolean {
    let end = next;
    while (/^(?:\w+|,)$/.test(tokens[end] ?? '')) end++;
    return tokens[end] === ')' && tokens[end + 1] === '=>';
  }

  /** A function of one expression. */
  function functionOf(names: readonly string[]): Code {
    const body = expression();
    return (scope) => (operands) => {
      scope.step();
      const variables = new Map(scope.variables);
      names.forEach((name, k) => {
        variables.set(name, operands[k] ?? null);
      });
      return body({ ...scope, variables });
    };
  }

  function atom(): Code {
    const token = tokens[next++] ?? '';
    if (token === 'lambda') return functionOf(namesUpTo(':'));
    if (accept('=>')) return functionOf([token]);
    if (token === '(' && isArrow()) {
      const names = namesUpTo(')');
      expect('=>');
      return functionOf(names);
    }
    if (token === '(' || token === '[') {
      const { codes } = items(token === '(' ? ')' : ']');
      const isOne = codes.length === 1 && token === '(' && tokens[next - 2] !== ',';
      const [only] = codes;
      if (only && isOne) return only;
      // A list of one generator is the list of its items.
      return (scope) => {
        const values = codes.map((code) => code(scope));
        return values.length === 1 && Array.isArray(values[0]) ? values[0] : values;
      };
    }
    if (token === '...') return () => token;
    if (/^['"]/.test(token)) return () => token.slice(1, -1);
    if (/^[\d.]/.test(token)) return () => scalar(Number.parseFloat(token));
    if (!/^[A-Za-z_]/.test(token)) throw new CannotRun(`unexpected ${token}`);
    // A name may be that of a function and of a variable, as softmax is.
    if (tokens[next] === '(') return (scope) => scope.variables.get(token) ?? functions.get(token) ?? null;
    return (scope) => valueNamed(token, scope);
  }

  const codes = [expression()];
  while (accept(',')) codes.push(expression());
  if (next < tokens.length) throw new CannotRun(`${tokens[next]} is left`);
  const [only] = codes;
  return codes.length === 1 && only ? only : (scope) => codes.map((code) => code(scope));
}

/** The items of an index, as those between brackets. */
export function compiledIndex(text: string): (scope: Scope) => readonly Value[] {
  const code = compiled(`__index(${text})`);
  return (scope) => {
    const index: Call = (operands) => [...operands];
    const variables = new Map(scope.variables).set('__index', index);
    return code({ ...scope, variables }) as readonly Value[];
  };
}

/** Assigns a value to a name, or its items to several. */
export function bind(variables: Map<string, Value>, names: readonly string[], value: Value): void {
  const [first = '', ...others] = names;
  const given = others.length > 0 && Array.isArray(value) ? value : [value];
  // `index, (row, other)` of an enumerated zip.
  const items = given.length < names.length ? given.flat() : given;
  variables.set(first, items[0] ?? null);
  others.forEach((name, k) => {
    const item = items[k + 1];
    if (item === undefined) variables.delete(name);
    else variables.set(name, item);
  });
}

function called(
  value: Value | undefined,
  operands: readonly Code[],
  named: ReadonlyMap<string, Code>,
  scope: Scope,
): Value {
  if (typeof value !== 'function') throw new CannotRun('no function');
  return value(
    operands.map((code) => code(scope)),
    new Map([...named].map(([name, code]) => [name, code(scope)])),
  );
}

function attribute(array: NdArray, name: string): Value {
  if (name === 'T') return transposed(array);
  if (name === 'size') return scalar(array.data.length);
  if (name === 'length' || name === 'rows') return scalar(Number(array.shape[0]));
  if (name === 'cols') return scalar(Number(array.shape[1]));
  if (name === 'shape') return { shape: [array.shape.length], data: [...array.shape] };
  throw new CannotRun(name);
}

const constants: ReadonlyMap<string, Value> = new Map<string, Value>([
  ['None', null],
  ['newaxis', null],
  ['True', scalar(1)],
  ['False', scalar(0)],
  ['true', scalar(1)],
  ['false', scalar(0)],
  ['null', null],
]);

function valueNamed(name: string, { variables, free }: Scope): Value {
  const value = variables.get(name) ?? constants.get(name);
  if (value !== undefined) return value;
  // In a sum over the shifts k, delta is 1 for the shift by 0.
  const shift = name === 'delta' ? variables.get('k') : undefined;
  const found = shift === undefined ? (free(name) ?? functions.get(name)) : scalar(Number(asNumber(shift) === 0));
  if (found === undefined) throw new CannotRun(`unknown name ${name}`);
  return found;
}
