import type { BenchReport } from '@softgrad/bench';
import { registerBackends } from '@softgrad/bench/backends';
import type { FloatDType } from '@softgrad/core';
import { registered } from '@softgrad/core';
import { Command, Option } from 'commander';
import { writeTextFile } from '../files/output.js';
import { positiveInteger } from '../options.js';
import { startProgress } from '../progress.js';
import { formatTable } from '../table.js';

interface Options {
  readonly ops?: readonly string[];
  readonly shapes?: readonly string[];
  readonly dtype: readonly FloatDType[];
  readonly backends?: readonly string[];
  readonly peers: readonly string[];
  readonly baseline?: string;
  readonly rounds: number;
  readonly composed?: true;
  readonly quick?: true;
  readonly json?: string;
  readonly md?: string;
}

const list = (text: string): readonly string[] => text.split(',').filter((name) => name !== '');

export function benchCommand(): Command {
  return new Command('bench')
    .summary('times backends and their peers')
    .description(
      'Times operations at shapes on backends and peers, all interleaved round by round, each checked before it is timed: ' +
        'a first call, calls with a reused output, calls that allocate it, and from host data to host data. ' +
        'Speed-ups are medians with 95 % bootstrap intervals; a difference inside the noise is not called one.',
    )
    .option('--ops <list>', 'of softmax,logSoftmax,jacobian,vjp,crossEntropy; default: all', list)
    .option('--shapes <list>', 'rows × classes, like 4096x10,64x1000; default: the standard ones', list)
    .addOption(new Option('--dtype <list>', 'float32, float64, float16').argParser(list).default(['float32']))
    .option('--backends <list>', 'names as `softgrad backends` lists them; default: all', list)
    .addOption(
      new Option(
        '--peers <list>',
        'naive, tfjs-cpu, tfjs-wasm, onnxruntime-node, onnxruntime-web, jax, …; none for none',
      )
        .argParser(list)
        .default(['naive', 'tfjs-cpu']),
    )
    .option('--baseline <name>', 'what speed-ups are over; default: naive, or else the first')
    .addOption(new Option('--rounds <n>', 'samples of each contender').argParser(positiveInteger).default(15))
    .option('--composed', 'times every backend without its fused kernels, too')
    .option('--quick', 'small shapes only')
    .option('--json <file>', 'writes the whole report')
    .option('--md <file>', 'writes the tables as Markdown')
    .addHelpText(
      'after',
      `
Examples:
  $ softgrad bench --quick
  $ softgrad bench --ops softmax --backends cpu,wasm --peers naive,onnxruntime-node --json report.json
  $ softgrad bench --ops vjp --shapes 1x10000000 --peers none`,
    )
    .action(run);
}

async function run(options: Options): Promise<void> {
  // The benchmarks' own dependencies load only here.
  const { resultTables, runBench, selectContenders, selectWorkloads, toMarkdown } = await import('@softgrad/bench');
  registerBackends();
  const workloads = selectWorkloads({
    ops: options.ops,
    shapes: options.shapes,
    dtypes: options.dtype,
    quick: options.quick,
  });
  const peerNames = options.peers.filter((name) => name !== 'none');
  const contenders = selectContenders(options.backends ?? registered(), peerNames, options.composed);
  const progress = startProgress('bench', workloads.length);
  let report: BenchReport;
  try {
    report = await runBench({ workloads, contenders, baseline: options.baseline, rounds: options.rounds }, ({ done }) =>
      progress.update(done),
    );
  } finally {
    progress.stop();
  }
  const { environment, unavailable } = report;
  process.stdout.write(`${environment.runtime}, ${environment.platform}, ${environment.processor}\n`);
  for (const { name, description } of report.contenders) process.stdout.write(`${name}: ${description}\n`);
  for (const { name, reason } of unavailable) process.stdout.write(`${name}: not run: ${reason}\n`);
  for (const { title, head, rows } of resultTables(report)) {
    process.stdout.write(`\n${title}\n${formatTable(head, rows)}\n`);
  }
  if (options.json !== undefined) await writeTextFile(options.json, `${JSON.stringify(report, null, 2)}\n`);
  if (options.md !== undefined) await writeTextFile(options.md, toMarkdown(report));
}
