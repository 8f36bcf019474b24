import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Backend, type BackendProvider, isSoftgradError, register, SoftgradError } from '@softgrad/core';
import { adviceOnName } from '@softgrad/formats';
import { backends } from 'softgrad/backends';
import type { Context } from './context.js';
import { codeOf, systemReason } from './files/open.js';
import { packageEntry } from './package-entry.js';
import { framesOf } from './stack.js';

/** What waiting for a module's promises uses of the process. */
type Waiting = Pick<Context, 'onIdle'>;

/**
 * The backend in a JavaScript file, or in an installed package of that name (`--module`): its default export, a provider or an open backend; or its
 * only export that is a provider.
 *
 * @param folder where packages are looked for, an argument for tests
 * @throws ERR_VALUE if there is neither, if it does not load or exports no backend; ERR_BACKEND_UNAVAILABLE
 */
export async function loadModule(
  file: string,
  waiting: Waiting,
  folder = process.cwd(),
): Promise<BackendProvider | Backend> {
  const path = pathOf(file, folder);
  let module: Readonly<Record<string, unknown>>;
  try {
    module = await settled(import(pathToFileURL(path).href), waiting);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SoftgradError('ERR_VALUE', `--module ${file}: did not load: ${reason}${hintOf(file, cause)}`, { cause });
  }
  const target = 'default' in module ? module.default : onlyProvider(module);
  if (isProvider(target)) {
    const reason = await blaming(
      file,
      waiting,
      Promise.resolve().then(() => target.unavailable()),
    );
    if (reason === null) return target;
    // A function in JavaScript that forgets to return null returns undefined.
    if (typeof reason !== 'string')
      throw new SoftgradError(
        'ERR_VALUE',
        `--module ${file}: unavailable() of ${target.name} returned ${reason}; expected null, or a sentence that says what is missing`,
      );
    throw new SoftgradError('ERR_BACKEND_UNAVAILABLE', `--module ${file}: ${target.name} cannot run here: ${reason}`);
  }
  if (isBackend(target)) return target;
  throw new SoftgradError(
    'ERR_VALUE',
    `--module ${file}: expected a provider ({ name, unavailable, open }) or a backend ({ name, supports, … }) as default export, or exactly one export that is a provider`,
  );
}

/** Opens the backend of `--module`. @throws what `loadModule` throws, ERR_VALUE if it does not open */
export async function openModule(file: string, waiting: Waiting): Promise<Backend> {
  const target = await loadModule(file, waiting);
  if (!('open' in target)) return whole(file, target);
  const opening = Promise.resolve().then(async () => {
    const opened: unknown = await target.open();
    if (isBackend(opened)) return opened;
    throw new Error(`open returned ${opened}; expected a backend`);
  });
  return whole(file, await blaming(file, waiting, opening));
}

/** What every command calls of a backend, before any operation of its own and in its end. */
const methods = ['alloc', 'write', 'read', 'free', 'sync', 'close', 'softmax', 'jacobian', 'vjp'] as const;

/** The backend itself. @throws ERR_VALUE if it lacks what computing on it needs; all that it lacks, conformance lists */
function whole(file: string, backend: Backend): Backend {
  const { supports }: { readonly supports?: Partial<Backend['supports']> | null } = backend;
  const lacking = [
    ...methods.filter((name) => typeof backend[name] !== 'function').map((name) => `${name} (a function)`),
    ...(Array.isArray(supports?.dtypes) ? [] : ['supports.dtypes (an array)']),
    ...(typeof supports?.limits === 'object' ? [] : ['supports.limits (an object)']),
  ];
  if (lacking.length === 0) return backend;
  throw new SoftgradError(
    'ERR_VALUE',
    `--module ${file}: ${backend.name} lacks ${lacking.join(', ')}; softgrad conformance --module checks all of it`,
  );
}

/** A file, or else the entry of the package of that name that is installed where the command runs. @throws ERR_VALUE if there is neither */
function pathOf(file: string, folder: string): string {
  let cause: unknown;
  try {
    if (statSync(file).isFile()) return resolve(file);
  } catch (error) {
    cause = error;
  }
  let entry: string | null;
  try {
    entry = packageEntry(file, folder);
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/\n.*/s, '') : String(error);
    throw new SoftgradError('ERR_VALUE', `--module ${file}: the package has no such entry: ${reason}`, {
      cause: error,
    });
  }
  if (entry !== null) {
    if (isFile(entry)) return entry;
    throw new SoftgradError(
      'ERR_VALUE',
      `--module ${file}: the package is installed, but its entry ${entry} is missing; build the package, or install it again`,
    );
  }
  // Importing a named pipe would wait for a writer, and no signal but SIGKILL ends a process that waits for this.
  if (cause === undefined)
    throw new SoftgradError('ERR_VALUE', `--module ${file}: not a regular file; expected a JavaScript file`);
  const isName = /^(?:@[\w.-]+\/)?[\w-]+$/.test(file);
  const advice = isName
    ? `, and no package of that name is installed here; expected npm install ${file}, or a file, as ./mine.js`
    : '';
  throw new SoftgradError('ERR_VALUE', `--module ${file}: ${systemReason(cause)}${adviceOnName(file)}${advice}`, {
    cause,
  });
}

/**
 * Registers the backend of a JavaScript file with core, so that it can be opened by name, and returns that name: the backend's own,
 * unless a backend of softgrad has the same.
 *
 * @throws what `loadModule` throws
 */
