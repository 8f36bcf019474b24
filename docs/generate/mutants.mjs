// The tables of docs/testing.md, from docs/data/mutants.json and named-mutants.json, which `npm run mutants` writes.

import { table, withBetween } from './markdown.mjs';

/** The scores of packages: the share of killed mutants among all that were tried, and among those that are not listed as equivalent. */
export function mutantsTable(scores) {
  const head = [
    'package',
    'mutants',
    'at load',
    'killed',
    'survived',
    'reached by no test',
    'score',
    'equivalent',
    'score of the others',
  ];
  const percent = (killed, mutants) => `${((100 * killed) / mutants).toFixed(1)} %`;
  const rows = Object.entries(scores).map(([name, score]) => {
    const {
      mutants,
      of = mutants,
      killed,
      survived,
      untested,
      equivalent = 0,
      atLoad = 0,
      unchanged,
      untried = 0,
      upTo,
      testsEach,
      oneCaseOf,
    } = score;
    const limits = [
      ...(oneCaseOf === undefined ? [] : [`one of ${oneCaseOf} conformance cases`]),
      ...(testsEach === undefined ? [] : [`${testsEach} tests a mutant`]),
      ...(upTo === undefined ? [] : [`tests up to ${upTo} ms`]),
    ];
    return [
      [name, ...limits].join(', '),
      tried({ mutants: mutants + atLoad, of, unchanged, untried }),
      atLoad,
      killed,
      survived,
      untested,
      percent(killed, mutants),
      equivalent,
      percent(killed, mutants - equivalent),
    ];
  });
  return table(head, rows);
}

/** How many mutants a score is about. Only kernels have mutants that do not compile, or that compile to the same program. */
function tried({ mutants, of, unchanged, untried }) {
  if (unchanged === undefined) return of === mutants ? of : `sample of ${mutants} of ${of}`;
  return `${mutants}, and ${unchanged} without effect${untried === 0 ? '' : `; ${untried} not tried yet`}`;
}

/** The page with the table inserted between its marks. */
export function withMutants(page, scores) {
  const measured = Object.keys(scores).length > 0;
  const content = measured
    ? mutantsTable(scores)
    : 'No package has been measured as a whole yet; the command writes the scores here.';
  return withBetween(page, 'mutants', content, 'docs/testing.md', 'mutants');
}

/** The page with the table of the faults that `npm run mutants -- named` tries. */
export function withNamedMutants(page, results) {
  const rows = results.map(({ package: name, file, what, shows, killedBy }) => [
    `${name}/${file}`,
    what,
    shows,
    killedBy === null ? '**no test**' : cell(killedBy),
  ]);
  const content = table(['where', 'fault', 'input that shows it', 'killed by'], rows);
  return withBetween(page, 'named mutants', content, 'docs/testing.md', 'named mutants');
}

/** Escapes Markdown. */
const cell = (text) => text.replace(/[\\|<>*_`[\]]/g, (mark) => `\\${mark}`);
