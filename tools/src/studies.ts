import { setFlagsFromString } from 'node:v8';
import {
  type AccuracyReport,
  type BenchReport,
  measureAccuracy,
  opsWithOptions,
  plainOpOf,
  selectContenders,
  selectWorkloads,
  type Workload,
  type WorkloadSelection,
} from '@softgrad/bench';
import { runBenchInProcesses } from '@softgrad/bench/processes';
import { loadProvider } from '@softgrad/core';
import { registerBackends } from 'softgrad/backends';
import { type CallOverhead, measureCallOverhead } from './call-overhead.js';
import { type Cost, type CostPair, measureCosts } from './costs.js';
import { plainWasm, relaxedWasm } from './names.js';
import { measureWaking, type Waking } from './waking.js';

/** All data of the page of measurements: plain data. */
export interface Studies extends Readonly<Record<Exclude<StudyName, 'withOptions'>, BenchReport>> {
  readonly schema: 'softgrad-studies/1';
  /** Small shapes and few rounds, to check that everything runs; the numbers are not conclusive. */
  readonly quick: boolean;
  /** null in a file that was written before calls with options were measured. */
  readonly withOptions: BenchReport | null;
  /** Pairs of ops, dtypes, or calls with an option and without, timed in the same rounds. */
  readonly costs: readonly Cost[];
  readonly callOverhead: Readonly<Record<string, CallOverhead>>;
  readonly accuracy: AccuracyReport;
  /** One thread and two, with a pause before a call and without. */
  readonly waking: readonly Waking[];
  /** A report of the Bench panel of the playground in a browser; null if none was measured. */
  readonly browser: BenchReport | null;
}

export type StudyName = keyof typeof plan;

interface Study {
  readonly workloads: WorkloadSelection;
  readonly backends: readonly string[];
  readonly peers: readonly string[];
  readonly composed?: boolean;
  readonly rounds: number;
  readonly processes: number;
}

const ownOnCpu = ['cpu', plainWasm, relaxedWasm];
/** Shapes of more than 100,000 elements. */
const largeShapes = ['65536x3', '4096x128', '1024x1000', '256x32000', '32x128256'];
const someShapes = ['4096x10', '4096x128', '1024x1000'];
/** A batch of a classifier, and attention scores: 8 heads of 128 queries and keys, 16 heads of 256. */
const shapesWithOptions = ['64x10', '1024x128', '4096x256'];

const plan = {
  /** softmax at all shapes: softgrad's backends, and the competitors that are fast enough for many rounds in many processes. */
  softmax: {
    workloads: { ops: ['softmax'] },
    backends: ownOnCpu,
    peers: ['naive', 'onnxruntime-node', 'onnxruntime-web', 'tfjs-wasm'],
    rounds: 7,
    processes: 3,
  },
  /** softmax at all shapes on the slow competitors. */
  slowPeers: {
    workloads: { ops: ['softmax'] },
    backends: [plainWasm, relaxedWasm],
    peers: ['naive', 'jax', 'tfjs-cpu', 'gpu.js'],
    rounds: 5,
    processes: 1,
  },
  /** Two threads each, at shapes that are large enough. */
  threads: {
    workloads: { ops: ['softmax'], shapes: largeShapes },
    backends: [plainWasm, `${plainWasm}:threads=2`, `${relaxedWasm}:threads=2`],
    peers: ['naive', 'onnxruntime-node-2t'],
    rounds: 7,
    processes: 3,
  },
  /** The other ops. */
  ops: {
    workloads: { ops: ['logSoftmax', 'crossEntropy', 'vjp', 'jacobian', 'sigmoid', 'relu'] },
    backends: ownOnCpu,
    peers: ['naive'],
    rounds: 9,
    processes: 1,
  },
  /** Masks, targets and temperatures. */
  withOptions: {
    workloads: { ops: opsWithOptions, shapes: shapesWithOptions },
    backends: ownOnCpu,
    peers: ['naive', 'tfjs-wasm', 'onnxruntime-node'],
    rounds: 7,
    processes: 1,
  },
  /** The gain of fused kernels. */
  composed: {
    workloads: { ops: ['logSoftmax', 'crossEntropy'], shapes: someShapes },
    backends: ownOnCpu,
    peers: ['naive'],
    composed: true,
    rounds: 9,
    processes: 1,
  },
  float64: {
    workloads: { ops: ['softmax'], shapes: someShapes, dtypes: ['float64'] },
    backends: ownOnCpu,
    peers: ['naive', 'onnxruntime-node'],
    rounds: 9,
    processes: 1,
  },
  /** One row of ten million. */
  longRow: {
    workloads: { ops: ['vjp'], shapes: ['1x10000000'] },
    backends: ownOnCpu,
    peers: ['naive'],
    rounds: 9,
    processes: 1,
  },
  /** Every backend that computes on the CPU here with its default options: the data for the table that compares backends. */
  backends: {
    workloads: { ops: ['softmax', 'vjp'], shapes: ['64x10', '4096x128', '1024x1000'] },
    backends: ['cpu', 'wasm', 'gpujs', 'tfjs'],
    peers: ['naive'],
    rounds: 9,
    processes: 1,
  },
} as const satisfies Readonly<Record<string, Study>>;

