// One run for measure.mjs: options as JSON on the command line, time and memory as JSON on standard output.
import { existsSync, readFileSync } from 'node:fs';
import { createPlan, folderStore, runEmbedded } from '../dist/index.js';

const { root, threads, redis, ...options } = JSON.parse(process.argv[2] ?? '{}');
const backends = new URL('./register-wasm.mjs', import.meta.url).href;
const store = folderStore(root);

const begin = performance.now();
let started = begin;
if (redis === undefined) {
  const plan = await createPlan(store, { ...options, backend: 'wasm' });
  await runEmbedded(plan, { root, backends, threads });
} else {
  const { startWorker, submit, waitFor } = await import('../dist/redis/index.js');
  const worker = await startWorker({ root, redis, backend: 'wasm', backends, concurrency: threads });
  started = performance.now();
  const plan = await createPlan(store, { ...options, backend: 'wasm' });
  await submit(plan, { root, redis });
  await waitFor(plan, { root, redis, interval: 50 });
  const ended = performance.now();
  await worker.close();
  report(ended - started);
}
if (redis === undefined) report(performance.now() - started);

function report(milliseconds) {
  console.log(JSON.stringify({ seconds: milliseconds / 1000, maxRss: mostMemory() }));
}

/** The peak memory of this process, in bytes. On Linux `maxRSS` begins with what the process had that started this one. */
function mostMemory() {
  if (!existsSync('/proc/self/status')) return process.resourceUsage().maxRSS * 1024;
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024;
}
