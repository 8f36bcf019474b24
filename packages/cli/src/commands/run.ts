import { type FloatDType, SoftgradError } from '@softgrad/core';
import type {
  Manifest,
  Operation,
  Plan,
  RunStatus,
  Progress as ShardProgress,
  Share,
  Store,
} from '@softgrad/distributed';
import type { QueueStatus } from '@softgrad/distributed/redis';
import { formatShape } from '@softgrad/formats';
import { Command, InvalidArgumentError, Option } from 'commander';
import { nameForShards, ownBackendsModule } from '../backend.js';
import type { Session } from '../context.js';
import { fraction, integer, placeOf, positive, positiveInteger, storeOption } from '../options.js';
import { startLateProgress } from '../progress.js';
import { loadRedis, redisUrl } from '../redis.js';

const operations: readonly Operation[] = ['softmax', 'log-softmax', 'log-sum-exp', 'vjp', 'jvp', 'cross-entropy'];

interface Options {
  readonly out?: string;
  readonly upstream?: readonly string[];
  readonly mask?: readonly string[];
  readonly target?: readonly string[];
  readonly axis: number;
  readonly temperature: number;
  readonly dtype?: FloatDType;
  readonly reduction?: 'mean' | 'sum' | 'none';
  readonly ignoreIndex?: number;
  readonly weight?: readonly string[];
  readonly labelSmoothing?: number;
  readonly lossOnly?: boolean;
  readonly shardClasses?: boolean;
  readonly shardBytes?: number;
  readonly backend?: string;
  readonly root: string;
  readonly store?: string;
  readonly threads?: number;
  readonly redis?: string;
  readonly detach?: boolean;
  readonly shard?: readonly [index: number, of: number];
  readonly pass?: Share['pass'];
  readonly status?: string;
  readonly resume?: string;
  readonly verify?: string;
  readonly cancel?: string;
}

export function runCommand(session: Session): Command {
  return new Command('run')
    .summary('computes an operation over many .npy files, on all cores or many machines')
    .description(
      'Computes an operation over many .npy files, or over one that is larger than memory, in shards: on the cores of this machine or, with --redis, on all machines that run `softgrad worker`. Finished shards are kept: the same command, or --resume, continues an interrupted run. The results have the same bits on any number of threads and machines.',
    )
    .argument('[OPERATION]', operations.join(', '))
    .argument('[FILES...]', 'the logits: .npy files or patterns like logits/*.npy, which follow each other')
    .option('--out <folder>', 'folder of the results: one .npy for each shard and a manifest')
    .option('--upstream <files...>', 'for vjp and jvp: upstream gradient or direction, of the shape of the logits')
    .option('--mask <files...>', 'true or 1 to keep an entry: of the shape of the logits, or of one row')
    .option(
      '--target <files...>',
      'for cross-entropy: class indices, one for each row, or probabilities of the shape of the logits',
    )
    .option('--weight <files...>', 'for cross-entropy: one finite weight for each class; default: 1 for all')
    .addOption(new Option('--axis <n>', 'the dimension that sums to 1').argParser(integer).default(-1))
    .addOption(new Option('--temperature <t>', 'divides the logits; above 0').argParser(positive).default(1))
    .addOption(
      new Option('--dtype <dtype>', "of the results; default: the logits' own, float64 for integers").choices([
        'float16',
        'float32',
        'float64',
      ]),
    )
    .addOption(
      new Option('--reduction <how>', 'of the losses of the rows; default: mean').choices(['mean', 'sum', 'none']),
    )
    .addOption(new Option('--ignore-index <n>', 'rows of this class are ignored; default: -100').argParser(integer))
    .addOption(
      new Option(
        '--label-smoothing <e>',
        'for cross-entropy: spreads this share of the target evenly over all classes; default: 0',
      ).argParser(fraction),
    )
    .option('--loss-only', 'for cross-entropy: without the gradient')
    .option('--shard-classes', 'splits by classes instead of rows, for rows that are larger than memory')
    .addOption(
      new Option('--shard-bytes <n>', 'the largest number of bytes of logits in a shard; default: 64000000').argParser(
        positiveInteger,
      ),
    )
    .option('--backend <name>', 'engine, as `softgrad backends` lists them; default: wasm where it can run, else cpu')
    .option('--root <folder>', 'the folder that all workers can access; paths are relative to it', '.')
    .addOption(storeOption())
    .addOption(new Option('--threads <n>', 'shards at once; default: one for each core').argParser(positiveInteger))
    .option('--redis <url>', 'submits to the workers at this server and waits; default: SOFTGRAD_REDIS')
    .option('--detach', 'prints the id of the run and does not wait')
    .addOption(
      new Option('--shard <i/n>', 'computes only every n-th shard, without a server: for indexed jobs').argParser(
        share,
      ),
    )
    .addOption(
      new Option(
        '--pass <pass>',
        'for --shard with --shard-classes: first run all shares with one pass, then all with the other',
      ).choices(['statistics', 'apply']),
    )
    .option('--status <run>', 'shows the progress of a run: its id, or the folder of its results')
    .option('--resume <run>', 'verifies the results of a run, and computes what is missing or damaged')
    .option('--verify <folder>', 'checks the SHA-256 of every part; exit code 1 if one is damaged')
    .option('--cancel <run>', 'removes the waiting shards of a run from the queue; finished results are kept')
    .addHelpText(
      'after',
      `
Paths are relative to --root, or to --store, and stay in it.

Examples:
  $ softgrad run softmax 'logits/*.npy' --out probabilities
  $ softgrad run cross-entropy 'logits/*.npy' --target labels.npy --out loss --redis redis://queue:6379
  $ softgrad run log-sum-exp row.npy --shard-classes --out total
  $ softgrad run softmax 'logits/*.npy' --out probabilities --store s3://bucket/prefix
  $ softgrad run --status probabilities
  $ softgrad run --resume probabilities
  $ softgrad run --verify probabilities`,
    )
    .action(async (operation: string | undefined, files: readonly string[], given: Options) => {
      const options = { ...given, root: placeOf(given) };
      const task = onlyTask(operation, options);
      const { openStore } = await import('@softgrad/distributed');
      const store = await openStore(options.root);
      if (task === 'run') return start(await planOf(operation, files, options, store, session), options, session);
      const out = await folderOfRun(options[task] ?? '', options, store, session);
      if (task === 'verify') return verifyRun(out, store, session);
      if (task === 'status') return showStatus(out, options, store, session);
      if (task === 'cancel') return cancelRun(out, options, store, session);
      return resumeRun(out, options, store, session);
    });
}

