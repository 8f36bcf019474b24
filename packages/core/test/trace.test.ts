import { beforeAll, expect, test } from 'vitest';
import { exact } from '../conformance/index.js';
import {
  crossEntropy,
  openShared,
  scope,
  setBackend,
  softmax,
  type TensorGroup,
  tensor,
  traceTensors,
} from '../src/index.js';

beforeAll(async () => {
  await setBackend(exact);
});

const counted = (groups: readonly TensorGroup[]) =>
  groups.map(({ count, bytes, shape, dtype, backend }) => ({ count, bytes, shape: shape.join(), dtype, backend }));

test('a trace lists the tensors that a loop forgets, by the place where they were made, the most bytes first', () => {
  const early = tensor([[9, 9]]);
  const trace = traceTensors();
  for (let step = 0; step < 3; step++) softmax(tensor([[1, 2]], { dtype: 'float64' })).dispose();
  const forgotten = () => tensor([[1, 2]], { dtype: 'float64' });
  for (let step = 0; step < 5; step++) forgotten();
  const { loss, gradient } = crossEntropy(early, [0]);
  const backend = loss.backend.name;
  expect(counted(trace.live())).toEqual([
    { count: 5, bytes: 80, shape: '1,2', dtype: 'float64', backend },
    { count: 3, bytes: 48, shape: '1,2', dtype: 'float64', backend },
    { count: 1, bytes: 8, shape: '1,2', dtype: 'float32', backend },
    { count: 1, bytes: 4, shape: '', dtype: 'float32', backend },
  ]);
  loss.dispose();
  gradient.dispose();
  expect(counted(trace.live()).length).toBe(2);
  trace.stop();
  expect(trace.live()).toEqual([]);
});

test('the stack of a group has the line that made its tensors, below the functions of core alone', () => {
  const trace = traceTensors();
  const namedPlace = () => tensor([1, 2]);
  namedPlace();
  const lines = trace.live()[0].stack.split('\n');
  trace.stop();
  const at = lines.findIndex((line) => /namedPlace.*trace\.test\.ts/.test(line));
  expect(at).toBeGreaterThan(0);
  for (const line of lines.slice(0, at)) expect(line).toMatch(/^at .*\/core\/(?:src|dist)\//);
});

test.each<readonly [string, () => unknown]>([
  ['tensor', () => tensor([[1, 2]])],
  ['softmax of arrays', () => softmax([[1, 2]])],
  ['vjp of arrays', () => softmax.vjp([[0.5, 0.5]], [[1, 2]])],
  ['linearize', () => softmax.linearize([[1, 2]])],
  ['the diagonal', () => softmax.linearize([[1, 2]]).diagonal()],
  ['crossEntropy', () => crossEntropy([[1, 2]], [[0.5, 0.5]], { mask: [[true, true]], weight: [1, 2] })],
  ['crossEntropy.hvp', () => crossEntropy.hvp([[1, 2]], [0], 1, [[1, 2]], { mask: [[true, true]], weight: [1, 2] })],
])('%s has the place of its caller, whatever calls of core are below it and however few an error keeps', (_, call) => {
  const { stackTraceLimit } = Error;
  const onePlace = () => call();
  const another = () => call();
  const trace = traceTensors();
  try {
    for (const limit of [4, 10]) {
      Error.stackTraceLimit = limit;
      onePlace();
      another();
      expect(Error.stackTraceLimit).toBe(limit);
    }
    const stacks = trace.live().map(({ stack }) => stack);
    const of = (place: string) => stacks.filter((stack) => stack.includes(place)).length;
    expect(of('onePlace')).toBeGreaterThan(0);
    expect([of('onePlace') * 2, of('another') * 2]).toEqual([stacks.length, stacks.length]);
    expect(stacks[0].split('\n')[0]).toContain('track');
  } finally {
    trace.stop();
    Error.stackTraceLimit = stackTraceLimit;
  }
});

test('tensors that a scope returns keep the place where they were made', () => {
  const trace = traceTensors();
  const makesOne = () => tensor([1, 2]);
  const kept = scope(() => {
    softmax(tensor([3, 4]));
    return makesOne();
  });
  const [group, ...others] = trace.live();
  trace.stop();
  expect(others).toEqual([]);
  expect(group.count).toBe(1);
  expect(group.stack).toContain('makesOne');
  kept.dispose();
});

test('tensors of a backend that was closed are not alive', async () => {
  const trace = traceTensors();
  const backend = await openShared(exact);
  tensor([1], { backend });
  expect(trace.live().length).toBe(1);
  await backend.close();
  expect(trace.live()).toEqual([]);
  trace.stop();
  await setBackend(exact);
});

test('there is one trace at a time; after its end nothing is recorded', () => {
  const trace = traceTensors();
  expect(() => traceTensors()).toThrow(
    expect.objectContaining({
      code: 'ERR_VALUE',
      message: 'traceTensors: an earlier trace is running; stop() it first',
    }),
  );
  trace.stop();
  trace.stop();
  const second = traceTensors();
  trace.stop();
  tensor([1]);
  expect(second.live().length).toBe(1);
  second.stop();
  tensor([1]);
  expect(second.live()).toEqual([]);
});
