import type { Basis, BinaryOp, Extent, HostArray, Operand, UnaryOp } from '@softgrad/core';

/** With `readonly basis = basis;` in the class, every operation works that has no kernel. */
export const basis: Basis<HostArray> = {
  unary(out, op, x, length) {
    for (let i = 0; i < length; i++) out[i] = unaryFunctions[op](at(x, i));
  },
  binary(out, op, a, b, extent) {
    forEach(extent, (i, o, c, k) => {
      out[i] = binaryFunctions[op](element(a, o, c, k), element(b, o, c, k));
    });
  },
  reduce(out, op, x, { outer, classes, inner }) {
    const combine = op === 'sum' ? binaryFunctions.add : binaryFunctions.max;
    forEach([outer, 1, inner], (i, o, _c, k) => {
      let result = op === 'sum' ? 0 : Number.NEGATIVE_INFINITY; // float64, rounded when it is stored
      for (let c = 0; c < classes; c++) result = combine(result, at(x, (o * classes + c) * inner + k));
      out[i] = result;
    });
  },
  select(out, condition, a, b, extent) {
    forEach(extent, (i, o, c, k) => {
      out[i] = element(element(condition, o, c, k) > 0 ? a : b, o, c, k);
    });
  },
  transpose(out, x, { outer, classes, inner }) {
    forEach([outer, classes, inner], (i, o, c, k) => {
      out[(o * inner + k) * classes + c] = at(x, i);
    });
  },
};

const unaryFunctions: Readonly<Record<UnaryOp, (x: number) => number>> = {
  neg: (x) => -x,
  exp: Math.exp,
  log: Math.log,
};

const binaryFunctions: Readonly<Record<BinaryOp, (a: number, b: number) => number>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  max: Math.max,
  min: Math.min,
};

/** Calls `visit` with the index and the coordinates of each element. */
function forEach([outer, classes, inner]: Extent, visit: (i: number, o: number, c: number, k: number) => void): void {
  let i = 0;
  for (let o = 0; o < outer; o++) {
    for (let c = 0; c < classes; c++) for (let k = 0; k < inner; k++) visit(i++, o, c, k);
  }
}

/** The element of an operand, which broadcasts where its extent is 1. */
function element(operand: Operand<HostArray>, o: number, c: number, k: number): number {
  if (typeof operand === 'number') return operand;
  const [outer, classes, inner] = operand.extent;
  return at(
    operand.buffer,
    ((outer === 1 ? 0 : o) * classes + (classes === 1 ? 0 : c)) * inner + (inner === 1 ? 0 : k),
  );
}

/** The element; the fallback is for the compiler's option `noUncheckedIndexedAccess`. */
function at(buffer: HostArray, index: number): number {
  return buffer[index] ?? Number.NaN;
}
