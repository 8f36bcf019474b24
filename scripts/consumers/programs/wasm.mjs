// Run by every runtime: wasm has the same bits on one thread and on two. Prints one line of JSON.
import { wasm } from '@softgrad/backend-wasm';
import { softmax, tensor } from '@softgrad/core';

const logits = Float32Array.from({ length: 700 * 600 }, (_, k) => ((k * 7919) % 1009) / 50 - 10);
const results = [];
for (const threads of [1, 2]) {
  const backend = await wasm.open({ threads });
  const s = softmax(tensor(logits, { shape: [700, 600], backend }));
  results.push({ device: backend.supports.device, probabilities: await s.data() });
  await backend.close();
}
const [one, two] = results;
if (!/2 threads$/.test(two.device)) throw new Error(`two threads were asked for; the device is ${two.device}`);
const differs = one.probabilities.findIndex((p, k) => !Object.is(p, two.probabilities[k]));
if (differs >= 0) throw new Error(`one thread and two differ at element ${differs}`);
const sum = one.probabilities.subarray(0, 600).reduce((total, p) => total + p, 0);
if (Math.abs(sum - 1) > 1e-5) throw new Error(`a row adds up to ${sum}`);
console.log(JSON.stringify({ shown: two.device.replace('WebAssembly ', '') }));
