import { isSoftgradError } from '@softgrad/core';
import { describe, expect, test } from 'vitest';
import { blockReader } from '../src/block.js';
import { folderStore, type Plan, partsReader } from '../src/index.js';
import { pendingOf } from '../src/pending.js';
import { readManifest, readRecord, runFiles } from '../src/run-folder.js';
import { codeOf, fail, statusOf } from '../src/s3/errors.js';
import { s3Store } from '../src/s3/s3-store.js';
import { applyShards } from '../src/shards.js';
import { noise, workspace } from './workspace.js';

type Operation = Plan['operation'];

describe('blocks of an array in several files', () => {
  test.each([
    ['<f2', '<f4', Float32Array],
    ['<f4', '|b1', Float32Array],
    ['<f4', '<f8', Float64Array],
    ['<i4', '<f4', Float64Array],
  ] as const)('of %s and %s are read without loss', async (first, second, expected) => {
    using work = workspace();
    const values = [1, 0, 1, 1, 0, 1];
    work.write('a.npy', [1, 3], new (first === '<i4' ? Int32Array : Float32Array)(values.slice(0, 3)), first);
    const rest = values.slice(3);
    const data =
      second === '|b1' ? Uint8Array.from(rest) : second === '<f8' ? Float64Array.from(rest) : Float32Array.from(rest);
    work.write('b.npy', [1, 3], data, second);
    const { inputs } = await work.plan({ operation: 'softmax', logits: ['a.npy', 'b.npy'] });
    const read = await blockReader(work.store, inputs.logits).read({ rows: [0, 2], columns: [0, 3] });
    expect(read).toEqual(expected.from(values));
  });
});

describe('the shards of a plan', () => {
  test('by rows have as many rows as fit, at least one, and all classes', async () => {
    using work = workspace();
    work.write('logits.npy', [7, 5], new Float32Array(35));
    work.write('doubles.npy', [7, 5], new Float64Array(35), '<f8');
    work.write('vectors.npy', [7, 0], new Float32Array(0));
    const block = async (logits: string, shardBytes: number) =>
      (await work.plan({ operation: 'softmax', logits: [logits], shardBytes })).block;
    expect(await block('logits.npy', 60)).toEqual({ rows: 3, classes: 5 });
    expect(await block('logits.npy', 59)).toEqual({ rows: 2, classes: 5 });
    expect(await block('logits.npy', 1)).toEqual({ rows: 1, classes: 5 });
    expect(await block('doubles.npy', 80)).toEqual({ rows: 2, classes: 5 });
    expect(await block('vectors.npy', 40)).toEqual({ rows: 10, classes: 1 });
  });

  test('by rows of more than two dimensions have parts that begin at a row and are whole in the others', async () => {
    using work = workspace();
    work.write('logits.npy', [5, 2, 3], new Float32Array(30));
    const parts = async (operation: 'softmax' | 'log-sum-exp') => {
      const plan = await work.plan({ operation, shardBytes: 72 });
      return applyShards(plan).flatMap(({ parts: own }) => own.map(({ start, shape }) => [start, shape]));
    };
    expect(await parts('softmax')).toEqual([
      [
        [0, 0, 0],
        [3, 2, 3],
      ],
      [
        [3, 0, 0],
        [2, 2, 3],
      ],
    ]);
    expect(await parts('log-sum-exp')).toEqual([
      [
        [0, 0],
        [3, 2],
      ],
      [
        [3, 0],
        [2, 2],
      ],
    ]);
  });

  test('of a vector by classes have parts of one dimension, and those of its log-sum-exp none', async () => {
    using work = workspace();
    work.write('logits.npy', [30], new Float32Array(30));
    work.write('matrix.npy', [2, 30], new Float32Array(60));
    const parts = async (operation: 'softmax' | 'log-sum-exp', logits: string, shardBytes: number) => {
      const plan = await work.plan({ operation, logits: [logits], shardClasses: true, shardBytes });
      return applyShards(plan).flatMap(({ parts: own }) => own.map(({ start, shape }) => [start, shape]));
    };
    expect(await parts('softmax', 'logits.npy', 16)).toEqual([
      [[0], [4]],
      [[4], [4]],
      [[8], [4]],
      [[12], [4]],
      [[16], [4]],
      [[20], [4]],
      [[24], [4]],
      [[28], [2]],
    ]);
    expect((await parts('softmax', 'matrix.npy', 32)).at(-1)).toEqual([
      [0, 28],
      [2, 2],
    ]);
    expect(await parts('log-sum-exp', 'logits.npy', 16)).toEqual([[[], []]]);
    expect(await parts('log-sum-exp', 'matrix.npy', 32)).toEqual([[[0], [2]]]);
    // Nor are there shards without parts.
    for (const [logits, count] of [
      ['logits.npy', 1],
      ['matrix.npy', 1],
    ] as const) {
      const plan = await work.plan({ operation: 'log-sum-exp', logits: [logits], shardClasses: true, shardBytes: 16 });
      expect(applyShards(plan)).toHaveLength(count);
    }
  });

  test('take options at the ends of their ranges', async () => {
    using work = workspace();
    work.write('logits.npy', [2, 3], new Float32Array(6));
    work.write('labels.npy', [2], Int32Array.of(0, 2), '<i4');
    const plan = (options: object) =>
      work.plan({ operation: 'cross-entropy', target: ['labels.npy'], shardBytes: 1, ...options });
    for (const labelSmoothing of [0, 1]) {
      expect((await plan({ labelSmoothing })).options).toMatchObject({ labelSmoothing, counted: 2 });
    }
    expect((await plan({ ignoreIndex: 2 })).options).toMatchObject({ ignoreIndex: 2, counted: 1 });
    for (const [options, message] of [
      [{ labelSmoothing: -0.01 }, 'label smoothing -0.01; expected a number from 0 to 1'],
      [{ labelSmoothing: 1.01 }, 'label smoothing 1.01; expected a number from 0 to 1'],
      [{ labelSmoothing: Number.NaN }, 'label smoothing NaN; expected a number from 0 to 1'],
      [{ temperature: Number.POSITIVE_INFINITY }, 'temperature Infinity; expected a finite number above 0'],
      [{ labelSmoothing: '0.5' }, 'label smoothing is the text "0.5"; expected a number from 0 to 1'],
      [{ temperature: '2' }, 'temperature is the text "2"; expected a finite number above 0'],
      [{ axis: '1' }, 'axis is the text "1"; expected an integer'],
      [{ shardBytes: '64' }, 'shardBytes is the text "64"; expected at least 1'],
      [{ shardBytes: 0 }, 'shardBytes 0; expected at least 1'],
      [{ direction: ['logits.npy'] }, 'cross-entropy takes no direction (upstream gradient)'],
      [{ operation: 'jvp', target: undefined }, 'jvp needs a direction (tangent)'],
      [
        { operation: 'softmax', target: undefined, reduction: 'sum' },
        'softmax has no loss; reduction is an option of cross-entropy',
      ],
      [
        { operation: 'softmax', target: undefined, labelSmoothing: 0 },
        'softmax has no loss; label smoothing is an option of cross-entropy',
      ],
    ] as const) {
      const error = await plan(options).catch((cause: unknown) => cause);
      expect(isSoftgradError(error) && [error.code, error.message]).toEqual(['ERR_VALUE', message]);
    }
  });
});

