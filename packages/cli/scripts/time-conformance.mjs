// Runs the conformance suite on the backend named by the first argument, in the order of `softgrad conformance`, and prints the processor time of every
// case in milliseconds as JSON, by its key. Processor time, because other programs of the machine do not count in it.
import { conformance, reportCase } from '@softgrad/core/conformance';
import { ownBackends } from '../dist/backend.js';
import { keyOf, spread } from '../dist/conformance-cost.js';

const provider = await ownBackends.load(process.argv[2]);
const times = {};
for (const one of spread(await conformance(provider, { required: true }))) {
  const began = process.cpuUsage();
  const { outcome } = await reportCase(one);
  const { user, system } = process.cpuUsage(began);
  if (outcome === 'failed') throw new Error(`${one.name} failed`);
  if (outcome === 'passed') times[keyOf(one)] = (user + system) / 1000;
}
process.stdout.write(JSON.stringify(times), () => process.exit());
