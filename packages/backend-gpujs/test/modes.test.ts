import { crossEntropy, sigmoid, softmax, softmin, tensor } from '@softgrad/core';
import { reference } from '@softgrad/core/conformance';
import { expect, inject, test } from 'vitest';
import { openedOnce } from '../../backend-tfjs/test/opened-once.js';
import { gpujs, type Mode } from '../src/index.js';
import { everywhere, wrap } from './everywhere.js';
import { nodeModes } from './node-modes.js';

// Mode cpu indexes in float64, so indices above 2²⁴ are not critical.
for (const mode of nodeModes) {
  const backendOf = openedOnce(() => gpujs.open({ mode }));
  everywhere(mode, backendOf, mode !== 'cpu' && inject('everything'));
}

test.each([
  ['webgpu', /WebGPU is missing/],
  ['webgl2', /WebGL2 is missing/],
  ['webgl', /WebGL is missing/],
  ['headlessgl', /native package gl/],
] as const)('mode %s runs, or its error says what is missing', async (mode, missing) => {
  const name = await gpujs.open({ mode }).then(
    async (backend) => {
      await backend.close();
      return backend.name;
    },
    (error) => {
      expect(error).toMatchObject({ code: 'ERR_BACKEND_UNAVAILABLE', message: expect.stringMatching(missing) });
      return null;
    },
  );
  const runs: readonly Mode[] = nodeModes;
  expect(name).toBe(runs.includes(mode) ? `gpujs-${mode}` : null);
});

test.each(nodeModes)("mode %s: temperatures and weights at the ends of float32's range", async (mode) => {
  const backend = await gpujs.open({ mode });
  const softmaxAt = async (logits: readonly number[], temperature: number) =>
    [...(await softmax(tensor([[...logits]], { backend }), { temperature }).data())].map((p) => p.toFixed(6));
  expect(await softmaxAt([1, 2], 1e-39)).toEqual(['0.000000', '1.000000']);
  expect(await softmaxAt([3e38, -3e38], 5e38)).toEqual(['0.768525', '0.231475']);
  for (const w of [1e-40, 1, 3e38]) {
    const x = tensor([[1, 2, 3]], { backend });
    const [loss] = await crossEntropy.loss(x, [0], { weight: [w, w, w] }).data();
    expect(loss).toBeCloseTo(2.407606, 5);
  }
  await backend.close();
});

test.each(nodeModes)('mode %s: of softmin, the pivot of a row of several blocks is its lowest logit', async (mode) => {
  const backend = await gpujs.open({ mode });
  // The lowest logits of the blocks are so far apart that relative to another one exp overflows.
  const logits = Float32Array.from({ length: 600 }, (_, k) => 100 * Math.floor(k / 256) + (k % 5));
  for (const shape of [
    [1, 600],
    [600, 1],
  ]) {
    const x = tensor(logits, { shape, backend });
    const s = await softmin(x, { axis: shape.indexOf(600) }).data();
    const expected = reference.softmax(
      logits.map((value) => -value),
      { outer: 1, classes: 600, inner: 1 },
    );
    expect(Math.max(...Array.from(s, (value, k) => Math.abs(value - expected[k])))).toBeLessThan(1e-8);
  }
  await backend.close();
});

test.each(nodeModes)(
  'mode %s: a row whose only class, or only kept class, has no finite logit has no gradient',
  async (mode) => {
    const backend = await gpujs.open({ mode });
    for (const logit of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      for (const [row, mask] of [
        [[logit], [true]],
        [
          [logit, 1, 2],
          [true, false, false],
        ],
      ] as const) {
        const { loss, gradient } = crossEntropy(tensor([[...row]], { backend }), [0], { mask: [[...mask]] });
        expect([...(await loss.data()), (await gradient.data())[0]]).toEqual([Number.NaN, Number.NaN]);
      }
    }
    await backend.close();
  },
);

