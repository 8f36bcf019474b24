import type { Supports } from '@softgrad/core';
import { type Engine, launch } from './engine.js';
import { binary, unary } from './kernels/elementwise.js';
import { program, workgroupSize } from './kernels/program.js';
import { softmax } from './kernels/softmax.js';
import { plain } from './kernels/softmax-state.js';
import type { WebgpuBuffer } from './storage.js';

type Numbers = Pick<Supports, 'subnormals' | 'nonFinite' | 'expUlp'>;

/**
 * The number of invocations that shuffles may span: the smallest subgroup size of the device, provided that it assigns the invocations of a
 * workgroup to subgroups in the order of their index, which WGSL does not guarantee; otherwise 1.
 */
export async function measureSubgroup(engine: Engine, info: GPUAdapterInfo | undefined): Promise<number> {
  const smallest = info?.subgroupMinSize ?? 4;
  const out = engine.storage.alloc(workgroupSize, 'int32');
  const body = /* wgsl */ `
@compute @workgroup_size(${workgroupSize})
fn main(@builtin(local_invocation_index) local: u32, @builtin(subgroup_invocation_id) id: u32) {
  let neighbour = subgroupShuffleXor(local, 1u);
  store_out(local, select(4096u, id, neighbour == (local ^ P.one)));
}`;
  const parameters = { one: 'u32' } as const;
  launch(engine, 'measure', [
    {
      key: 'measureSubgroup',
      program: () =>
        program(
          'measureSubgroup',
          parameters,
          [{ name: 'out', dtype: 'words', width: 1, access: 'w' }],
          ['subgroups'],
          body,
        ),
      parameters,
      values: { one: 1 },
      buffers: [out],
      workgroups: 1,
      bytesRead: 0,
      bytesWritten: 4 * workgroupSize,
    },
  ]);
  const ids = await engine.storage.read(out);
  engine.storage.free(out);
  return ids.every((id, local) => id % smallest === local % smallest && id < 4096) ? Math.min(smallest, 128) : 1;
}

/** Measures how the device treats subnormals and non-finite numbers, and the error of its exp. */
export async function measureNumbers(engine: Engine): Promise<Numbers> {
  const [subnormals, nonFinite, expUlp] = await Promise.all([
    measureSubnormals(engine),
    measureNonFinite(engine),
    measureExp(engine),
  ]);
  return { subnormals, nonFinite, expUlp };
}

async function measureSubnormals(engine: Engine): Promise<Numbers['subnormals']> {
  const [, fromSoftmax = Number.NaN] = await run(engine, [[0, -95]], 2, (out, x) =>
    softmax(engine, out, x, { outer: 1, classes: 2, inner: 1 }, plain),
  );
  const [fromProduct = Number.NaN] = await run(engine, [[2 ** -100], [2 ** -40]], 1, (out, a, b) =>
    multiply(engine, out, a, b, 1),
  );
  return fromSoftmax > 0 && fromProduct > 0 ? 'preserve' : 'flush';
}

async function measureNonFinite(engine: Engine): Promise<Numbers['nonFinite']> {
  const infinity = Number.POSITIVE_INFINITY;
  const rows = [Number.NaN, 0, infinity, 0, -infinity, -infinity, -infinity, 0];
  const probabilities = await run(engine, [rows], rows.length, (out, x) =>
    softmax(engine, out, x, { outer: 4, classes: 2, inner: 1 }, plain),
  );
  const specials = [Number.NaN, infinity, -infinity, 0, 1, -1];
  const pairs = specials.flatMap((a) => specials.map((b) => ({ a, b })));
  const left = pairs.map(({ a }) => a);
  const right = pairs.map(({ b }) => b);
  const products = await run(engine, [left, right], pairs.length, (out, a, b) =>
    multiply(engine, out, a, b, pairs.length),
  );
  const nan = Number.NaN;
  const expected = [nan, nan, nan, nan, nan, nan, 0, 1, ...pairs.map(({ a, b }) => a * b)];
  const asIeee = [...probabilities, ...products].every(
    (value, i) => value === expected[i] || Object.is(value, expected[i]),
  );
  return asIeee ? 'ieee' : 'unspecified';
}

/** The largest errors over 4096 arguments whose exp is a normal float32, plus a quarter as a margin for other arguments. */
async function measureExp(engine: Engine): Promise<Numbers['expUlp']> {
  const x = Float32Array.from({ length: 4096 }, (_, i) => (i < 1024 ? i / 512 - 1 : ((i - 1024) / 3071) * 174 - 87));
  const results = await run(engine, [x], x.length, (out, buffer) => unary(engine, out, 'exp', buffer, x.length));
  let base = 1;
  let slope = 0;
  x.forEach((argument, i) => {
    const exact = Math.exp(argument);
    const ulp = 2 ** (Math.floor(Math.log2(exact)) - 23);
    const error = 1.25 * (Math.abs((results[i] ?? Number.NaN) - exact) / ulp);
    if (Math.abs(argument) <= 1) base = Math.max(base, Math.ceil(4 * error) / 4);
    else slope = Math.max(slope, (error - base) / Math.abs(argument));
  });
  return { base, slope };
}

function multiply(engine: Engine, out: WebgpuBuffer, a: WebgpuBuffer, b: WebgpuBuffer, length: number) {
  const extent = [1, 1, length] as const;
  binary(engine, out, 'mul', { buffer: a, extent }, { buffer: b, extent }, extent);
}

async function run(
  engine: Engine,
  operands: readonly ArrayLike<number>[],
  length: number,
  enqueue: (out: WebgpuBuffer, ...buffers: WebgpuBuffer[]) => void,
) {
  const { storage } = engine;
  const buffers = operands.map((values) => {
    const buffer = storage.alloc(values.length, 'float32');
    storage.write(buffer, Float32Array.from(values));
    return buffer;
  });
  const out = storage.alloc(length, 'float32');
  try {
    enqueue(out, ...buffers);
    return await storage.read(out);
  } finally {
    for (const buffer of [out, ...buffers]) storage.free(buffer);
  }
}
