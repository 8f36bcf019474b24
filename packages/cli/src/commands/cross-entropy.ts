import { type Backend, crossEntropy, type FloatDType, SoftgradError, type Tensor, tensor } from '@softgrad/core';
import { type FileArray, formatPosition, formatShape, readAll, sizeOf } from '@softgrad/formats';
import { Command, Option } from 'commander';
import type { Session } from '../context.js';
import { outputFormat, writeNamed } from '../files/write.js';
import { chooseDType, fromTensor, openResult, resolveAxis, toTensor, withReaders } from '../operation.js';
import { formatsHelp, fraction, integer, type OperationOptions, withOperationOptions } from '../options.js';
import { formatNumber, terminalWriter } from '../table.js';

interface Options extends OperationOptions {
  readonly target: string;
  readonly reduction: 'mean' | 'sum' | 'none';
  readonly labelSmoothing: number;
  readonly ignoreIndex: number;
}

export function crossEntropyCommand(session: Session): Command {
  return withOperationOptions(new Command('cross-entropy'))
    .summary('loss and gradient against a target')
    .description(
      'Cross-entropy of logits against a target, with its gradient in the logits, (s − y) / T, in one pass. Options mean what they mean in PyTorch.',
    )
    .requiredOption('--target <file>', 'class indices, one a row, or probabilities of the shape of the logits')
    .addOption(
      new Option('--reduction <how>', 'of the losses of the rows').choices(['mean', 'sum', 'none']).default('mean'),
    )
    .addOption(
      new Option('--label-smoothing <e>', 'moves this share of the target to all classes')
        .argParser(fraction)
        .default(0),
    )
    .addOption(
      new Option('--ignore-index <n>', 'rows of this class count for nothing').argParser(integer).default(-100),
    )
    .addHelpText(
      'after',
      `${formatsHelp}
.json, .npz and standard output hold both, loss and gradient; into .npy, .csv and .tsv goes the gradient, and the loss
is printed.

Examples:
  $ softgrad cross-entropy logits.csv --target labels.csv --out loss-and-gradient.npz
  $ echo '[[0, 0, 0]]' | softgrad cross-entropy - --target labels.json
  {"loss": 1.0986122886681098,
  "gradient": [[0.3333333333333333,0.3333333333333333,-0.6666666666666666]]}`,
    )
    .action(async (input: string, options: Options) => {
      const operands = [
        { label: 'INPUT', file: input },
        { label: '--target', file: options.target },
      ];
      const { memory } = session.limits;
      await withReaders(operands, options, session, async ([reader, targetReader], backend) => {
        const axis = resolveAxis(options.axis, reader);
        const logits = await readAll(reader, memory, 'compute the rows in parts, and add up their losses');
        const read = await readAll(targetReader, memory, 'compute the rows in parts, and add up their losses');
        const dtype = chooseDType(backend, options.dtype, logits, reader.name);
        using x = toTensor(logits, dtype, backend);
        using target = toTarget(read, targetReader.name, logits.shape, axis, options.ignoreIndex, dtype, backend);
        const { temperature, reduction, labelSmoothing, ignoreIndex } = options;
        const { loss, gradient } = crossEntropy(x, target, {
          axis,
          temperature,
          reduction,
          labelSmoothing,
          ignoreIndex,
        });
        await write(options.out, await fromTensor(loss), await fromTensor(gradient), dtype, session);
      });
    });
}

/** The target as the tensor that core wants: its shape tells class indices from probabilities. */
function toTarget(
  array: FileArray,
  name: string,
  logits: readonly number[],
  axis: number,
  ignoreIndex: number,
  dtype: FloatDType,
  backend: Backend,
): Tensor {
  const { data, shape } = array;
  if (sameShape(shape, logits)) {
    const nan = data.findIndex(Number.isNaN);
    if (nan >= 0)
      throw new SoftgradError('ERR_VALUE', `${name}: ${formatPosition(nan, shape)} is NaN; expected a probability`);
    return toTensor(array, dtype, backend);
  }
  const indices = logits.filter((_, k) => k !== axis);
  // A .csv has two dimensions always: a list of labels is its one column or row.
  const list = shape.length === 2 && indices.length === 1 && shape.includes(1) && sizeOf(shape) === indices[0];
  if (!sameShape(shape, indices) && !list) {
    throw new SoftgradError(
      'ERR_SHAPE',
      `${name}: a target of shape ${formatShape(shape)} for logits of ${formatShape(logits)}; expected class indices of ${formatShape(indices)} or probabilities of ${formatShape(logits)}`,
    );
  }
  const classes = logits[axis];
  const wrong = data.findIndex(
    (value) => value !== ignoreIndex && !(Number.isInteger(value) && value >= 0 && value < classes),
  );
  if (wrong >= 0) {
    throw new SoftgradError(
      'ERR_VALUE',
      `${name}: ${formatPosition(wrong, shape)} is ${data[wrong]}; expected a class index from 0 to ${classes - 1}, or ${ignoreIndex} to ignore the row`,
    );
  }
  return tensor(Int32Array.from(data), { shape: indices, dtype: 'int32', backend });
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((length, k) => length === b[k]);
}

async function write(
  out: string | undefined,
  loss: FileArray,
  gradient: FileArray,
  dtype: FloatDType,
  { stdout }: Session,
): Promise<void> {
  const format = out === undefined ? 'json' : outputFormat(out);
  if (out === undefined && stdout.isTTY) {
    if (loss.shape.length === 0) stdout.write(`loss ${formatNumber(loss.data[0])}\n`);
    for (const [name, array] of [
      ['loss', loss],
      ['gradient', gradient],
    ] as const) {
      if (array.shape.length === 0) continue;
      const table = terminalWriter(name, stdout);
      await table.write(array);
      await table.finish();
    }
    return;
  }
  if (format === 'json' || format === 'npz') return writeNamed(out, { loss, gradient }, dtype, stdout);
  const writer = await openResult('gradient', out, gradient.shape.length, dtype, { stdout });
  try {
    await writer.write(gradient);
    await writer.finish();
  } finally {
    await writer.abort();
  }
  await writeNamed(undefined, { loss }, dtype, stdout);
}
