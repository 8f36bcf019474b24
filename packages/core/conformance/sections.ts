import type { BoundCase } from './run.js';

/** The cases of one section on one backend, as a single test for a test runner. */
export interface ConformanceSection {
  /** `wasm: softmax`; `wasm (composed): laws`; `wasm: lifecycle/close` for the case that closes the backend. */
  readonly name: string;
  /** The cases that apply to the backend; at least one. */
  readonly cases: readonly BoundCase[];
  /**
   * Runs every case, one after another.
   *
   * @throws Error listing the id and the message of each case that failed, with the errors as `cause`
   */
  run(): Promise<void>;
}

/**
 * The suite by sections, for test runners in which a test costs more than a case: about forty tests instead of thousands. Cases that do not
 * apply are left out; {@link skipReasons} counts them.
 *
 * @example
 * import { test } from 'vitest'; // or node:test
 * const cases = await conformance(mine, { required: true });
 * for (const { name, run } of sections(cases)) test(name, run);
 * test('every case applies', () => expect(skipReasons(cases)).toEqual({}));
 */
export function sections(cases: readonly BoundCase[]): readonly ConformanceSection[] {
  // The last case closes the backend, so it stays last, separate from the other cases of its section.
  const last = cases.at(-1);
  const groups = new Map<string, BoundCase[]>();
  for (const c of cases) {
    if (c.skip !== null) continue;
    const name = c === last ? c.name : titleOf(c);
    const group = groups.get(name);
    if (group) group.push(c);
    else groups.set(name, [c]);
  }
  return [...groups].map(([name, applying]) => ({ name, cases: applying, run: () => runAll(applying) }));
}

/**
 * How many cases are skipped, by reason. Assert it for every known device, so that a regression cannot turn into skips.
 *
 * @example
 * 'has no float16' in skipReasons(await conformance(cpu)); // true
 */
export function skipReasons(cases: readonly BoundCase[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { skip } of cases) if (skip !== null) counts[skip] = (counts[skip] ?? 0) + 1;
  return counts;
}

/** A case's name up to its section: `wasm (composed): laws`. */
function titleOf({ name, id, section }: BoundCase): string {
  return name.slice(0, name.length - id.length) + section;
}

async function runAll(cases: readonly BoundCase[]): Promise<void> {
  const failures: { readonly name: string; readonly error: unknown }[] = [];
  for (const { name, run } of cases) {
    try {
      await run();
    } catch (error) {
      failures.push({ name, error });
    }
  }
  if (failures.length === 0) return;
  const lines = failures.map(({ name, error }) => `${name}: ${error instanceof Error ? error.message : String(error)}`);
  throw new Error(`${failures.length} of ${cases.length} cases fail\n${lines.join('\n')}`, {
    cause: failures.map(({ error }) => error),
  });
}
