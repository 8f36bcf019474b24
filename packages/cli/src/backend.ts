import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { parseBackend } from '@softgrad/bench/backend-options';
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
  if (name !== undefined) checkNoModule('--backend', [name], 'no modules');
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

/**
 * A name of `--backend` that looks like a file is a backend of one's own.
 *
 * @param option as the command has it
 * @throws ERR_VALUE naming the commands that take it, as `--module`
 */
export function checkNoModule(option: string, texts: readonly string[], command: 'takes modules' | 'no modules'): void {
  const file = texts.find((text) => /[\\/]|\.[cm]?[jt]sx?$/.test(text.split(':', 1)[0] ?? ''));
  if (file === undefined) return;
  const takers = 'the name of a backend; `softgrad conformance`, `softgrad bench` and `softgrad report` take a file';
  const expected = command === 'takes modules' ? '' : `${takers}, as `;
  throw new SoftgradError('ERR_VALUE', `${option} ${file}: looks like a file; expected ${expected}--module ${file}`);
}

/**
 * The provider with a name as `--backend` has it: `wasm:threads=2` opens with that option.
 *
 * @throws ERR_VALUE for an option without a value, ERR_BACKEND_UNAVAILABLE for an unknown name
 */
export async function loadWithOptions(text: string, backends: Backends): Promise<BackendProvider> {
  const { name, options } = parseBackend(text);
  const provider = await backends.load(name);
  if (options === undefined) return provider;
  return { name: text, unavailable: () => provider.unavailable(), open: () => provider.open(options) };
}

/**
 * The name of the backend that computes shards, each of them on its own thread, where it is opened by that name.
 *
 * @throws ERR_VALUE for a name with options
 */
export async function nameForShards(text: string | undefined, threads: string, session: Session): Promise<string> {
  if (text === undefined) return (await loadDefault(session)).name;
  checkNoModule('--backend', [text], 'no modules');
  const { name, options } = parseBackend(text);
  if (options === undefined) return name;
  throw new SoftgradError(
    'ERR_VALUE',
    `--backend ${text}: shards are computed by a backend without options; expected --backend ${name}, and ${threads} N for N shards at once`,
  );
}

async function loadAvailable(name: string, { backends }: Session): Promise<BackendProvider> {
  const provider = await loadWithOptions(name, backends);
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
