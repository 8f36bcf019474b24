import { exact } from '@softgrad/core/conformance';
import { describe, expect, test } from 'vitest';
import { backendContender } from '../src/backend-contender.js';
import { outputChecker } from '../src/check.js';
import { benchOps, opsWithOptions, type PlainOp } from '../src/ops.js';
import { naive } from '../src/peers/naive.js';
import { inFloat64 } from '../src/sweep.js';
import { workloadInput } from '../src/workload-input.js';
import { benchDTypes, type Workload } from '../src/workloads.js';

const strict = { expUlp: { base: 1, slope: 0 }, subnormals: 'preserve' } as const;

async function rightOutput(workload: Workload) {
  const contender = backendContender('exact', await exact.open());
  const job = await contender.prepare(workload, workloadInput(workload));
  if (typeof job === 'string') throw new Error(job);
  return job.result();
}

const check = (workload: Workload, output: Float32Array | Float64Array) =>
  outputChecker(workload, workloadInput(workload))(strict, output);

describe.each(benchOps)('%s', (op) => {
  const workload: Workload = { op, shape: [60, 5], dtype: 'float32' };

  test.each(benchDTypes)('correct results in %s pass', async (dtype) => {
    const output = await rightOutput({ ...workload, dtype });
    const { ok, problem, rowsChecked, worstShareOfBound } = check({ ...workload, dtype }, output as Float32Array);
    expect(problem).toBeNull();
    expect(ok).toBe(true);
    expect(rowsChecked).toBe(24);
    // A product that is rounded once may use all of its bound.
    expect(worstShareOfBound).toBeLessThanOrEqual(1);
  });

  test('a mistake in any single element of any row is found', async () => {
    const output = (await rightOutput(workload)) as Float32Array;
    const checker = outputChecker(workload, workloadInput(workload));
    for (let k = 0; k < output.length; k++) {
      const wrong = output.slice();
      wrong[k] += 1e-3;
      const { ok, problem } = checker(strict, wrong);
      expect(ok).toBe(false);
      expect(problem).toMatch(/times the bound|^row \d+ \[\d+(, \d)?\] is .*; expected about/);
    }
  });

  test('a NaN in any row is found', async () => {
    const output = (await rightOutput(workload)) as Float32Array;
    const checker = outputChecker(workload, workloadInput(workload));
    for (let k = 0; k < output.length; k += 7) {
      const wrong = output.slice();
      wrong[k] = Number.NaN;
      expect(checker(strict, wrong).ok).toBe(false);
    }
  });
});

test.each(benchOps)('%s: an error is given as a share of its bound, and in ULP of the result', async (op) => {
  const shares = await Promise.all(
    benchDTypes.map(async (dtype) => {
      const workload: Workload = { op, shape: [3, 4], dtype };
      const contender = { ...strict, expUlp: { base: 2, slope: 0.5 } };
      const right = Float64Array.from(await rightOutput(workload));
      // A diagonal entry, a target and a probability above ½ among them.
      return [0, 1, 3, 5, 11].map((k) => {
        const wrong = right.map((value, at) => (at === k ? value + 2 ** (dtype === 'float32' ? -18 : -47) : value));
        const { worstShareOfBound, worstUlp } = outputChecker(workload, workloadInput(workload))(contender, wrong);
        return `${worstShareOfBound.toPrecision(3)} ${worstUlp.toPrecision(4)}`;
      });
    }),
  );
  expect(shares).toMatchSnapshot();
});

