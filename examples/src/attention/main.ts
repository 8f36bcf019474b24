import { type Backend, gradcheck, softmax, tensor } from 'softgrad';
import { chooseBackend } from '../backend.js';
import { command, count } from '../command-line.js';
import { randomFrom } from '../digits/data.js';
import { entry } from '../entry.js';
import { attend, attendBackward, causalMask, type Inputs, type Sizes } from './attention.js';

const help = `Causal scaled dot-product attention of several heads, forward and backward, with softmax's mask and vjp.

The softmax inside is checked by gradcheck; the gradients of queries, keys and values by differences of the whole thing.

  --heads N        (default 2)
  --positions N    tokens that look at each other (default 6)
  --width N        of queries, keys and values (default 4)
  --backend NAME   one with float64: cpu or wasm (default: wasm where it runs, else cpu)
`;

const taken = {
  heads: { type: 'string', default: '2' },
  positions: { type: 'string', default: '6' },
  width: { type: 'string', default: '4' },
  backend: { type: 'string' },
} as const;

await command(help, taken, async (options) => {
  const sizes = {
    heads: count('heads', options.heads),
    positions: count('positions', options.positions),
    width: count('width', options.width),
  };
  const backend = await chooseBackend(options.backend);
  const random = randomFrom(4);
  const normal = () =>
    Float64Array.from({ length: sizes.heads * sizes.positions * sizes.width }, () => 2 * random() - 1);
  const inputs: Inputs = { queries: normal(), keys: normal(), values: normal() };
  const upstream = normal();

  using forward = await attend(inputs, sizes, backend);
  console.log(`Who looks at whom in the first head, on ${backend.name}: a row a position, nobody looks ahead`);
  const probabilities = await forward.probabilities.data();
  for (let t = 0; t < sizes.positions; t++) {
    const row = probabilities.subarray(t * sizes.positions, (t + 1) * sizes.positions);
    console.log(`  ${[...row].map((p) => (p === 0 ? '     .' : p.toFixed(4))).join('  ')}`);
  }

  const gradients = await attendBackward(inputs, forward, upstream, sizes);
  console.log('\nLargest error of each gradient against central differences of the whole function:');
  let right = await softmaxIsRight(backend, sizes.positions);
  for (const name of ['queries', 'keys', 'values'] as const) {
    const error = await largestError(inputs, name, gradients[name], upstream, sizes, backend);
    console.log(`  ∂L/∂${name.padEnd(8)} ${error.toExponential(1)}`);
    right &&= error < 1e-8;
  }
  console.log(right ? '\nAll right.' : '\nWRONG.');
  process.exitCode = right ? 0 : 1;
  await backend.close();
});

async function softmaxIsRight(backend: Backend, positions: number): Promise<boolean> {
  const random = randomFrom(5);
  const scores = Float64Array.from({ length: positions ** 2 }, () => 4 * random() - 2);
  using x = tensor(scores, { shape: [positions, positions], backend });
  const report = await gradcheck(softmax, x, { mask: causalMask({ positions }) });
  console.log(
    `  softmax with the causal mask, by gradcheck: ${report.maxError.toExponential(1)}, ${report.ok ? 'ok' : 'WRONG'}`,
  );
  return report.ok;
}

/** Against (L(x + h) − L(x − h)) / 2h, L = Σ upstream ⊙ output; in float64 right to about 1e-10. */
async function largestError(
  inputs: Inputs,
  name: keyof Inputs,
  gradient: Float64Array,
  upstream: Float64Array,
  sizes: Sizes,
  backend: Backend,
): Promise<number> {
  const step = 1e-5;
  const loss = async (at: number, change: number) => {
    const moved = inputs[name].slice();
    moved[at] = entry(moved, at) + change;
    using forward = await attend({ ...inputs, [name]: moved }, sizes, backend);
    return forward.output.reduce((sum, value, k) => sum + value * entry(upstream, k), 0);
  };
  let largest = 0;
  for (const [at, slope] of gradient.entries()) {
    const difference = ((await loss(at, step)) - (await loss(at, -step))) / (2 * step);
    largest = Math.max(largest, Math.abs(difference - slope));
  }
  return largest;
}
