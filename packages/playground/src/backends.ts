import { isSoftgradError, loadProvider, registered } from '@softgrad/core';

/** The state of a backend in this browser: not checked yet, available, or unavailable with the reason. */
export interface Availability {
  readonly name: string;
  readonly state: 'unknown' | 'available' | 'unavailable';
  readonly reason: string | null;
}

const probes = new Map<string, Promise<Availability>>();

/** The registered backends, and others that a link names. */
export function unknownBackends(linked: readonly string[]): readonly Availability[] {
  return [...new Set([...registered(), ...linked])].map((name) => ({ name, state: 'unknown', reason: null }));
}

/** Loads a backend's engine to check whether it can run here; once. Options, as in `wasm:threads=2`, are not checked. */
export function probe(text: string): Promise<Availability> {
  const name = text.replace(/:.*/, '');
  const known = probes.get(name) ?? lookAt(name);
  probes.set(name, known);
  return known;
}

async function lookAt(name: string): Promise<Availability> {
  try {
    const reason = await (await loadProvider(name)).unavailable();
    return { name, state: reason === null ? 'available' : 'unavailable', reason };
  } catch (error) {
    return { name, state: 'unavailable', reason: messageOf(error) };
  }
}

export function messageOf(error: unknown): string {
  if (isSoftgradError(error)) return error.message.replace(/^openShared: (?:no backend can run here: )?/, '');
  return error instanceof Error ? error.message : String(error);
}
