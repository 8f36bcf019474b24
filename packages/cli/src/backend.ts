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
  shortened,
} from '@softgrad/core';
import { backends, registerBackends } from 'softgrad/backends';
import type { Backends, Session } from './context.js';
import { computing, openModule, registeringModule, registerModule } from './module.js';
import type { BackendChoice } from './options.js';
import { startLateProgress } from './progress.js';

const ownBackendsModule = pathToFileURL(createRequire(import.meta.url).resolve('softgrad')).href;

/** The URL of a module that registers softgrad's own backends, and that of `--module`, in another process or on another thread. */
export function backendsModule(module: string | undefined): string {
  return module === undefined ? ownBackendsModule : registeringModule(module);
}

/** The backends that come with softgrad. */
export const ownBackends: Backends = {
  names: () => Object.keys(backends),
  load(name) {
    registerBackends();
    return loadProvider(name);
  },
};

/** The names of a list in which `all` stands for every backend, as it opens without options. */
export function withAll(names: readonly string[], backends: Backends): readonly string[] {
  return [...new Set(names.flatMap((name) => (name === 'all' ? backends.names() : [name])))];
}

/** @throws ERR_VALUE if there is nothing to compare: `--backends none` without another library or a module */
export function checkSomeContender(backends: readonly string[], peers: readonly string[]): void {
  if (backends.length + peers.length > 0) return;
  throw new SoftgradError('ERR_VALUE', '--backends none: nothing is left to measure; expected --peers or --module');
}

/** Tried in this order if no backend is named. */
const defaults = ['wasm', 'cpu'];

/**
 * Opens the backend with that name or of that module, or the default.
 *
 * @throws ERR_BACKEND_UNAVAILABLE with the reason, ERR_VALUE for both and for what `loadModule` refuses
 */
async function openBackend({ backend, module }: BackendChoice, session: Session): Promise<Backend> {
  checkOneBackend({ backend, module });
  if (backend !== undefined) checkNoModule('--backend', [backend], 'takes modules');
  const progress = startLateProgress(`opening ${module ?? backend ?? 'a backend'}`, 1, session);
  try {
    if (module !== undefined) return await openModule(module, session);
    const provider = backend === undefined ? await loadDefault(session) : await loadAvailable(backend, session);
    return await provider.open();
  } finally {
    progress.stop();
  }
}

/** Opens the backend, and closes it after `use`. */
export async function withBackend(
  choice: BackendChoice,
  session: Session,
  use: (backend: Backend) => Promise<void>,
): Promise<void> {
  const backend = await openBackend(choice, session);
  await computing(choice.module, session, async () => {
    try {
      await use(backend);
    } finally {
      await backend.close();
    }
  });
}

/** @throws ERR_VALUE for a name and a module */
export function checkOneBackend({ backend, module }: { readonly backend?: unknown; readonly module?: unknown }): void {
  if (backend === undefined || module === undefined) return;
  throw new SoftgradError('ERR_VALUE', '--backend and --module cannot both be given: expected one of them');
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
 * @throws ERR_VALUE naming `--module`, or commands that take it
 */
export function checkNoModule(option: string, texts: readonly string[], command: 'takes modules' | 'no modules'): void {
  const file = texts.find((text) => /[\\/]|\.[cm]?[jt]sx?$/.test(text.split(':', 1)[0] ?? ''));
  if (file === undefined) return;
  const takers = 'the name of a backend; commands that compute, like `softgrad softmax`, take a file';
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
 * @throws ERR_VALUE for a name with options, for a name and a module, and for what `loadModule` refuses
 */
export async function nameForShards(
  { backend: text, module }: BackendChoice,
  threads: string,
  session: Session,
): Promise<string> {
  checkOneBackend({ backend: text, module });
  if (module !== undefined) return registerModule(module, session);
  if (text === undefined) return (await loadDefault(session)).name;
  checkNoModule('--backend', [text], 'takes modules');
  const { name, options } = parseBackend(text);
  if (options === undefined) return name;
  throw new SoftgradError(
    'ERR_VALUE',
    `--backend ${text}: shards are computed by a backend without options; expected --backend ${name}, and ${threads} N for N shards at once`,
  );
}

/** @throws ERR_BACKEND_UNAVAILABLE if threads of this machine would not find the backend of a plan: without `--module` they have those of softgrad */
export function checkFoundOnThreads(name: string, module: string | undefined, { backends }: Session): void {
  const names = backends.names();
  if (module !== undefined || names.includes(name)) return;
  throw new SoftgradError(
    'ERR_BACKEND_UNAVAILABLE',
    `no backend is named '${shortened(name)}'; expected ${names.join(', ')}${moduleAdvice(name, backends)}`,
  );
}

/** What to add to the error about a name that no backend has. */
export function moduleAdvice(name: string, backends: Backends): string {
  const known = backends.names().includes(name.replace(/:.*/, ''));
  return known ? '' : '; --module takes a package or a file of your own';
}

async function loadAvailable(name: string, { backends }: Session): Promise<BackendProvider> {
  const provider = await loadWithOptions(name, backends).catch((error: unknown) => {
    const advice =
      isSoftgradError(error) && error.code === 'ERR_BACKEND_UNAVAILABLE' ? moduleAdvice(name, backends) : '';
    throw advice === '' ? error : new SoftgradError('ERR_BACKEND_UNAVAILABLE', `${(error as Error).message}${advice}`);
  });
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
