import { type FloatDType, SoftgradError } from '@softgrad/core';
import type { Operation, Plan, Store } from '@softgrad/distributed';
import { Command, InvalidArgumentError, Option } from 'commander';
import { nameForShards } from '../backend.js';
import type { Session } from '../context.js';
import { fraction, integer, moduleForShardsHelp, placeOf, positive, positiveInteger, storeOption } from '../options.js';
import { type ExecutionOptions, execute } from '../runs/execute.js';
import { cancelRun, folderOfRun, resumeRun, showStatus, verifyRun } from '../runs/existing.js';
import { checkFirstRows } from '../runs/first-rows.js';

const operations: readonly Operation[] = ['softmax', 'log-softmax', 'log-sum-exp', 'vjp', 'jvp', 'cross-entropy'];

interface Options extends ExecutionOptions {
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
  readonly store?: string;
  readonly status?: string;
  readonly resume?: string;
  readonly verify?: string;
  readonly cancel?: string;
}

/** What each option is for: the plan of a run, where and how it is computed, where its files are, or a task in place of an OPERATION. */
const uses = {
  out: 'plan',
  upstream: 'plan',
  mask: 'plan',
  target: 'plan',
  axis: 'plan',
  temperature: 'plan',
  dtype: 'plan',
  reduction: 'plan',
  ignoreIndex: 'plan',
  weight: 'plan',
  labelSmoothing: 'plan',
  lossOnly: 'plan',
  shardClasses: 'plan',
  shardBytes: 'plan',
  backend: 'plan',
  module: 'execution',
  threads: 'execution',
  detach: 'execution',
  shard: 'execution',
  pass: 'execution',
  root: 'place',
  store: 'place',
  redis: 'place',
  status: 'task',
  resume: 'task',
  verify: 'task',
  cancel: 'task',
} as const satisfies Record<keyof Options, 'plan' | 'execution' | 'place' | 'task'>;

type Use = (typeof uses)[keyof typeof uses];

