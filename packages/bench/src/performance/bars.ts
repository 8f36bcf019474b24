import type { BenchReport } from '../report.js';
import { formatMs } from '../table.js';
import type { BenchShape } from '../workloads.js';
import { plainWasm, relaxedWasm, type Studies } from './studies.js';
import { costTarget, type Selector, shareTarget, speedUpTarget, type Target } from './targets.js';

const isShort = ([, classes]: BenchShape) => classes <= 10;
const isLarge = ([rows, classes]: BenchShape) => rows * classes >= 500_000;
const isSingleThousand = ([rows, classes]: BenchShape) => rows === 1 && classes === 1000;

/** softgrad's own bars for speed, each with what a run came to. */
export function speedTargets(studies: Studies): readonly Target[] {
  return [...overOnnxruntime(studies), ...overOthers(studies), ...overOwnBounds(studies)];
}

const softmax: Selector = { op: 'softmax' };

function overOnnxruntime({ softmax: report, threads }: Studies): readonly Target[] {
  const slow = 'onnxruntime-node';
  return [
    speedUpTarget(report, {
      ...softmax,
      what: 'wasm softmax over onnxruntime-node (native, AVX-512), one thread, both allocating',
      bar: '≥ 1.5× at every shape, ≥ 3× in the geometric mean',
      fast: plainWasm,
      slow,
      mode: 'allocating',
      least: () => 1.5,
      geometricMean: 3,
    }),
    speedUpTarget(report, {
      ...softmax,
      what: 'the same, output preallocated on both sides, plain SIMD',
      bar: '≥ 3× at f ≤ 10 and at 1×1000, ≥ 0.8× elsewhere',
      fast: plainWasm,
      slow,
      mode: 'reused',
      least: (shape) => (isShort(shape) || isSingleThousand(shape) ? 3 : 0.8),
    }),
    speedUpTarget(report, {
      ...softmax,
      what: 'the same, relaxed SIMD',
      bar: '≥ 1.1× at every shape',
      fast: relaxedWasm,
      slow,
      mode: 'reused',
      least: () => 1.1,
    }),
    speedUpTarget(threads, {
      ...softmax,
      what: 'wasm softmax over onnxruntime-node, two threads each, both allocating',
      bar: '≥ 1.3× at every shape of at least 500,000 elements',
      fast: `${plainWasm}:threads=2`,
      slow: 'onnxruntime-node-2t',
      mode: 'allocating',
      shapes: isLarge,
      least: () => 1.3,
    }),
  ];
}

function overOthers({ softmax: report, slowPeers }: Studies): readonly Target[] {
  const over = (from: BenchReport, slow: string, bar: string, least: (shape: BenchShape) => number) =>
    speedUpTarget(from, {
      ...softmax,
      what: `wasm softmax over ${slow}, both allocating`,
      bar,
      fast: plainWasm,
      slow,
      mode: 'allocating',
      least,
    });
  return [
    over(report, 'tfjs-wasm', '≥ 1.3× at every shape, ≥ 6× at f ≤ 10', (shape) => (isShort(shape) ? 6 : 1.3)),
    over(report, 'onnxruntime-web', '≥ 3× at every shape', () => 3),
    over(slowPeers, 'jax', '≥ 8× at every shape', () => 8),
    over(slowPeers, 'tfjs-cpu', '≥ 100× at every shape', () => 100),
    speedUpTarget(report, {
      ...softmax,
      what: 'cpu softmax over naive loops, both with a reused output',
      bar: '≥ 3× at every shape',
      fast: 'cpu',
      slow: 'naive',
      mode: 'reused',
      least: () => 3,
    }),
  ];
}

function overOwnBounds({ ops, float64, callOverhead }: Studies): readonly Target[] {
  return [
    shareTarget(ops, {
      op: 'vjp',
      what: 'wasm vjp: bytes moved per second over those of memcpy',
      bar: '≥ 0.8 at shapes over 500,000 elements',
      contender: plainWasm,
      roof: 'memcpy',
      bytes: 3 / 2,
      shapes: isLarge,
      least: () => 0.8,
    }),
    shareTarget(ops, {
      op: 'jacobian',
      what: 'wasm Jacobian: bytes written per second over those of a fill',
      bar: '≥ 0.9 at 1024×128 and 64×1000, ≥ 0.6 at 65536×3 and 4096×10',
      contender: plainWasm,
      roof: 'fill',
      bytes: 1,
      least: (shape) => (isShort(shape) ? 0.6 : 0.9),
    }),
    costTarget(ops, {
      what: 'wasm crossEntropy (loss and gradient): time over that of softmax',
      bar: '≤ 1.3',
      contender: plainWasm,
      of: { op: 'crossEntropy' },
      over: softmax,
      bytes: 1,
      most: 1.3,
    }),
    ...['cpu', plainWasm].map((contender) =>
      costTarget(float64, {
        what: `${contender} softmax in float64: time over that in float32`,
        bar: '≤ 2.5',
        contender,
        of: { op: 'softmax', dtype: 'float64' },
        over: softmax,
        bytes: 2,
        most: 2.5,
      }),
    ),
    ...[...callOverhead].map(([name, { overheadMs, quartilesMs, callMs, kernelMs }]) => ({
      what: `${name}: what the public API adds to a call of (1, 10)`,
      bar: '≤ 2 µs',
      measured: `${formatMs(overheadMs)} (quartiles ${quartilesMs.map((ms) => formatMs(ms)).join(' and ')}): ${formatMs(callMs)} over ${formatMs(kernelMs)}`,
      met: overheadMs <= 2e-3,
    })),
  ];
}
