import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { testSelection } from '../../../conformance.shared.js';
import { delegate } from '../conformance/delegate.js';
import { type BoundCase, conformance, exact, sections } from '../conformance/index.js';
import type { Backend } from '../src/index.js';
import { recording } from './recording.js';
import { remembering } from './remembering.js';

/**
 * A line for each case: a digest of its inputs and calls, the number of arrays that it reads, a digest of its errors when one number in an array is
 * wrong, and its id. After a change of the suite, `SOFTGRAD_EVERYTHING=1 npx vitest run test/conformance.test.ts -u` writes the file anew; the next run uses it.
 */
const file = 'conformance-cases.txt';
const path = new URL(file, import.meta.url);
const lines = existsSync(path) ? readFileSync(path, 'utf8').trimEnd().split('\n') : [];
const listed = new Map(lines.map((line) => [line.split(' ').at(-1), line]));
/** The lines that this run finds, in the order of the suite; those of cases that it leaves out are the listed ones. */
const found = new Map<string, string>();
// What one wrong number changes are the errors: the kernels compute the same as before.
const remembered = remembering((await exact.open()) as Backend);
const recorded = recording(remembered.backend);

/** Compares the line of a case. */
function check(id: string, line: string): void {
  if (!found.get(id)) found.set(id, line);
  expect(line).toBe(listed.get(id));
}

function isWatched({ id, name }: BoundCase): boolean {
  return name.startsWith('exact: ') && id !== 'lifecycle/close';
}

/** The case with its line compared. What it does on a backend without fused kernels is not recorded. */
function watched(bound: BoundCase): BoundCase {
  if (!isWatched(bound)) return bound;
  const { id } = bound;
  const run = async () => {
    recorded.start();
    remembered.start();
    await bound.run();
    const inputs = recorded.digest();
    check(id, `${inputs} ${recorded.reads.length} ${await errorsOf(bound, recorded.reads)} ${id}`);
  };
  return { ...bound, run };
}

/** The message of the error that a run rejects with. */
async function said(run: Promise<void>): Promise<string> {
  return run.then(
    () => 'passes',
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
}

/** Of errors, with few digits of their numbers. */
function digestOf(errors: readonly string[]): string {
  const rounded = errors.join('\n').replace(/\d+(\.\d+)?(e[-+]?\d+)?/g, (digits) => Number(digits).toPrecision(4));
  return createHash('sha256').update(rounded).digest('base64url').slice(0, 8);
}

/** A digest of the errors of a case in which one number is wrong: in each array that it reads, or in one of many. */
async function errorsOf({ id, run }: BoundCase, lengths: readonly number[]): Promise<string> {
  const seed = createHash('sha256').update(id).digest().readUInt32LE();
  const isLong = lengths.length > 6 || lengths.reduce((sum, length) => sum + length, 0) > 2000;
  const tried = isLong ? [seed % lengths.length] : [...lengths.keys()];
  const errors: string[] = [];
  for (const read of tried.filter((k) => lengths[k] > 0)) {
    recorded.start(read, seed);
    remembered.repeat();
    errors.push(await said(run()));
  }
  return digestOf(errors);
}

describe('the exact backend conforms', async () => {
  const cases = await conformance(recorded.backend, { required: true });
  const all = cases.map(watched);
  const wholeSections = ['basis', 'laws', 'row-groups/beside-nan', 'row-groups/many'];
  const chosen = new Set(testSelection(all, { covering: 1517, composedCases: 213, wholeSections }));
  for (const { name, run } of sections([...chosen])) test(name, run);

  for (const one of all.filter((one) => one.skip === null && isWatched(one)))
    found.set(one.id, chosen.has(one) ? '' : (listed.get(one.id) ?? 'missing'));
});

describe('cases about what a backend lacks, on one that announces every weakness and has none', async () => {
  const right = (await exact.open()) as Backend;
  const { basis: _, kernels: __, readSync: ___, view: ____, ...least } = delegate(right, {});
  const supports = {
    ...right.supports,
    dtypes: ['float32'],
    inPlace: false,
    subnormals: 'flush',
    nonFinite: 'unspecified',
    range: 'ordinary',
  } as const;
  const weak = recording({ ...least, supports } as Backend);
  const known = new Set((await conformance(exact)).flatMap(({ id, skip }) => (skip === null ? [id] : [])));
  for (const { id, skip, run } of await conformance(weak.backend, { composed: false })) {
    if (skip !== null || known.has(id)) continue;
    test(id, async () => {
      weak.start();
      const error = await said(run());
      check(id, `${weak.digest()} ${weak.reads.length} ${digestOf([error])} ${id}`);
    });
  }
});

test('every case is listed, with its inputs and its errors', async () => {
  await expect(`${[...found.values()].join('\n')}\n`).toMatchFileSnapshot(file);
});
