import { randomFrom } from './inputs.js';

/** What each option can be, by its name. */
export type Levels = Readonly<Record<string, readonly unknown[]>>;

/** One level of every option. */
export type Combination<L extends Levels> = { readonly [Name in keyof L]: L[Name][number] };

export interface CoveringOptions<L extends Levels> {
  /** Which of the many covering arrays: the same seed gives the same one, everywhere. */
  readonly seed: string;
  /** 2 (default): every pair of levels of different options stands together somewhere; 3: every triple. */
  readonly strength?: 2 | 3;
  /** Whether these levels can stand together. Also asked before every option is chosen; what is missing may then still be anything. */
  allowed?(chosen: Partial<Combination<L>>): boolean;
}

/** How many ways of completing a combination are tried, of which the one that covers most is taken. */
const candidates = 2;

/**
 * Combinations in which every pair (triple) of levels that can stand together does: a covering array, made greedily as by Cohen,
 * Dalal, Fredman and Patton, "The AETG system" (IEEE Transactions on Software Engineering 23, 1997). Faults that need one
 * certain setting of two options are met by some 50 combinations where all of them would be millions.
 */
export function coveringArray<L extends Levels>(
  levels: L,
  { seed, strength = 2, allowed = () => true }: CoveringOptions<L>,
): readonly Combination<L>[] {
  const random = randomFrom(seed);
  const names = Object.keys(levels);
  const options = names.map((name) => levels[name]);
  const tuples = createTuples(options, strength);
  const chosen: Record<string, unknown> = {};
  const isAllowed = () => allowed(chosen as Partial<Combination<L>>);
  const choose = (level: number) => {
    const option = tuples.optionOf(level);
    chosen[names[option]] = options[option][level - tuples.first[option]];
  };

  /** Chooses for the options of `order` the level that covers most, one by one, going back where nothing is allowed. */
  function fill(choice: Choice, order: readonly number[], next = 0): boolean {
    if (next === order.length) return true;
    const option = order[next];
    const ranked = options[option]
      .map((_, k) => tuples.first[option] + k)
      .map((level) => ({ level, gain: tuples.gain(choice, level), tie: random() }))
      .sort((a, b) => b.gain - a.gain || a.tie - b.tie);
    for (const { level } of ranked) {
      choose(level);
      choice[option] = level;
      if (isAllowed() && fill(choice, order, next + 1)) return true;
    }
    choice[option] = open;
    delete chosen[names[option]];
    return false;
  }

  /** A combination with these levels in it, or null where there is none. */
  function complete(tuple: readonly number[]): Choice | null {
    for (const name of names) delete chosen[name];
    const choice = names.map(() => open);
    const forced = names.flatMap((_, option) => (options[option].length === 1 ? [tuples.first[option]] : []));
    for (const level of [...tuple, ...forced]) {
      choice[tuples.optionOf(level)] = level;
      choose(level);
    }
    const rest = names.flatMap((_, option) => (choice[option] === open ? [{ option, place: random() }] : []));
    const order = rest.sort((a, b) => a.place - b.place).map(({ option }) => option);
    return isAllowed() && fill(choice, order) ? choice : null;
  }

  const array: Combination<L>[] = [];
  tuples.forEach((tuple) => {
    let best: Choice | null = null;
    let most = 0;
    for (let n = 0; n < candidates && !tuples.isCovered(tuple); n++) {
      const candidate = complete(tuple);
      if (!candidate) return;
      const covered = tuples.uncovered(candidate);
      if (covered > most) {
        most = covered;
        best = candidate;
      }
    }
    if (best === null) return;
    tuples.cover(best);
    array.push(combinationOf<L>(best, names, levels, tuples.first));
  });
  return array;
}

/** The level chosen for each option. Levels are numbered through all options, in order; `open` stands for none. */
type Choice = number[];
const open = -1;

function combinationOf<L extends Levels>(
  choice: Choice,
  names: readonly string[],
  levels: L,
  first: readonly number[],
): Combination<L> {
  const entries = choice.map((level, k) => [names[k], levels[names[k]][level - first[k]]] as const);
  return Object.fromEntries(entries) as Combination<L>;
}

/** Which pairs or triples of levels are covered. */
function createTuples(options: readonly (readonly unknown[])[], strength: 2 | 3) {
  const first = options.map((_, k) => options.slice(0, k).reduce((count, { length }) => count + length, 0));
  const count = options.reduce((sum, { length }) => sum + length, 0);
  const optionOfLevel = options.flatMap(({ length }, option) => new Array<number>(length).fill(option));
  const covered = new Uint8Array(count ** strength);
  const isOpen = (level: number) => level === open;

  /** Levels in ascending order as the digits of a number. */
  const pair = (a: number, b: number) => (a < b ? a * count + b : b * count + a);
  function triple(a: number, b: number, c: number): number {
    const low = Math.min(a, b, c);
    const high = Math.max(a, b, c);
    return (low * count + (a + b + c - low - high)) * count + high;
  }

  function visit(choice: Choice, each: (key: number) => void): void {
    choice.forEach((a, i) => {
      for (let j = i + 1; j < choice.length; j++) {
        if (strength === 2) each(pair(a, choice[j]));
        else for (let k = j + 1; k < choice.length; k++) each(triple(a, choice[j], choice[k]));
      }
    });
  }

  function forEach(each: (tuple: readonly number[]) => void): void {
    const extend = (tuple: readonly number[], option: number): void => {
      if (tuple.length === strength) {
        each(tuple);
        return;
      }
      for (let k = option; k < options.length; k++) {
        for (let level = 0; level < options[k].length; level++) extend([...tuple, first[k] + level], k + 1);
      }
    };
    extend([], 0);
  }

  return {
    first,
    forEach,
    optionOf: (level: number) => optionOfLevel[level],
    isCovered: ([a, b, c]: readonly number[]) => covered[strength === 2 ? pair(a, b) : triple(a, b, c)] === 1,
    /** How many tuples a level would be the first to cover, with the levels chosen for other options. */
    gain(choice: Choice, level: number): number {
      let gained = 0;
      for (let i = 0; i < choice.length; i++) {
        if (isOpen(choice[i])) continue;
        if (strength === 2) gained += 1 - covered[pair(choice[i], level)];
        else
          for (let j = i + 1; j < choice.length; j++) {
            if (!isOpen(choice[j])) gained += 1 - covered[triple(choice[i], choice[j], level)];
          }
      }
      return gained;
    },
    uncovered(choice: Choice): number {
      let missing = 0;
      visit(choice, (key) => {
        missing += 1 - covered[key];
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
