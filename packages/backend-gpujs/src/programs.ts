import type { HostArray } from '@softgrad/core';
import type { Engine, Resident } from './engine.js';
import type { GpuKernel, GpuLibrary } from './gpu.js';
import { block } from './kernel-places.js';
import { helpersOf, longQuotient, type Program, sourceOf } from './program.js';

/** The elements of an input, and how many there are. */
export interface Input {
  readonly resident: Resident;
  readonly length: number;
}

/** A cache of the most recently used compiled programs. */
export interface Programs {
  run(
    program: Program,
    length: number,
    inputs: readonly Input[],
    scalars: readonly number[],
  ): Resident | Promise<Resident>;
  upload(program: Program, host: HostArray, length: number): Resident | Promise<Resident>;
  /** Number of compiled programs. */
  readonly size: number;
}

/** From this many elements on, an upload's staging memory is freed at once. */
const large = 2 ** 20;

/**
 * Compiles programs when they are first run and keeps at most `bound` of them, with least-recently-used eviction. Lengths and
 * shapes are arguments, so programs differ only in the layout (whether `inner` is 1, whether rows have one block or several), in
 * their operands, and in how they divide indices: those of buffers up to `exactDivision` by a single division.
 */
export function createPrograms(engine: Engine, library: GpuLibrary, bound: number): Programs {
  const kernels = new Map<string, GpuKernel>();
  const sources = new WeakMap<Program, Sources>();
  const most = Math.min(bound, engine.mostKernels);

  /** The sources of a program for buffers whose indices a single division divides and for longer ones, generated once. */
  function sourcesOf(program: Program): Sources {
    const known = sources.get(program);
    if (known) return known;
    const made = {
      short: sourceOf(program, engine.shortQuotient, engine.arithmetic),
      long: sourceOf(program, longQuotient, engine.arithmetic),
    };
    sources.set(program, made);
    return made;
  }

  function kernelOf(program: Program, arrayType: string, source: string): GpuKernel {
    const known = kernels.get(source);
    if (known) {
      kernels.delete(source);
      kernels.set(source, known);
      return known;
    }
    for (const [oldest, kernel] of kernels) {
      if (kernels.size < most) break;
      kernels.delete(oldest);
      kernel.destroy();
    }
    const kernel = compile(program, arrayType, source);
    kernels.set(source, kernel);
    return kernel;
  }

  function compile(program: Program, arrayType: string, source: string): GpuKernel {
    const typed = (names: readonly string[], type: string) => names.map((name) => [name, type] as const);
    const argumentTypes = Object.fromEntries([
      ...typed(program.arrays, arrayType),
      ...typed(program.integers, 'Integer'),
      ...typed(program.numbers, 'Float'),
    ]);
    return engine.gpu.createKernel(source, {
      argumentTypes,
      functions: helpersOf(source, engine.helpers),
      output: [1],
      returnType: 'Number',
      // Kernels divide integers by `quotient`, which does not rely on exact division.
      fixIntegerDivisionAccuracy: false,
      precision: 'single',
      pipeline: true,
      immutable: true,
      dynamicOutput: true,
      dynamicArguments: true,
      loopMaxIterations: block,
      ...engine.settings,
    });
  }

  function run(kernel: GpuKernel, values: readonly unknown[], length: number): Resident | Promise<Resident> {
    kernel.setOutput([length]);
    return engine.run(kernel, values, length);
  }

  /** Destroys an upload kernel, which keeps its staging memory for the next run. */
  function discard(source: string, kernel: GpuKernel, result: Resident | Promise<Resident>): void {
    kernels.delete(source);
    const destroy = () => kernel.destroy();
    if (result instanceof Promise) result.then(destroy, destroy);
    else destroy();
  }

  return {
    get size() {
      return kernels.size;
    },
    run(program, length, inputs, scalars) {
      const { exactDivision } = engine;
      const isShort = length <= exactDivision && inputs.every((input) => input.length <= exactDivision);
      const kernel = kernelOf(program, engine.argumentType, sourcesOf(program)[isShort ? 'short' : 'long']);
      const values = inputs.map(({ resident, length: elements }) => engine.argument(resident, elements));
      return run(kernel, [...values, ...scalars], length);
    },
    upload(program, host, length) {
      const { long } = sourcesOf(program);
      const kernel = kernelOf(program, 'Input', long);
      const result = run(kernel, [library.input(host, [length])], length);
      if (length >= large) discard(long, kernel, result);
      return result;
    },
  };
}

interface Sources {
  readonly short: string;
  readonly long: string;
}
