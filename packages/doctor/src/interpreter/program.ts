import {
  bind,
  compiled,
  compiledIndex,
  entriesAt,
  operated,
  type Scope,
  selected,
  withoutLibraries,
} from './expression.js';
import { asArray, asNumber, type Call, flat, itemsOf, type Value } from './functions.js';
import { broadcast, CannotRun, entryOf, type NdArray, unravel } from './nd-array.js';

interface Line {
  readonly indent: number;
  readonly text: string;
}

/** A function that the code defines. */
interface Defined {
  readonly from: number;
  readonly to: number;
  readonly parameters: readonly string[];
}

/** More statements than a loop over the entries of a sample has. */
const mostSteps = 3000;

/** Functions without the types of their parameters and of their result. */
function withoutAnnotations(code: string): string {
  return code.replace(
    /^(\s*def\s+\w+\()([^()]*)\)(?:\s*->[^\n]*?)?(?=:)/gm,
    (_, start: string, parameters: string) =>
      `${start}${parameters.replace(/:\s*[\w.]+(?:\[[^=]*?\])?(?=\s*(?:[,=]|$))/g, '')})`,
  );
}

/** Lines without comments; one statement each, also where it is broken within brackets. */
function linesOf(code: string): readonly Line[] {
  const lines: Line[] = [];
  let text = '';
  for (const line of withoutAnnotations(code.replace(/#.*|"""[\s\S]*?"""|\\\n/g, '')).split('\n')) {
    text += text === '' ? line : ` ${line.trim()}`;
    if (text.split(/[([{]/).length > text.split(/[)\]}]/).length) continue;
    const indent = text.search(/\S/);
    // The part of a line after the colon of its statement is a block of its own.
    const [, header, body] =
      /^\s*((?:for|if|elif|else|def|while)\b(?:[^[\]]|\[[^\]]*\])*?:)\s+(\S.*)$/.exec(text) ?? [];
    const parts =
      header === undefined
        ? [[text, 0]]
        : [
            [header, 0],
            [body, 1],
          ];
    for (const [part, deeper] of parts as [string, number][])
      for (const statement of part
        .split(';')
        .map((one) => one.trim())
        .filter(Boolean))
        lines.push({ indent: indent + deeper, text: statement });
    text = '';
  }
  return lines;
}

/** `a = `, `a[i] -= ` or `a, b = `. */
const assignment = /^([A-Za-z_]\w*(?:\s*,\s*\w+)*)(\.flat)?\s*(\[.*?\])?\s*(\*\*|[-+*/@%])?=(?!=)\s*(.+)$/;

/** What is the result of a statement where none is returned. */
const nothing = Symbol('nothing');
type Result = Value | typeof nothing;

/**
 * Runs Python code of assignments, loops, conditions and functions, and returns what it returns, or what was assigned last; of code that only defines
 * functions, what the last one returns for parameters that are free names. `initial` is the array of a name to whose entries is assigned before it is. With `ofNumbers`, operators
 * take numbers alone.
 *
 * @throws for everything else
 */
export function runCode(
  code: string,
  free: Scope['free'],
  initial: (name: string, axes: number) => NdArray,
  ofNumbers = false,
): NdArray {
  const lines = linesOf(withoutLibraries(code));
  const defined: Defined[] = [];
  let steps = 0;
  let last: Value | undefined;

  /** Runs the lines of a block; the result is what is returned. */
  function block(from: number, to: number, scope: Scope): Result {
    let chosen = false;
    for (let k = from; k < to; ) {
      const { text, indent } = lines[k] as Line;
      scope.step();
      let end = k + 1;
      while (end < to && (lines[end] as Line).indent > indent) end++;
      const [, word = '', rest = ''] = /^(\w+)\s*(.*?):?$/.exec(text) ?? [];
      let result: Result = nothing;
      if (word === 'for') {
        const [, names = '', values = ''] = /^(.*?)\sin\s(.*)$/.exec(rest) ?? [];
        for (const value of itemsOf(compiled(values)(scope))) {
          bind(scope.variables, names.match(/\w+/g) ?? [], value);
          result = block(k + 1, end, scope);
          if (result !== nothing) return result;
        }
      } else if (word === 'if' || word === 'elif' || word === 'else') {
        const isNext: boolean = word === 'if' || !chosen;
        const runs: boolean = isNext && (word === 'else' || asNumber(compiled(rest)(scope)) !== 0);
        chosen = runs || (chosen && word !== 'if');
        if (runs) result = block(k + 1, end, scope);
      } else if (word === 'def') define(rest, k + 1, end, scope);
      else if (word === 'class') result = block(k + 1, end, scope);
      else if (word === 'return') return compiled(rest)(scope);
      else if (!/^(?:import|from|pass|print|assert)\b|^@/.test(text)) last = statement(text, scope);
      if (result !== nothing) return result;
      k = end;
    }
    return nothing;
  }

  function define(header: string, from: number, to: number, scope: Scope): void {
    const [, name = '', list = ''] = /^(\w+)\s*\((.*)\)/.exec(header) ?? [];
    const parameters = list
      .split(',')
      .map((one) => one.replace(/[=:].*/, '').trim())
      .filter((one) => one !== 'self' && one !== '');
    defined.push({ from, to, parameters });
    const call: Call = (operands) => {
      const variables = new Map(scope.variables);
      parameters.forEach((one, k) => {
        const value = operands[k];
        if (value !== undefined) variables.set(one, value);
      });
      const result = block(from, to, { ...scope, variables });
      if (result === nothing) throw new CannotRun('nothing is returned');
      return result;
    };
    scope.variables.set(name, call);
  }

  function statement(text: string, scope: Scope): Value {
    const { variables } = scope;
    const [, names = '', isFlat, index, operator = '', value = ''] = assignment.exec(text) ?? [];
    if (names === '') return compiled(text)(scope);
    const given = compiled(value)(scope);
    const [name = '', ...others] = names.split(/\s*,\s*/);
    if (others.length > 0) {
      bind(variables, [name, ...others], given);
      return given;
    }
    if (index === undefined) {
      const result = operator === '' ? given : operated(operator, compiled(name)(scope), given);
      variables.set(name, result);
      return result;
    }
    const items = compiledIndex(index.slice(1, -1).replace(/\]\s*\[/g, ','))(scope);
    // What 1 is subtracted from was there before.
    const wasThere = operator === '-' && isOne(given);
    const array = asArray(variables.get(name) ?? (wasThere ? free(name) : undefined) ?? initial(name, items.length));
    variables.set(name, array);
    // Its data are those of the array.
    const target = isFlat === undefined ? array : flat(array);
    const { shape, places } = selected(target, items);
    const after = operator === '' ? asArray(given) : operated(operator, entriesAt(target, items), given);
    const fits = broadcast([shape, after.shape]).every((size, d) => size === shape[d]);
    // A row of a loop is a copy here and a view in NumPy.
    if (!fits || Object.isFrozen(array.data)) throw new CannotRun('assignment');
    const spread = places.data.map((_, k) => entryOf(after, unravel(k, shape)));
    places.data.forEach((place, k) => {
      array.data[place] = spread[k] as number;
    });
    return array;
  }

  const step = () => {
    if (++steps > mostSteps) throw new CannotRun('too long');
  };
  const scope: Scope = { variables: new Map(), ofNumbers, free, step };
  const main = () => {
    const result = block(0, lines.length, scope);
    if (result !== nothing) return result;
    if (last !== undefined && typeof last !== 'function') return last;
    const own = defined.at(-1);
    if (!own) throw new CannotRun('nothing is computed');
    const returned = block(own.from, own.to, scope);
    return returned === nothing ? last : returned;
  };
  try {
    return arrayIn(main());
  } catch (error) {
    // Of a function that calls itself, and of a list in itself.
    throw error instanceof RangeError ? new CannotRun('nested too deeply') : error;
  }
}

function isOne(value: Value): boolean {
  const { shape, data } = asArray(value);
  return shape.length === 0 && data[0] === 1;
}

/** The array that is returned; of a loss and derivatives, as in `return loss, dx`, the first derivative. */
function arrayIn(value: Value | undefined): NdArray {
  const isSeveral = Array.isArray(value) && value.some((one) => !Array.isArray(one) && asArray(one).shape.length === 0);
  const first = isSeveral ? value.find((one) => Array.isArray(one) || asArray(one).shape.length > 0) : undefined;
  return asArray(first ?? value);
}
