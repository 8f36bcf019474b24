// Runs the conformance suite on one copy of a backend after another, each up to the first case that fails, and tells the parent process
// which. Used by trial.mjs.
import { pathToFileURL } from 'node:url';
import { conformance } from '../../packages/core/dist/conformance/index.js';

const [exported, options] = process.argv.slice(2);

/** Far more than a case takes on a busy machine: a device that hangs would be waited for without end. */
const timeoutMs = 300_000;

let told = 0;
const alive = () => {
  process.send('alive');
  told = performance.now();
};
// Where cases wait for a device. Those that compute in this thread leave no time for a timer, see `tried`.
setInterval(alive, 1000).unref();

/**
 * `path`: the module. `list`: whether only to tell the names of the cases that apply, and what the backend announces. `order`: the cases to
 * run, in this order, all where it is empty. `supports`: what the unchanged backend announces, where another announcement counts as
 * noticed. Tells how long each case took, should all pass.
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

/** A kernel that a device does not compile is no mutant that a test notices. */
function failure(error, by = String(error)) {
  for (let cause = error; cause; cause = cause.cause) {
    if (/does not compile on this device/.test(String(cause))) return { status: 'error' };
  }
  return { status: 'killed', by };
}

/** Equal but for measured numbers, which may differ a little. */
function alike(a, b) {
  if (typeof a === 'number' && typeof b === 'number') return Object.is(a, b) || Math.abs(a - b) < 0.005;
  if (typeof a !== 'object' || a === null || b === null) return a === b;
  const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])];
  return keys.every((key) => alike(a[key], b[key]));
}