type Task = 'run' | 'status' | 'resume' | 'verify' | 'cancel';

/** @throws ERR_VALUE if there is nothing to do, or more than one thing */
function onlyTask(operation: string | undefined, options: Options): Task {
  const asked = (['status', 'resume', 'verify', 'cancel'] as const).filter((name) => options[name] !== undefined);
  const tasks: readonly Task[] = [...asked, ...(operation === undefined ? [] : (['run'] as const))];
  const [task] = tasks;
  if (task !== undefined && tasks.length === 1) return task;
  const found =
    task === undefined
      ? 'nothing to do'
      : `${tasks.map((name) => (name === 'run' ? 'OPERATION' : `--${name}`)).join(' and ')} exclude each other`;
  throw new SoftgradError(
    'ERR_VALUE',
    `${found}; expected an OPERATION with FILES, --status, --resume, --verify or --cancel`,
  );
}

/** The option with the second operand of an operation. */
const neededOptions: Readonly<Record<string, 'upstream' | 'target' | undefined>> = {
  vjp: 'upstream',
  jvp: 'upstream',
  'cross-entropy': 'target',
};

async function planOf(
  operation: string | undefined,
  files: readonly string[],
  options: Options,
  store: Store,
  session: Session,
): Promise<Plan> {
  const known = operations.find((name) => name === operation);
  if (known === undefined)
    throw new SoftgradError('ERR_VALUE', `${operation}: unknown operation; expected ${operations.join(', ')}`);
  if (files.length === 0)
    throw new SoftgradError('ERR_VALUE', `${known}: no files; expected .npy files or patterns like logits/*.npy`);
  if (options.out === undefined)
    throw new SoftgradError('ERR_VALUE', `${known}: expected --out FOLDER for the results`);
  const needed = neededOptions[known];
  if (needed !== undefined && options[needed] === undefined)
    throw new SoftgradError('ERR_VALUE', `${known}: expected --${needed} FILES; \`softgrad help run\` says of what`);
  const numbers = (options.target ?? []).find((file) => /^-?\d+(?:,-?\d+)*$/.test(file));
  if (numbers !== undefined) {
    throw new SoftgradError(
      'ERR_VALUE',
      `--target ${numbers}: a run reads files only; expected a .npy, as np.save('labels.npy', [${numbers}]) writes it`,
    );
  }
  const backend = await nameForShards(options.backend, '--threads', session);
  const { createPlan } = await import('@softgrad/distributed');
  const { out, upstream: direction, mask, target, axis, temperature, dtype, reduction, ignoreIndex } = options;
  const gradient = options.lossOnly ? false : undefined;
  const { shardClasses, shardBytes, weight, labelSmoothing } = options;
  return createPlan(store, {
    ...{ operation: known, logits: files, direction, mask, target, out, axis, temperature, dtype },
    ...{ reduction, ignoreIndex, weight, labelSmoothing, gradient, shardClasses, shardBytes, backend },
  });
}

