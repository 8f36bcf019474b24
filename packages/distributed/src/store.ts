/** The properties of an object in a store. */
export interface StoredObject {
  readonly path: string;
  readonly byteLength: number;
  /** When it was written, in milliseconds since 1970. */
  readonly modified: number;
}

/** An object that is written piece by piece. It does not appear before it is put. */
export interface NewObject {
  /** Adds bytes at the end; they may change after this resolves. @throws ERR_VALUE if they cannot be written */
  append(bytes: Uint8Array): Promise<void>;
  /** Stores the object, as `putOnce` does. */
  put(): Promise<boolean>;
  /** Ends the writing: whatever was not put is removed. Must be called in any case. */
  close(): Promise<void>;
}

/**
 * The place of arrays: a folder that every worker can access, or a bucket. Paths are relative, separated by `/`, and never lead out of the store.
 *
 * An object appears complete or not at all, and never changes: `putOnce` and `create` are the only ways to write, so that a worker that was
 * considered dead cannot overwrite anything.
 */
export interface Store {
  /** Its name in messages. */
  readonly name: string;
  /** The path of a user's argument, relative to the store or within it. @throws ERR_VALUE if it is outside */
  locate(target: string): string;
  /** The paths that match a pattern like `logits/*.npy`, unordered. */
  match(pattern: string): Promise<readonly string[]>;
  /** Bytes `start … start + length − 1`; fewer only at the end. @throws ERR_VALUE if there is no such object */
  get(path: string, start: number, length: number): Promise<Uint8Array>;
  /** As `get`, into memory of the caller. Returns how many bytes were read; without it, bytes are copied from those of `get`. */
  getInto?(path: string, start: number, into: Uint8Array): Promise<number>;
  /** null if there is no such object. */
  stat(path: string): Promise<StoredObject | null>;
  /**
   * Stores an object durably. Returns false if there is one already, which is unchanged.
   *
   * @throws ERR_VALUE if it cannot be written, for lack of space or permission; nothing of it remains then
   */
  putOnce(path: string, bytes: Uint8Array): Promise<boolean>;
  /** Begins an object that is written piece by piece; without it, the pieces are collected in memory for `putOnce`. @throws as `putOnce` */
  create?(path: string): Promise<NewObject>;
  /** The objects below a folder, sorted by path; none if there is no such folder. */
  list(folder: string): Promise<readonly StoredObject[]>;
  /** Removes an object, so that it can be written again; no error if there is none. */
  remove(path: string): Promise<void>;
  /** Removes leftovers of interrupted writers below a folder that have not changed since `before`, in milliseconds since 1970. Returns how many. */
  sweep(folder: string, before: number): Promise<number>;
}

/** All bytes of an object. @throws ERR_VALUE if there is none */
export async function getWhole(store: Store, path: string): Promise<Uint8Array> {
  const found = await store.stat(path);
  return store.get(path, 0, found?.byteLength ?? 0);
}

/** An object of a known length that is collected in memory and put as a whole. */
export function wholeObject(store: Store, path: string, byteLength: number): NewObject {
  const bytes = new Uint8Array(byteLength);
  let filled = 0;
  return {
    async append(piece) {
      bytes.set(piece, filled);
      filled += piece.length;
    },
    put: () => store.putOnce(path, bytes.subarray(0, filled)),
    async close() {},
  };
}
