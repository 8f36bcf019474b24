import { cpu } from '@softgrad/backend-cpu';
import { wasm } from '@softgrad/backend-wasm';
import { type Backend, crossEntropy, tensor } from '@softgrad/core';
import { describe, expect, test } from 'vitest';

const fused = [await cpu.open(), await wasm.open()] as Backend[];
const engines = fused.flatMap((backend) => [
  [backend.name, backend] as const,
  [`${backend.name} without kernels`, { ...backend, kernels: {} }] as const,
]);

describe.each(engines)('%s', (_name, backend) => {
  describe.each(['float32', 'float64'] as const)('%s', (dtype) => {
    test.each([Number.NaN, Number.POSITIVE_INFINITY])(
      'every derivative of a mean whose weights are 0 is NaN in a row with %s and 0 in others',
      async (bad) => {
        const of = (data: number[]) => tensor(data, { shape: [2, 3], dtype, backend });
        const logits = of([bad, 1, 2, 1, 2, 3]);
        const tangent = of([1, 0, 0, 0, 1, 0]);
        const run = async (target: readonly number[], options = {}) => ({
          loss: [...(await crossEntropy.loss(logits, target, options).data())],
          gradient: [...(await crossEntropy.gradient(logits, target, options).data())].map(Math.abs),
          vjp: [...(await crossEntropy.vjp(logits, target, 1, options).data())].map(Math.abs),
          jvp: [...(await crossEntropy.jvp(logits, target, tangent, options).data())].map(Math.abs),
          hvp: [...(await crossEntropy.hvp(logits, target, 1, tangent, options).data())].map(Math.abs),
        });
        const entries = [Number.NaN, Number.NaN, Number.NaN, 0, 0, 0];
        expect(await run([0, 1], { weight: [0, 0, 1] })).toEqual({
          loss: [Number.NaN],
          gradient: entries,
          vjp: entries,
          jvp: [Number.NaN],
          hvp: entries,
        });
        // Rows that are ignored have no influence, whatever their logits.
        const none = [0, 0, 0, 0, 0, 0];
        expect(await run([-100, -100])).toEqual({ loss: [Number.NaN], gradient: none, vjp: none, jvp: [0], hvp: none });
      },
    );
  });
});
