import { logSoftmax, relu, softmax, tensor } from '@softgrad/core';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { loadGpu } from '../src/gpu.js';
import { timedRuns } from '../src/measure.js';
import { createProvider } from '../src/provider.js';
import { nodeModes } from './node-modes.js';

afterEach(() => vi.restoreAllMocks());

/** A clock by which one run of the mode measured first takes `first` ms, one of the second `second` ms, and all others 9 ms more. */
function clock(first: number, second: number): () => number {
  let [calls, time] = [0, 0];
  return () => {
    const run = (calls - 1) / 2;
    const least = run < timedRuns ? first : second;
    if (calls++ % 2 === 1) time += least + (run % timedRuns === 17 ? 0 : 9);
    return time;
  };
}

const throwing = () => {
  throw new Error('the clock was read');
};

// A GPU is not measured.
describe.runIf(nodeModes[0] === 'cpu')('without a GPU, auto chooses', () => {
  test.each([
    ['cpu', 'if it is faster', clock(1, 3)],
    ['cpu', 'by a clock that stands still', () => 0],
    ['cpu', 'if it takes up to 1.25 times as long as webasm', clock(1.25, 1)],
    ['webasm', 'if cpu takes longer than that', clock(1.26, 1)],
  ])('%s %s, and closes the other', async (mode, _, now) => {
    const { GPU } = await loadGpu();
    const destroy = vi.spyOn(GPU.prototype, 'destroy');
    const backend = await createProvider(now).open();
    expect(backend.name).toBe(`gpujs-${mode}`);
    expect(destroy).toHaveBeenCalledTimes(1);
    await backend.close();
    expect(destroy).toHaveBeenCalledTimes(2);
  });

  test('the only mode that can run without measuring it', async () => {
    await loadGpu();
    const forbidden = class {
      constructor() {
        throw new Error('by policy');
      }
    };
    vi.stubGlobal('Function', forbidden);
    const backend = await createProvider(throwing).open();
    vi.unstubAllGlobals();
    expect(backend.name).toBe('gpujs-webasm');
    await backend.close();
  });

  test('none, and closes all, if a measurement fails', async () => {
    const { GPU } = await loadGpu();
    const destroy = vi.spyOn(GPU.prototype, 'destroy');
    await expect(createProvider(throwing).open()).rejects.toThrow('the clock was read');
    expect(destroy).toHaveBeenCalledTimes(2);
  });
});

test('a mode that was asked for is not measured', async () => {
  const provider = createProvider(throwing);
  expect(await provider.unavailable()).toBeNull();
  const backend = await provider.open({ mode: 'webasm' });
  expect(backend.name).toBe('gpujs-webasm');
  await backend.close();
});

test('two kernels may be asked for, and no more are kept', async () => {
  const provider = createProvider(throwing);
  const backend = await provider.open({ mode: 'cpu', kernels: 2 });
  const x = tensor([[1, 2, 3]], { backend });
  const results = [softmax(x), logSoftmax(x), relu(x)].map((y) => Math.max(...y.dataSync()));
  expect(results.map((value) => Number(value.toFixed(3)))).toEqual([0.665, -0.408, 3]);
  expect(backend.compiled).toBe(2);
  await backend.close();
});

test('whether a mode can run is found without evaluating code where WebAssembly may be compiled', async () => {
  const evaluated: unknown[] = [];
  vi.stubGlobal(
    'Function',
    class {
      constructor(code: unknown) {
        evaluated.push(code);
      }
    },
  );
  try {
    expect(await createProvider(() => 0).unavailable()).toBeNull();
  } finally {
    vi.unstubAllGlobals();
  }
  expect(evaluated).toEqual([]);
});
