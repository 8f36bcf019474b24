import { readFile } from 'node:fs/promises';
import type { BenchProgress, BenchReport, TextTable } from '@softgrad/bench';
import { SoftgradError } from '@softgrad/core';
import { adviceOnName } from '@softgrad/formats';
import { Command, Option } from 'commander';
import { registerBackends } from 'softgrad/backends';
import { backendsModule, checkNoModule, checkSomeContender, withAll } from '../backend.js';
import type { OutputStream, Session } from '../context.js';
import { systemReason } from '../files/open.js';
import { checkWritable, writeTextFile } from '../files/output.js';
import { registerModule } from '../module.js';
import { checkOps } from '../near-ops.js';
import { list, listOrNone, positiveInteger } from '../options.js';
import { startProgress } from '../progress.js';
import { formatFitting, formatProse } from '../table.js';

interface Options {
  readonly ops?: readonly string[];
  readonly shapes?: readonly string[];
  readonly dtype: readonly string[];
  readonly backends?: readonly string[];
  readonly module?: string;
  readonly peers: readonly string[];
  readonly baseline?: string;
  readonly rounds: number;
  readonly sampleMs: number;
  readonly processes: number;
  readonly nodeOption: readonly string[];
  readonly composed?: true;
  readonly quick?: true;
  readonly json?: string;
  readonly md?: string;
  readonly html?: string;
  readonly compare?: string;
}

export function benchCommand(session: Session): Command {
  return new Command('bench')
    .summary('times backends and other libraries')
    .description(
      'Times operations on backends and other libraries at several shapes, interleaved round by round, each checked before it is timed: ' +
        'a first call, calls with a reused output, calls that allocate it, and from host data to host data. ' +
        'Speed-ups are medians with 95 % bootstrap intervals; differences within the noise are marked as such.',
    )
    .option(
      '--ops <list>',
      'of softmax, logSoftmax, jacobian, vjp, crossEntropy, sigmoid, relu; default: all of these. Calls with an option, only if named: ' +
        'softmax:paddingMask, softmax:causalMask, softmax:temperature, vjp:causalMask, crossEntropy:labelSmoothing, crossEntropy:probabilities, ' +
        'crossEntropy:ignoreIndex, crossEntropy:weight, crossEntropy:classMask',
      list,
    )
    .option('--shapes <list>', 'rows × classes, like 4096x10,64x1000; default: the standard ones', list)
    .addOption(new Option('--dtype <list>', 'of float32,float64').argParser(list).default(['float32'], 'float32'))
    .option(
      '--backends <list>',
      'names as `softgrad backends` lists them, with options like wasm:threads=2; all stands for each of them as it opens without options; or none; default: all',
      listOrNone,
    )
    .option(
      '--module <file>',
      'also times the backend of a JavaScript file or a package, as for conformance; --backends then defaults to none',
    )
    .addOption(
      new Option(
        '--peers <list>',
        'of naive, tfjs-cpu, tfjs-wasm, tfjs-webgl, tfjs-webgpu, onnxruntime-node, onnxruntime-node-2t, onnxruntime-web, jax, gpu.js; or none',
      )
        .argParser(listOrNone)
        .default(['naive', 'tfjs-cpu'], 'naive,tfjs-cpu'),
    )
    .option('--baseline <name>', 'the baseline of speed-ups; default: naive, otherwise the first')
    .addOption(
      new Option('--rounds <n>', 'samples of each contender in each process').argParser(positiveInteger).default(15),
    )
    .addOption(new Option('--sample-ms <n>', 'the shortest duration of a sample').argParser(positiveInteger).default(4))
    .addOption(
      new Option(
        '--processes <n>',
        'number of processes that take turns, for engines whose speed varies between processes',
      )
        .argParser(positiveInteger)
        .default(1),
    )
    .addOption(
      new Option('--node-option <option>', 'an option of node for these processes; can be repeated')
        .argParser((option: string, before: readonly string[]) => [...before, option])
        .default([], 'none'),
    )
    .option('--composed', 'also times every backend without its fused kernels')
    .addOption(new Option('--quick', 'small shapes only').conflicts('shapes'))
    .option('--json <file>', 'writes the whole report; - for standard output')
    .option('--md <file>', 'writes the tables as Markdown; - for standard output')
    .option('--html <file>', 'writes a page with charts; - for standard output')
    .option('--compare <file>', 'reports what got slower or faster since that report of --json')
    .addHelpText(
      'after',
      `
Examples:
  $ softgrad bench --quick
  $ softgrad bench --ops softmax --backends cpu,wasm,wasm:threads=2 \\
      --peers naive,onnxruntime-node --processes 3 --html report.html
  $ softgrad bench --module ./my-backend.js --backends cpu --composed
  $ softgrad bench --ops softmax --json new.json --compare old.json
  $ softgrad bench --ops vjp --shapes 1x10000000 --peers none
  $ softgrad bench --ops softmax,softmax:causalMask --shapes 1024x128`,
    )
    .action((options: Options) => run(options, session));
}

