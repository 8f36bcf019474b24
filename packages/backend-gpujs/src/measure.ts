import type { Supports } from '@softgrad/core';
import { exponential, logarithm, logarithmNumbers } from './kernels/elementwise.js';
import { softmaxInto } from './kernels/softmax.js';
import { softmaxVjpInto } from './kernels/vjp.js';
import type { Launch } from './launch.js';
import type { GpujsBuffer, Storage } from './storage.js';

/** Properties that must be measured, because they differ between devices: a software rasteriser may preserve subnormals that a phone's GPU flushes. */
export type Measured = Pick<Supports, 'subnormals' | 'nonFinite' | 'expUlp'>;

const plain = { temperature: 1, mask: null };
const { NaN: nan, POSITIVE_INFINITY: infinity } = Number;

/** Computes a softmax, because a device with all required features may still compute it wrong. Returns a description of a wrong result, or null. */
export async function wrongSoftmax(launch: Launch, storage: Storage): Promise<string | null> {
  const logits = [1, 2, 3, -1e9, 0, 0, 7, 7];
  const rows = { outer: 2, classes: 4, inner: 1 };
  const expected = [0.09003057, 0.24472847, 0.66524096, 0, 0.00045523, 0.00045523, 0.49954477, 0.49954477];
  const actual = await computed(storage, [logits], (out, x) => softmaxInto(launch, out, x, rows, plain));
  const right = expected.every((value, i) => Math.abs(value - (actual[i] ?? Number.NaN)) < 1e-5);
  return right ? null : `softmax of [${logits.join(', ')}] is [${[...actual].join(', ')}]`;
}

export async function measure(launch: Launch, storage: Storage): Promise<Measured> {
  return {
    subnormals: (await preservesSubnormals(launch, storage)) ? 'preserve' : 'flush',
    nonFinite: (await handlesNonFinite(launch, storage)) ? 'ieee' : 'unspecified',
    expUlp: await exponentialError(launch, storage),
  };
}

/** A probability and a derivative below 2⁻¹²⁶. */
async function preservesSubnormals(launch: Launch, storage: Storage): Promise<boolean> {
  const rows = { outer: 1, classes: 2, inner: 1 };
  const [, s = Number.NaN] = await computed(storage, [[0, -90]], (out, x) => softmaxInto(launch, out, x, rows, plain));
  const [, dx = Number.NaN] = await computed(
    storage,
    [
      [1, 1e-40],
      [0, 1],
    ],
    (out, p, g) => softmaxVjpInto(launch, out, p, g, rows, 1),
  );
  return s > 0 && dx > 0;
}

/** Rows whose softmax is NaN in IEEE arithmetic, and one with −Infinity. */
async function handlesNonFinite(launch: Launch, storage: Storage): Promise<boolean> {
  const rows = { outer: 5, classes: 2, inner: 1 };
  const logits = [nan, 0, 0, nan, infinity, 0, -infinity, -infinity, 0, -infinity];
  const s = await computed(storage, [logits], (out, x) => softmaxInto(launch, out, x, rows, plain));
  const ln = await computed(storage, [[0, infinity, -1, nan]], (out, x) =>
    launch.run(logarithm, out, [x], logarithmNumbers),
  );
  return (
    s.subarray(0, 8).every(Number.isNaN) &&
    s[8] === 1 &&
    s[9] === 0 &&
    [-infinity, infinity, nan, nan].every((expected, i) => Object.is(ln[i], expected))
  );
}

const samples = 4096;
/** A margin, because the error between the 4096 measured points may be larger, though hardly by half. */
const margin = 1.5;

/** `base` covers |x| ≤ 1 and the logarithm, `slope` the growth with |x|, over all x whose exp is a normal float32. */
async function exponentialError(launch: Launch, storage: Storage): Promise<Supports['expUlp']> {
  const points = Array.from({ length: samples }, (_, i) => Math.fround(-87 + (175 * (i + 0.37)) / samples));
  const near = points.map((x) => Math.fround(x / 87.5));
  const positive = points.map((x) => Math.fround(Math.exp(x / 4)));
  const exp = (x: readonly number[]) =>
    computed(storage, [x], (out, buffer) => launch.run(exponential, out, [buffer], []));
  const errors = ulps(await exp(points), points.map(Math.exp));
  const nearErrors = ulps(await exp(near), near.map(Math.exp));
  const ln = await computed(storage, [positive], (out, x) => launch.run(logarithm, out, [x], logarithmNumbers));
  const logErrors = ulps(ln, positive.map(Math.log));
  const base = Math.max(...nearErrors, ...logErrors);
  const slope = Math.max(
    0,
    ...points.map((x, i) => (Math.abs(x) < 1 ? 0 : ((errors[i] ?? Number.NaN) - base) / Math.abs(x))),
  );
  const rounded = (value: number) => Math.ceil(value * margin * 100) / 100;
  return { base: rounded(base), slope: rounded(slope) };
}

/** Errors in ULP of float32 at the expected value. */
function ulps(actual: Float32Array, expected: readonly number[]): readonly number[] {
  return expected.map(
    (value, i) => Math.abs((actual[i] ?? Number.NaN) - value) / 2 ** (Math.floor(Math.log2(Math.abs(value))) - 23),
  );
}

/** V8 compiles and optimizes JavaScript kernels during the first twenty or so. */
export const timedRuns = 40;

/** The least time of a softmax of 2¹² elements, on an engine that runs kernels synchronously. */
export function softmaxTime(launch: Launch, storage: Storage, now: () => number): number {
  const rows = { outer: 32, classes: 128, inner: 1 };
  const x = storage.alloc(rows.outer * rows.classes, 'float32');
  const out = storage.alloc(x.length, 'float32');
  try {
    storage.write(
      x,
      Float32Array.from({ length: x.length }, (_, k) => (k * 37) % 11),
    );
    let best = Number.POSITIVE_INFINITY;
    for (let run = 0; run < timedRuns; run++) {
      const start = now();
      softmaxInto(launch, out, x, rows, plain);
      best = Math.min(best, now() - start);
    }
    return best;
  } finally {
    for (const buffer of [x, out]) storage.free(buffer);
  }
}

/** Runs `work` on buffers with these values and returns its output, which has the length of the first input. */
async function computed(
  storage: Storage,
  values: readonly (readonly number[])[],
  work: (out: GpujsBuffer, ...inputs: GpujsBuffer[]) => void,
): Promise<Float32Array> {
  const inputs = values.map((value) => {
    const buffer = storage.alloc(value.length, 'float32');
    storage.write(buffer, Float32Array.from(value));
    return buffer;
  });
  const out = storage.alloc(inputs.at(0)?.length ?? 0, 'float32');
  try {
    work(out, ...inputs);
    return (await storage.read(out)) as Float32Array;
  } finally {
    for (const buffer of [out, ...inputs]) storage.free(buffer);
  }
}
