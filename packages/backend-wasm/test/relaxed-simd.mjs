// Runs the conformance suite with relaxed SIMD in a process that has it: prints what failed and how many passed.
import { wasm } from '@softgrad/backend-wasm';
import { conformance } from '@softgrad/core/conformance';

let passed = 0;
for (const { name, skip, run } of await conformance(wasm, { required: true, open: { relaxedSimd: true } })) {
  if (skip !== null) continue;
  try {
    await run();
    passed++;
  } catch (error) {
    console.log(`${name}: ${error.message}`);
  }
}
console.log(`${passed} passed`);
