import Table from 'cli-table3';
import { type Backend, loadProvider, registered, sigmoid, softmax, tensor } from 'softgrad';
import { entry } from '../entry.js';

/** The signal of the question: 4 samples of 3 features. */
const signal = [
  [0.3394572666491664, 0.3089068053925853, 0.3516359279582483],
  [0.33932706934615525, 0.3094755563319447, 0.3511973743219001],
  [0.3394407172182317, 0.30889042266755573, 0.35166886011421256],
  [0.3394407172182317, 0.30889042266755573, 0.35166886011421256],
];
/** A gradient that arrives from a loss. */
const upstream = [
  [1, 0, 0],
  [0, 1, 0],
  [0, 0, 1],
  [1, 0, 0],
];

/** What one backend makes of the question. */
interface Answer {
  readonly softmax: Float64Array;
  readonly jacobian: Float64Array;
  readonly vjp: Float64Array;
  readonly sigmoid: Float64Array;
  readonly sigmoidDerivative: Float64Array;
}

if (process.argv.slice(2).some((argument) => argument === '--help' || argument === '-h')) {
  console.log('The question from start to finish on every backend that runs here, side by side. It has no options.');
  process.exit();
}

const answers = new Map<string, Answer>();
const absent: string[] = [];
for (const name of registered()) {
  try {
    const provider = await loadProvider(name);
    const reason = await provider.unavailable();
    if (reason !== null) throw new Error(reason);
    const backend = await provider.open();
    answers.set(
      `${name}, ${backend.supports.dtypes.includes('float64') ? 'float64' : 'float32'}`,
      await answer(backend),
    );
    await backend.close();
  } catch (error) {
    absent.push(`${name}: ${error instanceof Error ? error.message : error}`);
  }
}
print();

async function answer(backend: Backend): Promise<Answer> {
  const dtype = backend.supports.dtypes.includes('float64') ? 'float64' : 'float32';
  const on = { dtype, backend } as const;
  const wide = async (x: { data(): Promise<ArrayLike<number>> }) => Float64Array.from(await x.data());
  using x = tensor(signal, on);
  using g = tensor(upstream, on);
  using ones = tensor(
    signal.map((row) => row.map(() => 1)),
    on,
  );
  using s = softmax(x);
  using y = sigmoid(x);
  using J = softmax.jacobian(s);
  using dx = softmax.vjp(s, g);
  using slope = sigmoid.vjp(y, ones);
  return {
    softmax: await wide(s),
    jacobian: await wide(J),
    vjp: await wide(dx),
    sigmoid: await wide(y),
    sigmoidDerivative: await wide(slope),
  };
}

/** In NumPy: `for k in range(f): d += s * ((k == 0) - np.roll(s, k, axis=1))`. */
function rolled(s: Float64Array): Float64Array {
  return s.map((value, at) => {
    const row = Math.floor(at / 3) * 3;
    let sum = 0;
    for (let k = 0; k < 3; k++) sum += value * ((k === 0 ? 1 : 0) - entry(s, row + ((at - row - k + 3) % 3)));
    return sum;
  });
}

/** In NumPy: `J.sum(axis=1)`. */
function summed(jacobian: Float64Array): Float64Array {
  return Float64Array.from({ length: jacobian.length / 3 }, (_, at) => {
    const start = Math.floor(at / 3) * 9 + (at % 3);
    return entry(jacobian, start) + entry(jacobian, start + 3) + entry(jacobian, start + 6);
  });
}

/** Six digits; an exact 0 as 0. */
function format(value: number): string {
  return value === 0 ? '0' : value.toPrecision(6);
}

function print(): void {
  const reference = entry([...answers.values()], 0);
  const names = [...answers.keys()];
  const show = (values: Float64Array) => [...values.subarray(0, 3)].map((v) => format(v)).join('\n');
  const largest = (values: Float64Array) => Math.max(...values.map(Math.abs)).toExponential(1);
  const error = (own: Float64Array, right: Float64Array) =>
    `± ${Math.max(...own.map((v, k) => Math.abs(v - entry(right, k)))).toExponential(1)}`;
  const table = new Table({ head: ['first row of', ...names], style: { head: [], border: [] } });
  const row = (what: string, of: (answer: Answer) => string) => table.push([what, ...Array.from(answers.values(), of)]);
  const compared = (what: string, pick: (answer: Answer) => Float64Array) =>
    row(what, (a) => `${show(pick(a))}\n${error(pick(a), pick(reference))}`);
  compared('softmax(x)', (a) => a.softmax);
  compared('softmax.jacobian(s), its first line', (a) => a.jacobian);
  row(
    'summed up the np.roll way:\nrounding noise',
    (a) => `${show(rolled(a.softmax))}\nlargest ${largest(rolled(a.softmax))}`,
  );
  row(
    'summed up, J.sum(axis=1):\nrounding noise',
    (a) => `${show(summed(a.jacobian))}\nlargest ${largest(summed(a.jacobian))}`,
  );
  compared('softmax.vjp(s, g), g = [1, 0, 0]:\nthe right derivative', (a) => a.vjp);
  compared('sigmoid(x)', (a) => a.sigmoid);
  compared('sigmoid.vjp(y, ones) = y (1 − y)', (a) => a.sigmoidDerivative);
  console.log(
    'The same signal on every backend that runs here; ± is the largest difference from the first.\nRounding noise is some 1e-17 in float64, some 1e-8 in float32.\n',
  );
  console.log(table.toString());
  for (const reason of absent) console.log(`not here: ${reason}`);
}
