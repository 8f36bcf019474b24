import type { Basis, BinaryOp, Extent, Operand, UnaryOp } from '@softgrad/core';
import type { WasmBuffer } from './buffer.js';
import { runElements, runMaskFill, runRows, sumsInPlace } from './rowwise.js';
import { kernelName, type Runner } from './run.js';
import type { Storage } from './storage.js';

const unaryKernels: Record<Exclude<UnaryOp, 'neg'>, string> = { exp: 'exponential', log: 'natural_log' };
const binaryCodes: Record<BinaryOp | 'sigmoidVjp', number> = {
  add: 0,
  sub: 1,
  mul: 2,
  div: 3,
  max: 4,
  min: 5,
  sigmoidVjp: 6,
};

/** The basis, and one more kernel of the same form. */
export interface ElementVerbs extends Basis<WasmBuffer> {
  binary(
    out: WasmBuffer,
    op: BinaryOp | 'sigmoidVjp',
    a: Operand<WasmBuffer>,
    b: Operand<WasmBuffer>,
    extent: Extent,
  ): void;
}

/** Where an operand begins and its steps along the three dimensions of a broadcast, in elements. */
type Strided = readonly [address: number, outer: number, middle: number, last: number];

/** The five operations from which core composes operations without a fused kernel. `constants` is a float64 buffer of three. */
export function createBasis(runner: Runner, storage: Storage, constants: WasmBuffer): ElementVerbs {
  /** Operand number `slot` of a call: a constant is stored in memory and has stride 0. */
  function strided(operand: Operand<WasmBuffer>, extent: Extent, out: WasmBuffer, slot: number): Strided {
    if (typeof operand === 'number') {
      const address = constants.address + slot * 8;
      storage.view({ ...out, address, length: 1 })[0] = operand;
      return [address, 0, 0, 0];
    }
    const [outer, classes, inner] = operand.extent;
    const o = outer === 1 ? 0 : classes * inner;
    const c = classes === 1 ? 0 : inner;
    const i = inner === 1 ? 0 : 1;
    // The last dimension must be the contiguous one: the classes if inner is 1.
    return extent[2] === 1 ? [operand.buffer.address, 0, o, c] : [operand.buffer.address, o, c, i];
  }

  function binary(
    out: WasmBuffer,
    op: BinaryOp | 'sigmoidVjp',
    a: Operand<WasmBuffer>,
    b: Operand<WasmBuffer>,
    extent: Extent,
  ): void {
    const { dims, operands } = flattened(extent, [strided(a, extent, out, 0), strided(b, extent, out, 1)]);
    const [outer, middle, last] = dims;
    const flat = outer === 1 && middle === 1;
    runner.run(kernelName('binary', out), {
      units: last,
      work: flat ? 3 * last : 0,
      args: [binaryCodes[op], ...dims, out.address, ...operands],
      alignment: 16,
    });
  }

  return {
    unary(out, op, x, length) {
      if (op !== 'neg') runElements(runner, unaryKernels[op], out, [x], length);
      // −0 − x is −x for zeros of either sign.
      else binary(out, 'sub', -0, { buffer: x, extent: [1, 1, length] }, [1, 1, length]);
    },
    binary,
    reduce(out, op, x, rows) {
      const scratch = op === 'sum' && sumsInPlace(rows, out) ? 0 : 1;
      runRows(runner, `reduce_${op}`, out, rows, [out.address, x.address], scratch, []);
    },
    select(out, condition, a, b, extent) {
      const bytes = typeof condition !== 'number' && condition.buffer.dtype === 'bool';
      if (bytes && typeof a !== 'number' && typeof b === 'number' && repeatsOver(extent, condition.extent, a.extent)) {
        const period = sizeOf(condition.extent);
        runMaskFill(runner, out, a.buffer.address, sizeOf(extent), condition.buffer, period, b);
        return;
      }
      const sides = [strided(condition, extent, out, 2), strided(a, extent, out, 0), strided(b, extent, out, 1)];
      const { dims, operands } = flattened(extent, sides);
      runner.call(kernelName('select_where', out), bytes ? 0 : 1, ...dims, out.address, ...operands);
    },
    transpose: (out, x, { outer, classes, inner }) =>
      runner.call(kernelName('transpose', out), outer, classes, inner, out.address, x.address),
  };
}

const sizeOf = ([outer, classes, inner]: Extent): number => outer * classes * inner;

/** Whether a condition only repeats as a whole over an operand that is not broadcast: core's `keep` of a mask. */
function repeatsOver(extent: Extent, condition: Extent, a: Extent): boolean {
  return (
    sizeOf(a) === sizeOf(extent) &&
    condition[0] === 1 &&
    condition[1] === 1 &&
    condition[2] === extent[2] &&
    extent[1] === 1
  );
}

/** The three dimensions to loop over, merged into one if every operand is contiguous or a constant. */
function flattened([outer, classes, inner]: Extent, sides: readonly Strided[]) {
  const size = outer * classes * inner;
  const dims: Extent = inner === 1 ? [1, outer, classes] : [outer, classes, inner];
  const whole = sides.every(([, o, m, l]) => {
    if (o === 0 && m === 0 && l === 0) return true;
    return (dims[2] === 1 || l === 1) && (dims[1] === 1 || m === dims[2]) && (dims[0] === 1 || o === dims[1] * dims[2]);
  });
  if (!whole || size === 0) return { dims, operands: sides.flat() };
  const one = sides.map(([address, o, m, l]) => [address, 0, 0, o === 0 && m === 0 && l === 0 ? 0 : 1]);
  return { dims: [1, 1, size] as const, operands: one.flat() };
}
