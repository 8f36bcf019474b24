import { sigmoid, softmax, tensor } from '@softgrad/core';
import { plain } from '@softgrad/core/conformance';
import { beforeAll, describe, expect, inject, test } from 'vitest';
import { type GpujsBackend, gpujs, type Mode } from '../src/index.js';
import { expectExactQuotients } from './quotients.js';

/**
 * Tests for every mode, in Node and in browsers.
 *
 * @param backendOf gives a backend of the mode, which stays open
 * @param past2To24 whether more than 2²⁴ elements are tested: with `npm run test:all` in a mode of each of gpu.js's translators, and with `npm test` in mode webgpu alone,
 * where a kernel without a division then shows that each index is exact, and the quotients of such indices are tested without the elements
 */
export function everywhere(mode: Mode, backendOf: () => Promise<GpujsBackend>, past2To24: boolean): void {
  describe(`mode ${mode}`, () => {
    let backend: GpujsBackend;
    beforeAll(async () => {
      backend = await backendOf();
    });

    test('has a name, and supports float32 only', () => {
      expect(backend.name).toBe(`gpujs-${mode}`);
      expect(backend.supports.device.startsWith(`${mode}: `)).toBe(true);
      expect(backend.supports.dtypes).toEqual(['float32']);
      expect(() => tensor([1], { dtype: 'float64', backend })).toThrowError(/float64/);
    });

    test('quotients of integers below 2³⁰ are exact, although float32 division is not', async () => {
      await expectExactQuotients(mode);
    });

    if (past2To24)
      test('indices above 2²⁴, which float32 cannot represent, are exact', async () => {
        const rows = { outer: 1, classes: 3, inner: 5592407 };
        const length = rows.classes * rows.inner;
        expect(length).toBeGreaterThan(2 ** 24);
        const values = new Float32Array(length);
        for (let i = 0; i < 8191; i++) values[i] = i;
        for (let filled = 8191; filled < length; filled *= 2) values.copyWithin(filled, 0, filled);
        const transposes = inject('everything');
        const x = backend.alloc(length, 'float32');
        const out = backend.alloc(length, 'float32');
        backend.write(x, values);
        if (transposes) backend.basis?.transpose(out, x, rows);
        else backend.basis?.unary(out, 'neg', x, length);
        const found = await backend.read(out);
        backend.free(x);
        backend.free(out);
        let wrong = 0;
        // Of the indices that are exact in float32, some.
        for (let n = 0; n < length; n += transposes || n >= 2 ** 24 - 8191 ? 1 : 257) {
          const expected = transposes
            ? values[(n % rows.classes) * rows.inner + Math.floor(n / rows.classes)]
            : -values[n];
          if (found[n] !== expected) wrong++;
        }
        expect(wrong).toBe(0);
      });

    test('work runs in the order in which it is enqueued, even if buffers are freed or overwritten meanwhile', async () => {
      const rows = { outer: 1, classes: 2, inner: 1 };
      const x = backend.alloc(2, 'float32');
      const s = backend.alloc(2, 'float32');
      const results: Promise<ArrayLike<number>>[] = [];
      for (let i = 0; i < 20; i++) {
        backend.write(x, Float32Array.of(0, Math.log(i + 1)));
        backend.softmax(s, x, rows, plain);
        results.push(backend.read(s));
      }
      backend.free(x);
      backend.free(s);
      for (const [i, result] of (await Promise.all(results)).entries()) {
        expect(result[1]).toBeCloseTo((i + 1) / (i + 2), 5);
      }
    });

    // One backend for all three checks, because opening a backend compiles the kernels that measure the device. The tests of faults open several of mode webgl2.
    const alone = mode === 'webgl2' && !inject('everything');
    if (!alone)
      test('a second backend works side by side, keeps at most its number of kernels, and closes independently', async () => {
        const other = await gpujs.open({ mode, kernels: 6 });
        const chain = async (on: GpujsBackend, start: number) => {
          let x = tensor([start, 2, 3], { backend: on });
          for (let i = 0; i < 5; i++) {
            x = softmax(x);
            await x.data();
          }
          return await x.data();
        };
        const [a, b] = await Promise.all([chain(backend, 1), chain(other, 5)]);
        expect([...a]).toEqual([...(await chain(other, 1))]);
        expect([...b]).toEqual([...(await chain(backend, 5))]);

        // Results outlive the kernels that computed them.
        const x = tensor([[1, 2, 3]], { backend: other });
        const s = softmax(x);
        const y = sigmoid(s);
        const J = softmax.jacobian(s);
        const again = softmax(x);
        expect(await again.array()).toEqual(await s.array());
        expect((await y.data())[2]).toBeCloseTo(1 / (1 + Math.exp(-0.66524096)), 6);
        expect((await J.data())[8]).toBeCloseTo(0.66524096 * (1 - 0.66524096), 6);
        expect(other.compiled).toBe(6);

        expect(other.closed).toBe(false);
        await other.close();
        await other.close();
        expect(other.closed).toBe(true);
        expect(() => softmax(x)).toThrowError(expect.objectContaining({ code: 'ERR_DISPOSED' }));
        expect(() => other.alloc(1, 'float32')).toThrowError(expect.objectContaining({ code: 'ERR_DISPOSED' }));
        expect((await softmax(tensor([[1, 1]], { backend })).data())[0]).toBe(0.5);
      });

    test('300 operations leak nothing', async () => {
      const x = tensor([[1, 2, 3]], { backend });
      const out = sigmoid(x);
      await out.data();
      const compiled = backend.compiled;
      const live = deviceMemory(mode);
      for (let i = 0; i < 300; i++) {
        sigmoid(x, { out });
        if (i % 50 === 0) sigmoid(x).dispose();
        if (i % 100 === 0) await out.data();
      }
      expect((await out.data())[0]).toBeCloseTo(0.7310586, 6);
      expect(backend.compiled).toBe(compiled);
      expect(live()).toBe(0);
      x.dispose();
      out.dispose();
    });

    test('for the signal of the zero-gradient question, both row sums are noise around zero, the vjp is not', async () => {
      const signal = [
        [0.3394572666491664, 0.3089068053925853, 0.3516359279582483],
        [0.33932706934615525, 0.3094755563319447, 0.3511973743219001],
        [0.3394407172182317, 0.30889042266755573, 0.35166886011421256],
        [0.3394407172182317, 0.30889042266755573, 0.35166886011421256],
      ];
      const x = tensor(signal, { backend });
      const s = softmax(x);
      const J = softmax.jacobian(s);
      expect(J.shape).toEqual([4, 3, 3]);
      const matrices = (await J.array()) as number[][][];
      const summed = matrices.map((matrix) => matrix.map((row) => row.reduce((a, b) => a + b, 0)));
      // The loop over np.roll sums the same entries, with each row starting at its diagonal.
      const rolled = matrices.map((matrix) =>
        matrix.map((row, r) => row.reduce((sum, _, k) => sum + row[(r + k) % row.length], 0)),
      );
      for (const derivative of [...summed, ...rolled].flat()) expect(Math.abs(derivative)).toBeLessThan(1e-7);
      const g = tensor(
        [0, 1, 2, 0].map((target) => [0, 1, 2].map((c) => (c === target ? -1 : 0))),
        { backend },
      );
      const dx = (await softmax.vjp(s, g).array()) as number[][];
      expect(dx[0][0]).toBeCloseTo(-matrices[0][0][0], 6);
      expect(Math.min(...dx.flat().map(Math.abs))).toBeGreaterThan(0.1);
      const y = sigmoid(x);
      const derivative = (await sigmoid
        .vjp(
          y,
          tensor(
            signal.map((row) => row.map(() => 1)),
            { backend },
          ),
        )
        .array()) as number[][];
      const probability = 1 / (1 + Math.exp(-signal[0][0]));
      expect(derivative[0][0]).toBeCloseTo(probability * (1 - probability), 6);
    });

    test('a network stays at chance with the row sums and learns with the vjp', async () => {
      expect(await trainedLoss(backend, 'row sum')).toBeGreaterThan(1.09);
      expect(await trainedLoss(backend, 'vjp')).toBeLessThan(0.3);
    });

    test('an unknown option is refused', async () => {
      for (const [wrong, shown] of [
        ['vulkan', 'is the text "vulkan"'],
        [null, 'is null'],
        [2, '2'],
      ] as const) {
        await expect(gpujs.open({ mode: wrong as Mode })).rejects.toMatchObject({
          code: 'ERR_VALUE',
          message: expect.stringMatching(`^gpujs: mode ${shown}; expected auto, webgpu, `),
        });
      }
      await expect(gpujs.open({ modes: mode } as object)).rejects.toMatchObject({
        message: "gpujs.open: unknown option 'modes' (did you mean 'mode'?); expected one of mode, kernels",
      });
      for (const [kernels, shown] of [
        [1, 'kernels 1'],
        ['2', 'kernels is the text "2"'],
      ] as const) {
        await expect(gpujs.open({ mode, kernels: kernels as number })).rejects.toMatchObject({
          code: 'ERR_VALUE',
          message: `gpujs: ${shown}; expected an integer ≥ 2`,
        });
      }
    });

    test('more elements than a buffer supports are ERR_OUT_OF_MEMORY with the limit', () => {
      const { elements } = backend.supports.limits;
      const tooMany = expect.objectContaining({
        code: 'ERR_OUT_OF_MEMORY',
        message: expect.stringContaining(`${elements}`),
      });
      expect(() => backend.alloc(elements + 1, 'float32')).toThrowError(tooMany);
      const x = backend.alloc(2, 'float32');
      expect(() =>
        backend.jacobian(backend.alloc(elements + 1, 'float32'), x, { outer: 1, classes: 2, inner: 1 }, plain),
      ).toThrowError(tooMany);
    });
  });
}

