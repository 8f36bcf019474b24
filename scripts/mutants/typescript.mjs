// Mutants of TypeScript: StrykerJS's instrumenter makes all of them at once, behind switches; repeating-runner.mjs tries them in one process that
// has loaded the package's tests. StrykerJS's own runner for Vitest starts a worker and imports the tests again for each mutant, which takes
// seconds; here a mutant takes only as long as the tests that reach it.
//
// Tests run in rounds, fast ones first, so that slow tests run only with the mutants that survived the fast ones. Each case of the conformance suite
// is a test here: a mutant runs the cases that it reaches, up to the first that fails. After a mutant fails a test, the test runs again unchanged; if
// that fails too, the mutant has left state behind, and a new process continues.
import { spawn } from 'node:child_process';
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Instrumenter } from '@stryker-mutator/instrumenter';
import { root } from '../workspace.mjs';
import { hasBit } from './bits.mjs';
import { copyInWorkspace } from './copy.mjs';
import { argues, diffOf, hash, random, readEquivalents, readResults } from './kernels.mjs';

const runner = fileURLToPath(new URL('repeating-runner.mjs', import.meta.url));
/** The package's own configuration, in one process without limits. */
const config = `
import { mergeConfig } from 'vitest/config';
import own from './vitest.config.ts';
const runner = ${JSON.stringify(runner)};
const test = { runner, pool: 'forks', maxWorkers: 1, maxConcurrency: 1, isolate: false, testTimeout: 0 };
export default mergeConfig(await own, { test });
`;
const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
/** The longest time of a test in each round, in milliseconds, of computing and waiting. */
const rounds = [20, 200, 2000, 3_600_000];
/** A process that has started no test for this time, and for 30 times the time of its slowest test, is considered to hang. */
const silenceMs = 90_000;

/**
 * Tries the mutants of a package, or of some of its files.
 *
 * @param name the folder of the package
 * @param patterns the files to mutate: globs in the package, with `!` to exclude; FILE:FIRST-LAST for lines
 * @param options `sample` and `seed`: the number of random mutants; `afresh`; `withLoaded`: also mutants that are reached only when a module is
 *   loaded, in a process for each;
 *   `most`: the longest time of a test, `testsEach`: the most tests for each mutant, `oneCaseOf`: one of so many cases of the conformance suite
 *   is used; with any of these three the score is a lower bound; `list`: print the mutants, try none
 * @returns `{ of, mutants, atLoad, killed, survived, untested, equivalent, upTo }`: the number of mutants of the package, of those tried, and of
 *   those with each result; `untested` are reached by no test, `equivalent` are survived or untested ones in the list; null for `list`
 */
