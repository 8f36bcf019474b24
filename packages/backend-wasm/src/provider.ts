import { type Backend, type BackendProvider, SoftgradError } from '@softgrad/core';
import { openBackend } from './backend.js';
import type { WasmBuffer } from './buffer.js';
import { checkedOptions } from './checks.js';
import { type Build, hasFusedMultiplyAdd, missing, missingEngine } from './module.js';
import type { WasmOptions } from './options.js';

/** The builds of an entry, at least one. */
export interface Builds {
  readonly simd?: () => Promise<Build>;
  readonly relaxed?: () => Promise<Build>;
  /** The same builds with the kernels of float32 alone. */
  readonly float32?: Omit<Builds, 'float32'>;
}

const noRelaxedSimd = 'this engine has no relaxed SIMD with a fused multiply-add';

/** The backend with the builds that an entry of the package has. */
export function createProvider(builds: Builds): BackendProvider<WasmBuffer, WasmOptions> {
  return {
    name: 'wasm',
    unavailable: async () => missing() ?? (builds.simd || hasFusedMultiplyAdd() ? null : noRelaxedSimd),
    open: (options = {}) => open(builds, options),
  };
}

async function open(builds: Builds, options: WasmOptions): Promise<Backend<WasmBuffer>> {
  const { threads = 1, required = false, relaxedSimd, float64 = true, worker, module } = checkedOptions(options);
  const { simd, relaxed } = builds;
  const settings = { threads, required, worker };
  const reason = module === undefined ? missing() : missingEngine();
  if (reason !== null) throw new SoftgradError('ERR_BACKEND_UNAVAILABLE', `wasm: ${reason}`);
  if (module !== undefined) return openBackend({ ...settings, relaxedSimd: relaxedSimd ?? false, kernels: { module } });
  const wanted = relaxedSimd ?? (simd === undefined || (relaxed !== undefined && hasFusedMultiplyAdd()));
  const kernels = (float64 ? builds : builds.float32)?.[wanted ? 'relaxed' : 'simd'];
  if (kernels === undefined) {
    throw new SoftgradError(
      'ERR_VALUE',
      `wasm: this entry has no build for relaxedSimd ${wanted} and float64 ${float64}; import @softgrad/backend-wasm, which has all`,
    );
  }
  if (wanted && !hasFusedMultiplyAdd()) {
    const way = 'import @softgrad/backend-wasm and leave the option out';
    throw new SoftgradError('ERR_BACKEND_UNAVAILABLE', `wasm: ${noRelaxedSimd}; ${way}`);
  }
  return openBackend({ ...settings, relaxedSimd: wanted, kernels });
}
