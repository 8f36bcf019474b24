import { type Backend, type HostArray, isSoftgradError, type Tensor, tensor } from '@softgrad/core';
import type { Contender } from '../contender.js';
import { type PlainOp, plainOps } from '../ops.js';
import { type BenchDType, type FloatArray, floatArray } from '../workloads.js';
import type { Case } from './case.js';
import { type AccuracyInput, smoothing } from './inputs.js';
import type { AccuracyOpName } from './ops/names.js';
import type { AccuracyCall, OperandName } from './ops/op.js';
import { accuracyOps } from './ops/table.js';
import type { Question } from './questions.js';

/** What a contender computed, and the output that it computed it from, if that is its own. */
interface Found {
  readonly result: HostArray;
  readonly output?: HostArray;
}

/** The contender's result, or null if it does not support the input. */
export async function resultOf(
  contender: Contender,
  { op, dtype, input }: Question,
  asked: Case,
): Promise<Found | null> {
  if (contender.backend) return resultOfBackend(contender.backend, op, asked, input, dtype);
  const plainOp = plainOps.find((known): known is PlainOp & AccuracyOpName => known === op);
  if (!plainOp || !input.plain || asked.repeats > 1) return null;
  const { logits, rows, target, directions } = asked;
  const workload = { op: plainOp, dtype, shape: [rows, input.classes] } as const;
  const job = await contender.prepare(workload, {
    logits,
    probabilities: logits,
    cotangent: directions,
    target,
    mask: null,
    targetProbabilities: null,
    weight: null,
  });
  if (typeof job === 'string') return null;
  try {
    return { result: await job.result() };
  } finally {
    await job.dispose();
  }
}

async function resultOfBackend(
  backend: Backend,
  op: AccuracyOpName,
  asked: Case,
  { classes, temperature, target }: AccuracyInput,
  dtype: BenchDType,
): Promise<Found | null> {
  if (!backend.supports.dtypes.includes(dtype) || backend.supports.limits.classes < classes) return null;
  const { rows, mask } = asked;
  const shape = [rows, classes];
  const options: AccuracyCall = {
    ...(temperature !== 1 && { temperature }),
    ...(mask && { mask: { data: mask, shape } }),
    ...(target === 'smoothed' && { labelSmoothing: smoothing }),
  };
  const made: Tensor[] = [];
  try {
    for (const name of accuracyOps[op].operands) made.push(upload(name, asked, shape, dtype, backend));
    const called = accuracyOps[op].call(made, options);
    if (!('output' in called)) return { result: await called.data().finally(() => called.dispose()) };
    made.push(called.output, called.result);
    return { result: await called.result.data(), output: await called.output.data() };
  } catch (error) {
    if (isSoftgradError(error) && error.code === 'ERR_UNSUPPORTED') return null;
    throw error;
  } finally {
    for (const one of made) one.dispose();
  }
}

/** An operand of an op on the backend. */
function upload(name: OperandName, asked: Case, shape: readonly number[], dtype: BenchDType, backend: Backend): Tensor {
  const { rows, repeats, target, rowCotangents } = asked;
  if (name === 'target' && asked.targetKind !== 'probabilities') return tensor(target, { shape: [rows], backend });
  if (name === 'rowCotangent') return tensor(rowCotangents, { shape: [rows], dtype, backend });
  return tensor(tiled(entriesOfOperand(name, asked), dtype, repeats), { shape, dtype, backend });
}

function entriesOfOperand(name: Exclude<OperandName, 'rowCotangent'>, asked: Case): FloatArray {
  switch (name) {
    case 'logits':
      return asked.logits;
    case 'direction':
      return asked.directions;
    case 'tangent':
      return asked.tangents;
    case 'target':
      return asked.softTarget;
    default:
      return asked.output(name);
  }
}

/** The numbers, `repeats` times: an input that repeats has one row. */
function tiled(values: FloatArray, dtype: BenchDType, repeats: number): FloatArray {
  if (repeats === 1) return values;
  const result = floatArray(dtype, values.length * repeats);
  for (let k = 0; k < repeats; k++) result.set(values, k * values.length);
  return result;
}
