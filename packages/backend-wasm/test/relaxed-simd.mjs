// Runs the conformance suite with relaxed SIMD, with and without threads, in a process that has it: prints how many cases passed and what failed.
import { wasm } from '@softgrad/backend-wasm';
import { conformance } from '@softgrad/core/conformance';

for (const threads of [1, 2]) {
  let passed = 0;
  for (const { name, skip, run } of await conformance(wasm, { required: true, open: { threads, relaxedSimd: true } })) {
    if (skip) continue;
    try {
      await run();
      passed++;
    } catch (error) {
      console.log(`${name}: ${error.message}`);
      process.exitCode = 1;
    }
  }
  console.log(`${threads} threads: ${passed} passed`);
}
