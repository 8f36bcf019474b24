import {
  type BenchReport,
  parseNumbers,
  type RawWorkload,
  stringifyReport,
  summarize,
  type WorkloadResult,
} from '@softgrad/bench';
import { SoftgradError } from '@softgrad/core';
import type { Studies, StudyName } from './studies.js';

const names = Object.keys({
  softmax: true,
  slowPeers: true,
  threads: true,
  ops: true,
  withOptions: true,
  composed: true,
  float64: true,
  longRow: true,
  backends: true,
  browser: true,
} satisfies Readonly<Record<StudyName | 'browser', true>>);

/** Studies as JSON: every round, but nothing that can be computed from the rounds, so that the page can be written again from it. */
export function stringifyStudies(studies: Studies): string {
  const reports = names.map((name) => [name, raw(Reflect.get(studies, name))]);
  return stringifyReport({ ...studies, ...Object.fromEntries(reports) });
}

function raw(report: BenchReport | null) {
  return report && { ...report, workloads: report.workloads.map(rawOf) };
}

/** Without the values that `summarize` computes. */
function rawOf({ bounds, noise, results, ...workload }: WorkloadResult): RawWorkload {
  return { ...workload, results: results.map(({ timings, ratios, bound, ...result }) => result) };
}

/** Reads what `stringifyStudies` wrote. @throws ERR_VALUE naming `source` if it is anything else */
export function parseStudies(text: string, source: string): Studies {
  const refuse = (reason: string) =>
    new SoftgradError('ERR_VALUE', `${source}: ${reason}; expected a file of npm run docs:performance`);
  let value: unknown;
  try {
    value = parseNumbers(text);
  } catch (cause) {
    throw refuse(`not JSON: ${cause instanceof Error ? cause.message : cause}`);
  }
  if (typeof value !== 'object' || value === null || !('schema' in value)) throw refuse('no studies');
  if (value.schema !== 'softgrad-studies/1') throw refuse(`studies of schema ${value.schema}`);
  const given = { withOptions: null, ...value };
  const missing = [...names, 'costs', 'callOverhead', 'accuracy', 'waking'].filter(
    (name) => !Object.hasOwn(given, name),
  );
  if (missing.length > 0) throw refuse(`without ${missing.join(', ')}`);
  const reports = names.map((name) => [name, summarized(Reflect.get(given, name))]);
  return { ...(given as unknown as Studies), ...Object.fromEntries(reports) };
}

function summarized(report: BenchReport | null): BenchReport | null {
  return report && { ...report, workloads: report.workloads.map(summarize) };
}
