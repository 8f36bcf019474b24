import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { rmSync, utimesSync } from 'node:fs';
import { cpu } from '@softgrad/backend-cpu';
import { type Backend, isSoftgradError } from '@softgrad/core';
import { describe, expect, test } from 'vitest';
import { idOf, MismatchError, type PointMessage, type Progress, runEmbedded } from '../src/index.js';
import { pendingOf } from '../src/pending.js';
import { checkPins } from '../src/pins.js';
import { openPool } from '../src/pool.js';
import { putPlan, readPins } from '../src/run-folder.js';
import { runStep } from '../src/step.js';
import { backends, noise, workspace } from './workspace.js';

function written(rows = 3, columns = 4) {
  const work = workspace();
  work.write('logits.npy', [rows, columns], Float32Array.from(noise(rows * columns)));
  return work;
}

describe('a run on threads', () => {
  test('reports its progress, ends after the current shard if it is interrupted, and continues', async () => {
    using work = written();
    const plan = await work.plan({ operation: 'softmax', shardBytes: 16 });
    const seen: Progress[] = [];
    const abort = new AbortController();
    const run = (signal?: AbortSignal) =>
      runEmbedded(plan, {
        ...{ root: work.root, backends, threads: 1, signal },
        onProgress: (progress) => {
          seen.push(progress);
          if (progress.step === 'apply' && progress.done === 1) abort.abort();
        },
      });
    await expect(run(abort.signal)).rejects.toThrow('interrupted; softgrad run --resume out continues the run');
    const none = [
      { step: 'statistics', done: 0, total: 0 },
      { step: 'merge', done: 0, total: 0 },
    ];
    expect(seen).toEqual([...none, { step: 'apply', done: 0, total: 3 }, { step: 'apply', done: 1, total: 3 }]);
    seen.length = 0;
    expect(await run()).toMatchObject({ run: idOf(plan) });
    expect(seen).toEqual([
      ...none,
      ...[1, 2, 3].map((done) => ({ step: 'apply', done, total: 3 })),
      ...[0, 1].map((done) => ({ step: 'finish', done, total: 1 })),
    ]);
  });

  test('takes any number of threads, and starts no more than there are shards', async () => {
    using work = written();
    // An array cannot be as long.
    expect(await work.run(await work.plan({ operation: 'softmax' }), 2 ** 32)).not.toBeNull();
  });

  test('computes all other shards if some fail, and names the first and how many there are', async () => {
    using work = workspace();
    for (const name of ['a', 'b', 'c']) work.write(`${name}.npy`, [1, 4], new Float32Array(4));
    const plan = await work.plan({ operation: 'softmax', logits: ['a.npy', 'b.npy', 'c.npy'] });
    const causes: string[] = [];
    const message = async () => {
      const error = await work.run(plan).catch((cause: unknown) => cause);
      if (isSoftgradError(error) && error.cause instanceof Error) causes.push(error.cause.message);
      return isSoftgradError(error) && [error.code, error.message.replace(/ from .* to .*;/, ' …;')];
    };
    const changed = (file: string, others: string) => [
      'ERR_VALUE',
      `${file}: changed since the run was planned, …; expected the file as it was, or a new run with another --out${others}`,
    ];
    for (const name of ['a', 'b']) utimesSync(work.path(`${name}.npy`), 1000, 1000);
    expect(await message()).toEqual(changed('a.npy', ' (and 1 more)'));
    expect(causes).toEqual([expect.stringMatching(/^a\.npy: changed since .* another --out$/)]);
    expect(await pendingOf(work.store, plan)).toMatchObject({ apply: [0, 1] });
    utimesSync(work.path('a.npy'), 1e9, 1e9);
    expect(await message()).toEqual(changed('b.npy', ''));
  });

  test('rethrows the error of a thread that is none of the input', async () => {
    using work = written(1);
    const plan = await work.plan({ operation: 'softmax' });
    const broken = 'data:text/javascript,throw new RangeError("broken")';
    const error = await runEmbedded(plan, { root: work.root, backends: broken, threads: 1 }).catch((e: unknown) => e);
    expect([isSoftgradError(error), error instanceof Error && error.message]).toEqual([false, 'broken']);
  });

  test('in shares computes the shards of its share, and finishes if all others are there', async () => {
    using work = written(5);
    const plan = await work.plan({ operation: 'softmax', shardBytes: 16 });
    expect(await work.run(plan, 1, { index: 1, of: 2, pass: 'apply' })).toBeNull();
    expect((await pendingOf(work.store, plan)).apply).toEqual([0, 2, 4]);
    // By rows there is nothing between the passes.
    expect(await work.run(plan, 1, { index: 0, of: 2, pass: 'statistics' })).toMatchObject({ run: idOf(plan) });
  });

  test('in shares by classes computes statistics in the first pass, and only there', async () => {
    using work = written();
    const plan = await work.plan({ operation: 'softmax', shardClasses: true, shardBytes: 12 });
    expect(await work.run(plan, 1, { index: 1, of: 3, pass: 'statistics' })).toBeNull();
    const applying = work.run(plan, 1, { index: 0, of: 3, pass: 'apply' });
    await expect(applying).rejects.toThrow('out/records/statistics-000000.json: missing');
    expect(await pendingOf(work.store, plan)).toEqual({
      statistics: [0, 2, 3],
      merge: [0],
      apply: [0, 1, 2, 3],
      finish: [0],
    });
  });

  test.each([false, true])(
    'needs the permission to start threads, where Node has its permission model: %s',
    async (may) => {
      using work = written();
      const own = Object.getOwnPropertyDescriptor(process, 'permission');
      Object.defineProperty(process, 'permission', { configurable: true, value: { has: () => may } });
      try {
        const open = () => openPool({ root: work.root, backends, threads: 1 });
        if (may) await open().close();
        else
          expect(open).toThrow("Node's permission model denies starting a worker thread; the option --allow-worker of");
      } finally {
        if (own) Object.defineProperty(process, 'permission', own);
        else Reflect.deleteProperty(process, 'permission');
      }
    },
  );

  test('has errors of the class that the thread gave them', async () => {
    using work = written();
    const plan = await work.plan({ operation: 'softmax', shardBytes: 16 });
    await putPlan(work.store, plan);
    const pool = openPool({ root: work.root, backends, threads: 1 });
    const task = { run: idOf(plan), out: 'out', step: 'apply', index: 0 } as const;
    const error = (changed: object) => pool.run({ ...task, ...changed }).catch((cause: unknown) => cause);
    await pool.run(task);
    expect((await pendingOf(work.store, plan)).apply).toEqual([1, 2]);
    const other = { ...plan, out: 'other' };
    await putPlan(work.store, other);
    const pins = { ...(await readPins(work.store, 'out')), run: idOf(other), fingerprint: '0'.repeat(64) };
    await work.store.putOnce('other/pins.json', Buffer.from(JSON.stringify(pins)));
    const [mismatch, input, defect] = [
      await error({ run: idOf(other), out: 'other' }),
      await error({ run: '0'.repeat(32), out: 'none' }),
      await error({ run: 'no id' }),
    ];
    expect(mismatch).toBeInstanceOf(MismatchError);
    expect(mismatch).toMatchObject({ message: expect.stringMatching(/^other\/pins\.json: the first worker/) });
    expect(input).not.toBeInstanceOf(MismatchError);
    expect(isSoftgradError(input) && input.message).toBe(
      `none/plan.json: no such file in ${work.root}; expected the folder of a run`,
    );
    expect([defect instanceof Error, isSoftgradError(defect)]).toEqual([true, false]);
    // What a thread is computing is dropped.
    const dropped = expect(pool.run({ ...task, index: 1 })).rejects.toThrow();
    await pool.close();
    await dropped;
    expect((await pendingOf(work.store, plan)).apply).toEqual([1, 2]);
  });
});