function optionsFor(...kinds: readonly Use[]): string[] {
  return Object.entries(uses).flatMap(([name, use]) => (kinds.includes(use) ? [name] : []));
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
      'for cross-entropy: class indices from 0, one for each row, or probabilities of the shape of the logits',
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
    .option('--module <file>', moduleForShardsHelp)
    .option('--root <folder>', 'the folder that all workers can access; paths are relative to it', '.')
    .addOption(storeOption())
    .addOption(new Option('--threads <n>', 'shards at once; default: one for each core').argParser(positiveInteger))
    .option(
      '--redis <url>',
      'submits to the workers at this server, as redis://host:6379, and waits; default: that of the environment variable SOFTGRAD_REDIS',
    )
    .option('--detach', 'prints the id of the run and does not wait')
    .addOption(
      new Option(
        '--shard <i/n>',
        'computes only every n-th shard, without a server, for indexed jobs: 0/4, 1/4, 2/4 and 3/4 together are a run',
      )
        .argParser(share)
        .conflicts(['redis', 'detach']),
    )
    .addOption(
      new Option(
        '--pass <pass>',
        'for --shard with --shard-classes: first run all shares with one pass, then all with the other',
      ).choices(['statistics', 'apply']),
    )
    .addOption(
      new Option('--status <run>', 'shows the progress of a run: its id, or the folder of its results').conflicts(
        optionsFor('plan', 'execution'),
      ),
    )
    .addOption(
      new Option('--resume <run>', 'verifies the results of a run, and computes what is missing or damaged').conflicts(
        optionsFor('plan'),
      ),
    )
    .addOption(
      new Option('--verify <folder>', 'checks the SHA-256 of every part; exit code 1 if one is damaged').conflicts(
        optionsFor('plan', 'execution'),
      ),
    )
    .addOption(
      new Option(
        '--cancel <run>',
        'removes the waiting shards of a run from the queue; finished results are kept',
      ).conflicts(optionsFor('plan', 'execution')),
    )
    .usage(
      `[options] OPERATION FILES... --out <folder>
       softgrad run [options] --status|--resume|--verify|--cancel <run>`,
    )
    .addHelpText(
      'after',
      `
Paths are relative to --root, or to --store, and stay in it.

Examples:
  $ softgrad run softmax 'logits/*.npy' --out probabilities
  $ softgrad run cross-entropy 'logits/*.npy' --target labels.npy --out loss \\
      --redis redis://queue:6379
  $ softgrad run log-sum-exp row.npy --shard-classes --out total
  $ softgrad run softmax 'logits/*.npy' --out probabilities \\
      --store s3://bucket/prefix
  $ softgrad run --status probabilities
  $ softgrad run --resume probabilities
  $ softgrad run --verify probabilities`,
    )
    .action(async (operation: string | undefined, files: readonly string[], given: Options) => {
      const options = { ...given, root: placeOf(given) };
      const task = onlyTask(operation, options);
      const { openStore } = await import('@softgrad/distributed');
      const store = await openStore(options.root);
      if (task === 'run') {
        const plan = await planOf(operation, files, options, store, session);
        await checkFirstRows(plan, store, session);
        return execute(plan, options, session);
      }
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
    `run: ${found}; expected an OPERATION with FILES, --status, --resume, --verify or --cancel`,
  );
}

/** The option with the second operand of an operation. */
const neededOptions: Readonly<Record<string, 'upstream' | 'target' | undefined>> = {
  vjp: 'upstream',
  jvp: 'upstream',
  'cross-entropy': 'target',
};

const lossOptions = [
  ['--target', 'target'],
  ['--weight', 'weight'],
  ['--reduction', 'reduction'],
  ['--ignore-index', 'ignoreIndex'],
  ['--label-smoothing', 'labelSmoothing'],
  ['--loss-only', 'lossOnly'],
] as const;

async function planOf(
  operation: string | undefined,
  files: readonly string[],
  options: Options,
  store: Store,
  session: Session,
): Promise<Plan> {
  const known = operations.find((name) => name === operation);
  if (known === undefined)
    throw new SoftgradError('ERR_VALUE', `run: ${operation}: unknown operation; expected ${operations.join(', ')}`);
  if (files.length === 0)
    throw new SoftgradError('ERR_VALUE', `run: ${known}: no files; expected .npy files or patterns like logits/*.npy`);
  if (options.out === undefined)
    throw new SoftgradError('ERR_VALUE', `run: ${known}: expected --out FOLDER for the results`);
  const ofLoss = lossOptions.find(([, name]) => options[name] !== undefined);
  if (known !== 'cross-entropy' && ofLoss)
    throw new SoftgradError('ERR_VALUE', `run: ${known}: ${ofLoss[0]} is an option of cross-entropy`);
  const needed = neededOptions[known];
  if (needed !== 'upstream' && options.upstream !== undefined)
    throw new SoftgradError('ERR_VALUE', `run: ${known}: --upstream is an option of vjp and jvp`);
  if (needed !== undefined && options[needed] === undefined)
    throw new SoftgradError(
      'ERR_VALUE',
      `run: ${known}: expected --${needed} FILES; \`softgrad help run\` says of what`,
    );
  const numbers = (options.target ?? []).find((file) => /^-?\d+(?:,-?\d+)*$/.test(file));
  if (numbers !== undefined) {
    throw new SoftgradError(
      'ERR_VALUE',
      `--target ${numbers}: a run reads files only; expected a .npy, as np.save('labels.npy', [${numbers}]) writes it`,
    );
  }
  const backend = await nameForShards(options, '--threads', session);
  const { createPlan } = await import('@softgrad/distributed');
  const { out, upstream: direction, mask, target, axis, temperature, dtype, reduction, ignoreIndex } = options;
  const gradient = options.lossOnly ? false : undefined;
  const { shardClasses, shardBytes, weight, labelSmoothing } = options;
  return createPlan(store, {
    operation: known,
    logits: files,
    direction,
    mask,
    target,
    out,
    axis,
    temperature,
    dtype,
    reduction,
    ignoreIndex,
    weight,
    labelSmoothing,
    gradient,
    shardClasses,
    shardBytes,
    backend,
  });
}

/** `2/8`, as indexed jobs pass it. */
function share(text: string): readonly [number, number] {
  const [, index, of] = /^(\d+)\/(\d+)$/.exec(text) ?? [];
  if (!(Number(index) < Number(of))) {
    throw new InvalidArgumentError('Expected i/n with i from 0 to n − 1.');
  }
  return [Number(index), Number(of)];
}
