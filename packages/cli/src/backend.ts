import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import {
  type Backend,
  type BackendProvider,
  type FloatDType,
  isSoftgradError,
  loadProvider,
  SoftgradError,
} from '@softgrad/core';
import { backends, registerBackends } from 'softgrad/backends';
import type { Backends, Session } from './context.js';
import { startLateProgress } from './progress.js';

/** The URL of a module that registers softgrad's own backends in another process. */
export const ownBackendsModule = pathToFileURL(createRequire(import.meta.url).resolve('softgrad')).href;

/** The backends that come with softgrad. */
export const ownBackends: Backends = {
  names: () => Object.keys(backends),
  load(name) {
    registerBackends();
    return loadProvider(name);
  },
};

/** Tried in this order if no backend is named. */
const defaults = ['wasm', 'cpu'];

/**
 * Opens the backend with that name, or the default.
 *
 * @throws ERR_BACKEND_UNAVAILABLE with the reason
 */
export async function openBackend(name: string | undefined, session: Session): Promise<Backend> {
  const progress = startLateProgress(`opening ${name ?? 'a backend'}`, 1, session);
  try {
    const provider = name === undefined ? await loadDefault(session) : await loadAvailable(name, session);
    return await provider.open();
  } finally {
    progress.stop();
  }
}

/** The first default that can run here, with a notice for each earlier one that cannot. */
export async function loadDefault({ backends, notices }: Session): Promise<BackendProvider> {
  const reasons: string[] = [];
  for (const name of defaults) {
    try {
      const provider = await backends.load(name);
      const reason = await provider.unavailable();
      if (reason === null) {
        if (reasons.length > 0) notices.push(`computed on ${name}: ${reasons.join('; ')}`);
        return provider;
      }
      reasons.push(`${name} cannot run on this machine (${reason.split(/[;\n]/)[0]})`);
    } catch (error) {
      if (!isSoftgradError(error) || error.code !== 'ERR_BACKEND_UNAVAILABLE') throw error;
    }
  }
  throw new SoftgradError('ERR_BACKEND_UNAVAILABLE', reasons.join('; ') || `none of ${defaults.join(', ')} loads`);
}

async function loadAvailable(name: string, { backends }: Session): Promise<BackendProvider> {
  const provider = await backends.load(name);
  const reason = await provider.unavailable();
  if (reason !== null) throw new SoftgradError('ERR_BACKEND_UNAVAILABLE', `${name} cannot run here: ${reason}`);
  return provider;
}

/** @throws ERR_DTYPE unless the backend computes in `dtype`, which `source` asks for */
export function checkDType(backend: Backend, dtype: FloatDType, source: string): void {
  const { dtypes } = backend.supports;
  if (dtypes.includes(dtype)) return;
  throw new SoftgradError(
    'ERR_DTYPE',
    `${backend.name} does not compute in ${dtype}, which ${source} asks for; expected --dtype ${dtypes.join(' or --dtype ')}, or another --backend`,
  );
}
