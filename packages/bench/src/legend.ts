import { type BenchReport, timedKinds } from './report.js';

/**
 * What the columns of the tables of a report mean, one line for each that the tables have.
 *
 * @example
 * describeColumns(report)[1]; // 'first call: from data on the host, with nothing loaded or compiled'
 */
export function describeColumns({ workloads }: BenchReport): readonly string[] {
  const results = workloads.flatMap((workload) => workload.results).filter(({ missing }) => missing === null);
  if (results.length === 0) return [];
  const timed = timedKinds.filter((kind) => results.some(({ timings }) => timings[kind]));
  const baselines = [...new Set(workloads.flatMap(({ baseline }) => baseline ?? []))];
  const ifAny = (isShown: boolean, line: string) => (isShown ? [line] : []);
  return [
    ...timed.map((kind) => times[kind]),
    'first call: from data on the host, with nothing loaded or compiled',
    ...ifAny(
      baselines.length > 0,
      `speed-up: the time of ${baselines.join(' or ')} divided by the time of the row, both into an existing output where they can: 2× takes half as long, 0.5× twice as long. In parentheses is the range that contains it with 95 % confidence; "no difference" if that contains 1, "within the noise" if the baseline timed twice differs as much`,
    ),
    ...ifAny(
      results.some(({ bound }) => bound !== null),
      'of its bound: the least possible time divided by the time of the row; at 100 %, which noise can exceed, one thread cannot be faster. The bound is the largest of the time to read and write the data (memory), to take its exponentials (exp) and of an empty call (call)',
    ),
    ...ifAny(
      results.some(({ correctness }) => correctness !== null),
      'error: the largest error of any entry, for softmax in units of the last place (ULP), otherwise as a share of what the conformance suite allows',
    ),
  ];
}

const times = {
  reused: 'reused out: the median time of a call whose operands are on the device, into an output that exists',
  allocating: 'allocating: the same with a new output for each call',
  endToEnd: 'end to end: from arrays on the host to an array on the host: copy to the device, compute, copy back',
  device: "on the device: the kernels alone, by the device's own clock",
} as const;
