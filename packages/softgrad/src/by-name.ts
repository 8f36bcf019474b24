import type { Backend, BackendProvider } from '@softgrad/core';
import * as core from '@softgrad/core';
import type { BackendName } from './backends.js';

// The functions of core with types that know the names of softgrad's backends: an editor completes them.

/** What `setBackend` takes: the name of one of softgrad's backends or of a registered one, a provider, or a backend that is already open. */
export type BackendCandidate = BackendName | (string & Record<never, never>) | BackendProvider | Backend;

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
 * const backend = await setBackend('wasm', 'cpu');
 * backend.name; // 'wasm'
 * await setBackend('wasm', 'cpu', { onSkip: console.warn }); // says why, if it is not wasm
 */
export const setBackend: (...candidates: core.Selection<BackendCandidate>) => Promise<Backend> = core.setBackend;

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
export const openShared: (...candidates: core.Selection<BackendCandidate>) => Promise<Backend> = core.openShared;

/**
 * Loads a provider by its name, without opening it: for its `unavailable()`, or a second backend with options of its own.
 *
 * @throws ERR_BACKEND_UNAVAILABLE for an unknown name or a package that does not load
 *
 * @example
 * const provider = await loadProvider('wasm');
 * const backend = await provider.open({ threads: 2 });
 */
export const loadProvider: (name: BackendName | (string & Record<never, never>)) => Promise<BackendProvider> =
  core.loadProvider;
