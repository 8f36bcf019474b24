import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type AccuracyReport, type BenchReport, environment, summarize } from '@softgrad/bench';
import { createPlan, folderStore, idOf } from '@softgrad/distributed';
import { npyElements, npyHeader } from '@softgrad/formats';
import { root } from './snippets.js';

// What the examples in docstrings name without making it: reports, and the files in /data.

const measured = {
  missing: null,
  firstCallMs: 3,
  emptyCall: null,
  correctness: { ok: true, problem: null, rowsChecked: 24, worstShareOfBound: 0.01, worstUlp: 0.75 },
} as const;
const description = 'JavaScript typed arrays, 1 thread';

/** A report of `runBench`: cpu takes half as long as naive. */
export const report: BenchReport = {
  schema: 'softgrad-bench/1',
  environment: environment(),
  settings: { rounds: 3, sampleMs: 4, processes: 1 },
  contenders: [{ name: 'cpu', kind: 'backend', description, openMs: 0.656 }],
  unavailable: [],
  workloads: [
    summarize({
      workload: { op: 'softmax', shape: [64, 10], dtype: 'float32' },
      baseline: 'naive',
      control: [[2, 2, 2]],
      roofs: [],
      results: [
        { ...measured, contender: 'cpu', kind: 'backend', samples: { reused: [[1, 1, 1]] } },
        { ...measured, contender: 'naive', kind: 'peer', samples: { reused: [[2, 2, 2]] } },
      ],
    }),
  ],
};

/** A report of `measureAccuracy`. */
export const accuracyReport: AccuracyReport = {
  schema: 'softgrad-accuracy/2',
  environment: environment(),
  contenders: [{ name: 'cpu', description }],
  unavailable: [],
  results: [
    {
      op: 'softmax',
      dtype: 'float32',
      classes: 3,
      input: '±20',
      contender: 'cpu',
      worstUlp: 0.66,
      worstRowSumUlp: 0.5,
    },
  ],
};

/** The module that registers the backends, which examples name by `import.meta.resolve('softgrad')`. */
export const backends = pathToFileURL(join(root, 'packages/softgrad/dist/index.js')).href;

/** A folder with logits.npy, [[1, 2, 3], [0, 0, 0]] in float32, and its softmax in probabilities, a run that has finished. */
export async function dataFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'softgrad-'));
  const logits = npyElements(Float32Array.of(1, 2, 3, 0, 0, 0), '<f4');
  writeFileSync(join(folder, 'logits.npy'), Buffer.concat([npyHeader('<f4', [2, 3]), logits]));
  const store = folderStore(folder);
  const inputs = { operation: 'softmax', logits: ['logits.npy'] } as const;
  const plan = await createPlan(store, { ...inputs, out: 'probabilities', backend: 'cpu' });
  // As a thread of `runEmbedded` does, whose start takes longer than all examples.
  const { putPlan } = await import(join(root, 'packages/distributed/dist/run-folder.js'));
  const { default: runTask } = await import(join(root, 'packages/distributed/dist/thread.js'));
  await putPlan(store, plan);
  for (const step of ['apply', 'finish'])
    await runTask({ root: folder, backends, run: idOf(plan), out: plan.out, step, index: 0 });
  return { folder, remove: () => rmSync(folder, { recursive: true }) };
}
