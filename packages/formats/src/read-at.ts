/** Reads `length` bytes from `position`; fewer only at the end of the file. */
export type ReadAt = (position: number, length: number) => Promise<Uint8Array>;
