import * as core from '@softgrad/core';
import * as doctor from '@softgrad/doctor';
import { expect, test } from 'vitest';
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
