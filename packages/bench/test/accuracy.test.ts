import type { Backend, HostArray } from '@softgrad/core';
import { exact } from '@softgrad/core/conformance';
import { expect, inject, test } from 'vitest';
import { accuracyInputs, repeatsOf } from '../src/accuracy/inputs.js';
import { measureAccuracy } from '../src/accuracy/measure.js';
import type { AccuracyOpName } from '../src/accuracy/ops/names.js';
import { selectAccuracyOps } from '../src/accuracy/ops/table.js';
import { accuracySummary, accuracyTables } from '../src/accuracy/tables.js';
import { backendContender } from '../src/backend-contender.js';
import type { ContenderSource } from '../src/contender.js';
import { naive } from '../src/peers/naive.js';
import { source } from './contenders.js';

/** The exact backend, what is read of it changed: of `reads` that follow each other the first. */
function misread(name: string, edit: (result: HostArray) => void, reads = 1): ContenderSource {
  return {
    name,
    kind: 'backend',
    async open() {
      const backend = await exact.open();
      let count = 0;
      const read: Backend['read'] = async (buffer) => {
        const result = await backend.read(buffer as never);
        if (count++ % reads === 0) edit(result);
        return result;
      };
      const changed = new Proxy<Backend>(backend, {
        get: (target, key) => (key === 'read' ? read : Reflect.get(target, key, target)),
      });
      return backendContender(name, changed);
    },
  };
}

/** Increases the largest result by some ULP of 1. */
const off = (ulps: number, reads?: number) =>
  misread(
    'off',
    (result) => {
      const largest = Math.max(...result);
      result[result.indexOf(largest)] = largest * (1 + ulps * 2 ** -23);
    },
    reads,
  );

const everyOp = selectAccuracyOps(['all']);

const { kernels } = await exact.open();
/** Which ops the exact backend has kernels for. It composes the others of operations in the dtype, which round their results. */
const isExact = (op: AccuracyOpName) =>
  /^(softmax|logSoftmax|logSumExp|sigmoid|relu|crossEntropy\.(loss|gradient))$/.test(op) ||
  kernelNames(op).some((name) => kernels !== undefined && name in kernels) ||
  /^relu/.test(op) ||
  /^softmax\.(jacobian|vjp|jvp)$/.test(op);

function kernelNames(op: AccuracyOpName): readonly string[] {
  const name = op.replace(/\.(.)/g, (_, letter: string) => letter.toUpperCase());
  return op === 'sigmoid.jvp' ? ['sigmoidVjp'] : [name];
}

test.each(everyOp)(
  'the exact backend is within half an ULP in float32 and exact in float64, or composes: %s',
  async (op) => {
    const classes = inject('everything') ? [1, 2, 10, 40] : [1, 10];
    const { results } = await measureAccuracy({ contenders: [source('right')], ops: [op], classes, results: 100 });
    const elementwise = /^(sigmoid|relu)/.test(op);
    const inputs = op.startsWith('crossEntropy') ? 23 : 11;
    expect(results).toHaveLength(2 * (elementwise ? classes.length * 3 : 5 + (classes.length - 1) * inputs));
    // The sum of the gradient's entries, each of them rounded, times the tangent's keeps no digits where the tangent is nearly constant.
    const composed = op === 'crossEntropy.jvp' ? 1e4 : 4;
    for (const { dtype, worstUlp } of results) {
      expect(worstUlp).toBeLessThanOrEqual(!isExact(op) ? composed : dtype === 'float32' ? 0.5001 : 0);
    }
  },
);

test.each(everyOp)('an error in one result is found and measured: %s', async (op) => {
  const { results } = await measureAccuracy({
    // After a diagonal, the output at which it is expected is read.
    contenders: [off(64, op.endsWith('diagonal') ? 2 : 1)],
    ops: [op],
    dtypes: ['float32'],
    classes: [10],
    results: 100,
  });
  // A relative error of 64 · 2⁻²³ is 64 to 128 ULP of the result, whose terms are not larger than a few times itself in the largest one, of a
  // second derivative some ten times.
  for (const { worstUlp } of results) {
    expect(worstUlp).toBeGreaterThan(/hvp|doubleBackward/.test(op) ? 4 : 15);
    expect(worstUlp).toBeLessThan(129);
  }
});