/** What the page needs of a browser: the state of the Bench panel of the playground, as the part of its address after `#`. */
export function browserBench(quick: boolean): string {
  const shapes = quick ? ['64x10', '4096x10'] : ['64x10', '4096x10', ...largeShapes];
  const backends = ['cpu', 'wasm', 'wasm:threads=2'];
  const peers = ['naive', 'onnxruntime-web', 'tfjs-wasm'];
  const state = {
    ops: 'softmax',
    shapes: shapes.join(),
    backends: backends.join(),
    peers: peers.join(),
    rounds: quick ? '3' : '9',
  };
  return `bench?${new URLSearchParams(state)}`;
}

/** Everything but the browser. Takes about twelve minutes on two cores; `quick` a minute. */
export async function runStudies(
  onProgress: (label: string) => void,
  { quick = false }: { readonly quick?: boolean } = {},
): Promise<Omit<Studies, 'browser'>> {
  registerBackends();
  const flags = relaxedSimdFlags();
  const study = (name: StudyName): Promise<BenchReport> => {
    const wanted: Study = quick ? quickly(plan[name]) : plan[name];
    const { workloads, backends, peers, composed = false, rounds, processes } = wanted;
    return runBenchInProcesses(
      {
        workloads: selectWorkloads(workloads),
        contenders: { backends, peers, composed },
        setup: import.meta.resolve('softgrad'),
        rounds,
        processes,
        // Unless the relaxed build is selected, backends open with their defaults.
        execArgv: backends.some((backend) => backend.startsWith(relaxedWasm)) ? flags : [],
      },
      ({ label }) => onProgress(`${name}: ${label}`),
    );
  };
  // Also needed for the measurements in this process.
  for (const flag of flags) setFlagsFromString(flag);
  return {
    schema: 'softgrad-studies/1',
    quick,
    softmax: await study('softmax'),
    slowPeers: await study('slowPeers'),
    threads: await study('threads'),
    ops: await study('ops'),
    withOptions: await study('withOptions'),
    composed: await study('composed'),
    float64: await study('float64'),
    longRow: await study('longRow'),
    backends: await study('backends'),
    costs: await costs(quick, onProgress),
    callOverhead: await callOverheads(['cpu', 'wasm'], quick, onProgress),
    waking: await wakingOfThreads(quick, onProgress),
    accuracy: await measureAccuracy(
      {
        contenders: selectContenders(ownOnCpu, [
          'naive',
          'onnxruntime-node',
          'onnxruntime-web',
          'tfjs-cpu',
          'tfjs-wasm',
          'jax',
        ]),
        classes: quick ? [3, 1000] : [1, 3, 10, 128, 1000, 32_000, 128_256],
      },
      ({ label }) => onProgress(`accuracy: ${label}`),
    ),
  };
}

/** The small shapes, or the first shapes of a study. */
function quickly(study: Study): Study {
  const { workloads, rounds } = study;
  const shapes = workloads.shapes?.slice(0, 1);
  return { ...study, workloads: { ...workloads, shapes, quick: true }, rounds: Math.min(rounds, 5), processes: 1 };
}

/** crossEntropy compared with softmax at all shapes, float64 with float32 at some, and calls with an option with those without. */
async function costs(quick: boolean, onProgress: (label: string) => void): Promise<readonly Cost[]> {
  const beside = (of: Partial<Workload>, selection: WorkloadSelection): readonly CostPair[] =>
    selectWorkloads({ ops: ['softmax'], quick, ...selection }).map((over) => ({ of: { ...over, ...of }, over }));
  const lossAndGradient = beside({ op: 'crossEntropy' }, {});
  const doublePrecision = beside({ dtype: 'float64' }, { shapes: quick ? someShapes.slice(0, 1) : someShapes });
  const shapes = quick ? shapesWithOptions.slice(0, 1) : shapesWithOptions;
  const options = selectWorkloads({ ops: opsWithOptions, shapes }).map((of) => ({
    of,
    over: { ...of, op: plainOpOf(of.op) },
  }));
  const measured: Cost[] = [];
  for (const name of ownOnCpu) {
    const pairs = [...(name === 'cpu' ? [] : lossAndGradient), ...doublePrecision, ...options];
    for (const source of selectContenders([name])) {
      measured.push(...(await measureCosts(source, pairs, quick ? 5 : 31, (label) => onProgress(`costs: ${label}`))));
    }
  }
  return measured;
}

/** V8 has relaxed SIMD by default from 11.4 on; in Node 20 it needs an option. */
function relaxedSimdFlags(): readonly string[] {
  const [major = 0, minor = 0] = process.versions.v8.split('.').map(Number);
  return major < 11 || (major === 11 && minor < 4) ? ['--experimental-wasm-relaxed-simd'] : [];
}

async function wakingOfThreads(quick: boolean, onProgress: (label: string) => void): Promise<readonly Waking[]> {
  onProgress('waking a thread');
  const provider = await loadProvider('wasm');
  const [one, two] = [await provider.open(), await provider.open({ threads: 2 })];
  try {
    return await measureWaking(one, two, quick ? { rounds: 3, most: 2 } : {});
  } finally {
    await one.close();
    await two.close();
  }
}

async function callOverheads(
  names: readonly string[],
  quick: boolean,
  onProgress: (label: string) => void,
): Promise<Studies['callOverhead']> {
  const measured: Record<string, CallOverhead> = {};
  for (const name of names) {
    onProgress(`call overhead: ${name}`);
    const provider = await loadProvider(name);
    const backend = await provider.open();
    try {
      measured[name] = await measureCallOverhead(backend, quick ? 5 : undefined);
    } finally {
      await backend.close();
    }
  }
  return measured;
}