async function start(plan: Plan, options: Options, session: Session): Promise<void> {
  const redis = redisUrl(options.redis, session);
  const manifest =
    redis === undefined || options.shard !== undefined
      ? await runHere(plan, options, session)
      : await runThere(plan, redis, options, session);
  if (manifest) showResult(plan, manifest, session);
}

async function runHere(plan: Plan, options: Options, session: Session): Promise<Manifest | null> {
  const { runEmbedded } = await import('@softgrad/distributed');
  const { root, threads, shard, pass = 'apply' } = options;
  if (options.detach) throw new SoftgradError('ERR_VALUE', '--detach without --redis: no worker would compute the run');
  if (shard && plan.by === 'classes' && options.pass === undefined) {
    throw new SoftgradError(
      'ERR_VALUE',
      '--shard with --shard-classes: expected --pass statistics for every share, and then --pass apply for every share',
    );
  }
  const abort = new AbortController();
  const release = session.onInterrupt(() => {
    session.stderr.write('softgrad: finishing the current shards; press Ctrl-C again to end immediately\n');
    abort.abort();
  });
  const { onProgress, stop } = showProgress(plan, session);
  try {
    const manifest = await runEmbedded(plan, {
      ...{ root, backends: ownBackendsModule, threads, onProgress, signal: abort.signal },
      share: shard && { index: shard[0], of: shard[1], pass },
    });
    if (manifest === null) session.notices.push(`${plan.out}: share ${shard?.join('/')} is finished, others are not`);
    return manifest;
  } finally {
    stop();
    release();
  }
}

async function runThere(plan: Plan, redis: string, options: Options, session: Session): Promise<Manifest | null> {
  const { submit, waitFor } = await loadRedis();
  const { root } = options;
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

/** The folder of a run's results: given as such, or by an id that the server knows. */
async function folderOfRun(run: string, options: Options, store: Store, session: Session): Promise<string> {
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

async function verifyRun(out: string, store: Store, session: Session): Promise<void> {
  const { verify } = await import('@softgrad/distributed');
  const { sound, damages, finished } = await verify(store, out);
  for (const { path, problem } of damages) session.stdout.write(`${path}: ${problem}\n`);
  session.stdout.write(`${out}: ${sound} intact, ${damages.length} damaged or missing\n`);
  if (finished) return;
  session.exitCode = 1;
  session.notices.push(`softgrad run --resume ${out} computes what is missing or damaged`);
}

async function showStatus(out: string, options: Options, store: Store, session: Session): Promise<void> {
  const { readPlan, statusOf } = await import('@softgrad/distributed');
  const status = await statusOf(store, out);
  const redis = redisUrl(options.redis, session);
  const queue =
    redis === undefined ? null : await (await loadRedis()).queueStatus(await readPlan(store, out), { redis });
  session.stdout.write(`${statusLines(status, queue).join('\n')}\n`);
}

/** The progress of a run, a line for each fact. */
export function statusLines(status: RunStatus, queue: QueueStatus | null): readonly string[] {
  const { run, out, operation, steps, finished, cancelled, rate, secondsLeft } = status;
  const state = finished ? 'finished' : cancelled ? 'cancelled' : 'not finished';
  const speed = rate === null ? [] : [`rate: ${rate.toPrecision(3)} shards/s`];
  const left = finished || secondsLeft === null ? [] : [`left: ${secondsLeft.toFixed(0)} s`];
  const own = queue === null ? [] : queueLines(queue);
  return [
    `${out}: ${operation}, ${state}`,
    `id: ${run}`,
    ...steps.map(({ step, done, total }) => `${step}: ${done} of ${total}`),
    ...[...speed, ...left, ...own],
  ];
}

function queueLines({ running, retried, failed, workers }: QueueStatus): readonly string[] {
  const shards = running.map(({ step, index }) => `${step} ${index}`).join(', ');
  return [
    `workers: ${workers}`,
    `running: ${running.length}${shards === '' ? '' : ` (${shards})`}`,
    `retried: ${retried}`,
    `failed: ${failed.length}`,
    ...failed.map((reason) => `  ${reason}`),
  ];
}

async function cancelRun(out: string, options: Options, store: Store, session: Session): Promise<void> {
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

async function resumeRun(out: string, options: Options, store: Store, session: Session): Promise<void> {
  const { readPlan, removeDamaged } = await import('@softgrad/distributed');
  const plan = await readPlan(store, out);
  for (const path of await removeDamaged(store, plan))
    session.stderr.write(`softgrad: ${path}: damaged, computing it again\n`);
  await store.sweep(out, Date.now() - orphanAge);
  await start(plan, options, session);
}

/** `2/8`, as indexed jobs pass it. */
function share(text: string): readonly [number, number] {
  const [, index, of] = /^(\d+)\/(\d+)$/.exec(text) ?? [];
  if (!(Number(index) < Number(of))) {
    throw new InvalidArgumentError('Expected i/n with i from 0 to n − 1.');
  }
  return [Number(index), Number(of)];
}
