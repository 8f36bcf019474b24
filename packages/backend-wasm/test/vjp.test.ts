import { type FloatDType, type Rows, softmax, tensor } from '@softgrad/core';
import { reference, tolerance } from '@softgrad/core/conformance';
import { describe, expect, test } from 'vitest';
import { wasm } from '../src/index.js';
import { compile, type Exports, instantiate } from '../src/module.js';
import * as simd from '../src/simd.generated.js';
import { defined } from './defines.js';
import { withRelaxedSimd } from './relaxed.js';
import { random } from './ulp.js';

// The kernel is called directly: with ranges of rows as threads have them, and operands between blocks of known content.
const memory = new WebAssembly.Memory({ initial: 32, maximum: 65536 });
const instance = await instantiate(await compile(simd, false), memory);
const exports = instance as unknown as Exports;
const heapBase = (instance.__heap_base as WebAssembly.Global).value as number;

/** Bytes before and after each operand. */
const fence = 256;

/** The contents of all other memory: a signaling NaN, and an ordinary number. */
const fillers = { float32: [0x7fb5_a5a5, 0x3fc0_0000], float64: [0x7ff5_a5a5, 0x3fc0_0000] } as const;

interface Call {
  readonly dtype: FloatDType;
  readonly rows: Rows;
  readonly temperature: number;
  readonly place: 'apart' | 'in s' | 'in g';
  readonly filler: number;
}

type Host = Float32Array | Float64Array;

const hostOf = (dtype: FloatDType, length: number): Host =>
  dtype === 'float64' ? new Float64Array(length) : new Float32Array(length);

/** The first index in memory of each element of a row. */
const indexOf = ({ classes, inner }: Rows, row: number, c: number) =>
  (Math.floor(row / inner) * classes + c) * inner + (row % inner);

/** The result of the kernel `vjp`, called for two ranges of units. The test fails if it writes elsewhere. */
function vjp({ dtype, rows, temperature, place, filler }: Call, s: Host, g: Host): Host {
  const { outer, classes, inner } = rows;
  const width = s.BYTES_PER_ELEMENT;
  const block = Math.ceil((s.length * width) / 64) * 64 + fence;
  const first = Math.ceil(heapBase / 64) * 64 + fence;
  const [result, ofS, ofG, scratch] = [0, 1, 2, 3].map((k) => first + k * block);
  const end = scratch + 2 * classes * 16 + fence;
  // What is behind the operands too, as far as an index of one of them could reach.
  const filled = end + 3 * block;
  if (filled > memory.buffer.byteLength) memory.grow(Math.ceil((filled - memory.buffer.byteLength) / 65536));
  new Uint32Array(memory.buffer, first - fence, (filled - first + fence) / 4).fill(filler);
  const at = (address: number): Host =>
    dtype === 'float64'
      ? new Float64Array(memory.buffer, address, s.length)
      : new Float32Array(memory.buffer, address, s.length);
  at(ofS).set(s);
  at(ofG).set(g);
  const out = { apart: result, 'in s': ofS, 'in g': ofG }[place];
  const lanes = 16 / width;
  const units = inner === 1 ? Math.ceil(outer / lanes) : outer * Math.ceil(inner / lanes);
  const kernel = exports[dtype === 'float64' ? 'vjp_f64' : 'vjp_f32'];
  const cut = units >> 1;
  for (const [begin, last] of [
    [0, cut],
    [cut, units],
  ]) {
    if (begin < last) kernel(begin, last, outer, classes, inner, out, ofS, ofG, scratch, temperature);
  }
  const used = [...new Set([out, ofS, ofG])].sort((a, b) => a - b);
  // The memory between the operands, up to scratch memory, and behind that.
  const gaps = [first - fence, ...used.map((address) => address + s.length * width)].map((from, k) => [
    from,
    used[k] ?? scratch,
  ]);
  for (const [from, to] of [...gaps, [end - fence, end]]) {
    const words = new Uint32Array(memory.buffer, from, (to - from) / 4);
    if (words.some((word) => word !== filler))
      expect.fail(`wrote outside: ${JSON.stringify({ dtype, rows, temperature, place })}`);
  }
  return at(out).slice();
}

