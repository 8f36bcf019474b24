import type { AccuracyReport, BenchDType } from '@softgrad/bench';
import { SoftgradError } from '@softgrad/core';
import { Command, InvalidArgumentError, Option } from 'commander';
import { registerBackends } from 'softgrad/backends';
import { checkNoModule, checkSomeContender, withAll } from '../backend.js';
import type { Session } from '../context.js';
import { checkWritable, writeTextFile } from '../files/output.js';
import { computing, registerModule } from '../module.js';
import { checkOps } from '../near-ops.js';
import { list, listOrNone, positiveInteger } from '../options.js';
import { startProgress } from '../progress.js';
import { formatTextTable } from './bench.js';

interface Options {
  readonly ops: readonly string[];
  readonly dtype: readonly BenchDType[];
  readonly classes?: readonly number[];
  readonly backends?: readonly string[];
  readonly module?: string;
  readonly results?: number;
  readonly peers: readonly string[];
  readonly details?: true;
  readonly json?: string;
  readonly md?: string;
}

export function accuracyCommand(session: Session): Command {
  return new Command('accuracy')
    .summary('measures errors in ULP')
    .description(
      'The largest error of each backend in units in the last place, against a double-double reference: over logits uniform in ±1, ±20, ' +
        '±80, 1e4 ± 8 and 1e6 ± 8, nearly one-hot rows, temperatures from 0.01 to 100 and a mask, with 1 to 10 million classes; ' +
        'cross-entropy also with label smoothing and with probabilities as targets. ' +
        'Derivatives are measured relative to what is attainable: the terms that remain after exact cancellation. The diagonal of linearize is ' +
        "that at the backend's own output.",
    )
    .addOption(
      new Option(
        '--ops <list>',
        'all, or functions and derivatives by their names in core, like logSumExp, crossEntropy.loss, softmax.hvp, ' +
          'logSoftmax.linearize.diagonal; an unknown name prints them all',
      )
        .argParser(list)
        .default(['softmax'], 'softmax'),
    )
    .addOption(
      new Option('--dtype <list>', 'of float32,float64')
        .argParser(some(['float32', 'float64']))
        .default(['float32', 'float64'], 'float32,float64'),
    )
    .option('--classes <list>', 'classes of a row; default: 1,2,3,10,17,128,1000,32000,128256,10000000', (text) =>
      list(text).map(positiveInteger),
    )
    .option(
      '--results <count>',
      'results per input; the largest error grows with their number; default: 8000',
      positiveInteger,
    )
    .option(
      '--backends <list>',
      'names as `softgrad backends` lists them, with options like gpujs:mode=webasm or tfjs:engine=cpu; all stands for each of them as it opens ' +
        'without options; or none; default: all',
      listOrNone,
    )
    .option(
      '--module <file>',
      'also measures the backend of a JavaScript file or a package, as for conformance; --backends then defaults to none',
    )
    .addOption(
      new Option(
        '--peers <list>',
        'of naive, tfjs-cpu, tfjs-wasm, onnxruntime-node, onnxruntime-web, jax, gpu.js; or none',
      )
        .argParser(listOrNone)
        .default([], 'none'),
    )
    .option('--details', 'also prints a table of every input')
    .option('--json <file>', 'writes the whole report; - for standard output')
    .option('--md <file>', 'writes the tables as Markdown; - for standard output')
    .addHelpText(
      'after',
      `
Examples:
  $ softgrad accuracy
  $ softgrad accuracy --ops all --backends all --md accuracy.md
  $ softgrad accuracy --ops crossEntropy.gradient --details \\
      --backends all,gpujs:mode=webasm,tfjs:engine=cpu
  $ softgrad accuracy --backends cpu,wasm --dtype float32 \\
      --peers naive,onnxruntime-node,jax
  $ softgrad accuracy --module ./my-backend.js --backends cpu
  $ softgrad accuracy --backends cpu --classes 10,1000 --json -`,
    )
    .action((options: Options) => run(options, session));
}

