import { expect, test } from 'vitest';
import { assertClose, assertSame } from '../conformance/check.js';
import { conformance, exact, mismatchOf, type TracedCall, traced } from '../conformance/index.js';
import { explaining } from '../conformance/sweep.js';
import { type Backend, crossEntropy, logSoftmax, softmax, tensor } from '../src/index.js';
import { MinimalBackend } from './minimal-backend.js';

function text(call: TracedCall): string {
  if (call.kind === 'kernel') return `${call.name}(${call.arguments})${call.declined ? ' declined' : ''}`;
  return `${call.kind} ${call.buffer} ${call.values.join(' ')}`;
}

test('the calls of a backend, its buffers in the order in which they are allocated', async () => {
  const { backend, calls, clear } = traced(new MinimalBackend());
  const x = tensor([[1, 1]], { backend });
  const s = softmax(x);
  await s.array();
  await softmax.vjp(s, [[1, 0]]).array();
  const parameters = '{ outer: 1, classes: 2, inner: 1 }';
  expect(calls.map(text)).toEqual([
    'write b1 1 1',
    `softmax(b2, b1, ${parameters}, { temperature: 1, mask: null })`,
    'read b2 0.5 0.5',
    'write b3 1 0',
    `vjp(b4, b2, b3, ${parameters}, { temperature: 1, mask: null })`,
    'read b4 0.25 -0.25',
  ]);
  clear();
  expect(calls).toEqual([]);
  expect(() => softmax(x, { temperature: 2 })).toThrow(/mine/);
  expect(calls.map(text)).toEqual([`softmax(b5, b1, ${parameters}, { temperature: 2, mask: null }) declined`]);
});

test('a comparison that fails has its numbers, also where the suite adds the cause', async () => {
  const failed = Promise.resolve().then(() => assertClose('softmax', [0.5], [0.25], [0]));
  const error = await explaining('the sum was taken twice', failed).catch((thrown: unknown) => thrown);
  expect((error as Error).message).toMatch(/softmax.*; the sum was taken twice$/s);
  expect(mismatchOf(error)).toMatchObject({ got: [0.5], expected: [0.25] });
});

test('recorded values do not change with the buffer or the host array', () => {
  const { backend, calls } = traced(new MinimalBackend());
  const host = Float32Array.of(1, 2);
  const buffer = backend.alloc(2, 'float32');
  backend.write(buffer, host);
  host.fill(0);
  expect(calls.map(text)).toEqual(['write b1 1 2']);
});

test('the basis and the kernels beyond the required three are recorded too', async () => {
  const { backend, calls } = traced(await exact.open());
  const { kernels, ...composed } = backend;
  const names = async (target: Backend) => {
    const before = calls.length;
    logSoftmax(tensor([1, 2], { backend: target }));
    return calls.slice(before).flatMap((call) => (call.kind === 'kernel' ? call.name : []));
  };
  expect(await names(backend)).toEqual(['logSoftmax']);
  expect(await names({ ...composed, closed: false })).toEqual(expect.arrayContaining(['reduce', 'binary', 'unary']));
  expect(calls.map(text).join('\n')).toMatch(/reduce\(b\d+, 'max', b\d+, \{ outer: 1, classes: 2, inner: 1 \}\)/);
  expect(calls.map(text).join('\n')).toMatch(/binary\(b\d+, 'sub', \{ buffer: b\d+, extent: \[1, 2, 1\] \}, /);
});

test('a mask and a target are shown with the members that kernels may use', async () => {
  const { backend, calls } = traced(await exact.open());
  crossEntropy(tensor([[1, 2, 3]], { backend }), [2], { mask: [[true, false, true]] });
  expect(calls.map(text).join('\n')).toMatch(
    /mask: \{ buffer: b\d+, outer: 1 \}, .*target: \{ kind: 'indices', buffer: b\d+ \}/,
  );
});

test('where the tolerance is no number, as in a row that the mask empties, the bound of a failed comparison is 0', async () => {
  const failed = Promise.resolve().then(() => assertClose('softmax', [0.5, 0.5], [0, 0], [Number.NaN, 1]));
  const error = await failed.catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ message: 'softmax: element 0 is 0.5, expected 0; 1 of 2 are wrong' });
  expect(mismatchOf(error)?.bound).toEqual(Float64Array.of(0, 1));
});

test('a backend that lacks a member still lacks it for the suite', async () => {
  const incomplete: Backend = Object.assign(new MinimalBackend(), { jacobian: undefined });
  const [first] = (await conformance(traced(incomplete).backend)).filter(({ skip }) => skip === null);
  await expect(first.run()).rejects.toThrow('the backend lacks jacobian');
});

test('a failed comparison keeps both arrays, the element that its message names, and how wrong each element is', () => {
  const errorOf = (action: () => void): unknown => {
    try {
      action();
    } catch (error) {
      return error;
    }
  };
  const values = { what: 'x', got: [0, 3, 9], expected: [0, 1, 2] };
  const close = errorOf(() => assertClose('x', values.got, values.expected, [1, 4, 2]));
  const found = { ...values, element: 2, bound: Float64Array.of(1, 4, 2), timesBound: Float64Array.of(0, 0.5, 3.5) };
  expect(mismatchOf(close)).toEqual(found);
  const same = errorOf(() => assertSame('x', values.got, values.expected));
  const [zero, infinite] = [new Float64Array(3), Number.POSITIVE_INFINITY];
  const different = Float64Array.of(0, infinite, infinite);
  expect(mismatchOf(same)).toEqual({ ...values, element: 1, bound: zero, timesBound: different });
  const unwritten = { what: 'x', got: [-7.25], expected: [1], element: 0 };
  expect(mismatchOf(errorOf(() => assertSame('x', unwritten.got, unwritten.expected)))).toMatchObject(unwritten);
  expect(mismatchOf(errorOf(() => assertClose('x', [-7.25], [1], [1])))).toMatchObject(unwritten);
  // A case of several combinations reports the first that failed as the cause.
  expect(mismatchOf(new Error('1 of 2 combinations', { cause: close }))).toBe(mismatchOf(close));
  expect(Object.keys(Object(close))).toEqual([]);
  expect(mismatchOf(new Error('x'))).toBeUndefined();
  expect(mismatchOf('x')).toBeUndefined();
});
