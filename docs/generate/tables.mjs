// The tables of docs/choose-a-backend.md, from what backends announce and from the measurements of docs/performance.md.
import { formatMs } from '@softgrad/bench';
import { table, withBetween } from './markdown.mjs';

export function capabilitiesTable(backends) {
  const head = ['backend', 'device in Node here', 'dtypes', 'results are read', 'NaN and ±Infinity', 'subnormals'];
  const rows = backends.map(({ name, reason, device, dtypes, read, nonFinite, subnormals }) =>
    reason === null
      ? [name, device, dtypes.join(', '), read, nonFinite, subnormals]
      : [name, `not here: ${reason}`, '', '', '', ''],
  );
  return table(head, rows);
}

/** Times and ratios if a backend was timed, otherwise counts of dispatches if it counts them, otherwise a dash. */
export function speedTable(backends, { backends: report }) {
  const { workloads } = report;
  const name = ({ workload: { op, shape } }) => `${op} (${shape.join(', ')})`;
  const rows = backends.map((backend) => [backend.name, ...workloads.map((result) => cell(backend, result))]);
  return table(['backend', ...workloads.map(name)], rows);
}

function cell({ name, dispatches }, { workload: { op }, baseline, results }) {
  const line = results.find(({ contender }) => contender === name);
  const ms = line?.timings.reused?.medianMs;
  if (ms !== undefined) {
    const ratio = line.ratios.reused;
    return ratio ? `${formatMs(ms)}, ${(1 / ratio.ratio).toPrecision(2)}× ${baseline}` : formatMs(ms);
  }
  if (line?.missing) return line.missing;
  const count = dispatches?.[op];
  return count === undefined ? '–' : `${count} dispatch${count === 1 ? '' : 'es'}`;
}

/** The page with each table inserted between its marks. */
export function withTables(page, backends, studies) {
  const { environment, settings } = studies.backends;
  const quick = studies.quick ? ' It was a quick run: its numbers decide nothing.' : '';
  const where = `Median times of a call with a reused output on ${environment.processor}, ${environment.runtime.split(',')[0]}, on ${environment.date.slice(0, 10)}, in ${settings.rounds} interleaved rounds, and how many times as fast as plain loops with Math.exp.${quick}`;
  const tables = {
    capabilities: capabilitiesTable(backends),
    speed: `${where}\n\n${speedTable(backends, studies)}`,
  };
  return Object.entries(tables).reduce((text, [mark, content]) => {
    return withBetween(text, mark, content, 'docs/choose-a-backend.md', mark);
  }, page);
}