test.each(opsWithOptions)('%s: a contender that forgets the option is wrong', async (op) => {
  const workload: Workload = { op, shape: [60, 5], dtype: 'float32' };
  const input = workloadInput(workload);
  const contender = backendContender('exact', await exact.open());
  const [plain] = op.split(':') as [PlainOp];
  const { mask, weight, targetProbabilities, ...rest } = input;
  // Not an index that is ignored, and not that of a masked class.
  const target = rest.target.map((index) => Math.max(index, 0));
  const forgetful = { ...rest, target, mask: null, weight: null, targetProbabilities: null };
  const job = await contender.prepare({ ...workload, op: plain }, forgetful);
  if (typeof job === 'string') throw new Error(job);
  const { ok, problem } = outputChecker(workload, input)(contender, await job.result());
  // The probabilities of masked entries are 0, so that their products are as well.
  if (op === 'vjp:causalMask') expect(problem).toBeNull();
  else expect([ok, problem]).toEqual([false, expect.stringContaining('times the bound')]);
});

test('an ignored row that is not 0, and a mean that counts it, are wrong', async () => {
  const workload: Workload = { op: 'crossEntropy:ignoreIndex', shape: [60, 5], dtype: 'float32' };
  const right = await rightOutput(workload);
  const counted = (right as Float32Array).map((value) => value * (45 / 60));
  expect(check(workload, counted).ok).toBe(false);
  const notZero = (right as Float32Array).slice();
  notZero[15] = 1e-30;
  expect(check(workload, notZero).ok).toBe(false);
  expect(check(workload, right as Float32Array).ok).toBe(true);
});

test('results below 1e-30 have no error in ULP', () => {
  const workload: Workload = { op: 'softmax', shape: [2, 2], dtype: 'float64' };
  const input = { ...workloadInput(workload), logits: Float64Array.of(0, -72, 0, -66) };
  const check = outputChecker(workload, input);
  const right = inFloat64(workload, input, [0, 1]);
  const off = (at: number) =>
    check(
      strict,
      right.map((value, k) => (k === at ? value * (1 + 2 ** -50) : value)),
    ).worstUlp;
  expect(off(1)).toBeLessThan(1);
  expect(off(3)).toBeGreaterThan(2);
  expect(off(3)).toBeLessThan(9);
});

test.each([
  ['few rows', [5, 4], 5],
  ['many rows', [1000, 4], 24],
  ['long rows', [6, 2 ** 15], 4],
  ['rows so long that only the first and the last are compared', [3, 2 ** 16 + 1], 2],
] as const)('%s', async (_, shape, rowsChecked) => {
  const workload: Workload = { op: 'softmax', shape, dtype: 'float32' };
  const input = workloadInput(workload);
  expect(outputChecker(workload, input)(strict, input.probabilities)).toMatchObject({ rowsChecked, problem: null });
});

test('output of another length is wrong', () => {
  const { ok, problem } = check({ op: 'softmax', shape: [2, 3], dtype: 'float32' }, new Float32Array(5));
  expect(ok).toBe(false);
  expect(problem).toBe('5 results instead of 6');
});

test('naive loops are correct for every op in both dtypes', async () => {
  const contender = await naive.open();
  if (typeof contender === 'string') throw new Error(contender);
  for (const op of benchOps) {
    for (const dtype of benchDTypes) {
      const workload: Workload = { op, shape: [40, 12], dtype };
      const job = await contender.prepare(workload, workloadInput(workload));
      if (typeof job === 'string') throw new Error(job);
      expect(outputChecker(workload, workloadInput(workload))(contender, await job.result())).toMatchObject({
        problem: null,
      });
    }
  }
});

test('rows too long for the reference are compared with float64 loops', () => {
  const workload: Workload = { op: 'vjp', shape: [1, 2 ** 18 + 1], dtype: 'float32' };
  const input = workloadInput(workload);
  const check = outputChecker(workload, input);
  const output = new Float32Array(2 ** 18 + 1);
  let inner = 0;
  for (let c = 0; c < output.length; c++) inner += input.probabilities[c] * input.cotangent[c];
  for (let c = 0; c < output.length; c++) output[c] = input.probabilities[c] * (input.cotangent[c] - inner);
  expect(check(strict, output)).toMatchObject({ problem: null, rowsChecked: 1 });
  output[123456] *= 1.01;
  expect(check(strict, output).ok).toBe(false);
});
