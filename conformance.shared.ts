import { expect, inject, test } from 'vitest';

/** Conformance cases that a test does not run. */
export interface LeftOut {
  readonly ids: RegExp;
  /** How many cases these are, without those that do not apply to the backend and without those of an earlier entry. */
  readonly cases: number;
  /** What proves the same, or why nothing is proved. */
  readonly because: string;
}

/** How much of the suite a backend runs. */
export interface Selection {
  /** Cases that it does not run. */
  readonly leftOut?: readonly LeftOut[];
  /** How many of the others `npm test` runs, if not all of them: one of each property, or a covering selection. Where `composedCases` is given, of those with fused kernels. */
  readonly onePerProperty?: number;
  readonly covering?: number;
  /** Besides these, every case of these sections or properties. */
  readonly wholeSections?: readonly string[];
  /** Cases that such a selection does not choose, because other cases run their kernels: `npm run test:all` runs them. */
  readonly leftToAll?: RegExp;
  /** How many of those that run without fused kernels `npm test` runs, if they have a selection of their own: {@link fewerComposed}. */
  readonly composedCases?: number;
}

interface Case {
  readonly id: string;
  /** The id behind the backend's name and how operations run: `wasm (composed): ID`. */
  readonly name: string;
  readonly skip: string | null;
}

/** The cases that apply and are not left out, and the entries with their number of cases as it is. */
export function select<C extends Case>(
  cases: readonly C[],
  leftOut: readonly LeftOut[],
): { readonly selected: readonly C[]; readonly leftOut: readonly LeftOut[] } {
  const counts = leftOut.map(() => 0);
  const selected = cases.filter(({ id, skip }) => {
    if (skip !== null) return false;
    const entry = leftOut.findIndex(({ ids }) => ids.test(id));
    if (entry >= 0) counts[entry]++;
    return entry < 0;
  });
  return { selected, leftOut: leftOut.map((entry, i) => ({ ...entry, cases: counts[i] })) };
}

/** Sections about what a device and its browser do, rather than about an operation. */
const aboutDevices: readonly string[] = ['storage', 'lifecycle', 'supports'];

/**
 * Every case about storage, lifecycle and `supports` and of `wholeSections`, and one case of each other property of each operation: with rows that are contiguous and
 * rows that are not, for softmax. For a browser whose engine runs the programs that another test runs with every shape and option.
 */
export function onePerProperty<C extends Case & { readonly section: string }>(
  cases: readonly C[],
  wholeSections: readonly string[] = [],
): readonly C[] {
  const found = new Set<string>();
  return cases.filter(({ id, section }) => {
    if (aboutDevices.includes(section) || isOneOf(id, wholeSections)) return true;
    const [property] = id.split(/[:;]/);
    const axis = section === 'softmax' ? (/axis=\d/.exec(id)?.[0] ?? '') : '';
    return found.size !== found.add(`${property} ${axis}`).size;
  });
}

/**
 * The cases that a backend runs: those that are not left out, and in `npm test` a selection of them, if the backend has one. Tests assert what is left out and how
 * many remain.
 */
export function testSelection<C extends Case & { readonly section: string }>(
  cases: readonly C[],
  { leftOut = [], onePerProperty: properties, covering: features, wholeSections, leftToAll, composedCases }: Selection,
): readonly C[] {
  const { selected: all, leftOut: found } = select(cases, leftOut);
  test('the cases that are not run are those listed', () => expect(found).toEqual(leftOut));
  if (inject('everything')) return all;
  const hasOwn = composedCases !== undefined;
  const composed = hasOwn ? fewerComposed(all.filter(isComposed)) : [];
  if (hasOwn) {
    test('of those without fused kernels, a selection is run', () => expect(composed).toHaveLength(composedCases));
  }
  const others = hasOwn ? all.filter((one) => !isComposed(one)) : all;
  const count = properties ?? features;
  const choose = properties === undefined ? covering<C> : onePerProperty<C>;
  const chosen =
    count === undefined
      ? others
      : choose(
          others.filter(({ id }) => leftToAll?.test(id) !== true),
          wholeSections,
        );
  if (count !== undefined) test('of the others, a selection is run', () => expect(chosen).toHaveLength(count));
  const run = new Set([...composed, ...chosen]);
  return all.filter((one) => run.has(one));
}

