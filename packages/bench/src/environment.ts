/** Where a report was made: enough to compare two of them, nothing that names a person or a machine. */
export interface Environment {
  readonly date: string;
  /** 'Node 20.20.2' or the browser's own words. */
  readonly runtime: string;
  readonly platform: string;
  readonly processor: string;
  readonly logicalProcessors: number;
  readonly crossOriginIsolated: boolean;
}

export async function environment(): Promise<Environment> {
  const date = new Date().toISOString();
  const isolated = 'crossOriginIsolated' in globalThis && Reflect.get(globalThis, 'crossOriginIsolated') === true;
  if (typeof process === 'object' && process.versions?.node) {
    const os = await import('node:os');
    const cpus = os.cpus();
    return {
      date,
      runtime: `Node ${process.versions.node}, V8 ${process.versions.v8}`,
      platform: `${process.platform} ${process.arch}`,
      processor: cpus[0]?.model.trim() || 'unknown',
      logicalProcessors: os.availableParallelism(),
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
    crossOriginIsolated: isolated,
  };
}
