import { inspect } from 'node:util';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { delegate } from '../conformance/delegate.js';
import { exact } from '../conformance/index.js';
import {
  type Backend,
  type BackendProvider,
  getBackend,
  loadProvider,
  openShared,
  register,
  registered,
  type SyncProvider,
  setBackend,
  softmax,
  type Tensor,
  tensor,
} from '../src/index.js';
import { MinimalBackend, minimal } from './minimal-backend.js';

const broken: BackendProvider = {
  name: 'broken',
  unavailable: async () => 'no such device; buy one',
  open: () => Promise.reject(new Error('not reached')),
};

test('a provider of JavaScript that forgets to return null can run', async () => {
  const forgetful = { ...minimal, unavailable: async () => undefined as never };
  expect((await openShared(broken, forgetful)).name).toBe('mine');
});

test('there is no backend before setBackend', async () => {
  // Other test files may have chosen one in the module that this file has imported.
  vi.resetModules();
  const afresh = await import('../src/index.js');
  expect(() => afresh.getBackend()).toThrow(expect.objectContaining({ code: 'ERR_BACKEND_UNAVAILABLE' }));
});

describe('a default backend', () => {
  const ready: SyncProvider = {
    name: 'ready',
    unavailable: async () => null,
    open: async () => ready.openSync(),
    openSync: () => new MinimalBackend(),
  };

  /** Core as it is before any choice. */
  async function loadAfresh() {
    vi.resetModules();
    const core = await import('../src/index.js');
    core.setDefaultBackend(ready);
    return core;
  }

  test('is where new tensors go without any waiting, until another is chosen', async () => {
    const core = await loadAfresh();
    const x = core.tensor([1, 2]);
    expect([x.backend.name, core.tensor([3]).backend === x.backend]).toEqual(['mine', true]);
    const chosen = await core.setBackend(exact);
    expect(core.tensor([1]).backend).toBe(chosen);
  });

  test('is the one that setBackend gives for its provider, opened before or not', async () => {
    const core = await loadAfresh();
    const opening = core.setBackend(ready);
    const meanwhile = core.getBackend();
    expect(await opening).toBe(meanwhile);
    expect(await core.setBackend(exact, ready)).not.toBe(meanwhile);
    expect(await core.setBackend(ready)).toBe(meanwhile);
    core.setDefaultBackend(ready);
    expect(await core.setBackend(ready)).toBe(meanwhile);
  });

  test('is opened anew where it was closed before anybody chose it; a choice stays closed', async () => {
    const core = await loadAfresh();
    const first = core.getBackend();
    first.close();
    const second = core.getBackend();
    expect([second === first, second.closed]).toEqual([false, false]);
    await core.setBackend(ready);
    second.close();
    expect(() => core.getBackend()).toThrow(expect.objectContaining({ code: 'ERR_DISPOSED' }));
    expect(await core.setBackend(ready)).not.toBe(second);
  });
});

describe('a shared backend', () => {
  test('is one backend for concurrent calls, by name or by provider, and for setBackend', async () => {
    let opens = 0;
    const slow: BackendProvider = {
      name: 'slow',
      unavailable: async () => null,
      async open() {
        opens++;
        await new Promise((resolve) => setTimeout(resolve, 0));
        return new MinimalBackend();
      },
    };
    register('slow', async () => ({ default: slow }));
    const asked = await Promise.all([openShared('slow'), openShared('slow'), openShared(broken, slow)]);
    expect([new Set(asked).size, opens]).toEqual([1, 1]);
    expect(await setBackend('slow')).toBe(asked[0]);
    asked[0].close();
    const again = await openShared('slow');
    expect([again.closed, opens]).toEqual([false, 2]);
  });

  test('is not the one for new tensors', async () => {
    const chosen = await setBackend(exact);
    expect(await openShared(new MinimalBackend())).not.toBe(chosen);
    expect(getBackend()).toBe(chosen);
  });

  test('is an error with every reason if none can run', async () => {
    register('removed', () => Promise.reject(new Error('no file')));
    await expect(openShared(broken, 'removed')).rejects.toMatchObject({
      code: 'ERR_BACKEND_UNAVAILABLE',
      message: expect.stringMatching(/^openShared: .*broken: no such device; buy one.*'removed' did not load: no file/),
    });
    await expect(openShared({} as BackendProvider)).rejects.toMatchObject({
      code: 'ERR_VALUE',
      message: expect.stringMatching(/^openShared: a candidate is /),
    });
  });
});