const places = ['apart', 'in s', 'in g'] as const;

/** Shapes with whole and incomplete groups of lanes, and temperatures: rows one by one, in registers, and in lanes. */
const shapes = (classes: number): readonly (readonly [Rows, number])[] => [
  [{ outer: 23, classes, inner: 1 }, 1],
  [{ outer: 23, classes, inner: 1 }, -2],
  [{ outer: 1, classes, inner: 1 }, 1],
  [{ outer: 3, classes, inner: 4 }, 1],
  [{ outer: 3, classes, inner: 3 }, 2],
];

/** Numerators of probabilities with the denominator `whole`: spread out, with one above 1/2, or with one or two of exactly 1/2. */
function shares(next: () => number, classes: number, whole: number, kind: number): number[] {
  const k = new Array<number>(classes).fill(0);
  const any = () => Math.floor(next() * classes);
  let left = whole;
  const give = (c: number, share: number) => {
    k[c] += share;
    left -= share;
  };
  if (kind === 1) give(any(), Math.ceil(whole * (0.55 + 0.4 * next())));
  if (kind >= 2) {
    const c = any();
    give(c, whole / 2);
    if (kind === 3 && classes > 1) give((c + 1 + Math.floor(next() * (classes - 1))) % classes, whole / 2);
    // The other half must not make the first one more than 1/2.
    while (left > 0) {
      const other = any();
      if (classes === 1 || other !== c) give(other, 1);
    }
  }
  while (left > 0) give(any(), 1);
  return k;
}

/** Cotangents that are small integers: any, all equal but one, and only the last three, which are in the tail of a vector. */
function integers(next: () => number, classes: number, kind: number): number[] {
  if (kind === 0) return Array.from({ length: classes }, () => Math.floor(next() * 15) - 7);
  const apart = Math.floor(next() * classes);
  if (kind === 1) return Array.from({ length: classes }, (_, c) => (c === apart ? 7 : -3));
  return Array.from({ length: classes }, (_, c) => (c < classes - 3 ? 0 : c === classes - 1 ? 7 : -7));
}