export async function runTypeScriptMutants(
  name,
  patterns,
  {
    sample = 0,
    seed = 1,
    afresh = false,
    withLoaded = false,
    most = rounds.at(-1),
    testsEach = Infinity,
    oneCaseOf = 1,
    list = false,
  },
) {
  const copy = copyInWorkspace(name, name);
  const folder = join(copy.folder, 'reports', 'mutants');
  mkdirSync(folder, { recursive: true });
  const kept = join(root, 'reports', 'mutants', `${name}.jsonl`);
  if (afresh) rmSync(kept, { force: true });
  try {
    const files = filesOf(copy.folder, patterns).map(({ file, mutate }) => {
      const content = readFileSync(join(copy.folder, file), 'utf8');
      return { name: join(copy.folder, file), file, mutate, content };
    });
    const { mutants: all } = await instrumented(files);
    const chosen = sample > 0 ? drawn(all, sample, seed) : all;
    if (list) {
      for (const mutant of chosen) console.log(`\n${diffOf(mutant)}`);
      console.log(`\n${name}: ${all.length} mutants, ${chosen.length} chosen.`);
      return null;
    }
    const known = readResults(kept);
    const texts = hash(...testTexts(copy.folder));
    // A survivor of a run with other limits is tried again: other tests may kill it.
    const tests = hash(texts, String(most), String(testsEach), String(oneCaseOf));
    const isOpen = ({ key }) =>
      (withLoaded && known.get(key)?.status === 'atLoad') ||
      !known.has(key) ||
      (known.get(key).status !== 'killed' && known.get(key).tests !== tests);
    const open = chosen.filter(isOpen);
    console.log(`${name}: ${all.length} mutants, ${chosen.length} chosen, ${open.length} to try.`);
    if (open.length > 0) {
      const begun = performance.now();
      const keys = new Set(open.map(({ key }) => key));
      // If an interrupted run continues, these are the mutants with which it measured the tests.
      const present = await instrument(files, open.length > chosen.length / 2 ? chosen : open);
      const toTry = present.filter(({ key }) => keys.has(key));
      programsByCode(copy.folder);
      const keyOf = new Map(toTry.map(({ id, key }) => [id, key]));
      casesAsTests(copy.folder, oneCaseOf);
      watchMemos(copy.folder);
      const place = { ...copy, state: folder, measured: join(folder, 'measured.json') };
      const kind = hash(texts, String(oneCaseOf), ...present.map(({ key }) => key));
      await measureOnce(place, `${kept.slice(0, -'.jsonl'.length)}.measured.json`, kind);
      await tryAll(place, toTry, { withLoaded, most, testsEach }, (id, outcome) => {
        const result = { key: keyOf.get(id), tests, ...outcome };
        known.set(result.key, result);
        appendFileSync(kept, `${JSON.stringify(result)}\n`);
      });
      const seconds = (performance.now() - begun) / 1000;
      console.log(`${name}: ${Math.round(seconds)} s, ${(seconds / open.length).toFixed(2)} s a mutant.`);
    }
    return {
      ...report(name, all, chosen, known),
      ...(most < rounds.at(-1) && { upTo: most }),
      ...(testsEach < Infinity && { testsEach }),
      ...(oneCaseOf > 1 && { oneCaseOf }),
    };
  } finally {
    copy.remove();
  }
}

/** The mutants of files, and the texts of the files with the mutants behind switches. */
async function instrumented(files) {
  const silent = () => {};
  const logger = { isDebugEnabled: () => false, debug: silent, info: silent, warn: console.warn };
  const options = { ignorers: [], excludedMutations: [], plugins: null, noHeader: false };
  const { files: written, mutants } = await new Instrumenter(logger).instrument(files, options);
  const texts = new Map(files.map(({ name, file, content }) => [name, { file, content }]));
  const described = mutants
    .filter(({ status }) => status !== 'Ignored')
    .map(({ id, fileName, location, mutatorName, replacement }) => {
      const { file, content } = texts.get(fileName);
      const { start, end } = location;
      const key = hash(file, content, JSON.stringify([start, end]), mutatorName, replacement);
      const [from, to] = [start, end].map((position) => offsetOf(content, position));
      const at = { start: from, end: to, line: start.line + 1, location };
      const change = { operator: mutatorName, before: content.slice(from, to), after: replacement };
      return { id, key, file, text: content, ...at, ...change };
    });
  return { mutants: described, written };
}

/** Writes the sources with only these mutants behind switches, because every switch costs time. Returns the mutants with their new ids. */
async function instrument(files, chosen) {
  const changed = files
    .map((one) => ({ ...one, mutate: chosen.filter(({ file }) => file === one.file).map(({ location }) => location) }))
    .filter(({ mutate }) => mutate.length > 0);
  const { mutants, written } = await instrumented(changed);
  for (const { name, content } of written) writeFileSync(name, content);
  return mutants;
}

/**
 * Changes the copy of backend-webgpu so that it finds compiled kernels by their WGSL instead of by their key. Otherwise a kernel that a backend
 * has compiled without a mutant would hide the mutants in the code that generates it.
 */
