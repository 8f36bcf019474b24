import { loadProvider } from '@softgrad/core';
import { type AccuracyReport, measureAccuracy } from '../accuracy.js';
import { registerBackends } from '../backends.js';
import { runBenchInProcesses } from '../processes.js';
import type { BenchReport } from '../report.js';
import { selectContenders, selectWorkloads } from '../selection.js';
import { type CallOverhead, measureCallOverhead } from './call-overhead.js';

/** Everything that the page of measurements is made from. */
export interface Studies {
  /** softmax at all shapes: softgrad's backends and the peers that are quick enough for many rounds in many processes. */
  readonly softmax: BenchReport;
  /** softmax at all shapes on the slow peers. */
  readonly slowPeers: BenchReport;
  /** Two threads each, where there is enough to share. */
  readonly threads: BenchReport;
  /** All ops, and softmax once more to compare them with. */
  readonly ops: BenchReport;
  /** What fused kernels are worth. */
  readonly composed: BenchReport;
  readonly float64: BenchReport;
  /** One row of ten million. */
  readonly longRow: BenchReport;
  readonly callOverhead: ReadonlyMap<string, CallOverhead>;
  readonly accuracy: AccuracyReport;
}

/** The two builds of backend-wasm: a newer engine takes the relaxed one by itself, here each is asked for. */
export const plainWasm = 'wasm:relaxedSimd=false';
export const relaxedWasm = 'wasm:relaxedSimd=true';

const largeShapes = ['4096x128', '1024x1000', '256x32000', '32x128256'];

/** Takes about seven minutes on two cores. */
export async function runStudies(onProgress: (label: string) => void): Promise<Studies> {
  registerBackends();
  return {
    softmax: await study('softmax', onProgress, {
      workloads: { ops: ['softmax'] },
      backends: ['cpu', plainWasm, relaxedWasm],
      peers: ['naive', 'onnxruntime-node', 'onnxruntime-web', 'tfjs-wasm'],
      rounds: 7,
      processes: 3,
    }),
    slowPeers: await study('slow peers', onProgress, {
      workloads: { ops: ['softmax'] },
      backends: [plainWasm],
      peers: ['naive', 'jax', 'tfjs-cpu', 'gpu.js'],
      rounds: 5,
      processes: 1,
    }),
    threads: await study('two threads', onProgress, {
      workloads: { ops: ['softmax'], shapes: largeShapes },
      backends: [plainWasm, `${plainWasm}:threads=2`],
      peers: ['naive', 'onnxruntime-node-2t'],
      rounds: 7,
      processes: 3,
    }),
    ops: await study('all ops', onProgress, {
      workloads: { ops: ['softmax', 'logSoftmax', 'crossEntropy', 'vjp', 'jacobian'] },
      backends: ['cpu', plainWasm],
      peers: ['naive'],
      rounds: 7,
      processes: 1,
    }),
    composed: await study('fused and composed', onProgress, {
      workloads: { ops: ['logSoftmax', 'crossEntropy'], shapes: ['4096x10', '4096x128', '1024x1000'] },
      backends: ['cpu', plainWasm],
      peers: ['naive'],
      composed: true,
      rounds: 9,
      processes: 1,
    }),
    float64: await study('float64', onProgress, {
      workloads: { ops: ['softmax'], shapes: ['4096x10', '4096x128', '1024x1000'], dtypes: ['float32', 'float64'] },
      backends: ['cpu', plainWasm],
      peers: ['naive', 'onnxruntime-node'],
      rounds: 9,
      processes: 1,
    }),
    longRow: await study('one long row', onProgress, {
      workloads: { ops: ['vjp'], shapes: ['1x10000000'] },
      backends: ['cpu', plainWasm],
      peers: ['naive'],
      rounds: 9,
      processes: 1,
    }),
    callOverhead: await callOverheads(['cpu', 'wasm']),
    accuracy: await measureAccuracy(
      {
        contenders: selectContenders(
          ['cpu', 'wasm'],
          ['naive', 'onnxruntime-node', 'onnxruntime-web', 'tfjs-cpu', 'tfjs-wasm', 'jax'],
        ),
      },
      ({ label }) => onProgress(`accuracy: ${label}`),
    ),
  };
}

interface Study {
  readonly workloads: Parameters<typeof selectWorkloads>[0];
  readonly backends: readonly string[];
  readonly peers: readonly string[];
  readonly composed?: boolean;
  readonly rounds: number;
  readonly processes: number;
}

function study(name: string, onProgress: (label: string) => void, wanted: Study): Promise<BenchReport> {
  const { workloads, backends, peers, composed = false, rounds, processes } = wanted;
  return runBenchInProcesses(
    {
      workloads: selectWorkloads(workloads),
      contenders: { backends, peers, composed },
      rounds,
      processes,
      execArgv: withRelaxedSimd(),
    },
    ({ label }) => onProgress(`${name}: ${label}`),
  );
}

/** V8 has relaxed SIMD of itself from 11.4 on; that of Node 20 has to be asked. */
function withRelaxedSimd(): readonly string[] {
  const [major, minor] = process.versions.v8.split('.').map(Number);
  return major < 11 || (major === 11 && minor < 4) ? ['--experimental-wasm-relaxed-simd'] : [];
}

async function callOverheads(names: readonly string[]): Promise<ReadonlyMap<string, CallOverhead>> {
  const measured = new Map<string, CallOverhead>();
  for (const name of names) {
    const provider = await loadProvider(name);
    const backend = await provider.open();
    try {
      measured.set(name, await measureCallOverhead(backend));
    } finally {
      await backend.close();
    }
  }
  return measured;
}
