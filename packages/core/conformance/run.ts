import { type Backend, type BackendProvider, checkOptions, isSoftgradError, namesOf } from '../src/index.js';
import { describe } from '../src/tensor/describe.js';
import { type ConformanceCase, unmet } from './case.js';
import { cases, casesBeforeClose } from './cases/all.js';
import { close } from './cases/lifecycle.js';
import { counted, freeAll, liveBuffers, withoutKernels } from './counted.js';
import { exceededElements, limitedElements } from './exceeded.js';
import { defaultLimitMs, OverdueError, within } from './limit.js';
import { completeCase, missingMembers, missingOfProvider } from './structure.js';

/** A case bound to a backend: pass `name` and `run` to any test runner. */
export interface BoundCase {
  readonly id: string;
  readonly section: string;
  /** `webgpu: softmax/values:shape=7x5;axis=0;input=wide`, with `(composed)` after the backend's name if it runs without fused kernels. */
  readonly name: string;
  /** Why the case does not apply here, or null if it does. */
  readonly skip: string | null;
  run(): Promise<void>;
  /** After `run`: `declines a call of logSoftmax, and has no basis`, or `limits buffers to 4096 elements`, if a call could not be compared, or null. */
  declined?(): string | null;
}

export interface ConformanceOptions<O = unknown> {
  /** If true, a backend that cannot run here fails instead of being skipped: for CI on machines with the device. */
  readonly required?: boolean;
  /** If false, the second run without fused kernels is left out. Default true. */
  readonly composed?: boolean;
  /** The longest time in milliseconds for a case, and for opening the backend, so that a promise that never settles fails its case; a kernel that never returns keeps the thread and its timers. Default 120 000. */
  readonly timeoutMs?: number;
  /** Options for the provider's `open`. */
  readonly open?: O;
}

const optionNames = namesOf<ConformanceOptions>({ required: true, composed: true, timeoutMs: true, open: true });

/**
 * The conformance suite for a backend, as data. Opens the backend. The cases must run one after another in the order given; any of them may
 * be left out, and the last one closes the backend. If the backend has fused kernels and a basis, cases of composed operations run a second
 * time without the kernels.
 *
 * @example
 * import { test } from 'node:test'; // or vitest's, or none at all
 * for (const c of await conformance(mine)) (c.skip ? test.skip : test)(c.name, c.run);
 */
export async function conformance<B, O>(
  target: BackendProvider<B, O> | Backend<B>,
  options: ConformanceOptions<O> = {},
): Promise<readonly BoundCase[]> {
  const { composed = true, timeoutMs = defaultLimitMs } = checkOptions('conformance', options, optionNames);
  checkTarget(target);
  const opened = await within(`opening ${target.name}`, timeoutMs, openTarget(target, options).catch(rethrown));
  if ('unavailable' in opened) return unavailableCases(target.name, opened.unavailable, options.required ?? false);
  const lacking = missingMembers(opened.backend);
  if (lacking.length > 0) return incompleteCases(target.name, opened.backend, lacking);
  if (opened.backend.closed) throw new Error(`${target.name} is closed; expected a backend that is open`);
  const backend = counted(
    opened.backend,
    'open' in target ? async () => (await target.open(options.open)) as Backend : null,
  );
  const limit = { timeoutMs, overdue: [] };
  const fused = casesBeforeClose.map((c) => bind(c, backend, backend.name, limit));
  const again = composed && backend.basis && backend.kernels ? composedCases(backend, limit) : [];
  return [...fused, ...again, bind(close, backend, backend.name, limit)];
}

/** @throws Error for anything but a backend, which `supports/complete` examines, or a complete provider */
function checkTarget(target: object): void {
  if (typeof target !== 'object' || target === null)
    throw new Error(`conformance: the target is ${describe(target)}; expected a provider or an open backend`);
  if ('supports' in target) return;
  const lacking = missingOfProvider(target);
  if (lacking.length > 0) throw new Error(`conformance: the provider lacks ${lacking.join(', ')}`);
}

/** @throws Error for a value that is no error: a test runner would show it without a message. Otherwise the error itself */
function rethrown(error: unknown): never {
  if (error instanceof Error) throw error;
  throw new Error(`${describe(error)} was thrown; expected an Error`, { cause: error });
}

type Opened = { readonly backend: Backend } | { readonly unavailable: string };

