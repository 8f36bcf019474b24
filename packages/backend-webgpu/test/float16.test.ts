import { crossEntropy, logSoftmax, logSumExp, relu, sigmoid, softmax, tensor } from '@softgrad/core';
import { describe, expect, test } from 'vitest';
import { fromFloat16, toFloat16 } from '../src/float16.js';
import { webgpu } from '../src/index.js';
import { newDeviceWithSubgroups } from './device.js';
import { withFloat16 } from './emulated-float16.js';

const every = Uint16Array.from({ length: 65536 }, (_, bits) => bits);
const isNaNHalf = (bits: number) => (bits & 0x7fff) > 0x7c00;

describe('half precision on the host', () => {
  test('every half is unchanged after conversion to float32 and back', () => {
    const back = toFloat16(fromFloat16(every));
    const changed = every.filter((bits) => (isNaNHalf(bits) ? !isNaNHalf(back[bits]) : back[bits] !== bits));
    expect([...changed]).toEqual([]);
  });

  test('values between two halves are rounded to nearest, ties to even', () => {
    const halves = fromFloat16(every.slice(0, 0x7c00));
    const between = halves.slice(0, -1).map((lower, bits) => (lower + halves[bits + 1]) / 2);
    const rounded = (scale: number) => [...toFloat16(between.map((middle) => middle * scale))];
    const bits = [...between.keys()];
    expect(rounded(1 - 2 ** -20)).toEqual(bits);
    expect(rounded(1)).toEqual(bits.map((lower) => lower + (lower % 2)));
    expect(rounded(1 + 2 ** -20)).toEqual(bits.map((lower) => lower + 1));
  });

  test('values beyond the largest half become infinities', () => {
    expect([...fromFloat16(toFloat16([65504, 65519.99, 65520, 1e30, -65520, -1e30]))]).toEqual([
      65504,
      65504,
      Number.POSITIVE_INFINITY,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
    ]);
  });
});

test('kernels convert every half, and round every float32 next to a half or midway between two to nearest, ties to even', async () => {
  const device = withFloat16(await newDeviceWithSubgroups());
  const backend = await webgpu.open({ device });
  const negated = async (dtype: 'float16' | 'float32', bits: Uint16Array | Uint32Array) => {
    const gpu = device.createBuffer({ size: bits.byteLength, usage: 0x80 | 0x04 | 0x08 }); // STORAGE | COPY_SRC | COPY_DST
    device.queue.writeBuffer(gpu, 0, bits);
    const x = backend.adopt(gpu, bits.length, dtype);
    const out = backend.alloc(bits.length, dtype === 'float16' ? 'float32' : 'float16');
    backend.basis.unary(out, 'neg', x, bits.length);
    return backend.read(out);
  };
  const halves = fromFloat16(every);
  const fromHalf = await negated('float16', every);
  expect([...every.filter((bits) => !Object.is(fromHalf[bits], -halves[bits]))]).toEqual([]);

  // The bits of each half as float32, those midway to the next half, and their neighbours.
  const inBits = new Uint32Array(Float32Array.from(halves).buffer);
  const near = Uint32Array.from({ length: 6 * 0x7c00 }, (_, i) => {
    const half = Math.floor(i / 6);
    const next = half === 0x7bff ? 0x47800000 : inBits[half + 1];
    const middle = new Float32Array(2).fill((halves[half] + new Float32Array(Uint32Array.of(next).buffer)[0]) / 2);
    const at = i % 6 < 3 ? inBits[half] : new Uint32Array(middle.buffer)[0];
    return Math.max(0, at + (i % 3) - 1);
  });
  const rest = Uint32Array.of(0x7f7fffff, 0x7f800000, 0x7f800001, 0x7f800080, 0x7fc00000, 0x7fffffff, 0x33000100, 1);
  const values = Uint32Array.from([...near, ...rest].flatMap((bits) => [bits, bits + 2 ** 31]));
  const toHalf = await negated('float32', values);
  const expected = fromFloat16(toFloat16(new Float32Array(values.buffer)));
  expect([...values.filter((_, i) => !Object.is(toHalf[i], -expected[i]))]).toEqual([]);
  backend.close();
  device.destroy();
});

test('every kernel compiles for float16 where the adapter has shader-f16', async () => {
  // Dawn's null adapter has every feature and validates WGSL, but computes nothing.
  const dawn = 'webgpu';
  const { create } = (await import(dawn)) as { create(flags: readonly string[]): GPU };
  const gpu = create(['backend=null']);
  const backend = await webgpu.open({ gpu });
  expect(backend.supports.dtypes).toContain('float16');
  for (const [shape, axis] of [
    [[3, 5], 1],
    [[3, 8], 1],
    [[2, 40_000], 1],
    [[5, 3], 0],
  ] as const) {
    const size = shape[0] * shape[1];
    const x = tensor(new Float32Array(size), { shape, dtype: 'float16', backend });
    const mask = { data: new Uint8Array(size).fill(1), shape };
    const s = softmax(x, { axis });
    softmax(x, { axis, temperature: 2, mask });
    softmax.vjp(s, x, { axis });
    softmax.hvp(s, x, x, { axis });
    const y = logSoftmax(x, { axis });
    logSoftmax.vjp(y, x, { axis });
    logSoftmax.jvp(y, x, { axis });
    logSoftmax.hvp(y, x, x, { axis });
    logSumExp.hvp(x, logSumExp(x, { axis }), x, { axis });
    const target = new Int32Array(size / shape[axis]);
    const weight = new Float32Array(shape[axis]).fill(1);
    crossEntropy(x, target, { axis, labelSmoothing: 0.1, weight });
    crossEntropy(x, s, { axis });
    sigmoid.vjp(sigmoid(x), x);
    relu.vjp(relu(x), x);
    if (size < 100) {
      softmax.jacobian(s, { axis });
      logSoftmax.jacobian(y, { axis });
    }
    await backend.sync();
  }
  expect(backend.statistics().pipelines).toBeGreaterThan(40);
  backend.close();
});