function programsByCode(folder) {
  const path = join(folder, 'src', 'pipelines.ts');
  if (!existsSync(path)) return;
  const text = readFileSync(path, 'utf8');
  // A key stands for one kernel as long as the same mutant is active: a mutant may give two kernels the same key.
  const lookUp = [
    'get(name, make) {',
    'const codes = (compiled.codes ??= new Map());',
    "const own = [globalThis.__stryker__?.activeMutant ?? '', name].join();",
    'if (!codes.has(own)) codes.set(own, make().code);',
    'const key = codes.get(own);',
  ];
  const changed = text.replace('get(key, make) {', lookUp.join(' '));
  if (changed === text) throw new Error(`${path} has no cache of kernels by key`);
  writeFileSync(path, changed);
}

/** The files that the patterns name, and the lines of each that are mutated. */
function filesOf(folder, patterns) {
  const found = new Map();
  const matching = (glob) => {
    const [top] = glob.split('/');
    const inside = readdirSync(join(folder, top), { recursive: true }).map((path) => `${top}/${path}`);
    return inside.filter((path) => regex(glob).test(path)).sort();
  };
  for (const pattern of patterns.filter((one) => !one.startsWith('!'))) {
    const [, glob, first, last = first] = /^(.*?)(?::(\d+)(?:-(\d+))?)?$/.exec(pattern);
    const range = first && { start: { line: first - 1, column: 0 }, end: { line: Number(last), column: 0 } };
    for (const file of matching(glob)) found.set(file, range ? [range] : true);
  }
  for (const pattern of patterns.filter((one) => one.startsWith('!')))
    for (const file of matching(pattern.slice(1))) found.delete(file);
  return [...found].map(([file, mutate]) => ({ file, mutate }));
}

/** A regular expression for a glob: `**` stands for any folders, `*` for any name. */
function regex(glob) {
  const parts = glob.split(/(\*\*\/?|\*)/).map((part, k) => {
    if (k % 2 === 0) return part.replace(/[.+?^${}()|[\]\\]/g, '\\$&');
    return part === '*' ? '[^/]*' : '.*';
  });
  return new RegExp(`^${parts.join('')}$`);
}

function drawn(all, size, seed) {
  const next = random(seed);
  const keys = new Map(all.map((mutant) => [mutant, next()]));
  const first = new Set([...all].sort((a, b) => keys.get(a) - keys.get(b)).slice(0, size));
  return all.filter((mutant) => first.has(mutant));
}

function testTexts(folder) {
  const names = readdirSync(join(folder, 'test'), { recursive: true }).map(String);
  return names
    .filter((name) => /\.m?ts$/.test(name))
    .sort()
    .map((name) => readFileSync(join(folder, 'test', name), 'utf8'));
}

/** Changes the copy so that each case of the conformance suite, or one of `oneCaseOf` cases, is a test. */
export function casesAsTests(folder, oneOf) {
  const one = /for \(const \{ name, run \} of sections\((.*)\)\) test\(name, run\);/g;
  // The case that closes the backend can pass only once in a process.
  const some = oneOf > 1 ? `.filter(({ id }, k) => k % ${oneOf} === 0 && id !== 'lifecycle/close')` : '';
  const each = `for (const { cases: own } of sections($1)) for (const { name, run } of own${some}) test(name, run);`;
  for (const name of readdirSync(join(folder, 'test'), { recursive: true }).map(String)) {
    if (!name.endsWith('.ts')) continue;
    const path = join(folder, 'test', name);
    writeFileSync(path, readFileSync(path, 'utf8').replace(one, each));
  }
}

/**
 * Lets repeating-runner.mjs keep the caches of memoized functions, in core's conformance suite. Otherwise a mutant of such a function would see
 * results that were computed without it.
 */
function watchMemos(folder) {
  const path = join(folder, 'conformance', 'memo.ts');
  if (!existsSync(path)) return;
  const one = /= (new (?:Weak)?Map<\w+, R>\(\)|compute\(\));/g;
  const text = readFileSync(path, 'utf8');
  if (text.match(one)?.length !== 3)
    throw new Error(`${path} does not have the caches and the call that mutation testing replaces`);
  const watched = text.replace(one, (_, value) =>
    value === 'compute()' ? '= results.compute(compute);' : `= globalThis.__stryker__.memo(${value});`,
  );
  writeFileSync(path, watched);
}