test('a result is measured in ULP of the terms that remain after exact cancellation', async () => {
  // g − ⟨s, g⟩ as it is, in float32, loses digits of a confident row; the vjp of the exact backend does not.
  const cancels = misread('cancels', (result) => {
    result.set(Array.from(result, (value) => value + 2 ** -25));
  });
  const { results } = await measureAccuracy({
    contenders: [cancels],
    ops: ['softmax.vjp'],
    dtypes: ['float32'],
    classes: [10],
  });
  const worst = results.find(({ input }) => input === 'nearly one-hot')?.worstUlp ?? 0;
  expect(worst).toBeGreaterThan(1e6);
});

test('an error that is NaN is reported as NaN', async () => {
  // The smallest result, which is below 1e-30 for logits in ±80.
  const nan = misread('nan', (result) => {
    result[result.indexOf(Math.min(...result))] = Number.NaN;
  });
  const report = await measureAccuracy({ contenders: [nan], classes: [10], results: 1000 });
  for (const { worstUlp } of report.results) expect(worstUlp).toBeNaN();
  expect(accuracySummary(report).rows[0]?.[1]).toMatch(/^NaN \(10; /);
});

test('rows of millions of classes repeat their entries, and the reference of one period serves them', async () => {
  expect([1000, 2 ** 18, 2 ** 18 + 2, 2 ** 20, 10_000_000].map(repeatsOf)).toEqual([1, 1, 2, 2 ** 13, 2 ** 7]);
  const ops: AccuracyOpName[] = ['softmax', 'logSoftmax.vjp'];
  if (inject('everything')) ops.push('softmax.vjp', 'logSoftmax.jvp');
  const { results } = await measureAccuracy({ contenders: [source('right')], ops, classes: [2 ** 18 + 2 ** 8] });
  expect(results).toHaveLength(2 * ops.length);
  for (const { dtype, worstUlp } of results) expect(worstUlp).toBeLessThanOrEqual(dtype === 'float32' ? 0.5001 : 0);
});

test('by default rows have 1 to 10⁷ classes, and short ones are measured nearly one-hot, with temperatures and a mask', () => {
  const inputs = accuracyInputs();
  expect(new Set(inputs.map(({ classes }) => classes))).toEqual(
    new Set([1, 2, 3, 10, 17, 128, 1000, 32_000, 128_256, 10_000_000]),
  );
  const named = inputs.filter(({ classes, target }) => classes === 3 && target === 'indices').map(({ name }) => name);
  expect(named).toEqual([
    '±1',
    '±20',
    '±80',
    '1e4 ± 8',
    '1e6 ± 8',
    'nearly one-hot',
    '±20 T, T = 0.01',
    '±20 T, T = 0.5',
    '±20 T, T = 2.87',
    '±20 T, T = 100',
    '±20, masked',
  ]);
});

test('contenders that cannot run, or lack an op or a dtype, are listed, and all are closed', async () => {
  const log: string[] = [];
  const report = await measureAccuracy({
    contenders: [source('right', { log }), { name: 'gone', kind: 'peer', open: async () => 'not here' }, naive],
    ops: ['softmax', 'logSumExp'],
    classes: [3],
  });
  expect(report.unavailable).toEqual([{ name: 'gone', reason: 'not here' }]);
  expect(log).toEqual(['right opened', 'right closed']);
  const tables = accuracyTables(report);
  expect(tables.map(({ title }) => title)).toEqual(
    ['softmax float32', 'softmax float64', 'logSumExp float32', 'logSumExp float64'].map(
      (name) => `${name}: largest error in ULP over results of at least 1e-30`,
    ),
  );
  expect(tables.map(({ head }) => head.join())).toEqual([
    'classes,logits,right,naive',
    'classes,logits,right,naive',
    'classes,logits,right',
    'classes,logits,right',
  ]);
  expect(tables[2]?.notes).toEqual(['naive: dtype or op not supported']);
  // Competitors have no temperature and no mask.
  const [float32] = tables;
  expect(float32?.rows.filter(([, , , naiveUlp]) => naiveUlp === '').map(([, input]) => input)).toEqual([
    '±20 T, T = 0.01',
    '±20 T, T = 0.5',
    '±20 T, T = 2.87',
    '±20 T, T = 100',
    '±20, masked',
  ]);
  expect(accuracySummary(report).head).toEqual([
    'op',
    'right float32',
    'right float64',
    'naive float32',
    'naive float64',
  ]);
});

test('ops are chosen by name', () => {
  expect(selectAccuracyOps(['softmax.vjp', 'logSumExp'])).toEqual(['softmax.vjp', 'logSumExp']);
  expect(() => selectAccuracyOps(['vjp'])).toThrow(/^unknown op 'vjp'; expected all or some of softmax, /);
});
