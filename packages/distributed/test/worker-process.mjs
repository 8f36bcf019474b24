// A worker in a separate process: options as JSON on the command line, events on standard output, one per line.
import { startWorker } from '../dist/redis/index.js';
import './faulty-backends.mjs';

const options = JSON.parse(process.argv[2] ?? '{}');
const worker = await startWorker({
  backends: new URL('./faulty-backends.mjs', import.meta.url).href,
  onEvent: ({ kind, message }) => process.stdout.write(`${kind} ${message}\n`),
  ...options,
});
process.stdout.write('ready\n');
process.on('SIGTERM', () => worker.close());
await worker.ended.catch((error) => {
  process.stdout.write(`ended ${error.message}\n`);
  process.exitCode = 2;
});