export async function registerModule(file: string, waiting: Waiting): Promise<string> {
  const target = await loadModule(file, waiting);
  const own = target.name.replaceAll(':', '-');
  const name = own in backends ? `${own} (module)` : own;
  const provider: BackendProvider = {
    name,
    unavailable: async () => ('open' in target ? target.unavailable() : null),
    open: async (options?: Readonly<Record<string, unknown>>) =>
      whole(file, 'open' in target ? await target.open(options) : target),
  };
  register(name, async () => ({ default: provider }));
  return name;
}

/** The URL of a module that registers softgrad's own backends and that of the file in another process. */
export function registeringModule(file: string): string {
  const url = new URL('./register-module.js', import.meta.url);
  // A process in the same folder finds the same package, also beside a folder of its name.
  url.searchParams.set('file', isFile(file) ? resolve(file) : file);
  return url.href;
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

/** What to do if Node cannot load TypeScript, or not all of its syntax, or takes an ES module for CommonJS. */
export function hintOf(file: string, cause: unknown): string {
  const ofModule = /Cannot use import statement outside a module|Unexpected token 'export'|Cannot use 'import\.meta'/;
  const [, ending] = /\.([jt]s)$/.exec(file) ?? [];
  if (ending !== undefined && cause instanceof SyntaxError && ofModule.test(cause.message))
    return `; it is an ES module in a package of type commonjs: rename it to .m${ending}, or write "type": "module" into package.json`;
  const typescript = /\.[mc]?tsx?$/;
  // A compiled file whose imports are not compiled.
  if (
    !typescript.test(file) &&
    cause instanceof TypeError &&
    /^Unknown file extension "\.[mc]?tsx?"/.test(cause.message)
  )
    return '; compile it together with the files that it imports (esbuild --bundle --packages=external)';
  if (!typescript.test(file)) return '';
  const ofLoading = ['ERR_UNKNOWN_FILE_EXTENSION', 'ERR_MODULE_NOT_FOUND', 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX'];
  if (!ofLoading.includes(codeOf(cause)) && !(cause instanceof SyntaxError)) return '';
  const compile =
    '; compile it to JavaScript first (esbuild --bundle --packages=external --format=esm) and pass the result';
  // No version of node loads .tsx.
  const loadable = codeOf(cause) === 'ERR_UNKNOWN_FILE_EXTENSION' && !file.endsWith('x');
  return loadable ? `${compile}, or use Node 22.18 or newer, which loads TypeScript` : compile;
}

/** The time limit of a case in milliseconds, unless another is given. */
export const caseLimitMs = 120_000;

/**
 * What `work` resolves to, which says what it begins before it calls somebody's code: a step that keeps the thread for longer than the limit ends the process,
 * where it could not be interrupted otherwise.
 */
export async function watched<T>(
  limitMs: number,
  { watchdog }: Pick<Context, 'watchdog'>,
  work: (begin: (step: string) => void) => Promise<T>,
): Promise<T> {
  const started = (await watchdog?.(limitMs)) ?? null;
  try {
    return await work((step) => started?.begin(step));
  } finally {
    started?.stop();
  }
}

/** The only provider of a module without a default export. */
function onlyProvider(module: Readonly<Record<string, unknown>>): unknown {
  const providers = Object.values(module).filter(isProvider);
  return providers.length === 1 ? providers[0] : undefined;
}

function isProvider(value: unknown): value is BackendProvider {
  return isNamed(value) && 'open' in value && 'unavailable' in value;
}

function isBackend(value: unknown): value is Backend {
  return isNamed(value) && 'supports' in value && 'alloc' in value;
}

function isNamed(value: unknown): value is { readonly name: string } {
  return typeof value === 'object' && value !== null && 'name' in value && typeof value.name === 'string';
}

/** The value of the promise. If it rejects in a user's module, that is not reported as a defect of softgrad. */
export async function blaming<T>(module: string | undefined, waiting: Waiting, promise: Promise<T>): Promise<T> {
  try {
    return await settled(promise, waiting);
  } catch (cause) {
    if (module === undefined || isSoftgradError(cause)) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SoftgradError('ERR_VALUE', `--module ${module}: provides no backend: ${reason}`, { cause });
  }
}

/**
 * What `work` resolves to, which calls the backend of a user's module, if there is one. What is thrown in the module is not reported as a defect of softgrad.
 */
export async function computing<T>(module: string | undefined, waiting: Waiting, work: () => Promise<T>): Promise<T> {
  if (module === undefined) return work();
  try {
    return await settled(work(), waiting);
  } catch (cause) {
    if (isSoftgradError(cause)) throw cause;
    const frames = framesOf(cause);
    if (frames.length === 0 && !(cause instanceof NeverSettled)) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SoftgradError('ERR_VALUE', `--module ${module}: ${[reason, ...frames.slice(0, 1)].join(' ')}`, { cause });
  }
}

class NeverSettled extends Error {}

/**
 * The value of the promise. It rejects if nothing is left in the process that could ever settle the promise: otherwise node would silently
 * end in the middle of the suite.
 */
export async function settled<T>(promise: Promise<T>, { onIdle }: Waiting): Promise<T> {
  let giveUp = () => {};
  const never = new Promise<never>((_resolve, reject) => {
    // setImmediate keeps the event loop running for the code that follows.
    giveUp = () => setImmediate(() => reject(new NeverSettled('waits for a promise that can never settle')));
  });
  const cancel = onIdle(giveUp);
  try {
    return await Promise.race([promise, never]);
  } finally {
    cancel();
  }
}
