import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type BoundCase, conformance, exact, sections } from '../conformance/index.js';
import type { Backend } from '../src/index.js';
import { recording } from './recording.js';

/**
 * A line for each case: a digest of its inputs and calls, the number of arrays that it reads, a digest of its errors when one number in an array is
 * wrong, and its id. After a change of the suite, `npx vitest run test/conformance.test.ts -u` writes the file anew; the next run uses it.
 */
const file = 'conformance-cases.txt';
const path = new URL(file, import.meta.url);
const lines = existsSync(path) ? readFileSync(path, 'utf8').trimEnd().split('\n') : [];
const listed = new Map(lines.map((line) => [line.split(' ').at(-1), line]));
const found = new Map<string, string>();
const recorded = recording((await exact.open()) as Backend);

/** The case with its line compared. What it does on a backend without fused kernels is not recorded. */
function watched(bound: BoundCase): BoundCase {
  const { id, name } = bound;
  if (!name.startsWith('exact: ') || id === 'lifecycle/close') return bound;
  const run = async () => {
    recorded.start();
    await bound.run();
    const inputs = recorded.digest();
    const line = `${inputs} ${recorded.reads.length} ${await errorsOf(bound, recorded.reads)} ${id}`;
    if (!found.has(id)) found.set(id, line);
    expect(line).toBe(listed.get(id));
  };
  return { ...bound, run };
}

/** A digest of the errors of a case in which one number is wrong: in each array that it reads, or in one of many. */
async function errorsOf({ id, run }: BoundCase, lengths: readonly number[]): Promise<string> {
  const seed = createHash('sha256').update(id).digest().readUInt32LE();
  const isLong = lengths.length > 6 || lengths.reduce((sum, length) => sum + length, 0) > 2000;
  const tried = isLong ? [seed % lengths.length] : [...lengths.keys()];
  const errors: string[] = [];
  for (const read of tried.filter((k) => lengths[k] > 0)) {
    recorded.start(read, seed);
    errors.push(
      await run().then(
        () => 'passes',
        (error: unknown) => (error instanceof Error ? error.message : String(error)),
      ),
    );
  }
  const rounded = errors.join('\n').replace(/\d+(\.\d+)?(e[-+]?\d+)?/g, (digits) => Number(digits).toPrecision(4));
  return createHash('sha256').update(rounded).digest('base64url').slice(0, 8);
}

describe('the exact backend conforms', async () => {
  const cases = await conformance(recorded.backend, { required: true });
  for (const { name, run } of sections(cases.map(watched))) test(name, run);
});

test('every case is listed, with its inputs and its errors', async () => {
  await expect(`${[...found.values()].join('\n')}\n`).toMatchFileSnapshot(file);
});
