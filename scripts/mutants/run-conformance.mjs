// Runs the conformance suite on one copy of a backend after another, each up to the first failure, which it reports to the parent process.
// Used by trial.mjs.
import { pathToFileURL } from 'node:url';
import { conformance } from '../../packages/core/dist/conformance/index.js';

const [exported, options] = process.argv.slice(2);

/** The time limit for a device that hangs, far more than a case takes on a busy machine. */
const timeoutMs = 300_000;

let told = 0;
const alive = () => {
  process.send('alive');
  told = performance.now();
};
// For cases that wait for a device. Cases that compute in this thread block its timers, see `tried`.
setInterval(alive, 1000).unref();

/**
 * `path`: the module. `list`: whether to report only the names of the applicable cases and what the backend announces. `order`: the cases to
 * run, in this order; all if it is empty. `supports`: what the unchanged backend announces; if given, a different announcement counts as
 * detected. Reports the time of each case if all pass.
 */
process.on('message', async (request) => process.send(await run(request).catch(failure)));

async function run({ path, list = false, order = [], supports }) {
  const { [exported]: provider } = await import(pathToFileURL(path).href);
  const backend = await provider.open(JSON.parse(options));
  try {
    if (supports && !alike(supports, backend.supports)) return { status: 'killed', by: 'what the backend announces' };
    const all = await conformance(backend, { required: true, timeoutMs });
    const chosen = inOrder(all, order);
    return list ? { supports: backend.supports, names: chosen.map(({ name }) => name) } : await tried(chosen);
  } finally {
    if (!backend.closed) await backend.close?.();
  }
}

async function tried(chosen) {
  const cases = [];
  for (const bound of chosen) {
    const begun = performance.now();
    try {
      await bound.run();
    } catch (error) {
      return failure(error, bound.name);
    }
    cases.push({ name: bound.name, ms: performance.now() - begun });
    if (performance.now() - told > 1000) alive();
  }
  return { status: 'survived', cases };
}

function inOrder(all, order) {
  const applying = all.filter(({ skip }) => skip === null);
  if (order.length === 0) return applying;
  // The last case closes the backend.
  const last = all[all.length - 1];
  const byName = new Map(applying.map((bound) => [bound.name, bound]));
  return [...order.map((name) => byName.get(name)).filter((bound) => bound && bound !== last), last];
}

/** A kernel that does not compile on the device does not count as a mutant. */
function failure(error, by = String(error)) {
  for (let cause = error; cause; cause = cause.cause) {
    if (/does not compile on this device/.test(String(cause))) return { status: 'error' };
  }
  return { status: 'killed', by };
}

/** Equal, except that measured numbers may differ a little. */
function alike(a, b) {
  if (typeof a === 'number' && typeof b === 'number') return Object.is(a, b) || Math.abs(a - b) < 0.005;
  if (typeof a !== 'object' || a === null || b === null) return a === b;
  const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])];
  return keys.every((key) => alike(a[key], b[key]));
}
