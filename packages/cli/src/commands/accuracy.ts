import type { AccuracyReport, BenchDType } from '@softgrad/bench';
import { SoftgradError } from '@softgrad/core';
import { Command, InvalidArgumentError, Option } from 'commander';
import { registerBackends } from 'softgrad/backends';
import type { Session } from '../context.js';
import { writeTextFile } from '../files/output.js';
import { list, positiveInteger } from '../options.js';
import { startProgress } from '../progress.js';
import { formatTextTable } from './bench.js';

interface Options {
  readonly ops: readonly ('softmax' | 'logSoftmax')[];
  readonly dtype: readonly BenchDType[];
  readonly classes?: readonly number[];
  readonly backends?: readonly string[];
  readonly peers: readonly string[];
  readonly json?: string;
  readonly md?: string;
}

export function accuracyCommand(session: Session): Command {
  return new Command('accuracy')
    .summary('measures errors in ULP')
    .description(
      'The largest error of each backend in units in the last place, against a reference in higher precision: over logits ' +
        'uniform in ±1, ±20, ±80 and 1e4 ± 8, with rows from 1 to 128,256 classes.',
    )
    .addOption(
      new Option('--ops <list>', 'of softmax,logSoftmax')
        .argParser(some(['softmax', 'logSoftmax']))
        .default(['softmax'], 'softmax'),
    )
    .addOption(
      new Option('--dtype <list>', 'of float32,float64')
        .argParser(some(['float32', 'float64']))
        .default(['float32', 'float64'], 'float32,float64'),
    )
    .option('--classes <list>', 'classes of a row; default: 1,3,10,128,1000,32000,128256', (text) =>
      list(text).map(positiveInteger),
    )
    .option(
      '--backends <list>',
      'names as `softgrad backends` lists them, with options like wasm:threads=2; default: all',
      list,
    )
    .addOption(
      new Option('--peers <list>', 'of naive, tfjs-cpu, tfjs-wasm, onnxruntime-node, onnxruntime-web, jax, gpu.js')
        .argParser(list)
        .default([], 'none'),
    )
    .option('--json <file>', 'writes the whole report; - for standard output')
    .option('--md <file>', 'writes the tables as Markdown; - for standard output')
    .addHelpText(
      'after',
      `
Examples:
  $ softgrad accuracy
  $ softgrad accuracy --backends cpu,wasm --peers naive,onnxruntime-node,jax --dtype float32
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
  const { accuracyTables, markdownTable, measureAccuracy, selectContenders, stringifyReport } = await import(
    '@softgrad/bench'
  );
  registerBackends();
  const contenders = selectContenders(options.backends ?? session.backends.names(), options.peers);
  const progress = startProgress('accuracy', 1, session);
  let report: AccuracyReport;
  try {
    report = await measureAccuracy(
      { contenders, ops: options.ops, dtypes: options.dtype, classes: options.classes },
      ({ done, total, label }) => progress.update(done / total, label),
    );
  } finally {
    progress.stop();
  }
  const tables = accuracyTables(report);
  const notRun = report.unavailable.map(({ name, reason }) => `${name}: not run: ${reason}`);
  if (options.json !== '-' && options.md !== '-') {
    for (const table of tables) stdout.write(`${formatTextTable(table)}\n`);
    for (const line of notRun) stdout.write(`${line}\n`);
  }
  const markdown = `${tables.map(markdownTable).join('\n').trimStart()}${notRun.map((line) => `\n- ${line}`).join('')}\n`;
  for (const [file, text] of [
    [options.json, stringifyReport(report)],
    [options.md, markdown],
  ] as const) {
    if (file === '-') stdout.write(text);
    else if (file !== undefined) await writeTextFile(file, text);
  }
}
