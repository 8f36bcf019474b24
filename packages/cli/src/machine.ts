import { cpus, freemem, release, totalmem, type } from 'node:os';

/** The description of the machine for a report, without anything that identifies a person or a computer. */
export interface Machine {
  /** `Node 22.21.1, V8 12.4`, `Bun 1.3`, `Deno 2.9`. */
  readonly runtime: string;
  readonly system: string;
  readonly processor: string;
  readonly memory: string;
}

/** The machine that this process runs on. */
export function thisMachine({ versions, arch, constrainedMemory, execArgv }: NodeJS.Process, cores = cpus()): Machine {
  const limit = constrainedMemory?.() ?? 0;
  const total = totalmem();
  const allowed = limit > 0 && limit < total ? `, of which this process may use ${gigabytes(limit)}` : '';
  return {
    runtime: [runtimeOf(versions), ...namesOf(execArgv)].join(' '),
    system: `${type()} ${release()} ${arch}`,
    processor: `${cores[0]?.model.trim() || 'unknown'}, ${cores.length} logical`,
    memory: `${gigabytes(total)}, ${gigabytes(freemem())} free${allowed}`,
  };
}

/** The options of the runtime. Values that are not numbers may be paths or names. */
function namesOf(execArgv: readonly string[]): readonly string[] {
  return execArgv.filter((argument) => argument.startsWith('-')).map((option) => option.replace(/=(?!\d+$).*/s, '=…'));
}

/** Bun and Deno also give the version of Node that they are compatible with. */
function runtimeOf({ node, v8, bun, deno }: NodeJS.ProcessVersions): string {
  const imitated = `as Node ${node}`;
  if (bun !== undefined) return `Bun ${bun} (${imitated})`;
  if (deno !== undefined) return `Deno ${deno} (${imitated})`;
  return `Node ${node}, V8 ${v8}`;
}

function gigabytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}