describe.each(['float32', 'float64'] as const)('%s', (dtype) => {
  // 7 · huge is below the largest number, and 8 · huge is not.
  const huge = dtype === 'float64' ? 2 ** 1021 : 2 ** 125;
  const shortTo = defined('SHORT_TO', dtype);

  /** Calls the kernel for a matrix of rows whose results are numbers of the dtype, and lists what is not exactly right. */
  function inexact(call: Call, next: () => number, isHuge: (row: number, count: number) => boolean): readonly string[] {
    const { rows, temperature } = call;
    const { classes } = rows;
    const whole = classes > 256 ? 2 ** 14 : 256;
    const count = rows.outer * rows.inner;
    const [s, g, expected] = [0, 1, 2].map(() => hostOf(dtype, count * classes));
    for (let row = 0; row < count; row++) {
      const k = shares(next, classes, whole, Math.floor(next() * 4));
      const size = isHuge(row, count) ? huge : 1;
      const cotangents = integers(next, classes, Math.floor(next() * 3));
      const dot = k.reduce((sum, share, c) => sum + share * cotangents[c], 0);
      for (let c = 0; c < classes; c++) {
        const at = indexOf(rows, row, c);
        s[at] = k[c] / whole;
        g[at] = cotangents[c] * size;
        expected[at] = ((k[c] * (whole * cotangents[c] - dot)) / whole ** 2 / temperature) * size;
      }
    }
    const actual = vjp(call, s, g);
    const at = expected.findIndex((value, i) => actual[i] !== value);
    return at < 0 ? [] : [`${actual[at]} at ${at}, expected ${expected[at]}`];
  }

  const whichAreHuge: readonly ((row: number, count: number) => boolean)[] = [
    () => false,
    () => true,
    (row, count) => row === count - 1,
    (row) => row % 3 === 1,
  ];

  test.each([...new Set([2, 3, 4, 5, 7, 12, 15, 16, shortTo, 19, 32, 36])])(
    'rows of %i whose results can be represented are exact, with huge cotangents too, in place and in every range',
    (classes) => {
      const next = random(classes);
      for (const [rows, temperature] of shapes(classes)) {
        for (const place of places) {
          for (const filler of fillers[dtype]) {
            for (const [k, isHuge] of whichAreHuge.entries()) {
              const wrong = inexact({ dtype, rows, temperature, place, filler }, next, isHuge);
              expect({ rows, temperature, place, k, wrong }).toEqual({ rows, temperature, place, k, wrong: [] });
            }
          }
        }
      }
    },
  );

  test('long rows whose results can be represented are exact, with huge cotangents too, in place and in every range', () => {
    const next = random(1);
    // In float64, more than PART: what is left after the first part has 1, 7, 8 and 4104 classes.
    for (const classes of dtype === 'float64' ? [4097, 4103, 4104, 8200] : [4103]) {
      for (const place of places) {
        for (const filler of fillers[dtype]) {
          for (const [k, isHuge] of whichAreHuge.entries()) {
            const rows = { outer: 3, classes, inner: 1 };
            const wrong = inexact({ dtype, rows, temperature: 1, place, filler }, next, isHuge);
            expect({ classes, place, k, wrong }).toEqual({ classes, place, k, wrong: [] });
          }
        }
      }
    }
  });

  test('nothing cancels in rows that are nearly one-hot at any place, with huge cotangents too', async () => {
    const { supports } = await wasm.open({ relaxedSimd: false });
    const precision = tolerance.precisionOf(supports, dtype);
    const next = random(2);
    const small = dtype === 'float64' ? 2 ** -51 : 2 ** -22;
    for (const classes of [3, 5, 16, 17, 23, ...(dtype === 'float64' ? [4103, 8203] : [])]) {
      for (const [rows, temperature] of classes > 100 ? shapes(classes).slice(2, 3) : shapes(classes)) {
        for (const top of [0, 1, classes >> 1, classes - 1]) {
          const [s, g] = [0, 1].map(() => hostOf(dtype, rows.outer * classes * rows.inner));
          for (let row = 0; row < rows.outer * rows.inner; row++) {
            let rest = 0;
            for (let c = 0; c < classes; c++) {
              const at = indexOf(rows, row, c);
              s[at] = c === top ? 0 : small * (1 + Math.floor(next() * 3));
              rest += s[at];
              g[at] = (c === top ? 1 : -1) * (1 + 0.9 * next());
            }
            s[indexOf(rows, row, top)] = 1 - rest;
          }
          const expected = reference.softmaxVjp(s, g, rows, { temperature });
          const bounds = tolerance.softmaxVjpTolerance(precision, s, g, expected, rows, { temperature });
          for (const size of [1, huge * 4]) {
            const call: Call = { dtype, rows, temperature, place: 'apart', filler: fillers[dtype][0] };
            const actual = vjp(
              call,
              s,
              g.map((value) => value * size),
            );
            const wrong = expected.findIndex((value, i) => !(Math.abs(actual[i] / size - value) <= bounds[i]));
            expect({ rows, temperature, top, size, wrong }).toEqual({ rows, temperature, top, size, wrong: -1 });
          }
        }
      }
    }
  });

  test('a row has the same bits beside rows with huge cotangents, with subnormal numbers too', () => {
    const next = random(3);
    const least = dtype === 'float64' ? 2 ** -1074 : 2 ** -149;
    for (const classes of [3, 4, 7, 16, 17, 35]) {
      for (const [rows, temperature] of shapes(classes)) {
        for (const place of places) {
          const count = rows.outer * rows.inner;
          const [s, g, beside] = [0, 1, 2].map(() => hostOf(dtype, count * classes));
          // Ordinary, tiny and huge.
          const kinds = Array.from({ length: count }, () => Math.floor(next() * 3));
          for (const [row, kind] of kinds.entries()) {
            const weights = Array.from({ length: classes }, () => next());
            const sum = weights.reduce((a, b) => a + b, 0);
            for (let c = 0; c < classes; c++) {
              const at = indexOf(rows, row, c);
              s[at] = weights[c] / sum;
              g[at] = kind === 1 ? least * Math.floor(next() * 15) : next() * 2 - 1;
              beside[at] = kind === 2 ? (c % 2 ? 7 : -7) * huge : g[at];
            }
          }
          const call: Call = { dtype, rows, temperature, place, filler: fillers[dtype][1] };
          const [alone, mixed] = [g, beside].map((cotangents) => vjp(call, s, cotangents));
          const changed = kinds.flatMap((kind, row) =>
            kind !== 2 && rowsDiffer(rows, row, alone, mixed) ? [row] : [],
          );
          expect({ rows, temperature, place, changed }).toEqual({ rows, temperature, place, changed: [] });
        }
      }
    }
  });
});

