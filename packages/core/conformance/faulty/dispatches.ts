import type { Basis } from '../../src/index.js';
import type { ExactBuffer } from '../exact.js';
import { type Fault, fault } from './fault.js';

/** The workgroups that a dispatch has at most in one dimension of a GPU. */
const most = 65535;

/** Runs a kernel, and leaves the elements of `out` from `first` on as they were. */
function upTo(first: number, out: ExactBuffer, run: () => void): void {
  const beyond = out.data.slice(first);
  run();
  out.data.set(beyond, first);
}

function stopping(
  primitive: keyof Basis<ExactBuffer>,
  settings: string,
  wrong: (right: Basis<ExactBuffer>) => object,
): Fault {
  return fault(
    `basis-one-dispatch-of-${primitive}`,
    `basis.${primitive} works on at most 65,535 rows, or vectors of four elements.`,
    `basis/many-rows:primitive=${primitive}${settings}`,
    ({ basis }) => (basis ? { basis: { ...basis, ...wrong(basis) } } : {}),
  );
}

/** Kernels that stop where one dispatch of a GPU ends. */
export const faultyDispatches: readonly Fault[] = [
  fault('vjp-one-dispatch', 'dispatches at most 65,535 rows.', 'vjp/many-rows:shape=65537x3', (right) => ({
    vjp: (out, s, g, rows, parameters) => upTo(most * rows.classes, out, () => right.vjp(out, s, g, rows, parameters)),
  })),
  fault('jacobian-one-dispatch', 'dispatches at most 65,535 rows.', 'jacobian/many-rows:shape=65537x3', (right) => ({
    jacobian: (out, s, rows, parameters) =>
      upTo(most * rows.classes ** 2, out, () => right.jacobian(out, s, rows, parameters)),
  })),
  stopping('unary', '', ({ unary }) => ({
    unary: ((out, op, x, length) => upTo(4 * most, out, () => unary(out, op, x, length))) satisfies typeof unary,
  })),
  stopping('binary', '', ({ binary }) => ({
    binary: ((out, op, a, b, extent) =>
      upTo(4 * most, out, () => binary(out, op, a, b, extent))) satisfies typeof binary,
  })),
  stopping('select', '', ({ select }) => ({
    select: ((out, condition, a, b, extent) =>
      upTo(most * (extent[1] ?? 1), out, () => select(out, condition, a, b, extent))) satisfies typeof select,
  })),
  stopping('reduce', ';op=sum', ({ reduce }) => ({
    reduce: ((out, op, x, rows) => upTo(most, out, () => reduce(out, op, x, rows))) satisfies typeof reduce,
  })),
  stopping('transpose', '', ({ transpose }) => ({
    transpose: ((out, x, rows) =>
      upTo(most * rows.classes * rows.inner, out, () => transpose(out, x, rows))) satisfies typeof transpose,
  })),
  fault(
    'softmax-maximum-of-a-block',
    'takes the maximum over the first 2048 classes only.',
    'softmax/values:shape=2x3000;axis=1;input=last',
    (right) => ({
      softmax(out, x, rows, parameters) {
        right.softmax(out, x, rows, parameters);
        for (let row = 0; row < rows.outer * rows.inner; row++) {
          const at = (c: number) => (Math.floor(row / rows.inner) * rows.classes + c) * rows.inner + (row % rows.inner);
          const largest = (from: number, to: number) => {
            let value = Number.NEGATIVE_INFINITY;
            for (let c = from; c < to; c++) value = Math.max(value, x.data[at(c)] ?? Number.NaN);
            return value;
          };
          const isBeyond = largest(2048, rows.classes) > largest(0, Math.min(2048, rows.classes)) + 88;
          for (let c = 0; isBeyond && c < rows.classes; c++) out.data[at(c)] = Number.NaN;
        }
      },
    }),
  ),
];
