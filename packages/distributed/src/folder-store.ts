import { randomUUID } from 'node:crypto';
import { closeSync, openSync, readSync, realpathSync, writeSync } from 'node:fs';
import { type FileHandle, link, mkdir, open, readdir, realpath, stat, unlink } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { isMainThread } from 'node:worker_threads';
import { SoftgradError } from '@softgrad/core';
import { adviceOnName } from '@softgrad/formats';
import { reached } from './points.js';
import type { NewObject, Store, StoredObject } from './store.js';

/** Names of files that are being written; no other name in a store begins like this. */
const temporaryPrefix = '.softgrad-';

/**
 * A store in a folder, which may be on a file system that several machines share. The file system must have hard links and an `fsync` with
 * POSIX semantics (local disks, NFS since version 3, Lustre, CephFS, GPFS).
 *
 * A file is written under a temporary name, flushed to the disk, and then linked to its final name, which fails if that name exists.
 *
 * The folder is not opened before it is used. The functions of the store throw ERR_VALUE for a path outside of it, by its name or by a symbolic link;
 * those that read or write bytes also if the system refuses, with its reason.
 *
 * @param root the folder, relative to the current one
 * @example
 * const store = folderStore('/data');
 * await store.match('*.npy'); // ['logits.npy']
 * (await store.stat('logits.npy'))?.byteLength; // 152, in bytes
 */
export function folderStore(root: string): Store {
  const folder = resolve(root);
  const locate = (path: string) => locateInside(folder, path);
  return {
    name: folder,
    locate: (target) => pathInside(folder, target),
    async match(pattern) {
      // Only who plans a run has patterns, not the threads that compute it.
      const { glob } = await import('tinyglobby');
      return glob(pattern, { cwd: folder, dot: false, expandDirectories: false });
    },
    get: async (path, start, length) => readRange(await locate(path), path, start, length),
    getInto: async (path, start, into) => readInto(await locate(path), path, start, into),
    async stat(path) {
      const found = await stat(await locate(path)).catch(ifMissing(null));
      return found?.isFile() ? { path, byteLength: found.size, modified: found.mtimeMs } : null;
    },
    async putOnce(path, bytes) {
      const object = await createFile(await locate(path), path);
      try {
        await object.append(bytes);
        return await object.put();
      } finally {
        await object.close();
      }
    },
    create: async (path) => createFile(await locate(path), path),
    async list(path) {
      const names = await filesBelow(await locate(path));
      const objects = names
        .filter((name) => !basename(name).startsWith(temporaryPrefix))
        .map(async (name) => {
          const found = await stat(join(folder, path, name)).catch(ifMissing(null));
          return (
            found && { path: join(path, name).replaceAll(sep, '/'), byteLength: found.size, modified: found.mtimeMs }
          );
        });
      return (await Promise.all(objects)).filter((found): found is StoredObject => found !== null);
    },
    remove: async (path) => unlink(await locate(path)).catch(ifMissing(undefined)),
    async sweep(path, before) {
      const absolute = await locate(path);
      const temporaries = (await filesBelow(absolute)).filter((name) => basename(name).startsWith(temporaryPrefix));
      let swept = 0;
      for (const name of temporaries) {
        const found = await stat(join(absolute, name)).catch(ifMissing(null));
        if (found === null || found.mtimeMs >= before) continue;
        await unlink(join(absolute, name)).catch(ifMissing(undefined));
        swept++;
      }
      return swept;
    },
  };
}

/** The path of `target` relative to `root`, as a store uses it. @throws ERR_VALUE if it is outside */
function pathInside(root: string, target: string): string {
  const path = relative(resolve(root), resolve(root, target));
  if (path === '..' || path.startsWith(`..${sep}`) || isAbsolute(path)) {
    throw new SoftgradError(
      'ERR_VALUE',
      `${target}: outside of ${resolve(root)}, the folder that all workers can access; expected a path in it, or another --root`,
    );
  }
  return path.replaceAll(sep, '/');
}

/** @throws ERR_VALUE for a path outside of the store, by its name or by a symbolic link */
async function locateInside(root: string, path: string): Promise<string> {
  const parts = path.split('/');
  const plain = !isAbsolute(path) && !/[\\\0]/.test(path) && !parts.includes('..') && !/^[a-z]:/i.test(path);
  if (!plain) {
    throw new SoftgradError(
      'ERR_VALUE',
      `${JSON.stringify(path)}: expected a path relative to ${root} without leaving it`,
    );
  }
  const absolute = resolve(root, path);
  const inside = await realpathOfExisting(absolute).catch((cause) => fail(path, 'cannot be found', cause));
  const base = await realPath(root).catch((cause) => {
    throw new SoftgradError(
      'ERR_VALUE',
      `${root}: ${reasonOf(cause)}${adviceOnName(root)}; expected the folder that all workers can access`,
      {
        cause,
      },
    );
  });
  if (inside !== base && !inside.startsWith(base.endsWith(sep) ? base : base + sep)) {
    throw new SoftgradError(
      'ERR_VALUE',
      `${path}: a symbolic link leads to ${inside}, outside of ${root}; expected a path in it`,
    );
  }
  return absolute;
}

/** Like reads, at once in a thread that computes. */
const realPath = isMainThread ? realpath : async (path: string) => realpathSync.native(path);

/** The real path of the deepest existing folder or file of a path. */
async function realpathOfExisting(path: string): Promise<string> {
  const found = await realPath(path).catch(ifMissing(null));
  return found ?? realpathOfExisting(dirname(path));
}

