import { shared, twoCopies } from '../copies.js';
import { isSoftgradError, SoftgradError } from '../errors.js';
import { checkOptions } from '../options.js';
import { shortened } from '../shortened.js';
import { hintOf } from '../similar-names.js';
import { describe, describeOption } from '../tensor/describe.js';
import type { Backend, BackendProvider } from './interface.js';
import { followOpening, isOpening, noteUse } from './mismatch.js';
import { printInOneLine } from './printed.js';

/** Loads a module whose default export is a backend's provider. */
export type ProviderLoader = () => Promise<{ readonly default: BackendProvider }>;

/** What `setBackend` takes: a registered name, a provider, or a backend that is already open. */
export type BackendCandidate = string | BackendProvider | Backend;

/** Options of `setBackend` and `openShared`, after the candidates. */
export interface SelectionOptions {
  /**
   * Called with the reason of each candidate that cannot run, and awaited, before the next one is opened: what it throws or rejects with is thrown by
   * the call. `error` is what the candidate's provider threw, unless that is ERR_BACKEND_UNAVAILABLE. `console.warn` is a suitable function.
   */
  readonly onSkip: ((reason: string, error?: unknown) => unknown) | undefined;
}

/** What `setBackend` and `openShared` take: candidates, and options after them. */
export type Selection<Candidate = BackendCandidate> =
  | readonly Candidate[]
  | readonly [...candidates: Candidate[], options: SelectionOptions];

/** The provider of a backend that is ready without waiting. */
export interface SyncProvider extends BackendProvider {
  /** What `open` resolves to. */
  openSync(): Backend;
}

/** A candidate that cannot run here. */
interface Skipped {
  readonly reason: string;
  /** What its provider threw, unless that is ERR_BACKEND_UNAVAILABLE: one error or none. */
  readonly errors: readonly unknown[];
}

const loaders = new Map<string, ProviderLoader>();
const opened = new Set<WeakRef<Backend>>();
const noted = new WeakSet<Backend>();
/** What `setBackend` and `openShared` opened, or are opening: choosing a provider again gives the same backend. */
const chosen = new WeakMap<BackendProvider, Promise<Backend | string>>();
let current: Backend | null = null;
/** What is used until `setBackend` chooses, and its backend once it is open. */
let fallback: { readonly provider: SyncProvider; backend: Backend | null } | null = null;
/** Calls of setBackend so far, and the one that chose `current`. */
let calls = 0;
let chosenBy = 0;

/**
 * Makes a backend known by name, to be loaded when it is asked for. No package registers itself: an application that offers
 * names lists them.
 *
 * @example
 * register('webgpu', () => import('@softgrad/backend-webgpu'));
 * await setBackend('webgpu', cpu);
 */
export function register(name: string, load: ProviderLoader): void {
  loaders.set(name, load);
  shared.hasNames = true;
}

/**
 * The registered names, in the order of registration.
 *
 * @example
 * registered(); // ['cpu', 'wasm', 'webgpu', 'gpujs', 'tfjs'], with the package softgrad
 */
export function registered(): readonly string[] {
  return [...loaders.keys()];
}

/**
 * Loads a registered provider, without opening it: for its `unavailable()`, or a second backend with options of its own.
 *
 * @throws ERR_BACKEND_UNAVAILABLE for an unknown name or a package that does not load
 * @example
 * const provider = await loadProvider('wasm');
 * await provider.unavailable(); // null, where it can run
 */
export async function loadProvider(name: string): Promise<BackendProvider> {
  const load = loaders.get(name);
  if (!load) throw new SoftgradError('ERR_BACKEND_UNAVAILABLE', unknownName(name));
  try {
    return (await load()).default;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SoftgradError('ERR_BACKEND_UNAVAILABLE', `backend '${name}' did not load: ${reason}`, { cause });
  }
}

function unknownName(name: string): string {
  const shown = shortened(name);
  const known = loaders.has(name.replace(/:.*/, ''))
    ? optionsAdvice('setBackend')
    : loaders.size > 0
      ? `known are ${registered().join(', ')}`
      : shared.hasNames
        ? `none is registered in this copy of core, but in another one; ${twoCopies}`
        : `none is registered; register('${shown}', () => import('@softgrad/backend-${shown}')) first, or pass the provider itself`;
  return `no backend is named '${shown}'${hintOf(name, registered())}: ${known}`;
}

/**
 * Chooses the backend of new tensors: the first candidate that can run here. Existing tensors stay on their backend. A provider is
 * opened once: choosing it again returns the same backend, unless that was closed or lost its device. For a second backend of the provider, open
 * it yourself. If calls overlap, the one made last determines the choice, however long each takes.
 *
 * @throws ERR_BACKEND_UNAVAILABLE if none can run, with every candidate's reason, and for a name that is not registered, also if another
 *   candidate can run; the previous choice is kept then. ERR_VALUE for a candidate that is neither name, provider nor backend.
 *   What the provider throws, if it is the only candidate
 *
 * @example
 * const backend = await setBackend(wasm, cpu);
 * backend.name; // 'wasm'
 * await setBackend(wasm, cpu, { onSkip: console.warn }); // says why, if it is not wasm
 */
