import { type Backend, SoftgradError } from '@softgrad/core';
import { exact } from '@softgrad/core/conformance';
import { describe, expect, test } from 'vitest';
import type { Case } from '../src/accuracy/case.js';
import { type AccuracyInput, accuracyData, accuracyInputs, type TargetKind } from '../src/accuracy/inputs.js';
import { type AccuracyReport, type AccuracyResult, measureAccuracy } from '../src/accuracy/measure.js';
import type { AccuracyOpName } from '../src/accuracy/ops/names.js';
import type { AccuracyOp } from '../src/accuracy/ops/op.js';
import { accuracyOps, selectAccuracyOps } from '../src/accuracy/ops/table.js';
import { accuracyOverview, accuracySummary, accuracyTables } from '../src/accuracy/tables.js';
import { backendContender } from '../src/backend-contender.js';
import type { Contender, ContenderSource } from '../src/contender.js';
import { markdownTable } from '../src/markdown.js';
import { naive } from '../src/peers/naive.js';

function named(name: string, classes: number): AccuracyInput {
  const found = accuracyInputs([classes]).find((input) => input.name === name);
  if (!found) throw new Error(`no input ${name}`);
  return found;
}

describe('inputs', () => {
  test('rows of one class, of more than 1000 and of more than 2¹⁸ have fewer', () => {
    const counts = [1, 2, 1000, 1001, 2 ** 18, 2 ** 18 + 1].map((classes) => accuracyInputs([classes]).length);
    expect(counts).toEqual([5, 23, 23, 7, 7, 1]);
    const kinds = accuracyInputs([3]).map(({ temperature, masked, plain }) => [temperature, masked, plain].join());
    const own = accuracyInputs([3]).filter(({ target }) => target === 'indices');
    expect(own).toHaveLength(11);
    expect(kinds.slice(0, 6)).toEqual(Array(6).fill('1,false,true'));
    expect(kinds.slice(6, 11)).toEqual([
      '0.01,false,false',
      '0.5,false,false',
      '2.87,false,false',
      '100,false,false',
      '1,true,false',
    ]);
  });

  test('other targets than indices are measured on some inputs, the first of them in long rows', () => {
    for (const target of ['smoothed', 'probabilities']) {
      const of = (f: number) =>
        accuracyInputs([f])
          .filter((input) => input.target === target)
          .map(({ name, plain }) => `${name}${plain ? ' plain' : ''}`);
      const suffix = target === 'smoothed' ? 'smoothed target' : 'soft target';
      const names = ['±20', '±1', '1e4 ± 8', 'nearly one-hot', '±20 T, T = 2.87', '±20, masked'];
      expect(of(3)).toEqual(names.map((name) => `${name}, ${suffix}`));
      expect(of(32_000)).toEqual([`±20, ${suffix}`]);
      expect(of(1)).toEqual([]);
    }
  });

  test.each(['float32', 'float64'] as const)('soft targets add up to 1, and have entries of all sizes: %s', (dtype) => {
    const { rows, period, softTarget } = accuracyData(named('±20, soft target', 50), dtype, 500);
    for (let row = 0; row < rows; row++) {
      const own = [...softTarget.subarray(row * period, (row + 1) * period)];
      expect(own.reduce((sum, q) => sum + q, 0)).toBeCloseTo(1, dtype === 'float32' ? 6 : 14);
      // The same probability for all classes in every third row.
      if (row % 3 === 2) expect(new Set(own).size).toBe(1);
      else expect(Math.max(...own) / Math.min(...own)).toBeGreaterThan(100);
    }
    expect(new Set(softTarget).size).toBeGreaterThan(340);
  });

  test('the second direction and the cotangents of rows are other numbers than the first direction', () => {
    const { rows, directions, tangents, rowCotangents } = accuracyData(named('±20', 50), 'float64', 175);
    expect(rowCotangents).toHaveLength(rows);
    for (const g of [...tangents, ...rowCotangents])
      expect(Number.isInteger(g * 2 ** 20) && Math.abs(g) <= 1).toBe(true);
    expect(new Set([...directions, ...tangents, ...rowCotangents]).size).toBeGreaterThan(390);
  });

  test.each([
    ['±20', 1, -20, 20],
    ['1e4 ± 8', 1, 9992, 10_008],
    ['±20 T, T = 0.5', 0.5, -10, 10],
  ])('%s: logits are spread over the whole range, in every row', (name, _, least, most) => {
    const { rows, period, repeats, logits, directions, mask } = accuracyData(named(name, 50), 'float64', 175);
    expect([rows, period, repeats, mask]).toEqual([4, 50, 1, null]);
    for (let row = 0; row < rows; row++) {
      const own = logits.subarray(row * period, (row + 1) * period);
      for (const [end, extreme] of [
        [least, Math.min(...own)],
        [most, Math.max(...own)],
      ] as const) {
        expect(Math.abs(extreme - end)).toBeLessThan((most - least) / 4);
      }
      expect(Math.min(...own)).toBeGreaterThanOrEqual(least);
      expect(Math.max(...own)).toBeLessThanOrEqual(most);
      expect(new Set(own).size).toBe(period);
    }
    for (const g of directions) expect(Number.isInteger(g * 2 ** 20) && Math.abs(g) <= 1).toBe(true);
    expect(new Set(directions).size).toBeGreaterThan(190);
    expect(Math.max(...directions) - Math.min(...directions)).toBeGreaterThan(1.8);
  });

  test('there is one row if it repeats its entries, however many results are asked for', () => {
    const [input] = accuracyInputs([2 ** 18 + 2]);
    if (!input) throw new Error('no input');
    const { rows, period, repeats, logits } = accuracyData(input, 'float32', 2 ** 20);
    expect([rows, period, repeats, logits.length]).toEqual([1, 2 ** 17 + 1, 2, 2 ** 17 + 1]);
  });

  test('nearly one-hot rows have 1 − s from ½ to 2⁻⁶¹', () => {
    const { rows, logits } = accuracyData(named('nearly one-hot', 4), 'float64', 56);
    expect(rows).toBe(14);
    for (let row = 0; row < rows; row++) {
      const own = [...logits.subarray(4 * row, 4 * row + 4)];
      expect(own.indexOf(0)).toBe(row % 4);
      const others = own.filter((x) => x !== 0).reduce((sum, x) => sum + Math.exp(x), 0);
      const expected = 2 ** -(1 + 5 * (row % 13));
      expect(others / expected).toBeLessThanOrEqual(1);
      expect(others / expected).toBeGreaterThan(0.6);
    }
  });

  test('a mask removes every third entry from the second on, and targets are kept: the largest in every second row', () => {
    const { rows, logits, mask, target } = accuracyData(named('±20, masked', 7), 'float32', 70);
    expect(logits).toBeInstanceOf(Float32Array);
    expect([...(mask ?? [])]).toEqual(Array.from({ length: 70 }, (_, k) => Number(k % 3 !== 1)));
    const others = new Set<number>();
    for (let row = 0; row < rows; row++) {
      const kept = [...logits.subarray(7 * row, 7 * row + 7)].map((x, c) => ((7 * row + c) % 3 === 1 ? -Infinity : x));
      const largest = kept.indexOf(Math.max(...kept));
      const chosen = target[row] ?? -1;
      expect(kept[chosen]).toBeGreaterThan(-Infinity);
      if (row % 2 === 0) expect(chosen).toBe(largest);
      else others.add(chosen);
    }
    expect(others.size).toBeGreaterThan(1);
  });
});

