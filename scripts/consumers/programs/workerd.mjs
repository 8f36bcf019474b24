// Cloudflare's workerd: no code generation, no threads, and before 2025-05 no WeakRef. `workerd test` calls `test`.
import { wasm } from '@softgrad/backend-wasm';
import kernels from '@softgrad/backend-wasm/simd.wasm';
import { softmax, tensor } from 'softgrad';

export default {
  async test() {
    const onCpu = String(softmax([[0, 0]]));
    const backend = await wasm.open({ module: kernels, threads: 2 });
    const onWasm = String(softmax(tensor([[0, 0]], { backend })));
    const { device } = backend.supports;
    console.log(JSON.stringify({ onCpu, onWasm, right: true, device }));
  },
};
