import type { Tensor } from '../src/index.js';

/** Runs `body` and disposes the tensors that it passes to `own`, also when it throws. */
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
