import {
  type ContenderResult,
  modes,
  type PerMode,
  type RawResult,
  type RawWorkload,
  type Timed,
  timedKinds,
  type WorkloadResult,
} from './report.js';
import { type Bound, boundsOf } from './roofline.js';
import { isDifference, pairedRatio, type Ratio, timing } from './statistics.js';

/**
 * The statistics of a workload's samples: medians (`timing`), ratios over the baseline (`pairedRatio`) and shares of bounds.
 *
 * @param raw the times in milliseconds per call, as a workload of a report has them: `summarize` of a workload of a report gives the same again
 * @example
 * const [workload] = report.workloads;
 * const { results } = summarize({ ...workload, baseline: 'cpu' });
 * results.map(({ contender, ratios }) => [contender, ratios.reused?.ratio ?? 1]); // [['cpu', 1], ['naive', 2]]
 */
export function summarize(raw: RawWorkload): WorkloadResult {
  const bounds = boundsOf(raw.workload, raw.roofs);
  const baseline = raw.results.find(({ contender }) => contender === raw.baseline);
  const mode = baseline && modes.find((candidate) => baseline.samples[candidate]);
  const base = mode && baseline?.samples[mode];
  const noise = base && raw.control ? pairedRatio(raw.control, base) : null;
  return {
    ...raw,
    bounds,
    noise,
    results: raw.results.map((result) => summarizeResult(result, baseline, noise, bounds)),
  };
}

function summarizeResult(
  result: RawResult,
  baseline: RawResult | undefined,
  noise: Ratio | null,
  bounds: readonly Bound[],
): ContenderResult {
  const timings = perMode((kind) => timing(result.samples[kind] ?? []));
  const ratios = perMode((kind) => {
    if (!baseline || baseline.contender === result.contender) return null;
    const ratio = pairedRatio(result.samples[kind] ?? [], baseline.samples[kind] ?? []);
    return ratio && { ...ratio, significant: isDifference(ratio, noise) };
  });
  const best = timings.reused ?? timings.allocating;
  const bound = tightest(result, bounds);
  return { ...result, timings, ratios, bound: bound && best ? { ...bound, share: bound.ms / best.medianMs } : null };
}

/** The bound of one contender: that of the workload, or the time of the contender's own empty call if that is longer. */
function tightest({ contender, emptyCall }: RawResult, bounds: readonly Bound[]): Bound | null {
  const callMs = timing(emptyCall ?? [])?.medianMs ?? 0;
  const first = bounds.at(0);
  if (!first || callMs > first.ms) return callMs > 0 ? { name: 'call', ms: callMs, from: contender } : null;
  return first;
}

function perMode<T>(value: (kind: Timed) => T | null): PerMode<T> {
  const result: Partial<Record<Timed, T>> = {};
  for (const kind of timedKinds) {
    const made = value(kind);
    if (made !== null) result[kind] = made;
  }
  return result;
}

/** Combines the rounds of several processes that measured the same workload. */
export function mergeProcesses(parts: readonly RawWorkload[]): RawWorkload {
  const [first, ...others] = parts;
  if (first === undefined) throw new Error('no process measured the workload');
  const concat = <T>(
    own: readonly T[] | null | undefined,
    pick: (part: RawWorkload) => readonly T[] | null | undefined,
  ) => (own ? [...own, ...others.flatMap((part) => pick(part) ?? [])] : null);
  const sameAs = (result: RawResult) => (part: RawWorkload) =>
    part.results.find(({ contender }) => contender === result.contender);
  return {
    ...first,
    control: concat(first.control, (part) => part.control),
    roofs: first.roofs.map((roof) => ({
      ...roof,
      samples:
        concat(
          roof.samples,
          (part) => part.roofs.find(({ name, from }) => name === roof.name && from === roof.from)?.samples,
        ) ?? [],
    })),
    results: first.results.map((result) => {
      const find = sameAs(result);
      // A contender that failed in one process counts as failed.
      const failed = [result, ...others.map(find)].find((part) => part !== undefined && part.missing !== null);
      return (
        failed ?? {
          ...result,
          emptyCall: concat(result.emptyCall, (part) => find(part)?.emptyCall),
          samples: perMode((kind) => concat(result.samples[kind], (part) => find(part)?.samples[kind])),
        }
      );
    }),
  };
}
