import { type Backend, byteSize, type FloatDType, SoftgradError, softmax } from '@softgrad/core';
import { formatBytes, formatShape, readAll, sizeOf } from '@softgrad/formats';
import { Command } from 'commander';
import type { Session } from '../context.js';
import { chooseDType, fromTensor, openResult, resolveAxis, toTensor, withReaders } from '../operation.js';
import { formatsHelp, type OperationOptions, withOperationOptions } from '../options.js';

const advice = '`softgrad vjp` multiplies by it in O(f) a row without building it';

export function jacobianCommand(session: Session): Command {
  return withOperationOptions(new Command('jacobian'))
    .summary('the Jacobian matrices of softmax')
    .description(
      'The Jacobian of softmax, one matrix a row: J = (diag(s) − s sᵀ) / T, shape (n, f) → (n, f, f). Every row of it adds up to 0: for a gradient use vjp.',
    )
    .addHelpText(
      'after',
      `${formatsHelp}

Examples:
  $ softgrad jacobian logits.csv --out jacobian.npy
  $ echo '[[0, 0]]' | softgrad jacobian -
  [[[0.25,-0.25],[-0.25,0.25]]]`,
    )
    .action(async (input: string, options: OperationOptions) => {
      const { temperature } = options;
      const { memory } = session.limits;
      await withReaders([{ label: 'INPUT', file: input }], options, session, async ([reader], backend) => {
        const axis = resolveAxis(options.axis, reader);
        const logits = await readAll(reader, memory, `so is its Jacobian, but ${advice}`);
        const dtype = chooseDType(backend, options.dtype, logits, reader.name);
        const shape = [
          ...logits.shape.slice(0, axis),
          ...logits.shape.slice(axis + 1),
          logits.shape[axis],
          logits.shape[axis],
        ];
        checkFits(shape, dtype, backend, memory, reader.name);
        const writer = await openResult('jacobian', options.out, shape.length, dtype, session);
        try {
          using x = toTensor(logits, dtype, backend);
          using s = softmax(x, { axis, temperature });
          using jacobian = softmax.jacobian(s, { axis, temperature });
          await writer.write(await fromTensor(jacobian));
          await writer.finish();
        } finally {
          await writer.abort();
        }
      });
    });
}

function checkFits(shape: readonly number[], dtype: FloatDType, backend: Backend, memory: number, name: string): void {
  const elements = sizeOf(shape);
  const bytes = elements * byteSize(dtype);
  // It is held twice: by the backend and on its way out.
  const most = Math.min(memory / 2, backend.supports.limits.elements * byteSize(dtype));
  if (bytes <= most) return;
  throw new SoftgradError(
    'ERR_OUT_OF_MEMORY',
    `${name}: its Jacobian of shape ${formatShape(shape)} takes ${formatBytes(bytes)} in ${dtype}, and ${backend.name} can hold ${formatBytes(most)} here; ${advice}`,
  );
}
