import { describe, expect, test } from 'vitest';
import { withoutKernels } from '../conformance/counted.js';
import { exact, reference, referenceCrossEntropy } from '../conformance/index.js';
import { layout } from '../conformance/inputs.js';
import { type Backend, crossEntropy, logSoftmax, logSumExp, softmax, type Tensor, tensor } from '../src/index.js';
import { type GoldenValue, goldenValues } from './golden-values.js';

type Result = { readonly values: ArrayLike<number>; readonly gradient?: ArrayLike<number> };

/** By the float64 reference alone. */
function byReference(golden: GoldenValue): Result {
  const { shape, axis, x, vector = [], mask = null, target } = golden;
  const rows = layout(shape, axis);
  const parameters = { mask };
  const { reduction = 'mean', labelSmoothing = 0, weight = null } = golden;
  switch (golden.operation) {
    case 'softmax':
      return { values: reference.softmax(x, rows, parameters) };
    case 'softmaxVjp':
      return { values: reference.softmaxVjp(reference.softmax(x, rows, parameters), vector, rows) };
    case 'logSoftmax':
      return { values: reference.logSoftmax(x, rows, parameters) };
    case 'logSoftmaxVjp':
      return {
        values: reference.logSoftmaxVjp(reference.logSoftmax(x, rows, parameters), vector, rows, parameters),
      };
    case 'logSumExp':
      return { values: reference.logSumExp(x, rows, parameters) };
    case 'logSumExpJvp':
      return { values: reference.logSumExpJvp(x, vector, rows, parameters) };
    case 'crossEntropy': {
      if (!target) throw new Error(`${golden.name} has no target`);
      const { loss, gradient } = referenceCrossEntropy(x, target, rows, { reduction, labelSmoothing, weight });
      return { values: loss, gradient };
    }
  }
}

/** By core's public functions, in float64. */
async function byCore(golden: GoldenValue, backend: Backend): Promise<Result> {
  const { shape, axis, target, reduction = 'mean', labelSmoothing = 0, weight } = golden;
  const float = (values: readonly number[]) => tensor(Float64Array.from(values), { shape, backend });
  const x = float(golden.x);
  const vector = float(golden.vector ?? golden.x.map(() => 0));
  const options = { axis, mask: golden.mask && { data: Uint8Array.from(golden.mask), shape } };
  const read = async (result: Tensor): Promise<Result> => ({ values: await result.data() });
  switch (golden.operation) {
    case 'softmax':
      return read(softmax(x, options));
    case 'softmaxVjp':
      return read(softmax.vjp(softmax(x, options), vector, { axis }));
    case 'logSoftmax':
      return read(logSoftmax(x, options));
    case 'logSoftmaxVjp':
      return read(logSoftmax.vjp(logSoftmax(x, options), vector, options));
    case 'logSumExp':
      return read(logSumExp(x, options));
    case 'logSumExpJvp':
      return read(logSumExp.jvp(x, vector, options));
    case 'crossEntropy': {
      if (!target) throw new Error(`${golden.name} has no target`);
      const labels =
        target.kind === 'indices' ? Int32Array.from(target.values) : { data: Float64Array.from(target.values), shape };
      const { loss, gradient } = crossEntropy(x, labels, { axis, reduction, labelSmoothing, weight });
      return { values: await loss.data(), gradient: await gradient.data() };
    }
  }
}

function expectPublished({ expected, gradient, rtol, atol }: GoldenValue, actual: Result): void {
  expectClose(actual.values, expected, rtol, atol);
  if (gradient) expectClose(actual.gradient ?? [], gradient, rtol, atol);
}

function expectClose(actual: ArrayLike<number>, expected: readonly number[], rtol: number, atol: number): void {
  expect(actual.length).toBe(expected.length);
  expected.forEach((value, i) => {
    if (!Number.isFinite(value)) expect(actual[i]).toBe(value);
    else expect(Math.abs(actual[i] - value)).toBeLessThanOrEqual(atol + rtol * Math.abs(value));
  });
}

describe('the reference equals published values', () => {
  test.for(goldenValues)('$source $path: $name', (golden) => {
    expectPublished(golden, byReference(golden));
  });
});

describe('core gives it, from fused kernels and composed', () => {
  test.for(goldenValues)('$source $path: $name', async (golden) => {
    const backend = await exact.open();
    expectPublished(golden, await byCore(golden, backend as Backend));
    // A basis has log but not log1p: compositions are accurate to an ULP of 1.
    const logarithm = golden.operation.startsWith('log') ? 2 ** -52 : 0;
    const loosened = { ...golden, atol: golden.atol + logarithm };
    expectPublished(loosened, await byCore(golden, withoutKernels(backend as Backend)));
  });
});
