import { beforeAll, expect, test } from 'vitest';
import { exact } from '../conformance/index.js';
import { scope, setBackend, softmax, type Tensor, tensor } from '../src/index.js';

beforeAll(async () => {
  await setBackend(exact);
});

test('scope disposes what it does not return', () => {
  let inner: Tensor | undefined;
  const outer = tensor([1, 2]);
  const s = scope(() => {
    inner = tensor([1, 2]);
    return softmax(inner);
  });
  expect([inner?.disposed, s.disposed, outer.disposed]).toEqual([true, false, false]);
});

test('scope keeps tensors in arrays, objects and maps', () => {
  const kept = scope(() => ({ list: [tensor([1])], map: new Map([['x', tensor([2])]]), n: 3 }));
  expect([kept.list[0].disposed, kept.map.get('x')?.disposed]).toEqual([false, false]);
});

test('scopes nest: what the inner one returns is the outer one’s', () => {
  let first: Tensor | undefined;
  let second: Tensor | undefined;
  scope(() => {
    first = scope(() => tensor([1]));
    second = scope(() => tensor([2]));
    expect(first.disposed).toBe(false);
    return second;
  });
  expect([first?.disposed, second?.disposed]).toEqual([true, false]);
});

test('scope disposes everything when the body throws', () => {
  let made: Tensor | undefined;
  expect(() =>
    scope(() => {
      made = tensor([1]);
      throw new Error('mine');
    }),
  ).toThrow('mine');
  expect(made?.disposed).toBe(true);
});

test('scope refuses an async body, and disposes what it made', () => {
  let made: Tensor | undefined;
  expect(() =>
    scope(async () => {
      made = tensor([1]);
    }),
  ).toThrow(expect.objectContaining({ code: 'ERR_VALUE' }));
  expect(made?.disposed).toBe(true);
});
