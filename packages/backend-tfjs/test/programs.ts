import { crossEntropy, logSoftmax, softmax, type Tensor, tensor } from '@softgrad/core';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test, vi } from 'vitest';
import { type TfjsBackend, tfjs } from '../src/index.js';

const runners = { webgl: 'runWebGLProgram', webgpu: 'runWebGPUProgram' } as const;

/** The number of programs of each operation, and the reduction in the language of the engine, which the interpreter in Node does not run. */
export function testPrograms(engine: keyof typeof runners): void {
  describe(`engine ${engine} runs few programs`, () => {
    test('one for each pass over the rows, into which elementwise steps are fused', async () => {
      const backend = await tfjs.open({ engine });
      const x = tensor(new Float32Array(20), { shape: [4, 5], backend });
      const g = tensor(new Float32Array(20), { shape: [4, 5], backend });
      const target = tensor(Int32Array.of(0, 1, 2, 3), { backend });
      softmax.vjp(softmax(x), g);
      // Maximum, sum of the exponentials, quotient.
      expect(await programs(backend, () => softmax(x))).toBe(3);
      expect(await programs(backend, () => softmax(x, { axis: 0, temperature: 2 }))).toBe(3);
      // Maximum, sum of the smaller exponentials, number of the largest, difference.
      expect(await programs(backend, () => logSoftmax(x))).toBe(4);
      // The cotangent of a dominant probability, two means, product.
      expect(await programs(backend, () => softmax.vjp(x, g))).toBe(4);
      // The sum of the others of a dominant probability, product.
      expect(await programs(backend, () => softmax.jacobian(x))).toBe(2);
      const options = { reduction: 'none' } as const;
      expect(await programs(backend, () => crossEntropy(x, target, options).gradient)).toBeLessThanOrEqual(12);
      await backend.close();
    });

    test('no more if the operand is a result of tfjs, in any memory layout', async () => {
      const backend = await tfjs.open({ engine });
      await tf.setBackend(engine);
      const theirs = tf.tidy(() => tf.mul(tf.reshape(tf.range(0, 735), [105, 7]), 0.01));
      const x = backend.fromTf(theirs);
      expect(await programs(backend, () => softmax(x))).toBe(3);
      theirs.dispose();
      await backend.close();
    });

    test('none is compiled for another number of rows or classes, nor to upload or read them', async () => {
      const backend = await tfjs.open({ engine });
      const run = async (shape: readonly [number, number]) => {
        const x = tensor(new Float32Array(shape[0] * shape[1]), { shape, backend });
        return await softmax(x).data();
      };
      await run([5, 7]);
      const flags = { ...tf.env().getFlags() };
      const compiled = compilations(engine);
      expect((await run([11, 3]))[0]).toBeCloseTo(1 / 3, 6);
      expect((await run([2, 64]))[0]).toBeCloseTo(1 / 64, 6);
      expect(compiled()).toBe(0);
      expect(tf.env().getFlags()).toEqual(flags);
      await backend.close();
    });

    test('two more for a row of more than 64 classes, which is reduced in windows', async () => {
      const backend = await tfjs.open({ engine });
      const x = tensor(new Float32Array(10_000), { shape: [1, 10_000], backend });
      softmax(x);
      expect(await programs(backend, () => softmax(x))).toBe(5);
      await backend.close();
    });
  });

  test(`a sum on engine ${engine} has what its additions lost by rounding`, async () => {
    const backend = await tfjs.open({ engine });
    const [x, sum] = [backend.alloc(16, 'float32'), backend.alloc(1, 'float32')];
    // Beside 2²⁴ every 1 is lost.
    const terms = Float32Array.from({ length: 16 }, (_, k) => (k === 0 ? 2 ** 24 : k === 15 ? -(2 ** 24) : 1));
    backend.write(x, terms);
    backend.basis?.reduce(sum, 'sum', x, { outer: 1, classes: 16, inner: 1 });
    expect(await backend.read(sum)).toEqual(Float32Array.of(14));
    await backend.close();
  });
}

/** Starts to count the programs that the browser compiles; the returned function ends it. */
function compilations(engine: keyof typeof runners): () => number {
  const spy =
    engine === 'webgl'
      ? vi.spyOn(WebGL2RenderingContext.prototype, 'linkProgram')
      : vi.spyOn(GPUDevice.prototype, 'createComputePipeline');
  return () => {
    const count = spy.mock.calls.length;
    spy.mockRestore();
    return count;
  };
}

/** The number of programs that an operation runs if its operands are on the device. */
async function programs(backend: TfjsBackend, operation: () => Tensor): Promise<number> {
  const instance = tf.engine().registry[backend.engine] as unknown as Record<string, () => void>;
  operation();
  const spy = vi.spyOn(instance, runners[backend.engine as keyof typeof runners]);
  operation();
  const count = spy.mock.calls.length;
  spy.mockRestore();
  return count;
}