describe('a shard', () => {
  test('passes the points of its step in order', async () => {
    using work = written();
    const plan = await work.plan({ operation: 'softmax', shardClasses: true, shardBytes: 24 });
    const seen: string[] = [];
    const listen = (message: unknown) => {
      const { point, subject } = message as PointMessage;
      seen.push(`${point} ${subject}`);
    };
    subscribe('softgrad:distributed', listen);
    await work.compute(plan);
    unsubscribe('softgrad:distributed', listen);
    const put = (path: string) => [`store:temporary out/${path}`, `store:linked out/${path}`];
    const step = (name: string, ...within: string[]) => [`shard:started ${name}`, ...within, `shard:done ${name}`];
    const computed = (name: string, part: string) =>
      step(name, `shard:computed ${name}`, ...put(`records/${name}.json`), ...put(part));
    expect(seen).toEqual([
      ...put('plan.json'),
      ...put('pins.json'),
      ...computed('statistics-000000', 'statistics/part-000000.npy'),
      ...computed('statistics-000001', 'statistics/part-000001.npy'),
      ...step(
        'merge-000000',
        ...put('records/merge-000000.json'),
        ...put('statistics/merged-000000.npy'),
        'merge:done merge-000000',
      ),
      ...computed('apply-000000', 'softmax/part-000000.npy'),
      ...computed('apply-000001', 'softmax/part-000001.npy'),
      ...step('finish-000000', ...put('manifest.json')),
    ]);
  });

  /** The cpu backend with some properties replaced, and the lengths of the float buffers that it allocates. */
  async function changed(replaced: Readonly<Record<string, unknown>> = {}) {
    const own = await cpu.open();
    const lengths: number[] = [];
    const backend: Backend = new Proxy(own, {
      get: (target, name) => {
        if (name in replaced) return replaced[String(name)];
        const value = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        return (...given: unknown[]) => {
          if (name === 'alloc' && String(given[1]).startsWith('float')) lengths.push(Number(given[0]));
          return Reflect.apply(value, target, given);
        };
      },
    });
    return { backend, lengths };
  }

  test('is refused if the backend has not its dtype, or if its plan lacks an operand', async () => {
    using work = written();
    work.write('labels.npy', [3], Int32Array.of(0, 1, 2), '<i4');
    const apply = async (plan: Awaited<ReturnType<typeof work.plan>>, backend?: Backend) => {
      const error = await runStep(work.store, plan, backend ?? (await cpu.open()), 'apply', 0).catch((e: unknown) => e);
      return error instanceof Error && [isSoftgradError(error) ? error.code : '', error.message];
    };
    const single = await changed({ name: 'gpu', supports: { ...(await cpu.open()).supports, dtypes: ['float32'] } });
    const double = await work.plan({ operation: 'softmax', dtype: 'float64' });
    expect(await apply(double, single.backend)).toEqual([
      'ERR_DTYPE',
      'gpu does not compute in float64; expected another --backend or --dtype',
    ]);
    const half = await work.plan({ operation: 'softmax', dtype: 'float16', out: 'half' });
    expect(await apply(half, single.backend)).toBe(false);
    const vjp = await work.plan({ operation: 'vjp', direction: ['logits.npy'], out: 'vjp' });
    const loss = await work.plan({ operation: 'cross-entropy', target: ['labels.npy'], out: 'loss' });
    for (const [plan, message] of [
      [vjp, 'vjp without a direction'],
      [loss, 'cross-entropy without a target'],
    ] as const) {
      expect(await apply({ ...plan, inputs: { logits: plan.inputs.logits } })).toEqual(['', message]);
    }
  });

  test('is not stored if a backend gives too few numbers', async () => {
    using work = written();
    const plan = await work.plan({ operation: 'softmax', shardBytes: 32 });
    const own = await cpu.open();
    const read = async (buffer: unknown) => (await own.read(buffer as never)).slice(1);
    const { backend } = await changed({ read, view: undefined });
    await putPlan(work.store, plan);
    await checkPins(work.store, plan, own);
    await expect(runStep(work.store, plan, backend, 'apply', 0)).rejects.toThrow('7 numbers computed for shape (2, 4)');
    expect([await work.store.list('out/softmax'), work.temporaries()]).toEqual([[], []]);
  });

  test('has the same bits if the memory of the backend is not accessible', async () => {
    using work = written();
    work.write('labels.npy', [3], Int32Array.of(0, 1, 2), '<i4');
    for (const files of [{ operation: 'softmax' }, { operation: 'cross-entropy', target: ['labels.npy'] }] as const) {
      const hashes: unknown[] = [];
      for (const replaced of [{}, { view: undefined }]) {
        const plan = await work.plan({ ...files, out: files.operation });
        await runStep(work.store, plan, (await changed(replaced)).backend, 'apply', 0);
        hashes.push(work.hashes(plan.out));
        rmSync(work.path(plan.out), { recursive: true });
      }
      expect(hashes[1]).toEqual(hashes[0]);
    }
  });

  test('of a loss without its gradient computes no gradient', async () => {
    using work = written();
    work.write('labels.npy', [3], Int32Array.of(0, 1, 2), '<i4');
    const buffers = async (gradient: boolean) => {
      const plan = await work.plan({
        operation: 'cross-entropy',
        target: ['labels.npy'],
        gradient,
        out: `${gradient}`,
      });
      const { backend, lengths } = await changed();
      await runStep(work.store, plan, backend, 'apply', 0);
      return lengths.filter((length) => length === 12).length;
    };
    expect([await buffers(false), await buffers(true)]).toEqual([1, 2]);
  });
});

