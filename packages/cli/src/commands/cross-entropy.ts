import { type CrossEntropyTarget, crossEntropy, type FloatDType, type MaskInput, SoftgradError } from '@softgrad/core';
import { type FileArray, formatShape, placeOf, type RowReader, sizeOf } from '@softgrad/formats';
import { Command, Option } from 'commander';
import type { Session } from '../context.js';
import { openWriter, outputFormat, writeNamed } from '../files/write.js';
import { booleanRows, checkBroadcasts, maskOperands, toMask } from '../mask.js';
import { readWatched, resolveAxis, withReaders } from '../operands.js';
import { openResult } from '../operation.js';
import { formatsHelp, fraction, integer, type OperationOptions, withOperationOptions } from '../options.js';
import { choosePrecision, fromTensor, overflowNotice, toTensor } from '../precision.js';
import { checkForProbabilities } from '../probabilities.js';
import { startLateProgress } from '../progress.js';

interface Options extends OperationOptions {
  readonly target: string;
  readonly weight?: string;
  readonly reduction: 'mean' | 'sum' | 'none';
  readonly labelSmoothing: number;
  readonly ignoreIndex: number;
}

export function crossEntropyCommand(session: Session): Command {
  return withOperationOptions(new Command('cross-entropy'), 'the dimension of the classes, in PyTorch dim 1')
    .summary('loss and gradient against a target')
    .description(
      'Cross-entropy of logits against a target, with its gradient in the logits, (s − y) / T, in one pass. With --reduction mean, the default, loss and gradient are divided by the number of rows that are not ignored, or by the sum of the weights of their classes. Options have the same meaning as in PyTorch.',
    )
    .requiredOption(
      '--target <file>',
      'class indices from 0, one for each row, or probabilities of the shape of the logits; or indices like 0,2',
    )
    .option('--weight <file>', 'one finite weight for each class; default: 1 for all')
    .addOption(
      new Option('--reduction <how>', 'of the losses of the rows').choices(['mean', 'sum', 'none']).default('mean'),
    )
    .addOption(
      new Option(
        '--label-smoothing <e>',
        'spreads this share of the target evenly over all classes, or those that --mask keeps',
      )
        .argParser(fraction)
        .default(0),
    )
    .addOption(new Option('--ignore-index <n>', 'rows of this class are ignored').argParser(integer).default(-100))
    .addHelpText(
      'after',
      `${formatsHelp}
.json, .npz and standard output have both, loss and gradient; .npy, .csv and
.tsv have the gradient, and the loss is printed. Of float16, a loss that is
printed or in .json has the digits that it was computed with.

Examples:
  $ softgrad cross-entropy logits.csv --target labels.csv --out results.npz
  $ softgrad cross-entropy logits.csv --target 0,2,1
  $ echo '[[0, 0, 0]]' | softgrad cross-entropy - --target labels.json
  {"loss": 1.0986122886681098,
  "gradient": [[0.3333333333333333,0.3333333333333333,-0.6666666666666666]]}`,
    )
    .action(async (input: string, options: Options) => {
      const others = [
        { label: '--target', file: options.target },
        ...maskOperands(options),
        ...(options.weight === undefined ? [] : [{ label: '--weight', file: options.weight }]),
      ];
      await withReaders([{ label: 'INPUT', file: input }, ...others], options, session, async (readers, backend) => {
        const [reader, targetReader = reader, ...optional] = readers;
        const axis = resolveAxis(options.axis, reader);
        const read = (one: RowReader) =>
          readWatched(one, 'compute the rows in parts, and add up their losses', session);
        const logits = await read(reader);
        const targetArray = await read(targetReader);
        const maskReader = options.mask === undefined ? undefined : optional.shift();
        const mask = maskReader && (await readMask(maskReader, { ...reader, shape: logits.shape }, read));
        const [weightReader] = optional;
        const weight = weightReader && toWeight(await read(weightReader), weightReader, logits.shape[axis]);
        const { computed, written } = choosePrecision(backend, options.dtype, logits, reader.name);
        overflowNotice(reader, session)(logits, computed);
        const probabilities = checkForProbabilities(reader, 'cross-entropy', session);
        probabilities.add(logits, axis);
        const progress = startLateProgress('cross-entropy', 1, session, logits.data.byteLength);
        const compute = async () => {
          using x = toTensor(logits, computed, backend);
          const { temperature, reduction, labelSmoothing, ignoreIndex } = options;
          const target = toTarget(targetArray, targetReader, logits.shape, axis, ignoreIndex);
          progress.update(0.3);
          const settings = { axis, temperature, mask, weight, reduction, labelSmoothing, ignoreIndex };
          const { loss, gradient } = crossEntropy(x, target, settings);
          progress.update(0.9);
          // A sum of losses in float32 may be infinite in float16: a printed loss has no dtype, and a .npz rounds it.
          return { loss: await fromTensor(loss, computed), gradient: await fromTensor(gradient, written) };
        };
        const { loss, gradient } = await compute().finally(() => progress.stop());
        await write(options.out, loss, gradient, written, session);
        probabilities.finish();
      });
    });
}

