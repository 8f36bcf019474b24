import { type Backend, SoftgradError, sigmoid, softmax, type Tensor, tensor } from '@softgrad/core';
import { type FileArray, formatShape, type RowReader } from '@softgrad/formats';
import { Command } from 'commander';
import { withBackend } from '../backend.js';
import type { OutputStream, Session } from '../context.js';
import { openArray, openOperand } from '../files/open.js';
import { checkHeader, checkStandardInput, headerAdvice, readWatched } from '../operands.js';
import { type BackendChoice, filesHelp, headerOption, moduleHelp, type TableHeader } from '../options.js';
import { formatMatrix, formatNumber, formatProse } from '../table.js';

/** Samples by features. */
interface Matrix extends FileArray {
  readonly shape: readonly [rows: number, columns: number];
}

/** The last layer of a network from a real report: four samples of three features, for which every derivative was near 1e-17. */
const signal: Matrix = {
  shape: [4, 3],
  data: Float64Array.of(
    ...[0.3394572666491664, 0.3089068053925853, 0.3516359279582483],
    ...[0.33932706934615525, 0.3094755563319447, 0.3511973743219001],
    ...[0.3394407172182317, 0.30889042266755573, 0.35166886011421256],
    ...[0.3394407172182317, 0.30889042266755573, 0.35166886011421256],
  ),
};

/** How many rows of a longer signal are shown. */
const shownRows = 6;

interface Options extends BackendChoice {
  readonly upstream?: string;
  readonly header?: TableHeader;
}

export function demoCommand(session: Session): Command {
  return new Command('demo')
    .summary('shows why a softmax gradient can be zero, and the correct gradient')
    .description(
      'Walks through softmax, its Jacobian, the two ways of summing the Jacobian that give zero, the correct vector-Jacobian product, and sigmoid for comparison, on a sample signal or on INPUT.',
    )
    .argument('[INPUT]', 'file with a signal of shape (n, f); default: four samples of three features')
    .option(
      '--upstream <file>',
      'gradient that arrives from the loss, of the shape of the signal; default: 1 for one class of each row',
    )
    .option('--backend <name>', 'engine, as `softgrad backends` lists them; default: wasm where it can run, else cpu')
    .option('--module <file>', moduleHelp)
    .addOption(headerOption())
    .addHelpText(
      'after',
      `${filesHelp}

Examples:
  $ softgrad demo
  $ softgrad demo signal.csv --upstream gradient.csv --backend cpu`,
    )
    .action(async (input: string | undefined, options: Options) => {
      const { upstream, header } = options;
      if (input !== undefined && upstream !== undefined) {
        checkStandardInput([
          { label: 'INPUT', file: input },
          { label: '--upstream', file: upstream },
        ]);
      }
      const readers: RowReader[] = [];
      try {
        const open = async (file: string, label?: string) => {
          const reader = await openMatrix(file, options, session, label);
          readers.push(reader);
          return reader;
        };
        const ofSignal = input === undefined ? null : await open(input);
        const ofUpstream = upstream === undefined ? null : await open(upstream, '--upstream');
        checkHeader(header, readers);
        const whole = ofSignal ? await readMatrix(ofSignal, session) : signal;
        const cotangent = ofUpstream ? await readMatrix(ofUpstream, session) : oneClassARow(whole.shape);
        if (cotangent.shape.join() !== whole.shape.join()) {
          throw new SoftgradError(
            'ERR_SHAPE',
            `--upstream ${upstream}: shape ${formatShape(cotangent.shape)}; expected ${formatShape(whole.shape)}, the shape of the signal`,
          );
        }
        await withBackend(options, session, (backend) => explain(whole, cotangent, backend, session.stdout));
      } finally {
        for (const reader of readers) await reader.close();
      }
    });
}

async function openMatrix(
  file: string,
  { header }: Options,
  session: Session,
  label: string | undefined,
): Promise<RowReader> {
  const table = { header, headerAdvice };
  const reader = await (label === undefined
    ? openArray(file, session, table)
    : openOperand(label, file, session, table));
  if (reader.shape.length === 2) return reader;
  await reader.close();
  throw new SoftgradError(
    'ERR_SHAPE',
    `${label === undefined ? '' : `${label} `}${file}: shape ${formatShape(reader.shape)}; expected (n, f), samples by features`,
  );
}

