import { beforeAll, describe, expect, test } from 'vitest';
import { delegate } from '../conformance/delegate.js';
import {
  type Backend,
  crossEntropy,
  fromBuffer,
  gradcheck,
  type HostArray,
  setBackend,
  softmax,
  type Tensor,
  tensor,
} from '../src/index.js';
import { failure } from './failure.js';
import { minimal } from './minimal-backend.js';

// Arrays whose memory was transferred have length 0: the error names this cause, not a shape that does not fit.

let backend: Backend;
beforeAll(async () => {
  backend = await setBackend(minimal);
});

/** The array after its memory was sent elsewhere, as `postMessage` does with a transfer list. */
function transferred<A extends ArrayBufferView>(array: A): A {
  structuredClone(array.buffer, { transfer: [array.buffer as ArrayBuffer] });
  return array;
}

const rows = () => transferred(Float32Array.of(1, 2, 3, 4));
const bits = () => transferred(Uint8Array.of(1, 1, 0, 1));
const logits = [
  [1, 2],
  [3, 4],
];

describe('an array whose memory was transferred is an error that says so', () => {
  test.each<[what: string, where: string, call: () => unknown]>([
    ['flat', 'tensor', () => tensor(rows())],
    ['with the option shape', 'tensor', () => tensor(rows(), { shape: [2, 2] })],
    ['with a shape that it now fits', 'tensor', () => tensor(rows(), { shape: [0, 2] })],
    ['in another dtype', 'tensor', () => tensor(transferred(Float64Array.of(1)), { dtype: 'float32' })],
    ['as data with a shape', 'tensor', () => tensor({ data: rows(), shape: [2, 2] })],
    ['as data with strides', 'tensor', () => tensor({ data: rows(), shape: [2, 2], strides: [1, 2] })],
    [
      'as the bits of float16',
      'tensor',
      () => tensor({ data: transferred(new Uint16Array(4)), dims: [4], type: 'float16' }),
    ],
    ['as one of the rows', 'tensor', () => tensor([Float32Array.of(1, 2, 3, 4), rows()])],
    ['as every row', 'tensor', () => tensor([rows(), rows()])],
    ['written into a tensor', 'tensor', () => tensor(rows(), { out: tensor([1, 2, 3, 4]) })],
    ['as an operand', 'softmax: logits', () => softmax(rows())],
    [
      'as a cotangent with a shape',
      'softmax.vjp: cotangent',
      () => softmax.vjp(softmax(logits), { data: rows(), shape: [2, 2] }),
    ],
    ['as logits to linearize at', 'softmax.linearize: logits', () => softmax.linearize(rows())],
    ['as a mask', 'softmax: mask', () => softmax(logits, { mask: { data: bits(), shape: [2, 2] } })],
    [
      'as class indices',
      'crossEntropy.loss: target',
      () => crossEntropy.loss(logits, transferred(Int32Array.of(0, 1))),
    ],
    ['as probabilities', 'crossEntropy.loss: target', () => crossEntropy.loss(logits, { data: rows(), shape: [2, 2] })],
    [
      'as class weights',
      'crossEntropy.loss: weight',
      () => crossEntropy.loss(logits, [0, 1], { weight: transferred(Float32Array.of(1, 2)) }),
    ],
    ['as a buffer', 'fromBuffer', () => fromBuffer(backend, rows(), [2, 2], 'float32')],
  ])('%s', (_what, where, call) => {
    const [code, message] = failure(call);
    expect(code).toBe('ERR_DISPOSED');
    expect(message.startsWith(`${where}: the array was detached`), message).toBe(true);
  });

  test('also where a function that gradcheck calls returns one', async () => {
    const square = { name: 'square', forward: () => rows(), vjp: (x: Tensor) => x };
    await expect(gradcheck(square, tensor([1, 2, 3, 4]))).rejects.toThrow(
      'gradcheck: forward of square: the array was detached',
    );
  });

  test('also where the call itself takes the memory, as that of WebAssembly which grows', () => {
    const labels = Int32Array.of(0, 1);
    const growing = delegate(backend, {
      alloc(length, dtype) {
        if (dtype === 'int32') transferred(labels);
        return backend.alloc(length, dtype);
      },
    });
    const x = tensor([1, 2, 3, 4], { shape: [2, 2], backend: growing });
    const [code, message] = failure(() => crossEntropy(x, labels));
    expect(code).toBe('ERR_DISPOSED');
    expect(message.startsWith('crossEntropy: target: the array was detached'), message).toBe(true);
  });

  test('also where a resizable buffer is now too short for it', () => {
    // TypeScript's library has resizable buffers from ES2024 on.
    const buffer: ArrayBuffer & { resize(length: number): void } = Reflect.construct(ArrayBuffer, [
      16,
      { maxByteLength: 16 },
    ]);
    const [array, tracking] = [new Float32Array(buffer, 8, 2), new Float32Array(buffer)];
    expect(tensor(array).shape).toEqual([2]);
    buffer.resize(12);
    expect(failure(() => tensor(array))[0]).toBe('ERR_DISPOSED');
    // The array that follows the length of the buffer is only shorter.
    expect(tensor(tracking).shape).toEqual([3]);
    buffer.resize(0);
    expect(tensor(tracking).shape).toEqual([0]);
  });

  test('but an array without elements is none', () => {
    const shared = new SharedArrayBuffer(4);
    expect(tensor(new Float32Array(shared)).shape).toEqual([1]);
    expect(tensor(new Float32Array(shared, 4)).shape).toEqual([0]);
    expect(tensor(new Float32Array(0)).shape).toEqual([0]);
    expect(tensor({ data: new Float32Array(4).subarray(4), shape: [0, 2] }).shape).toEqual([0, 2]);
    expect(softmax(tensor([[]] as number[][])).shape).toEqual([1, 0]);
  });
});

describe('a tensor whose memory was transferred by its view is an error that says so', () => {
  let viewing: Backend;
  beforeAll(() => {
    viewing = delegate(backend, {
      view: (buffer) => buffer as HostArray,
      readSync: (buffer) => (buffer as HostArray).slice(),
    });
  });
  const lost = () => {
    const x = tensor([1, 2], { backend: viewing });
    transferred(x.view());
    return x;
  };
  const whole = () => tensor([1, 2], { backend: viewing });

  test.each<[what: string, call: () => unknown]>([
    ['softmax: logits', () => softmax(lost())],
    ['softmax: out', () => softmax(whole(), { out: lost() })],
    ['softmax.vjp: cotangent', () => softmax.vjp(softmax(whole()), lost())],
    ['tensor: out', () => tensor([3, 4], { out: lost() })],
    ['dataSync: the tensor', () => lost().dataSync()],
    ['view: the tensor', () => lost().view()],
  ])('%s', (where, call) => {
    expect(failure(call)).toEqual([
      'ERR_DISPOSED',
      `${where} (2,) was detached: its view() was transferred; transfer a copy, view().slice()`,
    ]);
  });

  test('its text says so, and it can be disposed', () => {
    const x = lost();
    expect(String(x)).toBe('Tensor (2,) float32 on mine, detached');
    x.dispose();
    expect(String(x)).toBe('Tensor (2,) float32 on mine, disposed');
  });
});
