// What an application of a consumer computes: on cpu, on wasm by its name, and on wasm with two threads.
import { wasm } from '@softgrad/backend-wasm';
import { openShared, softmax, tensor } from 'softgrad';

/** The results as text, so that they can be sent from a worker or a server; an error is one of them. */
export function compute() {
  return results().catch((error) => ({ error: String(error?.stack ?? error) }));
}

async function results() {
  const onCpu = String(softmax([[0, 0]]));
  const named = await openShared('wasm');
  const onWasm = String(softmax(tensor([[0, 0]], { backend: named })));
  const threaded = await wasm.open({ threads: 2 });
  const large = tensor(new Float32Array(600_000).fill(1), { shape: [200_000, 3], backend: threaded });
  const right = (await softmax(large).data()).every((p) => p === Math.fround(1 / 3));
  const { device } = threaded.supports;
  await threaded.close();
  return { onCpu, onWasm, right, device };
}
