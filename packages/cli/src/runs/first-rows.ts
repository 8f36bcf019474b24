import type { Plan, Store } from '@softgrad/distributed';
import { npyRows, sizeOf } from '@softgrad/formats';
import type { Session } from '../context.js';
import { checkForProbabilities } from '../probabilities.js';

/** How many entries of the logits are looked at. */
const most = 2 ** 16;

/**
 * A notice if the first rows of a run's logits are probabilities: threads and other machines read the rest. Nothing is read of a run by classes,
 * whose rows may be larger than memory.
 */
export async function checkFirstRows(plan: Plan, store: Store, session: Session): Promise<void> {
  const { by, operation, inputs, options } = plan;
  const [first] = inputs.logits.files;
  if (by === 'classes' || first === undefined) return;
  const { path, byteLength } = first;
  const reader = await npyRows((position, length) => store.get(path, position, length), byteLength, path);
  try {
    const rowSize = sizeOf(reader.shape.slice(1).map((length) => length ?? 1));
    const rows = Math.floor(most / Math.max(1, rowSize));
    const chunk = rows === 0 ? null : await reader.next(rows);
    if (chunk === null) return;
    const check = checkForProbabilities(reader, operation, session);
    check.add(chunk, options.axis);
    check.finish(`each of the first ${chunk.shape[0]} rows`);
  } finally {
    await reader.close();
  }
}