function some<T extends string>(known: readonly T[]): (text: string) => readonly T[] {
  return (text) =>
    list(text).map((name) => {
      const found = known.find((candidate) => candidate === name);
      if (found === undefined) throw new InvalidArgumentError(`Expected ${known.join(', ')}.`);
      return found;
    });
}

async function run(options: Options, session: Session): Promise<void> {
  const { stdout } = session;
  if (options.json === '-' && options.md === '-') {
    throw new SoftgradError('ERR_VALUE', 'only one of --json and --md can be - (standard output)');
  }
  const printed = (['json', 'md'] as const).find((format) => options[format] === '-');
  if (options.details && printed !== undefined) {
    throw new SoftgradError(
      'ERR_VALUE',
      `--details with --${printed} -: standard output has the whole report already; expected one of them`,
    );
  }
  await checkWritable([options.json, options.md]);
  const progress = startProgress('accuracy: loading', 1, session);
  const { bench, report } = await measure(options, session, progress.update).finally(() => progress.stop());
  const { accuracyOverview, accuracySummary, accuracyTables, markdownTable, stringifyReport } = bench;
  const details = accuracyTables(report);
  const tables = [accuracySummary(report), ...details];
  const notRun = report.unavailable.map(({ name, reason }) => `${name}: not run: ${reason}`);
  if (printed === undefined) {
    for (const table of [accuracyOverview(report), ...(options.details ? details : [])]) {
      stdout.write(`${formatTextTable(table, stdout)}\n`);
    }
    for (const line of notRun) stdout.write(`${line}\n`);
    if (!options.details && stdout.isTTY) session.notices.push('--details prints the errors of every input');
  }
  const markdown = `${tables.map(markdownTable).join('\n').trimStart()}${notRun.map((line) => `\n- ${line}`).join('')}\n`;
  for (const [file, text] of [
    [options.json, stringifyReport(report)],
    [options.md, markdown],
  ] as const) {
    if (file === '-') stdout.write(text);
    else if (file !== undefined) await writeTextFile(file, text);
  }
  checkMeasured(report);
}

/** A run in which nothing was measured, with the reasons above, is an error. */
function checkMeasured({ results, unavailable }: AccuracyReport): void {
  if (results.some(({ worstUlp }) => worstUlp !== null)) return;
  const reasons = [
    ...unavailable.map(({ name, reason }) => `${name}: ${reason}`),
    ...results.map(({ contender, op, dtype }) => `${contender}: ${op} in ${dtype} is not supported`),
  ];
  throw new SoftgradError(
    'ERR_BACKEND_UNAVAILABLE',
    `accuracy: nothing was measured: ${[...new Set(reasons)].join('; ')}`,
  );
}

async function measure(options: Options, session: Session, update: (done: number, label: string) => void) {
  checkNoModule('--backends', options.backends ?? [], 'takes modules');
  const bench = await import('@softgrad/bench');
  const known = bench.selectAccuracyOps(['all']);
  checkOps(options.ops, { all: 'all', ...Object.fromEntries(known.map((name) => [name, name])) });
  const ops = bench.selectAccuracyOps(options.ops);
  registerBackends();
  const modules = options.module === undefined ? [] : [await registerModule(options.module, session)];
  const names = options.backends ?? (modules.length > 0 ? [] : ['all']);
  const chosen = [...new Set([...modules, ...withAll(names, session.backends)])];
  checkSomeContender(chosen, options.peers);
  const contenders = bench.selectContenders(chosen, options.peers);
  const { dtype: dtypes, classes, results } = options;
  const report = await computing(options.module, session, () =>
    bench.measureAccuracy({ contenders, ops, dtypes, classes, results }, ({ done, total, label }) =>
      update(done / total, label),
    ),
  );
  return { bench, report };
}
