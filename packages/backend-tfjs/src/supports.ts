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
    write(engine, buffer, Float32Array.from(values));
    return buffer;
  });
  try {
    enqueue(out, ...buffers);
    return Array.from(await engine.awaiting(engine.device.transfer(() => read(engine, out))));
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

const binary = {
  add: (a: number, b: number) => a + b,
  sub: (a: number, b: number) => a - b,
  mul: (a: number, b: number) => a * b,
  div: (a: number, b: number) => a / b,
  max: Math.max,
  min: Math.min,
};
const unary = { neg: (x: number) => -x, exp: Math.exp, log: Math.log };
const binaryOps = ['add', 'sub', 'mul', 'div', 'max', 'min'] as const;
const unaryOps = ['neg', 'exp', 'log'] as const;
const opCount = binaryOps.length + unaryOps.length;

/** Every primitive of a and b, one after another, by one program: a GPU would take longer to compile nine. */
function everyPrimitive(engine: Engine, out: TfBuffer, a: TfBuffer, b: TfBuffer): void {
  engine.run([{ buffer: out, shape: [1, 1, opCount, a.length] }], (verbs) => {
    const [x, y] = [verbs.input(a, [1, 1, 1, a.length]), verbs.input(b, [1, 1, 1, b.length])];
    const results = [...binaryOps.map((op) => verbs.binary(op, x, y)), ...unaryOps.map((op) => verbs.unary(op, x))];
    const which = verbs.coordinate(2, opCount);
    return [results.reduce((others, result, k) => verbs.select(verbs.binary('equal', which, k), result, others))];
  });
}

/** Whether every primitive and the row kernels handle NaN and infinities as in IEEE arithmetic. */
async function isIeee(engine: Engine): Promise<boolean> {
  const specials = [0, 1, -1, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  const pairs = specials.flatMap((a) => specials.map((b) => ({ a, b })));
  const operands = [pairs.map(({ a }) => a), pairs.map(({ b }) => b)];
  const primitives = await computed(engine, opCount * pairs.length, operands, (out, a, b) =>
    everyPrimitive(engine, out, a, b),
  );
  const expected = [
    ...binaryOps.flatMap((op) => pairs.map(({ a, b }) => binary[op](a, b))),
    // exp and log of 1 and −1 are numbers like others, which are rounded.
    ...unaryOps.flatMap((op) => pairs.map(({ a }) => (Math.abs(a) === 1 ? null : unary[op](a)))),
  ];
  if (!same(primitives, expected)) return false;
  const { NaN: nan, POSITIVE_INFINITY: plus, NEGATIVE_INFINITY: minus } = Number;
  const logits = [0, nan, 0, 0, plus, 0, minus, minus, minus, minus, 0, minus];
  const rows = { outer: 4, classes: 3, inner: 1 };
  const probabilities = await computed(engine, 12, [logits], (out, x) => softmax(engine, out, x, rows, plain));
  if (!same(probabilities, [...new Array<number>(9).fill(nan), 0, 1, 0])) return false;
  const sums = await computed(engine, 4, [logits], (out, x) => logSumExp(engine, out, x, rows, plain));
  return same(sums, [nan, plus, minus, 0]);
}

/** Equal numbers, ignoring the sign of 0, and those of which any is expected. */
function same(actual: readonly number[], expected: readonly (number | null)[]): boolean {
  return actual.every((value, i) => expected[i] === null || value === expected[i] || Object.is(value, expected[i]));
}

/**
 * The slope is 0 unless a device is worse. On GPUs the base is 3 although exp is within 1.5 ULP, because the bound of log follows from it: WGSL allows
 * their own log, which programs use, an error of 2⁻²¹ near 1.
 */
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
  return { base, slope: Math.ceil(worst.reduce((a, b) => Math.max(a, b), 0) * 100) / 100 };
}