/** A case with these rows, float64; `output` is that of the function whose derivative is asked for, or of softmax. */
function caseOf(
  classes: number,
  {
    logits = [] as readonly number[],
    output = undefined as readonly number[] | undefined,
    g = [] as readonly number[],
    t = [] as readonly number[],
    rowCotangents = [] as readonly number[],
    temperature = 1,
    repeats = 1,
    mask = null as Uint8Array | null,
    target = [0],
    softTarget = [] as readonly number[],
    targetKind = 'indices' as TargetKind,
  },
): Case {
  const entries = Math.max(logits.length, output?.length ?? 0);
  const rows = entries / classes;
  const result: Case = {
    rows,
    period: classes,
    repeats,
    logits: logits.length > 0 ? Float64Array.from(logits) : new Float64Array(entries),
    directions: Float64Array.from(g),
    tangents: Float64Array.from(t),
    rowCotangents: Float64Array.from(rowCotangents),
    mask,
    target: Int32Array.from(target),
    softTarget: Float64Array.from(softTarget),
    targetKind,
    layout: { outer: rows, classes, inner: 1 },
    parameters: { temperature, mask },
    output: (name) => (output ? Float64Array.from(output) : accuracyOps[name].expected(result)),
  };
  return result;
}

const close = (actual: ArrayLike<number> | undefined, expected: readonly number[]) => {
  expect(actual).toHaveLength(expected.length);
  for (const [k, value] of expected.entries()) expect(actual?.[k]).toBeCloseTo(value, 12);
};