/** Measures the tests, unless an interrupted run has measured the same tests with the same mutants. */
export async function measureOnce(copy, kept, key) {
  if (!existsSync(kept) || readMeasured(kept).key !== key)
    writeFileSync(kept, JSON.stringify({ key, ...(await measure(copy)) }));
  copyFileSync(kept, copy.measured);
}

export function readMeasured(path) {
  return JSON.parse(readFileSync(path, 'utf8'));
}

/**
 * Calls `keep` with the id and result of each mutant: `{ status, by }` with the status killed, survived, untested, atLoad, or, of a kernel, error (does
 * not compile).
 *
 * @param options `least` and `most`: only tests that take longer than the one and not longer than the other
 * @param copy `folder` of the copy, `state`, a folder for what the runner reads and writes, the file `measured`, and for kernels the module `kernels`
 *   that switches them and `silenceMs`: a process that starts no test for this time hangs
 */
export async function tryAll(
  copy,
  open,
  { withLoaded = false, least = -1, most = rounds.at(-1), testsEach = Infinity },
  keep,
) {
  const measured = readMeasured(copy.measured);
  const tests = Object.values(measured.tests);
  const reachedBy = tests.map(({ reached }) => Buffer.from(reached, 'base64'));
  const isReached = (id) => reachedBy.some((bits) => hasBit(bits, id));
  const atLoad = new Set(measured.atLoad);
  if (testsEach < Infinity) writeFileSync(copy.measured, JSON.stringify(withFewer(measured, open, most, testsEach)));
  const left = new Set(open.map(({ id }) => id));
  const onKilled = (id, by) => {
    if (left.delete(id)) keep(id, { status: 'killed', by });
  };
  const reached = [...left].filter(isReached);
  console.log(`${tests.length} tests; they reach ${reached.length} of ${open.length} mutants.`);
  for (const [round, upTo] of rounds.entries()) {
    if (upTo > most || upTo <= least) continue;
    const alive = new Set(reached.filter((id) => left.has(id)));
    const onUncompiled = (id) => {
      if (alive.delete(id) && left.delete(id)) keep(id, { status: 'error' });
    };
    const limits = { above: Math.max(least, rounds[round - 1] ?? -1), upTo };
    await tryRound(copy, alive, limits, onUncompiled, (id, by) => {
      alive.delete(id);
      onKilled(id, by);
    });
    console.log(`Tests of up to ${upTo} ms: ${alive.size} mutants are left.`);
  }
  const loaded = [...left].filter((id) => atLoad.has(id));
  console.log(`Loading the modules reaches ${loaded.length} of those that are left.`);
  // What a module computed when it was loaded, it computed without the mutant, even if tests call the same function again.
  const inOwnProcess = withLoaded ? loaded : loaded.filter(isReached);
  const without = inOwnProcess.length > 0 ? await dependentTests(copy, most) : [];
  for (const id of inOwnProcess) {
    const by = await killerOfLoaded(copy, id, most, without);
    if (by !== null) onKilled(id, by);
  }
  const statusOf = (id) => {
    if (atLoad.has(id) && (withLoaded || !isReached(id))) return withLoaded ? 'survived' : 'atLoad';
    return isReached(id) ? 'survived' : 'untested';
  };
  for (const id of left) keep(id, { status: statusOf(id) });
}

/** Tries a mutant that is active from the start of a process: with fast tests first, then with the others. */
async function killerOfLoaded(copy, id, most, without) {
  for (const limits of roundsOfLoaded(most)) {
    const events = await runTests(copy, { ...limits, alive: [], finished: [], atLoad: id, without });
    const noticed = events.find(({ killed }) => killed === id);
    if (noticed) return noticed.by;
    if (events.hanging) return 'no end';
    if (events.failed) return 'loading the tests';
  }
  return null;
}

function roundsOfLoaded(most) {
  const [quick] = rounds;
  return [
    { above: -1, upTo: quick },
    { above: quick, upTo: most },
  ];
}

