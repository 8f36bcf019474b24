import * as core from '@softgrad/core';
import * as doctor from '@softgrad/doctor';
import { expect, expectTypeOf, test } from 'vitest';
import type { backends } from '../src/backends.js';
import * as softgrad from '../src/index.js';

test('tensors and operations work at once, on cpu', async () => {
  const s = softgrad.softmax(softgrad.tensor([[0, 0]]));
  expect([s.backend.name, s.arraySync()]).toEqual(['cpu', [[0.5, 0.5]]]);
});

test('another backend is chosen by its name; cpu by name is the one that was there at once', async () => {
  const before = softgrad.tensor([1, 2]);
  expect((await softgrad.setBackend('wasm')).name).toBe('wasm');
  expect(softgrad.tensor([1, 2]).backend.name).toBe('wasm');
  expect(await softgrad.setBackend('cpu')).toBe(before.backend);
});

test('it has all that core and doctor export, and nothing of its own', () => {
  expect(Object.keys(softgrad).sort()).toEqual([...Object.keys(core), ...Object.keys(doctor)].sort());
  expect(softgrad.diagnose({ gradient: 'J.sum(axis=1)' }).verdict).toBe('row-sum');
});

// `npm run check` compiles this file: what it says of types holds there.
test('names of backends are known to the types of the functions of core that take them, and so are those of others', () => {
  expect(softgrad.setBackend).toBe(core.setBackend);
  expect(softgrad.openShared).toBe(core.openShared);
  expect(softgrad.loadProvider).toBe(core.loadProvider);
  expectTypeOf<softgrad.BackendName>().toEqualTypeOf<keyof typeof backends>();
  // With string itself in the union, there would be no name to extract, and an editor would complete none.
  type Names<T> = Extract<T, softgrad.BackendName>;
  expectTypeOf<Names<softgrad.BackendCandidate>>().toEqualTypeOf<softgrad.BackendName>();
  type Choice = (...candidates: core.Selection<softgrad.BackendCandidate>) => Promise<core.Backend>;
  expectTypeOf<typeof softgrad.setBackend>().toEqualTypeOf<Choice>();
  expectTypeOf<typeof softgrad.openShared>().toEqualTypeOf<Choice>();
  expectTypeOf<Names<Parameters<typeof softgrad.loadProvider>[0]>>().toEqualTypeOf<softgrad.BackendName>();
  expectTypeOf<string>().toExtend<softgrad.BackendCandidate>();
  expectTypeOf<core.BackendCandidate>().toExtend<softgrad.BackendCandidate>();
});

test('candidates are names, providers and backends in any number, and options after them', () => {
  const list: readonly softgrad.BackendCandidate[] = ['wasm', 'cpu'];
  const choices = [
    () => softgrad.setBackend('webgpu', 'mine', 'cpu'),
    () => softgrad.setBackend('webgpu', 'cpu', { onSkip: console.warn }),
    () => core.openShared({ onSkip: undefined }),
    () => softgrad.setBackend(...list),
    () => softgrad.openShared(...list, { onSkip: (reason) => expectTypeOf(reason).toBeString() }),
  ];
  expectTypeOf(choices).items.returns.resolves.toEqualTypeOf<core.Backend>();
  const mistaken = [
    // @ts-expect-error: options come last
    () => softgrad.setBackend({ onSkip: console.warn }, 'cpu'),
    // @ts-expect-error: options of a backend belong to its open
    () => softgrad.setBackend('wasm', { threads: 2 }),
  ];
  expect([choices.length, mistaken.length]).toEqual([5, 2]);
});
