import { describe, expect, test } from 'vitest';
import { target } from '../../../scripts/mutants/backend-wasm.mjs';
import { strayEquivalents } from '../../../scripts/mutants/kernels.mjs';
import { apply, mutants } from '../../../scripts/mutants/operators.mjs';

interface Mutant {
  readonly operator: string;
  readonly line: number;
  readonly column: number;
  readonly before: string;
  readonly after: string;
  readonly start: number;
  readonly end: number;
}

/** The mutants of a line of code, by operator. */
function mutated(text: string, operator: string, language = 'c'): readonly string[] {
  const found: readonly Mutant[] = mutants(text, language);
  return found.filter((mutant) => mutant.operator === operator).map((mutant) => apply(text, mutant));
}

describe('C', () => {
  test.each([
    ['boundary', 'a = b < c;', ['a = b <= c;']],
    ['boundary', 'if (x == y) f();', ['if (x != y) f();']],
    ['boundary', 'm = wasm_f64x2_lt(a, b);', ['m = wasm_f64x2_le(a, b);']],
    ['threshold', '#define NEAR 100', ['#define NEAR 140', '#define NEAR 71']],
    ['threshold', 'if (c > 3) f();', ['if (c > 4) f();', 'if (c > 2) f();']],
    ['loop-end', 'for (c = 0; c < n; c++) f();', ['for (c = 0; c < n - 1; c++) f();']],
    ['loop-end', 'for (; c + W <= n; c += W) f();', ['for (; c + W <= n + 1; c += W) f();']],
    ['dropped', 'x = a * b + c;', ['x = a * b;', 'x = c;']],
    ['dropped', 'x = add(a, mul(b, c));', ['x = a;', 'x = mul(b, c);']],
    ['dropped', 'x = p->at + i * step;', ['x = p->at;', 'x = i * step;']],
    ['swapped', 'x = f(a) - b[i];', ['x = b[i] - f(a);']],
    ['swapped', 'x = div(a, b);', ['x = div(b, a);']],
    ['arithmetic', 'x = mul(a, b);', ['x = add(a, b);']],
    ['arithmetic', 'x = a - b;', ['x = a + b;']],
    ['extremum', 'x = pmax(a, ieee_min(b, c));', ['x = pmin(a, ieee_min(b, c));', 'x = pmax(a, ieee_max(b, c));']],
    [
      'lane',
      'v = wasm_i64x2_shuffle(a, b, 0, 2);',
      ['v = wasm_i64x2_shuffle(a, b, 1, 2);', 'v = wasm_i64x2_shuffle(a, b, 0, 3);'],
    ],
    ['lane', 'if (lanes & 2) f();', ['if (lanes & 3) f();']],
    ['select', 'v = select(m, a, b);', ['v = select(m, b, a);']],
    ['select', 'v = m ? a : b + 1;', ['v = m ? b + 1 : a;']],
    ['bits', 'v = or (and(a, b), c);', ['v = and (and(a, b), c);', 'v = or (or(a, b), c);']],
    ['bits', 'if (a && b) f();', ['if (a || b) f();']],
    ['constant', 'v = splat(0x1.5558acp-5f);', ['v = splat(0x1.5559acp-5f);']],
  ])('%s: %s', (operator, text, expected) => {
    expect(mutated(text, operator)).toEqual(expected);
  });

  test.each([
    '// a < b + c, 0x1.8p3',
    '/* a - b */ char *s = "a + b < c";',
    '#include <wasm_simd128.h>',
    '#if REAL == 32',
    'real *out = (real *)p;',
    'v = splat((real)-x);',
    'int n = -1;',
    'static const real *const p;',
  ])('makes no mutant of %s', (text) => {
    expect(mutants(text, 'c')).toEqual([]);
  });

  test('a mutant has its line and column, counted from 1', () => {
    expect(mutants('a;\n  b = c < d;', 'c')).toMatchObject([{ line: 2, column: 9, before: '<', after: '<=' }]);
  });

  test('the body of a macro is mutated, its name and parameters are not', () => {
    expect(mutated('#define sub(a, b) minus(a, b)', 'swapped')).toEqual([]);
    expect(mutated('#define next(a) (a) + 1', 'arithmetic')).toEqual(['#define next(a) (a) - 1']);
  });
});

describe('WGSL', () => {
  test.each([
    ['boundary', 'if (a < b) { f(); }', ['if (a <= b) { f(); }']],
    ['select', 'let v = select(a, b, a > b);', ['let v = select(b, a, a > b);']],
    ['extremum', 'let v = max(a, b);', ['let v = min(a, b);']],
    ['lane', 'let v = bits & 0xffu;', ['let v = bits & 254u;']],
    ['lane', 'let v = bits & 0x80000000u;', ['let v = bits & 2147483649u;']],
    ['loop-end', 'for (var i = 0u; i < n; i++) { f(); }', ['for (var i = 0u; i < n - 1; i++) { f(); }']],
  ])('%s: %s', (operator, text, expected) => {
    expect(mutated(text, operator, 'wgsl')).toEqual(expected);
  });

  test('the parameters of a type are not mistaken for a comparison', () => {
    const text = 'var<storage, read> x: array<vec4<f32>>; let y = bitcast<u32>(z);';
    expect(mutants(text, 'wgsl')).toEqual([]);
  });

  test('in TypeScript only template strings marked as WGSL are mutated, except for their interpolations', () => {
    const interpolation = '$'.concat('{x < y}');
    const text = `const a = b < c; const code = /* wgsl */ \`let v = ${interpolation} + u;\`; const d = \`e - f\`;`;
    const changed: readonly Mutant[] = mutants(text, 'wgsl-in-ts');
    expect(changed.filter(({ operator }) => operator === 'dropped').map(({ after }) => after)).toEqual([
      interpolation,
      'u',
    ]);
    expect(changed.map(({ before }) => before)).not.toContain('<');
    expect(changed.map(({ before }) => before)).not.toContain('e - f');
  });

  test('adjacent and nested template strings are told apart', () => {
    const inner = '/* wgsl */ `x / u`';
    const text = `const v = /* wgsl */ \`a + \${k ? ${inner} : 'y'}\`; const w = /* wgsl */ \`- b\`;`;
    expect(mutated(text, 'swapped', 'wgsl-in-ts')).toEqual([text.replace('x / u', 'u / x')]);
    expect(mutated(text, 'arithmetic', 'wgsl-in-ts')).toEqual([
      text.replace('a +', 'a -'),
      text.replace('x / u', 'x * u'),
    ]);
  });
});

test('every mutant in the list of equivalent ones is a mutant of the kernels', () => {
  expect(strayEquivalents(target)).toEqual([]);
});
