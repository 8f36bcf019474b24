import { conformance } from '@softgrad/core/conformance';
import { testEachAfresh } from '../../../conformance.shared.js';
import { wasm } from '../src/index.js';

testEachAfresh('a new backend conforms: %s', async () => {
  const backend = await wasm.open({ relaxedSimd: false });
  return { cases: await conformance(backend, { composed: false }), close: () => backend.close() };
});
