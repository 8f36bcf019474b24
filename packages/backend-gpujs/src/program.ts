import type { HelperFunction } from './gpu.js';

/**
 * The source of a gpu.js kernel. gpu.js parses the source of functions, which minifiers, coverage tools and bundlers change;
 * strings stay unchanged.
 *
 * The source keeps to the subset that all of gpu.js's translators support: arrays are read in the kernel itself and never passed to a function;
 * helper functions do not call each other (the GLSL translator may declare them in the wrong order); index expressions contain no array reads, and
 * calls contain no call of the same function (the GLSL translator splits such expressions into float variables); local variables are floats, and only
 * loop variables, `Integer` arguments and `this.thread.x` are integers; NaN and ±Infinity are passed as arguments.
 */
export interface Program {
  /** Identifies the program: equal names have equal source. */
  readonly name: string;
  /** The parameters, in this order: arrays, integers, floats. */
  readonly arrays: readonly string[];
  readonly integers: readonly string[];
  readonly numbers: readonly string[];
  /** Statements that return element `this.thread.x` of the result; indices are divided by `quotient`. */
  body(quotient: Quotient, arithmetic: Arithmetic): string;
}

/** The source of ⌊a / b⌋, exactly, of integer expressions. */
export type Quotient = (a: string, b: string) => string;

export function sourceOf(
  { arrays, integers, numbers, body }: Program,
  quotient: Quotient,
  arithmetic: Arithmetic,
): string {
  return `function(${[...arrays, ...integers, ...numbers].join(', ')}) { ${body(quotient, arithmetic)} }`;
}

/** The type in which a mode computes. Every mode stores float32. */
export type Arithmetic = 'float32' | 'float64';

/** The helper functions of a mode, by name. */
export type Helpers = ReadonlyMap<string, HelperFunction>;

/** The helper functions that a source calls. */
export function helpersOf(source: string, helpers: Helpers): readonly HelperFunction[] {
  return [...helpers].filter(([name]) => source.includes(`${name}(`)).map(([, helper]) => helper);
}

/**
 * For 0 ≤ a < 2³⁰. gpu.js divides in float32 only, so quotients above 2²⁴ are inexact: the remainder is divided again, and a final
 * integer comparison corrects the result by at most 1.
 */
export const longQuotient: Quotient = (a, b) => {
  const first = `estimate(${a}, ${b})`;
  return `settle(${a}, ${b}, ${first} + refine((${a}) - ${first} * (${b}), ${b}))`;
};

/**
 * For 0 ≤ a < {@link short}, or {@link roundedShort}; in float64 for every a < 2³⁰. (a + ½) / b is at least ½ / b away from an integer.
 */
export const shortQuotient: Quotient = (a, b) => `estimate(${a}, ${b})`;

/** The same without a call; a sum that begins with a float converts the integers, not the float. */
export const inlineQuotient: Quotient = (a, b) => `Math.floor((0.5 + (${a})) / (${b}))`;

/**
 * A float32 quotient with an error of 2.5 ULP, which WGSL (section 15.7.4) and Vulkan allow, is off by less than ½ / b:
 * (a + ½) / b · 2.5 · 2⁻²³ < ½ / b up to a = 1.6 · 2²⁰.
 */
export const short = 2 ** 20;

/** Where float32 division rounds to the nearest, as in WebAssembly: (a + ½) / b · 2⁻²⁴ < ½ / b, and a + ½ is exact, below 2²³. */
export const roundedShort = 2 ** 22;

const integer = 'Integer';
const number = 'Number';

/** Σ qⁿ/(2n+1), n ≤ 7, so that artanh s = s Σ s²ⁿ/(2n+1): with |s| ≤ 1/3 the next term is below 2⁻²⁸. */
const artanhSeries = [15, 13, 11, 9, 7, 5, 3, 1].reduce((rest, n) => `(${1 / n} + q * ${rest})`, '0');

const floored = 'return Math.floor((a + 0.5) / b);';