describe('the terms that are left after exact cancellation', () => {
  const s = [0.75, 0.25, 0.5, 0.5];
  const g = [0.5, -0.25, 0.5, -1];
  const attainableOf = (op: AccuracyOpName, more: Parameters<typeof caseOf>[1]) =>
    accuracyOps[op].attainable?.(caseOf(2, { output: s, g, ...more }));

  test('softmax.vjp: g less that of a probability above ½, and their mean', () => {
    // Second row: no origin, the mean of |g| is 0.75.
    const expected = [0.75 * 0.1875, 0.25 * (0.75 + 0.1875), 0.5 * (0.5 + 0.75), 0.5 * (1 + 0.75)];
    for (const op of ['softmax.vjp', 'softmax.jvp'] as const) {
      close(attainableOf(op, {}), expected);
      close(
        attainableOf(op, { temperature: 2 }),
        expected.map((one) => one / 2),
      );
    }
    // A mean over two periods is twice that over one.
    const twice = attainableOf('softmax.vjp', { repeats: 2 });
    close(twice, [0.75 * 0.375, 0.25 * (0.75 + 0.375), 0.5 * (0.5 + 1.5), 0.5 * (1 + 1.5)]);
    const masked = attainableOf('softmax.vjp', { mask: Uint8Array.of(0, 1, 1, 0) });
    close(masked, [0, 0.25 * (0.25 + 0.0625), 0.5 * (0.5 + 0.25), 0]);
  });

  // Of g as above: 0.1875 and 0.9375, 1.25 and 1.75. Of t: 0.25 and 1.25, 1.25 and 1.25.
  const t = [0, 1, 0.5, -0.75];

  test('softmax.hvp: the products of both centred directions, and their mean', () => {
    const products = [0.1875 * 0.25, 0.9375 * 1.25, 1.25 * 1.125, 1.75 * 1.375] as const;
    const means = [0.75 * products[0] + 0.25 * products[1], 0.5 * (products[2] + products[3])] as const;
    const expected = products.map((product, k) => (s[k] ?? 0) * (product + (means[k < 2 ? 0 : 1] ?? 0)));
    close(attainableOf('softmax.hvp', { t }), expected);
    close(
      attainableOf('softmax.hvp', { t, temperature: 2 }),
      expected.map((one) => one / 4),
    );
  });

  test('softmax.doubleBackward: the second direction times the centred cotangent, and the cotangent times the mean of the other', () => {
    const expected = [0.5 * 0.25, 0.9375 + 0.25 * 0.25, 0.5 * 1.25 + 0.5 * 0.625, 0.75 * 1.75 + 0.625];
    close(attainableOf('softmax.doubleBackward', { t }), expected);
    close(
      attainableOf('softmax.doubleBackward', { t, temperature: 2 }),
      expected.map((one) => one / 2),
    );
  });

  const y = s.map(Math.log);

  test('logSoftmax.vjp: g and p Σ g, of a probability above ½ g times the others', () => {
    const attainable = (more: Parameters<typeof caseOf>[1]) => attainableOf('logSoftmax.vjp', { output: y, ...more });
    close(attainable({}), [0.5 * 0.25 + 0.75 * 0.25, 0.25 + 0.25 * 0.75, 0.5 + 0.5 * 1.5, 1 + 0.5 * 1.5]);
    close(attainable({ temperature: 4 })?.slice(0, 2), [0.3125 / 4, 0.4375 / 4]);
    close(attainable({ repeats: 2 })?.slice(0, 2), [0.5 * 0.25 + 0.75 * 1, 0.25 + 0.25 * 1.5]);
  });

  test('logSoftmax.jvp: t less that of a probability above ½, and their mean; it leaves open what Σ p ≠ 1 times that t is', () => {
    const jvp = accuracyOps['logSoftmax.jvp'];
    close(attainableOf('logSoftmax.jvp', { output: y }), [0.1875, 0.9375, 0.5 + 0.75, 1 + 0.75]);
    close(attainableOf('logSoftmax.jvp', { output: y, temperature: 2 })?.slice(0, 2), [0.09375, 0.46875]);
    const short = [0.75, 0.2, 0.5, 0.4].map(Math.log);
    close(jvp.undetermined?.(caseOf(2, { output: short, g })), [0.5 * 0.05, 0.5 * 0.05, 0, 0]);
    close(jvp.undetermined?.(caseOf(2, { output: short, g, repeats: 2 })), [0, 0, 0, 0]);
  });

  test('logSoftmax.hvp: Σ |g| times p times the centred tangent; it leaves open what Σ p ≠ 1 times that is', () => {
    const hvp = accuracyOps['logSoftmax.hvp'];
    const expected = [0.75 * 0.75 * 0.25, 0.75 * 0.25 * 1.25, 1.5 * 0.5 * 1.125, 1.5 * 0.5 * 1.375];
    close(attainableOf('logSoftmax.hvp', { output: y, t }), expected);
    close(
      attainableOf('logSoftmax.hvp', { output: y, t, temperature: 2 }),
      expected.map((one) => one / 4),
    );
    const short = [0.75, 0.2, 0.5, 0.4].map(Math.log);
    const open = (temperature: number) => hvp.undetermined?.(caseOf(2, { output: short, g, t, temperature }));
    close(open(1), [0, 0.25 * 0.2 * 0.05, 0.5 * 0.5 * 0.5 * 0.1, 0.5 * 0.4 * 0.75 * 0.1]);
    close(open(2)?.slice(0, 2), [0, (0.25 * 0.2 * 0.05) / 4]);
  });

  test('logSumExp: the largest kept logit over T, or the result', () => {
    const attainable = (more: Parameters<typeof caseOf>[1]) =>
      accuracyOps.logSumExp.attainable?.(caseOf(2, { logits: [-3, -4, 2, 1], ...more }));
    close(attainable({}), [3, Math.log(Math.exp(2) + Math.exp(1))]);
    close(attainable({ temperature: 0.5 }), [6, Math.log(Math.exp(4) + Math.exp(2))]);
    close(attainable({ mask: Uint8Array.of(0, 1, 1, 1) }), [4, Math.log(Math.exp(2) + Math.exp(1))]);
  });

  test('logSumExp.jvp: the mean of |t|', () => {
    close(attainableOf('logSumExp.jvp', {}), [0.75 * 0.5 + 0.25 * 0.25, 0.75]);
    close(attainableOf('logSumExp.jvp', { temperature: 2 }), [0.4375 / 2, 0.75 / 2]);
  });

  test('logSumExp.hvp and crossEntropy.hvp: the cotangent of the row times p times the centred tangent, and Σ q', () => {
    const more = { rowCotangents: [-2, 0.5] };
    const expected = [2 * 0.75 * 0.1875, 2 * 0.25 * 0.9375, 0.5 * 0.5 * 1.25, 0.5 * 0.5 * 1.75];
    for (const op of ['logSumExp.hvp', 'crossEntropy.hvp'] as const) {
      close(attainableOf(op, { ...more, target: [0, 1] }), expected);
      close(
        attainableOf(op, { ...more, target: [0, 1], temperature: 2 }),
        expected.map((one) => one / 4),
      );
    }
    const softTarget = [0.5, 0.25, 1, 1];
    const factors = [0.75, 0.75, 2, 2];
    close(
      attainableOf('crossEntropy.hvp', { ...more, targetKind: 'probabilities', softTarget }),
      expected.map((one, k) => one * (factors[k] ?? 0)),
    );
  });

  describe('the gradient of cross-entropy', () => {
    test('of a class index has no terms that exceed it', () => {
      close(attainableOf('crossEntropy.gradient', { target: [0, 1] }), [0, 0, 0, 0]);
    });

    test('of probabilities: p Σ q and q, of a probability above ½ both times the others', () => {
      const soft = { targetKind: 'probabilities', softTarget: [0.6, 0.4, 0.125, 0.875] } as const;
      const expected = [0.75 * 0.4 + 0.6 * 0.25, 0.25 + 0.4, 0.5 + 0.125, 0.5 + 0.875];
      close(attainableOf('crossEntropy.gradient', soft), expected);
      close(
        attainableOf('crossEntropy.gradient', { ...soft, temperature: 2 }),
        expected.map((one) => one / 2),
      );
      close(
        attainableOf('crossEntropy.vjp', { ...soft, rowCotangents: [-2, 0.5] }),
        expected.map((one, k) => one * (k < 2 ? 2 : 0.5)),
      );
      // A masked entry has no target, and the sums are those of the others.
      close(attainableOf('crossEntropy.gradient', { ...soft, mask: Uint8Array.of(1, 0, 1, 1) }), [
        0,
        0,
        ...expected.slice(2),
      ]);
    });

    test('of a smoothed target: (1 − ε) of the class and ε over those that are kept', () => {
      const [spread, hit] = [0.05, 0.95];
      close(attainableOf('crossEntropy.gradient', { targetKind: 'smoothed', target: [1, 0] }), [
        0.75 * hit + spread * 0.25,
        0.25 + hit,
        0.5 + hit,
        0.5 + spread,
      ]);
    });
  });

  test('crossEntropy.jvp: the terms of both means, after the tangent of a probability above ½', () => {
    close(attainableOf('crossEntropy.jvp', { target: [1, 0] }), [1.25 * 0.75, (0.5 + 1) * 0.5 + 0.5]);
    close(attainableOf('crossEntropy.jvp', { target: [1, 0], temperature: 2 }), [0.9375 / 2, 1.25 / 2]);
    const soft = { targetKind: 'probabilities', softTarget: [0.5, 0.25, 1, 1] } as const;
    close(attainableOf('crossEntropy.jvp', soft), [(0.75 * 0.25 + 0.25) * 0.75, 2 * 0.5 + 2]);
  });
});

