import { runInNewContext } from 'node:vm';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { exact } from '../conformance/index.js';
import { keep, scope, setBackend, softmax, type Tensor, tensor } from '../src/index.js';

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

describe('a scope keeps the tensors of its result', () => {
  class Holder {
    readonly held = tensor([1]);
  }
  class Derived extends Holder {
    readonly later = tensor([1]);
    readonly holder = new Holder();
  }
  class Batch extends Array<Tensor> {
    labels = tensor([1]);
  }
  class Cache extends Map<string, Tensor> {
    override get [Symbol.toStringTag]() {
      return 'Cache';
    }
    readonly newest = tensor([1]);
  }
  const inRealm = (code: string) => runInNewContext(`(tensor) => (${code})`)(() => tensor([1]));

  test.each<readonly [string, () => unknown, (result: never) => readonly Tensor[]]>([
    ['the tensor itself', () => tensor([1]), (x: Tensor) => [x]],
    ['an array', () => [[tensor([1])], tensor([1])], ([[x], y]: [[Tensor], Tensor]) => [x, y]],
    [
      'an array with names',
      () => Object.assign([tensor([1])], { last: tensor([1]) }),
      (xs: Tensor[] & { last: Tensor }) => [xs[0], xs.last],
    ],
    ['a class of arrays', () => Batch.of(tensor([1])), (xs: Batch) => [xs[0], xs.labels]],
    ['an object', () => ({ loss: tensor([1]), n: 3, nothing: null }), ({ loss }: { loss: Tensor }) => [loss]],
    [
      'an object without a prototype',
      () => Object.assign(Object.create(null), { x: tensor([1]) }),
      ({ x }: { x: Tensor }) => [x],
    ],
    ['a symbol of an object', () => ({ [Symbol.for('x')]: tensor([1]) }), (x: never) => [x[Symbol.for('x')]]],
    [
      'a getter of an object',
      () => {
        const x = tensor([1]);
        return {
          get x() {
            return x;
          },
        };
      },
      ({ x }: { x: Tensor }) => [x],
    ],
    [
      'a property that is not enumerable',
      () => Object.defineProperty({}, 'x', { value: tensor([1]) }),
      ({ x }: { x: Tensor }) => [x],
    ],
    ['the values of a Map', () => new Map([['x', tensor([1])]]), (m: Map<string, Tensor>) => [...m.values()]],
    ['the keys of a Map', () => new Map([[tensor([1]), 'x']]), (m: Map<Tensor, string>) => [...m.keys()]],
    ['a Set', () => new Set([tensor([1]), [tensor([1])]]), (s: Set<Tensor>) => [...s].flat()],
    ['a class of Maps', () => new Cache([['x', tensor([1])]]), (m: Cache) => [...m.values(), m.newest]],
    [
      'instances of classes',
      () => ({ all: [new Derived()] }),
      ({ all: [x] }: { all: [Derived] }) => [x.held, x.later, x.holder.held],
    ],
    [
      'an instance that has a promise',
      () => Object.assign(new Holder(), { ready: Promise.resolve() }),
      ({ held }: Holder) => [held],
    ],
    ['the result of linearize', () => softmax.linearize([1, 2]), ({ value }: { value: Tensor }) => [value]],
    ['a property of a function', () => Object.assign(() => 1, { x: tensor([1]) }), ({ x }: { x: Tensor }) => [x]],
    [
      'a cycle',
      () => {
        const cycle: Record<string, unknown> = { x: tensor([1]) };
        return Object.assign(cycle, { cycle, list: [cycle] });
      },
      ({ x }: { x: Tensor }) => [x],
    ],
    ['an object of another realm', () => inRealm('{ x: tensor() }'), ({ x }: { x: Tensor }) => [x]],
    ['an array of another realm', () => inRealm('[tensor()]'), ([x]: [Tensor]) => [x]],
    ['a Map of another realm', () => inRealm('new Map([[1, tensor()]])'), (m: Map<number, Tensor>) => [...m.values()]],
    ['a Set of another realm', () => inRealm('new Set([tensor()])'), (s: Set<Tensor>) => [...s]],
    [
      'a polyfill of Map',
      () => {
        const x = tensor([1]);
        return new (class {
          get [Symbol.toStringTag]() {
            return 'Map';
          }
          forEach(visit: (value: Tensor, key: string) => void) {
            visit(x, 'x');
          }
        })();
      },
      (m: { forEach(visit: (x: Tensor) => void): void }) => {
        const all: Tensor[] = [];
        m.forEach((x) => void all.push(x));
        return all;
      },
    ],
    [
      'a list that is too long for recursion',
      () => {
        let list: readonly unknown[] = [tensor([1])];
        for (let k = 0; k < 1e5; k++) list = [list];
        return list;
      },
      (list: never) => {
        let inner: unknown = list;
        while (Array.isArray(inner)) inner = inner[0];
        return [inner as Tensor];
      },
    ],
  ])('in %s', (_what, body, tensorsOf) => {
    let other: Tensor | undefined;
    const result = scope(() => {
      other = tensor([1]);
      return body();
    });
    const tensors = tensorsOf(result as never);
    expect(tensors.length).toBeGreaterThan(0);
    expect(tensors.map(({ disposed }) => disposed)).toEqual(tensors.map(() => false));
    expect(other?.disposed).toBe(true);
  });

  test('and looks into neither typed arrays nor getters of classes', () => {
    let calls = 0;
    const typed = Float32Array.of(1);
    const listed = vi.spyOn(Reflect, 'ownKeys');
    class Lazy {
      get x() {
        calls++;
        return tensor([1]);
      }
    }
    const own = Object.defineProperty(new Lazy(), 'y', { get: () => calls++, enumerable: true });
    scope(() => [typed, own]);
    const objects = listed.mock.calls.map(([object]) => object);
    listed.mockRestore();
    expect([calls, objects]).toEqual([0, [own]]);
  });
});

