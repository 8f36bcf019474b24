import { expect, test } from 'vitest';
import type { Engine, Resident } from '../src/engine.js';
import { openHost } from '../src/engines/host.js';
import type { GpuKernel } from '../src/gpu.js';
import { loadGpu } from '../src/gpu.js';
import { longQuotient, type Program, shortQuotient } from '../src/program.js';
import { createPrograms } from '../src/programs.js';

const divided: Program = {
  name: 'divided',
  arrays: ['x'],
  integers: ['divisor'],
  numbers: [],
  body: (quotient) => `return x[${quotient('this.thread.x', 'divisor')}];`,
};
const copied: Program = { ...divided, name: 'copied', body: () => 'return x[this.thread.x];' };

test('indices up to exactDivision are divided by a single division, longer ones in steps, and programs without division are compiled once', async () => {
  const library = await loadGpu();
  const engine = { ...(await openHost(library, 'cpu')), exactDivision: 2 ** 20 };
  const sources = new Map<GpuKernel, string>();
  const gpu: Engine['gpu'] = {
    context: null,
    createKernel(source, settings) {
      const kernel = engine.gpu.createKernel(source, settings);
      sources.set(kernel, source);
      return kernel;
    },
    destroy: () => engine.gpu.destroy(),
  };
  const none: Resident = { toArray: () => new Float32Array(0), delete: () => undefined };
  const run: string[] = [];
  const recorded: Engine['run'] = (kernel) => {
    run.push(sources.get(kernel) ?? '');
    return none;
  };
  const programs = createPrograms({ ...engine, gpu, argument: () => null, run: recorded }, library, 16);
  const sourceFor = (program: Program, length: number, operand: number) => {
    programs.run(program, length, [{ resident: none, length: operand }], [3]);
    return run.at(-1);
  };
  const long = expect.stringContaining(`[${longQuotient('this.thread.x', 'divisor')}]`);
  const short = expect.stringContaining(`[${shortQuotient('this.thread.x', 'divisor')}]`);
  expect(sourceFor(divided, 2 ** 20, 2 ** 20)).toEqual(short);
  expect(sourceFor(divided, 2 ** 20 + 1, 1)).toEqual(long);
  expect(sourceFor(divided, 1, 2 ** 20 + 1)).toEqual(long);
  expect(programs.size).toBe(2);
  for (const length of [1, 2 ** 24]) sourceFor(copied, length, length);
  expect(programs.size).toBe(3);
  await engine.close();
});
