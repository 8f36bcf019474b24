import type { HelperFunction } from './gpu.js';

/**
 * A gpu.js kernel as text. gpu.js reads kernels as source; functions written here would reach it as a minifier, a coverage
 * tool or a bundler left them, and text reaches it as it is.
 *
 * The text obeys what all of gpu.js's translators take: arrays are read in the kernel itself and never handed to a function;
 * helper functions call no others (the GLSL translator can declare them out of order); no index contains a read, and no call
 * one of the same function (it takes such expressions apart into variables, which are floats); a local variable is a float and only
 * a loop variable, an `Integer` argument and `this.thread.x` are whole numbers; NaN and ±Infinity come in as arguments.
 */
export interface Program {
  /** Tells programs apart: equal names mean equal text. */
  readonly name: string;
  /** Arguments in this order: arrays, whole numbers, numbers. */
  readonly arrays: readonly string[];
  readonly integers: readonly string[];
  readonly numbers: readonly string[];
  /** Statements that return element `this.thread.x` of the result. */
  readonly body: string;
}

export function sourceOf({ arrays, integers, numbers, body }: Program): string {
  return `function(${[...arrays, ...integers, ...numbers].join(', ')}) { ${body} }`;
}

/** The helper functions that a program calls. */
export function helpersOf({ body }: Program): readonly HelperFunction[] {
  return [...helpers].filter(([name]) => body.includes(`${name}(`)).map(([, helper]) => helper);
}

/**
 * ⌊a / b⌋ of whole-number expressions with 0 ≤ a < 2³⁰, exactly. gpu.js divides in float32 only, so a quotient past 2²⁴ is off by
 * some: what is left over is divided again, and a last comparison in whole numbers settles the rest.
 */
export function quotient(a: string, b: string): string {
  const first = `estimate(${a}, ${b})`;
  return `settle(${a}, ${b}, ${first} + refine((${a}) - ${first} * (${b}), ${b}))`;
}

const integer = 'Integer';
const number = 'Number';

/** Σ qⁿ/(2n+1), n ≤ 7, so that artanh s = s Σ s²ⁿ/(2n+1): with |s| ≤ 1/3 the next term is below 2⁻²⁸. */
const artanhSeries = [15, 13, 11, 9, 7, 5, 3, 1].reduce((rest, n) => `(${1 / n} + q * ${rest})`, '0');

const floored = 'return Math.floor((a + 0.5) / b);';

/**
 * - `estimate`, and for what is left of it `refine`: ⌊a / b⌋ as float32 finds it; `settle`: q, or its neighbour, so that
 *   0 ≤ a − q b < b.
 * - `whole`: a whole number that was kept as a float; 0 for −1, which stands for none.
 * - `expOf`: exp as IEEE has it, whatever a device's own makes of NaN and of what over- or underflows (a mask of −1e9, −Infinity).
 * - `lnOf`, `log1pOf`: log(v) for v > 0, and log(1 + v) for v ≥ 0, or NaN for NaN; by 2 artanh near 1, where a device's own log
 *   has the absolute error that WGSL (section 15.7.4) and Vulkan allow it, 2⁻²¹, and nothing relative.
 */
const helpers: ReadonlyMap<string, HelperFunction> = new Map([
  helper('estimate', { a: integer, b: integer }, integer, floored),
  helper('refine', { a: integer, b: integer }, integer, floored),
  helper(
    'settle',
    { a: integer, b: integer, q: integer },
    integer,
    'if (a - q * b < 0) { return q - 1; } if (a - q * b >= b) { return q + 1; } return q;',
  ),
  helper('whole', { v: number }, integer, 'if (v < 0) { return 0; } return Math.floor(v + 0.5);'),
  helper(
    'expOf',
    { v: number },
    number,
    'if (v < -104) { return 0; } if (v > 88.7229) { return v * 3e38; } if (v < 1 || v > 0) { return Math.exp(v); } return v;',
  ),
  helper(
    'lnOf',
    { v: number },
    number,
    `if (v > 0.5 && v < 2) { const s = (v - 1) / (v + 1); const q = s * s; return 2 * s * ${artanhSeries}; }
    if (v < 3.4028234e38) { return Math.log(v); }
    return v;`,
  ),
  helper(
    'log1pOf',
    { v: number },
    number,
    `if (v < 1) { const s = v / (2 + v); const q = s * s; return 2 * s * ${artanhSeries}; }
    if (v < 3.4028234e38) { return Math.log(1 + v); }
    return v;`,
  ),
]);

function helper(
  name: string,
  argumentTypes: Readonly<Record<string, string>>,
  returnType: string,
  body: string,
): [string, HelperFunction] {
  const source = `function ${name}(${Object.keys(argumentTypes).join(', ')}) { ${body} }`;
  return [name, { source, settings: { argumentTypes, returnType } }];
}