test.each(selectAccuracyOps(['all']).filter((op) => accuracyOps[op].isPeriodic !== false))(
  '%s: the results of one period are those of the row that repeats it',
  (name) => {
    const op: AccuracyOp = accuracyOps[name];
    const repeats = 4;
    const tiled = (values: readonly number[]) =>
      [values.slice(0, 3), values.slice(3)].flatMap((row) => Array.from({ length: repeats }, () => row).flat());
    const logits = [0.5, -1, 2, 0.25, 3, -2];
    const g = [0.5, -0.25, 1, 0.125, -1, 0.75];
    const make = (x: readonly number[], directions: readonly number[], width: number, times: number) =>
      caseOf(width, { logits: x, g: directions, repeats: times, target: [2, 1] });
    const one = op.expected(make(logits, g, 3, repeats));
    const all = op.expected(make(tiled(logits), tiled(g), 3 * repeats, 1));
    if (op.results(3) === 9) return expect(one.length).toBe(18);
    const isPerRow = one.length === 2;
    close(one, isPerRow ? [...all] : [...all.slice(0, 3), ...all.slice(3 * repeats, 3 * repeats + 3)]);
  },
);

describe('measuring', () => {
  const none = { contenders: [], dtypes: ['float32'] } as const;
  const askedOf = async (options: Omit<Parameters<typeof measureAccuracy>[0], 'contenders'>) => {
    const inputs = new Map<string, number>();
    await measureAccuracy({ ...none, results: 1, ...options }, ({ done, total, label }) => {
      inputs.set(label, done / total);
    });
    inputs.delete('done');
    return inputs;
  };
  const totalOf = async (options: Parameters<typeof askedOf>[0]) => (await askedOf(options)).size;

  test('matrices of long rows, and gradients of rows that repeat, are left out', async () => {
    expect(await totalOf({ ops: ['softmax.jacobian'], classes: [3200] })).toBe(0);
    expect(await totalOf({ ops: ['softmax.jacobian'], classes: [10] })).toBe(11);
    expect(await totalOf({ ops: ['softmax.jacobian'], classes: [129] })).toBe(11);
    for (const name of ['logSoftmax', 'sigmoid', 'relu'] as const) {
      expect(await totalOf({ ops: [`${name}.jacobian`], classes: [129] })).toBe(0);
      expect(await totalOf({ ops: [`${name}.jacobian`], classes: [128] })).toBe(name === 'logSoftmax' ? 11 : 3);
    }
    expect(await totalOf({ ops: ['crossEntropy.gradient'], classes: [2 ** 18 + 2 ** 10] })).toBe(0);
    expect(await totalOf({ ops: ['logSumExp'], classes: [2 ** 18 + 2 ** 10] })).toBe(1);
    expect(await totalOf({ ops: ['logSumExp.gradient'], classes: [2 ** 18 + 2 ** 10] })).toBe(0);
  });

  test('of rows with more than 1000 classes, second derivatives and those that pass through others are measured on two kinds of logits', async () => {
    for (const [op, ofLong, ofShort] of [
      ['softmax.vjp', 5, 11],
      ['softmax.hvp', 2, 11],
      ['crossEntropy.gradient', 7, 23],
      ['crossEntropy.jvp', 4, 23],
      ['sigmoid.vjp', 3, 3],
      ['sigmoid.hvp', 2, 3],
    ] as const) {
      expect(await totalOf({ ops: [op], classes: [1001] })).toBe(ofLong);
      expect(await totalOf({ ops: [op], classes: [1000] })).toBe(ofShort);
    }
  });

  test('what is done is told by the number of results, not of inputs', async () => {
    const shares = [...(await askedOf({ ops: ['logSumExp', 'softmax.jacobian'], classes: [2, 100] })).values()];
    expect(shares).toHaveLength(44);
    expect(shares[22]).toBeLessThan(0.01);
    expect(shares[33]).toBeLessThan(0.02);
    expect((shares[34] ?? 0) - (shares[33] ?? 0)).toBeCloseTo(1 / 11, 2);
  });

  /** A competitor with these results. */
  const answering = (
    answer: (workload: { readonly shape: readonly [number, number] }) => readonly number[] | string,
    log: string[] = [],
  ): ContenderSource => ({
    name: 'answering',
    kind: 'peer',
    open: async () => ({
      ...((await naive.open()) as Contender),
      name: 'answering',
      prepare: async (workload) => {
        const answered = answer(workload);
        if (typeof answered === 'string') return answered;
        return {
          reused: null,
          allocating: null,
          endToEnd: () => {},
          result: async () => Float64Array.from(answered),
          dispose: () => void log.push('disposed'),
        };
      },
      close: async () => void log.push('closed'),
    }),
  });

  test.each<[string, readonly number[], number]>([
    ['a row that sums to 1', [0.25, 0.5, 0.25], 0],
    ['a row that is 3 ULP of 1 short', [0.25, 0.5, 0.25 - 3 * 2 ** -52], 3],
    ['a row that is 3 ULP of 1 too large', [0.25, 0.5 + 3 * 2 ** -52, 0.25], 3],
    ['a row whose plain sum rounds', [1, 2 ** 60, -(2 ** 60)], 0],
    ['a row whose plain sum rounds in another order', [2 ** 60, 1, -(2 ** 60)], 0],
    ['a row with NaN', [Number.NaN, 0, 1], Number.NaN],
  ])('%s', async (_, row, expected) => {
    const log: string[] = [];
    const { results } = await measureAccuracy({
      contenders: [answering(({ shape: [rows] }) => Array.from({ length: rows }, () => row).flat(), log)],
      dtypes: ['float64'],
      classes: [3],
      results: 6,
    });
    const asked = results.filter(({ worstUlp }) => worstUlp !== null);
    expect(asked).toHaveLength(6);
    for (const { worstRowSumUlp } of asked) expect(worstRowSumUlp).toBe(expected);
    expect(log).toEqual([...Array(6).fill('disposed'), 'closed']);
  });

  test('sums of rows are not reported for other ops, and a competitor that does not support an op has no numbers', async () => {
    const { results } = await measureAccuracy({
      contenders: [answering(() => 'not supported'), naive],
      ops: ['logSoftmax', 'softmax.vjp'],
      dtypes: ['float64'],
      classes: [3],
      results: 6,
    });
    for (const { contender, worstUlp, worstRowSumUlp, op, input } of results) {
      expect(worstRowSumUlp).toBeNull();
      const isMeasured = contender === 'naive' && op === 'logSoftmax' && !/T|masked/.test(input);
      expect(worstUlp !== null).toBe(isMeasured);
    }
  });

  /** The exact backend with other members, and the number of its buffers that have not been freed. */
  async function changed(more: Partial<Record<keyof Backend, unknown>>) {
    const backend = await exact.open();
    const count = { live: 0 };
    const counting = {
      alloc: (...operands: Parameters<Backend['alloc']>) => {
        count.live++;
        return backend.alloc(...operands);
      },
      free: (buffer: never) => {
        count.live--;
        backend.free(buffer);
      },
      ...more,
    };
    const made = new Proxy<Backend>(backend, {
      get: (target, key) => Reflect.get(Object.hasOwn(counting, key) ? counting : target, key, target),
    });
    const source: ContenderSource = {
      name: 'changed',
      kind: 'backend',
      open: async () => backendContender('changed', made),
    };
    return { source, count, backend };
  }

  test('operands and results are freed, also if an operation is not supported; other errors are thrown', async () => {
    const options = { dtypes: ['float64'], classes: [3], results: 6 } as const;
    const right = await changed({});
    await measureAccuracy({ contenders: [right.source], ...options });
    expect(right.count.live).toBe(0);
    const failing = (code: 'ERR_UNSUPPORTED' | 'ERR_VALUE') =>
      changed({
        softmax: () => {
          throw new SoftgradError(code, 'no');
        },
      });
    const unsupported = await failing('ERR_UNSUPPORTED');
    const { results } = await measureAccuracy({ contenders: [unsupported.source], ...options });
    expect(results.map(({ worstUlp, worstRowSumUlp }) => worstUlp ?? worstRowSumUlp)).toEqual(Array(11).fill(null));
    expect(unsupported.count.live).toBe(0);
    const broken = await failing('ERR_VALUE');
    await expect(measureAccuracy({ contenders: [broken.source], ...options })).rejects.toThrow('no');
    expect(broken.count.live).toBe(0);
  });

  test('a backend is not asked for a dtype, or for longer rows, than it announces', async () => {
    const { supports } = await exact.open();
    const limited = await changed({
      supports: { ...supports, dtypes: ['float32'], limits: { ...supports.limits, classes: 3 } },
      alloc: (length: number, dtype: string) => {
        if (dtype === 'float64' || length > 100) throw new Error('it was asked');
        return exactBuffer(length, dtype);
      },
    });
    const exactBuffer = (length: number, dtype: string) => limited.backend.alloc(length, dtype as never);
    const { results } = await measureAccuracy({ contenders: [limited.source], classes: [3, 4], results: 4 });
    const measured = results.filter(({ worstUlp }) => worstUlp !== null);
    expect(new Set(measured.map(({ dtype, classes }) => `${dtype} ${classes}`))).toEqual(new Set(['float32 3']));
    expect(measured).toHaveLength(11);
  });

  test('cancelling closes what is open', async () => {
    const log: string[] = [];
    const controller = new AbortController();
    const run = measureAccuracy(
      { contenders: [answering(() => 'no', log)], classes: [3], signal: controller.signal },
      () => controller.abort(new Error('enough')),
    );
    await expect(run).rejects.toThrow('enough');
    expect(log).toEqual(['closed']);
  });
});

