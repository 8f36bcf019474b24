import { SingleBar } from 'cli-progress';
import { chooseBackend } from '../backend.js';
import { command, count, oneOf } from '../command-line.js';
import { entry } from '../entry.js';
import { writeCurves } from '../write-curves.js';
import type { Epoch } from './curves.js';
import { type Digits, loadDigits, pixelsPerDigit, randomFrom, shuffle } from './data.js';
import { estimate } from './estimate.js';
import { type Derivative, network } from './network.js';

const help = `Trains a network of 784–64–10 units on 9,000 handwritten digits and tests it on 1,000 others.

  --derivative fused|vjp|row-sum|diagonal|all   what stands for the derivative of softmax (default fused)
        fused     crossEntropy's gradient, s − y
        vjp       softmax.vjp with the loss's slope ∂L/∂s: the same, in two steps
        row-sum   the rows of the Jacobian summed up, the mistake in question: nothing is learned
        diagonal  s (1 − s), softmax treated as sigmoid
  --activation relu|sigmoid   of the hidden layer (default relu)
  --backend NAME              cpu, wasm, … (default: wasm where it runs, else cpu)
  --epochs N                  passes over the digits (default 10)
  --digits N                  train on the first N only (default 9000)
  --svg FILE                  write the accuracy curves there
`;

const taken = {
  derivative: { type: 'string', default: 'fused' },
  activation: { type: 'string', default: 'relu' },
  backend: { type: 'string' },
  epochs: { type: 'string', default: '10' },
  digits: { type: 'string', default: '9000' },
  svg: { type: 'string' },
} as const;

await command(help, taken, async (options) => {
  const choices = ['fused', 'vjp', 'row-sum', 'diagonal'] as const;
  const chosen = oneOf('derivative', options.derivative, [...choices, 'all']);
  const activation = oneOf('activation', options.activation, ['relu', 'sigmoid']);
  const epochs = count('epochs', options.epochs);
  const most = count('digits', options.digits);
  // The package that draws is only loaded for those who want a picture, and before the training.
  const draw = options.svg === undefined ? undefined : (await import('./curves.js')).curves;
  const backend = await chooseBackend(options.backend);
  const { train, test } = loadDigits();
  const used = slice(train, 0, Math.min(most, train.count));
  console.log(`${used.count} digits to learn from, ${test.count} held out; ${activation}, on ${backend.name}`);
  const runs = new Map<string, readonly Epoch[]>();
  const derivatives = chosen === 'all' ? choices : [chosen];
  const onEpoch = estimate(derivatives.length, epochs);
  for (const derivative of derivatives) {
    const net = network(backend, derivative, activation);
    runs.set(derivative, await trainNetwork(derivative, net, used, test, epochs, onEpoch));
  }
  if (options.svg !== undefined && draw) writeCurves(options.svg, draw(runs));
  await backend.close();
});

async function trainNetwork(
  derivative: Derivative,
  net: ReturnType<typeof network>,
  train: Digits,
  test: Digits,
  epochs: number,
  onEpoch: () => void,
): Promise<readonly Epoch[]> {
  const batchSize = 50;
  const learningRate = 0.2;
  const random = randomFrom(2);
  const order = Array.from({ length: train.count }, (_, k) => k);
  const history: Epoch[] = [];
  const evaluate = async (epoch: number) => {
    const evaluated = { epoch, ...(await net.evaluate(test)) };
    history.push(evaluated);
    console.log(line(derivative, evaluated));
  };
  await evaluate(0);
  for (let epoch = 1; epoch <= epochs; epoch++) {
    shuffle(order, random);
    const bar = new SingleBar({ format: `epoch ${epoch} [{bar}] {percentage}%, loss {loss}`, clearOnComplete: true });
    if (process.stderr.isTTY) bar.start(train.count, 0, { loss: '' });
    for (let start = 0; start < train.count; start += batchSize) {
      const loss = await net.step(pick(train, order.slice(start, start + batchSize)), learningRate);
      bar.update(Math.min(start + batchSize, train.count), { loss: loss.toFixed(4) });
    }
    bar.stop();
    await evaluate(epoch);
    onEpoch();
  }
  return history;
}

function line(derivative: string, { epoch, loss, accuracy }: Epoch): string {
  const percent = (100 * accuracy).toFixed(1).padStart(5);
  return `${derivative.padEnd(8)}  epoch ${String(epoch).padStart(2)}  loss ${loss.toFixed(4)}  accuracy ${percent} %`;
}

function slice(digits: Digits, from: number, to: number): Digits {
  return {
    count: to - from,
    pixels: digits.pixels.subarray(from * pixelsPerDigit, to * pixelsPerDigit),
    labels: digits.labels.subarray(from, to),
  };
}

function pick(digits: Digits, indices: readonly number[]): Digits {
  const pixels = new Float32Array(indices.length * pixelsPerDigit);
  const labels = new Int32Array(indices.length);
  indices.forEach((index, k) => {
    pixels.set(digits.pixels.subarray(index * pixelsPerDigit, (index + 1) * pixelsPerDigit), k * pixelsPerDigit);
    labels[k] = entry(digits.labels, index);
  });
  return { count: indices.length, pixels, labels };
}
