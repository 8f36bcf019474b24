import { type BenchReport, type BenchShape, formatMs, plainOpOf } from '@softgrad/bench';
import { plainWasm, relaxedWasm, shownName } from './names.js';
import type { Studies } from './studies.js';
import { boundTarget, costTarget, type Selector, shareTarget, speedUpTarget, type Target } from './targets.js';

const isShort = ([, classes]: BenchShape) => classes <= 10;
const isLarge = ([rows, classes]: BenchShape) => rows * classes >= 500_000;
const isSingleThousand = ([rows, classes]: BenchShape) => rows === 1 && classes === 1000;

/** softgrad's own speed targets, each with the measured value. */
export function speedTargets(studies: Studies): readonly Target[] {
  return [...overOnnxruntime(studies), ...overOthers(studies), ...overOwnBounds(studies), ...callTargets(studies)];
}

const softmax: Selector = { op: 'softmax' };
const builds = [plainWasm, relaxedWasm];

function overOnnxruntime({ softmax: report, threads }: Studies): readonly Target[] {
  const slow = 'onnxruntime-node';
  const preallocated = (fast: string, bar: string, least: (shape: BenchShape) => number) =>
    speedUpTarget(report, {
      ...softmax,
      what: `${shownName(fast)} softmax over onnxruntime-node, one thread, output preallocated on both sides`,
      bar,
      fast,
      slow,
      mode: 'reused',
      least,
    });
  return [
    ...[
      { fast: plainWasm, each: 1.5, mean: 3.3 },
      { fast: relaxedWasm, each: 2, mean: 4 },
    ].map(({ fast, each, mean }) =>
      speedUpTarget(report, {
        ...softmax,
        what: `${shownName(fast)} softmax over onnxruntime-node (native code), one thread, both allocating`,
        bar: `≥ ${each}× at every shape, ≥ ${mean}× in the geometric mean`,
        fast,
        slow,
        mode: 'allocating',
        least: () => each,
        geometricMean: mean,
      }),
    ),
    preallocated(plainWasm, '≥ 3× at f ≤ 10 and at 1×1000, ≥ 0.8× elsewhere', (shape) =>
      isShort(shape) || isSingleThousand(shape) ? 3 : 0.8,
    ),
    preallocated(relaxedWasm, '≥ 1.1× at every shape', () => 1.1),
    ...builds.map((fast) =>
      speedUpTarget(threads, {
        ...softmax,
        what: `${shownName(`${fast}:threads=2`)} softmax over onnxruntime-node with two threads, both allocating`,
        bar: '≥ 1.3× at every shape of at least 500,000 elements',
        fast: `${fast}:threads=2`,
        slow: 'onnxruntime-node-2t',
        mode: 'allocating',
        shapes: isLarge,
        least: () => 1.3,
      }),
    ),
  ];
}

function overOthers({ softmax: report, slowPeers }: Studies): readonly Target[] {
  const over = (
    from: BenchReport,
    slow: string,
    bar: string,
    least: (shape: BenchShape) => number,
    mode: 'allocating' | 'endToEnd' = 'allocating',
  ) =>
    builds.map((fast) =>
      speedUpTarget(from, {
        ...softmax,
        what: `${shownName(fast)} softmax over ${slow}, ${mode === 'allocating' ? 'both allocating' : 'from host data to host data'}`,
        bar,
        fast,
        slow,
        mode,
        least,
      }),
    );
  return [
    ...['tfjs-wasm', 'onnxruntime-node'].flatMap((slow) =>
      over(report, slow, '≥ 1.3× at every shape', () => 1.3, 'endToEnd'),
    ),
    ...over(report, 'tfjs-wasm', '≥ 1.3× at every shape, ≥ 6× at f ≤ 10', (shape) => (isShort(shape) ? 6 : 1.3)),
    ...over(report, 'onnxruntime-web', '≥ 3× at every shape', () => 3),
    ...over(slowPeers, 'jax', '≥ 8× at every shape', () => 8),
    ...over(slowPeers, 'tfjs-cpu', '≥ 100× at every shape', () => 100),
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

function overOwnBounds({ softmax: report, ops, costs }: Studies): readonly Target[] {
  return [
    ...[
      { contender: plainWasm, least: 0.5 },
      { contender: relaxedWasm, least: 0.6 },
    ].map(({ contender, least }) =>
      boundTarget(report, {
        ...softmax,
        what: `${shownName(contender)} softmax: share of its bound`,
        bar: `≥ ${least} at f ≥ 128`,
        contender,
        shapes: ([, classes]) => classes >= 128,
        least,
      }),
    ),
    ...builds.map((contender) =>
      shareTarget(ops, {
        op: 'vjp',
        what: `${shownName(contender)} vjp: bytes moved per second over those of memcpy`,
        bar: '≥ 0.8 at shapes over 500,000 elements',
        contender,
        roof: 'memcpy',
        bytes: 3 / 2,
        shapes: isLarge,
        least: () => 0.8,
      }),
    ),
    ...builds.map((contender) =>
      shareTarget(ops, {
        op: 'jacobian',
        what: `${shownName(contender)} Jacobian: bytes written per second over those of a fill by vector stores`,
        bar: '≥ 0.9 at 1024×128 and 64×1000, ≥ 0.6 at 65536×3 and 4096×10',
        contender,
        roof: 'store',
        bytes: 1,
        least: (shape) => (isShort(shape) ? 0.6 : 0.9),
      }),
    ),
    ...builds.map((contender) =>
      costTarget(costs, {
        what: `${shownName(contender)} crossEntropy (loss and gradient): time over that of softmax`,
        bar: '≤ 1.5 at every shape',
        contender,
        of: { op: 'crossEntropy' },
        over: softmax,
        most: 1.5,
      }),
    ),
    ...optionBars.flatMap(({ op, what }) =>
      builds.map((contender) =>
        costTarget(costs, {
          what: `${shownName(contender)} ${what}: time over that of the plain call`,
          bar: '≤ 1.5 at every shape',
          contender,
          of: { op },
          over: { op: plainOpOf(op) },
          most: 1.5,
        }),
      ),
    ),
    ...['cpu', ...builds].map((contender) =>
      costTarget(costs, {
        what: `${shownName(contender)} softmax in float64: time over that in float32`,
        bar: '≤ 2.5',
        contender,
        of: { op: 'softmax', dtype: 'float64' },
        over: softmax,
        most: 2.5,
      }),
    ),
  ];
}

/** A mask may cost half a softmax, and a smoothed target half a loss with its gradient. */
const optionBars = [
  { op: 'softmax:paddingMask', what: 'softmax with a padding mask' },
  { op: 'softmax:causalMask', what: 'softmax with a causal mask' },
  { op: 'crossEntropy:labelSmoothing', what: 'crossEntropy (loss and gradient) with label smoothing' },
] as const;

function callTargets({ callOverhead }: Studies): readonly Target[] {
  return Object.entries(callOverhead).map(([name, { overheadMs, quartilesMs, callMs, kernelMs }]) => ({
    what: `${name}: overhead of the public API for a call of (1, 10)`,
    bar: '≤ 2 µs',
    measured: `${formatMs(overheadMs)} (quartiles ${quartilesMs.map((ms) => formatMs(ms)).join(' and ')}): ${formatMs(callMs)} over ${formatMs(kernelMs)}`,
    met: overheadMs <= 2e-3,
  }));
}
