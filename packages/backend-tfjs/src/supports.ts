import type { Supports } from '@softgrad/core';
import { basisOf } from './basis.js';
import type { Engine } from './engine.js';
import { jacobian } from './kernels/jacobian.js';
import { logSumExp } from './kernels/log-sum-exp.js';
import { plain, softmax } from './kernels/softmax.js';
import { vjp } from './kernels/vjp.js';
import { newBuffer, read, replace, type TfBuffer, write } from './storage.js';

/** What the engine supports on this device. Numerical properties are measured by running kernels on critical values. */
export async function measure(engine: Engine): Promise<Supports> {
  const { device } = engine;
  return {
    dtypes: ['float32'],
    inPlace: true,
    limits: { elements: device.elements, classes: device.elements },
    device: device.description,
    subnormals: (await preservesSubnormals(engine)) ? 'preserve' : 'flush',
    nonFinite: (await isIeee(engine)) ? 'ieee' : 'unspecified',
    range: 'ordinary',
    expUlp: await exponentialError(engine),
  };
}

type Enqueue = (out: TfBuffer, ...operands: readonly TfBuffer[]) => void;

/** Runs a kernel and returns its result. */
async function computed(
  engine: Engine,
  length: number,
  operands: readonly (readonly number[])[],
  enqueue: Enqueue,
): Promise<readonly number[]> {
  const { instance } = engine;
  const out = newBuffer(length, 'float32');
  const buffers = operands.map((values) => {
    const buffer = newBuffer(values.length, 'float32');
    write(instance, buffer, Float32Array.from(values));
    return buffer;
  });
  try {
    enqueue(out, ...buffers);
    return Array.from(await engine.awaiting(engine.device.transfer(() => read(instance, out))));
  } finally {
    for (const buffer of [out, ...buffers]) replace(instance, buffer, null);
  }
}

const pair = { outer: 1, classes: 2, inner: 1 };

/** Whether softmax, vjp and jacobian all preserve results below 2⁻¹²⁶. */
async function preservesSubnormals(engine: Engine): Promise<boolean> {
  const small = 2 ** -130;
  const results = [
    await computed(engine, 2, [[0, -95]], (out, x) => softmax(engine, out, x, pair, plain)),
    await computed(
      engine,
      2,
      [
        [1, small],
        [0, 1],
      ],
      (out, s, g) => vjp(engine, out, s, g, pair, 1),
    ),
    await computed(engine, 4, [[1, small]], (out, s) => jacobian(engine, out, s, pair, 1)),
  ];
  return results.every((values) => values[1] !== 0);
}

/** Whether every primitive and the row kernels handle NaN and infinities as in IEEE arithmetic. */
async function isIeee(engine: Engine): Promise<boolean> {
  const basis = basisOf(engine);
  const specials = [0, 1, -1, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  const pairs = specials.flatMap((a) => specials.map((b) => ({ a, b })));
  const left = pairs.map(({ a }) => a);
  const right = pairs.map(({ b }) => b);
  const extent = [1, 1, pairs.length] as const;
  const binary = {
    add: (a: number, b: number) => a + b,
    sub: (a: number, b: number) => a - b,
    mul: (a: number, b: number) => a * b,
    div: (a: number, b: number) => a / b,
    max: Math.max,
    min: Math.min,
  };
  for (const op of ['add', 'sub', 'mul', 'div', 'max', 'min'] as const) {
    const actual = await computed(engine, left.length, [left, right], (out, a, b) =>
      basis.binary(out, op, { buffer: a, extent }, { buffer: b, extent }, extent),
    );
    if (
      !same(
        actual,
        pairs.map(({ a, b }) => binary[op](a, b)),
      )
    )
      return false;
  }
  const unary = { neg: (x: number) => -x, exp: Math.exp, log: Math.log };
  for (const op of ['neg', 'exp', 'log'] as const) {
    const x = specials.filter((value) => Math.abs(value) !== 1);
    const actual = await computed(engine, x.length, [x], (out, buffer) => basis.unary(out, op, buffer, x.length));
    if (
      !same(
        actual,
        x.map((value) => (op === 'exp' && value === 0 ? 1 : unary[op](value))),
      )
    )
      return false;
  }
  const { NaN: nan, POSITIVE_INFINITY: plus, NEGATIVE_INFINITY: minus } = Number;
  const logits = [0, nan, 0, 0, plus, 0, minus, minus, minus, minus, 0, minus];
  const rows = { outer: 4, classes: 3, inner: 1 };
  const probabilities = await computed(engine, 12, [logits], (out, x) => softmax(engine, out, x, rows, plain));
  if (!same(probabilities, [...new Array<number>(9).fill(nan), 0, 1, 0])) return false;
  const sums = await computed(engine, 4, [logits], (out, x) => logSumExp(engine, out, x, rows, plain));
  return same(sums, [nan, plus, minus, 0]);
}

/** Equal numbers, ignoring the sign of 0. */
function same(actual: readonly number[], expected: readonly number[]): boolean {
  return actual.every((value, i) => value === expected[i] || Object.is(value, expected[i]));
}

/** The bound that WGSL states for exp, 3 + 2|x| ULP, on GPUs; 1 ULP on the CPU. The slope is increased if a device is worse. */
async function exponentialError(engine: Engine): Promise<{ readonly base: number; readonly slope: number }> {
  const onGpu = engine.name === 'webgpu' || engine.name === 'webgl';
  const base = onGpu ? 3 : 1;
  const x = Array.from({ length: 512 }, (_, i) => Math.fround(-87 + (i * 175) / 512 + Math.sin(i) / 8));
  const actual = await computed(engine, x.length, [x], (out, buffer) =>
    basisOf(engine).unary(out, 'exp', buffer, x.length),
  );
  const worst = x.map((value, i) => {
    const expected = Math.exp(value);
    const ulp = 2 ** (Math.floor(Math.log2(expected)) - 23);
    return (Math.abs((actual[i] ?? Number.NaN) - expected) / ulp - base) / Math.abs(value);
  });
  return { base, slope: Math.max(onGpu ? 2 : 0, Math.ceil(worst.reduce((a, b) => Math.max(a, b), 0) * 100) / 100) };
}
