// Prints as JSON what each backend announces on this machine, in the order of the map; `reason` if it cannot run.

import { loadProvider, registered, softmax, tensor } from '@softgrad/core';
import { registerBackends } from 'softgrad/backends';

registerBackends();
const all = [];
for (const name of registered()) all.push(await describe(name));
process.stdout.write(`${JSON.stringify(all, null, 2)}\n`, () => process.exit());

async function describe(name) {
  const provider = await loadProvider(name);
  const reason = await provider.unavailable();
  if (reason !== null) return { name, reason };
  const backend = await provider.open();
  try {
    const { device, dtypes, nonFinite, subnormals } = backend.supports;
    const read = backend.view ? 'in place' : backend.readSync ? 'at once' : 'asynchronously';
    return { name, reason, device, dtypes, read, nonFinite, subnormals, dispatches: await dispatches(backend) };
  } finally {
    await backend.close();
  }
}

/** The number of dispatches of an operation on (1024, 1000), if the backend counts them: the work of a GPU, independent of its speed. */
async function dispatches(backend) {
  if (typeof backend.statistics !== 'function') return null;
  const x = tensor(new Float32Array(1_024_000), { shape: [1024, 1000], backend });
  const s = softmax(x);
  const dx = softmax.vjp(s, x);
  await dx.data();
  const { operations } = backend.statistics();
  for (const made of [x, s, dx]) made.dispose();
  return { softmax: operations.softmax.dispatches, vjp: operations.vjp.dispatches };
}