/** Which cannot be searched. */
class Private {
  readonly #held: Tensor;
  constructor(held: Tensor) {
    this.#held = held;
  }
  read(): Promise<unknown> {
    return softmax(this.#held).array();
  }
}

test('a tensor that only a private field or a closure refers to is disposed, and its use says that the scope did it', () => {
  const field = scope(() => new Private(tensor([1])));
  const closure = scope(() => {
    const x = tensor([[1]]);
    return () => softmax(x);
  });
  const message = (shape: string) =>
    `softmax: logits ${shape} was disposed at the end of its scope: return it from the scope, or call keep with it`;
  expect(() => field.read()).toThrow(expect.objectContaining({ code: 'ERR_DISPOSED', message: message('(1,)') }));
  expect(() => closure()).toThrow(message('(1, 1)'));
});

test('one that was disposed before the end of its scope says nothing of it, then or later', () => {
  const x = scope(() => {
    const inner = tensor([1]);
    inner.dispose();
    return [() => inner];
  })[0]();
  x.dispose();
  expect(() => x.dataSync()).toThrow(/^dataSync: the tensor \(1,\) was disposed$/);
});

describe('keep', () => {
  test('takes a tensor, or all in a value, out of every open scope, whichever it was made in', async () => {
    let field: Private | undefined;
    const made: Tensor[] = [];
    scope(() => {
      const outer = tensor([1]);
      made.push(outer);
      scope(() => {
        field = new Private(keep(tensor([0])));
        const both = { x: tensor([2]), list: [tensor([3])] };
        made.push(both.x, ...both.list, tensor([4]));
        expect(keep(both)).toBe(both);
        keep(outer);
      });
    });
    expect(await field?.read()).toEqual([1]);
    expect(made.map(({ disposed }) => disposed)).toEqual([false, false, false, true]);
  });

  test('keeps it also if the body throws, or returns it to the scope around', () => {
    const made: Tensor[] = [];
    expect(() =>
      scope(() => {
        made.push(keep(tensor([1])));
        throw new Error('mine');
      }),
    ).toThrow('mine');
    scope(() => {
      made.push(scope(() => keep(tensor([1]))));
    });
    expect(made.map(({ disposed }) => disposed)).toEqual([false, false]);
  });

  test('does nothing outside of scopes, and refuses a promise', () => {
    const x = tensor([1]);
    expect(keep(x)).toBe(x);
    expect(x.disposed).toBe(false);
    expect(() => keep(Promise.resolve(x))).toThrow('keep: the value is a promise: the body');
  });
});

test('a tensor from outside that a scope returns is not taken over by the scope around it', () => {
  const outside = tensor([1]);
  scope(() => {
    expect(scope(() => outside)).toBe(outside);
  });
  expect(outside.disposed).toBe(false);
});

const promised = 'a promise: the body must not be async; await results after the scope';
const iterated =
  'an iterator, whose values are made after the scope; if it is called values, return Array.from(values)';

test.each<readonly [string, () => unknown, string]>([
  ['a promise', () => Promise.resolve(), `is ${promised}`],
  ['a promise of another realm', () => runInNewContext('Promise.resolve()'), `is ${promised}`],
  // biome-ignore lint/suspicious/noThenProperty: what is refused
  ['a thenable', () => ({ then() {} }), `is ${promised}`],
  // biome-ignore lint/suspicious/noThenProperty: what is refused
  ['a function with then', () => Object.assign(() => {}, { then() {} }), `is ${promised}`],
  [
    'an instance of a class of thenables',
    () =>
      new (class Query {
        // biome-ignore lint/suspicious/noThenProperty: what is refused
        then() {}
      })(),
    `is ${promised}`,
  ],
  ['promises in an array', () => [[tensor([1]).data()]], `contains ${promised}`],
  ['a promise in an object', () => ({ loss: tensor([1]).array() }), `contains ${promised}`],
  ['a promise in a Map', () => new Map([[1, Promise.resolve()]]), `contains ${promised}`],
  [
    'a generator',
    function* () {
      yield tensor([1]);
    },
    `is ${iterated}`,
  ],
  [
    'an async generator',
    async function* () {
      yield tensor([1]);
    },
    `is ${iterated}`,
  ],
  ['an iterator of a Set', () => [new Set([tensor([1])]).values()], `contains ${iterated}`],
])('scope refuses %s, and disposes what it made', (_what, body, message) => {
  let made: Tensor | undefined;
  expect(() =>
    scope(() => {
      made = tensor([1]);
      return body();
    }),
  ).toThrow(expect.objectContaining({ code: 'ERR_VALUE', message: `scope: the result ${message}` }));
  expect(made?.disposed).toBe(true);
});

const lostView =
  'scope: the result contains the view() of a tensor that the scope disposes; return dataSync(), a copy, or the tensor';

test.each<readonly [string, (x: Tensor) => unknown]>([
  ['itself', (x) => x.view()],
  ['in an object', (x) => ({ values: x.view() })],
  ['a part of it', (x) => [x.view().subarray(1)]],
  ['the bytes of its end', (x) => new DataView(x.view().buffer, x.view().byteOffset + 15, 1)],
])('scope refuses the view of a tensor that it disposes: %s', (_what, body) => {
  let made: Tensor | undefined;
  const returned = () =>
    scope(() => {
      made = tensor([1, 2], { dtype: 'float64' });
      return body(made);
    });
  expect(returned).toThrow(expect.objectContaining({ code: 'ERR_VALUE', message: lostView }));
  expect(made?.disposed).toBe(true);
});

test('a scope that refuses a view disposes the tensors beside it in the result, too, whichever was made first', () => {
  const made: Tensor[] = [];
  const outside = tensor([5]);
  const released: Tensor[] = [];
  const returned = () =>
    scope(() => {
      const before = tensor([1, 2]);
      const own = softmax(before);
      const after = tensor([3]);
      made.push(before, own, after);
      released.push(keep(tensor([4])));
      return { before, view: own.view(), after, outside, released: released[0] };
    });
  expect(returned).toThrow(lostView);
  expect([...made, outside, ...released].map(({ disposed }) => disposed)).toEqual([true, true, true, false, false]);
});

test('scope returns copies, views of tensors that live on, and other memory', () => {
  const outer = tensor([1, 2], { dtype: 'float64' });
  const memory = new Float64Array(8);
  const result = scope(() => {
    const inner = tensor([3, 4], { dtype: 'float64' });
    const view = inner.view();
    memory.set(view, 2);
    const s = softmax(inner);
    keep(s);
    return { copy: inner.dataSync(), outer: outer.view(), kept: s.view(), memory, empty: view.subarray(2) };
  });
  expect([...result.copy, ...result.outer]).toEqual([3, 4, 1, 2]);
  const both = scope(() => {
    const x = tensor([5, 6]);
    return { x, view: x.view() };
  });
  expect([...both.view]).toEqual([5, 6]);
});

test('a scope whose body throws says what it threw', () => {
  expect(() =>
    scope(() => {
      tensor([1]).view();
      throw new Error('its own');
    }),
  ).toThrow('its own');
});

test('a `then` that is refused is not called, and a `next` alone makes no iterator', () => {
  let calls = 0;
  // biome-ignore lint/suspicious/noThenProperty: what is refused
  expect(() => scope(() => ({ then: () => calls++ }))).toThrow('a promise');
  // biome-ignore lint/suspicious/noThenProperty: a number
  const node = scope(() => ({ next: () => 1, then: 1, x: tensor([1]) }));
  expect([calls, node.x.disposed]).toEqual([0, false]);
});

test('a refused promise that rejects leaves no rejection unhandled', async () => {
  const unhandled: unknown[] = [];
  const note = (reason: unknown) => unhandled.push(reason);
  process.on('unhandledRejection', note);
  const bodies = [
    () => Promise.reject(new Error('lost')),
    () => [Promise.reject(new Error('lost'))],
    () => runInNewContext('Promise.reject(1)'),
  ];
  for (const body of bodies) expect(() => scope(body)).toThrow('await results after the scope');
  await new Promise(setImmediate);
  process.off('unhandledRejection', note);
  expect(unhandled).toEqual([]);
});