/** `exp`, statements that return exp(v) for −104 ≤ v ≤ 88.7229, with IEEE's results for any other v. */
const guarded = (exp: string) =>
  `if (v < -104) { return 0; } if (v > 88.7229) { return v * 3e38; } if (v < 1 || v > 0) { ${exp} } return v;`;

/**
 * Statements that return exp(v + lost) for a lost far below 1, within 1 ULP. A GPU's own exp is 2^(v log₂ e) with a rounded product, for which WGSL (section
 * 15.7.4) allows 3 + 2|v| ULP. Here ln 2 is subtracted n times, in two parts (Cody and Waite), and p is a polynomial by Chebyshev interpolation of
 * (exp(t) − 1 − t)/t² on |t| ≤ ln 2/2. It is multiplied by powers of 2 that comparisons choose, because WebGL 1 has no access to a float's bits, and
 * by 2^±64 last, so that a subnormal result is rounded once.
 *
 * @param sign of v: 'negative' includes 0
 */
function expByPolynomial(lost: string, sign: 'negative' | 'any'): string {
  const smaller = [1, 2, 4, 8, 16, 32];
  const power = (e: number) => (sign === 'any' ? `power${e}` : `${2 ** -e}`);
  const squares = smaller.map((e) => `const power${2 * e} = power${e} * power${e};`);
  return `
    const n = Math.floor(v * 1.44269504 + 0.5);
    const a = v - n * 0.693145751953125;
    const b = ${lost} - n * 1.42860677e-6;
    const t = a + b;
    const c2 = (t * 0.0013926250394433737 + 0.00836323294788599) * t + 0.04166655242443085;
    const c1 = (c2 * t + 0.16666576266288757) * t + 0.5;
    let p = 1 + (a + (b + t * t * c1));
    let k = -n;
    ${sign === 'any' ? `let power1 = 0.5; if (n > 0) { k = n; power1 = 2; } ${squares.join(' ')}` : ''}
    let first = 1;
    if (k > 63) { first = ${power(64)}; k = k - 64; }
    let second = 1;
    if (k > 63) { second = ${power(64)}; k = k - 64; }
    ${smaller
      .map((e) => `if (k > ${e - 1}) { p = p * ${power(e)}; k = k - ${e}; }`)
      .reverse()
      .join(' ')}
    return p * first * second;`;
}

/**
 * - `estimate`, and `refine` for its remainder: ⌊a / b⌋ as computed in float32; `settle`: q or a neighbour, such that
 *   0 ≤ a − q b < b.
 * - `whole`: an integer stored as a float; −1, which means none, becomes 0.
 * - `expOf`: exp with IEEE's results for NaN, overflow and underflow (a mask of −1e9, −Infinity).
 * - `expOfExponent`: the same of `v = sgn (x − m) / (size + sizeRest)`, where m is the row's maximum, so that v is not above 0 unless it is Infinity,
 *   and of what v lost by rounding: the errors of the difference (Knuth's TwoSum), of the quotient (Dekker's product) and of the temperature. They
 *   count as 0 where they are not finite, or where the device's compiler simplifies them away.
 * - `overSum`: e / (1 + rest), corrected by what 1 + rest lost by rounding.
 * - `lnOf`, `log1pOf`: log(v) for v > 0, and log(1 + v) for v ≥ 0, or NaN for NaN. From ½ to 2 they use 2 artanh, because WGSL (section 15.7.4)
 *   and Vulkan allow the device's log an absolute error of 2⁻²¹ there, without a bound on the relative error.
 * - `complementOf`: 1 − exp(v) for −ln 2 ≤ v ≤ 0, without cancelling: `2 z / (z + z coth z)` with z = −v / 2, and z coth z as a continued fraction, whose
 *   next term would change it by 2⁻²⁹.
 */
