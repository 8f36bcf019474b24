// A worker that takes one chunk of a job and dies before it computes anything.
import { parentPort } from 'node:worker_threads';
import { chunkMask, controlAt, word } from '../dist/job.js';

parentPort.once('message', ({ memory, control }) => {
  const { words } = controlAt(memory, control);
  parentPort.postMessage('ready');
  for (;;) {
    const ticket = Atomics.load(words, word.ticket);
    if ((ticket & chunkMask) >= Atomics.load(words, word.chunks)) continue;
    if (Atomics.compareExchange(words, word.ticket, ticket, ticket + 1) === ticket) process.exit(3);
  }
});
