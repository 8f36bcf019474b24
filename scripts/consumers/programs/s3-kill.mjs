// Preloaded by workers: ends the process by SIGKILL before a part is put, while it is being sent, and when it has been put, once each over all processes.
import { subscribe } from 'node:diagnostics_channel';
import { closeSync, openSync } from 'node:fs';

subscribe('softgrad:distributed', ({ point, subject }) => {
  if (point === 'store:temporary' && subject.includes('part-000002')) killOnce('before');
  if (point === 'store:linked' && subject.includes('part-000008')) killOnce('after');
});

subscribe('http.client.request.start', ({ request }) => {
  if (request.method === 'PUT' && request.path.includes('part-000005')) whileSending(request);
});

function whileSending(request) {
  if ((request.socket?.bytesWritten ?? 0) > 1_000_000) killOnce('during');
  if (!request.destroyed && !request.writableFinished) setImmediate(whileSending, request);
}

function killOnce(name) {
  try {
    closeSync(openSync(`killed-${name}`, 'wx'));
  } catch {
    return;
  }
  process.kill(process.pid, 'SIGKILL');
}
