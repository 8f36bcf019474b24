import {
  accuracySummary,
  accuracyTables,
  type BenchOp,
  type BenchReport,
  describeRun,
  formatMs,
  type Mode,
  markdownTable,
  opsWithOptions,
  plainOps,
  type TextTable,
} from '@softgrad/bench';
import { speedTargets } from './bars.js';
import { browserName } from './browser.js';
import { firstScreen } from './first-screen.js';
import { plainWasm, relaxedWasm, shownName, shownReport } from './names.js';
import { optionCosts, optionTimes } from './options-tables.js';
import { reasonsOf } from './reasons.js';
import type { Studies } from './studies.js';
import { absences, boundsTable, matrixTable, ratioTable } from './tables.js';
import { type Selector, shapeText, targetsTable } from './targets.js';
import type { Waking } from './waking.js';

const modeWords: Record<Mode, string> = {
  reused: 'output reused',
  allocating: 'output allocated by the call',
  endToEnd: 'from host data to host data',
};

const [plain, relaxed] = [shownName(plainWasm), shownName(relaxedWasm)];

/** The page of measurements as Markdown. `command` is the command that writes it. */
export function performancePage(studies: Studies, command: string): string {
  const { softmax, slowPeers, threads, ops, composed, float64, longRow, backends, accuracy, browser } = studies;
  const { withOptions, costs } = studies;
  const targets = speedTargets(studies);
  const [where] = describeRun(softmax)[0].split(';');
  const named = {
    ...accuracy,
    contenders: accuracy.contenders.map((one) => ({ ...one, name: shownName(one.name) })),
    results: accuracy.results.map((one) => ({ ...one, contender: shownName(one.contender) })),
  };
  const quick = studies.quick
    ? ['This was a quick run of small shapes and few rounds: its numbers are not conclusive.', '']
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
    '## Targets',
    '',
    'The targets that softgrad sets itself, and the measured values. Every ratio is in the tables below.',
    '',
    ...table(targetsTable(targets)),
    '',
    ...folded('What keeps the missed targets from being met, and what was tried', reasonsOf(studies, targets)),
    '',
    'This command does not measure code compiled for this processor, or GPUs.',
    '',
    '## softmax',
    ...who(softmax),
    '',
    '![Time of a softmax against the number of results, with a line for each contender](images/performance-softmax-time.svg)',
    '',
    '![How many times as fast as naive loops each contender is at each shape, with intervals](images/performance-softmax-ratios.svg)',
    ...times(softmax, { op: 'softmax' }, ['reused', 'allocating', 'endToEnd']),
    ...ratios(softmax, { op: 'softmax' }, [plain, relaxed], ['reused', 'allocating']),
    ...bounds(softmax, { op: 'softmax' }),
    '',
    '### Slow competitors',
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
    ...wakingSection(studies.waking),
    '',
    '### float64',
    ...who(float64),
    ...times(float64, { op: 'softmax', dtype: 'float64' }, ['reused']),
    ...ratios(float64, { op: 'softmax', dtype: 'float64' }, [plain], ['reused']),
    ...bounds(float64, { op: 'softmax', dtype: 'float64' }),
    '',
    '## The other operations',
    ...who(ops),
    ...plainOps
      .filter((op) => ops.workloads.some(({ workload }) => workload.op === op))
      .flatMap((op) => opSection(op, ops)),
    '',
    '## Masks, targets and temperatures',
    '',
    ...(withOptions
      ? callsWithOptions(withOptions, costs)
      : [`Not measured: \`${command}\` measures everything, these calls as well.`]),
    '',
    '## Fused and composed',
    '',
    'The gain of a fused kernel over the same operation composed from the five primitives of the basis.',
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
    '## Every backend that runs here',
    '',
    'Each with its default options. GPU backends are not included, because this machine has no GPU.',
    ...who(backends),
    ...(['softmax', 'vjp'] as const).flatMap((op) => [
      '',
      `### ${op} on every backend`,
      ...times(backends, { op }, ['reused', 'endToEnd']),
    ]),
    '',
    '## In a browser',
    '',
    ...(browser ? inBrowser(browser) : ['Not measured.']),
    '',
    'These are the numbers of the Bench panel of the playground (`npm run playground`). Those of another browser or device make this section if its *Download JSON* is given to',
    `\`${command} -- --from docs/data/performance.json --browser softgrad-bench.json\`, which measures nothing.`,
    '',
    '## Accuracy',
    '',
    'Largest errors in units in the last place, as measured by `softgrad accuracy --peers …`. Logits are uniform in the range given.',
    markdownTable(accuracySummary(named)),
    ...more('By classes and logits', accuracyTables(named).map(markdownTable)),
    '',
  ].join('\n');
}

