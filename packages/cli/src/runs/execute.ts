import { isSoftgradError, SoftgradError } from '@softgrad/core';
import type { Manifest, Plan, Progress as ShardProgress, Share } from '@softgrad/distributed';
import { formatShape } from '@softgrad/formats';
import { backendsModule, checkFoundOnThreads } from '../backend.js';
import type { Session } from '../context.js';
import { startLateProgress } from '../progress.js';
import { loadRedis, redisUrl } from '../redis.js';

/** Where a run is computed, and which part of it. */
export interface ExecutionOptions {
  readonly root: string;
  /** The file or package of a backend of one's own. */
  readonly module?: string;
  readonly threads?: number;
  readonly redis?: string;
  readonly detach?: boolean;
  readonly shard?: readonly [index: number, of: number];
  readonly pass?: Share['pass'];
}

/** Computes what a plan still lacks, and shows the results. */
export async function execute(plan: Plan, options: ExecutionOptions, session: Session): Promise<void> {
  if (options.pass !== undefined && (options.shard === undefined || plan.by !== 'classes')) {
    throw new SoftgradError(
      'ERR_VALUE',
      `--pass ${options.pass}: expected --shard too, and a run by --shard-classes: others have one pass`,
    );
  }
  const redis = redisUrl(options.redis, session);
  const manifest =
    redis === undefined || options.shard !== undefined
      ? await runHere(plan, options, session)
      : await runThere(plan, redis, options, session);
  if (manifest) showResult(plan, manifest, session);
}

async function runHere(plan: Plan, options: ExecutionOptions, session: Session): Promise<Manifest | null> {
  const { runEmbedded } = await import('@softgrad/distributed');
  const { root, module, threads, shard, pass = 'apply' } = options;
  if (options.detach) throw new SoftgradError('ERR_VALUE', '--detach without --redis: no worker would compute the run');
  if (shard && plan.by === 'classes' && options.pass === undefined) {
    throw new SoftgradError(
      'ERR_VALUE',
      '--shard with --shard-classes: expected --pass statistics for every share, and then --pass apply for every share',
    );
  }
  checkFoundOnThreads(plan.backend, module, session);
  const abort = new AbortController();
  const release = session.onInterrupt(() => {
    session.stderr.write('softgrad: finishing the current shards; press Ctrl-C again to end immediately\n');
    abort.abort();
  });
  const { onProgress, stop } = showProgress(plan, session);
  try {
    const manifest = await runEmbedded(plan, {
      root,
      backends: backendsModule(module),
      threads,
      onProgress,
      signal: abort.signal,
      share: shard && { index: shard[0], of: shard[1], pass },
    });
    if (manifest === null) session.notices.push(`${plan.out}: share ${shard?.join('/')} is finished, others are not`);
    return manifest;
  } catch (cause) {
    if (module === undefined || isSoftgradError(cause)) throw cause;
    // The stack that would tell whose code threw is lost between threads.
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SoftgradError('ERR_VALUE', `--module ${module}: ${reason}`, { cause });
  } finally {
    stop();
    release();
  }
}

async function runThere(
  plan: Plan,
  redis: string,
  options: ExecutionOptions,
  session: Session,
): Promise<Manifest | null> {
  const { root, threads } = options;
  if (threads !== undefined) {
    throw new SoftgradError(
      'ERR_VALUE',
      `--threads ${threads} with --redis or SOFTGRAD_REDIS: workers compute the run; expected --concurrency ${threads} of \`softgrad worker\``,
    );
  }
  const { submit, waitFor } = await loadRedis();
  const onWarning = (warning: string) => session.stderr.write(`softgrad: ${warning}\n`);
  const run = await submit(plan, { root, redis, onWarning });
  if (options.detach) {
    session.stdout.write(`${run}\n`);
    return null;
  }
  const abort = new AbortController();
  const release = session.onInterrupt(() => abort.abort());
  const { onProgress, stop } = showProgress(plan, session);
  try {
    return await waitFor(plan, { root, redis, onProgress, signal: abort.signal });
  } finally {
    stop();
    release();
  }
}

/** One progress bar for both passes. */
function showProgress(plan: Plan, session: Session) {
  const passes = plan.by === 'classes' ? 2 : 1;
  const progress = startLateProgress(plan.operation, passes, session);
  return {
    onProgress({ step, done, total }: ShardProgress) {
      if (total === 0 || step === 'merge' || step === 'finish') return;
      const before = step === 'apply' ? passes - 1 : 0;
      progress.update(before + done / total, `${plan.operation}: ${step}, ${done} of ${total} shards`);
    },
    stop: () => progress.stop(),
  };
}

function showResult(plan: Plan, { arrays, values }: Manifest, { stdout }: Session): void {
  for (const [name, { shape, dtype, parts }] of Object.entries(arrays)) {
    const count = `${parts.length} part${parts.length === 1 ? '' : 's'}`;
    stdout.write(`${plan.out}/${name}: ${formatShape(shape)} ${dtype} in ${count}\n`);
  }
  for (const [name, value] of Object.entries(values)) stdout.write(`${name}: ${value}\n`);
}
