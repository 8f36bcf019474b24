import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import { cpu } from '@softgrad/backend-cpu';
import { type FileArray, type NpyDescr, npyElements, npyHeader, readAll } from '@softgrad/formats';
import type { Store } from '../src/index.js';
import {
  createPlan,
  folderStore,
  type Plan,
  partsReader,
  type RunOptions,
  runEmbedded,
  type Share,
} from '../src/index.js';
import { pendingOf } from '../src/pending.js';
import { checkPins } from '../src/pins.js';
import { putPlan } from '../src/run-folder.js';
import { runStep } from '../src/step.js';

export const backends = new URL('./register-backends.mjs', import.meta.url).href;

/** Linux has a file system in memory, where fsync does not wait for a disk. */
const temporary = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/** A folder that represents the shared file system. */
export function workspace() {
  const root = mkdtempSync(join(temporary, 'softgrad-distributed-'));
  const store = folderStore(root);
  return {
    root,
    store,
    path: (name: string) => join(root, name),
    write(name: string, shape: readonly number[], data: FileArray['data'], descr: NpyDescr = '<f4'): string {
      const path = join(root, name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, Buffer.concat([npyHeader(descr, shape), npyElements(data, descr)]));
      // Plans differ in the times of their inputs.
      utimesSync(path, 1e9, 1e9);
      return name;
    },
    plan: (options: Partial<RunOptions> & Pick<RunOptions, 'operation'>): Promise<Plan> =>
      createPlan(store, { logits: ['logits.npy'], out: 'out', backend: 'cpu', ...options }),
    run: (plan: Plan, threads = 1, share?: Share) => runEmbedded(plan, { root, backends, threads, share }),
    /** Computes the missing shards of a plan in this thread; `order` sorts the shards of each step. */
    compute: (plan: Plan, order = (indices: readonly number[]) => indices) => compute(store, plan, order),
    async read(out = 'out', entry?: string): Promise<FileArray> {
      return readAll(await partsReader(folderStore(join(root, out)), entry), 1e9, '');
    },
    /** Every file of a run except temporary ones, with its SHA-256. */
    hashes: (out = 'out') => hashesBelow(join(root, out)),
    /** The temporary files of a run, of active or interrupted writers. */
    temporaries: (out = 'out') => filesBelow(join(root, out)).filter(isTemporary),
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }),
  };
}

async function compute(
  store: Store,
  plan: Plan,
  order: (indices: readonly number[]) => readonly number[],
): Promise<void> {
  const backend = await cpu.open();
  await putPlan(store, plan);
  await checkPins(store, plan, backend);
  const pending = await pendingOf(store, plan);
  for (const step of ['statistics', 'merge', 'apply', 'finish'] as const) {
    for (const index of order(pending[step])) await runStep(store, plan, backend, step, index);
  }
}

export type Workspace = ReturnType<typeof workspace>;

export function hashesBelow(folder: string): Record<string, string> {
  const names = filesBelow(folder).filter((name) => !isTemporary(name));
  return Object.fromEntries(
    names.map((name) => [
      name,
      createHash('sha256')
        .update(readFileSync(join(folder, name)))
        .digest('hex'),
    ]),
  );
}

function filesBelow(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort();
}

function isTemporary(name: string): boolean {
  return basename(name).startsWith('.softgrad-');
}

/** Pseudorandom numbers, the same every time: a multiplicative generator. */
export function noise(length: number, scale = 10, seed = 1): Float64Array {
  let state = seed;
  return Float64Array.from({ length }, () => {
    state = (state * 48271) % 2147483647;
    return (state / 2147483647 - 0.5) * 2 * scale;
  });
}
