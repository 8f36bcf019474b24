import { writeFileSync } from 'node:fs';
import { afterAll, describe, expect, inject, test } from 'vitest';
import { explanations } from '../src/catalogue.js';
import { diagnose } from '../src/index.js';
import { type Case, cases } from './cases.js';

/**
 * `SOFTGRAD_CASES=all npx vitest run test/confusion.test.ts` asks all of them and prints the matrix; by default a sample is asked. `npm test` asks at most a dozen
 * of it about each mistake, and of what is right with each noise.
 * `npm run docs:doctor` sets SOFTGRAD_WRITE_MATRIX, to the file that docs/doctor.md is made from.
 */
const all = process.env.SOFTGRAD_CASES === 'all';
const output = process.env.SOFTGRAD_WRITE_MATRIX;

/** How often a truth was named under a noise, of how many cases, and what else the verdicts were. */
interface Cell {
  named: number;
  cases: number;
}

interface Row {
  readonly cells: Map<string, Cell>;
  readonly taken: Map<string, number>;
  /** What is said of right numbers, where that is wrong. */
  readonly wronged: string[];
}

// A mistake that is added to the catalogue has to be generated, too.
const known = [...explanations.map(({ id }) => id), 'gradient-clipped', 'one-row', 'saturated', 'scaled', 'unknown'];
const pairs = [
  'squared error or J again',
  'squared error or the slope again',
  'binary cross-entropy, meant or not',
  'logarithm missing, or a loss of probabilities',
  'distillation or temperature',
  'rows skipped or left out',
  'rows rescaled or weighted',
];
const truths = [...new Set([...known, ...pairs])].sort();

const sample = [...cases(!all)];
const asked = all || inject('everything') ? sample : fewer(sample);

/** What is right is asked so often that there is a group for each noise. */
const groups = new Map<string, Case[]>();
for (const one of asked) {
  groups.set(groupOf(one), [...(groups.get(groupOf(one)) ?? []), one]);
}

function groupOf({ truth, noise }: Case): string {
  return truth === 'right' ? `right (${noise})` : truth;
}

/** At most twelve cases of each group, at equal distances in the sample. */
function fewer(sample: readonly Case[]): readonly Case[] {
  const all = new Map<string, number>();
  for (const one of sample) all.set(groupOf(one), (all.get(groupOf(one)) ?? 0) + 1);
  const before = new Map<string, number>();
  return sample.filter((one) => {
    const group = groupOf(one);
    const which = before.get(group) ?? 0;
    before.set(group, which + 1);
    return which % Math.ceil((all.get(group) ?? 0) / 12) === 0;
  });
}

function answer({ truth, input, among }: Case): string {
  const { verdict, matches } = diagnose(input);
  const both = among && verdict === 'ambiguous' && among.every((id) => matches.some((match) => match.id === id));
  if (both) return truth;
  return verdict === 'ambiguous' && matches.some(({ id }) => id === 'right') ? 'ambiguous with right' : verdict;
}

function rowOf(group: readonly Case[]): Row {
  const row: Row = { cells: new Map(), taken: new Map(), wronged: [] };
  for (const one of group) {
    const { truth, noise, among } = one;
    const cell = row.cells.get(noise) ?? { named: 0, cases: 0 };
    const verdict = answer(one);
    cell.cases++;
    if (verdict === truth) cell.named++;
    else row.taken.set(`${verdict} (${noise})`, (row.taken.get(`${verdict} (${noise})`) ?? 0) + 1);
    const harmless = [truth, 'right', 'ambiguous with right', 'unknown', 'saturated', 'underflow'];
    if ((truth === 'right' || among?.includes('right')) && !harmless.includes(verdict))
      row.wronged.push(`${verdict} (${noise})`);
    row.cells.set(noise, cell);
  }
  return row;
}

describe('in at least 99 % of its cases a mistake is named, and what is right is never called a mistake', () => {
  const rows = new Map<string, Row>();
  afterAll(() => {
    if (all) console.log(matrixOf(rows));
    if (all && output) writeFileSync(output, `${JSON.stringify(recordOf(rows), null, 1)}\n`);
  });

  test('there are cases of every explanation', () => {
    expect([...new Set(asked.map(({ truth }) => truth))].sort()).toEqual(truths);
    expect(asked.length).toBeGreaterThanOrEqual(all ? 4000 : inject('everything') ? 1400 : 700);
  });

  // All of them take minutes.
  test.each([...groups])(
    '%s',
    (_, group) => {
      const row = rowOf(group);
      for (const { truth } of group.slice(0, 1)) rows.set(truth, together(rows.get(truth), row));
      expect(row.wronged).toEqual([]);
      const { named, cases: all } = sumOf(row.cells);
      expect(named / all, JSON.stringify([...row.taken])).toBeGreaterThanOrEqual(0.99);
    },
    3_600_000,
  );
});

/** A row with the noises of another one. */
function together(one: Row | undefined, other: Row): Row {
  return {
    cells: new Map([...(one?.cells ?? []), ...other.cells]),
    taken: new Map([...(one?.taken ?? []), ...other.taken]),
    wronged: [...(one?.wronged ?? []), ...other.wronged],
  };
}

function sumOf(cells: Row['cells']): Cell {
  const sum = { named: 0, cases: 0 };
  for (const { named, cases: asked } of cells.values()) {
    sum.named += named;
    sum.cases += asked;
  }
  return sum;
}

/** The matrix as data: for each truth, the cases and those that were named by noise, and what the others were taken for. */
function recordOf(rows: ReadonlyMap<string, Row>) {
  return [...rows].map(([truth, { cells, taken }]) => ({
    truth,
    cells: Object.fromEntries(cells),
    taken: Object.fromEntries(taken),
  }));
}

/** A line for each truth: of how many cases how many were named, by noise, and what the others were taken for. */
function matrixOf(rows: ReadonlyMap<string, Row>): string {
  const noises = [...(rows.get('right')?.cells.keys() ?? [])];
  const lines = [...rows].map(([truth, { cells, taken }]) => {
    const shares = noises.map((noise) => {
      const { named = 0, cases: asked = 0 } = cells.get(noise) ?? {};
      return `${named}/${asked}`.padStart(11);
    });
    const { named, cases: asked } = sumOf(cells);
    const others = [...taken].map(([verdict, times]) => `${verdict} ${times}`).join(', ');
    return `${truth.padEnd(28)}${`${named}/${asked}`.padStart(11)}${shares.join('')}  ${others}`;
  });
  const all = [...rows.values()].map(({ cells }) => sumOf(cells));
  const total = `${all.reduce((sum, { named }) => sum + named, 0)}/${all.reduce((sum, { cases: asked }) => sum + asked, 0)}`;
  return [
    `${'truth'.padEnd(28)}${'all'.padStart(11)}${noises.map((noise) => noise.padStart(11)).join('')}`,
    ...lines,
    `${'all'.padEnd(28)}${total.padStart(11)}`,
  ].join('\n');
}