describe('a run in one thread', () => {
  test.each([false, true])(
    'is pending until every shard has a record and there is a manifest (by classes: %s)',
    async (shardClasses) => {
      using work = workspace();
      work.write('logits.npy', [3, 8], Float32Array.from(noise(24)));
      const plan = await work.plan({ operation: 'softmax', shardClasses, shardBytes: shardClasses ? 48 : 32 });
      const steps = (count: number) => Array.from({ length: count }, (_, k) => k);
      const [all, applied] = shardClasses
        ? [{ statistics: steps(2), merge: [0] }, 2]
        : [{ statistics: [], merge: [] }, 3];
      const pending = () => pendingOf(work.store, plan);
      expect(await pending()).toEqual({ ...all, apply: steps(applied), finish: [0] });
      expect(await readManifest(work.store, plan.out)).toBeNull();
      await work.compute(plan);
      const none = { statistics: [], merge: [], apply: [] };
      expect(await pending()).toEqual({ ...none, finish: [] });
      await work.store.remove(runFiles.manifest('out'));
      expect(await pending()).toEqual({ ...none, finish: [0] });
      await work.store.remove(runFiles.record('out', 'apply', 1));
      expect(await pending()).toEqual({ ...none, apply: [1], finish: [0] });
      // A manifest without a shard is not the end of the run.
      await work.compute(plan);
      await work.store.remove(runFiles.record('out', 'apply', 0));
      expect(await pending()).toEqual({ ...none, apply: [0], finish: [0] });
    },
  );

  test('has results that are read in any number of rows at a time', async () => {
    using work = workspace();
    const data = Float64Array.from(noise(28));
    work.write('logits.npy', [7, 4], data, '<f8');
    const plan = await work.plan({ operation: 'log-sum-exp', shardBytes: 64 });
    await work.compute(plan);
    await work.compute(await work.plan({ operation: 'softmax', shardBytes: 64, out: 'single', dtype: 'float32' }));
    const results = folderStore(work.path('out'));
    const whole = await work.read();
    for (const count of [1, 2, 3, 7, 100]) {
      const reader = await partsReader(results, undefined);
      expect([reader.name, reader.shape, reader.position()]).toEqual([`${results.name}:log-sum-exp`, [7], 0]);
      const found: number[] = [];
      for (let next = await reader.next(count); next !== null; next = await reader.next(count)) {
        expect(next.shape).toEqual([Math.min(count, 7 - found.length)]);
        found.push(...Array.from(next.data, Number));
        expect(reader.position()).toBe(8 * found.length);
      }
      expect(found).toEqual(Array.from(whole.data, Number));
      await reader.close();
    }
    const single = await partsReader(folderStore(work.path('single')), 'softmax');
    expect((await single.next(2))?.data).toBeInstanceOf(Float32Array);
    expect(single.position()).toBe(2 * 4 * 4);
    const refused = async (entry: string | undefined) => {
      const error = await partsReader(results, entry).catch((cause: unknown) => cause);
      return isSoftgradError(error) && [error.code, error.message];
    };
    expect(await refused('loss')).toEqual([
      'ERR_VALUE',
      `${results.name}: no array loss; expected one of :log-sum-exp`,
    ]);
  });

  test('has results of several arrays, of which one must be named', async () => {
    using work = workspace();
    work.write('logits.npy', [3, 4], Float32Array.from(noise(12)));
    work.write('labels.npy', [3], Int32Array.of(0, 2, 1), '<i4');
    const plan = await work.plan({ operation: 'cross-entropy', target: ['labels.npy'], reduction: 'none' });
    await work.compute(plan);
    const results = folderStore(work.path('out'));
    await expect(partsReader(results, undefined)).rejects.toThrow(
      `${results.name}: 2 arrays; expected one of :loss, :gradient`,
    );
    expect((await partsReader(results, 'gradient')).shape).toEqual([3, 4]);
  });
});

