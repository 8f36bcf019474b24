import { isSoftgradError, SoftgradError } from '@softgrad/core';
import type { RunStatus, Store } from '@softgrad/distributed';
import type { QueueStatus } from '@softgrad/distributed/redis';
import type { Session } from '../context.js';
import { registerModule } from '../module.js';
import { loadRedis, redisUrl } from '../redis.js';
import { type ExecutionOptions, execute } from './execute.js';

/** The folder of a run's results: given as such, or by an id that the server knows. */
export async function folderOfRun(
  run: string,
  options: ExecutionOptions,
  store: Store,
  session: Session,
): Promise<string> {
  const folder = store.locate(run);
  const redis = redisUrl(options.redis, session);
  if (!/^[0-9a-f]{32}$/.test(folder)) return folder;
  if ((await store.stat(`${folder}/plan.json`)) !== null) return folder;
  if (redis !== undefined) return (await loadRedis()).folderOf(folder, { redis });
  throw new SoftgradError(
    'ERR_VALUE',
    `${run}: not the folder of a run; expected one, or --redis with the server that knows the id`,
  );
}

export async function verifyRun(out: string, store: Store, session: Session): Promise<void> {
  const { verify } = await import('@softgrad/distributed');
  const { sound, damages, finished } = await verify(store, out);
  for (const { path, problem } of damages) session.stdout.write(`${path}: ${problem}\n`);
  session.stdout.write(`${out}: ${sound} intact, ${damages.length} damaged or missing\n`);
  if (finished) return;
  session.exitCode = 1;
  session.notices.push(`softgrad run --resume ${out} computes what is missing or damaged`);
}

export async function showStatus(
  out: string,
  options: ExecutionOptions,
  store: Store,
  session: Session,
): Promise<void> {
  const { readPlan, statusOf } = await import('@softgrad/distributed');
  const status = await statusOf(store, out);
  session.stdout.write(`${statusLines(status).join('\n')}\n`);
  // Nothing of a finished run is in a queue.
  if (status.finished) return;
  const redis = redisUrl(options.redis, session);
  let queue: QueueStatus | null = null;
  try {
    if (redis !== undefined) queue = await (await loadRedis()).queueStatus(await readPlan(store, out), { redis });
  } catch (error) {
    // The server of the environment may have nothing to do with this run.
    if (options.redis !== undefined || !isSoftgradError(error)) throw error;
    session.notices.push(`the queue of SOFTGRAD_REDIS is not shown: ${error.message}`);
  }
  if (queue !== null) session.stdout.write(`${queueLines(queue).join('\n')}\n`);
  else if (!status.cancelled)
    session.notices.push(`if it was interrupted, softgrad run --resume ${out} continues the run`);
}

/** The progress of a run as its folder tells it, a line for each fact. */
export function statusLines(status: RunStatus): readonly string[] {
  const { run, out, operation, steps, finished, cancelled, rate, secondsLeft } = status;
  const state = finished ? 'finished' : cancelled ? 'cancelled' : 'not finished';
  const speed = rate === null ? [] : [`rate: ${rate.toPrecision(3)} shards/s`];
  const left = finished || secondsLeft === null ? [] : [`left: ${secondsLeft.toFixed(0)} s`];
  return [
    `${out}: ${operation}, ${state}`,
    `id: ${run}`,
    ...steps.map(({ step, done, total }) => `${step}: ${done} of ${total}`),
    ...[...speed, ...left],
  ];
}

/** What the server knows of it. */
export function queueLines({ running, retried, failed, workers }: QueueStatus): readonly string[] {
  const shards = running.map(({ step, index }) => `${step} ${index}`).join(', ');
  return [
    `workers: ${workers}`,
    `running: ${running.length}${shards === '' ? '' : ` (${shards})`}`,
    `retried: ${retried}`,
    `failed: ${failed.length}`,
    ...failed.map((reason) => `  ${reason}`),
  ];
}

export async function cancelRun(out: string, options: ExecutionOptions, store: Store, session: Session): Promise<void> {
  const redis = redisUrl(options.redis, session);
  if (redis === undefined)
    throw new SoftgradError('ERR_VALUE', '--cancel: expected --redis; a run without it ends with Ctrl-C');
  const { readPlan, statusOf } = await import('@softgrad/distributed');
  if ((await statusOf(store, out)).finished) {
    session.notices.push(`${out}: finished already`);
    return;
  }
  await (await loadRedis()).cancel(await readPlan(store, out), { root: options.root, redis });
  session.notices.push(`${out}: cancelled; softgrad run --resume ${out} continues it`);
}

/** Age in milliseconds after which a temporary file is considered abandoned. */
const orphanAge = 3600_000;

export async function resumeRun(out: string, options: ExecutionOptions, store: Store, session: Session): Promise<void> {
  const { changedInputs, readPlan, removeDamaged, statusOf } = await import('@softgrad/distributed');
  const plan = await readPlan(store, out);
  const { module } = options;
  if (module !== undefined) {
    const found = await registerModule(module, session);
    if (found !== plan.backend)
      throw new SoftgradError(
        'ERR_VALUE',
        `--module ${module}: its backend is ${found}; expected ${plan.backend}, which ${out} was planned for`,
      );
  }
  for (const path of await removeDamaged(store, plan))
    session.stderr.write(`softgrad: ${path}: damaged, computing it again\n`);
  session.stderr.write(`softgrad: ${resumed(await statusOf(store, out))}\n`);
  // The clock of a file server may be behind that of this machine. A file of the run that is newer than its others says what time it is there, at least.
  const newest = Math.max(...(await store.list(out)).map(({ modified }) => modified));
  await store.sweep(out, Math.min(Date.now(), newest) - orphanAge);
  await execute(plan, options, session);
  const [changed, ...others] = await changedInputs(store, plan);
  if (changed === undefined) return;
  const more = others.length === 0 ? '' : ` (and ${others.length} more)`;
  session.notices.push(
    `${changed.path}: ${changed.problem}${more}; the results are of the file as it was: for those of the new one, a new run with another --out`,
  );
}

/** Which run is continued, and what is left of it. */
function resumed({ out, operation, run, steps, finished }: RunStatus): string {
  const left = steps.filter(({ step, done, total }) => step !== 'finish' && done < total);
  const shards = left.map(({ step, done, total }) => `${step}, ${total - done} of ${total} shards`).join('; ');
  const what = shards === '' ? (finished ? 'nothing' : 'the manifest') : shards;
  return `${out}: resuming run ${run}, ${operation}; left: ${what}`;
}
