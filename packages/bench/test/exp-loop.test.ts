import { expect, test } from 'vitest';
import { javaScriptExpLoop } from '../src/exp-loop/javascript.js';
import { simdExpLoops, simdFillLoop } from '../src/exp-loop/loops.js';
import { relaxed } from '../src/exp-loop/module.generated.js';

const hasRelaxed = WebAssembly.validate(Buffer.from(relaxed, 'base64'));

test.each([
  ['float32', Float32Array, 1e-5],
  ['float64', Float64Array, 1e-11],
] as const)('the bare loops compute exp in %s, of any length, and as often as asked', (_dtype, Vector, tolerance) => {
  for (const length of [1, 8, 1001]) {
    const x = new Vector(Array.from({ length }, (_, k) => -80 + (160 * k) / length));
    const loops = simdExpLoops(x);
    expect(loops.map(({ name }) => name)).toEqual(['a SIMD loop', ...(hasRelaxed ? ['a relaxed SIMD loop'] : [])]);
    for (const loop of [...loops, javaScriptExpLoop(x)]) {
      loop.batch(0);
      expect(loop.result().every((value) => value === 0)).toBe(true);
      loop.batch(1);
      const result = loop.result();
      expect(result).toHaveLength(length);
      result.forEach((value, k) => {
        expect(Math.abs(value / Math.exp(x[k]) - 1)).toBeLessThan(tolerance);
      });
    }
  }
});

test('there are no loops where compiling WebAssembly is forbidden', () => {
  const { Module } = WebAssembly;
  WebAssembly.Module = class extends Module {
    constructor(bytes: BufferSource) {
      super(bytes);
      throw new Error('forbidden by policy');
    }
  };
  try {
    expect(simdExpLoops(Float32Array.of(1))).toEqual([]);
    expect(simdFillLoop(64)).toBeNull();
  } finally {
    WebAssembly.Module = Module;
  }
});

test('a fill by vector stores works for any number of bytes, and is null if there is not enough memory', () => {
  for (const bytes of [1, 64, 100_000]) simdFillLoop(bytes)?.(2);
  expect(simdFillLoop(1)).not.toBeNull();
  expect(simdFillLoop(2 ** 40)).toBeNull();
});