/** Trains logits of three samples to be classes 0, 1 and 2, and returns the mean cross-entropy. */
async function trainedLoss(backend: GpujsBackend, derivative: 'row sum' | 'vjp'): Promise<number> {
  const logits = new Float32Array(9);
  const loss = (s: ArrayLike<number>) => -(Math.log(s[0]) + Math.log(s[4]) + Math.log(s[8])) / 3;
  let s = softmax(tensor(logits, { shape: [3, 3], backend }));
  for (let step = 0; step < 12; step++) {
    const p = await s.data();
    const cotangent = Float32Array.from(p, (value, i) => (i % 4 === 0 ? -1 / value : 0));
    const g = tensor(cotangent, { shape: [3, 3], backend });
    const slope =
      derivative === 'vjp' ? await softmax.vjp(s, g).data() : rowSums(await softmax.jacobian(s).data(), cotangent);
    for (let i = 0; i < 9; i++) logits[i] -= 0.5 * slope[i];
    s = softmax(tensor(logits, { shape: [3, 3], backend }));
  }
  return loss(await s.data());
}

/** The mistake of the zero-gradient question: the Jacobian's rows summed, times the cotangent. */
function rowSums(jacobian: ArrayLike<number>, cotangent: Float32Array): Float32Array {
  return cotangent.map((g, i) => g * (jacobian[3 * i] + jacobian[3 * i + 1] + jacobian[3 * i + 2]));
}