test('setBackend takes the first candidate that can run', async () => {
  const chosen = await setBackend(broken, exact);
  expect(chosen.name).toBe('exact');
  expect(getBackend()).toBe(chosen);
});

test('setBackend names every reason if none can run, and keeps the previous choice', async () => {
  const before = await setBackend(exact);
  register('removed', () => Promise.reject(new Error('no file')));
  await expect(setBackend(broken, 'removed')).rejects.toMatchObject({
    code: 'ERR_BACKEND_UNAVAILABLE',
    message: expect.stringMatching(/broken: no such device; buy one.*'removed' did not load: no file/),
  });
  expect(getBackend()).toBe(before);
});

test('a name that is not registered is refused even if another candidate can run', async () => {
  register('known', async () => ({ default: exact }));
  for (const candidates of [
    ['knwon', exact],
    [exact, 'knwon'],
  ]) {
    await expect(setBackend(...candidates)).rejects.toMatchObject({
      code: 'ERR_BACKEND_UNAVAILABLE',
      message: expect.stringMatching(
        /^setBackend: no backend is named 'knwon' \(did you mean 'known'\?\): known are .*known/,
      ),
    });
  }
  await expect(setBackend('known:threads=2', exact)).rejects.toThrow(
    "setBackend: no backend is named 'known:threads=2' (did you mean 'known'?): options are for a provider's open",
  );
});

test.each([
  ['WASM', 'wasm'],
  ['wasm.js', 'wasm'],
  ['gpu.js', 'gpujs'],
  ['web-gpu', 'webgpu'],
  ['webgl', 'webgpu'],
  ['wsam', 'wasm'],
  ['wams', 'wasm'],
  ['awsm', 'wasm'],
])('the name %s has a similar one, %s', async (given, meant) => {
  for (const name of ['wasm', 'webgpu', 'gpujs']) register(name, async () => ({ default: exact }));
  for (const choose of [setBackend, openShared]) {
    await expect(choose(given)).rejects.toMatchObject({
      code: 'ERR_BACKEND_UNAVAILABLE',
      message: expect.stringContaining(`: no backend is named '${given}' (did you mean '${meant}'?): known are `),
    });
  }
});

test('an opened backend is a candidate until it is closed', async () => {
  const opened = await exact.open();
  expect(await setBackend(opened)).toBe(opened);
  await opened.close();
  await expect(setBackend(opened)).rejects.toMatchObject({ code: 'ERR_BACKEND_UNAVAILABLE' });
  expect(() => getBackend()).toThrow(expect.objectContaining({ code: 'ERR_DISPOSED' }));
});

test('registered names load when they are asked for', async () => {
  let loads = 0;
  register('lazy', async () => {
    loads++;
    return { default: exact as BackendProvider };
  });
  expect([registered().includes('lazy'), loads]).toEqual([true, 0]);
  expect((await setBackend('lazy')).name).toBe('exact');
  expect(loads).toBe(1);
});

test('a package that does not load says why', async () => {
  register('missing', () => Promise.reject(new Error('Cannot find package')));
  await expect(loadProvider('missing')).rejects.toMatchObject({
    code: 'ERR_BACKEND_UNAVAILABLE',
    message: expect.stringContaining('Cannot find package'),
  });
});

test('two backends serve side by side, and do not mix', async () => {
  const [a, b] = [await exact.open(), await exact.open()] as [Backend, Backend];
  const [x, y] = [tensor([1, 2], { backend: a }), tensor([1, 2], { backend: b })];
  expect([softmax(x).backend, softmax(y).backend]).toEqual([a, b]);
  expect(() => softmax.vjp(softmax(x), y)).toThrow(
    expect.objectContaining({ code: 'ERR_BACKEND_MISMATCH', message: expect.stringContaining('x.to(backend)') }),
  );
});

