import type { BenchReport } from '@softgrad/bench';
import { SoftgradError } from '@softgrad/core';

/** A report that the page or `softgrad bench --json` wrote. @throws ERR_VALUE saying what is not as expected */
export async function readReport(file: File): Promise<BenchReport> {
  const fail = (what: string): never => {
    throw new SoftgradError('ERR_VALUE', `${file.name}: ${what}; expected a report of softgrad bench (--json)`);
  };
  let value: unknown;
  try {
    value = JSON.parse(await file.text());
  } catch (cause) {
    return fail(`not JSON: ${cause instanceof Error ? cause.message : cause}`);
  }
  return isReport(value) ? value : fail(`no "schema": "softgrad-bench/1" with its environment and workloads`);
}

function isReport(value: unknown): value is BenchReport {
  return (
    isObject(value) &&
    value.schema === 'softgrad-bench/1' &&
    isObject(value.environment) &&
    [value.contenders, value.unavailable].every(Array.isArray) &&
    Array.isArray(value.workloads) &&
    value.workloads.every((entry) => isObject(entry) && isObject(entry.workload) && Array.isArray(entry.results))
  );
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
