// What the operating system alone takes for measure.mjs: threads read the logits shard by shard, hash the bytes, and write them to new files as
// a run does, without computing anything. Options as JSON on the command line, the time as JSON on standard output.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

/** As many bytes as a strip of a run has in float32. */
const stripBytes = 4e6;

if (isMainThread) await measure(JSON.parse(process.argv[2] ?? '{}'));
else parentPort?.once('message', () => parentPort?.postMessage(transfer(workerData)));

async function measure({ root, out, threads, shardBytes }) {
  const source = join(root, 'logits.npy');
  const folder = join(root, out);
  mkdirSync(folder);
  const workers = Array.from(
    { length: threads },
    (_, first) => new Worker(new URL(import.meta.url), { workerData: { source, folder, first, threads, shardBytes } }),
  );
  await Promise.all(workers.map((worker) => once(worker, 'online')));
  const begin = performance.now();
  await Promise.all(
    workers.map((worker) => {
      worker.postMessage('start');
      return once(worker, 'message');
    }),
  );
  console.log(JSON.stringify({ seconds: (performance.now() - begin) / 1000 }));
}

/** Copies every n-th shard. */
function transfer({ source, folder, first, threads, shardBytes }) {
  const strip = new Uint8Array(Math.min(stripBytes, shardBytes));
  const { size } = statSync(source);
  for (let shard = first; shard * shardBytes < size; shard += threads) {
    const end = Math.min(size, (shard + 1) * shardBytes);
    const temporary = join(folder, `.part-${shard}`);
    const from = openSync(source, 'r');
    const to = openSync(temporary, 'wx');
    const hash = createHash('sha256');
    for (let at = shard * shardBytes; at < end; ) {
      const length = readSync(from, strip, 0, Math.min(strip.length, end - at), at);
      const bytes = strip.subarray(0, length);
      hash.update(bytes);
      for (let written = 0; written < length; ) written += writeSync(to, bytes, written);
      at += length;
    }
    hash.digest();
    closeSync(from);
    fsyncSync(to);
    closeSync(to);
    linkSync(temporary, join(folder, `part-${shard}`));
    syncFolder(folder);
    unlinkSync(temporary);
  }
  return 'done';
}

function syncFolder(folder) {
  const handle = openSync(folder, 'r');
  fsyncSync(handle);
  closeSync(handle);
}