test('the tables of given numbers', () => {
  const result = (
    op: AccuracyOpName,
    dtype: 'float32' | 'float64',
    contender: string,
    input: string,
    worstUlp: number | null,
    classes = 3,
  ): AccuracyResult => ({
    op,
    dtype,
    classes,
    input,
    contender,
    worstUlp,
    worstRowSumUlp: null,
  });
  const report: AccuracyReport = {
    schema: 'softgrad-accuracy/2',
    environment: {
      date: '',
      runtime: '',
      platform: '',
      processor: '',
      logicalProcessors: 1,
      crossOriginIsolated: true,
    },
    contenders: ['a', 'b', 'c'].map((name) => ({ name, description: '' })),
    unavailable: [],
    results: [
      result('softmax', 'float32', 'a', '±1', 0.5),
      result('softmax', 'float32', 'a', '±20', 1.25, 10),
      result('softmax', 'float32', 'b', '±1', 999.4),
      result('softmax', 'float32', 'b', '±20', null, 10),
      result('softmax', 'float64', 'a', '±1', 1000),
      result('softmax', 'float64', 'b', '±1', null),
      result('logSumExp', 'float32', 'a', '±1', 0),
      result('logSumExp', 'float32', 'a', '±20', Number.NaN),
      result('logSumExp', 'float32', 'a', '±80', 123456),
      result('logSumExp', 'float64', 'b', '±1', 2),
      result('logSumExp', 'float64', 'c', '±1', null),
    ],
  };
  expect(accuracyOverview(report)).toMatchObject({
    head: ['op', 'backend', 'float32', 'float64'],
    rows: [
      ['softmax', 'a', '1.3 (10 classes, ±20)', '1.0e+3 (3 classes, ±1)'],
      ['softmax', 'b', '1000 (3 classes, ±1)', 'not supported'],
      ['softmax', 'c', 'not supported', 'not supported'],
      ['logSumExp', 'a', 'NaN (3 classes, ±20)', 'not supported'],
      ['logSumExp', 'b', 'not supported', '2 (3 classes, ±1)'],
      ['logSumExp', 'c', 'not supported', 'not supported'],
    ],
  });
  expect([accuracySummary(report), ...accuracyTables(report)].map(markdownTable).join('\n')).toMatchInlineSnapshot(`
    "
    ### Largest error in ULP over all inputs

    | op | a float32 | a float64 | b float32 | b float64 |
    | --- | --- | --- | --- | --- |
    | softmax | 1.3 (10; ±20) | 1.0e+3 (3; ±1) | 1000 (3; ±1) |  |
    | logSumExp | NaN (3; ±20) |  |  | 2 (3; ±1) |

    - in brackets the classes of a row and the logits for which it was found

    ### softmax float32: largest error in ULP over results of at least 1e-30

    | classes | logits | a | b |
    | --- | --- | --- | --- |
    | 3 | ±1 | 0.5 | 1000 |
    | 10 | ±20 | 1.3 |  |

    - c: dtype or op not supported

    ### softmax float64: largest error in ULP over results of at least 1e-30

    | classes | logits | a |
    | --- | --- | --- |
    | 3 | ±1 | 1.0e+3 |

    - b: dtype or op not supported
    - c: dtype or op not supported

    ### logSumExp float32: largest error in ULP over results of at least 1e-30

    | classes | logits | a |
    | --- | --- | --- |
    | 3 | ±1 | 0 |
    | 3 | ±20 | NaN |
    | 3 | ±80 | 1.2e+5 |

    - b: dtype or op not supported
    - c: dtype or op not supported

    ### logSumExp float64: largest error in ULP over results of at least 1e-30

    | classes | logits | b |
    | --- | --- | --- |
    | 3 | ±1 | 2 |

    - a: dtype or op not supported
    - c: dtype or op not supported"
  `);
});
