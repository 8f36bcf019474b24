// Run by every runtime: the conformance suite on the backends that every consumer has installed. Prints one line of JSON.
import { cpu } from '@softgrad/backend-cpu';
import { wasm } from '@softgrad/backend-wasm';
import { conformance } from '@softgrad/core/conformance';

const passed = [];
for (const [provider, open] of [
  [cpu, undefined],
  [wasm, { threads: 2 }],
]) {
  const failures = [];
  for (const { name, skip, run } of await conformance(provider, { required: true, open })) {
    if (skip !== null) continue;
    try {
      await run();
    } catch (error) {
      failures.push(`${name}: ${error.message}`);
    }
  }
  if (failures.length > 0) throw new Error(`${failures.length} cases failed:\n${failures.slice(0, 10).join('\n')}`);
  passed.push(provider.name);
}
// Without their number, which changes with the suite.
console.log(JSON.stringify({ shown: `${passed.join(' and ')} pass every case` }));
// Some runtimes wait for worker threads.
globalThis.process?.exit(0);