test('an operation that a backend lacks names those that have it', async () => {
  const whole = await exact.open();
  tensor([1], { backend: whole as Backend });
  const bare = delegate((await minimal.open()) as Backend, { name: 'bare' });
  const x = tensor([1, 2], { backend: bare });
  expect((await softmax(x).array()) as number[]).toHaveLength(2);
  expect(() => softmax(x, { temperature: 2 })).toThrow(
    expect.objectContaining({
      code: 'ERR_UNSUPPORTED',
      message: expect.stringMatching(
        /softmax: bare has no basis \(elementary operations\) to compose it from, and its softmax does not take this axis, temperature or mask;.*exact/,
      ),
    }),
  );
});

describe('a backend is printed in one line', () => {
  const line = 'Backend mine: float32 on plain JavaScript';

  test('once core knows it, without a property that is listed', async () => {
    const own = new MinimalBackend();
    const keys = Reflect.ownKeys(own).length;
    const before = Object.keys(own);
    expect(inspect(own)).toContain('closed');
    tensor([1], { backend: own });
    expect([inspect(own), String(own), inspect({ own })]).toEqual([line, line, `{ own: ${line} }`]);
    expect(Object.keys(own)).toEqual(before);
    expect(Reflect.ownKeys(own).length).toBe(keys + 2);
    own.close();
    expect(inspect(own)).toBe(`${line}, closed`);
    const exactly = await exact.open();
    tensor([1], { backend: exactly });
    expect(inspect(exactly)).toMatch(/^Backend exact: float\d+, float\d+/);
  });

  test('as setBackend, openShared and a default give it', async () => {
    expect(inspect(await setBackend(minimal))).toBe(line);
    expect(inspect(await openShared({ ...minimal }))).toBe(line);
    vi.resetModules();
    const afresh = await import('../src/index.js');
    afresh.setDefaultBackend({ ...minimal, openSync: () => new MinimalBackend() });
    expect(inspect(afresh.getBackend())).toBe(line);
  });

  test('unless it has a form of its own, or is frozen', async () => {
    const plain = delegate(new MinimalBackend(), {});
    const own = Object.assign(plain, { toString: () => 'my text', [inspect.custom]: () => 'my form' });
    tensor([1], { backend: own });
    expect([String(own), inspect(own)]).toEqual(['my text', 'my form']);
    const frozen = Object.freeze(delegate(new MinimalBackend(), {}));
    tensor([1], { backend: frozen });
    expect(inspect(frozen)).toContain('alloc: [Function: alloc]');
  });
});

test('without WeakRef everything works; an error then names no open backend, but those that are registered', async () => {
  vi.stubGlobal('WeakRef', undefined);
  vi.resetModules();
  try {
    const { register, softmax, tensor } = await import('../src/index.js');
    tensor([1], { backend: (await exact.open()) as Backend });
    const bare = delegate((await minimal.open()) as Backend, { name: 'bare' });
    const x = tensor([1, 2], { backend: bare });
    expect((await softmax(x).array()) as number[]).toHaveLength(2);
    const refused = (ending: string) =>
      expect(() => softmax(x, { temperature: 2 })).toThrow(
        expect.objectContaining({
          code: 'ERR_UNSUPPORTED',
          message: expect.stringMatching(`; no open backend can${ending}$`),
        }),
      );
    const load = async () => ({ default: exact as BackendProvider });
    refused('');
    register('bare', load);
    refused('');
    register('one', load);
    register('two', load);
    refused("; registered are one, two: move the operands, as with await x.to\\(await openShared\\('one'\\)\\)");
  } finally {
    vi.unstubAllGlobals();
  }
});

test('choosing a provider again gives the backend it gave before, so that tensors of both times mix', async () => {
  const first = await setBackend(exact);
  const x = tensor([1, 2]);
  await setBackend(await exact.open());
  expect(await setBackend(exact)).toBe(first);
  expect(softmax.vjp(softmax(x), tensor([1, 0])).backend).toBe(first);
  await first.close();
  expect(await setBackend(exact)).not.toBe(first);
});

test('a backend that finds out only on opening is passed over, whichever copy of core its error is of', async () => {
  const foreign = Object.assign(new Error('foreign: no device'), {
    name: 'SoftgradError',
    code: 'ERR_BACKEND_UNAVAILABLE',
  });
  const provider: BackendProvider = {
    name: 'foreign',
    unavailable: async () => null,
    open: () => Promise.reject(foreign),
  };
  expect((await setBackend(provider, exact)).name).toBe('exact');
});

