import { type Backend, SoftgradError, softmax, tensor } from '@softgrad/core';
import { softmaxPart } from './from-statistics.js';
import { hashOf } from './hash.js';
import { changeOf, putJson, readPins, runFiles } from './run-folder.js';
import type { Plan, RunPins } from './schema.js';
import { idOf } from './shards.js';
import { leaf, mergeTree } from './statistics.js';
import type { Store } from './store.js';
import { version } from './version.js';

/**
 * An ERR_VALUE that is thrown if a worker would compute other bits than the run has: its version, its backend or its machine differs from that of the
 * first worker. Another worker must take the job.
 *
 * @example
 * const isOfThisMachine = error instanceof MismatchError; // the shard itself may be sound
 */
export class MismatchError extends SoftgradError {
  constructor(message: string) {
    super('ERR_VALUE', message);
  }
}

/** A hash of what this machine computes from a fixed input: by the backend in each of its dtypes, and by the statistics. */
export async function fingerprint(backend: Backend): Promise<string> {
  const logits = Float64Array.from({ length: probeRows * probeClasses }, (_, i) =>
    Math.fround(((i * 7919) % 4001) / 97 - 20),
  );
  const hashes: string[] = [];
  // The required kernels need not take another temperature than 1, and without a basis core cannot compose one.
  const temperature = backend.basis ? 0.7 : 1;
  for (const dtype of ['float32', 'float64'] as const) {
    if (!backend.supports.dtypes.includes(dtype)) continue;
    using x = tensor(logits, { shape: [probeRows, probeClasses], dtype, backend });
    using s = softmax(x, { temperature });
    using dx = softmax.vjp(s, x);
    for (const result of [s, dx]) hashes.push(hashOf(bytesOf(await result.data())));
  }
  const left = { logits: logits.subarray(0, 1000), temperature: 0.7 };
  const right = { logits: logits.subarray(1000), temperature: 0.7 };
  const row = mergeTree([left, right].map(leaf), 0.7);
  const out = new Float64Array(right.logits.length);
  softmaxPart(out, right, row);
  hashes.push(hashOf(bytesOf(out)));
  return hashOf(hashes.join());
}

const probeRows = 5;
/** Enough for every path of a kernel: full vectors, a tail, and more than a cache line. */
const probeClasses = 1037;

function bytesOf(data: ArrayLike<number>): Uint8Array {
  return new Uint8Array(Float64Array.from(data).buffer);
}

/**
 * Compares this worker with the plan and with the first worker of the run.
 *
 * @throws MismatchError for another version, or if this machine computes other bits; ERR_VALUE if the plan was changed after the run started
 */
export async function checkPins(store: Store, plan: Plan, backend: Backend): Promise<void> {
  const own: RunPins = { run: idOf(plan), version, backend: backend.name, fingerprint: await fingerprint(backend) };
  if (plan.version !== version) {
    throw new MismatchError(
      `the run was planned by version ${plan.version}, but this is ${version}; expected the same version everywhere`,
    );
  }
  await putJson(store, runFiles.pins(plan.out), own);
  const first = await readPins(store, plan.out);
  const change = changeOf(plan, first);
  if (change !== null) throw new SoftgradError('ERR_VALUE', change);
  if (first?.backend === own.backend && first.fingerprint === own.fingerprint) return;
  throw new MismatchError(
    `${runFiles.pins(plan.out)}: the first worker of the run computes other bits (${first?.backend}, ${first?.fingerprint.slice(0, 12)}) than this one (${own.backend}, ${own.fingerprint.slice(0, 12)}); expected the same backend, on machines that compute alike`,
  );
}
