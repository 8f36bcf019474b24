import { runBenchInProcesses } from '@softgrad/bench/processes';
import { isSoftgradError } from '@softgrad/core';
import { expect, test } from 'vitest';
import { small } from './contenders.js';

const setup = new URL('./register-backends.mjs', import.meta.url).href;

const options = {
  workloads: [small],
  setup,
  contenders: { backends: ['cpu'], peers: ['naive'], composed: false },
  processes: 2,
  rounds: 3,
  sampleMs: 0.05,
};

test('every process measures every workload, and their rounds are combined; a contender that cannot run is listed once', async () => {
  const labels: string[] = [];
  const contenders = { ...options.contenders, backends: ['cpu', 'gpujs:mode=abacus'] };
  const report = await runBenchInProcesses({ ...options, contenders }, ({ label }) => labels.push(label));
  expect(report.unavailable.map(({ name }) => name)).toEqual(['gpujs:mode=abacus']);
  expect(report.contenders.map(({ name }) => name)).toEqual(['cpu', 'naive']);
  expect(report.settings.processes).toBe(2);
  const [{ results, control, roofs }] = report.workloads;
  for (const { contender, missing, samples } of results) {
    expect([contender, missing]).toEqual([contender, null]);
    expect(samples.reused?.map((rounds) => rounds.length)).toEqual([3, 3]);
  }
  expect(control).toHaveLength(2);
  for (const { samples } of roofs) expect(samples).toHaveLength(2);
  expect(results[0].timings.reused?.samples).toBe(6);
  expect(labels.some((label) => label.includes('process 2 of 2'))).toBe(true);
});

test('cancelling ends the processes', async () => {
  const controller = new AbortController();
  const run = runBenchInProcesses({ ...options, rounds: 100_000, signal: controller.signal }, ({ label }) => {
    if (label.includes('round')) controller.abort(new Error('enough'));
  });
  await expect(run).rejects.toThrow('enough');
});

test('a run that is cancelled before it starts, or while its processes open, ends with the reason', async () => {
  const before = runBenchInProcesses({ ...options, signal: AbortSignal.abort(new Error('never')) });
  await expect(before).rejects.toThrow('never');
  const controller = new AbortController();
  const unhandled: unknown[] = [];
  const record = (reason: unknown) => unhandled.push(reason);
  process.on('unhandledRejection', record);
  try {
    const run = runBenchInProcesses({ ...options, processes: 3, signal: controller.signal });
    controller.abort(new Error('enough'));
    await expect(run).rejects.toThrow('enough');
    // An unhandled rejection is reported after the microtasks.
    await new Promise((resolve) => setImmediate(resolve));
    expect(unhandled).toEqual([]);
  } finally {
    process.off('unhandledRejection', record);
  }
});

test('progress names the workload that is measured, and only grows', async () => {
  const workloads = [small, { ...small, shape: [5, 7] as const }];
  const steps: { readonly done: number; readonly label: string }[] = [];
  await runBenchInProcesses({ ...options, workloads }, ({ done, label }) => steps.push({ done, label }));
  expect(steps.map(({ done }) => done)).toEqual(steps.map(({ done }) => done).sort((a, b) => a - b));
  for (const { done, label } of steps) {
    const current = Math.ceil(done) <= 1 && done < 1 ? '3×4' : '5×7';
    if (done !== 1) expect(label, `${done}`).toContain(current);
  }
});

test('of what a process wrote before it ended, an error has the end', async () => {
  const written = `${'x'.repeat(2000)} the reason`;
  const code = `process.stderr.write(${JSON.stringify(written)}, () => process.exit(3))`;
  const execArgv = ['--import', `data:text/javascript,${encodeURIComponent(code)};await new Promise(() => {})`];
  const error = await runBenchInProcesses({ ...options, execArgv }).catch((thrown: unknown) => thrown);
  expect(String(error)).toMatch(/ended \(exit code 3\): x{1,600} the reason; expected options/);
});

test.each([
  ['--no-such-option', /^node with '--no-such-option' ended \(exit code 9\): .*bad option/s],
  ['--version', /^node with '--version' ended \(exit code 0\): it wrote no error; expected options with which/],
])('an option with which node ends, %s, is an error of the caller', async (option, message) => {
  const run = runBenchInProcesses({ ...options, execArgv: [option] });
  await expect(run).rejects.toMatchObject({ code: 'ERR_VALUE', message: expect.stringMatching(message) });
});

test('a process that is killed is named with the signal, and without options of node this is no error of the caller', async () => {
  const setup = "data:text/javascript,process.kill(process.pid, 'SIGKILL')";
  const error = await runBenchInProcesses({ ...options, setup }).catch((thrown: unknown) => thrown);
  expect(isSoftgradError(error)).toBe(false);
  expect(String(error)).toBe('Error: a measuring process ended (SIGKILL): ');
});

test.each([0, -1, 1.5, 101, Number.NaN])('%s processes are refused before any is started', async (processes) => {
  const run = runBenchInProcesses({ ...options, processes, execArgv: ['--no-such-option'] });
  await expect(run).rejects.toMatchObject({
    code: 'ERR_VALUE',
    message: `runBenchInProcesses: processes ${processes}; expected an integer from 1 to 100`,
  });
});
