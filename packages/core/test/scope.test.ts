import { beforeAll, expect, test } from 'vitest';
import { exact } from '../conformance/index.js';
import { scope, setBackend, softmax, type Tensor, tensor } from '../src/index.js';

beforeAll(async () => {
  await setBackend(exact);
});

test('scope disposes tensors that it does not return', () => {
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

test('scopes nest: tensors that the inner one returns belong to the outer one', () => {
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

test('an inner scope that throws leaves the scope around it as it was', () => {
  const made: Tensor[] = [];
  const kept = scope(() => {
    made.push(tensor([1]));
    expect(() =>
      scope(() => {
        made.push(tensor([2]));
        throw new Error('inner');
      }),
    ).toThrow('inner');
    expect(made.map(({ disposed }) => disposed)).toEqual([false, true]);
    made.push(tensor([3]));
    return tensor([4]);
  });
  expect(made.map(({ disposed }) => disposed)).toEqual([true, true, true]);
  expect(kept.disposed).toBe(false);
  const outside = tensor([5]);
  scope(() => tensor([6]));
  expect(outside.disposed).toBe(false);
});

test('scope looks into arrays, plain objects and the values of maps, however they refer to each other, and into nothing else', () => {
  class Holder {
    readonly held = tensor([3]);
  }
  const bare: Record<string, Tensor> = Object.create(null);
  const result = scope(() => {
    bare.x = tensor([1]);
    const cycle: Record<string, unknown> = { list: [[tensor([2])]], nothing: null, text: 'x', bare };
    cycle.itself = cycle;
    return { cycle, holder: new Holder(), set: new Set([tensor([4])]), key: new Map([[tensor([5]), 1]]) };
  });
  const [[inList]] = result.cycle.list as Tensor[][];
  expect([bare.x.disposed, inList.disposed]).toEqual([false, false]);
  const lost = [result.holder.held, ...result.set, ...result.key.keys()];
  expect(lost.map(({ disposed }) => disposed)).toEqual([true, true, true]);
});

test('a tensor from outside that a scope returns is not taken over by the scope around it', () => {
  const outside = tensor([1]);
  scope(() => {
    expect(scope(() => outside)).toBe(outside);
  });
  expect(outside.disposed).toBe(false);
});

test('scope says why it refuses an async body, and leaves no rejection unhandled', async () => {
  const unhandled: unknown[] = [];
  const note = (reason: unknown) => unhandled.push(reason);
  process.on('unhandledRejection', note);
  expect(() => scope(() => Promise.reject(new Error('lost')))).toThrow(
    'scope: the body must not be async; await results after the scope',
  );
  await new Promise(setImmediate);
  process.off('unhandledRejection', note);
  expect(unhandled).toEqual([]);
});