describe('every operation', () => {
  const values = noise(24);
  const directions = noise(24, 1, 2);
  const reference = (row: number) => {
    const x = values.slice(4 * row, 4 * row + 4);
    const g = directions.slice(4 * row, 4 * row + 4);
    const max = Math.max(...x);
    const sum = x.reduce((total, value) => total + Math.exp((value - max) / 2), 0);
    const s = x.map((value) => Math.exp((value - max) / 2) / sum);
    const inner = s.reduce((total, p, i) => total + p * g[i], 0);
    return { x, g, s, logSum: max / 2 + Math.log(sum), product: s.map((p, i) => (p * (g[i] - inner)) / 2) };
  };
  const rows = Array.from({ length: 6 }, (_, row) => reference(row));
  const labels = [0, 3, -100, 1, 1, 2];
  const losses = rows.map(({ x, logSum }, n) => (labels[n] < 0 ? 0 : logSum - x[labels[n]] / 2));
  const gradients = rows.flatMap(({ s }, n) =>
    Array.from(s, (p, i) => (labels[n] < 0 ? 0 : (p - (i === labels[n] ? 1 : 0)) / 2)),
  );
  const operations: readonly (readonly [Operation, string, readonly number[]])[] = [
    ['softmax', 'softmax', rows.flatMap(({ s }) => [...s])],
    ['log-softmax', 'log-softmax', rows.flatMap(({ x, logSum }) => Array.from(x, (value) => value / 2 - logSum))],
    ['log-sum-exp', 'log-sum-exp', rows.map(({ logSum }) => logSum)],
    ['vjp', 'vjp', rows.flatMap(({ product }) => [...product])],
    ['jvp', 'jvp', rows.flatMap(({ product }) => [...product])],
    ['cross-entropy', 'loss', losses],
    ['cross-entropy', 'gradient', gradients],
  ];

  test.each(operations.flatMap((one) => [false, true].map((shardClasses) => [...one, shardClasses] as const)))(
    '%s: %s in two shards',
    async (operation, array, expected, shardClasses) => {
      using work = workspace();
      work.write('logits.npy', [6, 4], values, '<f8');
      work.write('direction.npy', [6, 4], directions, '<f8');
      work.write('labels.npy', [6], Int32Array.from(labels), '<i4');
      const isLoss = operation === 'cross-entropy';
      const plan = await work.plan({
        operation,
        shardClasses,
        temperature: 2,
        shardBytes: 96,
        ...(operation === 'vjp' || operation === 'jvp' ? { direction: ['direction.npy'] } : {}),
        ...(isLoss ? { target: ['labels.npy'], reduction: 'none' as const } : {}),
      });
      await work.compute(plan);
      const record = await readRecord(work.store, plan, 'apply', 0);
      expect(record?.lossSum).toBeUndefined();
      expect((await readManifest(work.store, 'out'))?.values).toEqual({});
      const { data } = await work.read('out', isLoss ? array : undefined);
      expect(data.length).toBe(expected.length);
      expected.forEach((value, k) => {
        expect(Number(data[k]), `${k}`).toBeCloseTo(value, 12);
      });
    },
  );
});

