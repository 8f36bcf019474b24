import { expect, test, vi } from 'vitest';
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
  const sourceFor = (program: Program, length: number, ...operands: readonly number[]) => {
    const inputs = operands.map((operand) => ({ resident: none, length: operand }));
    programs.run(program, length, inputs, [3]);
    return run.at(-1);
  };
  const long = expect.stringContaining(`[${longQuotient('this.thread.x', 'divisor')}]`);
  const short = expect.stringContaining(`[${shortQuotient('this.thread.x', 'divisor')}]`);
  expect(sourceFor(divided, 2 ** 20, 2 ** 20)).toEqual(short);
  expect(sourceFor(divided, 2 ** 20 + 1, 1)).toEqual(long);
  expect(sourceFor(divided, 1, 2 ** 20 + 1)).toEqual(long);
  expect(sourceFor(divided, 1, 1, 2 ** 20 + 1)).toEqual(long);
  expect(sourceFor(divided, 1, 2 ** 20 + 1, 1)).toEqual(long);
  expect(sourceFor(divided, 1)).toEqual(short);
  expect(programs.size).toBe(2);
  for (const length of [1, 2 ** 24]) sourceFor(copied, length, length);
  expect(programs.size).toBe(3);
  await engine.close();
});

test('gpu.js gets the types of the arguments, in their order, single precision and unbounded shapes, and a source that is generated once', async () => {
  const library = await loadGpu();
  const engine = await openHost(library, 'cpu');
  const createKernel = vi.spyOn(engine.gpu, 'createKernel');
  let generated = 0;
  const scaled: Program = {
    name: 'scaled',
    arrays: ['x', 'y'],
    integers: ['n'],
    numbers: ['a', 'b'],
    body(quotient) {
      generated++;
      return `return x[this.thread.x] + y[${quotient('this.thread.x', 'n')}] * a + b;`;
    },
  };
  const settings = { ...engine.settings, graphical: false };
  const none: Resident = { toArray: () => new Float32Array(0), delete: () => undefined };
  const run = vi.fn((..._: Parameters<Engine['run']>) => none);
  const argument = (_: Resident, length: number) => length;
  const own = { settings, argumentType: 'Array2D', run, argument };
  const programs = createPrograms({ ...engine, ...own }, library, 16);
  const inputs = [7, 8].map((length) => ({ resident: none, length }));
  for (let k = 0; k < 3; k++) expect(programs.run(scaled, 2, inputs, [2, 10, 100])).toBe(none);
  expect(run.mock.calls.map(([, values, length]) => [values, length])).toEqual(
    Array.from({ length: 3 }, () => [[7, 8, 2, 10, 100], 2]),
  );
  programs.upload(
    { ...scaled, arrays: ['x'], integers: [], numbers: [], body: () => 'return x[0];' },
    new Float32Array(2),
    2,
  );
  // One for short and one for long operands.
  expect(generated).toBe(2);
  expect(createKernel).toHaveBeenCalledTimes(2);
  const common = {
    output: [1],
    returnType: 'Number',
    fixIntegerDivisionAccuracy: false,
    precision: 'single',
    pipeline: true,
    immutable: true,
    dynamicOutput: true,
    dynamicArguments: true,
    loopMaxIterations: 256,
    ...settings,
  };
  expect(createKernel.mock.calls.map(([, given]) => given)).toEqual([
    {
      ...common,
      functions: [expect.objectContaining({ source: expect.stringContaining('estimate') })],
      argumentTypes: { x: 'Array2D', y: 'Array2D', n: 'Integer', a: 'Float', b: 'Float' },
    },
    { ...common, functions: [], argumentTypes: { x: 'Input' } },
  ]);
  await engine.close();
});
