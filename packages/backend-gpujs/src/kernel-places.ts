import type { Arithmetic, Program, Quotient } from './program.js';

const p = 'this.thread.x';

/**
 * Maximum number of classes that one element of a reduction processes. Longer rows are reduced in blocks, and the results of the blocks
 * again: O(f) work per row, loops with a constant bound (which WebGL requires), and rounding errors that do not grow with f.
 */
export const block = 256;

/** Index expressions that map a kernel's element `this.thread.x` to an (outer, classes, inner) operand. */
export interface Place {
  /** The index of its row, in (outer, inner) order. */
  readonly row: string;
  /** The index of class `k` of its row, in an operand with `classes` classes. */
  at(k: string, classes?: string): string;
  readonly quotient: Quotient;
  readonly arithmetic: Arithmetic;
}

/** The place of one element of an (outer, classes, inner) result. */
export interface ElementPlace extends Place {
  readonly class: string;
}

/** The source of a kernel over rows. Programs are cached by this object, so there must be one object per kernel. */
export interface Kernel {
  readonly name: string;
  readonly arrays: readonly string[];
  /** Integer parameters in addition to `classes` and `inner`. */
  readonly integers?: readonly string[];
  readonly numbers?: readonly string[];
}

/** Computes each element of an (outer, classes, inner) result. */
export interface Elementwise extends Kernel {
  body(place: ElementPlace): string;
}

/** Computes one element per row. */
export interface Rowwise extends Kernel {
  body(place: Place): string;
}

/** Reduces the classes of each row. */
export interface Reduction extends Kernel {
  /** Declares the variable `result`, and other variables of the row. */
  start(place: Place): string;
  /** Processes class `k`, whose element has index `j`. */
  step(j: string, k: string, place: Place): string;
  /**
   * Whether the steps add to the variable `part` and not to `result`, which in float32 gets the sums of 16 of them, because of a plain sum rounding errors add
   * up. What the additions of 16 lose is added last (Knuth's TwoSum); if a compiler simplifies it away, the sum is that of the parts.
   */
  readonly inParts?: boolean;
}

/** @param flat inner is 1, which saves divisions */
export function elementwise(kernel: Elementwise, flat: boolean): Program {
  return once(kernel, flat ? '/flat' : '', (quotient, arithmetic) => {
    const outer = flat ? quotient(p, 'classes') : quotient(p, 'classes * inner');
    const place = placeOf(outer, flat, quotient, arithmetic);
    return kernel.body({ ...place, class: `${flat ? p : quotient(p, 'inner')} - ${outer} * classes` });
  });
}

export function rowwise(kernel: Rowwise, flat: boolean): Program {
  return once(kernel, flat ? '/flat' : '', (quotient, arithmetic) =>
    kernel.body(placeOf(flat ? p : quotient(p, 'inner'), flat, quotient, arithmetic)),
  );
}

/** One element for each block of 256 classes of a row, (outer, blocks, inner); `single` if there is only one block. */
export function reduction(kernel: Reduction, flat: boolean, single: boolean): Program {
  const variant = `${flat ? '/flat' : ''}${single ? '/single' : ''}`;
  return once(
    kernel,
    variant,
    (quotient, arithmetic) => {
      const line = flat ? p : quotient(p, 'inner');
      const outer = single ? line : flat ? quotient(p, 'blocks') : quotient(p, 'inner * blocks');
      const place = placeOf(outer, flat, quotient, arithmetic);
      const first = single ? '0' : `(${line} - ${outer} * blocks) * ${block}`;
      const { inParts = false } = kernel;
      const compensated = inParts && arithmetic === 'float32';
      return `
      ${kernel.start(place)}
      ${inParts ? 'let part = 0;' : ''}
      ${compensated ? 'let sum = 0; let lost = 0; let count = 0;' : ''}
      let k = ${first};
      const end = Math.min(k + ${block}, classes);
      for (let j = ${place.at(first)}; k < end; j += ${flat ? '1' : 'inner'}) {
        ${kernel.step('j', 'k', place)}
        k += 1;
        ${
          compensated
            ? `const next = sum + part;
        const added = next - sum;
        lost += (sum - (next - added)) + (part - added);
        sum = next;
        part = 0;
        count += 1;
        if (count > 15) { result += sum; sum = 0; count = 0; }`
            : ''
        }
      }
      ${compensated ? 'if (lost < 1 || lost > 0) { return result + (sum + lost); } return result + sum;' : ''}
      return ${inParts ? 'result + part' : 'result'};`;
    },
    ['blocks'],
  );
}

function placeOf(outer: string, flat: boolean, quotient: Quotient, arithmetic: Arithmetic): Place {
  const column = `${p} - ${quotient(p, 'inner')} * inner`;
  return {
    row: flat ? outer : `${outer} * inner + ${column}`,
    at: (k, classes = 'classes') =>
      flat ? `${outer} * ${classes} + ${k}` : `(${outer} * ${classes} + ${k}) * inner + ${column}`,
    quotient,
    arithmetic,
  };
}

const made = new WeakMap<Kernel, Map<string, Program>>();

/** The program of a kernel's variant, generated once. */
function once(kernel: Kernel, variant: string, body: Program['body'], integers: readonly string[] = []): Program {
  const programs = made.get(kernel) ?? new Map<string, Program>();
  made.set(kernel, programs);
  const known = programs.get(variant);
  if (known) return known;
  const program: Program = {
    name: kernel.name + variant,
    arrays: kernel.arrays,
    integers: ['classes', 'inner', ...integers, ...(kernel.integers ?? [])],
    numbers: kernel.numbers ?? [],
    body,
  };
  programs.set(variant, program);
  return program;
}