const inFloat32: Helpers = new Map([
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
    'overSum',
    { e: number, rest: number },
    number,
    `const y = 1 + rest;
    let lost = rest - (y - 1);
    if (rest > 1) { lost = 1 - (y - rest); }
    const q = e / y;
    return q - q * (lost / y);`,
  ),
  helper(
    'lnOf',
    { v: number },
    number,
    `if (v >= 0.5 && v <= 2) { const s = (v - 1) / (v + 1); const q = s * s; return 2 * s * ${artanhSeries}; }
    if (v < 3.4028234e38) { return Math.log(v); }
    return v;`,
  ),
  helper(
    'log1pOf',
    { v: number },
    number,
    `if (v <= 1) { const s = v / (2 + v); const q = s * s; return 2 * s * ${artanhSeries}; }
    if (v < 3.4028234e38) { return Math.log(1 + v); }
    return v;`,
  ),
  helper(
    'complementOf',
    { v: number },
    number,
    'const z = v * -0.5; const q = z * z; return (0 - v) / (1 + (z + q / (3 + q / (5 + q / 7))));',
  ),
]);

function expOfExponent(exp: string) {
  return helper(
    'expOfExponent',
    { x: number, m: number, sgn: number, size: number, sizeRest: number },
    number,
    `const d = x - m;
    const z = d - x;
    let rest = sgn * ((x - (d - z)) - (m + z));
    if (size != 1) {
      const q = sgn * d / size;
      const r = q * size;
      const q1 = q * 4097 - (q * 4097 - q);
      const q2 = q - q1;
      const s1 = size * 4097 - (size * 4097 - size);
      const s2 = size - s1;
      const product = ((q1 * s1 - r) + q1 * s2 + q2 * s1) + q2 * s2;
      rest = ((sgn * d - r) - product + rest - q * sizeRest) / size;
    }
    const v = sgn * d / size;
    let lost = 0;
    if (rest < 0.001 && rest > -0.001) { lost = rest; }
    ${exp}`,
  );
}

/** Of the modes webgpu, webgl2, webgl and headlessgl. */
export const gpuHelpers: Helpers = new Map([
  ...inFloat32,
  helper('expOf', { v: number }, number, guarded(expByPolynomial('0', 'any'))),
  expOfExponent(guarded(expByPolynomial('lost', 'negative'))),
]);

/** Of mode webasm, into which gpu.js imports JavaScript's exp: it is accurate, and calling it takes less time than the polynomial. */
export const webAssemblyHelpers: Helpers = new Map([
  ...inFloat32,
  helper('expOf', { v: number }, number, guarded('return Math.exp(v);')),
  expOfExponent(guarded('const e = Math.exp(v); return e + e * lost;')),
]);

/** exp(v) is computed as 2^(k/256) of a table times 2^(r/256), where k + r = 256 v / ln 2 and 0 ≤ r < 1. */
const parts = 256;
const unit = Math.LN2 / parts;
/** The exponent of the table's first whole power, below that of exp(−104). */
const lowest = -152;

/** The constant `powers` of mode cpu: 2^(k/256) for k < 256, then 2^−152 to 2^129. */
export const powers: Float64Array = Float64Array.from({ length: parts + 282 }, (_, k) =>
  k < parts ? 2 ** (k / parts) : 2 ** (k - parts + lowest),
);

/**
 * The helpers of mode cpu, which computes in float64:
 * - `estimate`: exact for every index. V8 would convert the result of Math.floor to an integer once more.
 * - `expOf`: its relative error is below 2⁻³⁸, far below that of rounding to float32. Math.exp takes twice as long: V8 calls a C++ function.
 */
export const javaScriptHelpers: Helpers = new Map([
  ...inFloat32,
  helper('estimate', { a: integer, b: integer }, integer, 'return ((a + 0.5) * (1 / b)) | 0;'),
  helper('whole', { v: number }, integer, 'if (v < 0) { return 0; } return v | 0;'),
  helper('overSum', { e: number, rest: number }, number, 'return e / (1 + rest);'),
  helper(
    'expOf',
    { v: number },
    number,
    `if (v >= -104) {
      if (v > 88.7229) { return v * 3e38; }
      const f = v * ${1 / unit} + ${-lowest * parts};
      const k = f | 0;
      const r = f - k;
      return this.constants.powers[${parts} + (k >> ${Math.log2(parts)})] * this.constants.powers[k & ${parts - 1}]
        * (1 + r * (${unit} + r * (${unit ** 2 / 2} + r * ${unit ** 3 / 6})));
    }
    if (v < 0) { return 0; }
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
