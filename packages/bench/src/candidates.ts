import type { Batch, Contender, DeviceBatch, Job } from './contender.js';
import { javaScriptExpLoop } from './exp-loop/javascript.js';
import { simdExpLoops, simdFillLoop } from './exp-loop/loops.js';
import { modes, type RawResult, type Timed } from './report.js';
import { memoryLoops, type Roof } from './roofline.js';
import { keptLogits, type WorkloadInput, workloadInput } from './workload-input.js';
import { exponentials, outputBytes, outputSize, type Workload } from './workloads.js';

/** The state of a contender while a workload runs. */
export interface Entry {
  readonly contender: Contender;
  job: Job | null;
  missing: string | null;
  correctness: RawResult['correctness'];
  firstCallMs: number | null;
  noDeviceTime: string | undefined;
}

/** A loop to time: a contender in a mode, the control, an empty call or a roof. */
export type Candidate = {
  readonly of: 'mode' | 'control' | 'emptyCall' | 'roof';
  /** A contender's name, or 'engine'. */
  readonly from: string;
  readonly kind?: Timed;
  readonly roof?: Roof['name'];
} & ({ readonly batch: Batch } | { readonly device: DeviceBatch });

type Dispose = (() => void | Promise<void>)[];

/** All loops to time for a workload. Pushes a function onto `dispose` for every resource that it creates. */
export async function candidatesOf(
  entries: readonly Entry[],
  baseline: Entry | undefined,
  workload: Workload,
  input: WorkloadInput,
  dispose: Dispose,
): Promise<readonly Candidate[]> {
  return [
    ...modeLoops(entries),
    ...deviceLoops(entries),
    ...controlLoop(baseline),
    ...(await emptyCalls(entries, workload, dispose)),
    ...(await roofLoops(entries, workload, input, dispose)),
  ];
}

function modeLoops(entries: readonly Entry[]): readonly Candidate[] {
  return entries.flatMap(({ contender, job }) =>
    modes.flatMap((mode) => {
      const batch = job?.[mode];
      return batch ? [{ of: 'mode' as const, from: contender.name, kind: mode, batch }] : [];
    }),
  );
}

function deviceLoops(entries: readonly Entry[]): readonly Candidate[] {
  return entries.flatMap(({ contender, job, noDeviceTime }) =>
    job?.device && noDeviceTime === undefined
      ? [{ of: 'mode' as const, from: contender.name, kind: 'device' as const, device: job.device }]
      : [],
  );
}

/** The baseline's first mode again, as if it were another contender. */
function controlLoop(baseline: Entry | undefined): readonly Candidate[] {
  return baseline
    ? modeLoops([baseline])
        .slice(0, 1)
        .map((loop) => ({ ...loop, of: 'control' as const }))
    : [];
}

/** Up to this many results, the call overhead of an op can dominate its time. */
const mostForCalls = 2 ** 14;

async function emptyCalls(
  entries: readonly Entry[],
  { op, shape, dtype }: Workload,
  dispose: Dispose,
): Promise<readonly Candidate[]> {
  if (outputSize({ op, shape, dtype }) > mostForCalls) return [];
  const single: Workload = { op, shape: [1, 1], dtype };
  const input = workloadInput(single);
  const loops: Candidate[] = [];
  for (const { contender } of entries) {
    // An engine that does not support a single class has no such bound.
    const job = await contender.prepare(single, input).catch(String);
    if (typeof job === 'string') continue;
    dispose.push(() => job.dispose());
    const batch = job.reused ?? job.allocating;
    if (batch) loops.push({ of: 'emptyCall', from: contender.name, batch });
  }
  return loops;
}

async function roofLoops(
  entries: readonly Entry[],
  workload: Workload,
  input: WorkloadInput,
  dispose: Dispose,
): Promise<readonly Candidate[]> {
  const loops: Candidate[] = memoryLoops(workload).map(({ name, batch }) => ({
    of: 'roof' as const,
    from: 'engine',
    roof: name,
    batch,
  }));
  // The Jacobian mostly writes.
  const store = workload.op === 'jacobian' ? simdFillLoop(outputBytes(workload)) : null;
  if (store) loops.push({ of: 'roof', from: 'a SIMD loop', roof: 'store', batch: store });
  if (exponentials(workload) === 0) return loops;
  const logits = keptLogits(input);
  for (const { name, batch } of [...simdExpLoops(logits), javaScriptExpLoop(logits)]) {
    loops.push({ of: 'roof', from: name, roof: 'exp', batch });
  }
  for (const { contender } of entries) {
    const loop = await contender.exp(logits);
    if (!loop) continue;
    dispose.push(() => loop.dispose());
    loops.push({ of: 'roof', from: contender.name, roof: 'exp', batch: loop.batch });
  }
  return loops;
}