test('of two calls that overlap the later one stands, though the earlier one takes longer', async () => {
  let finish = () => {};
  const waiting = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const slow: BackendProvider = {
    name: 'slow',
    unavailable: async () => null,
    open: () => waiting.then(() => exact.open()),
  };
  const earlier = setBackend(slow);
  const chosen = await setBackend(exact);
  finish();
  expect(await earlier).not.toBe(chosen);
  expect(getBackend()).toBe(chosen);
});

test('a later call that fails leaves the choice to the earlier one', async () => {
  let finish = () => {};
  const waiting = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const slow: BackendProvider = {
    name: 'slow',
    unavailable: async () => null,
    open: () => waiting.then(() => exact.open()),
  };
  const earlier = setBackend(slow);
  await expect(setBackend(broken)).rejects.toMatchObject({ code: 'ERR_BACKEND_UNAVAILABLE' });
  finish();
  const chosen = await earlier;
  expect(getBackend()).toBe(chosen);
});

describe('without await before setBackend, tensors of both backends meet later', () => {
  const cause =
    'Tensors were made on mine while setBackend was still opening exact: await setBackend(…) before the first';
  let core: typeof import('../src/index.js');
  let after: Backend;
  let early: Tensor;
  beforeEach(async () => {
    vi.resetModules();
    core = await import('../src/index.js');
    await core.setBackend(new MinimalBackend());
  });

  test.each<[what: string, meet: (x: Tensor, y: Tensor) => unknown]>([
    ['as operands', (x, y) => core.softmax.vjp(core.softmax(x), y)],
    ['as operands in the other order', (x, y) => core.softmax.vjp(core.softmax(y), x)],
    ['as an out', (x, y) => core.softmax(y, { out: x })],
    ['as an out of tensor', (x) => core.tensor([3, 4], { out: x, backend: after })],
    ['as a mask', (_, y) => core.softmax(y, { mask: early })],
    ['where one of them gives its buffer', (x) => core.bufferOf(after, x)],
  ])('and the error names the cause: %s', async (_what, meet) => {
    const opening = core.setBackend(exact);
    const x = core.tensor([1, 2]);
    early = core.tensor([true, false], { dtype: 'bool' });
    after = await opening;
    const y = core.tensor([1, 2]);
    expect(() => meet(x, y)).toThrow(
      expect.objectContaining({ code: 'ERR_BACKEND_MISMATCH', message: expect.stringContaining(cause) }),
    );
  });

  test('choosing the backend again, with await, does not hide it', async () => {
    const opening = core.setBackend(exact);
    const x = core.tensor([1, 2]);
    await opening;
    await core.setBackend(exact);
    expect(() => core.softmax(core.tensor([1, 2]), { out: x })).toThrow(cause);
  });

  test.each([
    ['the same provider', exact],
    ['another one', new MinimalBackend()],
  ])('a later call with %s, which finishes first, does not hide it', async (_what, later) => {
    const opening = core.setBackend(exact);
    const x = core.tensor([1, 2]);
    await core.setBackend(later);
    const y = core.tensor([1, 2], { backend: await opening });
    expect(() => core.softmax(y, { out: x })).toThrow(cause);
  });

  test('but no error names it where setBackend was awaited, or failed, or where a backend was chosen by hand', async () => {
    const x = core.tensor([1, 2]);
    const failing = core.setBackend(broken);
    core.tensor([1, 2]);
    await failing.catch(() => undefined);
    const other = await exact.open();
    const opening = core.setBackend(exact);
    core.tensor([1, 2], { backend: other });
    // No tensor is made there by asking for it.
    expect(core.getBackend()).toBe(x.backend);
    await opening;
    const y = core.tensor([1, 2]);
    const message = /move it with await x\.to\(backend\)$/;
    expect(() => core.softmax(y, { out: x })).toThrow(message);
    expect(() => core.softmax(y, { out: core.tensor([1, 2], { backend: other }) })).toThrow(message);
  });

  test('a tensor where no backend is set yet says that setBackend is still opening one', async () => {
    vi.resetModules();
    core = await import('../src/index.js');
    await core.setBackend(broken).catch(() => undefined);
    expect(() => core.tensor([1])).toThrow(/^no backend is set (?!yet)/);
    const opening = core.setBackend(exact);
    expect(() => core.tensor([1])).toThrow('no backend is set yet, because setBackend is still opening one: await');
    await opening;
    expect(core.tensor([1]).backend.name).toBe('exact');
  });
});

