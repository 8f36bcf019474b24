import { expect, test } from 'vitest';
import { exact } from '../conformance/index.js';
import {
  type Backend,
  type BackendProvider,
  getBackend,
  loadProvider,
  register,
  registered,
  setBackend,
  softmax,
  tensor,
} from '../src/index.js';

const broken: BackendProvider = {
  name: 'broken',
  unavailable: async () => 'no such device; buy one',
  open: () => Promise.reject(new Error('not reached')),
};

test('before setBackend there is none', () => {
  expect(() => getBackend()).toThrow(expect.objectContaining({ code: 'ERR_BACKEND_UNAVAILABLE' }));
});

test('setBackend takes the first candidate that can run', async () => {
  const chosen = await setBackend(broken, exact);
  expect(chosen.name).toBe('exact');
  expect(getBackend()).toBe(chosen);
});

test('setBackend names every reason where none can run, and leaves the choice as it was', async () => {
  const before = await setBackend(exact);
  await expect(setBackend(broken, 'nobody')).rejects.toMatchObject({
    code: 'ERR_BACKEND_UNAVAILABLE',
    message: expect.stringMatching(/broken: no such device; buy one.*no backend is named 'nobody'/),
  });
  expect(getBackend()).toBe(before);
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
  const bare: Backend = { ...(await exact.open()), name: 'bare', basis: undefined, kernels: undefined } as never;
  const x = tensor([1, 2], { backend: bare });
  expect((await softmax(x).array()) as number[]).toHaveLength(2);
  expect(() => softmax(x, { temperature: 2 })).toThrow(
    expect.objectContaining({
      code: 'ERR_UNSUPPORTED',
      message: expect.stringMatching(/softmax: bare has neither.*exact/),
    }),
  );
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

test.each([
  ['undefined', undefined, 'a candidate is undefined'],
  ['null', null, 'a candidate is null'],
  ['a module instead of what it exports', { default: exact, exact }, 'a candidate is an object'],
])('setBackend says what it takes where it is given %s', async (_what, candidate, message) => {
  await expect(setBackend(candidate as never)).rejects.toMatchObject({
    code: 'ERR_VALUE',
    message: expect.stringContaining(message),
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
