import { crossEntropy, logSoftmax, tensor } from '@softgrad/core';
import { exact } from '@softgrad/core/conformance';
import { expect, test } from 'vitest';
import { diagnose } from '../src/index.js';

const backend = await exact.open();
const double = (values: readonly (readonly number[])[]) => tensor(values, { dtype: 'float64', backend });

test.each([
  { logits: [[1.8, 0]], mask: [[true, false]], upstream: [[0.9, 0.2]] },
  {
    logits: [
      [1, 2, 0.5],
      [0, 1, 3],
    ],
    mask: [
      [true, true, false],
      [true, true, true],
    ],
    upstream: [
      [0.3, 0.5, 0.7],
      [0.2, -0.4, 1],
    ],
  },
])('the derivatives of a masked log-softmax are right: $logits', async ({ logits, mask, upstream }) => {
  const y = logSoftmax(double(logits), { mask });
  const gradient = await logSoftmax.vjp(y, double(upstream)).array();
  const layer = 'log-softmax' as const;
  const found = diagnose({ logits, mask, upstream, gradient, layer });
  expect([found.verdict, found.matches.some(({ id }) => id === 'right')]).toEqual([
    found.matches.length > 1 ? 'ambiguous' : 'right',
    true,
  ]);
  const jacobian = await logSoftmax.jacobian(y).array();
  expect(diagnose({ logits, mask, gradient: jacobian, layer }).matches.map(({ id }) => id)).toContain('right');
  // With the upstream gradient left where the mask takes an entry out.
  const last = upstream[0].length - 1;
  const left = gradient.map((row, r) => row.map((value, c) => (r === 0 && c === last ? upstream[0][last] : value)));
  expect(diagnose({ logits, mask, upstream, gradient: left, layer }).verdict).not.toBe('right');
});

test('the gradient of a loss of which every row is ignored is right by every reduction', async () => {
  const logits = [[1, 2, 3]];
  for (const reduction of ['mean', 'sum', 'none'] as const) {
    const gradient = await crossEntropy.gradient(double(logits), [0], { ignoreIndex: 0, reduction }).array();
    const found = diagnose({ logits, target: [0], ignoreIndex: 0, gradient, reduction, layer: 'cross-entropy' });
    expect(
      found.matches.map(({ id }) => id),
      reduction,
    ).toContain('right');
  }
});
