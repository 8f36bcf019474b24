import type { Tensor } from '../src/index.js';

/** Runs `body` and disposes of the tensors that it calls `own` with, also where it fails. */
export async function owning(body: (own: (made: Tensor) => Tensor) => Promise<void>): Promise<void> {
  const owned: Tensor[] = [];
  try {
    await body((made) => {
      owned.push(made);
      return made;
    });
  } finally {
    for (const made of owned) made.dispose();
  }
}
