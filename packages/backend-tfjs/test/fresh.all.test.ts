import { conformance } from '@softgrad/core/conformance';
import { testEachAfresh } from '../../../conformance.shared.js';
import { tfjs } from '../src/index.js';

testEachAfresh('a new backend conforms: %s', async () => {
  const backend = await tfjs.open({ engine: 'cpu' });
  return { cases: await conformance(backend, { composed: false }), close: () => backend.close() };
});