test.each([
  ['undefined', undefined, 'a candidate is undefined'],
  ['null', null, 'a candidate is null'],
  [
    'a module instead of what it exports',
    { default: exact, exact },
    /a candidate is an object.*; pass its default export$/,
  ],
  ['names in an array', ['webgpu', 'cpu'], /a candidate is an array of 2 entries; .*; pass them one after another$/],
])('setBackend says what it takes where it is given %s', async (_what, candidate, message) => {
  await expect(setBackend(candidate as never)).rejects.toMatchObject({
    code: 'ERR_VALUE',
    message: expect.stringMatching(message),
  });
});

test('calls that overlap open a provider once', async () => {
  let opens = 0;
  const provider: BackendProvider = {
    name: 'counted',
    unavailable: async () => null,
    open: () => {
      opens++;
      return exact.open();
    },
  };
  const [first, second] = await Promise.all([setBackend(provider), setBackend(provider)]);
  expect([first === second, opens]).toEqual([true, 1]);
});

test('errors say what to do, with the names that are registered', async () => {
  const none = await setBackend().catch((error) => error);
  expect([none.code, none.message]).toEqual([
    'ERR_BACKEND_UNAVAILABLE',
    'setBackend: no backend can run here: no candidate was given',
  ]);
  const opened = await exact.open();
  await opened.close();
  const refused = await setBackend(broken, opened).catch((error) => error);
  expect(refused.message).toBe(
    'setBackend: no backend can run here: broken: no such device; buy one; exact: it was closed; open it again',
  );
  register('somebody', async () => ({ default: minimal }));
  await expect(loadProvider('nobody')).rejects.toThrow(
    `no backend is named 'nobody': known are ${registered().join(', ')}`,
  );
  await expect(loadProvider('somebody:threads=2')).rejects.toThrow(
    "no backend is named 'somebody:threads=2' (did you mean 'somebody'?): options are for a provider's open, as in setBackend(await wasm.open({ threads: 2 }))",
  );
  for (const reason of [new Error('no file'), 'no file']) {
    register('gone', () => Promise.reject(reason));
    await expect(loadProvider('gone')).rejects.toMatchObject({
      code: 'ERR_BACKEND_UNAVAILABLE',
      message: "backend 'gone' did not load: no file",
      cause: reason,
    });
  }
  const chosen = await setBackend(await exact.open());
  await chosen.close();
  expect(() => getBackend()).toThrow('backend exact was closed; await setBackend(…) again');
});

test('a registry in which nothing was chosen or registered says how to change that, and that another copy of core has a backend', async () => {
  vi.resetModules();
  const fresh = await import('../src/backend/registry.js');
  const { shared } = await import('../src/copies.js');
  const copies = 'there are two copies of @softgrad/core: npm ls @softgrad/core lists them, npm dedupe merges them';
  expect([shared.hasBackend, shared.hasNames]).toEqual([true, true]);
  expect(() => fresh.getBackend()).toThrow(`no backend is set in this copy of core, but in another one; ${copies}`);
  await expect(fresh.loadProvider('wasm')).rejects.toThrow(
    `no backend is named 'wasm': none is registered in this copy of core, but in another one; ${copies}`,
  );
  // As in a process with one copy.
  Object.assign(shared, { hasBackend: false, hasNames: false });
  expect(() => fresh.getBackend()).toThrow(
    "no backend is set: await setBackend(cpu) first (import { cpu } from '@softgrad/backend-cpu'), or pass { backend }",
  );
  await expect(fresh.loadProvider('wasm')).rejects.toThrow(
    "no backend is named 'wasm': none is registered; register('wasm', () => import('@softgrad/backend-wasm')) first, or pass the provider itself",
  );
  expect(fresh.openedBackends(() => true)).toEqual([]);
  fresh.register('one', async () => ({ default: exact as BackendProvider }));
  fresh.register('two', async () => ({ default: exact as BackendProvider }));
  expect(fresh.registered()).toEqual(['one', 'two']);
  await expect(fresh.loadProvider('wasm')).rejects.toThrow("no backend is named 'wasm': known are one, two");
});

