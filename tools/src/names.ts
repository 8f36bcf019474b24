import type { BenchReport } from '@softgrad/bench';

/** The two builds of backend-wasm: an engine with relaxed SIMD chooses the second by default; here each is selected explicitly. */
export const plainWasm = 'wasm:relaxedSimd=false';
export const relaxedWasm = 'wasm:relaxedSimd=true';

/** The name of a contender on the page. */
export function shownName(name: string): string {
  return name
    .replace(`${plainWasm}:threads=2`, 'wasm (SIMD, 2 threads)')
    .replace(`${relaxedWasm}:threads=2`, 'wasm (relaxed SIMD, 2 threads)')
    .replace('wasm:threads=2', 'wasm (2 threads)')
    .replace(plainWasm, 'wasm (SIMD)')
    .replace(relaxedWasm, 'wasm (relaxed SIMD)');
}

/** The same report with the names of the page. */
export function shownReport(report: BenchReport): BenchReport {
  return {
    ...report,
    contenders: report.contenders.map((one) => ({ ...one, name: shownName(one.name) })),
    unavailable: report.unavailable.map((one) => ({ ...one, name: shownName(one.name) })),
    workloads: report.workloads.map((result) => ({
      ...result,
      baseline: result.baseline && shownName(result.baseline),
      bounds: result.bounds.map((bound) => ({ ...bound, from: shownName(bound.from) })),
      roofs: result.roofs.map((roof) => ({ ...roof, from: shownName(roof.from) })),
      results: result.results.map((line) => ({
        ...line,
        contender: shownName(line.contender),
        bound: line.bound && { ...line.bound, from: shownName(line.bound.from) },
      })),
    })),
  };
}
