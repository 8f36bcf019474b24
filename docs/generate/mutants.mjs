// The table of docs/testing.md, from docs/data/mutants.json, which `npm run mutants` keeps.

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
