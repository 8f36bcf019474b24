/** Reads `length` bytes from `position`; fewer only at the end of the file. */
export type ReadAt = (position: number, length: number) => Promise<Uint8Array>;

/** Reads bytes from `position` into memory of the caller. Returns how many: fewer than its length only at the end of the file. */
export type ReadInto = (position: number, into: Uint8Array) => Promise<number>;
