import {
  accuracySummary,
  accuracyTables,
  type BenchOp,
  type BenchReport,
  benchOps,
  describeRun,
  type Mode,
  markdownTable,
  type TextTable,
} from '@softgrad/bench';
import { speedTargets } from './bars.js';
import { firstScreen } from './first-screen.js';
import { plainWasm, relaxedWasm, shownName, shownReport } from './names.js';
import type { Studies } from './studies.js';
import { absences, boundsTable, matrixTable, ratioTable } from './tables.js';
import { type Selector, targetsTable } from './targets.js';

const modeWords: Record<Mode, string> = {
  reused: 'output reused',
  allocating: 'output allocated by the call',
  endToEnd: 'from host data to host data',
};

const [plain, relaxed] = [shownName(plainWasm), shownName(relaxedWasm)];

/** The page of measurements as Markdown. `command` is what makes it. */
export function performancePage(studies: Studies, command: string): string {
  const { softmax, slowPeers, threads, ops, composed, float64, longRow, backends, accuracy } = studies;
  const targets = speedTargets(studies);
  const [where] = describeRun(softmax)[0].split(';');
  const named = {
    ...accuracy,
    contenders: accuracy.contenders.map((one) => ({ ...one, name: shownName(one.name) })),
    results: accuracy.results.map((one) => ({ ...one, contender: shownName(one.contender) })),
  };
  const quick = studies.quick
    ? ['This was a quick run, of small shapes and few rounds: its numbers decide nothing.', '']
    : [];
  return [
    '---',
    'title: Performance',
    '---',
    '',
    '# Performance',
    '',
    `Measured by \`${command}\`, which writes this page, on ${softmax.environment.date.slice(0, 10)}: ${where}.`,
    '',
    ...quick,
    ...firstScreen(studies, targets),
    '',
    ...folded('How this was measured', introduction),
    '',
    '## The bars',
    '',
    'What softgrad asks of itself, and what came out. Every ratio is in the tables below.',
    '',
    ...table(targetsTable(targets)),
    '',
    'Not measured by this command: code compiled for this processor, and GPUs.',
    '',
    '## softmax',
    ...who(softmax),
    '',
    '![Time of a softmax against the number of results, a line a contender](images/performance-softmax-time.svg)',
    '',
    '![How many times as fast as naive loops each contender is at each shape, with intervals](images/performance-softmax-ratios.svg)',
    ...times(softmax, { op: 'softmax' }, ['reused', 'allocating', 'endToEnd']),
    ...ratios(softmax, { op: 'softmax' }, [plain, relaxed], ['reused', 'allocating']),
    ...bounds(softmax, { op: 'softmax' }),
    '',
    '### Slow peers',
    ...who(slowPeers),
    ...times(slowPeers, { op: 'softmax' }, ['allocating', 'endToEnd']),
    ...ratios(slowPeers, { op: 'softmax' }, [plain, relaxed], ['allocating']),
    '',
    '### Two threads',
    ...who(threads),
    ...times(threads, { op: 'softmax' }, ['reused', 'allocating']),
    ...ratios(
      threads,
      { op: 'softmax' },
      [plainWasm, relaxedWasm].map((name) => shownName(`${name}:threads=2`)),
      ['reused', 'allocating'],
    ),
    '',
    '### float64',
    ...who(float64),
    ...times(float64, { op: 'softmax', dtype: 'float64' }, ['reused']),
    ...ratios(float64, { op: 'softmax', dtype: 'float64' }, [plain], ['reused']),
    ...bounds(float64, { op: 'softmax', dtype: 'float64' }),
    '',
    '## The other operations',
    ...who(ops),
    ...benchOps.filter((op) => op !== 'softmax').flatMap((op) => opSection(op, ops)),
    '',
    '## Fused beside composed',
    '',
    'What a fused kernel is worth: the same operation composed from the five verbs of the basis.',
    ...who(composed),
    ...(['logSoftmax', 'crossEntropy'] as const).flatMap((op) => [
      '',
      `### ${op}, fused and composed`,
      ...times(composed, { op }, ['reused']),
      ...['cpu', plain].flatMap((name) => fusion(composed, op, name)),
    ]),
    '',
    '## One row of ten million',
    '',
    '`softmax.vjp` of shape (1, 10,000,000): a Jacobian of it would have 10¹⁴ entries.',
    ...who(longRow),
    ...times(longRow, { op: 'vjp' }, ['reused']),
    ...bounds(longRow, { op: 'vjp' }),
    '',
    '## Every backend that computes here',
    '',
    'As each opens by itself, without options. Those on a GPU are not among them: this machine has none.',
    ...who(backends),
    ...(['softmax', 'vjp'] as const).flatMap((op) => [
      '',
      `### ${op} on every backend`,
      ...times(backends, { op }, ['reused', 'endToEnd']),
    ]),
    '',
    '## Accuracy',
    '',
    'Largest errors in units in the last place, as `softgrad accuracy --peers …` measures them. Logits are uniform in the range given.',
    markdownTable(accuracySummary(named)),
    ...more('By classes and logits', accuracyTables(named).map(markdownTable)),
    '',
  ].join('\n');
}