test('backends in use are named once, without those that are closed', async () => {
  vi.resetModules();
  const fresh = await import('../src/backend/registry.js');
  const [a, b, c] = [await exact.open(), await exact.open(), await exact.open()] as Backend[];
  const named = (backend: Backend, name: string) => delegate(backend, { name });
  const [first, again, closed] = [named(a, 'first'), named(b, 'first'), named(c, 'closed')];
  const second = named(a, 'second');
  for (const backend of [first, again, closed, second, first]) fresh.noteBackend(backend);
  expect(fresh.openedBackends(() => true)).toEqual(['first', 'closed', 'second']);
  expect(fresh.openedBackends(({ name }) => name !== 'first')).toEqual(['closed', 'second']);
  await c.close();
  expect(fresh.openedBackends(() => true)).toEqual(['first', 'second']);
});

test('an unexpected error of the only candidate is thrown as it is, and the candidate can be tried again', async () => {
  let attempts = 0;
  const flaky: BackendProvider = {
    name: 'flaky',
    unavailable: async () => null,
    open: async () => {
      attempts++;
      if (attempts === 1) throw new TypeError('a bug');
      if (attempts === 2) throw Object.assign(new Error('gone'), { name: 'SoftgradError', code: 'ERR_DEVICE_LOST' });
      return (await exact.open()) as Backend;
    },
  };
  await expect(setBackend(flaky)).rejects.toEqual(new TypeError('a bug'));
  await expect(openShared(flaky)).rejects.toMatchObject({ code: 'ERR_DEVICE_LOST' });
  expect((await setBackend(flaky)).name).toBe('exact');
  expect(attempts).toBe(3);
});

describe('a candidate that throws an unexpected error', () => {
  const bug = new TypeError('blocked');
  const failing = (error: unknown): BackendProvider => ({
    ...broken,
    name: 'failing',
    unavailable: () => Promise.reject(error),
  });
  const lost = Object.assign(new Error('failing: the device was lost'), {
    name: 'SoftgradError',
    code: 'ERR_DEVICE_LOST',
  });
  const throwing: BackendProvider = {
    name: 'throwing',
    unavailable: () => {
      throw bug;
    },
    open: async () => new MinimalBackend(),
  };

  test.each([
    ['rejects', failing(bug)],
    ['throws', throwing],
    ['loses its device', failing(lost)],
    ['opens nothing', { ...broken, unavailable: async () => null }],
  ])('is skipped if another can run: it %s', async (_, provider) => {
    expect((await setBackend(provider, exact)).name).toBe('exact');
  });

  test('is in the message and the cause if no other can run', async () => {
    const fail = (...candidates: readonly BackendProvider[]) => setBackend(...candidates).catch((error) => error);
    const one = await fail(broken, failing(bug));
    expect([one.code, one.message]).toEqual([
      'ERR_BACKEND_UNAVAILABLE',
      'setBackend: no backend can run here: broken: no such device; buy one; failing: it could not be opened: TypeError: blocked',
    ]);
    expect(one.cause).toBe(bug);
    const two = await fail(failing(lost), throwing);
    expect(two.message).toBe(
      'setBackend: no backend can run here: failing: the device was lost; throwing: it could not be opened: TypeError: blocked',
    );
    expect(two.cause).toBe(lost);
    expect(await fail(broken, broken)).not.toHaveProperty('cause');
  });

  test('is named as the caller named it', async () => {
    register('by-name', async () => ({ default: throwing }));
    await expect(setBackend('by-name', broken)).rejects.toThrow('by-name: it could not be opened: TypeError: blocked');
  });
});

