import { readdirSync } from 'node:fs';
import { loadProvider, register, registered } from '@softgrad/core';
import { describe, expect, test, vi } from 'vitest';
import { backends, registerBackends } from '../src/backends.js';

test('the map of backends names every folder packages/backend-*, and nothing else', () => {
  const folders = readdirSync(new URL('../..', import.meta.url))
    .filter((folder) => folder.startsWith('backend-'))
    .map((folder) => folder.slice('backend-'.length));
  expect(Object.keys(backends).sort()).toEqual(folders.sort());
});

test('registerBackends makes every one of them known to core, cpu first', () => {
  registerBackends();
  expect(registered()).toEqual(Object.keys(backends));
  expect(registered()[0]).toBe('cpu');
});

test('registerBackends registers each name, also one that something else has', async () => {
  const { default: cpu } = await backends.cpu();
  for (const name of Object.keys(backends)) register(name, async () => ({ default: { ...cpu, name: 'other' } }));
  registerBackends();
  for (const name of Object.keys(backends)) expect((await loadProvider(name)).name).toBe(name);
});

test.each(Object.entries(backends))('%s loads the provider of that name', async (name, load) => {
  expect((await load()).default.name).toBe(name);
});

describe('an optional backend whose package fails to load', () => {
  test.each(['webgpu', 'gpujs', 'tfjs'] as const)('%s rejects', async (name) => {
    vi.doMock(`@softgrad/backend-${name}`, () => {
      throw new Error('no such driver');
    });
    await expect(backends[name]()).rejects.toHaveProperty('cause.message', 'no such driver');
    vi.doUnmock(`@softgrad/backend-${name}`);
  });
});
