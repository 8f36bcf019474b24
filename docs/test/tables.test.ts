import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseStudies, performancePage, performancePictures } from '@softgrad/tools';
import { describe, expect, test } from 'vitest';
import { softwareDevice } from '../../scripts/chromium.mjs';
import { withAccuracy } from '../generate/accuracy.mjs';
import { withConfusion } from '../generate/doctor.mjs';
import { withMutants, withNamedMutants } from '../generate/mutants.mjs';
import { withSizes } from '../generate/sizes.mjs';
import { speedTable, withTables } from '../generate/tables.mjs';
import { withConsumers } from '../generate/where-it-runs.mjs';
import { documents } from './snippets.js';

const at = (name: string) => fileURLToPath(new URL(`../${name}`, import.meta.url));
const read = (name: string) => readFileSync(at(name), 'utf8');
const studies = parseStudies(read('data/performance.json'), 'docs/data/performance.json');
const backends: readonly { readonly name: string; readonly device?: string }[] = JSON.parse(read('data/backends.json'));

describe('pages with numbers match the kept data and their commands', () => {
  test('the page of measurements and its pictures: npm run docs:performance', () => {
    expect(read('performance.md')).toBe(performancePage(studies, 'npm run docs:performance'));
    const pictures = performancePictures(studies);
    expect(pictures.size).toBe(2);
    for (const [name, svg] of pictures) expect(read(`images/${name}`), name).toBe(svg);
  });

  test('the scores of mutation testing: npm run mutants', () => {
    const page = read('testing.md');
    expect(withMutants(page, JSON.parse(read('data/mutants.json')))).toBe(page);
    expect(withNamedMutants(page, JSON.parse(read('data/named-mutants.json')))).toBe(page);
  });

  test('the errors of every op on every backend: npm run docs:accuracy', () => {
    const page = read('numerics.md');
    expect(withAccuracy(page, JSON.parse(read('data/accuracy.json')))).toBe(page);
  });

  test('how often the doctor is right: npm run docs:doctor', () => {
    const page = read('doctor.md');
    expect(withConfusion(page, JSON.parse(read('data/doctor.json')))).toBe(page);
  });

  test('the limits of sizes: npm run docs:tables', () => {
    const page = read('architecture.md');
    expect(withSizes(page)).toBe(page);
  });

  test('where the packages run: npm run test:consumers', () => {
    const page = read('where-it-runs.md');
    expect(withConsumers(page, JSON.parse(read('data/consumers.json')))).toBe(page);
  });

  test('the tables for choosing a backend: npm run docs:tables', () => {
    const page = read('choose-a-backend.md');
    expect(withTables(page, backends, studies)).toBe(page);
    for (const { name } of backends) expect(page.split(`\n| ${name} | `)).toHaveLength(3);
  });
});

test('backends announce what the table says', async () => {
  const output = execFileSync(process.execPath, [at('generate/announced.mjs')], {
    encoding: 'utf8',
    env: { ...process.env, ...(await softwareDevice()) },
  });
  const now: typeof backends = JSON.parse(output);
  expect(now.map(({ name }) => name)).toEqual(backends.map(({ name }) => name));
  // A different device, such as a GPU or an engine with relaxed SIMD, may announce other properties.
  const same = now.filter(({ device }, k) => device !== undefined && device === backends[k].device);
  expect(same.length).toBeGreaterThanOrEqual(3);
  expect(backends).toEqual(expect.arrayContaining(same));
});

test('a backend that was not timed shows its number of dispatches, or a dash; one that failed shows the reason', () => {
  const workload = { op: 'vjp', shape: [2, 3], dtype: 'float32' };
  const line = (contender: string, more: object) => ({ contender, missing: null, timings: {}, ratios: {}, ...more });
  const report = {
    workloads: [
      {
        workload,
        baseline: 'naive',
        results: [
          line('cpu', { timings: { reused: { medianMs: 2 } }, ratios: { reused: { ratio: 0.5 } } }),
          line('tfjs', { missing: 'wrong: [0, 1] is 3' }),
        ],
      },
    ],
  };
  const counted = [
    { name: 'cpu', dispatches: null },
    { name: 'webgpu', dispatches: { vjp: 1 } },
    { name: 'gpujs', dispatches: null },
    { name: 'tfjs', dispatches: null },
  ];
  expect(speedTable(counted, { backends: report }).split('\n').slice(2)).toEqual([
    '| cpu | 2.00 ms, 2.0× naive |',
    '| webgpu | 1 dispatch |',
    '| gpujs | – |',
    '| tfjs | wrong: [0, 1] is 3 |',
  ]);
});

