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

  test.each([
    ['webgpu in Node', '380', 'backend-webgpu/test/conformance.test.ts', ['toHaveLength(380)']],
    ['wasm in Node, relaxed SIMD', '575', 'backend-wasm/test/conformance.test.ts', ['covering: 575']],
    ['gpujs in Node, mode cpu', '536 with fused kernels', 'backend-gpujs/test/conformance.test.ts', ['covering: 536']],
    ['tfjs in Node, engine cpu', '538 with fused kernels', 'backend-tfjs/test/conformance.test.ts', ['covering: 538']],
    ['gpujs in Node, mode webasm', '262', 'backend-gpujs/test/conformance.test.ts', ['onePerProperty: 262']],
    [
      'tfjs in Node, engine wasm and the interpreter',
      '242 and 264',
      'backend-tfjs/test/conformance.test.ts',
      ['onePerProperty: 242', 'onePerProperty: 264'],
    ],
    [
      'webgpu in Chromium',
      '73 of 130',
      'backend-webgpu/test/chromium.browser.test.ts',
      ["toHaveLength(inject('everything') ? 130 : 73)"],
    ],
    [
      'gpujs in Chromium',
      '26 in mode webgl, 70 in mode webgl2, 83 in mode webgpu',
      'backend-gpujs/test/conformance.browser.test.ts',
      ['onePerProperty: 26,', 'leftOut: inGlsl,\n  onePerProperty: 70,', 'onePerProperty: 83,'],
    ],
    [
      'tfjs in Chromium',
      '70 on engine webgl, 68 on engine webgpu, 28 on engine wasm',
      'backend-tfjs/test/conforms-in-chromium.ts',
      ["['webgl', 70]", "['webgpu', 68]", 'onePerProperty: 28'],
    ],
    ['wasm in Node, float32 alone', '34', 'backend-wasm/test/float32.test.ts', ['toHaveLength(34)']],
    [
      'wasm in Node, lengths of rows',
      '26 of 51 in float32, 22 of 48 in float64',
      'backend-wasm/test/kernels.test.ts',
      ['[51, 48] : [26, 22]'],
    ],
    [
      'webgpu in Node, half precision',
      '82 of 199',
      'backend-webgpu/test/float16-conformance.test.ts',
      ["toHaveLength(inject('everything') ? 199 : 82)"],
    ],
  ])('that npm test runs on %s are those that its test asserts', (what, shown, file, asserted) => {
    expect(read('testing.md')).toContain(`\n| backend-${what} | ${shown} |`);
    const text = readFileSync(`${tests}/${file}`, 'utf8');
    for (const part of asserted) expect(text).toContain(part);
  });

  test('that npm test runs on the exact backend, the template and faulty backends are those that core asserts', () => {
    expect(read('testing.md')).toContain('\n| the exact backend | 1516 with fused kernels |');
    expect(read('testing.md')).toContain('\n| the template of a backend | 94 without a basis, 278 with one |');
    expect(read('testing.md')).toContain('\n| faulty backends | 216 of 349 |');
    const text = (name: string) => readFileSync(`${tests}/core/test/${name}.test.ts`, 'utf8');
    expect(text('conformance')).toContain('covering: 1516');
    expect(text('conformance-faulty')).toContain("inject('everything') ? 346 : 213");
    for (const selected of ['onePerProperty: 94', 'onePerProperty: 278'])
      expect(text('conformance-runners')).toContain(selected);
  });

  test('that npm test runs without fused kernels are those that its tests assert', () => {
    const row = '211 on the exact backend, 96 on wasm, 86 on gpujs and tfjs';
    expect(read('testing.md')).toContain(`\n| without fused kernels | ${row} |`);
    for (const [folder, count] of [
      ['core', 211],
      ['backend-wasm', 96],
      ['backend-gpujs', 86],
      ['backend-tfjs', 86],
    ]) {
      const text = readFileSync(`${tests}/${folder}/test/conformance.test.ts`, 'utf8');
      expect(text, `${folder}`).toContain(`composedCases: ${count}`);
    }
  });

  test('stand nowhere else: they change with the suite', () => {
    const counts = /\b\d[\d,]+(?: of [\d,]+)? (?:conformance )?cases\b/g;
    const found = documents().flatMap((path) => [...readFileSync(path, 'utf8').matchAll(counts)].map(([text]) => text));
    // Shares of the suite in the tables of mutation testing, and the dtype.
    const other = new Set(['10 conformance cases', '16 cases']);
    expect(found.filter((text) => !other.has(text))).toEqual([]);
  });
});
