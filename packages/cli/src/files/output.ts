import { once } from 'node:events';
import { closeSync, openSync, rmSync } from 'node:fs';
import { chmod, open, readlink, realpath, rename, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { SoftgradError } from '@softgrad/core';
import { adviceOnName } from '@softgrad/formats';
import type { OutputStream } from '../context.js';
import type { Signals } from '../signals.js';
import { codeOf, systemReason } from './open.js';

/** A destination for bytes. Nothing appears there before `commit`, except on standard output. */
export interface Output {
  write(bytes: Uint8Array | string): Promise<void>;
  /** Overwrites bytes that were written before; standard output cannot do this. */
  writeAt(bytes: Uint8Array, position: number): Promise<void>;
  commit(): Promise<void>;
  /** Leaves the destination unchanged; has no effect after `commit`. */
  abort(): Promise<void>;
}

/**
 * A file that appears complete or not at all: it is written to a temporary file in the same folder, which is then renamed. If writing is interrupted or
 * fails, the old file stays and the temporary file is removed.
 *
 * @throws ERR_VALUE if the file cannot be written
 */
export async function fileOutput(path: string): Promise<Output> {
  const refuse = (reason: string, cause?: unknown): never => {
    throw new SoftgradError('ERR_VALUE', `${path}: cannot be written: ${reason}`, { cause });
  };
  const explain = (cause: unknown) => refuse(systemReason(cause), cause);
  const target = await destination(path).catch(explain);
  const existing = await stat(target).catch(() => null);
  if (!existing && adviceOnName(path) !== '')
    throw new SoftgradError('ERR_VALUE', `${path}: cannot be written${adviceOnName(path)}`);
  if (existing && !existing.isFile()) refuse(existing.isDirectory() ? 'is a directory' : 'not a regular file');
  // Renaming needs only permission to write to the folder, so it would replace a file that nobody may write.
  if (existing && (existing.mode & 0o222) === 0)
    refuse('the file is read-only; expected a writable file, or another name');
  // The name may already have the maximum length, so only its beginning is used.
  const beginning = basename(target).slice(0, 40);
  const temporary = join(dirname(target), `.${beginning}.${process.pid}.${Date.now().toString(36)}.tmp`);
  let created = false;
  const release = signals.beforeEnd(() => {
    if (created) rmSync(temporary, { force: true });
  });
  try {
    // Created and recorded synchronously, so that no signal is handled between the two.
    closeSync(openSync(temporary, 'wx'));
    created = true;
  } catch (cause) {
    release();
    const folder = dirname(target);
    const isMissing = codeOf(cause) === 'ENOENT' && !(await stat(folder).catch(() => null));
    refuse(isMissing ? `the folder ${folder} does not exist` : systemReason(cause), cause);
  }
  const finish = () => {
    created = false;
    release();
  };
  const handle = await open(temporary, 'r+').catch(explain);
  return {
    async write(bytes) {
      await handle.appendFile(bytes).catch(explain);
    },
    async writeAt(bytes, position) {
      await handle.write(bytes, 0, bytes.length, position).catch(explain);
    },
    async commit() {
      try {
        await handle.sync();
        await handle.close();
        if (existing) await chmod(temporary, existing.mode);
        await rename(temporary, target);
        finish();
      } catch (cause) {
        explain(cause);
      }
    },
    async abort() {
      // Closing it again after `commit` has no effect.
      await handle.close();
      if (!created) return;
      await unlink(temporary).catch(() => {});
      finish();
    },
  };
}

/** A symbolic link stays: its target is replaced, or created if it does not exist. */
async function destination(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (cause) {
    const link = await readlink(path).catch(() => null);
    if (link === null) return path;
    if (codeOf(cause) === 'ELOOP') throw cause;
    return destination(resolve(dirname(path), link));
  }
}

/** Writes a whole text file, or leaves the old one unchanged. @throws ERR_VALUE if the file cannot be written */
export async function writeTextFile(path: string, text: string): Promise<void> {
  const output = await fileOutput(path);
  try {
    await output.write(text);
    await output.commit();
  } finally {
    await output.abort();
  }
}

/**
 * For results that take long: before they are computed. Standard output, -, is no file.
 *
 * @throws ERR_VALUE if a file cannot be written, or if two results would be written to the same one
 */
export async function checkWritable(paths: readonly (string | undefined)[]): Promise<void> {
  const targets = new Set<string>();
  for (const path of paths) {
    if (path === undefined || path === '-') continue;
    const output = await fileOutput(path);
    await output.abort();
    const target = resolve(await destination(path));
    if (targets.has(target)) {
      throw new SoftgradError('ERR_VALUE', `${path}: two results would be written to it; expected a file for each`);
    }
    targets.add(target);
  }
}

/** The signals of the process; a command that is called in another one, as by tests, does not listen to them. */
let signals: Pick<Signals, 'beforeEnd'> = { beforeEnd: () => () => {} };

/** Removes unfinished files when a signal ends the process. Call it once, at the start of the process. */
export function removeTemporariesOn(ofProcess: Pick<Signals, 'beforeEnd'>): void {
  signals = ofProcess;
}

/** Standard output, at the speed of its reader. */
export function standardOutput(stdout: OutputStream): Output {
  return {
    async write(bytes) {
      if (!stdout.write(bytes)) await once(stdout, 'drain');
    },
    async writeAt() {
      throw new Error('standard output cannot be written out of order');
    },
    async commit() {},
    async abort() {},
  };
}
