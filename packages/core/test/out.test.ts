import { expect, test } from 'vitest';
import { delegate } from '../conformance/delegate.js';
import { conformance } from '../conformance/index.js';
import { type Backend, type CrossEntropyOptions, crossEntropy, type Tensor, tensor } from '../src/index.js';
import { openOutOfPlace } from './out-of-place.js';

/** A backend that does not write in place, with its fused kernels and without them. */
async function backends(): Promise<readonly Backend[]> {
  const backend = await openOutOfPlace();
  return [backend, delegate(backend, { name: 'out of place (composed)', kernels: {} })];
}

test('out may be any operand of its shape on a backend that does not write in place, fused and composed', async () => {
  for (const backend of await backends()) {
    const bound = (await conformance(backend, { composed: false })).filter(({ id }) =>
      /^laws\/out-(may-be-an-operand|equals-allocated):/.test(id),
    );
    expect(bound.length).toBeGreaterThan(60);
    for (const { skip, run } of bound) {
      expect(skip).toBeNull();
      await run();
    }
  }
});

test("out may be cross-entropy's target of probabilities", async () => {
  const logits = [
    [0.5, -1, 2],
    [3, 0.25, -2],
  ];
  const target = [
    [0.2, 0.3, 0.5],
    [0.7, 0.1, 0.1],
  ];
  const settings: readonly CrossEntropyOptions[] = [
    {},
    { reduction: 'none' },
    { temperature: 2, labelSmoothing: 0.1, weight: [1, 2, 0.5], mask: [true, false, true] },
  ];
  for (const backend of await backends()) {
    const float64 = (values: readonly (readonly number[])[]) => tensor(values, { backend, dtype: 'float64' });
    for (const options of settings) {
      const x = float64(logits);
      const expected = await crossEntropy.gradient(x, float64(target), options).array();
      expect(JSON.stringify(expected)).not.toContain('null');
      const into: readonly ((q: Tensor) => Tensor)[] = [
        (q) => crossEntropy.gradient(x, q, { ...options, out: q }),
        (q) => crossEntropy(x, q, { ...options, out: { gradient: q } }).gradient,
      ];
      for (const call of into) {
        const q = float64(target);
        expect(call(q)).toBe(q);
        expect(await q.array()).toEqual(expected);
        expect(await x.array()).toEqual(logits);
      }
      const q = float64(target);
      const g = tensor(options.reduction === 'none' ? [1, 1] : 1, { backend, dtype: 'float64' });
      expect(await crossEntropy.vjp(x, q, g, { ...options, out: q }).array()).toEqual(expected);
      const { loss } = crossEntropy(x, float64(target), options);
      const both = float64(target);
      const result = crossEntropy(x, both, { ...options, out: { gradient: both } });
      expect(await result.loss.array()).toEqual(await loss.array());
    }
  }
});
