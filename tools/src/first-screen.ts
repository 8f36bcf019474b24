import { accuracySummary, type BenchReport, type Mode } from '@softgrad/bench';
import { browserName } from './browser.js';
import { plainWasm, relaxedWasm, shownName } from './names.js';
import { shareOfOwnLoop } from './own-loop.js';
import type { Studies } from './studies.js';
import { find, geometricMean, select, shapeText, type Target } from './targets.js';

/** The summary at the top of the page: speed, bounds, accuracy, and missed targets. */
export function firstScreen(studies: Studies, targets: readonly Target[]): readonly string[] {
  return [
    `- **One thread**: ${oneThread(studies)}.`,
    `- **Two threads**: ${twoThreads(studies)}.`,
    `- **What limits it**: ${bounds(studies.softmax)}.`,
    `- **Accuracy**: ${accuracy(studies)}.`,
    `- **Missed targets**: ${shortcomings(targets)}.`,
  ];
}

const peers = ['onnxruntime-node', 'onnxruntime-web', 'tfjs-wasm'];

function oneThread({ softmax, slowPeers }: Studies): string {
  const builds = [plainWasm, relaxedWasm].map((fast) => {
    const over = [
      ...speedUps(softmax, fast, peers, 'allocating'),
      ...speedUps(slowPeers, fast, ['jax', 'tfjs-cpu'], 'allocating'),
    ];
    return `softmax of ${shownName(fast)} is ${orNothing(over.join(', '))}`;
  });
  const ofCpu = speedUps(softmax, 'cpu', ['naive'], 'reused');
  return `${builds.join('; ')}; of cpu ${orNothing(ofCpu.join())} (geometric means over the shapes)`;
}

/** The smallest and the largest speed-up of two threads over one, of a build of wasm at the shapes of more than 100,000 elements. */
function overOneThread(report: BenchReport, one: string, two: string): string | null {
  const found = select(report, { op: 'softmax', shapes: ([rows, classes]) => rows * classes > 100_000 }).flatMap(
    (result) => {
      const [fast, slow] = [two, one].map((name) => find(result, name)?.timings.reused?.medianMs);
      return fast !== undefined && slow !== undefined ? [slow / fast] : [];
    },
  );
  if (found.length === 0) return null;
  const [least, most] = [Math.min(...found), Math.max(...found)].map((one) => one.toFixed(1));
  return least === most ? `${least}×` : `${least} to ${most}×`;
}

function twoThreads({ threads, browser }: Studies): string {
  const [plain, relaxed] = [plainWasm, relaxedWasm].map((name) => {
    const fast = `${name}:threads=2`;
    const long = { shapes: ([rows, classes]: readonly [number, number]) => rows * classes >= 500_000 };
    const mean = geometricMean(threads, {
      op: 'softmax',
      fast,
      slow: 'onnxruntime-node-2t',
      mode: 'allocating',
      ...long,
    });
    return mean === null ? 'not measured' : `${mean.toFixed(1)}×`;
  });
  const here = overOneThread(threads, plainWasm, `${plainWasm}:threads=2`);
  const inBrowser = browser && overOneThread(browser, 'wasm', 'wasm:threads=2');
  const scale = [
    ...(here ? [`${here} over one`] : []),
    ...(browser && inBrowser ? [`${inBrowser} in ${browserName(browser.environment.runtime)}`] : []),
  ];
  const overOne = scale.length === 0 ? '' : `; from 100,000 elements on, two threads are ${scale.join(', and ')}`;
  return `at 500,000 elements and more, softmax of wasm (SIMD) is ${plain} and of wasm (relaxed SIMD) ${relaxed} over onnxruntime-node with two${overOne}`;
}

function speedUps(report: BenchReport, fast: string, slow: readonly string[], mode: Mode): readonly string[] {
  return slow.flatMap((name) => {
    const mean = geometricMean(report, { op: 'softmax', fast, slow: name, mode });
    return mean === null ? [] : [`${mean.toFixed(1)}× over ${name === 'naive' ? 'naive loops' : name}`];
  });
}

/** The lowest and the highest share of its bound that each build of wasm reaches. */
function bounds(report: BenchReport): string {
  const builds = ['cpu', plainWasm, relaxedWasm].flatMap((name) => {
    const shares = select(report, { op: 'softmax' }).flatMap((result) => {
      const bound = find(result, name)?.bound;
      return bound ? [{ shape: result.workload.shape, ...bound }] : [];
    });
    const [least, most] = [shares.toSorted((a, b) => a.share - b.share)].flatMap((sorted) => [
      sorted.at(0),
      sorted.at(-1),
    ]);
    if (!least || !most) return [];
    const [low, high] = [least, most].map(
      (one) => `${(100 * one.share).toFixed(0)} % at ${shapeText(one.shape)} (${one.name})`,
    );
    return [`${shownName(name)} reaches at least ${low} and at most ${high} of its bound`];
  });
  const own = ['cpu', plainWasm].flatMap((name) => {
    const shares = select(report, { op: 'softmax' }).flatMap((result) => shareOfOwnLoop(result, name) ?? []);
    if (shares.length === 0) return [];
    const [least, most] = [Math.min, Math.max].map((pick) => `${(100 * pick(...shares)).toFixed(0)} %`);
    return [`${shownName(name)} reaches ${least} to ${most}`];
  });
  const attainable = own.length === 0 ? '' : `; of an exp-only loop with its own instructions, ${own.join(', ')}`;
  return `the fastest exp, memory, or the call itself: ${orNothing(builds.join('; '))}${attainable}`;
}

function accuracy({ accuracy: report }: Studies): string {
  const { head, rows } = accuracySummary(report);
  const softmax = rows.find(([op]) => op === 'softmax');
  const errors = head.slice(1).flatMap((column, k) => {
    const error = softmax?.[k + 1]?.split(' ')[0];
    const [name = '', dtype] = column.split(' ');
    return dtype === 'float32' && error ? [`${shownName(name)} ${error}`] : [];
  });
  return `the largest errors of softmax in float32 are, in ULP: ${orNothing(errors.join(', '))}`;
}

function shortcomings(targets: readonly Target[]): string {
  const measured = targets.filter(({ met }) => met !== null);
  const missed = measured.filter(({ met }) => met === false);
  const targetsAre =
    "targets, which softgrad sets itself ([Targets](#targets)). They ask for more than to be faster, such as a multiple of a competitor's speed at every shape, or a share of what memory and the fastest exp allow";
  if (missed.length === 0) return `none of ${measured.length} ${targetsAre}`;
  // Both builds of wasm have the same targets.
  const subjects = new Set(missed.map(({ what }) => what.replace(/^(wasm) \(.*?\)/, '$1').replace(', one thread', '')));
  return `${missed.length} of ${measured.length} ${targetsAre}. Missed: ${[...subjects].join('; ')}`;
}

function orNothing(text: string): string {
  return text === '' ? 'not measured' : text;
}