const introduction = [
  'Contenders are checked against a reference before they are timed, then timed round by round, interleaved, in orders that change.',
  'Absolute times are those of one shared machine; ratios, of times from the same rounds, are what carries over. They are given with',
  '95 % bootstrap intervals over rounds and, where several processes measured, over processes; ≈ marks what is no',
  'difference outside the noise, which is how much the same code timed twice differed. Operands live where the engine works. `wasm` comes in two builds, for plain SIMD and for relaxed SIMD: browsers and Node',
  'from version 22 on have relaxed SIMD, and backend-wasm takes that build by itself there; in Node 20 it has to be asked for. How the suite',
  'measures is described in the README of @softgrad/bench; every round is in `docs/data/performance.json`.',
  '',
  '**What bounds a result** is measured in the same rounds: a memcpy and a fill of the output’s bytes, and a loop that computes exp alone.',
  'The memory bound is the bytes that an operation has to read and write at the speed of memcpy, and no less than the fill; the exp bound',
  'is the fastest exp of the run; where neither takes as long as calling the engine with a single element does, the call is',
  'the bound. A share of 50 % is a result that takes twice its bound. The loops have one thread and the width of WebAssembly’s vectors, so',
  'native code with wider ones can come to more than 100 %.',
];

/** Lines that are shown on a click. */
function folded(title: string, lines: readonly string[]): readonly string[] {
  return ['<details>', `<summary>${title}</summary>`, '', ...lines, '', '</details>'];
}

/** What follows a table on a click, if there is any. */
function more(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : ['', ...folded(title, lines)];
}

function opSection(op: BenchOp, report: BenchReport): readonly string[] {
  return [
    '',
    `### ${op}`,
    ...times(report, { op }, ['reused', 'allocating']),
    ...ratios(report, { op }, [plain, relaxed], ['reused']),
    ...bounds(report, { op }),
  ];
}

function times(report: BenchReport, selector: Selector, wanted: readonly Mode[]): readonly string[] {
  const shown = shownReport(report);
  const absent = absences(shown, selector).map((line) => `- ${inOneLine(line)}`);
  const [first, ...others] = wanted.map((mode) => [
    '',
    `Median time of a call, ${modeWords[mode]}:`,
    '',
    ...table(matrixTable(shown, selector, mode)),
  ]);
  return [
    ...(first ?? []),
    ...(absent.length > 0 ? ['', 'No time:', '', ...absent] : []),
    ...more('The same called in other ways', others.flat()),
  ];
}

function inOneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ');
}

function ratios(
  report: BenchReport,
  selector: Selector,
  fast: readonly string[],
  wanted: readonly Mode[],
): readonly string[] {
  const tables = wanted.flatMap((mode) =>
    fast.flatMap((name) => {
      const found = ratioTable(shownReport(report), selector, mode, name);
      if (found.rows.length === 0) return [];
      return ['', `${name}, times as fast, ${modeWords[mode]}:`, '', ...table(found)];
    }),
  );
  return more('How many times as fast as each of the others, with intervals', tables);
}

function bounds(report: BenchReport, selector: Selector): readonly string[] {
  const found = boundsTable(shownReport(report), selector);
  return more('What bounds it, and the share of each median that the bound is', ['', ...table(found)]);
}

/** The fused kernel over what core composes. */
function fusion(report: BenchReport, op: BenchOp, name: string): readonly string[] {
  const { head, rows } = ratioTable(shownReport(report), { op }, 'reused', name);
  const column = head.indexOf(`over ${name} (composed)`);
  if (column < 0) return [];
  return ['', `${name}, fused over composed: ${rows.map((row) => `${row[0]} ${row[column]}`).join('; ')}.`];
}

function who(report: BenchReport): readonly string[] {
  const [how, ...contenders] = describeRun(shownReport(report));
  return ['', `${upperFirst(how.split('; ').slice(1).join('; '))}:`, '', ...contenders.map((line) => `- ${line}`)];
}

function upperFirst(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;
}

function table({ head, rows }: Pick<TextTable, 'head' | 'rows'>): readonly string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)];
}
