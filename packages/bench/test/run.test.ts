import { availableParallelism, cpus } from 'node:os';
import { describe, expect, test } from 'vitest';
import type { ContenderSource, Job } from '../src/contender.js';
import { environment } from '../src/environment.js';
import { naive } from '../src/peers/naive.js';
import { type BenchProgress, runBench } from '../src/run.js';
import { quick, shapeOf, small, source, withResult } from './contenders.js';

describe('a run', () => {
  test('times a correct contender in each of its modes, with ratios to the baseline and its bound', async () => {
    const report = await runBench({ workloads: [small], contenders: [source('right'), naive], ...quick });
    const [{ baseline, results, roofs, noise }] = report.workloads;
    expect(baseline).toBe('naive');
    expect(noise).not.toBeNull();
    const shown = roofs.filter(({ from }) => from !== 'a relaxed SIMD loop');
    expect(shown.map(({ name, from }) => `${name} by ${from}`)).toEqual([
      'memcpy by engine',
      'fill by engine',
      'exp by a SIMD loop',
      'exp by a JavaScript loop',
      'exp by right',
      'exp by naive',
    ]);
    const [right] = results;
    expect(right).toMatchObject({ contender: 'right', missing: null, correctness: { ok: true } });
    expect(Object.keys(right.timings)).toEqual(['reused', 'allocating', 'endToEnd']);
    expect(Object.keys(right.ratios)).toEqual(['reused', 'allocating', 'endToEnd']);
    expect(right.samples.reused).toHaveLength(1);
    expect(right.samples.reused?.[0]).toHaveLength(3);
    expect(right.bound?.share).toBeGreaterThan(0);
    expect(right.firstCallMs).toBeGreaterThan(0);
  });

  test('the environment names this Node, and its processor', () => {
    const { date, ...here } = environment();
    expect(Math.abs(Date.parse(date) - Date.now())).toBeLessThan(60_000);
    expect(here).toEqual({
      runtime: `Node ${process.versions.node}, V8 ${process.versions.v8}`,
      platform: `${process.platform} ${process.arch}`,
      processor: cpus()[0]?.model.trim() || 'unknown',
      logicalProcessors: availableParallelism(),
      crossOriginIsolated: true,
    });
  });

  test('the cost of a call is measured where it can dominate', async () => {
    const emptyCalls: boolean[] = [];
    for (const shape of [
      [128, 128],
      [128, 129],
    ] as const) {
      const report = await runBench({
        workloads: [{ ...small, shape }],
        contenders: [naive],
        rounds: 1,
        sampleMs: 0.01,
      });
      emptyCalls.push(report.workloads[0].results[0].emptyCall !== null);
    }
    expect(emptyCalls).toEqual([true, false]);
  });

  test('a baseline that is no contender is an error that lists them', async () => {
    const run = runBench({ workloads: [small], contenders: [source('right'), naive], ...quick, baseline: 'foo' });
    await expect(run).rejects.toThrow("unknown baseline 'foo'; expected one of right, naive");
  });

  test('the report format is stable, because other programs read it', async () => {
    const report = await runBench({ workloads: [small], contenders: [source('right'), naive], ...quick });
    expect(shapeOf(report)).toMatchSnapshot();
  });

  test('a wrong contender is shown as wrong and not timed, however fast it is', async () => {
    const wrong = source('wrong', { change: withResult((result) => void result.fill(0.25)) });
    const nan = source('nan', { change: withResult((result) => void result.fill(Number.NaN, 11)) });
    const report = await runBench({ workloads: [small], contenders: [wrong, nan, naive], ...quick });
    const [first, second] = report.workloads[0].results;
    expect(first).toMatchObject({
      contender: 'wrong',
      timings: {},
      ratios: {},
      bound: null,
      correctness: { ok: false },
    });
    expect(first.missing).toMatch(/^wrong: error .* times the bound$/);
    expect(second).toMatchObject({ missing: 'wrong: the results contain NaN', timings: {} });
  });

  test('a contender that fails while it is timed is listed with its reason, and the others run', async () => {
    const failing = (name: string, batch: Job['endToEnd']) =>
      source(name, { change: (job) => ({ ...job, endToEnd: batch }) });
    let failures = 0;
    const throws = failing('throws', () => {
      failures++;
      throw new Error('the engine gave up');
    });
    const rejects = failing('rejects', async () => Promise.reject(new Error('the device is gone')));
    const report = await runBench({ workloads: [small], contenders: [throws, rejects, naive], ...quick });
    const [first, second, third] = report.workloads[0].results;
    expect(first).toMatchObject({ missing: 'failed while it was timed: the engine gave up', timings: {} });
    expect(second).toMatchObject({ missing: 'failed while it was timed: the device is gone', timings: {} });
    // It is not called again.
    expect(failures).toBe(1);
    expect(third.missing).toBeNull();
    expect(third.timings.allocating?.medianMs).toBeGreaterThan(0);
  });

  test('a contender that cannot open or compute is listed with its reason, and the others run', async () => {
    const absent: ContenderSource = { name: 'absent', kind: 'peer', open: async () => 'it is not installed' };
    const throwing = source('throwing', {
      change: () => {
        throw new Error('no memory for it');
      },
    });
    const unable: ContenderSource = {
      ...naive,
      name: 'unable',
      async open() {
        const opened = await naive.open();
        return typeof opened === 'string' ? opened : { ...opened, name: 'unable', prepare: async () => 'no softmax' };
      },
    };
    const report = await runBench({ workloads: [small], contenders: [absent, throwing, unable, naive], ...quick });
    expect(report.unavailable).toEqual([{ name: 'absent', reason: 'it is not installed' }]);
    expect(report.contenders.map(({ name }) => name)).toEqual(['throwing', 'unable', 'naive']);
    const [{ results }] = report.workloads;
    expect(results.map(({ missing }) => missing)).toEqual(['no memory for it', 'no softmax', null]);
  });

  test('without a contender that can run nothing is measured', async () => {
    const absent: ContenderSource = { name: 'absent', kind: 'peer', open: async () => 'it is not installed' };
    const steps: BenchProgress[] = [];
    const report = await runBench({ workloads: [small, small], contenders: [absent], ...quick }, (step) =>
      steps.push(step),
    );
    expect([report.workloads, steps]).toEqual([[], []]);
    expect(report.unavailable).toEqual([{ name: 'absent', reason: 'it is not installed' }]);
  });

  test('a contender that does not support a single class has no cost of a call, and is timed', async () => {
    const many: ContenderSource = {
      ...naive,
      name: 'many',
      async open() {
        const opened = await naive.open();
        if (typeof opened === 'string') return opened;
        const prepare: typeof opened.prepare = async (workload, input) =>
          workload.shape[1] === 1 ? 'at least two classes' : opened.prepare(workload, input);
        return { ...opened, name: 'many', prepare };
      },
    };
    const report = await runBench({ workloads: [small], contenders: [many, naive], ...quick });
    const [{ results }] = report.workloads;
    expect(results.map(({ missing, emptyCall }) => [missing, emptyCall !== null])).toEqual([
      [null, false],
      [null, true],
    ]);
  });

  test('a contender with wrong results is not timed', async () => {
    let timed = 0;
    const counted = (wrong: boolean) => (job: Job) => ({
      ...withResult((result) => {
        if (wrong) result[0] = 2;
      })(job),
      endToEnd: (calls: number) => {
        timed += calls;
        return job.endToEnd(calls);
      },
    });
    const run = async (wrong: boolean) => {
      timed = 0;
      const contenders = [source('counted', { change: counted(wrong) }), naive];
      const report = await runBench({ workloads: [small], contenders, ...quick });
      return [report.workloads[0].results[0].missing === null, timed > 0];
    };
    expect(await run(false)).toEqual([true, true]);
    expect(await run(true)).toEqual([false, false]);
  });

  test('results are reported as they are completed, and progress never decreases', async () => {
    const seen: BenchProgress[] = [];
    const other = { ...small, op: 'vjp' } as const;
    const report = await runBench({ workloads: [small, other], contenders: [naive], ...quick }, (p) => seen.push(p));
    expect(seen.flatMap(({ finished }) => (finished ? [finished] : []))).toEqual(report.workloads);
    const done = seen.map((p) => p.done);
    expect(done).toEqual([...done].sort((a, b) => a - b));
    expect(done.at(-1)).toBe(2);
    // A workload is complete when its results are reported, not before its last round.
    expect(seen.filter((p) => p.label.includes('round') && Number.isInteger(p.done))).toEqual([]);
    expect(seen.every(({ total }) => total === 2)).toBe(true);
  });
});

