import type { BenchReport } from '@softgrad/bench';

/** The two builds of backend-wasm: an engine with relaxed SIMD takes the second by itself, here each is asked for. */
export const plainWasm = 'wasm:relaxedSimd=false';
export const relaxedWasm = 'wasm:relaxedSimd=true';

/** How a contender is called on the page. */
export function shownName(name: string): string {
  return name
    .replace(`${plainWasm}:threads=2`, 'wasm (SIMD, 2 threads)')
    .replace(`${relaxedWasm}:threads=2`, 'wasm (relaxed SIMD, 2 threads)')
    .replace(plainWasm, 'wasm (SIMD)')
    .replace(relaxedWasm, 'wasm (relaxed SIMD)');
}

/** The same report with the names that the page shows. */
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
