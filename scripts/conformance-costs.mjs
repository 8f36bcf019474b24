// `npm run conformance:costs`: installs, builds, runs the conformance suite several times on every backend that can run here, and writes what its cases cost,
// from which `softgrad conformance` estimates the time that is left: packages/cli/src/measured-costs.ts. The last run of each backend is not part
// of the costs but what a test compares with them: packages/cli/test/fixtures/conformance-times.json.gz.
//
//   --runs 4      runs of each backend
//   --folder DIR  where the runs are kept; those that are there already are not repeated
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { argumentsOf } from './arguments.mjs';
import { softwareDevice } from './chromium.mjs';
import { prepare, root, run } from './workspace.mjs';

const { values } = argumentsOf(import.meta.url, {
  options: {
    runs: { type: 'string', default: '4' },
    folder: { type: 'string', default: join(root, 'packages', 'cli', 'reports', 'conformance') },
  },
});

const backends = ['cpu', 'wasm', 'gpujs', 'tfjs', 'webgpu'];

/** Cases, and kinds of cases, that differ from the others by this share of the time of a run are listed. */
const leastShare = 0.002;

await prepare();
mkdirSync(values.folder, { recursive: true });
const env = { ...process.env, ...(await softwareDevice()) };
const runsOf = (backend) => Array.from({ length: Number(values.runs) }, (_, k) => timesOf(backend, k));
const measured = backends.map((backend) => ({ backend, runs: runsOf(backend) }));

const source = join(root, 'packages', 'cli', 'src', 'measured-costs.ts');
const tables = measured.map(({ backend, runs }) => [backend, tableOf(meanShares(runs.slice(0, -1)))]);
writeFileSync(source, sourceOf(Object.fromEntries(tables)));
const times = Object.fromEntries(measured.map(({ backend, runs }) => [backend, rounded(runs.at(-1))]));
const fixture = join(root, 'packages', 'cli', 'test', 'fixtures', 'conformance-times.json.gz');
writeFileSync(fixture, gzipSync(JSON.stringify(times), { level: 9 }));
process.exit(run('npx', ['biome', 'check', '--write', source]));

/** The milliseconds of every case in one run. */
function timesOf(backend, k) {
  const file = join(values.folder, `${backend}-${k}.json`);
  if (!existsSync(file)) {
    console.log(`${backend}: run ${k + 1} of ${values.runs}`);
    const child = join(root, 'packages', 'cli', 'scripts', 'time-conformance.mjs');
    const { status, stdout } = spawnSync(process.execPath, [child, backend], {
      env,
      encoding: 'utf8',
      maxBuffer: 2 ** 28,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    if (status !== 0) throw new Error(`${backend}: the suite did not run, exit code ${status}`);
    writeFileSync(file, stdout);
  }
  return JSON.parse(readFileSync(file, 'utf8'));
}

/** The mean share of each case in the time of a run. */
function meanShares(runs) {
  const totals = runs.map((times) => sum(Object.values(times)));
  const keys = Object.keys(runs[0]);
  return Object.fromEntries(keys.map((key) => [key, mean(runs.map((times, k) => times[key] / totals[k]))]));
}

/** The costs of a backend, in thousandths of the time of a run. */
function tableOf(shares) {
  const keys = Object.keys(shares).sort();
  const share = (key) => shares[key];
  const listed = keys.filter((key) => share(key) > leastShare);
  const others = keys.filter((key) => !listed.includes(key));
  const usual = mean(others.map(share));
  const kinds = [...grouped(others)];
  const special = kinds.filter(([, own]) => Math.abs(sum(own.map(share)) - own.length * usual) > leastShare);
  const rest = kinds.filter((kind) => !special.includes(kind)).flatMap(([, own]) => own);
  return {
    cases: Object.fromEntries(listed.map((key) => [key, thousandths(share(key))])),
    kinds: Object.fromEntries(special.map(([kind, own]) => [kind, thousandths(mean(own.map(share)))])),
    others: thousandths(mean(rest.map(share))),
  };
}

function sourceOf(tables) {
  return `/** What cases of the conformance suite cost beside each other, in thousandths of the time of a run. */
export interface Costs {
  /** Of cases that take much of the time, by their keys. */
  readonly cases: Readonly<Record<string, number>>;
  /** Of each of the other cases of a kind. */
  readonly kinds: Readonly<Record<string, number>>;
  /** Of a case of another kind. */
  readonly others: number;
}

/**
 * For each backend, means of times. Written by \`npm run conformance:costs\`, to be run again when the suite has changed much: cases that it does not
 * know cost as much as their kind.
 */
export const measuredCosts: Readonly<Record<string, Costs>> = ${JSON.stringify(tables, null, 2)};
`;
}

/** The times with two digits. */
function rounded(times) {
  return Object.fromEntries(Object.entries(times).map(([key, time]) => [key, Number(time.toPrecision(2))]));
}

function kindOf(key) {
  return key.replace(/:.*/s, '');
}

function grouped(keys) {
  const groups = new Map();
  for (const key of keys) groups.set(kindOf(key), [...(groups.get(kindOf(key)) ?? []), key]);
  return groups;
}

function thousandths(share) {
  return Number((1000 * share).toPrecision(3));
}

function sum(numbers) {
  return numbers.reduce((total, number) => total + number, 0);
}

function mean(numbers) {
  return sum(numbers) / numbers.length;
}
