import { mkdtempSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import type { BackendProvider } from '@softgrad/core';
import { npyElements, npyHeader, npyRows } from '@softgrad/formats';
import { SingleBar } from 'cli-progress';
import { vi } from 'vitest';
import { ownBackends } from '../src/backend.js';
import type { Backends, Context, Limits } from '../src/context.js';
import { limitsOf } from '../src/limits.js';
import { thisMachine } from '../src/machine.js';
import { run } from '../src/run.js';

interface RunOptions {
  readonly input?: string | Uint8Array;
  /** Whether the streams are a terminal, and its width; if it is omitted, the width is unknown. */
  readonly terminal?: boolean | { readonly columns: number };
  readonly env?: Context['env'];
  readonly limits?: Partial<Limits>;
  readonly backends?: Context['backends'];
  readonly onIdle?: Context['onIdle'];
  readonly now?: Context['now'];
  readonly after?: Context['after'];
  readonly apart?: Context['apart'];
  readonly machine?: Context['machine'];
  readonly onInterrupt?: Context['onInterrupt'];
  readonly watchdog?: Context['watchdog'];
}

/** Runs a command line in this process. */
export async function softgrad(args: readonly string[], options: RunOptions = {}) {
  const stdout = recorder(options.terminal);
  const stderr = recorder(options.terminal);
  const bytes = Buffer.from(options.input ?? '');
  const status = await run(args, {
    stdin: () => Object.assign(pieces(bytes), { isTTY: stdout.isTTY }),
    stdout,
    stderr,
    env: options.env ?? {},
    limits: { ...limitsOf(0, 2 ** 33), ...options.limits },
    backends: options.backends ?? ownBackends,
    machine: options.machine ?? (() => thisMachine(process)),
    now: options.now ?? (() => 0),
    after: options.after ?? (() => () => {}),
    ...(options.apart === undefined ? {} : { apart: options.apart }),
    ...(options.watchdog === undefined ? {} : { watchdog: options.watchdog }),
    onInterrupt: options.onInterrupt ?? (() => () => {}),
    onIdle: options.onIdle ?? (() => () => {}),
  });
  return { status, stdout: stdout.text(), stderr: stderr.text() };
}

/** A pipe delivers its data in pieces of any length. */
async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes.subarray(0, bytes.length >> 1);
  yield bytes.subarray(bytes.length >> 1);
}

/** A stream that stores what is written to it. */
export function recorder(terminal: RunOptions['terminal'] = false) {
  const chunks: Buffer[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk);
      done();
    },
  });
  return Object.assign(stream, {
    isTTY: terminal !== false,
    ...(typeof terminal === 'object' ? terminal : {}),
    text: () => Buffer.concat(chunks).toString(),
  });
}

/** Backends by name; an error is thrown when its name is loaded. */
export function fakeBackends(providers: Readonly<Record<string, BackendProvider | Error>>): Backends {
  return {
    names: () => Object.keys(providers),
    async load(name) {
      const found = providers[name];
      if (found instanceof Error) throw found;
      return found;
    },
  };
}

/** A separate folder for a test file's inputs and outputs. */
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
    /** A .safetensors of matrices in float32. */
    writeSafetensors(name: string, tensors: Readonly<Record<string, readonly (readonly number[])[]>>): string {
      const header: Record<string, unknown> = {};
      const parts: Float32Array[] = [];
      let at = 0;
      for (const [key, rows] of Object.entries(tensors)) {
        const data = Float32Array.from(rows.flat());
        header[key] = { dtype: 'F32', shape: [rows.length, rows[0].length], data_offsets: [at, at + data.byteLength] };
        at += data.byteLength;
        parts.push(data);
      }
      const text = Buffer.from(JSON.stringify(header));
      const length = Buffer.alloc(8);
      length.writeBigUInt64LE(BigInt(text.length));
      return this.write(name, Buffer.concat([length, text, ...parts.map((data) => Buffer.from(data.buffer))]));
    },
    /** A sparse float32 file of zeros, which takes no disk space. */
    zeros(name: string, rows: number, columns: number, order: 'C' | 'Fortran' = 'C'): string {
      const header = Buffer.from(npyHeader('<f4', [rows, columns])).toString('latin1');
      const text = order === 'C' ? header : header.replace("'fortran_order': False", "'fortran_order': True ");
      const file = this.write(name, Buffer.from(text, 'latin1'));
      truncateSync(file, text.length + rows * columns * 4);
      return file;
    },
    async readNpy(name: string) {
      const bytes = readFileSync(join(path, name));
      const reader = await npyRows(async (at, length) => bytes.subarray(at, at + length), bytes.length, name);
      const array = await reader.next(Number.MAX_SAFE_INTEGER);
      if (array === null) throw new Error(`${name} is empty`);
      return array;
    },
    /** A name that no file has yet. */
    absent(name: string): string {
      rmSync(join(path, name), { force: true });
      return join(path, name);
    },
    symlink(name: string, target: string): string {
      symlinkSync(target, this.absent(name));
      return join(path, name);
    },
    /** Runs a command line as in this folder: relative paths are relative to it, and it is removed from the output. */
    async softgrad(args: readonly string[], options?: RunOptions) {
      const here = args.map((arg) => (/^[\w-]+(\/[\w-]+)*\.[a-z]+$/.test(arg) ? join(path, arg) : arg));
      const { status, stdout, stderr } = await softgrad(here, options);
      const shown = (text: string) => text.replaceAll(`${path}/`, '');
      return { status, stdout: shown(stdout), stderr: shown(stderr) };
    },
    remove: () => rmSync(path, { recursive: true }),
  };
}

/** Four samples of three features, from the original question about zero gradients. */
export const signal: readonly (readonly number[])[] = [
  [0.3394572666491664, 0.3089068053925853, 0.3516359279582483],
  [0.33932706934615525, 0.3094755563319447, 0.3511973743219001],
  [0.3394407172182317, 0.30889042266755573, 0.35166886011421256],
  [0.3394407172182317, 0.30889042266755573, 0.35166886011421256],
];

export function csv(rows: readonly (readonly number[])[]): string {
  return rows.map((row) => `${row.join(',')}\n`).join('');
}

/** Records what progress bars are told, because how often they draw depends on the clock of the machine. */
export function watchBars() {
  const start = vi.spyOn(SingleBar.prototype, 'start');
  const update = vi.spyOn(SingleBar.prototype, 'update');
  return {
    totals: () => start.mock.calls.map(([total]) => total),
    /** Every update: the label, and how much is done. */
    steps: () =>
      update.mock.calls.map(([done, payload]: readonly unknown[]): [string, number] => [
        Object(payload).label,
        Number(done),
      ]),
    [Symbol.dispose]() {
      start.mockRestore();
      update.mockRestore();
    },
  };
}
