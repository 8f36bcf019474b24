import { expect, test } from 'vitest';
import './register-backends.mjs';
import { runBench, selectContenders, selectWorkloads } from '../src/index.js';

test('a run in a page makes the same report, with the user agent as runtime', async () => {
  const finished: string[] = [];
  const report = await runBench(
    {
      workloads: selectWorkloads({ ops: ['softmax', 'vjp'], shapes: ['8x5'] }),
      contenders: selectContenders(['cpu'], ['naive', 'onnxruntime-node']),
      rounds: 3,
      sampleMs: 0.5,
    },
    ({ finished: result }) => {
      if (result) finished.push(result.workload.op);
    },
  );
  expect(finished).toEqual(['softmax', 'vjp']);
  expect(report.environment).toMatchObject({
    platform: 'browser',
    runtime: navigator.userAgent,
    crossOriginIsolated: true,
  });
  expect(report.unavailable).toMatchObject([{ name: 'onnxruntime-node' }]);
  for (const { results } of report.workloads) {
    expect(results.map(({ contender, missing }) => [contender, missing])).toEqual([
      ['cpu', null],
      ['naive', null],
    ]);
  }
});

test('a page can cancel', async () => {
  const controller = new AbortController();
  setTimeout(() => controller.abort(new Error('closed the panel')), 50);
  const run = runBench({
    workloads: selectWorkloads({ ops: ['softmax'], shapes: ['64x10'] }),
    contenders: selectContenders(['cpu'], ['naive']),
    rounds: 1_000_000,
    signal: controller.signal,
  });
  await expect(run).rejects.toThrow('closed the panel');
});
