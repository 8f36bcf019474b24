/** Where a report was made: enough to compare two of them, nothing that names a person or a machine. */
export interface Environment {
  readonly date: string;
  /** 'Node 20.20.2, V8 11.3' or the browser's own words. */
  readonly runtime: string;
  readonly platform: string;
  readonly processor: string;
  readonly logicalProcessors: number;
  readonly crossOriginIsolated: boolean;
}

/** What this process or page can tell about where it runs. */
export function environment(): Environment {
  const date = new Date().toISOString();
  if (typeof process === 'object' && process.versions?.node) {
    // Not an import: bundlers would look for it in the page.
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
    processor: 'not told by browsers',
    logicalProcessors: hardwareConcurrency,
    crossOriginIsolated: Reflect.get(globalThis, 'crossOriginIsolated') === true,
  };
}

/** What two reports were not made alike in, in words; empty where they can be compared as they are. */
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
