import { type BenchOp, peers, runBench } from '@softgrad/bench';
import { loadProvider } from '@softgrad/core';
import { registerBackends } from 'softgrad/backends';
import { beforeAll, describe, expect, test } from 'vitest';
import { quick, small, source, withResult } from '../../packages/bench/test/contenders.js';
import { browserName } from '../src/browser.js';
import { type Cost, costRatio, measureCosts } from '../src/costs.js';
import {
  parseStudies,
  performancePage,
  performancePictures,
  type Studies,
  speedTargets,
  stringifyStudies,
} from '../src/index.js';
import { plainWasm, relaxedWasm } from '../src/names.js';
import { reasonsOf } from '../src/reasons.js';
import { measureWaking } from '../src/waking.js';

let studies: Studies;

beforeAll(async () => {
  const wrong = source('onnxruntime-node', { change: withResult((result) => void result.fill(2)) });
  const study = (ops: readonly BenchOp[]) =>
    runBench({
      workloads: ops.map((op) => ({ ...small, op })),
      contenders: [source('cpu'), source(plainWasm), source(relaxedWasm), peers.naive, wrong],
      ...quick,
    });
  const softmax = await study(['softmax']);
  const inBrowser = await runBench({
    workloads: [small],
    contenders: ['cpu', 'wasm', 'wasm:threads=2'].map((name) => source(name)),
    ...quick,
  });
  const userAgent =
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36';
  const ops = await study(['logSoftmax', 'crossEntropy', 'vjp', 'jacobian']);
  studies = {
    schema: 'softgrad-studies/1',
    quick: false,
    ...{ softmax, slowPeers: softmax, threads: softmax, float64: softmax, backends: softmax },
    ...{ ops, composed: ops, longRow: ops },
    withOptions: await study(['softmax:causalMask', 'vjp:causalMask']),
    costs: await measureCosts(
      source(plainWasm),
      [
        { of: { ...small, op: 'crossEntropy' }, over: small },
        { of: { ...small, op: 'softmax:causalMask' }, over: small },
      ],
      3,
    ),
    callOverhead: { cpu: { overheadMs: 1e-3, quartilesMs: [1e-3, 2e-3], callMs: 3e-3, kernelMs: 2e-3 } },
    accuracy: {
      schema: 'softgrad-accuracy/2',
      environment: softmax.environment,
      contenders: [{ name: plainWasm, description: '' }],
      unavailable: [],
      results: [
        {
          op: 'softmax',
          dtype: 'float32',
          classes: 3,
          input: '±1',
          contender: plainWasm,
          worstUlp: Number.NaN,
          worstRowSumUlp: 1,
        },
      ],
    },
    waking: [
      {
        shape: [512, 128],
        one: { atOnceMs: 0.04, afterPauseMs: 0.05 },
        two: { atOnceMs: 0.02, afterPauseMs: 0.1 },
      },
    ],
    browser: {
      ...inBrowser,
      environment: { ...inBrowser.environment, runtime: userAgent, logicalProcessors: 8 },
      workloads: inBrowser.workloads.map((result) => ({ ...result, workload: { ...small, shape: [50_001, 2] } })),
    },
  };
});

describe('studies as a file', () => {
  test('give the same studies again: values that follow from the rounds are recomputed', () => {
    const text = stringifyStudies(studies);
    const { browser, ...here } = studies;
    const { browser: again, ...rest } = parseStudies(text, 'studies.json');
    expect(rest).toEqual(here);
    expect(again?.workloads[0]?.results).toEqual(browser?.workloads[0]?.results);
    expect(text).not.toContain('medianMs');
  });

  test('are an error that names the file if they are anything else', () => {
    expect(() => parseStudies('{', 'a.json')).toThrow(/^a\.json: not JSON: /);
    expect(() => parseStudies('[1]', 'a.json')).toThrow('a.json: no studies');
    expect(() => parseStudies('{"schema": "softgrad-bench/1"}', 'a.json')).toThrow(
      'studies of schema softgrad-bench/1',
    );
    expect(parseStudies(stringifyStudies({ ...studies, browser: null }), 'a.json').browser).toBeNull();
    const { costs, ...rest } = JSON.parse(stringifyStudies(studies));
    expect(costs).toHaveLength(2);
    expect(() => parseStudies(JSON.stringify(rest), 'a.json')).toThrow('a.json: without costs');
  });

  test('may be from before calls with options were measured: their section and targets say so', () => {
    const { withOptions, costs, ...rest } = JSON.parse(stringifyStudies(studies));
    expect([withOptions.workloads.length, costs.length]).toEqual([2, 2]);
    const earlier = parseStudies(JSON.stringify({ ...rest, costs: costs.slice(0, 1) }), 'a.json');
    expect(earlier.withOptions).toBeNull();
    const page = performancePage(earlier, 'make it');
    expect(page).toContain(
      '\n## Masks, targets and temperatures\n\nNot measured: `make it` measures everything, these calls as well.\n',
    );
    expect(page).toMatch(/\| wasm \(SIMD\) softmax with a causal mask: .* \| not measured \| – \|/);
    expect(parseStudies(stringifyStudies(earlier), 'a.json')).toEqual(earlier);
  });
});

