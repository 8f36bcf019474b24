import { rmSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { Plan } from '../src/index.js';
import { idOf } from '../src/index.js';
import { pendingOf } from '../src/pending.js';
import { putPlan, readPins } from '../src/run-folder.js';
import type { Step } from '../src/schema.js';
import runTask, { type ThreadTask } from '../src/thread.js';
import { backends, noise, type Workspace, workspace } from './workspace.js';

// The code of a thread, run in this one.
describe('a thread', () => {
  let work: Workspace;
  let plan: Plan;
  const testOnThread = (name: string, body: () => Promise<void>) =>
    test(name, async () => {
      using own = workspace();
      work = own;
      work.write('logits.npy', [4, 6], Float32Array.from(noise(24)));
      plan = await work.plan({ operation: 'softmax', shardClasses: true, shardBytes: 48 });
      await body();
    });

  const task = (step: Step, index: number, changed: Partial<ThreadTask> = {}): ThreadTask => ({
    ...{ root: work.root, backends, run: idOf(plan), out: 'out', step, index },
    ...changed,
  });
  const run = (step: Step, index: number, changed: Partial<ThreadTask> = {}) => runTask(task(step, index, changed));

  testOnThread('computes the same bits as a run without threads', async () => {
    await work.compute(plan);
    const expected = work.hashes();
    using other = workspace();
    other.write('logits.npy', [4, 6], Float32Array.from(noise(24)));
    await putPlan(other.store, plan);
    const pending = await pendingOf(other.store, plan);
    for (const step of ['statistics', 'merge', 'apply', 'finish'] as const)
      for (const index of pending[step]) expect(await run(step, index, { root: other.root })).toEqual({ kind: 'done' });
    expect(other.hashes()).toEqual(expected);
  });

  testOnThread('refuses a shard that the plan does not have, and another plan, as an error of the job', async () => {
    await putPlan(work.store, plan);
    for (const [step, index] of [
      ['statistics', 2],
      ['merge', 1],
      ['apply', 7],
    ] as const) {
      expect(await run(step, index)).toEqual({
        kind: 'input',
        message: `out/plan.json has no shard ${index} of step ${step}`,
      });
    }
    const other = '0'.repeat(32);
    expect(await run('apply', 0, { run: other })).toEqual({
      kind: 'input',
      message: `out/plan.json has the id ${idOf(plan)}; expected ${other}`,
    });
  });

  testOnThread('computes nothing for a job of an earlier run in a folder that is used again', async () => {
    await putPlan(work.store, plan);
    const earlier = idOf(plan);
    expect(await run('statistics', 0)).toEqual({ kind: 'done' });
    rmSync(work.path('out'), { recursive: true });
    plan = await work.plan({ operation: 'softmax', shardClasses: true, shardBytes: 48, temperature: 0.5 });
    await putPlan(work.store, plan);
    expect(await run('statistics', 1, { run: earlier })).toEqual({
      kind: 'input',
      message: `out/plan.json has the id ${idOf(plan)}; expected ${earlier}`,
    });
    expect(Object.keys(work.hashes())).toEqual(['plan.json']);
  });

  testOnThread('compares itself with the first worker of a run, once', async () => {
    await putPlan(work.store, plan);
    expect(await run('statistics', 0)).toEqual({ kind: 'done' });
    const pins = (await readPins(work.store, 'out')) ?? expect.unreachable();
    await work.store.remove('out/pins.json');
    const others = JSON.stringify({ ...pins, fingerprint: '0'.repeat(64) });
    await work.store.putOnce('out/pins.json', new TextEncoder().encode(others));
    expect(await run('statistics', 1)).toEqual({ kind: 'done' });
    const second = { ...plan, out: 'second' };
    await putPlan(work.store, second);
    const ofSecond = JSON.stringify({ ...pins, run: idOf(second), fingerprint: '0'.repeat(64) });
    await work.store.putOnce('second/pins.json', new TextEncoder().encode(ofSecond));
    // Not only the first time: a mismatch is no comparison that has passed.
    for (let k = 0; k < 2; k++) {
      expect(await run('statistics', 0, { run: idOf(second), out: 'second' })).toMatchObject({
        kind: 'mismatch',
        message: expect.stringMatching(/^second\/pins\.json: the first worker of the run computes other bits/),
      });
    }
  });

  testOnThread('tells errors of the input from defects', async () => {
    expect(await run('apply', 0, { run: '1'.repeat(32), out: 'none' })).toEqual({
      kind: 'input',
      message: `none/plan.json: no such file in ${work.root}; expected the folder of a run`,
    });
    expect(await run('apply', -1)).toMatchObject({ kind: 'defect' });
    expect(await runTask({ ...task('apply', 0), more: 1 } as ThreadTask)).toMatchObject({ kind: 'defect' });
    plan = { ...plan, backend: 'unknown' };
    await putPlan(work.store, plan);
    expect(await run('statistics', 0)).toMatchObject({ kind: 'input', message: expect.stringMatching(/unknown/) });
    using broken = workspace();
    const other = { ...plan, backend: 'broken' };
    await putPlan(broken.store, other);
    const throwing = 'data:text/javascript,throw "a text"';
    expect(await run('statistics', 0, { root: broken.root, run: idOf(other), backends: throwing })).toEqual({
      kind: 'defect',
      message: 'a text',
    });
  });
});
