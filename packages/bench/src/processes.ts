import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { checkOptions, namesOf, SoftgradError } from '@softgrad/core';
import type { Signal } from './platform.js';
import type { Answer, ContenderNames, Request } from './process-messages.js';
import type { BenchReport, RawWorkload } from './report.js';
import { type BenchProgress, defaultRounds, defaultSampleMs, type Method, methodNames, runAll } from './run.js';
import type { Report, Runner } from './runner.js';
import { mergeProcesses } from './summary.js';
import type { Workload } from './workloads.js';

/** What `runBenchInProcesses` times, and how. */
export interface ProcessesOptions extends Method {
  readonly workloads: readonly Workload[];
  readonly contenders: ContenderNames;
  /** The URL of a module that registers the backends with core; each process imports it. */
  readonly setup?: string | undefined;
  /** Number of processes that measure each workload, one after the other. */
  readonly processes: number;
  /** Node options for them, such as `--experimental-wasm-relaxed-simd`. */
  readonly execArgv?: readonly string[] | undefined;
}

const optionNames = namesOf<ProcessesOptions>({
  ...methodNames,
  workloads: true,
  contenders: true,
  setup: true,
  processes: true,
  execArgv: true,
});

/** All of them are open at once, each with every engine. */
const mostProcesses = 100;

/**
 * `runBench` in several Node processes, whose rounds are combined, so that the intervals include what varies from process to process (memory
 * layout, allocators, JIT compilation). For each workload the processes run one after the other.
 *
 * @throws ERR_VALUE for an unknown option, for more than 100 processes and for options with which node ends; the reason of the `signal` when it is aborted; an Error with what a process wrote if it fails
 * @example
 * const report = await runBenchInProcesses({
 *   workloads: selectWorkloads({ ops: ['softmax'], shapes: ['64x10'] }),
 *   contenders: { backends: ['cpu'], peers: ['naive'], composed: false },
 *   setup: import.meta.resolve('softgrad'),
 *   processes: 3,
 * });
 */
export async function runBenchInProcesses(
  options: ProcessesOptions,
  onProgress: (progress: BenchProgress) => void = () => {},
): Promise<BenchReport> {
  checkOptions('runBenchInProcesses', options, optionNames);
  const { workloads, contenders, setup, processes, execArgv, ...method } = options;
  const { rounds = defaultRounds, sampleMs = defaultSampleMs, baseline, signal } = method;
  if (!(Number.isInteger(processes) && processes >= 1 && processes <= mostProcesses)) {
    throw new SoftgradError(
      'ERR_VALUE',
      `runBenchInProcesses: processes ${processes}; expected an integer from 1 to ${mostProcesses}`,
    );
  }
  const children: Child[] = [];
  const close = async () => {
    for (const child of children.splice(0)) child.end();
  };
  try {
    signal?.throwIfAborted();
    for (let k = 0; k < processes; k++) children.push(startChild(execArgv ?? [], signal));
    const opened: Extract<Answer, { type: 'opened' }>[] = [];
    for (const child of children) {
      const answer = await child.ask(
        { type: 'open', setup, contenders, settings: { rounds, sampleMs, baseline } },
        () => {},
      );
      if (answer.type === 'opened') opened.push(answer);
    }
    const [first] = opened;
    if (first === undefined) throw new Error('no measuring process has opened its contenders');
    const runner: Runner = {
      contenders: first.contenders,
      unavailable: first.unavailable,
      run: (workload, report) => runInTurn(children, workload, report),
      close,
    };
    return await runAll(runner, workloads, { rounds, sampleMs, processes }, onProgress);
  } finally {
    await close();
  }
}

async function runInTurn(children: readonly Child[], workload: Workload, report: Report): Promise<RawWorkload> {
  const parts: RawWorkload[] = [];
  for (const child of children) {
    const answer = await child.ask({ type: 'run', workload }, (share, what) =>
      report((parts.length + share) / children.length, `process ${parts.length + 1} of ${children.length}, ${what}`),
    );
    if (answer.type === 'done') parts.push(answer.raw);
  }
  return mergeProcesses(parts);
}

/** A process that ends by itself has an error of ours, unless the user chose how node runs. */
function endedEarly(how: string, written: string, execArgv: readonly string[]): Error {
  if (execArgv.length === 0) return new Error(`a measuring process ended (${how}): ${written}`);
  const wrote = written === '' ? 'it wrote no error' : written;
  return new SoftgradError(
    'ERR_VALUE',
    `node with '${execArgv.join(' ')}' ended (${how}): ${wrote}; expected options with which node runs a module`,
  );
}

interface Child {
  /** Sends a request and waits for its answer; progress messages go to `report`. */
  ask(request: Request, report: Report): Promise<Exclude<Answer, { type: 'progress' | 'failed' }>>;
  end(): void;
}

const childModule = fileURLToPath(new URL('./process-child.js', import.meta.url));

function startChild(execArgv: readonly string[], signal: Signal | undefined): Child {
  // Output of engines must not mix with our own standard output.
  const child: ChildProcess = fork(childModule, {
    execArgv: [...execArgv],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let errorOutput = '';
  child.stderr?.on('data', (text) => {
    errorOutput = `${errorOutput}${text}`.slice(-500);
  });
  // 'close' is emitted after all of standard error has been read, 'exit' may be emitted before.
  const ended = new Promise<never>((_, reject) => {
    child.on('close', (code, cause) => reject(endedEarly(cause ?? `exit code ${code}`, errorOutput.trim(), execArgv)));
    child.on('error', reject);
  });
  const aborted = new Promise<never>((_, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  // `ask` reports these rejections; without a pending `ask` they must not count as unhandled.
  for (const failure of [ended, aborted]) failure.catch(() => {});
  return {
    async ask(request, report) {
      const answered = new Promise<Exclude<Answer, { type: 'progress' | 'failed' }>>((resolve, reject) => {
        child.removeAllListeners('message');
        child.on('message', (answer: Answer) => {
          if (answer.type === 'progress') report(answer.share, answer.what);
          else if (answer.type === 'failed') reject(new Error(answer.message));
          else resolve(answer);
        });
      });
      // Ignore EPIPE: `ended` already reports a dead child.
      child.send(request, () => {});
      return Promise.race([answered, ended, aborted]);
    },
    end: () => child.kill(),
  };
}