describe('cancelling', () => {
  test.each(['preparing', 'warming up', 'round 2'])(
    'during "%s" rejects with the reason and closes everything',
    async (when) => {
      const log: string[] = [];
      const controller = new AbortController();
      const reason = new Error('the user has seen enough');
      const run = runBench(
        {
          workloads: [small],
          contenders: [source('a', { log }), source('b', { log })],
          ...quick,
          signal: controller.signal,
        },
        ({ label }) => {
          if (label.includes(when)) controller.abort(reason);
        },
      );
      await expect(run).rejects.toBe(reason);
      expect(log.sort()).toEqual(['a closed', 'a opened', 'b closed', 'b opened']);
    },
  );

  test('before it starts opens nothing', async () => {
    const log: string[] = [];
    const signal = AbortSignal.abort(new Error('never mind'));
    await expect(runBench({ workloads: [small], contenders: [source('a', { log })], signal })).rejects.toThrow(
      'never mind',
    );
    expect(log).toEqual([]);
  });

  test('frees all buffers', async () => {
    const disposed: string[] = [];
    const counted = source('counted', {
      change: (job) => ({
        ...job,
        dispose() {
          disposed.push('job');
          return job.dispose();
        },
      }),
    });
    await runBench({ workloads: [small], contenders: [counted], ...quick });
    // Those of the workload and of the empty call.
    expect(disposed).toEqual(['job', 'job']);
  });
});