async function openTarget<B, O>(
  target: BackendProvider<B, O> | Backend<B>,
  { open }: ConformanceOptions<O>,
): Promise<Opened> {
  if (!('open' in target)) return { backend: target as Backend };
  const reason: unknown = await target.unavailable();
  if (typeof reason === 'string' && reason !== '') return { unavailable: reason };
  if (reason !== null)
    throw new Error(`unavailable returned ${describe(reason)}; expected null, or a text that says what is missing`);
  const backend = (await target.open(open)) as Backend | null | undefined;
  if (typeof backend !== 'object' || backend === null)
    throw new Error(`open returned ${describe(backend)}; expected a backend`);
  return { backend };
}

function unavailableCases(name: string, reason: string, required: boolean): readonly BoundCase[] {
  const unavailable = async () => {
    throw new Error(`${name} is required and can't run here: ${reason}`);
  };
  if (required) {
    return [{ id: 'available', section: 'available', name: `${name}: available`, skip: null, run: unavailable }];
  }
  return cases.map(({ id, section }) => ({ id, section, name: `${name}: ${id}`, skip: reason, run: unavailable }));
}

/** The only case that runs on an incomplete backend: it fails with the list of what is missing, and closes the backend. All other cases would fail for the same reason. */
function incompleteCases(name: string, backend: Backend, lacking: readonly string[]): readonly BoundCase[] {
  const run = async () => {
    if (typeof backend.close === 'function') await backend.close();
    await completeCase.run(backend);
  };
  const most = 3;
  const more = lacking.length > most ? ` and ${lacking.length - most} more` : '';
  const reason = `lacks ${lacking.slice(0, most).join(', ')}${more}`;
  return cases.map((c) => {
    const { id, section } = c;
    return { id, section, name: `${name}: ${id}`, skip: c === completeCase ? null : reason, run };
  });
}

/** The time limit of a case, and the ids of those that did not end. */
interface Limit {
  readonly timeoutMs: number;
  readonly overdue: string[];
}

/** So many cases may take the whole time limit. The others are not run: in a suite of thousands each would, where a device is stuck. */
const mostOverdue = 3;

function composedCases(backend: Backend, limit: Limit): readonly BoundCase[] {
  const composed = withoutKernels(backend);
  return cases
    .filter(({ composable }) => composable)
    .map((c) => bind(c, composed, `${backend.name} (composed)`, limit));
}

function bind(conformanceCase: ConformanceCase, backend: Backend, label: string, limit: Limit): BoundCase {
  const { id, section, requires } = conformanceCase;
  let reason: string | null = null;
  return {
    id,
    section,
    name: `${label}: ${id}`,
    skip: unmet(requires, backend),
    async run() {
      reason = await runCase(conformanceCase, backend, limit);
    },
    declined: () => reason,
  };
}

/** Runs one case, which must settle and free all of its buffers. Resolves to the reason if a call was refused that need not be possible. */
async function runCase(
  conformanceCase: ConformanceCase,
  backend: Backend,
  { timeoutMs, overdue }: Limit,
): Promise<string | null> {
  // The last case closes the backend in any case.
  if (overdue.length >= mostOverdue && conformanceCase !== close)
    throw new Error(`not run, because ${overdue.length} other cases did not end: ${overdue.join(', ')}`);
  const before = liveBuffers(backend);
  try {
    await within(conformanceCase.id, timeoutMs, conformanceCase.run(backend));
  } catch (error) {
    if (error instanceof OverdueError) overdue.push(conformanceCase.id);
    freeAll(backend);
    const reason = notCompared(error, conformanceCase, backend);
    if (reason !== null) return reason;
    return rethrown(error);
  }
  const left = liveBuffers(backend) - before;
  if (left === 0) return null;
  freeAll(backend);
  throw new Error(`${left} buffers were allocated and not freed`);
}

/**
 * The reason why a call that was refused is not a failure, or null if it is one. A fused kernel may decline; without a basis to compose from, ERR_UNSUPPORTED is then
 * the correct result. So is the refusal of a call that is larger than the backend announces.
 */
function notCompared(error: unknown, { requires }: ConformanceCase, backend: Backend): string | null {
  const { elements } = backend.supports.limits;
  if (exceededElements(error) === elements) return limitedElements(elements);
  if (backend.basis || !requires.kernel) return null;
  const isUnsupported = isSoftgradError(error) && error.code === 'ERR_UNSUPPORTED';
  return isUnsupported ? `declines a call of ${requires.kernel}, and has no basis` : null;
}
