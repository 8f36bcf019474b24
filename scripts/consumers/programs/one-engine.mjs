// An application with one engine of TensorFlow.js, and with the benchmark but none of the other libraries that it compares.
import { tfjs } from '@softgrad/backend-tfjs';
import { peers } from '@softgrad/bench';
import { softmax, tensor } from 'softgrad';

async function compute() {
  const backend = await tfjs.open();
  const onEngine = [...(await softmax(tensor([[0, 0]], { backend })).data())].join();
  const engine = await tfjs.open({ engine: 'webgl' }).catch(({ message }) => message);
  return { onEngine, missing: { engine, competitor: await peers['gpu.js'].open() } };
}

globalThis.result = compute().catch((error) => ({ error: String(error?.stack ?? error) }));
