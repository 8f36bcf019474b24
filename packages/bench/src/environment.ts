/** Where a report was made: enough to compare two reports, without anything that identifies a person or a machine. */
export interface Environment {
  readonly date: string;
  /** 'Node 20.20.2, V8 11.3' or the browser's user agent. */
  readonly runtime: string;
  readonly platform: string;
  readonly processor: string;
  readonly logicalProcessors: number;
  readonly crossOriginIsolated: boolean;
}

/**
 * The environment of this process or page, now.
 *
 * @example
 * const { runtime, logicalProcessors } = environment();
 * runtime; // 'Node 20.20.2, V8 11.3…', or the user agent of a browser
 */
export function environment(): Environment {
  const date = new Date().toISOString();
  if (typeof process === 'object' && process.versions?.node) {
    // Not an import, which bundlers for browsers would try to resolve.
    const os = process.getBuiltinModule?.('node:os');
    return {
      date,
      runtime: `Node ${process.versions.node}, V8 ${process.versions.v8}`,
      platform: `${process.platform} ${process.arch}`,
      processor: os?.cpus()[0]?.model.trim() || 'unknown',
      logicalProcessors: os?.availableParallelism() ?? 1,
      crossOriginIsolated: true,
    };
  }
  const { userAgent, hardwareConcurrency } = navigator;
  return {
    date,
    runtime: userAgent,
    platform: 'browser',
    processor: 'unknown (browser)',
    logicalProcessors: hardwareConcurrency,
    crossOriginIsolated: Reflect.get(globalThis, 'crossOriginIsolated') === true,
  };
}

/**
 * Describes how the environments of two reports differ, without their dates; empty if their times are comparable.
 *
 * @example
 * const here = environment();
 * differences({ ...here, logicalProcessors: 2 }, { ...here, logicalProcessors: 4 }); // ['processors: 2, then 4']
 */
export function differences(a: Environment, b: Environment): readonly string[] {
  const compared = [
    ['runtime', 'runtime'],
    ['platform', 'platform'],
    ['processor', 'processor'],
    ['logicalProcessors', 'processors'],
    ['crossOriginIsolated', 'cross-origin isolated'],
  ] as const;
  return compared.filter(([key]) => a[key] !== b[key]).map(([key, words]) => `${words}: ${a[key]}, then ${b[key]}`);
}