async function readRange(absolute: string, path: string, start: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  return bytes.subarray(0, await readInto(absolute, path, start, bytes));
}

async function readInto(absolute: string, path: string, start: number, into: Uint8Array): Promise<number> {
  try {
    const file = await openToRead(absolute);
    try {
      let filled = 0;
      while (filled < into.length) {
        const length = Math.min(into.length - filled, largestTransfer);
        const bytesRead = await file.read(into, filled, length, start + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return filled;
    } finally {
      await file.close();
    }
  } catch (cause) {
    return fail(path, 'cannot be read', cause);
  }
}

/**
 * The main thread, which renews the locks of jobs, does not block while it reads or writes. A thread that computes has nothing else to do, and blocks for
 * less time than it takes to hand the call to another thread: two threads then compute 1.7 times as much as one, instead of 1.4.
 */
async function openToRead(absolute: string) {
  if (isMainThread) {
    const handle = await open(absolute, 'r');
    const read = async (into: Uint8Array, at: number, length: number, position: number) =>
      (await handle.read(into, at, length, position)).bytesRead;
    return { read, close: () => handle.close() };
  }
  const file = openSync(absolute, 'r');
  const read = (into: Uint8Array, at: number, length: number, position: number) =>
    readSync(file, into, at, length, position);
  return { read, close: () => closeSync(file) };
}

/** Node reads and writes at most this much in one call. */
const largestTransfer = 2 ** 31 - 1;

async function createFile(absolute: string, path: string): Promise<NewObject> {
  if (adviceOnName(path) !== '')
    throw new SoftgradError('ERR_VALUE', `${path}: cannot be written${adviceOnName(path)}`);
  const folder = dirname(absolute);
  const temporary = join(folder, `${temporaryPrefix}${randomUUID()}`);
  const failed = (cause: unknown) => fail(path, 'cannot be written', cause);
  const begin = async () => {
    await mkdir(folder, { recursive: true });
    return open(temporary, 'wx');
  };
  const handle = await begin().catch(failed);
  return {
    append: (bytes) => writeAll(handle, bytes).catch(failed),
    async put() {
      try {
        await handle.sync();
        await handle.close();
        reached('store:temporary', path);
        const linked = await linkUnlessPresent(temporary, absolute);
        await syncFolder(folder);
        reached('store:linked', path);
        return linked;
      } catch (cause) {
        return failed(cause);
      }
    },
    async close() {
      // Closing a file twice has no effect. What fails here is not the reason why it is closed, and a file that stays is swept later.
      await handle.close().catch(() => {});
      await unlink(temporary).catch(() => {});
    },
  };
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  let written = 0;
  while (written < bytes.length) {
    const length = Math.min(bytes.length - written, largestTransfer);
    written += isMainThread
      ? (await handle.write(bytes, written, length)).bytesWritten
      : writeSync(handle.fd, bytes, written, length);
  }
}

/** If the temporary file has been removed by then, another worker has finished the run. */
async function linkUnlessPresent(temporary: string, absolute: string): Promise<boolean> {
  try {
    await link(temporary, absolute);
    return true;
  } catch (cause) {
    if (codeOf(cause) === 'EEXIST') return false;
    if (codeOf(cause) === 'ENOENT' && (await stat(absolute).catch(ifMissing(null)))) return false;
    throw cause;
  }
}

/** Makes a new name durable; Windows has no such call and does not need it. */
async function syncFolder(folder: string): Promise<void> {
  let handle: FileHandle;
  try {
    handle = await open(folder, 'r');
  } catch (cause) {
    if (codeOf(cause) === 'EPERM' || codeOf(cause) === 'EISDIR') return;
    throw cause;
  }
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Paths of files below a folder, relative to it and sorted; none if it does not exist. */
async function filesBelow(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(ifMissing([]));
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort();
}

function fail(path: string, what: string, cause: unknown): never {
  const advice = codeOf(cause) === 'ENOENT' ? adviceOnName(path) : '';
  throw new SoftgradError('ERR_VALUE', `${path}: ${what}: ${reasonOf(cause)}${advice}`, { cause });
}

function ifMissing<T>(value: T): (cause: unknown) => T {
  return (cause) => {
    if (codeOf(cause) === 'ENOENT' || codeOf(cause) === 'ENOTDIR') return value;
    throw cause;
  };
}

/** The code of an error of the file system, if it is one. */
function codeOf(cause: unknown): string | undefined {
  return (cause as NodeJS.ErrnoException).code;
}

const reasons: ReadonlyMap<string | undefined, string> = new Map([
  ['ENOENT', 'no such file or directory'],
  ['EACCES', 'permission denied'],
  ['EPERM', 'permission denied'],
  ['EISDIR', 'is a directory'],
  ['ENOTDIR', 'a part of the path is not a directory'],
  // Of mkdir, where it is the last part that is a file.
  ['EEXIST', 'a part of the path is not a directory'],
  ['ENOSPC', 'no space left on the device; free some, and continue the run'],
  ['EDQUOT', 'the disk quota is used up'],
  ['EFBIG', 'larger than the file system, or the limit of this process (ulimit -f), allows'],
  ['EROFS', 'the file system is read-only'],
  ['ENAMETOOLONG', 'the name is too long'],
  ['ELOOP', 'symbolic links that lead back to themselves'],
  ['EIO', 'the disk reports an error'],
  ['ERR_ACCESS_DENIED', "Node's permission model denies it"],
]);

/** The reason that the operating system gave, in words. */
function reasonOf(cause: unknown): string {
  return reasons.get(codeOf(cause)) ?? (cause as Error).message;
}
