import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { startWorker, type WorkerOptions } from '../src/redis/index.js';
import { backends } from './workspace.js';

export interface Fault {
  readonly point: string;
  readonly subject: string;
  readonly signal: 'SIGKILL' | 'SIGSTOP';
  readonly marker: string;
  readonly times?: number;
}

/** How long others wait for workers that die or stop. A worker that is only slow loses its shard too, which must not matter. */
export const lockDuration = 500;

const script = fileURLToPath(new URL('./worker-process.mjs', import.meta.url));

/** A worker process; if a signal ends it, it is started again, as by a supervisor. */
export function startWorkerProcess(
  options: Pick<WorkerOptions, 'root' | 'redis'> & Partial<WorkerOptions>,
  ...faults: readonly Fault[]
) {
  const lines: string[] = [];
  let deaths = 0;
  let closing = false;
  let child: ChildProcess;
  let ended: Promise<number | null>;
  const env = { ...process.env, SOFTGRAD_TEST_FAULTS: JSON.stringify(faults) };
  const start = () => {
    const own = { backend: 'cpu', lockDuration, retryDelay: 50, ...options };
    child = spawn(process.execPath, [script, JSON.stringify(own)], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    child.stdout?.setEncoding('utf8').on('data', (text: string) => lines.push(...text.split('\n').filter(Boolean)));
    ended = once(child, 'exit').then(([code, signal]) => {
      if (signal === null || closing) return code as number | null;
      deaths++;
      return start();
    });
    return ended;
  };
  start();
  return {
    lines,
    deaths: () => deaths,
    continue: () => child.kill('SIGCONT'),
    /** Finishes its current shards. */
    async [Symbol.asyncDispose]() {
      closing = true;
      child.kill('SIGCONT');
      child.kill('SIGTERM');
      await ended;
    },
  };
}

/** A worker in this process, whose lock does not expire even on a busy machine. */
export async function startWorkerHere(options: Pick<WorkerOptions, 'root' | 'redis'> & Partial<WorkerOptions>) {
  const lines: string[] = [];
  const onEvent: WorkerOptions['onEvent'] = ({ kind, message }) => lines.push(`${kind} ${message}`);
  const worker = await startWorker({ backend: 'cpu', backends, retryDelay: 50, onEvent, ...options });
  return { lines, ended: worker.ended, [Symbol.asyncDispose]: () => worker.close() };
}
