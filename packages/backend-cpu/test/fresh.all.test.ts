import { conformance } from '@softgrad/core/conformance';
import { testEachAfresh } from '../../../conformance.shared.js';
import { cpu } from '../src/index.js';

testEachAfresh('a new backend conforms: %s', async () => {
  const backend = await cpu.open();
  return { cases: await conformance(backend, { composed: false }), close: () => backend.close() };
});