describe('numbers of conformance cases', () => {
  const tests = fileURLToPath(new URL('../../packages', import.meta.url));

  /** The numbers that a test of a package asserts, by a pattern with a group for each. */
  const asserted = (file: string, pattern: RegExp): readonly string[] => {
    const found = pattern.exec(readFileSync(`${tests}/${file}`, 'utf8'));
    if (!found) throw new Error(`${file} has no ${pattern}`);
    return found.slice(1);
  };
  const ofAll = /toHaveLength\(inject\('everything'\) \? (?<all>\d+) : (?<selected>\d+)\)/;
  const selectedOfAll = (file: string) => {
    const [all, selected] = asserted(file, ofAll);
    return `${selected} of ${all}`;
  };
  const one = (file: string, name: string) => asserted(file, new RegExp(`${name}: (\\d+)`))[0];

  test.each<[what: string, shown: () => string | undefined]>([
    [
      'backend-webgpu in Node',
      () => asserted('backend-webgpu/test/conformance.test.ts', /\(chosen\)\.toHaveLength\((\d+)\)/)[0],
    ],
    ['backend-wasm in Node, relaxed SIMD', () => one('backend-wasm/test/conformance.test.ts', 'covering')],
    [
      'backend-gpujs in Node, mode cpu',
      () => `${one('backend-gpujs/test/conformance.test.ts', 'covering')} with fused kernels`,
    ],
    [
      'backend-tfjs in Node, engine cpu',
      () => `${one('backend-tfjs/test/conformance.test.ts', 'covering')} with fused kernels`,
    ],
    ['backend-gpujs in Node, mode webasm', () => one('backend-gpujs/test/conformance.test.ts', 'onePerProperty')],
    [
      'backend-tfjs in Node, engine wasm and the interpreter',
      () =>
        asserted('backend-tfjs/test/conformance.test.ts', /onePerProperty: (\d+).*onePerProperty: (\d+)/s).join(
          ' and ',
        ),
    ],
    ['backend-webgpu in Chromium', () => selectedOfAll('backend-webgpu/test/chromium.browser.test.ts')],
    [
      'backend-gpujs in Chromium',
      () => {
        const each = /onePerProperty: (\d+).*onePerProperty: (\d+).*onePerProperty: (\d+)/s;
        const [webgpu, webgl2, webgl] = asserted('backend-gpujs/test/conformance.browser.test.ts', each);
        return `${webgl} in mode webgl, ${webgl2} in mode webgl2, ${webgpu} in mode webgpu`;
      },
    ],
    [
      'backend-tfjs in Chromium',
      () => {
        const each = /\['webgl', (\d+)\].*\['webgpu', (\d+)\].*onePerProperty: (\d+)/s;
        const [webgl, webgpu, wasm] = asserted('backend-tfjs/test/conforms-in-chromium.ts', each);
        return `${webgl} on engine webgl, ${webgpu} on engine webgpu, ${wasm} on engine wasm`;
      },
    ],
    [
      'backend-wasm in Node, float32 alone',
      () => asserted('backend-wasm/test/float32.test.ts', /toHaveLength\((\d+)\)/)[0],
    ],
    [
      'backend-wasm in Node, lengths of rows',
      () => {
        const counts = /inject\('everything'\) \? \[(\d+), (\d+)\] : \[(\d+), (\d+)\]/;
        const [all32, all64, some32, some64] = asserted('backend-wasm/test/kernels.test.ts', counts);
        return `${some32} of ${all32} in float32, ${some64} of ${all64} in float64`;
      },
    ],
    ['backend-webgpu in Node, half precision', () => selectedOfAll('backend-webgpu/test/float16-conformance.test.ts')],
    ['the exact backend', () => `${one('core/test/conformance.test.ts', 'covering')} with fused kernels`],
    [
      'the template of a backend',
      () => {
        const each = /onePerProperty: (\d+).*onePerProperty: (\d+)/s;
        const [without, withOne] = asserted('core/test/conformance-runners.test.ts', each);
        return `${without} without a basis, ${withOne} with one`;
      },
    ],
    ['faulty backends', () => selectedOfAll('core/test/conformance-faulty.test.ts')],
    [
      'without fused kernels',
      () => {
        const composed = (folder: string) => one(`${folder}/test/conformance.test.ts`, 'composedCases');
        expect(composed('backend-tfjs')).toBe(composed('backend-gpujs'));
        return `${composed('core')} on the exact backend, ${composed('backend-wasm')} on wasm, ${composed('backend-gpujs')} on gpujs and tfjs`;
      },
    ],
  ])('that npm test runs on %s are those that its test asserts', (what, shown) => {
    const [, leftOut = ''] = read('testing.md').split('What `npm test` leaves out:');
    const row = leftOut.split('\n').find((line) => line.startsWith(`| ${what} | `));
    expect(row?.split(' | ')[1]).toBe(shown());
  });

  test('stand nowhere else: they change with the suite', () => {
    const counts = /\b\d[\d,]+(?: of [\d,]+)? (?:conformance )?cases\b/g;
    const found = documents().flatMap((path) => [...readFileSync(path, 'utf8').matchAll(counts)].map(([text]) => text));
    // Shares of the suite in the tables of mutation testing, and the dtype.
    const other = new Set(['10 conformance cases', '16 cases']);
    expect(found.filter((text) => !other.has(text))).toEqual([]);
  });
});
