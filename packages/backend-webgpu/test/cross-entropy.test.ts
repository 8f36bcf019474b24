import { crossEntropy, tensor } from '@softgrad/core';
import { expect, test } from 'vitest';
import { webgpu } from '../src/index.js';

const backend = await webgpu.open();

type Options = Parameters<typeof crossEntropy.loss>[2];

/** The loss of one row. */
async function lossOf(logits: readonly number[], target: readonly number[] | number, options: Options = {}) {
  const x = tensor([logits], { backend });
  const given = typeof target === 'number' ? [target] : tensor([target], { backend });
  const [loss] = await crossEntropy.loss(x, given, options).data();
  return loss;
}

const infinite = Number.POSITIVE_INFINITY;
const removed = [0.5, Number.NEGATIVE_INFINITY, 0.5];
const two = Math.fround(Math.LN2);

test('of a logit of −Infinity a loss is infinite exactly if its class counts, with whatever weight', async () => {
  for (const weight of [1, 0.1]) {
    const options = { weight: [1, weight, 1], reduction: 'sum' } as const;
    expect(await lossOf(removed, 1, options), `weight ${weight}`).toBe(infinite);
    expect(await lossOf(removed, [0.9, 0.1, 0], options)).toBe(infinite);
    expect(await lossOf(removed, 0, { ...options, labelSmoothing: 0.5 })).toBe(infinite);
  }
  const options = { weight: [1, 0, 1], reduction: 'sum' } as const;
  expect(await lossOf(removed, 1, options)).toBe(0);
  expect(await lossOf(removed, 0, options)).toBeCloseTo(two, 6);
  expect(await lossOf(removed, [1, 0, 0])).toBeCloseTo(two, 6);
  expect(await lossOf(removed, [0.5, 0.1, 0.5], options)).toBeCloseTo(two, 6);
  expect(await lossOf(removed, 0, { ...options, labelSmoothing: 0.3 })).toBeCloseTo(0.9 * two, 6);
});

test('a loss has its weight and the share of label smoothing as factors, whatever they are', async () => {
  const log = Math.log(1 + Math.exp(-2));
  for (const weight of [0.1, 0.7]) {
    const loss = await lossOf([1, 3], 0, { weight: [weight, 2], reduction: 'sum' });
    expect(loss, `weight ${weight}`).toBeCloseTo(weight * (log + 2), 5);
  }
  // Shares of 0.1 and 0.2 of each class.
  for (const labelSmoothing of [0.2, 0.4]) {
    const own = 1 - labelSmoothing / 2;
    const loss = await lossOf([1, 3], 0, { labelSmoothing });
    expect(loss, `smoothing ${labelSmoothing}`).toBeCloseTo(log + 2 * own, 5);
  }
});
