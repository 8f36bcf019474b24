// The tables of docs/testing.md, from docs/data/mutants.json and named-mutants.json, which `npm run mutants` keeps.

import { table, withBetween } from './markdown.mjs';

/** Scores by package: how many mutants the tests noticed. */
export function mutantsTable(scores) {
  const head = ['package', 'mutants', 'killed', 'survived', 'reached by no test', 'score'];
  const rows = Object.entries(scores).map(([name, { mutants, killed, survived, untested }]) => [
    name,
    mutants,
    killed,
    survived,
    untested,
    `${((100 * killed) / mutants).toFixed(1)} %`,
  ]);
  return table(head, rows);
}

/** The page with the table between its marks. */
export function withMutants(page, scores) {
  const measured = Object.keys(scores).length > 0;
  const content = measured
    ? mutantsTable(scores)
    : 'No package has been measured as a whole yet; the command writes the scores here.';
  return withBetween(page, 'mutants', content, 'docs/testing.md', 'mutants');
}

/** The page with the table of the faults that `npm run mutants -- named` makes. */
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

/** Text that Markdown does not read as markup. */
const cell = (text) => text.replace(/[\\|<>*_`[\]]/g, (mark) => `\\${mark}`);