/** The cost of masks, targets and temperatures. */
function callsWithOptions(report: BenchReport, costs: Studies['costs']): readonly string[] {
  const absent = opsWithOptions.flatMap((op) =>
    absences(shownReport(report), { op }).map((line) => `- ${op}, ${inOneLine(line)}`),
  );
  return [
    'What users of attention and of classifiers call: softmax with a padding mask (one row of booleans for all rows) or a causal mask (a boolean for each logit), and the vjp with it; temperature 0.7;',
    'crossEntropy (loss and gradient) with label smoothing 0.1, with probabilities as the target, with every fourth row ignored, with class weights, and with a quarter of the classes masked.',
    '1024×128 and 4096×256 are the attention scores of 8 heads with 128 queries and keys, and of 16 heads with 256. The README of @softgrad/bench says how the other libraries do the same.',
    '',
    'The time is relative to that of the same call without the option, sampled in the same rounds with a reused output. The other libraries have the same option, and all allocate the output.',
    ...who(report),
    '',
    ...table(optionCosts(report, costs, false)),
    ...more('The same with intervals, and median times', [
      '',
      ...table(optionCosts(report, costs, true)),
      '',
      `Median time of a call, ${modeWords.allocating}:`,
      '',
      ...table(optionTimes(report)),
      ...(absent.length > 0 ? ['', 'No time:', '', ...absent] : []),
    ]),
  ];
}

/** softmax in a browser. */
function inBrowser({ environment, ...rest }: BenchReport): readonly string[] {
  const { logicalProcessors, date } = environment;
  const runtime = browserName(environment.runtime);
  const report = { ...rest, environment: { ...environment, runtime } };
  const selector = { op: 'softmax' } as const;
  return [
    `softmax in ${runtime}, ${logicalProcessors} logical processors, on ${date.slice(0, 10)}.`,
    ...who(report),
    ...times(report, selector, ['reused', 'allocating', 'endToEnd']),
    ...ratios(report, selector, ['wasm', 'wasm:threads=2'].map(shownName), ['reused', 'allocating']),
    ...bounds(report, selector),
  ];
}

const introduction = [
  'Contenders are checked against a reference before they are timed, then timed round by round, interleaved, in changing order.',
  'Absolute times are those of one shared machine; ratios of times from the same rounds depend less on the machine. They are given with',
  '95 % bootstrap intervals over rounds and, if several processes measured, over processes; ≈ marks a difference',
  'within the noise, which is the difference of the same code timed twice. Operands are in the memory of the engine. `wasm` has two builds, for plain SIMD and for relaxed SIMD: browsers and Node',
  'from version 22 on have relaxed SIMD, and backend-wasm uses that build there by default; in Node 20 an option selects it. The method',
  'is described in the README of @softgrad/bench; every round is in `docs/data/performance.json`.',
  '',
  '**The bound of a result** is measured in the same rounds: a memcpy and a fill of the output’s bytes, and a loop that computes exp alone.',
  'The memory bound is the time for the bytes that an operation has to read and write at the speed of memcpy, at least that of the fill; the exp bound',
  'is the fastest exp of the run; if calling the engine with a single element takes longer than both, the call is',
  'the bound. A share of 50 % means that the result takes twice its bound. The loops use one thread and WebAssembly’s vector width, so',
  'native code with wider vectors can exceed 100 %. Plain JavaScript has no vectors and plain SIMD no fused multiply-add: the share of a loop that only computes exp with',
  'the contender’s own instructions stands in brackets.',
];

/** Collapsed lines. */
function folded(title: string, lines: readonly string[]): readonly string[] {
  return ['<details>', `<summary>${title}</summary>`, '', ...lines, '', '</details>'];
}

/** Collapsed lines after a table, if there are any. */
function more(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : ['', ...folded(title, lines)];
}

/** What a second thread gains, and what it costs to wake it. */
function wakingSection(measured: readonly Waking[]): readonly string[] {
  return [
    '',
    'A thread that has nothing to do watches for work for half a millisecond, then it sleeps, and waking it takes a part of a millisecond, in which the other thread has computed much of a short call. Calls of wasm',
    'with its default options that follow at once, and calls after a pause of 4 ms:',
    '',
    ...table({
      head: ['shape', 'one thread', 'two', 'gain', 'one, after a pause', 'two, after a pause', 'gain after a pause'],
      rows: measured.map(({ shape, one, two }) => [
        shapeText(shape),
        formatMs(one.atOnceMs),
        formatMs(two.atOnceMs),
        `${(one.atOnceMs / two.atOnceMs).toFixed(2)}×`,
        formatMs(one.afterPauseMs),
        formatMs(two.afterPauseMs),
        `${(one.afterPauseMs / two.afterPauseMs).toFixed(2)}×`,
      ]),
    }),
  ];
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
    ...more('The same in other modes', others.flat()),
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
  return more('The bound, and its share of each median', ['', ...table(found)]);
}

/** The fused kernel compared with the composition by core. */
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
