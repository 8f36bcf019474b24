import { delegate } from '../conformance/delegate.js';
import { exact } from '../conformance/index.js';
import type { Backend } from '../src/index.js';

/**
 * The exact backend as one that does not write in place: every kernel and every verb of the basis fills its output with NaN
 * before it reads its operands, so that an operand which is also the output is lost.
 */
export async function openOutOfPlace(): Promise<Backend> {
  const backend = (await exact.open()) as Backend;
  const clobber = (out: unknown): void => {
    const parts = typeof out === 'object' && out !== null && 'loss' in out ? Object.values(out) : [out];
    for (const buffer of parts) if (buffer !== null) backend.view?.(buffer).fill(Number.NaN);
  };
  const clobbering = <T extends object>(functions: T): T =>
    Object.fromEntries(
      Object.entries(functions).map(([name, call]) => [
        name,
        (out: unknown, ...operands: unknown[]) => {
          clobber(out);
          return call(out, ...operands);
        },
      ]),
    ) as T;
  const { softmax, jacobian, vjp, basis, kernels } = backend;
  return delegate(backend, {
    name: 'out of place',
    supports: { ...backend.supports, inPlace: false },
    ...clobbering({ softmax, jacobian, vjp }),
    ...(basis && { basis: clobbering(basis) }),
    ...(kernels && { kernels: clobbering(kernels) }),
  });
}