test.each([
  ['apply', {}],
  ['statistics', { shardClasses: true }],
] as const)(
  'an input that changes while a shard of step %s is computed is refused, and nothing is recorded',
  async (step, options) => {
    using work = workspace();
    work.write('logits.npy', [4, 4], new Float32Array(16));
    const plan = await work.plan({ operation: 'softmax', ...options });
    const changeAfter =
      <A extends readonly unknown[], R>(read: (...args: A) => Promise<R>) =>
      async (...args: A) => {
        const result = await read(...args);
        if (args[0] === 'logits.npy') utimesSync(work.path('logits.npy'), 1000, 1000);
        return result;
      };
    const { store } = work;
    const getInto = store.getInto && { getInto: changeAfter(store.getInto) };
    const changing = { ...store, get: changeAfter(store.get), ...getInto };
    await expect(runStep(changing, plan, await cpu.open(), step, 0)).rejects.toThrow(
      /^logits\.npy: changed since the run was planned/,
    );
    expect(await store.list('out/records')).toEqual([]);
    expect(await store.list('out/softmax')).toEqual([]);
  },
);

test('an unknown option is refused before the plan is written', async () => {
  using work = written();
  const plan = await work.plan({ operation: 'softmax' });
  await expect(runEmbedded(plan, { root: work.root, backends, thread: 1 } as never)).rejects.toMatchObject({
    code: 'ERR_VALUE',
    message: expect.stringMatching(
      /^runEmbedded: unknown option 'thread' \(did you mean 'threads'\?\); expected one of root, /,
    ),
  });
  expect(await work.store.match('out/**')).toEqual([]);
});
