import { chunkBits, chunkMask, controlAt, kernelNames, runChunk, setStarted, type WorkerStart, word } from './job.js';
import type { Exports } from './module.js';
import { nodeThreads } from './node.js';

/** Looks at the ticket before a worker goes to sleep: about half a millisecond, since waking it costs as much. */
const spins = 20_000;

/** A worker thread: takes chunks of the current job in an endless loop, and sleeps while there are none. */
function work({ module, memory, control: address, stackTop, thread }: WorkerStart, ready: () => void): void {
  const instance = new WebAssembly.Instance(module, { env: { memory } });
  const exports = instance.exports as unknown as Exports;
  (instance.exports.__stack_pointer as WebAssembly.Global).value = stackTop;
  const names = kernelNames(module);
  const control = controlAt(memory, address);
  const { words } = control;
  setStarted(control, thread);
  ready();
  for (;;) {
    const ticket = Atomics.load(words, word.ticket);
    const chunk = ticket & chunkMask;
    if (chunk >= Atomics.load(words, word.chunks)) {
      waitForChange(words, ticket);
      continue;
    }
    if (Atomics.compareExchange(words, word.ticket, ticket, ticket + 1) !== ticket) continue;
    try {
      runChunk(control, exports, names, chunk, thread);
    } catch {
      Atomics.store(words, word.failed, 1 + (ticket >>> chunkBits));
    }
    Atomics.add(words, word.done, 1);
  }
}

function waitForChange(words: Int32Array, ticket: number): void {
  for (let i = 0; i < spins; i++) if (Atomics.load(words, word.ticket) !== ticket) return;
  Atomics.add(words, word.parked, 1);
  Atomics.wait(words, word.ticket, ticket);
  Atomics.sub(words, word.parked, 1);
}

// No top-level await: this file also runs as a classic script, and a message that arrives before the listener is added is lost.
const parentPort = nodeThreads()?.parentPort;
if (parentPort) {
  parentPort.once('message', (start) => work(start, () => parentPort.postMessage('ready')));
} else {
  addEventListener('message', ({ data }) => work(data as WorkerStart, () => postMessage('ready')), { once: true });
}
