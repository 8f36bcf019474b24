// Runs the conformance suite on a build of backend-wasm, up to the first case that fails, and tells the parent process which. Used by
// backend-wasm.mjs.
import { pathToFileURL } from 'node:url';
import { conformance } from '../../packages/core/dist/conformance/index.js';

const [path, build] = process.argv.slice(2);
const { wasm } = await import(pathToFileURL(path).href);

process.once('message', async ({ order, measure }) => {
  const place = new Map(order.map((name, i) => [name, i]));
  let outcome = { status: 'survived', cases: [] };
  try {
    const all = await conformance(wasm, { required: true, open: { relaxedSimd: build === 'relaxed' } });
    const last = all[all.length - 1];
    const applying = all.filter(({ skip }) => skip === null);
    const rank = (bound) => (bound === last ? order.length : (place.get(bound.name) ?? 0));
    if (order.length > 0) applying.sort((a, b) => rank(a) - rank(b));
    let told = performance.now();
    for (const bound of applying) {
      const begun = performance.now();
      const error = await bound.run().then(
        () => null,
        (reason) => reason ?? 'rejected',
      );
      if (error) {
        outcome = { status: 'killed', by: bound.name };
        break;
      }
      const now = performance.now();
      if (measure) outcome.cases.push({ name: bound.name, ms: now - begun });
      if (now - told > 500) {
        process.send('alive');
        told = now;
      }
    }
  } catch (error) {
    outcome = { status: 'killed', by: String(error) };
  }
  process.send(outcome, () => process.exit(0));
});