test('rows in lanes read no row outside an operand at either end of the memory', async () => {
  const own = new WebAssembly.Memory({ initial: 32, maximum: 65536 });
  const kernels = await instantiate(await compile(simd, false), own);
  const [outer, classes] = [3, 150_000];
  const low = Math.ceil(heapBase / 64) * 64;
  own.grow(Math.ceil((low + (3 * outer + 8) * 4 * classes) / 65536));
  // The 64 bytes that follow an operand may be read.
  const high = own.buffer.byteLength - outer * classes * 4 - 64;
  const out = Math.ceil((low + outer * classes * 4) / 64) * 64;
  const scratch = out + outer * classes * 4 + 64;
  for (const [s, g] of [
    [low, high],
    [high, low],
  ]) {
    new Float32Array(own.buffer, s, outer * classes).fill(2 ** -20);
    new Float32Array(own.buffer, g, outer * classes).fill(0).fill(2, classes);
    (kernels as unknown as Exports).vjp_f32(0, 1, outer, classes, 1, out, s, g, scratch, 2);
    const shareOfAll = classes * 2 ** -20;
    const result = new Float32Array(own.buffer, out, outer * classes);
    expect([...result.subarray(classes - 1, classes + 1)]).toEqual([0, Math.fround(2 ** -20 * (1 - shareOfAll))]);
  }
});

function rowsDiffer(rows: Rows, row: number, a: Host, b: Host): boolean {
  return Array.from({ length: rows.classes }, (_, c) => indexOf(rows, row, c)).some((at) => !Object.is(a[at], b[at]));
}

test.each([false, true])(
  'short rows are found to overflow beside rows whose ⟨s, g⟩ have the other sign, relaxed SIMD: %s',
  async (relaxedSimd) => {
    const backend = await withRelaxedSimd(() => wasm.open({ relaxedSimd }));
    const largest = 2 ** 128 - 2 ** 104;
    // In the second row ⟨s, g⟩ is 2^103, half an ULP of the largest number, from which it is subtracted.
    const second = [-largest, largest, 2 ** 105, 0];
    for (const [classes, before] of [3, 4, 7, 12, 16].flatMap((f) =>
      [100, 102, 104].map((e) => [f, 2 ** e] as const),
    )) {
      // Rows of three classes are computed four at a time; of others a single one must be found.
      for (const count of classes === 3 ? [4] : [1, 4]) {
        const rows = [[-4 * before], second].flatMap((row) =>
          Array.from({ length: count }, () => Array.from({ length: classes }, (_, c) => row[c] ?? 0)),
        );
        const s = rows.map((row) => row.map((_, c) => (c < 4 ? 0.25 : 0)));
        const dx = softmax.vjp(tensor(s, { backend }), tensor(rows, { backend })).dataSync();
        const expected = rows.flatMap((row) => {
          const dot = row.reduce((sum, value, c) => sum + (c < 4 ? value / 4 : 0), 0);
          return row.map((value, c) => (c < 4 ? (value - dot) / 4 : 0));
        });
        const wrong = expected.findIndex((value, i) => !(Math.abs((dx[i] ?? Number.NaN) - value) <= 2 ** 102));
        expect({ classes, before, count, wrong }).toEqual({ classes, before, count, wrong: -1 });
      }
    }
  },
);
