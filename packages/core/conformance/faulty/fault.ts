import { rowIndices, rowValues } from '../../reference/functions.js';
import type { Backend, BackendProvider, Kernels, Rows } from '../../src/index.js';
import { delegate } from '../delegate.js';
import { type ExactBuffer, exact } from '../exact.js';

/** A backend that is correct except for one classic mistake, and the case that must detect it. */
export interface Fault {
  readonly name: string;
  /** The mistake, in one sentence. */
  readonly mistake: string;
  /** The id of the case that fails because of it. */
  readonly caughtBy: string;
  readonly provider: BackendProvider<ExactBuffer>;
}

/** The exact backend with some members replaced, made anew each time a backend is opened. */
export function fault(
  name: string,
  mistake: string,
  caughtBy: string,
  replace: (right: Backend<ExactBuffer>) => Partial<Backend<ExactBuffer>>,
): Fault {
  const provider: BackendProvider<ExactBuffer> = {
    name,
    unavailable: async () => null,
    open: async () => {
      const right = await exact.open();
      return delegate(right, replace(right));
    },
  };
  return { name, mistake, caughtBy, provider };
}

/** The exact backend with some of its fused kernels replaced. */
export function faultyKernels(
  name: string,
  mistake: string,
  caughtBy: string,
  replace: (right: Kernels<ExactBuffer>) => Kernels<ExactBuffer>,
): Fault {
  return fault(name, mistake, caughtBy, ({ kernels = {} }) => ({ kernels: { ...kernels, ...replace(kernels) } }));
}

/** Any kernel over rows: its operands are followed by the rows and the parameters. */
export type RowKernel = (out: ExactBuffer, ...rest: readonly unknown[]) => undefined | false;

/** The exact backend with one kernel over rows replaced, whether every backend has it or not. */
export function faultyRowKernel(
  name: string,
  mistake: string,
  caughtBy: string,
  kernel: 'softmax' | 'vjp' | 'jacobian' | Exclude<keyof Kernels<ExactBuffer>, 'crossEntropy'>,
  wrong: (right: RowKernel) => RowKernel,
): Fault {
  return fault(name, mistake, caughtBy, (right) => {
    if (kernel === 'softmax' || kernel === 'vjp' || kernel === 'jacobian') {
      return { [kernel]: wrong(right[kernel] as RowKernel) };
    }
    return { kernels: { ...right.kernels, [kernel]: wrong(right.kernels?.[kernel] as RowKernel) } };
  });
}

/** Writes `results(row)` for every row of `x`, as the kernel of an author would: in the buffer's own precision. */
export function eachRow(
  out: ExactBuffer,
  x: ExactBuffer,
  rows: Rows,
  results: (row: number[], index: number) => readonly number[],
): void {
  const source = x.data.slice();
  rowIndices(rows).forEach((at, index) => {
    const values = results(rowValues(source, at), index);
    at.forEach((i, c) => {
      out.data[i] = values[c] ?? Number.NaN;
    });
  });
}

/** An element of a buffer. */
export function valueAt({ data }: ExactBuffer, i: number): number {
  return data[i] ?? Number.NaN;
}

/** Softmax of a row in float64. */
export function softmaxOf(row: readonly number[]): number[] {
  const max = row.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const exponentials = row.map((x) => Math.exp(x - max));
  const sum = exponentials.reduce((a, b) => a + b, 0);
  return exponentials.map((e) => e / sum);
}

/** log Σ exp of a row after subtracting the maximum, with the sum rounded to float32. */
export function logOfSum(row: readonly number[]): number {
  const max = row.reduce((a, b) => Math.max(a, b));
  return max + Math.log(Math.fround(row.reduce((sum, v) => sum + Math.exp(v - max), 0)));
}
