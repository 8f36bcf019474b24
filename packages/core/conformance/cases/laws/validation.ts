import { type Backend, tensor } from '../../../src/index.js';
import { assert, assertSame, assertThrows } from '../../check.js';
import { exact } from '../../exact.js';
import type { Operation } from '../../operations/operation.js';
import { evaluate, statedFor } from '../../problem.js';
import { type Law, problemIn, withEachOperand, withTensors } from './law.js';

/** Invalid operands throw the documented errors, and empty ones give empty results. */
export const validationLaws: readonly Law[] = [
  { name: 'used-after-dispose', composable: false, run: usedAfterDispose },
  { name: 'backend-mismatch', composable: false, run: backendMismatch },
  { name: 'wrong-operands', composable: false, run: wrongOperands },
  { name: 'empty', composable: false, run: empty },
];

/** A disposed operand or out is refused before anything is allocated. */
async function usedAfterDispose(backend: Backend, operation: Operation): Promise<void> {
  const problem = problemIn(backend);
  await withEachOperand(backend, operation, problem, async (operand, k, tensors, options) => {
    operand.dispose();
    await assertThrows(`${operation.name} of a disposed operand ${k}`, 'ERR_DISPOSED', () =>
      operation.apply(tensors, options, problem),
    );
  });
  await withTensors(backend, operation, problem, async (tensors, options) => {
    const out = operation.apply(tensors, options, problem);
    out.dispose();
    out.dispose();
    assert(out.disposed, `${operation.name}: a disposed result does not say so`);
    await assertThrows(`${operation.name} into a disposed out`, 'ERR_DISPOSED', () =>
      operation.apply(tensors, { ...options, out }, problem),
    );
    await assertThrows('data of a disposed result', 'ERR_DISPOSED', () => out.data());
  });
}

/** Two backends can be used side by side; tensors of both in one call are refused. */
async function backendMismatch(backend: Backend, operation: Operation): Promise<void> {
  const problem = problemIn(backend);
  const other = await exact.open();
  await withTensors(backend, operation, problem, (here, options) =>
    withTensors(other, operation, problem, async (there) => {
      for (const [k, elsewhere] of there.entries()) {
        if (k === 0) continue;
        const mixed = here.map((operand, i) => (i === k ? elsewhere : operand));
        await assertThrows(`${operation.name} with operand ${k} elsewhere`, 'ERR_BACKEND_MISMATCH', () =>
          operation.apply(mixed, options, problem),
        );
      }
      const out = operation.apply(there, options, problem);
      await assertThrows(`${operation.name} with out elsewhere`, 'ERR_BACKEND_MISMATCH', () =>
        operation.apply(here, { ...options, out }, problem),
      );
    }),
  );
  await other.close();
}

/** Wrong dtypes, shapes and axes throw errors with the documented codes. */
async function wrongOperands(backend: Backend, operation: Operation): Promise<void> {
  const problem = problemIn(backend);
  await withTensors(backend, operation, problem, async (tensors, options) => {
    const integers = tensor(new Int32Array(12), { shape: [3, 4], backend });
    const longer = tensor(new Float32Array(15), { shape: [3, 5], dtype: problem.dtype, backend });
    await assertThrows(`${operation.name} of integers`, 'ERR_DTYPE', () =>
      operation.apply([integers, ...tensors.slice(1)], options, problem),
    );
    for (let k = 1; k < tensors.length; k++) {
      const mixed = tensors.map((operand, i) => (i === k ? longer : operand));
      await assertThrows(`${operation.name} with operand ${k} of another shape`, 'ERR_SHAPE', () =>
        operation.apply(mixed, options, problem),
      );
    }
    await assertThrows(`${operation.name} into an out of another shape`, 'ERR_SHAPE', () =>
      operation.apply(tensors, { ...options, out: longer }, problem),
    );
    for (const axis of operation.takes.includes('axis') ? [2, -3, 0.5] : []) {
      await assertThrows(`${operation.name} over axis ${axis}`, 'ERR_AXIS', () =>
        operation.apply(tensors, { ...options, axis }, problem),
      );
    }
    for (const temperature of operation.takes.includes('temperature') ? [0, -1, Number.NaN] : []) {
      await assertThrows(`${operation.name} at temperature ${temperature}`, 'ERR_VALUE', () =>
        operation.apply(tensors, { ...options, temperature }, problem),
      );
    }
    for (const mask of operation.takes.includes('mask') ? [{ data: new Uint8Array(5), shape: [5] }] : []) {
      await assertThrows(`${operation.name} with a mask of another shape`, 'ERR_SHAPE', () =>
        operation.apply(tensors, { ...options, mask }, problem),
      );
    }
    integers.dispose();
    longer.dispose();
  });
}

/** No rows: the result is empty, and no kernel is called. */
async function empty(backend: Backend, operation: Operation): Promise<void> {
  const problem = problemIn(backend, { shape: [0, 4] });
  const { expected } = statedFor(operation, problem);
  assertSame(`${operation.name} of 0x4`, await evaluate(backend, operation, problem), expected);
}