async function readMask(
  reader: RowReader,
  input: Pick<RowReader, 'name' | 'shape'>,
  read: (reader: RowReader) => Promise<FileArray>,
): Promise<MaskInput> {
  const array = await read(booleanRows(reader));
  checkBroadcasts({ name: reader.name, shape: array.shape }, input);
  return toMask(array);
}

/** @throws ERR_SHAPE unless there is one number for each class: a list, or the column or row of a table; ERR_VALUE unless they are finite */
function toWeight({ data, shape }: FileArray, reader: RowReader, classes: number | undefined): Float64Array {
  if (data.length !== classes || shape.filter((length) => length !== 1).length > 1) {
    throw new SoftgradError(
      'ERR_SHAPE',
      `--weight ${reader.name}: shape ${formatShape(shape)}; expected ${formatShape([classes ?? null])}, one weight for each class`,
    );
  }
  const wrong = data.findIndex((value) => !Number.isFinite(value));
  if (wrong < 0) return Float64Array.from(data);
  throw new SoftgradError(
    'ERR_VALUE',
    `--weight ${reader.name}: ${placeOf(reader, wrong, shape)} is ${data[wrong]}; expected a finite number`,
  );
}

/** The target for core: its shape distinguishes class indices from probabilities. */
function toTarget(
  array: FileArray,
  reader: RowReader,
  logits: readonly number[],
  axis: number,
  ignoreIndex: number,
): CrossEntropyTarget {
  const { data, shape } = array;
  if (sameShape(shape, logits)) {
    const nan = data.findIndex(Number.isNaN);
    if (nan >= 0)
      throw new SoftgradError(
        'ERR_VALUE',
        `--target ${reader.name}: ${placeOf(reader, nan, shape)} is NaN; expected a probability`,
      );
    return { data, shape };
  }
  const indices = logits.filter((_, k) => k !== axis);
  // A .csv always has two dimensions: a list of labels is its only column or row. A single label on the command line is one of one.
  const table = shape.length === 2 && indices.length === 1 && shape.includes(1) && sizeOf(shape) === indices[0];
  const list = table || (indices.length === 0 && shape.length === 1 && shape[0] === 1);
  if (!sameShape(shape, indices) && !list) {
    const other = logits.findIndex((_, at) => sameShape(shape, logits.toSpliced(at, 1)));
    const hint = other < 0 ? '' : `; it fits --axis ${other}, the dimension of the classes`;
    const ofClasses = indices.length === 0 ? 'one class index' : `class indices of ${formatShape(indices)}`;
    throw new SoftgradError(
      'ERR_SHAPE',
      `--target ${reader.name}: shape ${formatShape(shape)} for logits of ${formatShape(logits)}; expected ${ofClasses} or probabilities of ${formatShape(logits)}${hint}`,
    );
  }
  const classes = logits[axis] ?? 0;
  const wrong = data.findIndex(
    (value) => value !== ignoreIndex && !(Number.isInteger(value) && value >= 0 && value < classes),
  );
  if (wrong >= 0) {
    const fromOne = data.every(
      (value) => value === ignoreIndex || (Number.isInteger(value) && value >= 1 && value <= classes),
    );
    const hint = fromOne ? '; if these count from 1, take 1 off' : '';
    throw new SoftgradError(
      'ERR_VALUE',
      `--target ${reader.name}: ${placeOf(reader, wrong, shape)} is ${data[wrong]}; expected a class index from 0 to ${classes - 1}, or ${ignoreIndex} to ignore the row${hint}`,
    );
  }
  // A typed array of floats would not be class indices.
  return { data: Array.from(data), shape: indices };
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((length, k) => length === b[k]);
}

async function write(
  out: string | undefined,
  loss: FileArray,
  gradient: FileArray,
  dtype: FloatDType,
  session: Session,
): Promise<void> {
  const { stdout } = session;
  const format = out === undefined ? 'json' : outputFormat(out);
  if (out === undefined && stdout.isTTY) {
    for (const [name, array] of Object.entries({ loss, gradient })) {
      const shown = await openResult(name, out, array.shape.length, dtype, session);
      await shown.write(array);
      await shown.finish();
    }
    return;
  }
  const progress = startLateProgress('writing', 1, session, format === 'npz' ? gradient.data.byteLength : 0);
  try {
    if (format === 'json' || format === 'npz') {
      return await writeNamed(out, { loss, gradient }, dtype, stdout, progress.update);
    }
    const writer = await openWriter(out, gradient.shape.length, dtype, stdout);
    try {
      await writer.write(gradient, progress.update);
      await writer.finish();
    } finally {
      await writer.abort();
    }
  } finally {
    progress.stop();
  }
  await writeNamed(undefined, { loss }, dtype, stdout);
}