/** The tests that fail without a mutant, because those are missing that a round leaves out. */
async function dependentTests(copy, most) {
  const failing = [];
  for (const limits of roundsOfLoaded(most)) {
    const events = await runTests(copy, { ...limits, alive: [], finished: [], atLoad: null });
    if (events.failed) throw new Error(`The tests of ${copy.folder} do not pass unchanged:\n${events.output}`);
    for (const { dependent } of events) {
      if (dependent === undefined) continue;
      console.log(`Left out, because it fails unless others run before it: ${dependent}`);
      failing.push(dependent);
    }
  }
  return failing;
}

async function measure(copy) {
  const events = await runTests(copy, { measure: true, alive: [], finished: [] });
  if (events.failed) throw new Error(`The tests of ${copy.folder} do not pass unchanged:\n${events.output}`);
  const tests = events.filter(({ ms }) => ms !== undefined);
  return {
    tests: Object.fromEntries(tests.map(({ test, ms, reached }) => [test, { ms, reached }])),
    atLoad: events.flatMap(({ static: atLoad = [] }) => atLoad),
  };
}

/** The measurement, limited so that each mutant is reached by at most `most` tests, spread over all that reach it. */
function withFewer(measured, mutants, most, testsEach) {
  const tests = Object.entries(measured.tests).map(([id, { ms, reached }]) => {
    const bits = Buffer.from(reached, 'base64');
    return { id, ms, bits, left: Buffer.alloc(bits.length) };
  });
  const quickEnough = tests.filter(({ ms }) => ms <= most);
  for (const { id } of mutants) {
    const reaching = quickEnough.filter(({ bits }) => hasBit(bits, id));
    const count = Math.min(testsEach, reaching.length);
    for (let k = 0; k < count; k++) reaching[Math.floor((k * reaching.length) / count)].left[id >> 3] |= 1 << (id & 7);
  }
  const kept = tests.map(({ id, ms, left }) => [id, { ms, reached: left.toString('base64') }]);
  return { ...measured, tests: Object.fromEntries(kept) };
}

async function tryRound(copy, alive, limits, onUncompiled, onKilled) {
  const finished = new Set();
  let confirm = null;
  let isOver = alive.size === 0;
  let failures = 0;
  let ending = '';
  while (!isOver) {
    const live = ({ killed, by, uncompiled }) => {
      if (killed !== undefined) onKilled(killed, by);
      if (uncompiled !== undefined) onUncompiled(uncompiled);
    };
    const events = await runTests(
      { ...copy, live },
      { ...limits, alive: [...alive], finished: [...finished], confirm },
    );
    confirm = null;
    for (const event of events) {
      const { finished: test, unrepeatable, dependent, confirm: unsure } = event;
      if (dependent !== undefined) console.log(`Left out, because it fails unless others run before it: ${dependent}`);
      if (unrepeatable !== undefined)
        console.log(`Left out, because it passes only once in a process: ${unrepeatable}`);
      live(event);
      if (test !== undefined) finished.add(test);
      if (unsure !== undefined) confirm = unsure;
    }
    if (events.hanging) {
      const [mutant, test] = events.hanging;
      if (mutant === '') finished.add(test);
      else if (alive.has(mutant)) onKilled(mutant, 'no end');
    }
    const isToGoOn = events.hanging || events.at(-1)?.restart;
    // A mutant has not survived tests that did not run.
    const isCut = events.failed && !isToGoOn;
    // A mutant with which the process ends twice in the same test is killed: a native library aborts the process for some arguments.
    if (isCut && events.ended === ending) {
      const [mutant] = ending.split(' ');
      if (alive.has(mutant)) {
        onKilled(mutant, 'the process ends');
        failures = 0;
      }
    }
    ending = isCut ? events.ended : '';
    if (isCut && ++failures === 5) throw new Error(`The tests of ${copy.folder} end too early:\n${events.output}`);
    isOver = alive.size === 0 || !(isToGoOn || isCut);
  }
}

/** Runs the package's tests once with a plan, see repeating-runner.mjs, and returns its events. On a busy machine Vitest may fail to start its process; then try again. */
async function runTests(copy, plan) {
  for (let left = 5; ; left--) {
    const events = await runOnce(copy, plan);
    if (left === 0 || !/Timeout starting/.test(events.output)) return events;
  }
}

