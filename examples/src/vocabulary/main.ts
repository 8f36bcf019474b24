import { SingleBar } from 'cli-progress';
import { crossEntropy, empty, type Tensor, tensor } from 'softgrad';
import { chooseBackend } from '../backend.js';
import { command, count } from '../command-line.js';
import { randomFrom } from '../digits/data.js';
import { multiply, multiplyByTransposed } from '../digits/matmul.js';
import { entry } from '../entry.js';

const help = `The loss of a language model over a vocabulary of 128,256 tokens, in memory for a few rows at a time.

The logits of all positions would not fit a small machine; the loss does not need them all at once. Rows go through
crossEntropy in chunks, loss and gradient in one pass, into two tensors that are made once. A few steps of gradient descent on
the hidden states show that the gradient is right: the loss falls.

  --positions N    tokens of text (default 64)
  --classes N      size of the vocabulary (default 128256)
  --width N        length of a hidden state (default 16)
  --chunk N        rows at a time (default 8)
  --steps N        steps of gradient descent (default 3)
  --backend NAME   cpu, wasm, … (default: wasm where it runs, else cpu)
`;

const taken = {
  positions: { type: 'string', default: '64' },
  classes: { type: 'string', default: '128256' },
  width: { type: 'string', default: '16' },
  chunk: { type: 'string', default: '8' },
  steps: { type: 'string', default: '3' },
  backend: { type: 'string' },
} as const;

await command(help, taken, async (options) => {
  const positions = count('positions', options.positions);
  const classes = count('classes', options.classes);
  const width = count('width', options.width);
  const chunk = Math.min(count('chunk', options.chunk), positions);
  const steps = count('steps', options.steps);
  const backend = await chooseBackend(options.backend);
  const megabytes = (rows: number) => `${((rows * classes * 4) / 1e6).toFixed(0)} MB`;
  console.log(
    `${positions} positions × ${classes} classes on ${backend.name}: all logits would be ${megabytes(positions)},`,
  );
  console.log(
    `a chunk of ${chunk} rows is ${megabytes(chunk)}; loss at chance is log ${classes} = ${Math.log(classes).toFixed(4)}`,
  );

  const random = randomFrom(3);
  const uniform = (length: number) => Float32Array.from({ length }, () => 2 * random() - 1);
  const hidden = uniform(positions * width);
  const unembedding = uniform(width * classes);
  const tokens = Int32Array.from({ length: positions }, () => Math.floor(random() * classes));

  // The two tensors that all chunks share, besides their logits on the host.
  using logits = empty([chunk, classes]);
  using gradient = empty([chunk, classes]);
  const scores = new Float32Array(chunk * classes);
  const bar = new SingleBar({ format: 'step {step} [{bar}] {value}/{total} positions', clearOnComplete: true });
  for (let step = 0; step < steps; step++) {
    if (process.stderr.isTTY) bar.start(positions, 0, { step });
    const slope = new Float32Array(hidden.length);
    let total = 0;
    for (let start = 0; start < positions; start += chunk) {
      // The last chunk is moved back to be full; rows that were done before are ignored.
      const from = Math.min(start, positions - chunk);
      const rows = hidden.subarray(from * width, (from + chunk) * width);
      multiply(scores, rows, unembedding, chunk, width, classes);
      total += await lossOfChunk(
        logits,
        gradient,
        scores,
        tokens.slice(from, from + chunk).fill(-100, 0, start - from),
      );
      const delta = await gradient.data();
      const rowSlopes = new Float32Array(chunk * width);
      multiplyByTransposed(rowSlopes, delta, unembedding, chunk, classes, width);
      for (const [k, value] of rowSlopes.entries()) {
        slope[from * width + k] = entry(slope, from * width + k) + value / positions;
      }
      bar.update(from + chunk);
    }
    bar.stop();
    const peak = `${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MB`;
    console.log(`step ${step}  loss ${(total / positions).toFixed(4)}  memory at most ${peak}`);
    for (const [k, value] of hidden.entries()) hidden[k] = value - positions * 0.5 * entry(slope, k);
  }
  await backend.close();
});

/** The summed loss of a chunk; its gradient goes into `gradient`. */
async function lossOfChunk(
  logits: Tensor,
  gradient: Tensor,
  scores: Float32Array,
  tokens: Int32Array,
): Promise<number> {
  tensor(scores, { out: logits });
  const { loss } = crossEntropy(logits, tokens, { reduction: 'sum', out: { gradient } });
  const value = entry(await loss.data(), 0);
  loss.dispose();
  return value;
}
