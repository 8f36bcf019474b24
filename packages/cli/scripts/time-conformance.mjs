// Runs the conformance suite on the backend named by the first argument, in the order of `softgrad conformance`, and prints the milliseconds that every
// case took as JSON, by its key. They are those of a clock and not of the processor, because the time left is, too, and cases that run on several cores
// take less of it: the machine should have nothing else to do.
import { conformance, reportCase } from '@softgrad/core/conformance';
import { ownBackends } from '../dist/backend.js';
import { keyOf, spread } from '../dist/conformance-cost.js';

const provider = await ownBackends.load(process.argv[2]);
const times = {};
for (const one of spread(await conformance(provider, { required: true }))) {
  const began = performance.now();
  const { outcome } = await reportCase(one);
  const milliseconds = performance.now() - began;
  if (outcome === 'failed') throw new Error(`${one.name} failed`);
  if (outcome === 'passed') times[keyOf(one)] = milliseconds;
}
process.stdout.write(JSON.stringify(times), () => process.exit());