function runOnce(copy, plan) {
  const events = join(copy.state, 'events.jsonl');
  const now = join(copy.state, 'now');
  for (const path of [events, now]) writeFileSync(path, '');
  writeFileSync(join(copy.state, 'plan.json'), JSON.stringify({ ...plan, kernels: copy.kernels }));
  writeFileSync(join(copy.folder, 'vitest.mutants.mjs'), config);
  const env = { ...process.env, SOFTGRAD_NODE_ONLY: '1', SOFTGRAD_SOURCES: '1', STRYKER_MUTATOR_WORKER: '0' };
  const child = spawn(process.execPath, [vitest, 'run', '--config=vitest.mutants.mjs', '--reporter=dot'], {
    cwd: copy.folder,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const stop = () => {
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      // The process has already ended.
    }
  };
  process.once('exit', stop);
  const times = plan.measure ? [] : Object.values(readMeasured(copy.measured).tests).map(({ ms }) => ms);
  const slowest = times.filter((ms) => ms <= plan.upTo).reduce((most, ms) => Math.max(most, ms), 0);
  return new Promise((resolve, reject) => {
    let output = '';
    let hanging = null;
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (text) => {
        output = `${output}${text}`.slice(-20_000);
      });
    let read = 0;
    const watch = setInterval(() => {
      // Results are kept as soon as they are known. The last line may be incomplete.
      const lines = existsSync(events) ? readFileSync(events, 'utf8').split('\n').slice(0, -1) : [];
      for (const line of lines.slice(read)) copy.live?.(JSON.parse(line));
      read = lines.length;
      const latest = Math.max(statSync(now).mtimeMs, statSync(events).mtimeMs);
      const patience = statSync(now).size > 0 ? (copy.silenceMs ?? silenceMs) : silenceMs;
      if (plan.measure || Date.now() - latest < patience + 30 * slowest) return;
      hanging = readFileSync(now, 'utf8').trimEnd().split(' ');
      stop();
    }, 1000);
    child.on('error', reject);
    // A worker that was killed leaves the servers behind that its tests had started.
    child.on('exit', stop);
    child.on('close', (code) => {
      clearInterval(watch);
      process.off('exit', stop);
      const lines = existsSync(events) ? readFileSync(events, 'utf8').split('\n').filter(Boolean) : [];
      resolve(
        Object.assign(
          lines.map((line) => JSON.parse(line)),
          { output, hanging, ended: readFileSync(now, 'utf8').trimEnd(), failed: code !== 0 },
        ),
      );
    });
  });
}

function offsetOf(text, { line, column }) {
  const before = text.split('\n').slice(0, line);
  return before.reduce((sum, { length }) => sum + length + 1, column);
}

function report(name, all, chosen, known) {
  const argued = readEquivalents(join(root, 'packages', name, 'test', 'equivalent-typescript.json'));
  const isArgued = (mutant) => argued.some((entry) => argues(entry, mutant));
  // An entry about a mutated file that matches no mutant is out of date.
  const files = new Set(all.map(({ file }) => file));
  for (const entry of argued)
    if (files.has(entry.file) && !all.some((mutant) => argues(entry, mutant)))
      console.log(`\nNo mutant matches this entry of equivalent-typescript.json: ${JSON.stringify(entry)}`);
  const having = (status) => chosen.filter(({ key }) => known.get(key)?.status === status);
  const [killed, survived, untested] = ['killed', 'survived', 'untested'].map(having);
  const open = (mutants) => mutants.filter((mutant) => !isArgued(mutant));
  for (const mutant of open(survived)) console.log(`\nSurvived ${diffOf(mutant)}`);
  for (const mutant of open(untested)) console.log(`\nReached by no test ${diffOf(mutant)}`);
  return {
    of: all.length,
    mutants: killed.length + survived.length + untested.length,
    atLoad: having('atLoad').length,
    killed: killed.length,
    survived: survived.length,
    untested: untested.length,
    equivalent: [...survived, ...untested].filter(isArgued).length,
  };
}