/** Sections whose cases combine options, sizes or results of operations that other sections test alone. */
const combining: readonly string[] = ['combinations', 'laws', 'row-groups'];

/**
 * Of the cases without fused kernels, one of each property of an operation, and all of float16 about one. Without fused kernels every backend runs the same formulas of core,
 * with its own primitives: on cpu, which has no float16, they run with every shape, option and combination.
 */
export function fewerComposed<C extends Case & { readonly section: string }>(composed: readonly C[]): readonly C[] {
  const alone = composed.filter(({ id }) => !combining.some((section) => id.startsWith(`${section}/`)));
  const chosen = new Set(onePerProperty(alone));
  return alone.filter((one) => chosen.has(one) || one.id.endsWith('dtype=float16'));
}

function isComposed({ id, name }: Case): boolean {
  return name.endsWith(`(composed): ${id}`);
}

/**
 * A selection of which every feature of every case has a case: its property along each axis, and each option and shape of its section; and every case of `wholeSections`. For engines on
 * which most of the time goes into compiling, or whose kernels have one code for all sizes: cases that are left out repeat what others show, with the same kernels.
 */
export function covering<C extends Case>(cases: readonly C[], wholeSections: readonly string[] = []): readonly C[] {
  const covered = new Set<string>();
  return cases.filter((one) => {
    const before = covered.size;
    for (const feature of featuresOf(one)) covered.add(feature);
    return covered.size > before || isOneOf(one.id, wholeSections);
  });
}

/** Whether a case belongs to one of these sections or properties. */
function isOneOf(id: string, names: readonly string[]): boolean {
  return names.some((name) => id.startsWith(`${name}/`) || id.startsWith(`${name}:`));
}

/** For `cross-entropy/loss:target=indices;axis=1;…`: `cross-entropy/loss axis=1`, `cross-entropy target=indices` and so on. */
function featuresOf({ id, name }: Case): readonly string[] {
  const [property, ...parameters] = id.split(/[:;]/);
  const [section] = property.split('/');
  const axis = parameters.find((parameter) => parameter.startsWith('axis=')) ?? '';
  const kind = name.slice(0, name.length - id.length);
  const options = parameters.filter((parameter) => parameter !== axis);
  return [`${property} ${axis}`, ...options.map((option) => `${section} ${option}`)].map(
    (feature) => `${kind}${feature}`,
  );
}

/** Sections whose cases compute. */
const computing = [
  'softmax',
  'vjp',
  'jacobian',
  'basis',
  'log-softmax',
  'log-sum-exp',
  'sigmoid',
  'relu',
  'cross-entropy',
  'extremes',
  'row-groups',
];

/** A case that can run. */
interface Runnable extends Case {
  readonly section: string;
  run(): Promise<void>;
}

/**
 * Tests each section that computes on a backend of its own: the suite runs on a single backend, where an operation could be right only because of what
 * an earlier one left behind.
 *
 * @param title of a test, with %s for the section
 * @param open opens a new backend and returns the suite's cases on it
 * @param choose the cases of a section that run
 * @param least how many these are at least
 */
export function testEachAfresh(
  title: string,
  open: () => Promise<{ readonly cases: readonly Runnable[]; close(): void | Promise<void> }>,
  choose: (cases: readonly Runnable[]) => readonly Runnable[] = onePerProperty,
  least = 1,
): void {
  test.each(computing)(title, async (section) => {
    const { cases, close } = await open();
    const own = cases.filter((one) => one.section === section);
    const chosen = choose(select(own, []).selected);
    expect(chosen.length).toBeGreaterThanOrEqual(least);
    for (const { run } of chosen) await run();
    await close();
  });
}
