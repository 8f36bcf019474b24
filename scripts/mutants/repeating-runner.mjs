// A runner for Vitest that tries many mutants in one process. The sources contain all mutants behind switches; a test runs once unchanged and then
// once with each mutant that it reaches. Used by typescript.mjs, which describes the input and output.
import { appendFileSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { VitestTestRunner } from 'vitest/runners';
import { bitsOf, hasBit } from './bits.mjs';

const folder = join(process.cwd(), 'reports', 'mutants');
const plan = JSON.parse(readFileSync(join(folder, 'plan.json'), 'utf8'));
const alive = new Set(plan.alive);
const finished = new Set(plan.finished);
/** For each test, its time and a bit set of the mutants that it reaches. */
const { tests: measured } = plan.measure
  ? { tests: {} }
  : JSON.parse(readFileSync(join(folder, 'measured.json'), 'utf8'));

// Tests may replace timers.
const { setTimeout, clearTimeout } = globalThis;
const eventLoopUtilization = performance.eventLoopUtilization.bind(performance);

/** The global object that code instrumented by StrykerJS reads and writes. */
globalThis.__stryker__ ??= {};
const state = globalThis.__stryker__;
state.mutantCoverage ??= { static: {}, perTest: {} };

/** The sets of mutants that tests reach, decoded on first use. */
const bits = {};

let attempts = 0;
let computed = 0;

/**
 * The cache of a memoized function in the sources, see typescript.mjs. A cached result belongs to the mutants that were reached while it was computed:
 * using it reaches them too, and if one of them is active, the result is computed anew, once in each attempt.
 */
state.memo = (store) => {
  /** The results that the active mutant may have changed. */
  let own = new Map();
  let attempt = attempts;
  const ofAttempt = () => {
    if (attempt !== attempts) own = new Map();
    attempt = attempts;
    return own;
  };
  let latest = null;
  return {
    get(key) {
      const known = store.get(key);
      const isChanged = known === undefined || state.activeMutant in known.hits;
      const found = isChanged ? ofAttempt().get(key) : known;
      if (found === undefined) return undefined;
      addHits(found.hits);
      if (isChanged) state.hitCount++;
      return found.result;
    },
    compute(one) {
      const { currentTestId, hitCount } = state;
      const id = `memo ${++computed}`;
      state.currentTestId = id;
      try {
        return one();
      } finally {
        state.currentTestId = currentTestId;
        // Of the active mutant, only the hits are counted.
        latest = { hits: state.mutantCoverage.perTest[id] ?? {}, isChanged: state.hitCount !== hitCount };
        delete state.mutantCoverage.perTest[id];
        addHits(latest.hits);
      }
    },
    set(key, result) {
      const { hits, isChanged } = latest;
      (isChanged ? ofAttempt() : store).set(key, { result, hits });
    },
  };
};

/** Counts mutants as reached by the current test, or by loading the modules. */
function addHits(hits) {
  const { static: atLoad, perTest } = state.mutantCoverage;
  const { currentTestId: id } = state;
  if (id) perTest[id] ??= {};
  const reached = id ? perTest[id] : atLoad;
  for (const [mutant, count] of Object.entries(hits)) reached[mutant] = (reached[mutant] ?? 0) + count;
}

const tell = (event) => appendFileSync(join(folder, 'events.jsonl'), `${JSON.stringify(event)}\n`);
const now = openSync(join(folder, 'now'), 'w');
/** Records which mutant is being tried, so that it is known if the test never ends. */
const begin = (mutant, test) => writeSync(now, `${mutant} ${test}`.slice(0, 200).padEnd(200), 0);

/** How mutants of kernels are activated, see switched-kernels.mjs and switched-wgsl.mjs; null for mutants in the sources. */
const kernels = plan.kernels ? await (await import(plan.kernels)).install(state, folder) : null;

// A mutant of code that runs when modules are loaded is active in the whole process.
state.activeMutant = plan.atLoad ?? undefined;
state.hitCount = 0;
state.hitLimit = Infinity;

export default class RepeatingRunner extends VitestTestRunner {
  async runTask(test) {
    if (plan.measure) await this.#measure(test);
    else if (plan.atLoad !== undefined) await this.#tryLoaded(test);
    else await this.#tryMutants(test);
  }

  /** The time of a test, and the mutants that it reaches. */
  async #measure(test) {
    const elapsed = stopwatch();
    const hits = await this.#reached(test);
    tell({ test: test.id, ms: elapsed(), reached: bitsOf(Object.keys(hits)).toString('base64') });
  }

  onAfterRunFiles(files) {
    if (plan.measure) tell({ static: Object.keys(state.mutantCoverage.static) });
    return super.onAfterRunFiles(files);
  }

  async #reached(test) {
    state.currentTestId = test.id;
    try {
      await this.#attempt(test);
    } finally {
      state.currentTestId = undefined;
    }
    const hits = state.mutantCoverage.perTest[test.id] ?? {};
    delete state.mutantCoverage.perTest[test.id];
    return hits;
  }

  /** Without a mutant (null), tells which tests fail unless others run before them. */
  async #tryLoaded(test) {
    const name = `${test.file.name}: ${fullName(test)}`;
    if (!isInRound(test) || plan.without?.includes(name)) return;
    begin(plan.atLoad ?? '', test.id);
    try {
      await this.#attempt(test);
    } catch {
      if (plan.atLoad === null) {
        tell({ dependent: name });
        return;
      }
      this.#killed(test, plan.atLoad);
      this.#end();
    }
  }

  async #tryMutants(test) {
    const { id } = test;
    if (!isInRound(test) || finished.has(id) || !reachesAlive(id)) return;
    const { ms } = measured[id];
    begin('', id);
    const calls = await this.#reached(test).catch(() => null);
    if (calls === null) {
      tell({ finished: id, dependent: `${test.file.name}: ${fullName(test)}` });
      return;
    }
    const hits = kernels ? kernels.hitsOf(calls) : calls;
    const confirmed = plan.confirm?.test === id ? plan.confirm.mutant : null;
    if (confirmed !== null && !(await this.#isRepeatable(test)))
      this.#restart({ finished: id, unrepeatable: `${test.file.name}: ${fullName(test)}` });
    const open = Object.keys(hits).filter((mutant) => isToTry(id, mutant) && mutant !== confirmed);
    let isChecked = true;
    if (confirmed !== null && hits[confirmed] && (await this.#isKilled(test, confirmed, hits[confirmed], ms))) {
      this.#killed(test, confirmed);
      if (!(await this.#isRepeatable(test))) this.#restart();
    }
    for (const mutant of open) {
      if (kernels && !(await this.#isChanged(calls, mutant))) continue;
      isChecked = false;
      if (!(await this.#isKilled(test, mutant, hits[mutant], ms))) continue;
      isChecked = await this.#isRepeatable(test);
      // An earlier mutant may have left state behind that makes the test fail: repeat it in a new process.
      if (!isChecked) this.#restart({ confirm: { mutant, test: id } });
      this.#killed(test, mutant);
    }
    if (!isChecked && !(await this.#isRepeatable(test))) this.#restart({ finished: id });
    tell({ finished: id });
  }

  /** Whether the mutant of a kernel changes what a test calls. */
  async #isChanged(calls, mutant) {
    begin('', 'compiling');
    const effect = await kernels.effectOn(calls, mutant);
    if (effect === 'error') {
      alive.delete(mutant);
      tell({ uncompiled: mutant });
    }
    return effect === 'different';
  }

  #killed(test, mutant) {
    alive.delete(mutant);
    kernels?.forget(mutant);
    tell({ killed: mutant, by: `${test.file.name}: ${fullName(test)}` });
  }

  #restart(event = {}) {
    tell({ ...event, restart: true });
    this.#end();
  }

  #end() {
    process.kill(process.pid, 'SIGKILL');
  }

  async #isKilled(test, mutant, hits, ms) {
    begin(mutant, test.id);
    state.activeMutant = mutant;
    state.hitCount = 0;
    state.hitLimit = 1000 + 100 * hits;
    const watch = lateness(2000 + 20 * ms);
    try {
      if (await Promise.race([this.#attempt(test), watch.late])) {
        tell({ killed: mutant, by: `${test.file.name}: ${fullName(test)} (no end)` });
        this.#restart();
      }
      return false;
    } catch {
      return true;
    } finally {
      watch.stop();
      kernels?.restore();
      state.activeMutant = undefined;
      state.hitCount = 0;
    }
  }

  async #isRepeatable(test) {
    begin('', test.id);
    try {
      await this.#attempt(test);
      return true;
    } catch {
      return false;
    }
  }

  /** Runs a test once, with its hooks. */
  async #attempt(test) {
    const suites = [];
    for (let { suite } = test; suite; suite = suite.suite) suites.unshift(suite);
    if (!suites.includes(test.file)) suites.unshift(test.file);
    const hooks = suites.map((suite) => VitestTestRunner.getSuiteHooks(suite));
    this.onBeforeTryTask(test);
    attempts++;
    const { result } = test;
    for (const { beforeEach } of hooks) for (const hook of beforeEach) await hook(test.context, test.suite);
    try {
      await VitestTestRunner.getTestFn(test)();
      this.onAfterTryTask(test);
      // Failed soft assertions are recorded, not thrown.
      if (result.state === 'fail') throw new Error('a soft expectation failed');
    } finally {
      result.state = 'run';
      result.errors = undefined;
      for (const { afterEach } of hooks.toReversed())
        for (const hook of afterEach) await hook(test.context, test.suite);
    }
  }
}

/** A test whose name depends on the mutant has no measured time. In a process for a single mutant it runs in the first round. */
function isInRound({ id }) {
  const ms = measured[id]?.ms ?? (plan.atLoad === undefined ? Number.NaN : 0);
  return ms > plan.above && ms <= plan.upTo;
}

function reachesAlive(id) {
  for (const mutant of alive) if (isToTry(id, mutant)) return true;
  return false;
}

/** Whether a mutant is alive, and the given test is one of those that try it. */
function isToTry(id, mutant) {
  bits[id] ??= Buffer.from(measured[id].reached, 'base64');
  return alive.has(mutant) && hasBit(bits[id], mutant);
}

/** Milliseconds during which this process computed or waited, without the time in which other processes had the processor. */
function stopwatch() {
  const processor = process.cpuUsage();
  const { idle } = eventLoopUtilization();
  return () => {
    const { user, system } = process.cpuUsage(processor);
    return (user + system) / 1000 + eventLoopUtilization().idle - idle;
  };
}

/** A promise `late` that resolves to true after the given time, measured by that clock. */
function lateness(ms) {
  const elapsed = stopwatch();
  let timer;
  const late = new Promise((resolve) => {
    const look = () => {
      const left = ms - elapsed();
      if (left <= 0) resolve(true);
      else timer = setTimeout(look, left + 1);
    };
    timer = setTimeout(look, ms);
  });
  return { late, stop: () => clearTimeout(timer) };
}

function fullName({ name, suite }) {
  return suite?.name ? `${fullName(suite)} ${name}` : name;
}
