import { readFileSync } from 'node:fs';
import type { FileArray } from '../src/index.js';

/** A file written by NumPy (fixtures/make_numpy_files.py) and its values. */
export interface FixtureFile {
  readonly shape: readonly number[];
  /** Row-major; NaN and infinities as words. */
  readonly values: readonly (number | string)[];
  readonly bytes: Uint8Array;
}

type Stored = Omit<FixtureFile, 'bytes'> & { readonly base64: string };

const stored: Record<'npy' | 'npz', Record<string, Stored>> = JSON.parse(
  readFileSync(new URL('fixtures/numpy.json', import.meta.url), 'utf8'),
);

function decoded(files: Record<string, Stored>): Readonly<Record<string, FixtureFile>> {
  return Object.fromEntries(
    Object.entries(files).map(([name, { shape, values, base64 }]) => [
      name,
      { shape, values, bytes: Buffer.from(base64, 'base64') },
    ]),
  );
}

export const numpyFiles = { npy: decoded(stored.npy), npz: decoded(stored.npz) };

/** An array's values as the fixtures write them. */
export function plain({ data }: FileArray): (number | string)[] {
  return Array.from(data, (value) => (Number.isFinite(value) ? value : String(value)));
}
