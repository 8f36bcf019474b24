import { accuracyTables } from '../accuracy.js';
import { markdownTable } from '../markdown.js';
import type { BenchReport, Mode } from '../report.js';
import { describeRun, formatMs, type TextTable } from '../table.js';
import { type BenchOp, benchOps } from '../workloads.js';
import { speedTargets } from './bars.js';
import type { Studies } from './studies.js';
import { matrixTable, type Selector, targetsTable } from './targets.js';

const modeWords: Record<Mode, string> = {
  reused: 'output reused',
  allocating: 'output allocated by the call',
  endToEnd: 'from host data to host data',
};

/** The page of measurements as Markdown. `command` is what makes it. */
export function performancePage(studies: Studies, command: string): string {
  const { softmax, slowPeers, threads, ops, composed, float64, longRow, accuracy } = studies;
  const [how] = describeRun(softmax);
  return [
    '# Performance',
    '',
    `Measured by \`${command}\`, which writes this page, on ${softmax.environment.date.slice(0, 10)}: ${how.split(';')[0]}.`,
    '',
    'Contenders are checked against a reference before they are timed, then timed round by round, interleaved, in orders that change.',
    'Absolute times are those of one shared machine; ratios, of times from the same rounds, are what carries over. They are given with',
    '95 % bootstrap intervals over rounds and, where several processes measured, over processes. Operands live where the engine works.',
    'How the suite measures is described in the README of @softgrad/bench.',
    '',
    '## The bars',
    '',
    ...table(targetsTable(speedTargets(studies))),
    '',
    'Not measured by this command: native code, and GPUs, of which the machine has none.',
    '',
    `## softmax`,
    ...who(softmax),
    ...matrices(softmax, { op: 'softmax' }, ['reused', 'allocating', 'endToEnd']),
    '',
    '### Slow peers',
    ...who(slowPeers),
    ...matrices(slowPeers, { op: 'softmax' }, ['allocating', 'endToEnd']),
    '',
    '### Two threads',
    ...matrices(threads, { op: 'softmax' }, ['reused', 'allocating']),
    '',
    '### float64',
    ...matrices(float64, { op: 'softmax', dtype: 'float64' }, ['reused']),
    ...benchOps.filter((op) => op !== 'softmax').flatMap((op) => opSection(op, ops)),
    '',
    '## Fused beside composed',
    '',
    'What a fused kernel is worth: the same operation composed from the five verbs of the basis.',
    ...(['logSoftmax', 'crossEntropy'] as const).flatMap((op) => [
      '',
      `${op}:`,
      ...matrices(composed, { op }, ['reused']),
    ]),
    '',
    '## One row of ten million',
    '',
    '`softmax.vjp` of shape (1, 10,000,000): a Jacobian of it would have 10¹⁴ entries.',
    ...matrices(longRow, { op: 'vjp' }, ['reused']),
    '',
    '## Accuracy',
    '',
    'Largest errors in units in the last place, as `softgrad accuracy` measures them. Logits are uniform in the range given.',
    ...accuracyTables(accuracy).map(markdownTable),
    '',
  ].join('\n');
}

function opSection(op: BenchOp, report: BenchReport): readonly string[] {
  return ['', `## ${op}`, ...matrices(report, { op }, ['reused', 'allocating'])];
}

function matrices(report: BenchReport, selector: Selector, wanted: readonly Mode[]): readonly string[] {
  return wanted.flatMap((mode) => {
    const matrix = matrixTable(report, selector, mode, formatMs);
    return ['', `Median time of a call, ${modeWords[mode]}:`, '', ...table(matrix)];
  });
}

function who(report: BenchReport): readonly string[] {
  const [, ...contenders] = describeRun(report);
  const [how] = describeRun(report).map((line) => line.split('; ').slice(1).join('; '));
  return ['', `${how}:`, '', ...contenders.map((line) => `- ${line}`)];
}

function table({ head, rows }: Pick<TextTable, 'head' | 'rows'>): readonly string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)];
}
