import { type Basis, type BinaryOp, type Extent, hostArray, type Operand, type Rows } from '@softgrad/core';
import type { Elementwise } from './kernel-places.js';
import { exponential, logarithm, logarithmNumbers, negate } from './kernels/elementwise.js';
import { reduceRows } from './kernels/reduce.js';
import type { Launch } from './launch.js';
import type { Program } from './program.js';
import type { GpujsBuffer, Storage } from './storage.js';

const unary = { neg: negate, exp: exponential, log: logarithm } as const;

/** NaN is the only value that is neither below 1 nor above 0. */
const extremum = (comparison: string) => `
  if (a < 1 || a > 0) {
    if (b < 1 || b > 0) { if (a ${comparison} b) { return a; } }
    return b;
  }
  return a;`;

const binary: Readonly<Record<BinaryOp, string>> = {
  add: 'return a + b;',
  sub: 'return a - b;',
  mul: 'return a * b;',
  div: 'return a / b;',
  max: extremum('>'),
  min: extremum('<'),
};

/** The form of an operand: a constant, a buffer with the extent of the result, or a buffer that is broadcast. */
type Kind = 'constant' | 'full' | 'broadcast';

/** The five primitives from which core composes all operations. */
export function createBasis(launch: Launch, storage: Storage): Basis<GpujsBuffer> {
  const programs = new Map<string, Program>();

  /** Runs `body`, in which the operands are `a`, `b` and `c`, over an extent. */
  function over(
    name: string,
    body: string,
    out: GpujsBuffer,
    operands: readonly Operand<GpujsBuffer>[],
    extent: Extent,
  ) {
    const kinds = operands.map((operand) => kindOf(operand, extent));
    const key = `${name}/${kinds.join('/')}`;
    const program = programs.get(key) ?? broadcast(key, body, kinds);
    programs.set(key, program);
    const buffers = operands.filter((operand) => typeof operand !== 'number');
    const constants = operands.filter((operand) => typeof operand === 'number');
    const strides = buffers.flatMap((operand) =>
      kindOf(operand, extent) === 'broadcast' ? stridesOf(operand.extent) : [],
    );
    const inputs = buffers.map(({ buffer }) => buffer);
    launch.run(program, out, inputs, [extent[1], extent[2], ...strides, ...constants]);
  }

  return {
    unary(out, op, x) {
      launch.run(unary[op], out, [x], op === 'log' ? logarithmNumbers : []);
    },
    binary(out, op, a, b, extent) {
      over(op, binary[op], out, [a, b], extent);
    },
    select(out, condition, a, b, extent) {
      over('select', 'if (a > 0) { return b; } return c;', out, [condition, a, b], extent);
    },
    reduce(out, op, x, rows) {
      reduceRows(launch, out, op, x, rows);
    },
    transpose(out, x, rows) {
      if (x.dtype === 'float32') launch.elementwise(transpose, out, [x], rows);
      else storage.write(out, transposed(storage, x, rows));
    },
  };
}

/** `out[o,i,c] = x[o,c,i]`. */
const transpose: Elementwise = {
  name: 'transpose',
  arrays: ['x'],
  body: ({ quotient }) => {
    const p = 'this.thread.x';
    const outer = quotient(p, 'classes * inner');
    const line = quotient(p, 'classes');
    return `return x[(${outer} * classes + ${p} - ${line} * classes) * inner + ${line} - ${outer} * inner];`;
  },
};

/** Int32 and bool data is kept on the host, where it is exact; kernels only read it. */
function transposed(storage: Storage, x: GpujsBuffer, { outer, classes, inner }: Rows) {
  const from = storage.hostData(x);
  const to = hostArray(x.length, x.dtype);
  const source = from.values();
  for (let o = 0; o < outer; o++) {
    for (let c = 0; c < classes; c++) {
      for (let i = 0; i < inner; i++) to[(o * inner + i) * classes + c] = source.next().value ?? Number.NaN;
    }
  }
  return to;
}

function kindOf(operand: Operand<GpujsBuffer>, extent: Extent): Kind {
  if (typeof operand === 'number') return 'constant';
  return operand.extent.every((size, d) => size === extent[d]) ? 'full' : 'broadcast';
}

/** The strides of an operand along the dimensions of the result: 0 where it is broadcast. */
function stridesOf([outer, classes, inner]: Extent): readonly number[] {
  return [outer === 1 ? 0 : classes * inner, classes === 1 ? 0 : inner, inner === 1 ? 0 : 1];
}

function broadcast(name: string, body: string, kinds: readonly Kind[]): Program {
  const p = 'this.thread.x';
  const operands = kinds.map((kind, k) => ({ n: 'abc'.charAt(k), kind }));
  const named = (wanted: Kind) => operands.filter(({ kind }) => kind === wanted).map(({ n }) => n);
  return {
    name,
    arrays: operands.filter(({ kind }) => kind !== 'constant').map(({ n }) => `${n}Array`),
    integers: ['classes', 'inner', ...named('broadcast').flatMap((n) => [`${n}Outer`, `${n}Classes`, `${n}Inner`])],
    numbers: named('constant').map((n) => `${n}Value`),
    body(quotient) {
      const outer = quotient(p, 'classes * inner');
      const line = quotient(p, 'inner');
      const value = ({ n, kind }: (typeof operands)[number]) => {
        if (kind === 'constant') return `${n}Value`;
        if (kind === 'full') return `${n}Array[${p}]`;
        return `${n}Array[${outer} * ${n}Outer + (${line} - ${outer} * classes) * ${n}Classes + (${p} - ${line} * inner) * ${n}Inner]`;
      };
      return `${operands.map((operand) => `const ${operand.n} = ${value(operand)};`).join('\n')}\n${body}`;
    },
  };
}