test('an open that returns no backend, and one that throws what has no text, are reasons', async () => {
  const unavailable = async () => null;
  const empty = { name: 'empty', unavailable, open: async () => undefined as never };
  const nothing = { name: 'nothing', unavailable, open: async () => Promise.reject(Object.create(null)) };
  const reasons: string[] = [];
  const backend = await setBackend(empty, nothing, exact, { onSkip: (reason) => reasons.push(reason) });
  expect(backend.name).toBe('exact');
  expect(reasons).toEqual([
    'empty: open returned undefined; expected a backend',
    'nothing: it could not be opened: an object (no prototype)',
  ]);
  await expect(setBackend(empty)).rejects.toMatchObject({
    code: 'ERR_BACKEND_UNAVAILABLE',
    message: 'setBackend: no backend can run here: empty: open returned undefined; expected a backend',
  });
});

describe('the option onSkip', () => {
  test('is called with the reason of each candidate that cannot run, and with its error if that is unexpected', async () => {
    const bug = new TypeError('blocked');
    const failing: BackendProvider = { ...broken, name: 'failing', unavailable: () => Promise.reject(bug) };
    const closed = await exact.open();
    await closed.close();
    for (const choose of [setBackend, openShared]) {
      const calls: unknown[] = [];
      const onSkip = (...args: unknown[]) => calls.push(args);
      expect((await choose(broken, failing, closed, exact, broken, { onSkip })).name).toBe('exact');
      expect(calls).toEqual([
        ['broken: no such device; buy one'],
        ['failing: it could not be opened: TypeError: blocked', bug],
        ['exact: it was closed; open it again'],
      ]);
    }
  });

  test('is called before the next candidate is opened, and also if none can run', async () => {
    const order: string[] = [];
    const later: BackendProvider = {
      ...broken,
      unavailable: async () => {
        order.push('next');
        return 'nothing';
      },
    };
    const onSkip = (reason: string) => order.push(reason);
    await expect(setBackend(broken, later, { onSkip })).rejects.toMatchObject({ code: 'ERR_BACKEND_UNAVAILABLE' });
    expect(order).toEqual(['broken: no such device; buy one', 'next', 'broken: nothing']);
    await expect(setBackend({ onSkip })).rejects.toThrow('no candidate was given');
    expect((await setBackend(broken, exact, { onSkip: undefined })).name).toBe('exact');
  });

  test('may be asynchronous: the next candidate waits for it, and what it rejects with is thrown by the call', async () => {
    for (const choose of [setBackend, openShared]) {
      const order: string[] = [];
      const next: BackendProvider = {
        ...exact,
        open: async () => {
          order.push('next');
          return exact.open();
        },
      };
      const slow = async () => {
        await new Promise((resolve) => setTimeout(resolve));
        order.push('skipped');
      };
      await choose(broken, next, { onSkip: slow });
      expect(order).toEqual(['skipped', 'next']);
      const failing = async () => {
        throw new TypeError('no log');
      };
      await expect(choose(broken, exact, { onSkip: failing })).rejects.toThrow(new TypeError('no log'));
    }
  });

  test.each<[given: object, message: string]>([
    [{ onSkip: true }, 'openShared: onSkip is true; expected a function'],
    [{ onSkip: null }, 'openShared: onSkip is null; expected a function'],
    [{ onSkip: () => {}, threads: 2 }, "openShared: unknown option 'threads'; expected onSkip"],
  ])('%o is refused', async (given, message) => {
    await expect(openShared(exact, given as never)).rejects.toMatchObject({ code: 'ERR_VALUE', message });
  });

  test('is refused before a candidate', async () => {
    await expect(openShared({ onSkip: () => {} } as never, exact)).rejects.toMatchObject({
      code: 'ERR_VALUE',
      message: expect.stringMatching(/^openShared: a candidate is an object/),
    });
  });
});