export async function setBackend(...candidates: Selection): Promise<Backend> {
  const call = ++calls;
  const opening = openFirst('setBackend', candidates);
  followOpening(opening);
  const backend = await opening;
  if (call > chosenBy) {
    current = backend;
    shared.hasBackend = true;
    chosenBy = call;
  }
  return backend;
}

/**
 * The first candidate that can run here, open, without making it the one for new tensors. It is the backend that `setBackend` gives for
 * the same provider, and all callers share it, at the same time or later, until it is closed or its device is lost.
 *
 * @throws ERR_BACKEND_UNAVAILABLE if none can run, with every candidate's reason, and for a name that is not registered; ERR_VALUE for an invalid
 *   candidate. What the provider throws, if it is the only candidate
 *
 * @example
 * const gpu = await openShared('webgpu', 'wasm');
 * const x = tensor([1, 2], { backend: gpu });
 */
export function openShared(...candidates: Selection): Promise<Backend> {
  return openFirst('openShared', candidates);
}

async function openFirst(caller: string, selection: Selection): Promise<Backend> {
  const { candidates, onSkip } = parseSelection(caller, selection);
  // All before the first is opened: one that is invalid, such as options or a misspelled name, would otherwise be ignored beside one that can run.
  for (const candidate of candidates) checkCandidate(caller, candidate);
  const reasons: string[] = [];
  const unexpected: unknown[] = [];
  for (const candidate of candidates) {
    const result = await openCandidate(candidate);
    if (isBackend(result)) {
      noteBackend(result);
      return result;
    }
    const { reason, errors } = result;
    reasons.push(reason);
    unexpected.push(...errors);
    await onSkip?.(reason, ...errors);
  }
  if (candidates.length === 1 && unexpected.length > 0) throw unexpected[0];
  const why = reasons.join('; ') || 'no candidate was given';
  const [options] = unexpected.map((cause) => ({ cause }));
  throw new SoftgradError('ERR_BACKEND_UNAVAILABLE', `${caller}: no backend can run here: ${why}`, options);
}

function parseSelection(caller: string, selection: Selection) {
  const last: unknown = selection.at(-1);
  const hasOptions = typeof last === 'object' && last !== null && 'onSkip' in last;
  const { onSkip } = hasOptions ? checkOptions(caller, last as SelectionOptions, ['onSkip']) : {};
  if (onSkip !== undefined && typeof onSkip !== 'function') {
    throw new SoftgradError('ERR_VALUE', `${caller}: ${describeOption('onSkip', onSkip)}; expected a function`);
  }
  return { candidates: selection.slice(0, hasOptions ? -1 : undefined) as readonly BackendCandidate[], onSkip };
}

/** An open backend, or the reason why there is none. */
async function openCandidate(candidate: BackendCandidate): Promise<Backend | Skipped> {
  if (isBackend(candidate)) {
    if (isUsable(candidate)) return candidate;
    const why = candidate.closed ? 'it was closed' : 'its device was lost';
    return { reason: `${candidate.name}: ${why}; open it again`, errors: [] };
  }
  try {
    const provider = typeof candidate === 'string' ? await loadProvider(candidate) : candidate;
    const result = await openOnce(provider);
    return typeof result === 'string' ? { reason: result, errors: [] } : result;
  } catch (error) {
    const name = typeof candidate === 'string' ? candidate : candidate.name;
    // The backend's package may have brought a copy of core of its own, with its own error class.
    if (!isSoftgradError(error))
      return {
        reason: `${name}: it could not be opened: ${error instanceof Error ? error : describe(error)}`,
        errors: [error],
      };
    return { reason: error.message, errors: error.code === 'ERR_BACKEND_UNAVAILABLE' ? [] : [error] };
  }
}

/** Whether new tensors can be made there. */
function isUsable({ closed, lost }: Backend): boolean {
  return !closed && lost !== true;
}

/**
 * Where new tensors go until `setBackend` chooses. The backend is opened when it is first needed; choosing its provider
 * with `setBackend` gives the same one. For applications, and for packages that bring a backend; no backend calls it.
 *
 * @example
 * setDefaultBackend(cpu);
 * tensor([1, 2]).backend.name; // 'cpu'
 */
export function setDefaultBackend(provider: SyncProvider): void {
  if (fallback?.provider !== provider) fallback = { provider, backend: null };
  shared.hasBackend = true;
}

