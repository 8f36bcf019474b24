import { createCandidate } from '../src/backend.js';
import { openHost } from '../src/engines/host.js';
import { loadGpu } from '../src/gpu.js';
import { gpuHelpers } from '../src/program.js';

/** GPU modes' arithmetic in WebAssembly, where operations are rounded as IEEE 754 says and subnormals are preserved. */
export async function openAsOnGpu() {
  const library = await loadGpu();
  const engine = await openHost(library, 'webasm');
  const candidate = await createCandidate(library, { ...engine, helpers: gpuHelpers }, 64);
  return candidate.backend();
}
