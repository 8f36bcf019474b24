// The table of docs/testing.md, from docs/data/mutants.json, which `npm run mutants` keeps.

const line = (cells) => `| ${cells.join(' | ')} |`;

/** Scores by package: how many mutants the tests noticed. */
export function mutantsTable(scores) {
  const head = ['package', 'mutants', 'killed', 'survived', 'reached by no test', 'score'];
  const rows = Object.entries(scores).map(([name, { mutants, killed, survived, untested }]) =>
    line([name, mutants, killed, survived, untested, `${((100 * killed) / mutants).toFixed(1)} %`]),
  );
  return [line(head), line(head.map(() => '---')), ...rows].join('\n');
}

/** The page with the table between its marks. */
export function withMutants(page, scores) {
  const [begin, end] = ['<!-- mutants: begin -->', '<!-- mutants: end -->'];
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error('docs/testing.md has no place for the table of mutants');
  const measured = Object.keys(scores).length > 0;
  const content = measured
    ? mutantsTable(scores)
    : 'No package has been measured as a whole yet; the command writes the scores here.';
  return `${page.slice(0, from + begin.length)}\n${content}\n${page.slice(to)}`;
}
