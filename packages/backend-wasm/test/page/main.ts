// The program that is bundled: opens the backend and shows the result.
import { isSoftgradError, softmax, tensor } from '@softgrad/core';
import { type WasmOptions, wasm } from '../../dist/index.js';

async function result(options: WasmOptions): Promise<object> {
  try {
    const backend = await wasm.open(options);
    using large = tensor(new Float32Array(600_000).fill(1), { shape: [200_000, 3], backend });
    using s = softmax(large);
    const right = s.dataSync().every((value) => value === Math.fround(1 / 3));
    const { device } = backend.supports;
    await backend.close();
    return { device, right };
  } catch (error) {
    return { code: isSoftgradError(error) ? error.code : String(error), reason: await wasm.unavailable() };
  }
}

Object.assign(globalThis, { result });