// Browsers' shader compilers may simplify the rounding errors away.
test.each(nodeModes)('mode %s: probabilities are within 4 ULP beside what its exp announces', async (mode) => {
  const backend = await gpujs.open({ mode });
  const classes = 10;
  for (const temperature of [1, 2.87, 0.01, 100]) {
    const x = Float32Array.from({ length: 100 * classes }, (_, k) => 57 * temperature * Math.sin(k * k));
    const rows = { outer: x.length / classes, classes, inner: 1 };
    const s = await softmax(tensor(x, { shape: [rows.outer, classes], backend }), { temperature }).data();
    const bound = backend.supports.expUlp.base + 4;
    for (const [k, expected] of reference.softmax(x, rows, { temperature }).entries()) {
      if (expected < 1e-30) continue;
      const ulp = 2 ** (Math.floor(Math.log2(expected)) - 23);
      expect(Math.abs((s[k] ?? Number.NaN) - expected) / ulp, `${k}, T = ${temperature}`).toBeLessThan(bound);
    }
  }
  await backend.close();
});

test.each(nodeModes)('mode %s: a probability below the normal numbers is subnormal, not 0', async (mode) => {
  const backend = await gpujs.open({ mode });
  expect(backend.supports.subnormals).toBe('preserve');
  for (const x of [-87.5, -90, -100, -103]) {
    const [, p] = await softmax(tensor([[0, x]], { backend })).data();
    const expected = Math.exp(x) / (1 + Math.exp(x));
    // Four steps of the smallest subnormal and of the exponential's own relative error.
    expect(Math.abs((p ?? Number.NaN) - expected), `${x}`).toBeLessThan(4 * (2 ** -149 + 2 ** -23 * expected));
  }
  await backend.close();
});

test('in mode webasm a kernel keeps its module for operands that fit, and gets a larger one for others', async () => {
  const backend = await gpujs.open({ mode: 'webasm' });
  const pages: number[] = [];
  const unwrap = wrap([WebAssembly, 'Memory'], (values) => {
    const [{ initial }] = values as [WebAssembly.MemoryDescriptor];
    pages.push(initial);
  });
  /** How many pages of 64 KiB a new module gets for `length` elements; undefined if there is no new module. */
  async function pagesFor(length: number): Promise<number | undefined> {
    const x = tensor(new Float32Array(length).fill(1), { backend });
    const y = sigmoid(x);
    const values = await y.data();
    expect(values).toHaveLength(length);
    expect([...new Set(values)]).toEqual([Math.fround(1 / (1 + Math.exp(-1)))]);
    for (const t of [x, y]) t.dispose();
    expect(pages.length).toBeLessThanOrEqual(1);
    return pages.pop();
  }
  // gpu.js adds 16 pages to what the operand and the result take.
  expect(await pagesFor(3)).toBe(1 + 16);
  for (const length of [1, 7, 1021, 1024, 5]) expect(await pagesFor(length)).toBeUndefined();
  expect(await pagesFor(1025)).toBe(1 + 16);
  for (const length of [3, 4096]) expect(await pagesFor(length)).toBeUndefined();
  expect(await pagesFor(4097)).toBe(2 + 16);
  expect(await pagesFor(16_385)).toBe(8 + 16);
  expect(await pagesFor(65_537)).toBe(16 + 16);
  for (const length of [65_535, 131_072, 2]) expect(await pagesFor(length)).toBeUndefined();
  // A large memory is kept for large operands, but not for short ones.
  expect(await pagesFor(2 ** 20 + 1)).toBe(2 * 68 + 16);
  expect(await pagesFor(2 ** 20 + 2)).toBeUndefined();
  expect(await pagesFor(3)).toBe(1 + 16);
  unwrap();
  await backend.close();
});

test.each([
  ['webasm', 1],
  ['cpu', 0],
] as const)('mode %s: softmax calls Math.exp %i times per element', async (mode, perElement) => {
  let calls = 0;
  const unwrap = wrap([Math, 'exp'], () => calls++);
  const backend = await gpujs.open({ mode });
  const x = tensor(
    Float32Array.from({ length: 24 }, (_, k) => k % 7),
    { shape: [4, 6], backend },
  );
  const before = calls;
  await softmax(x).data();
  unwrap();
  expect(calls - before).toBe(perElement * 24);
  await backend.close();
});
