import { registerBackends } from '@softgrad/bench/backends';
import {
  type Backend,
  type BackendProvider,
  type FloatDType,
  isSoftgradError,
  loadProvider,
  SoftgradError,
} from '@softgrad/core';

/** Tried in this order where no backend is named. */
const defaults = ['wasm', 'cpu'];

/**
 * Opens the backend of that name; without one the default.
 *
 * @throws ERR_BACKEND_UNAVAILABLE with the reason
 */
export async function openBackend(name: string | undefined): Promise<Backend> {
  const provider = name === undefined ? await loadDefault() : await loadAvailable(name);
  return provider.open();
}

/** The first default that can run here; `explainDefault` says so where this machine cannot run one before it. */
export async function loadDefault(): Promise<BackendProvider> {
  const reasons: string[] = [];
  for (const name of defaults) {
    try {
      const provider = await loadProviderOf(name);
      const reason = await provider.unavailable();
      if (reason === null) {
        if (reasons.length > 0) notice = `computed on ${name}: ${reasons.join('; ')}`;
        return provider;
      }
      reasons.push(`${name} cannot run on this machine (${reason.split(/[;\n]/)[0]})`);
    } catch (error) {
      if (!isSoftgradError(error) || error.code !== 'ERR_BACKEND_UNAVAILABLE') throw error;
    }
  }
  throw new SoftgradError('ERR_BACKEND_UNAVAILABLE', reasons.join('; ') || `none of ${defaults.join(', ')} loads`);
}

let notice: string | null = null;

/** Says on standard error, below a result, that it is not of the first default. */
export function explainDefault(): void {
  if (notice !== null) process.stderr.write(`softgrad: ${notice}\n`);
}

function loadProviderOf(name: string): Promise<BackendProvider> {
  registerBackends();
  return loadProvider(name);
}

async function loadAvailable(name: string): Promise<BackendProvider> {
  const provider = await loadProviderOf(name);
  const reason = await provider.unavailable();
  if (reason !== null) throw new SoftgradError('ERR_BACKEND_UNAVAILABLE', `${name} cannot run here: ${reason}`);
  return provider;
}

/** @throws ERR_DTYPE where the backend does not compute in `dtype`, which `source` asks for */
export function checkDType(backend: Backend, dtype: FloatDType, source: string): void {
  const { dtypes } = backend.supports;
  if (dtypes.includes(dtype)) return;
  throw new SoftgradError(
    'ERR_DTYPE',
    `${backend.name} does not compute in ${dtype}, which ${source} asks for; expected --dtype ${dtypes.join(' or --dtype ')}, or another --backend`,
  );
}