describe('a backend whose device is lost', () => {
  /** A provider of backends whose loss of the device a test chooses. */
  function losing() {
    const opened: { lost: boolean }[] = [];
    const reasons: (string | null)[] = [];
    const provider: BackendProvider = {
      name: 'gpu',
      unavailable: async () => reasons.shift() ?? null,
      open: async () => {
        const state = { lost: false };
        opened.push(state);
        const backend = delegate((await exact.open()) as Backend, { name: 'gpu' });
        return Object.defineProperty(backend, 'lost', { get: () => state.lost });
      },
    };
    return { provider, opened, reasons, lose: () => Object.assign(opened[opened.length - 1], { lost: true }) };
  }

  test('is not given again: its provider is opened once more, for all callers, by name too', async () => {
    const { provider, opened, lose } = losing();
    register('losing', async () => ({ default: provider }));
    const first = await setBackend('losing', exact);
    expect(await openShared('losing')).toBe(first);
    lose();
    const again = await Promise.all([setBackend('losing', exact), openShared(provider)]);
    expect([again[0] === again[1], again[0] === first, again[0].name, opened.length]).toEqual([true, false, 'gpu', 2]);
    expect(tensor([1]).backend).toBe(again[0]);
    // Its tensors are those of a lost device, not those of a closed backend.
    expect(first.closed).toBe(false);
  });

  test('is followed by the next candidate if there is no other device', async () => {
    const { provider, reasons, lose } = losing();
    await setBackend(provider, exact);
    lose();
    reasons.push('the driver crashed');
    expect((await setBackend(provider, exact)).name).toBe('exact');
    expect((await setBackend(provider, exact)).name).toBe('gpu');
  });

  test('is no candidate any more, as a closed one', async () => {
    const { provider, lose } = losing();
    const backend = await openShared(provider);
    lose();
    expect((await setBackend(backend, exact)).name).toBe('exact');
    await expect(setBackend(backend)).rejects.toMatchObject({
      code: 'ERR_BACKEND_UNAVAILABLE',
      message: 'setBackend: no backend can run here: gpu: its device was lost; open it again',
    });
    expect(inspect(backend)).toMatch(/, device lost$/);
  });

  test('is replaced where it is the default one, and not named by errors', async () => {
    vi.resetModules();
    const core = await import('../src/index.js');
    const { openedBackends } = await import('../src/backend/registry.js');
    let lost = false;
    const openSync = (): Backend => Object.defineProperty(new MinimalBackend(), 'lost', { get: () => lost });
    core.setDefaultBackend({ ...minimal, openSync });
    const first = core.getBackend();
    expect([core.getBackend() === first, openedBackends(() => true)]).toEqual([true, ['mine']]);
    lost = true;
    expect([core.getBackend() === first, openedBackends(() => true)]).toEqual([false, []]);
  });
});

test('a provider that could not run is asked again the next time', async () => {
  const answers: (string | null)[] = ['no device yet', null];
  const provider: BackendProvider = {
    name: 'late',
    unavailable: async () => answers.shift() ?? null,
    open: async () => (await exact.open()) as Backend,
  };
  await expect(setBackend(provider)).rejects.toThrow('late: no device yet');
  expect((await setBackend(provider)).name).toBe('exact');
});

test('a provider whose backend was closed while others wait for it is opened once more for all of them', async () => {
  let opens = 0;
  const provider: BackendProvider = {
    name: 'counted',
    unavailable: async () => null,
    open: async () => {
      opens++;
      return (await exact.open()) as Backend;
    },
  };
  const first = await setBackend(provider);
  await first.close();
  const both = await Promise.all([setBackend(provider), setBackend(provider)]);
  expect(both[0]).toBe(both[1]);
  expect([both[0] === first, opens]).toEqual([false, 2]);
});

test('every candidate is checked before the first is opened', async () => {
  let opens = 0;
  const counted: BackendProvider = { ...exact, open: () => exact.open().finally(() => opens++) };
  const error = await setBackend(counted, { threads: 2 } as never).catch((reason) => reason);
  expect([error.code, opens]).toEqual(['ERR_VALUE', 0]);
});

test('any object that can be opened is a provider, and one with supports is a backend', async () => {
  for (const candidate of [{}, { supports: undefined, closed: true, name: 'half' }, 5, () => exact]) {
    const error = await setBackend(candidate as never).catch((reason) => reason);
    if (typeof candidate === 'object' && 'supports' in candidate) {
      expect(error.message).toBe('setBackend: no backend can run here: half: it was closed; open it again');
    } else {
      expect(error.code).toBe('ERR_VALUE');
      expect(error.message).toMatch(
        /^setBackend: a candidate is .*; expected a backend's provider \(import \{ cpu \} from '@softgrad\/backend-cpu'\), an open backend, or a registered name; the option of setBackend is onSkip, and other options are for a provider's open, as in setBackend\(await wasm\.open\(\{ threads: 2 \}\)\)$/,
      );
    }
  }
});
