import { type Backend, softmax, tensor } from '@softgrad/core';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test, vi } from 'vitest';
import { type EngineName, type TfjsBackend, tfjs } from '../src/index.js';

/** Tests of several engines in one process, for the engines that Node and Chromium have. */
export function testEngines(engines: readonly EngineName[]): void {
  test('engines work side by side, interleaved, without changing the one that tf.setBackend chose', async () => {
    await import(`@tensorflow/tfjs-backend-cpu`);
    await tf.setBackend('cpu');
    const backends = await Promise.all(engines.map((engine) => tfjs.open({ engine })));
    expect(tf.getBackend()).toBe('cpu');
    const inputs = backends.map((backend) => tensor([[1, 2, 3]], { backend }));
    const theirs = tf.tensor1d([1, 2, 3]);
    const outputs = inputs.map((x) => softmax(x));
    const sum = tf.sum(theirs);
    const again = outputs.map((s) => softmax.vjp(s, tensor([[0, 0, 1]], { backend: s.backend })));
    expect(tf.getBackend()).toBe('cpu');
    expect(sum.dataSync()[0]).toBe(6);
    for (const s of outputs) expectClose(await s.data(), [0.09003057, 0.24472847, 0.66524096]);
    for (const dx of again) expectClose(await dx.data(), [-0.05989202, -0.16280339, 0.22269542]);
    expect(tf.getBackend()).toBe('cpu');
    tf.dispose([theirs, sum]);
    for (const backend of backends) await backend.close();
  });

  test('engines work in parallel promises without mixing their numbers', async () => {
    const backends = await Promise.all(engines.map((engine) => tfjs.open({ engine })));
    const chains = backends.flatMap((backend, k) => [chain(backend, k), chain(backend, k + 10)]);
    const results = await Promise.all(chains);
    backends.forEach((_, k) => {
      expectClose(results[2 * k], expectedChain(k));
      expectClose(results[2 * k + 1], expectedChain(k + 10));
    });
    for (const backend of backends) await backend.close();
  });

  test('an operation on tensors of two engines names both', async () => {
    const [first, second] = await Promise.all(engines.slice(0, 2).map((engine) => tfjs.open({ engine })));
    const s = tensor([[1]], { backend: first });
    const other = tensor([[1]], { backend: second });
    const mixed = () => softmax.vjp(s, other);
    expect(mixed).toThrow(expect.objectContaining({ code: 'ERR_BACKEND_MISMATCH' }));
    expect(mixed).toThrow(/tfjs wasm, .* tfjs cpu/);
    const theirs = second.toTf(other);
    expect(() => first.fromTf(theirs)).toThrow(
      expect.objectContaining({
        code: 'ERR_BACKEND_MISMATCH',
        message: expect.stringMatching(/or copy it with tensor\(await t\.data\(\), \{ shape: t\.shape, backend \}\)$/),
      }),
    );
    theirs.dispose();
    await first.close();
    await second.close();
  });

  test('two backends on one engine are independent: closing one leaves the other', async () => {
    for (const engine of engines) {
      const [first, second] = await Promise.all([tfjs.open({ engine }), tfjs.open({ engine })]);
      const x = tensor([[0, 0]], { backend: second });
      await first.close();
      expectClose(await softmax(x).data(), [0.5, 0.5]);
      await second.close();
    }
  });

  test('only the first backend on an engine measures what it supports', async () => {
    for (const engine of engines) {
      const first = await tfjs.open({ engine });
      const written = vi.spyOn(tf.engine().registry[engine], 'write');
      const second = await tfjs.open({ engine });
      expect(written).not.toHaveBeenCalled();
      expect(second.supports).toEqual(first.supports);
      written.mockRestore();
      for (const backend of [first, second]) await backend.close();
    }
  });

  test('a tensor can be moved from engine to engine', async () => {
    const backends: TfjsBackend[] = [];
    for (const engine of engines) backends.push(await tfjs.open({ engine }));
    let x = tensor([[1, 2, 3]], { backend: backends[0] });
    for (const backend of [...backends, backends[0]]) {
      x = await x.to(backend);
      const s = softmax(x);
      expect(s.backend).toBe(backend);
      expectClose(await s.data(), [0.09003057, 0.24472847, 0.66524096]);
    }
    for (const backend of backends) await backend.close();
  });
}

/** Twenty steps of softmax from logits that depend on k, with a read after each step. */
async function chain(backend: Backend, k: number): Promise<ArrayLike<number>> {
  let x = tensor([[k, 0, -k / 2]], { backend });
  for (let step = 0; step < 20; step++) {
    const s = softmax(x);
    x = tensor(await s.data(), { backend, shape: [1, 3] });
  }
  return x.data();
}

function expectedChain(k: number): number[] {
  let x = [k, 0, -k / 2];
  for (let step = 0; step < 20; step++) {
    const exponentials = x.map((value) => Math.exp(value - Math.max(...x)));
    const sum = exponentials.reduce((a, b) => a + b, 0);
    x = exponentials.map((e) => e / sum);
  }
  return x;
}

export function expectClose(actual: ArrayLike<number>, expected: readonly number[], tolerance = 1e-6): void {
  expect(actual.length).toBe(expected.length);
  for (const [i, value] of expected.entries()) expect(Math.abs(actual[i] - value)).toBeLessThanOrEqual(tolerance);
}
