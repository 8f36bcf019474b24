import { beforeEach, describe, expect, test, vi } from 'vitest';
import { delegate } from '../conformance/delegate.js';
import { exact } from '../conformance/index.js';
import {
  type Backend,
  crossEntropy,
  empty,
  fromBuffer,
  getBackend,
  gradcheck,
  openShared,
  setBackend,
  softmax,
  type Tensor,
  tensor,
} from '../src/index.js';

/** An open backend whose allocations are counted, also those after it was closed. */
async function counting() {
  const allocated: unknown[] = [];
  const opened = (await exact.open()) as Backend;
  const backend = delegate(opened, {
    alloc(length, dtype) {
      const buffer = opened.alloc(length, dtype);
      allocated.push(buffer);
      return buffer;
    },
  });
  return { backend, allocated };
}

let here: Backend;
let x: Tensor;
beforeEach(async () => {
  here = (await exact.open()) as Backend;
  x = tensor([1, 2, 3], { backend: here });
});

describe('to a backend that is closed', () => {
  const closed = { code: 'ERR_DISPOSED', message: 'to: backend exact was closed; open it again' };

  test('before the call is refused, and nothing is allocated there', async () => {
    const { backend, allocated } = await counting();
    await backend.close();
    await expect(x.to(backend)).rejects.toMatchObject(closed);
    expect([allocated.length, x.disposed, await x.array()]).toEqual([0, false, [1, 2, 3]]);
  });

  test.each([
    ['floats', () => x],
    ['class indices, of which the host has a copy', () => tensor(Int32Array.of(1, 2, 3), { backend: here })],
    ['no elements', () => tensor([], { backend: here })],
  ])('while the data is read is refused, of %s', async (_what, make) => {
    const { backend, allocated } = await counting();
    const from = make();
    const values = await from.array();
    const moving = from.to(backend);
    await backend.close();
    await expect(moving).rejects.toMatchObject(closed);
    expect([allocated.length, from.disposed, await from.array()]).toEqual([0, false, values]);
  });

  test('while a slow read is pending is refused, and the tensor can be moved elsewhere', async () => {
    let finish = () => {};
    const reading = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const slow = delegate(here, { read: (buffer) => reading.then(() => here.read(buffer)) });
    const there = await counting();
    const y = tensor([1, 2, 3], { backend: slow });
    const moving = y.to(there.backend);
    await there.backend.close();
    finish();
    await expect(moving).rejects.toMatchObject(closed);
    expect(there.allocated).toEqual([]);
    expect(await (await y.to(here)).array()).toEqual([1, 2, 3]);
  });

  test('that is its own', async () => {
    const moving = x.to(here);
    await here.close();
    await expect(moving).rejects.toMatchObject(closed);
  });
});

test('every call on a closed backend is refused with ERR_DISPOSED, and says which backend it was', async () => {
  const target = tensor([0.5, 0.25, 0.25], { backend: here });
  const mask = tensor([true, false, true], { backend: here });
  const other = tensor([1, 2, 3], { backend: (await exact.open()) as Backend });
  const buffer = here.alloc(3, 'float32');
  await setBackend(here);
  await here.close();
  const calls: readonly (readonly [string, () => unknown])[] = [
    ['tensor', () => tensor([1], { backend: here })],
    ['tensor with out', () => tensor([1, 2, 3], { out: x })],
    ['empty', () => empty([1], { backend: here })],
    ['fromBuffer', () => fromBuffer(here, buffer, [3], 'float32')],
    ['data', () => x.data()],
    ['array', () => x.array()],
    ['dataSync', () => x.dataSync()],
    ['arraySync', () => mask.arraySync()],
    ['view', () => x.view()],
    ['softmax', () => softmax(x)],
    ['softmax.vjp', () => softmax.vjp([0.5, 0.25, 0.25], target)],
    ['softmax.linearize', () => softmax.linearize(x)],
    ['out', () => softmax([1, 2, 3], { out: x })],
    ['mask', () => softmax(other, { mask })],
    ['crossEntropy', () => crossEntropy(x, target)],
    ['the target', () => crossEntropy(other, target)],
    ['gradcheck', () => gradcheck(softmax, x)],
    ['getBackend', () => getBackend()],
    ['the default', () => tensor([1])],
  ];
  for (const [name, call] of calls) {
    await expect(Promise.resolve().then(call), name).rejects.toMatchObject({
      code: 'ERR_DISPOSED',
      message: expect.stringMatching(/\bexact\b.*\bwas closed/),
    });
  }
  for (const choose of [setBackend, openShared]) {
    await expect(choose(here)).rejects.toMatchObject({
      code: 'ERR_BACKEND_UNAVAILABLE',
      message: `${choose.name}: no backend can run here: exact: it was closed; open it again`,
    });
  }
  const log = vi.spyOn(console, 'log').mockImplementation(() => {});
  x.print();
  expect(log.mock.calls).toEqual([['Tensor (3,) float32 on exact, disposed']]);
  log.mockRestore();
  x.dispose();
});
