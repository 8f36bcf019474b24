import {
  type BackendProvider,
  checkOptions,
  describeOption,
  isSoftgradError,
  namesOf,
  SoftgradError,
  type Supports,
} from '@softgrad/core';
import { backendOf, type TfjsBackend } from './backend.js';
import { connect } from './connection.js';
import { deviceOf, instanceIsLost } from './device.js';
import { engineOf } from './engine.js';
import { type Core, type EngineName, loadCore, loadEngine, type WasmModule } from './peers.js';
import type { TfBuffer } from './storage.js';
import { measure } from './supports.js';
import { assertWasmAllowed, avoidBlockedThreads, locateWasm } from './wasm-files.js';

export type { TfjsBackend } from './backend.js';
export type { EngineName } from './peers.js';
export type { TfBuffer } from './storage.js';

export interface TfjsOptions {
  /** The engine of tfjs; each is a package to install. Default: the one that `tf.setBackend` chose, else the first of webgpu, webgl, wasm and cpu that can run. */
  readonly engine?: EngineName | undefined;
  /** Location of the .wasm files of engine wasm: a folder's URL, or a URL for each file. Default: as resolved by Node or the bundler. */
  readonly wasmPaths?: string | Readonly<Record<string, string>> | undefined;
}

export interface TfjsProvider extends BackendProvider<TfBuffer, TfjsOptions> {
  open(options?: TfjsOptions): Promise<TfjsBackend>;
}

/**
 * softgrad on TensorFlow.js: the engines webgpu, webgl, wasm and cpu, any number of them side by side, regardless of `tf.setBackend`.
 *
 * @throws ERR_BACKEND_UNAVAILABLE from `open` if a package is not installed (with the command that installs it) or an engine
 *   cannot run here (with what it needs); ERR_VALUE for an engine that tfjs does not have
 * @example
 * const backend = await tfjs.open({ engine: 'webgl' });
 * const s = softmax(tensor([[1, 2, 3]], { backend }));
 * await s.array(); // [[0.0900, 0.2447, 0.6652]]
 */
export const tfjs: TfjsProvider = {
  name: 'tfjs',
  async unavailable() {
    try {
      const backend = await open({});
      await backend.close();
      return null;
    } catch (error) {
      if (isSoftgradError(error) && error.code === 'ERR_BACKEND_UNAVAILABLE') return withoutName(error.message);
      throw error;
    }
  },
  open: (options = {}) => open(options),
};

export default tfjs;

const optionNames = namesOf<TfjsOptions>({ engine: true, wasmPaths: true });

async function open(options: TfjsOptions): Promise<TfjsBackend> {
  const { engine, wasmPaths } = checkOptions('tfjs.open', options, optionNames);
  const refused = (name: keyof TfjsOptions, expected: string) =>
    new SoftgradError('ERR_VALUE', `tfjs: ${describeOption(name, options[name])}; expected ${expected}`);
  if (engine !== undefined && !inOrderOfSpeed.includes(engine)) throw refused('engine', inOrderOfSpeed.join(', '));
  if (!isLocation(wasmPaths)) throw refused('wasmPaths', 'a URL, or an object with the URL of each file');
  if (engine !== undefined) return openEngine(engine, options);
  const core = await loadCore();
  if (core === null) throw noCore();
  const reasons: string[] = [];
  let unexpected: { readonly cause: unknown } | undefined;
  for (const name of preferred(core)) {
    try {
      return await openEngine(name, options);
    } catch (error) {
      // An unexpected error, such as a shader that the driver does not compile, must not hide that another engine can run.
      if (isSoftgradError(error)) reasons.push(withoutName(error.message));
      else {
        reasons.push(`engine ${name} could not be opened: ${error}`);
        unexpected ??= { cause: error };
      }
    }
  }
  throw new SoftgradError('ERR_BACKEND_UNAVAILABLE', `tfjs: ${reasons.join('; ')}`, unexpected);
}

/** A reason to which core, or the error of several engines, adds the name. */
function withoutName(message: string): string {
  return message.replace(/^tfjs: /, '');
}

function noCore(): SoftgradError {
  const engines = inOrderOfSpeed.map((name) => `@tensorflow/tfjs-backend-${name}@4`).join(', ');
  return new SoftgradError(
    'ERR_BACKEND_UNAVAILABLE',
    `tfjs: TensorFlow.js failed to load: npm install @tensorflow/tfjs-core@4 and at least one of ${engines}`,
  );
}

function isLocation(paths: unknown): boolean {
  if (paths === undefined || typeof paths === 'string') return true;
  const isObject = typeof paths === 'object' && paths !== null && !Array.isArray(paths);
  return isObject && Object.values(paths).every((path) => typeof path === 'string');
}

const inOrderOfSpeed: readonly EngineName[] = ['webgpu', 'webgl', 'wasm', 'cpu'];

/** The engine that the user's code has set comes first, because tensors can be exchanged with it. */
function preferred(core: Core): readonly EngineName[] {
  const set = inOrderOfSpeed.filter((name) => name === core.engine().backendName);
  return [...new Set([...set, ...inOrderOfSpeed])];
}

/** What instances of engines support, so that only the first backend on each has to measure it. */
const measured = new WeakMap<object, Supports>();

async function openEngine(name: EngineName, { wasmPaths }: TfjsOptions): Promise<TfjsBackend> {
  const { core, module } = await loadEngine(name);
  // Without a factory the package is an empty module, by which a bundler replaces it; `connect` then reports it.
  if (name === 'wasm' && !core.engine().registry.wasm && core.findBackendFactory(name)) {
    assertWasmAllowed();
    await avoidBlockedThreads(core);
    const paths = wasmPaths ?? (await locateWasm(core));
    if (paths) (module as WasmModule).setWasmPaths(typeof paths === 'string' ? paths : { ...paths });
  }
  const instance = await connect(core, name, (present) => instanceIsLost(name, present));
  const engine = engineOf(core, name, instance, deviceOf(core, name, instance, module));
  const supports = measured.get(instance) ?? (await measure(engine));
  measured.set(instance, supports);
  return backendOf(engine, supports);
}
