import { crossEntropy, tensor } from '@softgrad/core';
import { expect, test } from 'vitest';
import { tfjs } from '../src/index.js';

test.each(['cpu', 'wasm'] as const)(
  'an ignored row whose softmax is undefined has gradient 0 on engine %s',
  async (engine) => {
    const backend = await tfjs.open({ engine });
    for (const undefinedRow of [
      [Number.NaN, 1, 2],
      [0, Number.POSITIVE_INFINITY, 1],
      [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY],
    ]) {
      const x = tensor([undefinedRow, [0, 0, 0]], { backend });
      const { loss, gradient } = crossEntropy(x, [-100, 1], { reduction: 'none' });
      const losses = await loss.data();
      expect(losses[0] + 0).toBe(0);
      expect(losses[1]).toBeCloseTo(Math.log(3), 6);
      const slopes = await gradient.data();
      [0, 0, 0, 1 / 3, -2 / 3, 1 / 3].forEach((expected, i) => {
        expect(slopes[i]).toBeCloseTo(expected, 6);
      });
      for (const used of [x, loss, gradient]) used.dispose();
    }
    await backend.close?.();
  },
);