async function run(options: Options, session: Session): Promise<void> {
  const { stdout } = session;
  checkNoModule('--backends', options.backends ?? [], 'takes modules');
  // The dependencies of the benchmarks are loaded only here.
  const loading = startProgress('bench: loading', 1, session);
  const bench = await import('@softgrad/bench').finally(() => loading.stop());
  registerBackends();
  // All inputs are read and checked before anything is measured.
  const ofSoftmax = ['jacobian', 'vjp'];
  const members = bench.benchOps.map((name) => [ofSoftmax.includes(name) ? `softmax.${name}` : name, name]);
  checkOps(options.ops ?? [], Object.fromEntries(members));
  const earlier =
    options.compare === undefined ? null : bench.parseReport(await readText(options.compare), options.compare);
  const workloads = bench.selectWorkloads({
    ops: options.ops,
    shapes: options.shapes,
    dtypes: options.dtype,
    quick: options.quick,
  });
  const modules = options.module === undefined ? [] : [await registerModule(options.module, session)];
  const others = options.backends ?? (modules.length > 0 ? [] : session.backends.names());
  const contenders = {
    backends: [...modules, ...withAll(others, session.backends)],
    peers: options.peers,
    composed: options.composed ?? false,
  };
  checkSomeContender(contenders.backends, contenders.peers);
  const sources = bench.selectContenders(contenders.backends, contenders.peers, contenders.composed);
  const toStandardOutput = [options.json, options.md, options.html].filter((file) => file === '-').length;
  if (toStandardOutput > 1)
    throw new SoftgradError('ERR_VALUE', 'only one of --json, --md and --html can be - (standard output)');
  const silent = toStandardOutput === 1;
  await checkWritable([options.json, options.md, options.html]);

  const progress = startProgress('bench', workloads.length, session);
  const print = (lines: string) => {
    if (!silent) progress.print(lines);
  };
  const onProgress = ({ done, label, finished }: BenchProgress) => {
    progress.update(done, label);
    if (finished) print(`${formatTextTable(bench.resultTable(finished), stdout)}\n`);
  };
  const { baseline, rounds, sampleMs, processes, nodeOption } = options;
  let report: BenchReport;
  try {
    if (processes > 1 || nodeOption.length > 0) {
      const { runBenchInProcesses } = await import('@softgrad/bench/processes');
      report = await runBenchInProcesses(
        {
          workloads,
          contenders,
          setup: backendsModule(options.module),
          baseline,
          rounds,
          sampleMs,
          processes,
          execArgv: nodeOption,
        },
        onProgress,
      );
    } else {
      report = await bench.runBench({ workloads, contenders: sources, baseline, rounds, sampleMs }, onProgress);
    }
  } finally {
    progress.stop();
  }
  report = { ...report, unavailable: report.unavailable.map(withInstallation) };
  const tables = earlier ? [bench.comparisonTable(bench.compareReports(earlier, report))] : [];
  if (!silent) {
    for (const table of tables) stdout.write(`${formatTextTable(table, stdout)}\n`);
    const columns = bench.describeColumns(report).map((line) => `  ${line}`);
    const legend = columns.length > 0 ? ['', 'Columns', ...columns] : [];
    stdout.write(`${formatProse([...bench.describeRun(report), ...legend].join('\n'), stdout)}\n`);
  }
  if (options.json !== undefined) await write(options.json, bench.stringifyReport(report), stdout);
  if (options.md !== undefined) await write(options.md, bench.toMarkdown(report, tables), stdout);
  if (options.html !== undefined) {
    const { toHtml } = await import('@softgrad/bench/html');
    await write(options.html, toHtml(report, tables), stdout);
  }
  checkTimed(report);
}

/** Where a library is not installed, the line that installs it, instead of the file that imports it. */
function withInstallation({ name, reason }: BenchReport['unavailable'][number]): BenchReport['unavailable'][number] {
  const missing = /Cannot find package '([^'/][^']*)' imported from .*/;
  return { name, reason: reason.replace(missing, "Cannot find package '$1': npm install $1") };
}

/** A run in which nothing was timed, with the reasons above, is an error. */
function checkTimed({ workloads, unavailable }: BenchReport): void {
  const results = workloads.flatMap((workload) => workload.results);
  if (results.some(({ missing }) => missing === null)) return;
  const reasons = [
    ...unavailable.map(({ name, reason }) => `${name}: ${reason}`),
    ...results.map(({ contender, missing }) => `${contender}: ${missing}`),
  ];
  throw new SoftgradError('ERR_BACKEND_UNAVAILABLE', `bench: nothing was timed: ${[...new Set(reasons)].join('; ')}`);
}

/** A table with its title above it and its notes below. */
export function formatTextTable({ title, head, rows, notes }: TextTable, stdout: OutputStream): string {
  const table = rows.length > 0 ? `${formatFitting(head, rows, stdout)}\n` : '';
  return `${title}\n${table}${formatProse(notes.map((note) => `  ${note}\n`).join(''), stdout)}`;
}

async function readText(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((cause: unknown) => {
    throw new SoftgradError('ERR_VALUE', `${path}: cannot be read: ${systemReason(cause)}${adviceOnName(path)}`, {
      cause,
    });
  });
}

async function write(path: string, text: string, stdout: OutputStream): Promise<void> {
  if (path === '-') stdout.write(text);
  else await writeTextFile(path, text);
}
