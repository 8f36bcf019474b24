import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { npyElements, npyHeader, npyRows } from '@softgrad/formats';

/** The built command. */
export const main = fileURLToPath(new URL('../dist/main.js', import.meta.url));

interface RunOptions {
  readonly input?: string | Uint8Array;
  /** A module that runs before the command does, in its process. */
  readonly before?: string;
  /** Options of node itself. */
  readonly node?: readonly string[];
  readonly cwd?: string;
}

/** Runs the built command as a user does: in a process of its own. */
export function softgrad(
  args: readonly string[],
  { input = '', before, node = [], cwd }: RunOptions = {},
): SpawnSyncReturns<string> {
  const preload = before === undefined ? [] : ['--import', `data:text/javascript,${encodeURIComponent(before)}`];
  return spawnSync(process.execPath, [...node, ...preload, main, ...args], {
    input,
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    ...(cwd === undefined ? {} : { cwd }),
  });
}

/** A folder of its own for a test file's inputs and outputs. */
export function temporaryFolder() {
  const path = mkdtempSync(join(tmpdir(), 'softgrad-'));
  return {
    path,
    at: (name: string) => join(path, name),
    write(name: string, content: string | Uint8Array): string {
      writeFileSync(join(path, name), content);
      return join(path, name);
    },
    writeNpy(name: string, rows: readonly (readonly number[])[]): string {
      const data = Float64Array.from(rows.flat());
      const bytes = [npyHeader('<f8', [rows.length, rows[0].length]), npyElements(data, '<f8')];
      return this.write(name, Buffer.concat(bytes));
    },
    async readNpy(name: string) {
      const bytes = readFileSync(join(path, name));
      const reader = await npyRows(async (at, length) => bytes.subarray(at, at + length), bytes.length, name);
      const array = await reader.next(Number.MAX_SAFE_INTEGER);
      if (array === null) throw new Error(`${name} is empty`);
      return array;
    },
    remove: () => rmSync(path, { recursive: true }),
  };
}

/** Four samples of three features: the signal of the question that softgrad answers. */
export const signal: readonly (readonly number[])[] = [
  [0.3394572666491664, 0.3089068053925853, 0.3516359279582483],
  [0.33932706934615525, 0.3094755563319447, 0.3511973743219001],
  [0.3394407172182317, 0.30889042266755573, 0.35166886011421256],
  [0.3394407172182317, 0.30889042266755573, 0.35166886011421256],
];

export function csv(rows: readonly (readonly number[])[]): string {
  return rows.map((row) => `${row.join(',')}\n`).join('');
}