test.each([false, true])('each row has its own mask, or all have one (by classes: %s)', async (shardClasses) => {
  using work = workspace();
  work.write('logits.npy', [3, 4], new Float64Array(12), '<f8');
  work.write('own.npy', [3, 4], Uint8Array.of(1, 0, 0, 0, 1, 1, 0, 1, 0, 1, 1, 0), '|b1');
  work.write('one.npy', [4], Uint8Array.of(0, 1, 1, 0), '|b1');
  const split = { operation: 'softmax', shardClasses, shardBytes: shardClasses ? 48 : 64 } as const;
  await work.compute(await work.plan({ ...split, mask: ['own.npy'], out: 'own' }));
  expect(Array.from((await work.read('own')).data, Number)).toEqual([
    ...[1, 0, 0, 0],
    ...[1 / 3, 1 / 3, 0, 1 / 3],
    ...[0, 0.5, 0.5, 0],
  ]);
  await work.compute(await work.plan({ ...split, mask: ['one.npy'], out: 'one' }));
  expect(Array.from((await work.read('one')).data, Number)).toEqual([0, 1, 2].flatMap(() => [0, 0.5, 0.5, 0]));
  const cut = (name: string, length: number) => {
    const [shape, size] = shardClasses ? [[3, length], 3 * length] : [[length, 4], 4 * length];
    const mask = Float32Array.from({ length: size }, (_, k) => (k === 1 ? 0.5 : 1));
    work.write(name, shape, mask);
  };
  cut('a.npy', 1);
  cut('b.npy', shardClasses ? 3 : 2);
  const wrong = await work.plan({ ...split, mask: ['a.npy', 'b.npy'], out: 'wrong' });
  await expect(work.compute(wrong)).rejects.toThrow(
    'a.npy, b.npy: the mask has 0.5; expected true or 1 to keep an entry, false or 0 to mask it',
  );
});

test.each([false, true])('a mean over no rows is NaN, and its gradient 0 (by classes: %s)', async (shardClasses) => {
  using work = workspace();
  work.write('logits.npy', [2, 4], Float32Array.of(1, 2, 3, Number.NaN, 0, 0, 1, Number.POSITIVE_INFINITY));
  work.write('labels.npy', [2], Int32Array.of(-100, -100), '<i4');
  const plan = await work.plan({ operation: 'cross-entropy', target: ['labels.npy'], shardClasses, shardBytes: 16 });
  await work.compute(plan);
  expect((await readManifest(work.store, 'out'))?.values).toEqual({ loss: 'NaN' });
  expect((await work.read('out', 'gradient')).data).toEqual(new Float32Array(8));
});

test.each([false, true])('the mean over rows without classes is 0 (by classes: %s)', async (shardClasses) => {
  using work = workspace();
  work.write('logits.npy', [5, 0], new Float32Array(0));
  const plan = await work.plan({ operation: 'cross-entropy', target: ['logits.npy'], shardClasses });
  await work.compute(plan);
  expect((await readManifest(work.store, 'out'))?.values).toEqual({ loss: '0' });
});

test.each([2 ** 32 - 1, 2 ** 32 + 1, -(2 ** 33)])(
  'rows of class %d are ignored, which int32 would wrap',
  async (ignoreIndex) => {
    using work = workspace();
    work.write('logits.npy', [3, 2], Float32Array.of(0, 0, 3, 4, 1, 1));
    work.write('labels.npy', [3], Float64Array.of(0, ignoreIndex, 1), '<f8');
    for (const shardClasses of [false, true]) {
      const out = String(shardClasses);
      const target = ['labels.npy'];
      await work.compute(await work.plan({ operation: 'cross-entropy', target, ignoreIndex, shardClasses, out }));
      expect(Number((await readManifest(work.store, out))?.values.loss)).toBeCloseTo(Math.LN2, 6);
      expect([...(await work.read(out, 'gradient')).data]).toEqual([-0.25, 0.25, 0, 0, 0.25, -0.25]);
    }
  },
);

