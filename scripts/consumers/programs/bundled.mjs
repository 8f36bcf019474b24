// The application that is bundled for a page and for Node: uses cpu, wasm by its name, and wasm on two threads.
import { wasm } from '@softgrad/backend-wasm';
import { openShared, softmax, tensor } from 'softgrad';

async function compute() {
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

const result = compute().catch((error) => ({ error: String(error?.stack ?? error) }));
globalThis.result = result;
if (typeof document === 'undefined') result.then((found) => console.log(JSON.stringify(found)));