/** Starts to count the mode's allocations; the returned function gives the number that have not been freed. */
function deviceMemory(mode: Mode): () => number {
  if (mode === 'webgpu') return liveOf([GPUDevice.prototype, 'createBuffer'], [GPUBuffer.prototype, 'destroy']);
  if (mode === 'webgl2') {
    const { prototype } = WebGL2RenderingContext;
    return liveOf([prototype, 'createTexture'], [prototype, 'deleteTexture']);
  }
  if (mode === 'webgl') {
    const { prototype } = WebGLRenderingContext;
    return liveOf([prototype, 'createTexture'], [prototype, 'deleteTexture']);
  }
  return liveOf([WebAssembly, 'Memory'], null);
}

type Method = readonly [owner: object, name: string];

/** Wraps two methods to count calls of the first minus calls of the second; calling the returned function ends the count. */
function liveOf(made: Method, given: Method | null): () => number {
  let live = 0;
  const undo = [wrap(made, () => live++), ...(given ? [wrap(given, () => live--)] : [])];
  return () => {
    for (const step of undo) step();
    return live;
  };
}

/** Wraps a function or a class, so that `called` gets the arguments of each call; the returned function undoes it. */
export function wrap([owner, name]: Method, called: (values: readonly unknown[]) => void): () => void {
  const original: unknown = Reflect.get(owner, name);
  if (typeof original !== 'function') throw new TypeError(`${name} is not a method`);
  const counting = new Proxy(original, {
    apply(target, self, values) {
      called(values);
      return Reflect.apply(target, self, values);
    },
    construct(target, values, self) {
      called(values);
      return Reflect.construct(target, values, self);
    },
  });
  Reflect.set(owner, name, counting);
  return () => void Reflect.set(owner, name, original);
}