describe('the page of measurements', () => {
  test('has times, ratios to each other contender, and bounds with shares for every operation', () => {
    const page = performancePage(studies, 'make it');
    expect(page).toContain('Measured by `make it`, which writes this page');
    const sections = new Map(page.split(/\n#{2,3} /).map((section) => [section.split('\n')[0], section]));
    for (const op of ['softmax', 'logSoftmax', 'jacobian', 'vjp', 'crossEntropy']) {
      const section = sections.get(op);
      expect(section, op).toContain('| shape | cpu | wasm (SIMD) | wasm (relaxed SIMD) | naive |');
      expect(section, op).toContain('| shape | over cpu | over wasm (relaxed SIMD) | over naive |');
      expect(section, op).toMatch(/\| shape \| memcpy \| fill \|.* bound \| cpu \| wasm \(SIMD\) \|/);
      expect(section, op).toMatch(/\| 3×4 \|.*\| (memory|exp): .* \|.* %/);
    }
    expect(sections.get('softmax')).toMatch(/^- 3×4: onnxruntime-node: wrong: /m);
    // Names with options are used in code only.
    expect(page).not.toContain('relaxedSimd');
  });

  test('has the cost of options over plain calls, speed-ups over the others, and times', () => {
    const [, ...sections] = performancePage(studies, 'make it').split('\n## ');
    const section = sections.find((text) => text.startsWith('Masks, targets and temperatures')) ?? '';
    const [short = '', details = ''] = section.split('<details>');
    const head =
      '| call | shape | cpu, time over plain | wasm (SIMD), time over plain | wasm (relaxed SIMD), time over plain | wasm (SIMD) over naive |';
    const ratio = String.raw`(≈ )?[\d.]+×`;
    const interval = String.raw`\([\d.]+–[\d.]+\)`;
    expect(short).toContain(`\n${head}\n`);
    expect(short).toMatch(
      new RegExp(String.raw`^\| \`softmax:causalMask\` \| 3×4 \|  \| [\d.]+ \|  \| ${ratio} \|$`, 'm'),
    );
    // Its cost was not measured.
    expect(short).toMatch(new RegExp(String.raw`^\| \`vjp:causalMask\` \| 3×4 \|  \|  \|  \| ${ratio} \|$`, 'm'));
    expect(details).toContain(`\n${head}\n`);
    expect(details).toMatch(
      new RegExp(
        String.raw`^\| \`softmax:causalMask\` \| 3×4 \|  \| [\d.]+ ${interval} \|  \| ${ratio} ${interval} \|$`,
        'm',
      ),
    );
    expect(details).toContain('\n| call | shape | cpu | wasm (SIMD) | wasm (relaxed SIMD) | naive |\n');
    expect(details).toMatch(/^\| `vjp:causalMask` \| 3×4( \| [\d.]+ [nµm]s){4} \|$/m);
    expect(details).toMatch(/^- softmax:causalMask, 3×4: onnxruntime-node: wrong: /m);
    const cost = costRatio(studies.costs[1] as Cost)?.ratio ?? Number.NaN;
    expect(short).toContain(`| 3×4 |  | ${cost.toFixed(2)} |  |`);
    expect(performancePage(studies, 'make it')).toMatch(
      new RegExp(
        String.raw`\| wasm \(SIMD\) softmax with a causal mask: time over that of the plain call \| ≤ 1\.5 at every shape \| 3×4: ${cost.toFixed(2)} `,
      ),
    );
  });

  test('an option may cost half of the plain call', () => {
    const metAt = (op: BenchOp, over: BenchOp, ratio: number) => {
      const cost = { contender: relaxedWasm, of: { ...small, op }, over: { ...small, op: over } };
      const costs = [{ ...cost, ofSamples: [[ratio]], overSamples: [[1]] }];
      return speedTargets({ ...studies, costs }).flatMap(({ what, met }) =>
        what.endsWith('time over that of the plain call') && met !== null ? [[what.split(':')[0], met]] : [],
      );
    };
    const named: readonly (readonly [BenchOp, BenchOp, string])[] = [
      ['softmax:paddingMask', 'softmax', 'softmax with a padding mask'],
      ['softmax:causalMask', 'softmax', 'softmax with a causal mask'],
      ['crossEntropy:labelSmoothing', 'crossEntropy', 'crossEntropy (loss and gradient) with label smoothing'],
    ];
    for (const [op, over, what] of named) {
      expect(metAt(op, over, 1.5)).toEqual([[`wasm (relaxed SIMD) ${what}`, true]]);
      expect(metAt(op, over, 1.51)).toEqual([[`wasm (relaxed SIMD) ${what}`, false]]);
    }
  });

  test('reports unmeasured targets as such, and says that a quick run is not conclusive', () => {
    const page = performancePage(studies, 'make it');
    expect(page).toMatch(/\| wasm \(SIMD\) softmax over onnxruntime-node .* \| not measured \| – \|/);
    expect(page).toMatch(/\| cpu: overhead of the public API .* \| 1\.00 µs .* \| yes \|/);
    expect(page).not.toContain('quick run');
    expect(performancePage({ ...studies, quick: true }, 'make it')).toContain('quick run');
  });

  test('begins with speed, limits, accuracy and missed targets; how it was measured is collapsed', () => {
    const [first = ''] = performancePage(studies, 'make it').split('<details>');
    const lines = first.split('\n').filter((line) => line.startsWith('- '));
    expect(lines.map((line) => line.split('**')[1])).toEqual([
      'One thread',
      'Two threads',
      'What limits it',
      'Accuracy',
      'Missed targets',
    ]);
    expect(lines[0]).toMatch(/of cpu [\d.]+× over naive loops/);
    expect(lines[1]).toMatch(/is not measured .*; from 100,000 elements on, two threads are [\d.]+× in Chrome 140\.$/);
    expect(lines[2]).toMatch(/cpu reaches at least \d+ % at 3×4 \((memcpy|fill|exp|call)\)/);
    expect(lines[3]).toMatch(/wasm \(SIMD\) NaN/);
    expect(lines[4]).toMatch(/\d+ of \d+ targets, which softgrad sets itself \(\[Targets\]\(#targets\)\)\./);
    // A competitor may be called in two ways.
    expect(lines[4]).toMatch(/Missed: cpu softmax over naive loops, both with a reused output; /);
    expect(first).not.toContain('relaxedSimd');
  });

  test('says what keeps missed targets from being met, and names those of which it does not know it', () => {
    const missed = (what: string) => ({ what, bar: '', measured: '', met: false });
    const met = { ...missed('wasm (SIMD) vjp: bytes'), met: true };
    const reasons = reasonsOf(studies, [missed('wasm (relaxed SIMD) vjp: bytes'), met, missed('another')]);
    expect(reasons).toEqual([
      expect.stringMatching(/^- \*\*vjp\*\*: four vectors/),
      '- another: the reason is not known.',
    ]);
    expect(reasonsOf(studies, [met])).toEqual([]);
    const all = reasonsOf(
      studies,
      speedTargets(studies).map((target) => ({ ...target, met: false })),
    );
    expect(
      all.filter((line) => line.endsWith('the reason is not known.')).map((line) => line.replace(/: .*/, '')),
    ).toEqual([
      '- wasm softmax over onnxruntime-node with two threads, both allocating',
      '- cpu softmax over naive loops, both with a reused output',
      '- cpu softmax in float64',
      '- cpu',
    ]);
  });

  test('shows what a second thread gains at once and after a pause', () => {
    const page = performancePage(studies, 'make it');
    expect(page).toContain('| 512×128 | 40.0 µs | 20.0 µs | 2.00× | 50.0 µs | 100 µs | 0.50× |');
  });

  test('has a section about a browser, or says that none was measured', () => {
    const section = (part: Partial<Studies>) =>
      performancePage({ ...studies, ...part }, 'make it')
        .split('\n## ')
        .find((text) => text.startsWith('In a browser'));
    const measured = section({});
    expect(measured).toMatch(/^softmax in Chrome 140, 8 logical processors, on \d{4}-\d\d-\d\d\.$/m);
    expect(measured).toMatch(/^Medians of \d rounds|^Medians of \d interleaved rounds/m);
    expect(measured).toContain('| shape | cpu | wasm | wasm (2 threads) |');
    expect(measured).toContain('`make it -- --from docs/data/performance.json --browser softgrad-bench.json`');
    expect(measured).not.toContain('Not measured');
    expect(section({ browser: null })).toContain('Not measured.');
  });

  test('collapses details, and closes every collapsed section', () => {
    const page = performancePage(studies, 'make it');
    expect(page.match(/^<details>$/gm)?.length).toBe(page.match(/^<\/details>$/gm)?.length);
    expect(page).toMatch(/<summary>The bound, and its share of each median<\/summary>\n\n\n?\| shape \|/);
  });

  test('links the pictures, each of which is complete, with a legend', () => {
    const page = performancePage(studies, 'make it');
    const pictures = performancePictures(studies);
    expect([...page.matchAll(/\]\(images\/(.*?)\)/g)].map(([, name]) => name)).toEqual([...pictures.keys()]);
    for (const svg of pictures.values()) {
      expect(svg).toMatch(/^<svg xmlns="http:\/\/www.w3.org\/2000\/svg" width="\d+" height="\d+"/);
      expect(svg).toContain('>wasm (relaxed SIMD)</text>');
      expect(svg).not.toContain('NaN');
    }
  });
});

test.each([
  [
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/156.0.0.0 Safari/537.36',
    'Chromium 156',
  ],
  [
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0',
    'Edge 140',
  ],
  ['Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:143.0) Gecko/20100101 Firefox/143.0', 'Firefox 143'],
  [
    'Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1',
    'Safari 26',
  ],
  ['Node 20', 'Node 20'],
])('the browser of %s is %s', (userAgent, name) => {
  expect(browserName(userAgent)).toBe(name);
});

test('a call after a pause is timed alone, one at once within many, of both backends in turn', async () => {
  registerBackends();
  const backend = await (await loadProvider('cpu')).open();
  let time = 0;
  let paused = 0;
  const [first, ...others] = await measureWaking(backend, backend, {
    rounds: 2,
    most: 1,
    // Each look at the clock takes a millisecond; the first one after a pause takes 5.
    now: () => {
      time += paused > 0 ? 5 : 1;
      paused = Math.max(0, paused - 1);
      return time;
    },
    pause: (ms) => {
      expect(ms).toBe(4);
      paused = 2;
    },
  });
  expect(others).toEqual([]);
  expect(first).toEqual({
    shape: [512, 128],
    one: { atOnceMs: 1 / 8, afterPauseMs: 5 },
    two: { atOnceMs: 1 / 8, afterPauseMs: 5 },
  });
  await backend.close();
});

describe('the cost of one workload over another', () => {
  test('uses the rounds in which both were sampled, with a reused output', async () => {
    const [{ ofSamples, overSamples, ...rest }] = await measureCosts(
      source('mine'),
      [{ of: { ...small, op: 'vjp' }, over: small }],
      5,
    );
    expect(rest).toEqual({ contender: 'mine', of: { ...small, op: 'vjp' }, over: small });
    for (const samples of [ofSamples, overSamples]) expect(samples[0].every((ms) => ms !== null && ms > 0)).toBe(true);
    expect(costRatio({ contender: 'mine', of: small, over: small, ofSamples: [[6]], overSamples: [[4]] })?.ratio).toBe(
      1.5,
    );
  });

  test('closes what it opened, even if a job cannot be made; a contender that cannot be opened has none', async () => {
    const log: string[] = [];
    const noReuse = source('mine', { log, change: (job) => ({ ...job, reused: null }) });
    await expect(measureCosts(noReuse, [{ of: small, over: small }], 3)).rejects.toThrow('it has no reused output');
    expect(log).toEqual(['mine opened', 'mine closed']);
    expect(await measureCosts({ name: 'gone', kind: 'peer', open: async () => 'not here' }, [], 3)).toEqual([]);
  });
});
