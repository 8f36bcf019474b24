import { type Backend, isSoftgradError, loadProvider, registered } from '@softgrad/core';

/** A backend in this browser: not looked at yet, able to run, or not able to and why. */
export interface Availability {
  readonly name: string;
  readonly state: 'unknown' | 'available' | 'unavailable';
  readonly reason: string | null;
}

const probes = new Map<string, Promise<Availability>>();
const opened = new Map<string, Promise<Backend>>();

export function unknownBackends(): readonly Availability[] {
  return registered().map((name) => ({ name, state: 'unknown', reason: null }));
}

/** Loads a backend's engine to see whether it can run here; once. */
export function probe(name: string): Promise<Availability> {
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

/** The backend of that name, open; the same one for everybody who asks. @throws ERR_BACKEND_UNAVAILABLE */
export async function openShared(name: string): Promise<Backend> {
  const known = await opened.get(name)?.catch(() => null);
  if (known && !known.closed) return known;
  const opening = loadProvider(name).then((provider) => provider.open());
  opened.set(name, opening);
  return opening;
}

/** Closes a shared backend, so that the next one to ask gets a new one. */
export async function closeShared(name: string): Promise<void> {
  const known = await opened.get(name)?.catch(() => null);
  opened.delete(name);
  await known?.close();
}

/** The first of the names that can run here. */
export async function firstAvailable(names: readonly string[]): Promise<string> {
  for (const name of names) {
    if ((await probe(name)).state === 'available') return name;
  }
  return names[names.length - 1];
}

export function messageOf(error: unknown): string {
  if (isSoftgradError(error)) return error.message.replace(/^[\w.]+: (?=backend)/, '');
  return error instanceof Error ? error.message : String(error);
}
