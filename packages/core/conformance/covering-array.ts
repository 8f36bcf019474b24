import { randomFrom } from './inputs.js';

/** The levels of each option, by its name. */
export type Levels = Readonly<Record<string, readonly unknown[]>>;

/** One level of every option. */
export type Combination<L extends Levels> = { readonly [Name in keyof L]: L[Name][number] };

export interface CoveringOptions<L extends Levels> {
  /** The same seed always gives the same covering array. */
  readonly seed: string;
  /** 2 (default): every pair of levels of different options occurs in a combination; 3: every triple. */
  readonly strength?: 2 | 3;
  /** Whether these levels can be combined. Also called before every option is chosen; options without a level may still get any. */
  allowed?(chosen: Partial<Combination<L>>): boolean;
}

/** How many completions of a combination are tried. The one that covers most is taken. */
const candidates = 2;

/**
 * Combinations that contain every allowed pair (triple) of levels: a covering array, made greedily as by Cohen,
 * Dalal, Fredman and Patton, "The AETG system" (IEEE Transactions on Software Engineering 23, 1997). About 50 combinations
 * find every fault that depends on two options, where all combinations would be millions.
 */
export function coveringArray<L extends Levels>(
  levels: L,
  { seed, strength = 2, allowed = () => true }: CoveringOptions<L>,
): readonly Combination<L>[] {
  const random = randomFrom(seed);
  const options = numbered(levels);
  const tuples = createTuples(options, strength);
  const chosen: Record<string, unknown> = {};
  const isAllowed = () => allowed(chosen as Partial<Combination<L>>);

  function choose(choice: Choice, { name, place, number, value }: Level): void {
    choice[place] = number;
    chosen[name] = value;
  }

  /** Chooses the level that covers most for each of these options in turn, backtracking if no level is allowed. */
  function fill(choice: Choice, [option, ...others]: readonly Option[]): boolean {
    if (option === undefined) return true;
    const ranked = option.levels
      .map((level) => ({ level, gain: tuples.gain(choice, level.number), tie: random() }))
      .sort((a, b) => b.gain - a.gain || a.tie - b.tie);
    for (const { level } of ranked) {
      choose(choice, level);
      if (isAllowed() && fill(choice, others)) return true;
    }
    choice[option.place] = open;
    delete chosen[option.name];
    return false;
  }

  /** A combination with these levels, or null if none is allowed. */
  function complete(tuple: readonly Level[]): Candidate<L> | null {
    for (const { name } of options) delete chosen[name];
    const choice = options.map(() => open);
    const forced = options.flatMap((option) => (option.levels.length === 1 ? option.levels : []));
    for (const level of [...tuple, ...forced]) choose(choice, level);
    const rest = options.flatMap((option) => (choice[option.place] === open ? [{ option, place: random() }] : []));
    const order = rest.sort((a, b) => a.place - b.place).map(({ option }) => option);
    if (!isAllowed() || !fill(choice, order)) return null;
    const inOrder = options.map(({ name }) => [name, chosen[name]] as const);
    return { choice, combination: Object.fromEntries(inOrder) as Combination<L> };
  }

  const array: Combination<L>[] = [];
  tuples.forEach((tuple) => {
    let best: Candidate<L> | null = null;
    let most = 0;
    for (let n = 0; n < candidates && !tuples.isCovered(tuple); n++) {
      const candidate = complete(tuple);
      if (!candidate) return;
      const covered = tuples.uncovered(candidate.choice);
      if (covered > most) {
        most = covered;
        best = candidate;
      }
    }
    if (best === null) return;
    const { choice, combination }: Candidate<L> = best;
    tuples.cover(choice);
    array.push(combination);
  });
  return array;
}

/** One level of one option. They are numbered through all options, in order. */
interface Level {
  readonly name: string;
  /** The option's position among all options. */
  readonly place: number;
  readonly number: number;
  readonly value: unknown;
}

interface Option {
  readonly name: string;
  readonly place: number;
  readonly levels: readonly Level[];
}

/** The number of the level chosen for each option; `open` if none is chosen yet. */
type Choice = number[];
const open = -1;

interface Candidate<L extends Levels> {
  readonly choice: Choice;
  readonly combination: Combination<L>;
}

function numbered(levels: Levels): readonly Option[] {
  let next = 0;
  return Object.entries(levels).map(([name, values], place) => ({
    name,
    place,
    levels: values.map((value) => ({ name, place, number: next++, value })),
  }));
}

/** The set of pairs or triples of levels that are covered. */
function createTuples(options: readonly Option[], strength: 2 | 3) {
  const count = options.reduce((sum, { levels }) => sum + levels.length, 0);
  const covered = new Uint8Array(count ** strength);

  /** Levels in ascending order as the digits of a number. */
  const pair = (a: number, b: number) => (a < b ? a * count + b : b * count + a);
  function triple(a: number, b: number, c: number): number {
    const low = Math.min(a, b, c);
    const high = Math.max(a, b, c);
    return (low * count + (a + b + c - low - high)) * count + high;
  }

  /** Pairs or triples of a choice. Levels of later options have larger numbers; `open` is below all of them. */
  function visit(choice: Choice, each: (key: number) => void): void {
    for (const a of choice) {
      for (const b of choice) {
        if (b <= a) continue;
        if (strength === 2) each(pair(a, b));
        else for (const c of choice) if (c > b) each(triple(a, b, c));
      }
    }
  }

  function forEach(each: (tuple: readonly Level[]) => void): void {
    const extend = (tuple: readonly Level[], from: number): void => {
      if (tuple.length === strength) {
        each(tuple);
        return;
      }
      for (const { place, levels } of options.slice(from)) {
        for (const level of levels) extend([...tuple, level], place + 1);
      }
    };
    extend([], 0);
  }

  return {
    forEach,
    isCovered: (tuple: readonly Level[]) => covered[tuple.reduce((key, { number }) => key * count + number, 0)] === 1,
    /** How many tuples a level would be the first to cover, with the levels chosen for other options. */
    gain(choice: Choice, level: number): number {
      let gained = 0;
      for (const a of choice) {
        if (a === open) continue;
        if (strength === 2) gained += covered[pair(a, level)] === 0 ? 1 : 0;
        else for (const b of choice) if (b > a && covered[triple(a, b, level)] === 0) gained++;
      }
      return gained;
    },
    uncovered(choice: Choice): number {
      let missing = 0;
      visit(choice, (key) => {
        if (covered[key] === 0) missing++;
      });
      return missing;
    },
    cover(choice: Choice): void {
      visit(choice, (key) => {
        covered[key] = 1;
      });
    },
  };
}
