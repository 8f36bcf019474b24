import { expect, test } from 'vitest';
import { accuracyTables, measureAccuracy } from '../src/accuracy.js';
import { naive } from '../src/peers/naive.js';
import { source, withResult } from './contenders.js';

/** Increases the largest result by some ULP of 1. */
const off = (ulps: number) =>
  source('off', {
    change: withResult((result) => {
      const largest = result.indexOf(Math.max(...result));
      result[largest] *= 1 + ulps * 2 ** -23;
    }),
  });

test('the exact backend is within half an ULP in float32 and exact in float64, over all logits', async () => {
  const { results } = await measureAccuracy({
    contenders: [source('right')],
    ops: ['softmax', 'logSoftmax'],
    classes: [1, 10, 300],
  });
  expect(results).toHaveLength(2 * 2 * 3 * 4);
  for (const { dtype, worstUlp } of results) expect(worstUlp).toBeLessThanOrEqual(dtype === 'float32' ? 0.5001 : 0);
});

test('an error in one result is found and measured', async () => {
  const { results } = await measureAccuracy({ contenders: [off(64)], dtypes: ['float32'], classes: [10] });
  // A relative error of 64 · 2⁻²³ is 64 to 128 ULP.
  for (const { worstUlp } of results) {
    expect(worstUlp).toBeGreaterThan(63);
    expect(worstUlp).toBeLessThan(129);
  }
});

test('an error that is NaN is reported as NaN', async () => {
  // The smallest result, which is below 1e-30 for logits in ±80.
  const nan = source('nan', {
    change: withResult((result) => {
      const least = result.indexOf(Math.min(...result));
      result[least] = Number.NaN;
    }),
  });
  const { results } = await measureAccuracy({ contenders: [nan], classes: [10] });
  for (const { worstUlp, worstRowSumUlp } of results)
    expect([worstUlp, worstRowSumUlp]).toEqual([Number.NaN, Number.NaN]);
});

test('contenders that cannot run or lack a dtype are listed, and all are closed', async () => {
  const log: string[] = [];
  const report = await measureAccuracy({
    contenders: [source('right', { log }), { name: 'gone', kind: 'peer', open: async () => 'not here' }, naive],
    classes: [3],
  });
  expect(report.unavailable).toEqual([{ name: 'gone', reason: 'not here' }]);
  expect(log).toEqual(['right opened', 'right closed']);
  const [table] = accuracyTables(report);
  expect(table.title).toBe('softmax float32: largest error in ULP over results of at least 1e-30');
  expect(table.head).toEqual(['classes', 'logits', 'right', 'naive']);
  expect(table.rows.map(([classes, logits]) => [classes, logits])).toEqual([
    ['3', '±1'],
    ['3', '±20'],
    ['3', '±80'],
    ['3', '10000 ± 8'],
  ]);
});
