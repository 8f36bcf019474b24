import { beforeAll, expect, test } from 'vitest';
import {
  crossEntropy,
  isSoftgradError,
  logSoftmax,
  logSumExp,
  relu,
  setBackend,
  sigmoid,
  softmax,
  softmin,
  tensor,
} from '../src/index.js';
import { minimal } from './minimal-backend.js';

// docs/write-a-backend.md names what works with the three kernels alone.
const float32 = { dtype: 'float32' } as const;
const probabilities = () => tensor([[0.25, 0.25, 0.5]], float32);
const logProbabilities = () => tensor([[Math.log(0.25), Math.log(0.25), Math.log(0.5)]], float32);
const x = () => tensor([[1, 2, 3]], float32);
const g = () => tensor([[1, 0, 2]], float32);
const ofRow = () => tensor([1], float32);

const calls = {
  softmax: () => softmax(x()),
  'softmax, temperature': () => softmax(x(), { temperature: 2 }),
  'softmax, mask': () => softmax(x(), { mask: [[true, true, false]] }),
  'softmax.vjp': () => softmax.vjp(probabilities(), g()),
  'softmax.jvp': () => softmax.jvp(probabilities(), g()),
  'softmax.jacobian': () => softmax.jacobian(probabilities()),
  'softmax.hvp': () => softmax.hvp(probabilities(), g(), g()),
  'softmax.doubleBackward': () => softmax.doubleBackward(probabilities(), g(), g()),
  'softmax.linearize.vjp': () => softmax.linearize(x()).vjp(g()),
  'softmax.linearize.jvp': () => softmax.linearize(x()).jvp(g()),
  'softmax.linearize.toDense': () => softmax.linearize(x()).toDense(),
  'softmax.linearize.diagonal': () => softmax.linearize(x()).diagonal(),
  softmin: () => softmin(x()),
  'softmin.vjp': () => softmin.vjp(probabilities(), g()),
  'softmin.jvp': () => softmin.jvp(probabilities(), g()),
  'softmin.jacobian': () => softmin.jacobian(probabilities()),
  'softmin.hvp': () => softmin.hvp(probabilities(), g(), g()),
  logSoftmax: () => logSoftmax(x()),
  'logSoftmax.vjp': () => logSoftmax.vjp(logProbabilities(), g()),
  'logSoftmax.jvp': () => logSoftmax.jvp(logProbabilities(), g()),
  'logSoftmax.jacobian': () => logSoftmax.jacobian(logProbabilities()),
  logSumExp: () => logSumExp(x()),
  'logSumExp.gradient': () => logSumExp.gradient(x()),
  'logSumExp.vjp': () => logSumExp.vjp(x(), ofRow()),
  'logSumExp.jvp': () => logSumExp.jvp(x(), g()),
  'logSumExp.hvp': () => logSumExp.hvp(x(), ofRow(), g()),
  crossEntropy: () => crossEntropy(x(), [1]).loss,
  'crossEntropy.loss': () => crossEntropy.loss(x(), [1]),
  'crossEntropy.gradient': () => crossEntropy.gradient(x(), [1]),
  'crossEntropy.hvp': () => crossEntropy.hvp(x(), [1], 1, g()),
  sigmoid: () => sigmoid(x()),
  'sigmoid.vjp': () => sigmoid.vjp(probabilities(), g()),
  'sigmoid.jacobian': () => sigmoid.jacobian(probabilities()),
  relu: () => relu(x()),
  'relu.vjp': () => relu.vjp(x(), g()),
  'relu.jacobian': () => relu.jacobian(x()),
};

beforeAll(async () => {
  await setBackend(minimal);
});

test('a backend of storage and three kernels computes this much of the operations, and for the rest ERR_UNSUPPORTED says that it has no basis', async () => {
  const working: string[] = [];
  for (const [name, call] of Object.entries(calls)) {
    try {
      const result = await call().data();
      expect(result.every(Number.isFinite), name).toBe(true);
      working.push(name);
    } catch (error) {
      expect(isSoftgradError(error) && [error.code, error.message], name).toEqual([
        'ERR_UNSUPPORTED',
        expect.stringContaining('basis (elementary operations) to compose it from'),
      ]);
    }
  }
  expect(working).toEqual([
    'softmax',
    'softmax.vjp',
    'softmax.jvp',
    'softmax.jacobian',
    'softmax.linearize.vjp',
    'softmax.linearize.jvp',
    'softmax.linearize.toDense',
    'softmin.vjp',
    'softmin.jvp',
    'softmin.jacobian',
    'logSumExp.gradient',
  ]);
});
