// Times the kernels as they are against those of another revision, interleaved in one process: what a change is worth.
//
//   node scripts/time-kernels.mjs [REVISION] [--op softmax] [--shapes 4096x10,1024x1000] [--dtype float32] [--spread 8]
//                                 [--rounds 30] [--relaxed]
//
// REVISION is HEAD unless given. The figures are the tenth percentile of the rounds, since what else the machine does only
// ever adds time. --relaxed needs an engine with relaxed SIMD: Node 20 has it behind --experimental-wasm-relaxed-simd.
// Needs clang-19 and lld-19; npm fetches Binaryen.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { argumentsOf } from '../../../scripts/arguments.mjs';
import { builds, compile, optimize } from './build-kernels.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const git = (...args) => execFileSync('git', args, { cwd: root, encoding: 'utf8' });

const { values, positionals } = argumentsOf(import.meta.url, {
  allowPositionals: true,
  options: {
    op: { type: 'string', default: 'softmax' },
    shapes: { type: 'string', default: '1x1000,64x10,4096x10,65536x3,4096x128,1024x1000,256x32000,32x128256' },
    dtype: { type: 'string', default: 'float32' },
    spread: { type: 'string', default: '8' },
    rounds: { type: 'string', default: '30' },
    relaxed: { type: 'boolean', default: false },
  },
});
const [revision = 'HEAD'] = positionals;
const double = values.dtype === 'float64';
const bytes = double ? 8 : 4;
const build = values.relaxed ? 'relaxed' : 'simd';
const contenders = [
  [revision, await compileRevision()],
  ['now', await optimize(build, await compile(builds[build]))],
].map(([name, module]) => ({ name, ...instance(module), samples: [] }));

console.log(`${values.op}, ${values.dtype}, logits in ±${values.spread}: µs a call, ns a logit`);
for (const shape of values.shapes.split(',')) {
  const [rows, classes] = shape.split('x').map(Number);
  const calls = contenders.map((contender) => prepare(contender, rows, classes));
  const size = rows * classes * (values.op === 'jacobian' ? classes : 1);
  const repeats = Math.max(1, Math.min(100_000, Math.round(4e5 / size)));
  for (const call of calls) for (let k = 0; k < Math.max(3, Math.min(20_000, 3e6 / size)); k++) call();
  for (const { samples } of contenders) samples.length = 0;
  for (let round = 0; round < Number(values.rounds); round++) {
    for (let i = 0; i < calls.length; i++) {
      const which = (i + round) % calls.length;
      const start = performance.now();
      for (let k = 0; k < repeats; k++) calls[which]();
      contenders[which].samples.push((performance.now() - start) / repeats);
    }
  }
  const [before, now] = contenders.map(({ samples }) => samples.sort((a, b) => a - b)[Math.floor(samples.length / 10)]);
  const cell = (ms) =>
    `${(ms * 1e3).toFixed(2).padStart(10)} ${((ms * 1e6) / (rows * classes)).toFixed(3).padStart(8)}`;
  console.log(`${shape.padEnd(12)} ${revision} ${cell(before)}   now ${cell(now)}   ${(before / now).toFixed(2)}×`);
}

async function compileRevision() {
  const folder = mkdtempSync(join(tmpdir(), 'softgrad-revision-'));
  try {
    const kernels = join(folder, 'kernels');
    mkdirSync(kernels);
    for (const file of git('ls-tree', '--name-only', revision, 'src/kernels/').trim().split('\n')) {
      writeFileSync(join(kernels, file.slice(file.lastIndexOf('/') + 1)), git('show', `${revision}:./${file}`));
    }
    return await optimize(build, await compile(builds[build], kernels));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function instance(module) {
  const memory = new WebAssembly.Memory({ initial: 64, maximum: 65536 });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module), { env: { memory } });
  return { memory, exports };
}

/** A call of the kernel on logits that are the same for every contender. */
function prepare({ memory, exports }, rows, classes) {
  const logits = rows * classes;
  const matrices = values.op === 'jacobian' ? logits * classes : logits;
  const base = Math.ceil(exports.__heap_base.value / 64) * 64;
  const place = (() => {
    let top = base;
    return (size) => {
      const address = top;
      top += Math.ceil(size / 64) * 64 + 64;
      return address;
    };
  })();
  const scratch = place(64 * 1024 + 3 * classes * 16);
  const [x, out, g, loss, target] = [logits, matrices, logits, rows, rows].map((size) => place(size * bytes));
  const missing = target + rows * bytes - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / 65536));
  const next = mulberry32(rows + classes);
  const view = (address, length) =>
    double ? new Float64Array(memory.buffer, address, length) : new Float32Array(memory.buffer, address, length);
  const host = view(x, logits).map(() => (next() * 2 - 1) * Number(values.spread));
  view(x, logits).set(host);
  view(g, logits).set(host.map(() => next() * 2 - 1));
  new Int32Array(memory.buffer, target, rows).set(Int32Array.from({ length: rows }, () => next() * classes));
  const kernel = (name) => exports[`${name}_${double ? 'f64' : 'f32'}`];
  const groups = Math.ceil(rows / (16 / bytes));
  const softmax = () => kernel('softmax')(0, groups, rows, classes, 1, out, x, scratch, 1);
  if (values.op === 'vjp' || values.op === 'jacobian') {
    // Of probabilities, not of logits.
    softmax();
    view(x, logits).set(view(out, logits).slice());
  }
  switch (values.op) {
    case 'vjp':
      return () => kernel('vjp')(0, groups, rows, classes, 1, out, x, g, scratch, 1);
    case 'jacobian':
      return () => kernel('jacobian')(0, rows, rows, classes, 1, out, x, scratch, 1);
    case 'crossEntropy':
      return () =>
        kernel('cross_entropy')(
          ...[0, groups, rows, classes, 1, loss, out, x, scratch, target, 0, 0, 0, 0],
          ...[0, 1 / rows, 1, -100],
        );
    case 'logSoftmax':
      return () => kernel('log_softmax')(0, groups, rows, classes, 1, out, x, scratch, 1);
    case 'logSumExp':
      return () => kernel('log_sum_exp')(0, groups, rows, classes, 1, out, x, scratch, 1);
    case 'softmax':
      return softmax;
    default:
      throw new Error(`--op ${values.op}: expected softmax, logSoftmax, logSumExp, vjp, jacobian or crossEntropy`);
  }
}

/** Uniform in [0, 1), the same every time (Mulberry32). */
function mulberry32(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
