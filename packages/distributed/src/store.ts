/** What a store knows of one object. */
export interface StoredObject {
  readonly path: string;
  readonly byteLength: number;
  /** When it was put, in milliseconds since 1970. */
  readonly modified: number;
}

/**
 * Where arrays live: a folder that every worker sees, or a bucket. Paths are relative, separated by `/`, and never lead out of the store.
 *
 * An object appears whole or not at all, and never changes: `putOnce` is the only way to write, so that a worker that was taken
 * for dead can do no harm.
 */
export interface Store {
  /** What messages call it. */
  readonly name: string;
  /** The path of what a user names, relative to the store or within it. @throws ERR_VALUE where it is outside */
  locate(target: string): string;
  /** The paths that a pattern like `logits/*.npy` names, in no order. */
  match(pattern: string): Promise<readonly string[]>;
  /** Bytes `start … start + length − 1`, fewer only at the end. @throws ERR_VALUE where there is no such object */
  get(path: string, start: number, length: number): Promise<Uint8Array>;
  /** null where there is no such object. */
  stat(path: string): Promise<StoredObject | null>;
  /**
   * Stores an object durably. False where there is one already, which stays as it is.
   *
   * @throws ERR_VALUE where it cannot be written, for want of space or permission; nothing of it is left then
   */
  putOnce(path: string, bytes: Uint8Array): Promise<boolean>;
  /** The objects below a folder, sorted by path; none where there is no such folder. */
  list(folder: string): Promise<readonly StoredObject[]>;
  /** Removes an object, to have it made again; no error where there is none. */
  remove(path: string): Promise<void>;
  /** Removes what writers that ended in the middle left below a folder and did not touch since `before`. Gives how many. */
  sweep(folder: string, before: number): Promise<number>;
}

/** All bytes of an object. @throws ERR_VALUE where there is none */
export async function getWhole(store: Store, path: string): Promise<Uint8Array> {
  const found = await store.stat(path);
  return store.get(path, 0, found?.byteLength ?? 0);
}