describe('errors of an S3 server', () => {
  const coded = (code: unknown, message = 'what happened') => Object.assign(new Error(message), { code });
  const answered = (httpStatusCode: unknown, name = 'Peculiar') =>
    Object.assign(new Error('what happened'), { name, $metadata: { httpStatusCode } });

  test('have the code of the response, or the name of the error', () => {
    expect([coded('ENOTFOUND'), coded(7), answered(403), 'text', null, undefined].map(codeOf)).toEqual([
      'ENOTFOUND',
      'Error',
      'Peculiar',
      '',
      '',
      '',
    ]);
    expect([answered(403), answered('403'), coded('x'), 'text', null, undefined].map(statusOf)).toEqual([
      403, 0, 0, 0, 0, 0,
    ]);
  });

  test.each([
    [answered(404, 'NoSuchKey'), 'no such object'],
    [answered(404, 'NotFound'), 'no such object'],
    [answered(403), /^access denied; expected the permissions s3:GetObject, .*ListBucketMultipartUploads/],
    [answered(301), 'the bucket is in another region; expected AWS_REGION, the region of the bucket'],
    [answered(307), 'the bucket is in another region; expected AWS_REGION, the region of the bucket'],
    [
      answered(301, 'PermanentRedirect'),
      'the bucket is in another region; expected AWS_REGION, the region of the bucket',
    ],
    [answered(501), 'the server does not implement this request; expected one that honours If-None-Match on PUT'],
    [answered(507), 'no space left on the server'],
    [answered(400), 'what happened (Peculiar, status 400)'],
    [coded('ENOTFOUND'), /^unknown server name; expected AWS_ENDPOINT_URL_S3/],
    [coded('EAI_AGAIN'), /^the name of the server cannot be looked up; expected AWS_ENDPOINT_URL_S3/],
    [coded('x', 'Region is missing'), 'no region; expected AWS_REGION, the region of the bucket'],
    [coded('x'), 'what happened'],
    ['a text', 'a text'],
  ])('%s: %s', (cause, reason) => {
    try {
      fail('s3://bucket/x', 'cannot be read', cause);
    } catch (error) {
      if (!isSoftgradError(error)) throw error;
      expect([error.code, error.cause]).toEqual(['ERR_VALUE', cause]);
      const [object, what, ...rest] = error.message.split(': ');
      expect([object, what]).toEqual(['s3://bucket/x', 'cannot be read']);
      if (typeof reason === 'string') expect(rest.join(': ')).toBe(reason);
      else expect(rest.join(': ')).toMatch(reason);
      return;
    }
    throw new Error('nothing was thrown');
  });

  test('paths of arguments are relative to the bucket and its prefix, without empty parts', () => {
    const { name, locate } = s3Store('s3://bucket/a//b/', { client: {} as never });
    expect(name).toBe('s3://bucket/a/b');
    expect(['x', './x/.//y', `${name}/x//y`, `${name}/./x`, 'x/*.npy', 'x/s3://y', '.'].map(locate)).toEqual([
      'x',
      'x/y',
      'x/y',
      'x',
      'x/*.npy',
      'x/s3:/y',
      '',
    ]);
    for (const path of ['/x', '..', 'x/..', `${name}/../y`, 's3://bucket/a/bc', 's3://bucket', `${name}`]) {
      let found: unknown;
      try {
        locate(path);
      } catch (error) {
        found = isSoftgradError(error) && [error.code, error.message];
      }
      expect(found, path).toEqual([
        'ERR_VALUE',
        `${path}: outside of ${name}, the store that all workers can access; expected a path in it, or another --store`,
      ]);
    }
    const ofBucket = '; the name of a bucket has 3 to 63 lower-case letters, digits, . or -';
    for (const [url, more] of [
      ...['s3://', 's3://Bucket', 's3://b', 's3://b/x', 's3:/bucket', 'xs3://bucket'].map((url) => [url, ofBucket]),
      ...['s3://bucket/./x', 's3://bucket/../x'].map((url) => [url, '']),
    ]) {
      expect(() => s3Store(url, { client: {} as never }), url).toThrow(
        expect.objectContaining({ message: `${url}: expected s3://BUCKET or s3://BUCKET/PREFIX${more}` }),
      );
    }
  });
});
