import type { BenchReport, RawResult, RawWorkload } from '../src/report.js';
import type { Samples } from '../src/statistics.js';
import { summarize } from '../src/summary.js';

const measured = { kind: 'backend', missing: null, firstCallMs: 12.5, emptyCall: null } as const;
const correct = { ok: true, problem: null, rowsChecked: 24, worstShareOfBound: 0.004, worstUlp: 0.75 };

/** Rounds of these times, of one process. */
const rounds = (...ms: readonly (number | null)[]): Samples => [ms];

/** A contender that takes these times with a reused output, and twice as long when it allocates. */
function reusing(contender: string, ms: readonly number[], more: Partial<RawResult> = {}): RawResult {
  const samples = { reused: rounds(...ms), allocating: rounds(...ms.map((time) => 2 * time)) };
  return { ...measured, contender, correctness: correct, samples, ...more };
}

const softmax: RawWorkload = {
  workload: { op: 'softmax', shape: [1000, 100], dtype: 'float32' },
  baseline: 'naive',
  control: rounds(1.02, 0.98, 1.01),
  roofs: [
    { name: 'memcpy', from: 'engine', samples: rounds(0.02, 0.02, 0.02) },
    { name: 'fill', from: 'engine', samples: rounds(0.03, 0.03, 0.03) },
    { name: 'store', from: 'a SIMD loop', samples: rounds(0.9, 0.9, 0.9) },
    { name: 'exp', from: 'a SIMD loop', samples: rounds(0.1, 0.1, 0.1) },
    { name: 'exp', from: 'naive', samples: rounds(0.7, 0.7, 0.7) },
  ],
  results: [
    reusing('fast', [0.25, 0.2, 0.3], { correctness: { ...correct, worstUlp: 250.4 }, emptyCall: rounds(0.001) }),
    reusing('alike', [1.01, 0.99, 1], { emptyCall: rounds(0.002, 0.2, 0.3) }),
    {
      ...measured,
      kind: 'peer',
      contender: 'calls',
      correctness: correct,
      samples: { endToEnd: rounds(0.004, 0.004, 0.004) },
    },
    {
      ...measured,
      contender: 'clocked',
      correctness: correct,
      samples: { allocating: rounds(300, 310, 290), device: rounds(0.0004, null, 0.0005, 0.0006) },
    },
    reusing('naive', [1, 1, 1], { kind: 'peer', firstCallMs: null }),
    {
      ...measured,
      contender: 'wrong',
      samples: {},
      correctness: { ...correct, ok: false, problem: 'the results contain NaN', worstUlp: Number.NaN },
      missing: 'wrong: the results contain NaN',
    },
    { ...measured, contender: 'none', samples: {}, correctness: null, missing: 'no softmax', firstCallMs: null },
  ],
};

const jacobian: RawWorkload = {
  ...softmax,
  workload: { op: 'jacobian', shape: [10, 20], dtype: 'float32' },
  roofs: softmax.roofs.slice(0, 3),
  control: null,
  results: [
    reusing('fast', [0.25, 0.2, 0.3], { correctness: { ...correct, worstShareOfBound: 0.5 } }),
    reusing('clocked', [1500, 1500, 1500], { noDeviceTime: 'it was reset' }),
    reusing('naive', [1, 1, 1]),
  ],
};

const alone: RawWorkload = {
  workload: { op: 'softmax', shape: [2, 5], dtype: 'float64' },
  baseline: null,
  control: null,
  roofs: [],
  results: [{ ...measured, contender: 'fast', correctness: null, samples: { endToEnd: rounds(0.5, 0.25, 0.125) } }],
};

/** A report of given numbers: every kind of result, of bound and of missing value. */
export const fixedReport: BenchReport = {
  schema: 'softgrad-bench/1',
  environment: {
    date: '2026-02-03T04:05:06.789Z',
    runtime: 'Node 20.0.0, V8 11.3',
    platform: 'linux x64',
    processor: 'Abacus <3>',
    logicalProcessors: 2,
    crossOriginIsolated: true,
  },
  settings: { rounds: 3, sampleMs: 4, processes: 2 },
  contenders: ['fast', 'alike', 'calls', 'clocked', 'naive', 'wrong', 'none'].map((name, k) => ({
    name,
    kind: name === 'calls' || name === 'naive' ? 'peer' : 'backend',
    description: `the ${k + 1}. & only`,
    openMs: 0.5 + k,
  })),
  unavailable: [{ name: 'gone', reason: 'not here' }],
  workloads: [
    softmax,
    jacobian,
    { ...softmax, workload: { ...softmax.workload, shape: [4000, 100] as const } },
    alone,
  ].map((raw) => summarize(raw)),
};