async function readMatrix(reader: RowReader, session: Session): Promise<Matrix> {
  const array = await readWatched(reader, 'pass fewer rows', session);
  const [rows = 0, columns = 0] = array.shape;
  if (rows === 0 || columns === 0)
    throw new SoftgradError('ERR_SHAPE', `${reader.name}: ${formatShape(array.shape)} is empty`);
  const shown = Math.min(rows, shownRows);
  if (shown < rows) session.stdout.write(`The first ${shown} of ${rows} rows of ${reader.name}:\n`);
  return { ...array, shape: [shown, columns], data: array.data.slice(0, shown * columns) };
}

/** The gradient of a loss that depends on one probability of each row. */
function oneClassARow([rows, classes]: Matrix['shape']): Matrix {
  const data = new Float64Array(rows * classes);
  for (let row = 0; row < rows; row++) data[row * classes + (row % classes)] = 1;
  return { shape: [rows, classes], data };
}

async function explain(array: Matrix, cotangent: Matrix, backend: Backend, stdout: OutputStream): Promise<void> {
  const section = (title: string, explanation: string, matrix: string) => {
    const heading = stdout.isTTY ? `\u001b[1m${title}\u001b[22m` : title;
    stdout.write(`\n${heading}\n${formatProse(explanation, stdout)}\n${matrix}\n`);
  };
  const dtype = backend.supports.dtypes.includes('float64') ? 'float64' : 'float32';
  const [rows, classes] = array.shape;
  const toTensor = ({ data, shape }: FileArray): Tensor => tensor(data, { shape, dtype, backend });
  using x = toTensor(array);
  using g = toTensor(cotangent);
  using s = softmax(x);
  using J = softmax.jacobian(s);
  using dx = softmax.vjp(s, g);
  using y = sigmoid(x);
  using ones = toTensor({ ...cotangent, data: new Float64Array(rows * classes).fill(1) });
  using dy = sigmoid.vjp(y, ones);
  const jacobian = inRows(Array.from(await J.data()), classes);
  const columnSums = inRows(jacobian, classes).flatMap(sumRows);
  const matrix = async (t: Tensor) => formatMatrix(await t.data(), classes);

  section(
    'The signal x',
    `${formatShape(x.shape)} in ${dtype}, computed on ${backend.name} (${backend.supports.device}).`,
    await matrix(x),
  );
  section('softmax(x)', 'Probabilities s = exp(x) / Σ exp(x): every row adds up to 1.', await matrix(s));
  section(
    'softmax.jacobian(s)',
    `The derivative of one row is a matrix, J = diag(s) − s sᵀ, so that of all rows has shape ${formatShape(J.shape)}. The first:`,
    formatMatrix(jacobian.slice(0, classes).flat(), classes),
  );
  section(
    'The np.roll way to get back to the shape of x',
    'Adding s ⊙ (δ − np.roll(s, k)) over all k sums each row of J. Since probabilities always add up to 1, that sum is 0; what is left is rounding noise:',
    formatMatrix(sumRolled(jacobian), classes),
  );
  section(
    'The J.sum(axis=1) way',
    `The same zero, added in another order: at most ${formatNumber(largest(columnSums))} here. A network trained with either does not learn:`,
    formatMatrix(columnSums, classes),
  );
  section(
    'The upstream gradient g',
    'The derivative of the loss with respect to each probability, ∂L/∂s, which backpropagation provides.',
    await matrix(g),
  );
  section(
    'softmax.vjp(s, g)',
    'The correct derivative: dx = Jᵀ g = s ⊙ (g − ⟨s, g⟩), in the shape of x, without building J.',
    await matrix(dx),
  );
  section('sigmoid(x)', 'For comparison: y = 1 / (1 + exp(−x)) depends on one entry only …', await matrix(y));
  section(
    'sigmoid.vjp(y, ones)',
    '… so its Jacobian is diagonal, and y (1 − y) has the shape of x. This is why the sigmoid layer worked.',
    await matrix(dy),
  );
}

/** Consecutive entries as rows of a given length. */
function inRows<T>(entries: readonly T[], length: number): T[][] {
  return Array.from({ length: entries.length / length }, (_, row) => entries.slice(row * length, (row + 1) * length));
}

/** The sum of row i of each J in the order of np.roll: i, i − 1, …, wrapping around at the end. */
function sumRolled(jacobian: readonly (readonly number[])[]): number[] {
  return jacobian.map((row, r) => {
    const i = r % row.length;
    return sum([...row.slice(0, i + 1).reverse(), ...row.slice(i + 1).reverse()]);
  });
}

/** `J.sum(axis=1)` of one J, given its rows. */
function sumRows(matrix: readonly (readonly number[])[]): number[] {
  return matrix.map((_, j) => sum(matrix.map((row) => row[j] ?? Number.NaN)));
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}

function largest(values: readonly number[]): number {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}
