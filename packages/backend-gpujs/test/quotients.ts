import { expect } from 'vitest';
import type { Engine, Mode } from '../src/engine.js';
import { openGl } from '../src/engines/gl.js';
import { openHost } from '../src/engines/host.js';
import { openWebGpu } from '../src/engines/webgpu.js';
import { type GpuLibrary, loadGpu } from '../src/gpu.js';
import { longQuotient, type Program, type Quotient } from '../src/program.js';
import { createPrograms } from '../src/programs.js';

/** `a − ⌊a / b⌋ b`, where a counts up from `start`, so that no large array is needed. */
const remainderBy = (name: string, quotient: Quotient): Program => ({
  name,
  arrays: [],
  integers: ['start', 'divisor'],
  numbers: [],
  body: () => `return start + this.thread.x - ${quotient('start + this.thread.x', 'divisor')} * divisor;`,
});

const count = 64;
const divisors = [
  ...[1, 2, 3, 5, 7, 10, 12, 48, 255, 256, 257, 1000, 4095, 4097, 65_535, 65_536, 65_537],
  ...[2 ** 20 + 1, 2 ** 24 - 1, 2 ** 24, 2 ** 24 + 1, 2 ** 26 + 3, 2 ** 29 + 1, 2 ** 30 - 1],
];
const magnitudes = [0, 2 ** 12, 2 ** 22, 2 ** 24, 2 ** 25, 2 ** 26, 2 ** 27, 2 ** 28, 2 ** 29, 2 ** 30];

/** Parts of the range in which a single division is exact. */
const shares = [0, 2 ** -8, 2 ** -4, 1 / 4, 1 / 2, 3 / 4, 1];

/** Divides by numbers of every magnitude, on both sides of a multiple near the powers of two from which on floats are rounded. */
export async function expectExactQuotients(mode: Mode): Promise<void> {
  const library = await loadGpu();
  const engine = await openEngine(library, mode);
  const programs = createPrograms(engine, library, 2);
  async function expectExact(program: Program, divisor: number, magnitude: number, end: number) {
    const multiple = Math.floor(magnitude / divisor) * divisor;
    const start = Math.min(Math.max(0, multiple - count / 2), end - count);
    const resident = await programs.run(program, count, [], [start, divisor]);
    const found = await resident.toArray();
    // Results are float32: remainders above 2²⁴ are rounded.
    const expected = Array.from({ length: count }, (_, i) => Math.fround((start + i) % divisor));
    expect([...found.subarray(0, count)], `${program.name}: ${start} and up over ${divisor}`).toEqual(expected);
    resident.delete();
  }
  const long = remainderBy('long', longQuotient);
  const ofShort = remainderBy('short', engine.shortQuotient);
  try {
    for (const divisor of divisors) {
      const { exactDivision } = engine;
      // A read from a device waits longer than it computes.
      await Promise.all(magnitudes.map((magnitude) => expectExact(long, divisor, magnitude, 2 ** 30)));
      await Promise.all(shares.map((share) => expectExact(ofShort, divisor, share * exactDivision, exactDivision)));
    }
  } finally {
    await engine.close();
  }
}

function openEngine(library: GpuLibrary, mode: Mode): Engine | Promise<Engine> {
  if (mode === 'webgpu') return openWebGpu(library);
  return mode === 'webasm' || mode === 'cpu' ? openHost(library, mode) : openGl(library, mode);
}