/** The default backend, opened again if it was closed or lost: nobody chose it explicitly, so closing it is not an error. */
function openFallback(of: NonNullable<typeof fallback>): Backend {
  if (of.backend === null || !isUsable(of.backend)) {
    of.backend = of.provider.openSync();
    noteBackend(of.backend);
  }
  return of.backend;
}

async function openOnce(provider: BackendProvider): Promise<Backend | string> {
  if (provider === fallback?.provider) return openFallback(fallback);
  for (let known = chosen.get(provider); known !== undefined; known = chosen.get(provider)) {
    const result = await known;
    if (typeof result === 'string' || isUsable(result)) return result;
    if (chosen.get(provider) === known) chosen.delete(provider);
  }
  // Stored before the first await, so that concurrent calls wait for this backend instead of opening a second one.
  const opening = openAvailable(provider);
  chosen.set(provider, opening);
  const forget = () => {
    if (chosen.get(provider) === opening) chosen.delete(provider);
  };
  opening.then((result) => {
    if (typeof result === 'string') forget();
  }, forget);
  return opening;
}

async function openAvailable(provider: BackendProvider): Promise<Backend | string> {
  // A function in JavaScript may forget to return null.
  const reason: unknown = await provider.unavailable();
  if (typeof reason === 'string') return `${provider.name}: ${reason}`;
  const backend: unknown = await provider.open();
  return isBackend(backend) ? backend : `${provider.name}: open returned ${describe(backend)}; expected a backend`;
}

function optionsAdvice(caller: string): string {
  return `options are for a provider's open, as in ${caller}(await wasm.open({ threads: 2 }))`;
}

function checkCandidate(caller: string, candidate: unknown): void {
  if (typeof candidate === 'string') {
    if (loaders.has(candidate)) return;
    throw new SoftgradError('ERR_BACKEND_UNAVAILABLE', `${caller}: ${unknownName(candidate)}`);
  }
  if (isBackend(candidate) || (typeof candidate === 'object' && candidate !== null && 'open' in candidate)) return;
  const advice = Array.isArray(candidate)
    ? 'pass them one after another'
    : Object(candidate).default
      ? 'pass its default export'
      : `the option of ${caller} is onSkip, and other ${optionsAdvice(caller)}`;
  throw new SoftgradError(
    'ERR_VALUE',
    `${caller}: a candidate is ${describe(candidate)}; expected a backend's provider (import { cpu } from '@softgrad/backend-cpu'), an open backend, or a registered name; ${advice}`,
  );
}

/** True for an open backend (or one that was), false for a provider. */
export function isBackend(candidate: unknown): candidate is Backend {
  return typeof candidate === 'object' && candidate !== null && 'supports' in candidate;
}

/**
 * Where new tensors go: the backend that `setBackend` has chosen, otherwise the default one.
 *
 * @throws ERR_BACKEND_UNAVAILABLE before `setBackend` where there is no default, ERR_DISPOSED where the chosen one was closed
 * @example
 * await setBackend(cpu);
 * getBackend().name; // 'cpu'
 */
export function getBackend(): Backend {
  if (current === null) {
    if (fallback !== null) return openFallback(fallback);
    throw new SoftgradError(
      'ERR_BACKEND_UNAVAILABLE',
      isOpening()
        ? 'no backend is set yet, because setBackend is still opening one: await setBackend(…) before the first tensor'
        : shared.hasBackend
          ? `no backend is set in this copy of core, but in another one; ${twoCopies}`
          : "no backend is set: await setBackend(cpu) first (import { cpu } from '@softgrad/backend-cpu'), or pass { backend }",
    );
  }
  if (current.closed) {
    throw new SoftgradError('ERR_DISPOSED', `backend ${current.name} was closed; await setBackend(…) again`);
  }
  return current;
}

/** The same for a tensor that is about to be made there. @throws as `getBackend` */
export function backendOfNewTensor(): Backend {
  const backend = getBackend();
  noteUse(backend);
  return backend;
}

/** Remembers an open backend, so that errors can name backends that support what another one does not, and makes it printable. */
export function noteBackend(backend: Backend): void {
  if (noted.has(backend)) return;
  noted.add(backend);
  printInOneLine(backend);
  // Cloudflare's workerd had no WeakRef before 2025-05: errors then name no other backend.
  if (typeof WeakRef === 'undefined') return;
  for (const reference of opened) {
    const known = reference.deref();
    if (known === undefined || !isUsable(known)) opened.delete(reference);
  }
  opened.add(new WeakRef(backend));
}

/** The names of the open backends for which `has` returns true. */
export function openedBackends(has: (backend: Backend) => boolean): string[] {
  const names: string[] = [];
  for (const reference of opened) {
    const backend = reference.deref();
    if (backend && isUsable(backend) && has(backend)) names.push(backend.name);
  }
  return [...new Set(names)];
}
