import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cpu } from '@softgrad/backend-cpu';
import { crossEntropy, logSumExp, setBackend, softmax, tensor } from '@softgrad/core';
import { beforeAll, describe, expect, inject, test, vi } from 'vitest';
import { idOf, removeDamaged, statusOf, verify } from '../src/index.js';
import { pendingOf } from '../src/pending.js';
import { putPlan, signed } from '../src/run-folder.js';
import { noise, type Workspace, workspace } from './workspace.js';

beforeAll(() => setBackend(cpu));

const rows = 12;
const classes = 20;
const logits = Float32Array.from(noise(rows * classes));
const labels = Int32Array.from({ length: rows }, (_, row) => (row % 5 === 4 ? -100 : (row * 7) % classes));
const x = () => tensor(logits, { shape: [rows, classes] });

function written(): Workspace {
  const work = workspace();
  work.write('logits.npy', [rows, classes], logits);
  work.write('labels.npy', [rows], labels, '<i4');
  return work;
}

const byClasses = { shardClasses: true, shardBytes: rows * 7 * 4 } as const;
const byRows = { shardBytes: 5 * classes * 4 } as const;

function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, bound = 8) {
  expect(actual.length).toBe(expected.length);
  const ulps = Array.from(expected, (value, i) => {
    if (!Number.isFinite(value)) return Object.is(actual[i], value) ? 0 : Infinity;
    return Math.abs(actual[i] - value) / (2 ** -23 * Math.max(Math.abs(value), 1e-3));
  });
  // One assertion for all, which a NaN fails: one for each takes longer than computing them.
  expect(Math.max(...ulps)).toBeLessThanOrEqual(bound);
}

describe('the same bits', () => {
  test.each([
    ['rows', { ...byRows, operation: 'cross-entropy', target: ['labels.npy'] }],
    ['classes', { ...byClasses, operation: 'cross-entropy', target: ['labels.npy'] }],
    ...(inject('everything') ? [['classes', { ...byClasses, operation: 'log-softmax' }] as const] : []),
  ] as const)('by %s in any order, and in several interrupted runs', async (_, options) => {
    using first = written();
    await first.compute(await first.plan(options));
    const expected = first.hashes();
    rmSync(first.path('out'), { recursive: true });
    await first.compute(await first.plan(options), (indices) => [...indices].reverse());
    expect(first.hashes()).toEqual(expected);
    rmSync(first.path('out'), { recursive: true });
    for (let go = 0; go < 3; go++) {
      const interrupted = first.compute(await first.plan(options), (indices) => indices.slice(0, 1 + go));
      await interrupted.catch((error: Error) => expect(error.message).toMatch(/missing/));
    }
    await first.compute(await first.plan(options));
    expect(first.hashes()).toEqual(expected);
  });

  test('in this thread, on two others, and in shares of machines that do not communicate', async () => {
    using work = written();
    const plan = await work.plan({ ...byClasses, operation: 'softmax' });
    await work.compute(plan);
    const expected = work.hashes();
    rmSync(work.path('out'), { recursive: true });
    await work.run(plan, 2);
    expect(work.hashes()).toEqual(expected);
    rmSync(work.path('out'), { recursive: true });
    const share = async (index: number, pass: 'statistics' | 'apply') =>
      (await work.run(plan, 1, { index, of: 2, pass })) !== null;
    expect([await share(1, 'statistics'), await share(0, 'statistics')]).toEqual([false, false]);
    expect([await share(0, 'apply'), await share(1, 'apply')]).toEqual([false, true]);
    expect(work.hashes()).toEqual(expected);
  });
});

describe('results', () => {
  test('masks of the logits and of one row, by rows and by classes', async () => {
    using work = written();
    const mask = Uint8Array.from({ length: rows * classes }, (_, i) => (i < classes || i % 3 === 0 ? 0 : 1));
    // The first row is fully masked; so are the first seven classes in the mask for all rows.
    const row = Uint8Array.from({ length: classes }, (_, i) => (i < 7 ? 0 : 1));
    work.write('mask.npy', [rows, classes], mask, '|b1');
    work.write('row.npy', [classes], row, '|b1');
    for (const [split, options] of Object.entries({ byRows, byClasses })) {
      await work.compute(await work.plan({ ...options, operation: 'softmax', mask: ['mask.npy'], out: split }));
      expectClose(
        (await work.read(split)).data,
        await softmax(x(), { mask: { data: mask, shape: [rows, classes] } }).data(),
      );
      await work.compute(
        await work.plan({ ...options, operation: 'log-sum-exp', mask: ['row.npy'], out: `${split}-row` }),
      );
      expectClose(
        (await work.read(`${split}-row`)).data,
        await logSumExp(x(), { mask: { data: row, shape: [classes] } }).data(),
      );
    }
    work.write(
      'wrong.npy',
      [classes],
      Int32Array.from(row, (v) => v * 2),
      '<i4',
    );
    const wrong = await work.plan({ ...byRows, operation: 'softmax', mask: ['wrong.npy'], out: 'wrong' });
    await expect(work.compute(wrong)).rejects.toThrow('wrong.npy: the mask has 2; expected true or 1');
  });

  test('a target that the mask excludes is an error that names its row, by rows and by classes', async () => {
    using work = written();
    const kept = Uint8Array.from({ length: classes }, (_, j) => (j === 3 ? 0 : 1));
    work.write('row.npy', [classes], kept, '|b1');
    work.write(
      'targets.npy',
      [rows],
      Int32Array.from({ length: rows }, (_, row) => (row === 5 ? 3 : 4)),
      '<i4',
    );
    const files = { operation: 'cross-entropy', mask: ['row.npy'], target: ['targets.npy'] } as const;
    for (const [options, message] of [
      [
        byRows,
        /^targets\.npy: rows \d+ to \d+: crossEntropy: target \d+ is class 3, which is masked; set it to ignoreIndex -100/,
      ],
      [byClasses, /^targets\.npy: row 5: the target is class 3, which is masked; set it to ignoreIndex -100/],
    ] as const) {
      await expect(work.compute(await work.plan({ ...options, ...files, out: 'refused' }))).rejects.toThrow(message);
      rmSync(work.path('refused'), { recursive: true, force: true });
    }
  });

  test('an ignored row may have a target that the mask excludes, by rows and by classes', async () => {
    using work = written();
    work.write(
      'row.npy',
      [classes],
      Uint8Array.from({ length: classes }, (_, j) => Number(j !== 3)),
      '|b1',
    );
    work.write(
      'targets.npy',
      [rows],
      Int32Array.from({ length: rows }, (_, row) => (row === 5 ? 3 : 4)),
      '<i4',
    );
    const files = { operation: 'cross-entropy', mask: ['row.npy'], target: ['targets.npy'], ignoreIndex: 3 } as const;
    await work.compute(await work.plan({ ...byRows, ...files, out: 'rows' }));
    await work.compute(await work.plan({ ...byClasses, ...files, out: 'classes' }));
    expectClose((await work.read('classes')).data, (await work.read('rows')).data);
  });

  test('rows without classes have a log-sum-exp of −Infinity, by rows and by classes', async () => {
    using work = workspace();
    work.write('none.npy', [3, 0], new Float32Array(0));
    work.write('vector.npy', [0], new Float32Array(0));
    for (const [out, shardClasses, file, length] of [
      ['rows', false, 'none.npy', 3],
      ['classes', true, 'none.npy', 3],
      ['one', true, 'vector.npy', 1],
    ] as const) {
      await work.compute(await work.plan({ operation: 'log-sum-exp', logits: [file], shardClasses, out }));
      expect(Array.from((await work.read(out)).data)).toEqual(Array(length).fill(-Infinity));
    }
  });

  test('one row that is split by classes, to a scalar and to a vector', async () => {
    using work = written();
    const vector = logits.subarray(0, 50);
    work.write('vector.npy', [50], vector);
    work.write('label.npy', [], Int32Array.of(33), '<i4');
    work.write('labels-of-1.npy', [1], Int32Array.of(33), '<i4');
    const options = { logits: ['vector.npy'], shardClasses: true, shardBytes: 4 * 9 } as const;
    await work.compute(await work.plan({ ...options, operation: 'softmax', out: 'p' }));
    const p = await work.read('p');
    expect(p.shape).toEqual([50]);
    expectClose(p.data, await softmax(tensor(vector)).data());
    await work.compute(await work.plan({ ...options, operation: 'log-sum-exp', out: 'lse' }));
    expect(await work.read('lse')).toMatchObject({ shape: [] });
    const loss = await work.plan({ ...options, operation: 'cross-entropy', target: ['label.npy'], out: 'ce' });
    await work.compute(loss);
    const expected = crossEntropy(tensor(vector, { shape: [1, 50] }), Int32Array.of(33));
    expectClose((await work.read('ce', 'gradient')).data, await expected.gradient.data());
    expect(await work.run(loss)).toMatchObject({ values: { loss: expect.stringMatching(/^\d/) } });
    // As in core, the class index of flat logits has no dimensions.
    await expect(
      work.plan({ ...options, operation: 'cross-entropy', target: ['labels-of-1.npy'], out: 'refused' }),
    ).rejects.toThrow(
      'labels-of-1.npy: the target has shape (1,); expected a class index () or probabilities (50,); flat logits are one row: save them as (1, 50) for a target of shape (1,)',
    );
  });

  test('the files of operands may have other boundaries than those of the logits', async () => {
    using work = written();
    const direction = Float32Array.from(noise(rows * classes, 3, 5));
    const half = (rows / 2) * classes;
    work.write('l1.npy', [2, classes], logits.subarray(0, 2 * classes));
    work.write('l2.npy', [rows - 2, classes], logits.subarray(2 * classes));
    work.write('d1.npy', [rows / 2, classes], direction.subarray(0, half));
    work.write('d2.npy', [rows / 2, classes], Float64Array.from(direction.subarray(half)), '<f8');
    await work.compute(await work.plan({ ...byRows, operation: 'vjp', logits: ['l?.npy'], direction: ['d?.npy'] }));
    const expected = softmax.vjp(softmax(x()), tensor(direction, { shape: [rows, classes] }));
    expectClose((await work.read()).data, await expected.data(), 16);
  });

  test('another axis, more dimensions, float16 and integers', async () => {
    using work = written();
    work.write('cube.npy', [4, 3, 5], logits.subarray(0, 60), '<f2');
    await work.compute(await work.plan({ operation: 'softmax', logits: ['cube.npy'], axis: 1, shardBytes: 60 }));
    const cube = await work.read();
    expect(cube.shape).toEqual([4, 3, 5]);
    expect(readFileSync(work.path('out/softmax/part-000000.npy')).toString('latin1')).toContain("'<f2'");
    const sums = [0, 1, 2, 3, 4].map((i) => cube.data[i] + cube.data[i + 5] + cube.data[i + 10]);
    for (const sum of sums) expect(Math.abs(sum - 1)).toBeLessThan(3e-3);
    work.write('ints.npy', [2, 3], Int32Array.of(1, 2, 3, 0, 0, 0), '<i4');
    await work.compute(await work.plan({ operation: 'softmax', logits: ['ints.npy'], out: 'ints' }));
    const ints = await work.read('ints');
    expect(ints.data).toBeInstanceOf(Float64Array);
    expect(ints.data[3]).toBe(1 / 3);
  });

  test('losses of rows, their sum, and the loss without the gradient', async () => {
    using work = written();
    for (const split of [byRows, byClasses]) {
      for (const reduction of ['none', 'sum', 'mean'] as const) {
        const out = `${reduction}-${'shardClasses' in split}`;
        const plan = await work.plan({
          ...split,
          operation: 'cross-entropy',
          target: ['labels.npy'],
          reduction,
          gradient: false,
          out,
        });
        await work.compute(plan);
        const expected = await crossEntropy(x(), labels, { reduction }).loss.data();
        const manifest = JSON.parse(readFileSync(work.path(`${out}/manifest.json`), 'utf8'));
        expect(manifest.arrays.gradient).toBeUndefined();
        if (reduction === 'none') expectClose((await work.read(out)).data, expected);
        else expectClose([Number(manifest.values.loss)], expected);
      }
    }
  });
});

describe('a damaged run', () => {
  const options = { ...byClasses, operation: 'cross-entropy', target: ['labels.npy'], reduction: 'none' } as const;
  const damages: Readonly<Record<string, readonly [path: string, how: (path: string) => void, problem: RegExp]>> = {
    'a flipped bit': [
      'out/gradient/part-000001.npy',
      (path) => {
        const bytes = readFileSync(path);
        bytes[bytes.length - 1] ^= 1;
        writeFileSync(path, bytes);
      },
      /corrupt: SHA-256 [0-9a-f]{64}; expected/,
    ],
    'a truncated part': ['out/gradient/part-000000.npy', (path) => truncateSync(path, 100), /100 bytes; expected \d+/],
    'a missing part': ['out/loss/part-000000.npy', (path) => rmSync(path), /missing/],
    'a record that is not JSON': ['out/records/apply-000002.json', (path) => writeFileSync(path, '{'), /not JSON/],
    'a record with other properties': [
      'out/records/apply-000002.json',
      (path) => writeFileSync(path, '{}'),
      /run: Invalid input/,
    ],
    'a record with another length': [
      'out/records/apply-000002.json',
      (path) => writeFileSync(path, readFileSync(path, 'utf8').replace('"byteLength": ', '"byteLength": 1')),
      /changed since it was written; expected the record of shard apply-000002 of run/,
    ],
    'a manifest with another start': [
      'out/manifest.json',
      (path) => writeFileSync(path, readFileSync(path, 'utf8').replace(/"start": \[\s*0/, '"start": [1')),
      /differs from the records of the shards/,
    ],
    'pins that are not JSON': ['out/pins.json', (path) => truncateSync(path, 10), /not JSON/],
    'a truncated manifest': ['out/manifest.json', (path) => truncateSync(path, 10), /not JSON/],
    'no manifest': ['out/manifest.json', (path) => rmSync(path), /the run has not finished/],
  };
  test.each(Object.entries(damages))(
    '%s is detected and computed again, and nothing else is',
    async (_, [path, damage, problem]) => {
      using work = written();
      const plan = await work.plan(options);
      await work.compute(plan);
      const expected = work.hashes();
      expect(await verify(work.store, 'out')).toMatchObject({ finished: true, damages: [], sound: 4 });
      damage(work.path(path));
      const { damages: found, finished } = await verify(work.store, 'out');
      expect(finished).toBe(false);
      expect(found).toEqual([{ path, problem: expect.stringMatching(problem) }]);
      await removeDamaged(work.store, plan);
      // Otherwise nothing would be computed at all.
      expect(Object.values(await pendingOf(work.store, plan)).flat()).not.toEqual([]);
      const again: number[] = [];
      await work.compute(plan, (indices) => {
        again.push(indices.length);
        return indices;
      });
      expect(again[2]).toBeLessThanOrEqual(1);
      expect(work.hashes()).toEqual(expected);
    },
  );

  test('two damaged parts of one shard are both computed again', async () => {
    using work = written();
    const plan = await work.plan(options);
    await work.compute(plan);
    const expected = work.hashes();
    const parts = ['out/gradient/part-000000.npy', 'out/loss/part-000000.npy'];
    for (const path of parts) truncateSync(work.path(path), 100);
    expect(await removeDamaged(work.store, plan)).toEqual(expect.arrayContaining(parts));
    await work.compute(plan);
    expect(work.hashes()).toEqual(expected);
  });

  test('statistics that are damaged before the merge are computed again', async () => {
    using work = written();
    const plan = await work.plan(options);
    await work.compute(plan);
    const expected = work.hashes();
    for (const name of [
      'manifest.json',
      'records/merge-000000.json',
      'records/apply-000000.json',
      'statistics/merged-000000.npy',
      'gradient/part-000000.npy',
      'loss/part-000000.npy',
    ]) {
      rmSync(work.path(`out/${name}`));
    }
    const path = work.path('out/statistics/part-000001.npy');
    const bytes = readFileSync(path);
    bytes[bytes.length - 8] ^= 1;
    writeFileSync(path, bytes);
    await expect(work.compute(plan)).rejects.toThrow(
      'out/statistics/part-000001.npy: corrupt; softgrad run --resume out',
    );
    expect(await removeDamaged(work.store, plan)).toEqual(['out/statistics/part-000001.npy']);
    await work.compute(plan);
    expect(work.hashes()).toEqual(expected);
  });

  test('a plan that was changed after the run started is refused, and nothing is removed', async () => {
    using work = written();
    const plan = await work.plan(options);
    await work.compute(plan);
    const changed = { ...plan, options: { ...plan.options, temperature: 2 } };
    writeFileSync(work.path('out/plan.json'), JSON.stringify(changed));
    const before = work.hashes();
    const problem = `out/plan.json: changed since the run started, from id ${idOf(plan)} to ${idOf(changed)}; expected the plan as it was, or a new run with another --out`;
    expect(await verify(work.store, 'out')).toMatchObject({
      sound: 0,
      finished: false,
      damages: [{ path: 'out/plan.json', problem }],
    });
    await expect(removeDamaged(work.store, changed)).rejects.toThrow(problem);
    await expect(work.compute(changed)).rejects.toThrow(problem);
    expect(work.hashes()).toEqual(before);
  });

  test('records and parts of an earlier run in the same folder are reported, and computed again', async () => {
    using work = written();
    const earlier = await work.plan({ ...options, temperature: 2 });
    await work.compute(earlier);
    const left = ['records/apply-000000.json', 'gradient/part-000000.npy', 'loss/part-000000.npy'];
    const bytes = left.map((name) => readFileSync(work.path(`out/${name}`)));
    rmSync(work.path('out'), { recursive: true });
    const plan = await work.plan(options);
    await work.compute(plan);
    const expected = work.hashes();
    rmSync(work.path('out/manifest.json'));
    for (const [k, name] of left.entries()) writeFileSync(work.path(`out/${name}`), bytes[k] ?? '');
    const problem = `out/records/apply-000000.json: of shard apply-000000 of run ${idOf(earlier)}; expected the record of shard apply-000000 of run ${idOf(plan)}`;
    expect((await verify(work.store, 'out')).damages[0]?.problem).toContain(problem);
    await expect(work.compute(plan)).rejects.toThrow(problem);
    expect((await removeDamaged(work.store, plan)).toSorted()).toEqual(left.map((name) => `out/${name}`).toSorted());
    await work.compute(plan);
    expect(work.hashes()).toEqual(expected);
  });

  test('a folder that was moved or is named from elsewhere is refused with its place', async () => {
    using work = written();
    await work.compute(await work.plan({ ...options, out: 'deep/out' }));
    expect((await verify(work.store, work.path('deep/../deep/out/'))).finished).toBe(true);
    expect((await statusOf(work.store, './deep/out')).steps[0]).toMatchObject({ done: 3 });
    renameSync(work.path('deep'), work.path('moved'));
    mkdirSync(work.path('a/deep'), { recursive: true });
    cpSync(work.path('moved/out'), work.path('a/deep/out'), { recursive: true });
    await expect(verify(work.store, 'moved/out')).rejects.toThrow(
      'moved/out/plan.json: the plan of results in deep/out; expected the folder at the place where the run wrote it',
    );
    await expect(verify(work.store, 'a/deep/out')).rejects.toThrow(
      'a/deep/out/plan.json: the plan of results in deep/out; expected --root a/, to which its paths are relative',
    );
  });

  test('a run that has not started has no pins, and lacks everything', async () => {
    using work = written();
    const plan = await work.plan(options);
    await putPlan(work.store, plan);
    const { damages, finished } = await verify(work.store, 'out');
    expect(finished).toBe(false);
    expect(damages).toContainEqual({ path: 'out/manifest.json', problem: 'missing: the run has not finished' });
    expect(await removeDamaged(work.store, plan)).toEqual([]);
  });

  test.each(['pins.json', 'manifest.json', 'records/apply-000001.json'])(
    'a store that fails to give %s is no damage, and nothing is removed',
    async (name) => {
      using work = written();
      const plan = await work.plan(options);
      await work.compute(plan);
      const lost = new Error('the connection is lost');
      const get = async (path: string, start: number, length: number) => {
        if (path === `out/${name}`) throw lost;
        return work.store.get(path, start, length);
      };
      const before = work.hashes();
      await expect(verify({ ...work.store, get }, 'out')).rejects.toBe(lost);
      await expect(removeDamaged({ ...work.store, get }, plan)).rejects.toBe(lost);
      expect(work.hashes()).toEqual(before);
    },
  );

  test('a file that no shard writes is reported', async () => {
    using work = written();
    await work.compute(await work.plan(options));
    writeFileSync(work.path('out/gradient/part-000001 (copy).npy'), '');
    expect((await verify(work.store, 'out')).damages).toEqual([
      { path: 'out/gradient/part-000001 (copy).npy', problem: 'no shard of the plan writes it' },
    ]);
  });
});

describe('a full disk', () => {
  test('fails with the file, leaves no partial file, and the run continues when there is space', async () => {
    using work = written();
    const plan = await work.plan({ ...byRows, operation: 'softmax' });
    await work.compute(plan);
    const expected = work.hashes();
    rmSync(work.path('out'), { recursive: true });
    // The file system has space for the first bytes only; the error is that of the system for a full disk.
    const { prototype } = await open(work.path('logits.npy')).then(async (handle) => {
      await handle.close();
      return { prototype: Object.getPrototypeOf(handle) as FileHandle };
    });
    let writes = 0;
    const write = prototype.write as (data: Uint8Array, from: number, length: number) => Promise<unknown>;
    const full = vi.spyOn(prototype, 'write').mockImplementation(async function (
      this: FileHandle,
      data: Uint8Array,
      from: number,
      length: number,
    ) {
      // The plan, the pins, and the header, the numbers and the record of the first shard; then the header and the numbers of the second.
      writes++;
      if (writes === 8) throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
      return write.call(this, data, from, writes === 7 ? 3 : length);
    } as never);
    await expect(work.compute(plan)).rejects.toThrow(
      'out/softmax/part-000001.npy: cannot be written: no space left on the device',
    );
    full.mockRestore();
    expect(writes).toBe(8);
    expect(readdirSync(work.path('out/softmax'))).toEqual(['part-000000.npy']);
    await work.compute(plan);
    expect(work.hashes()).toEqual(expected);
  });

  // A real file system needs the permission to mount one; the test above does not.
  if (canMount()) {
    test('for a real file system without space for all parts', async () => {
      using work = workspace();
      work.write('logits.npy', [64, 1000], Float32Array.from(noise(64_000)));
      const plan = await work.plan({ operation: 'softmax', shardBytes: 64_000 });
      await work.compute(plan);
      const expected = work.hashes();
      rmSync(work.path('out'), { recursive: true });
      mkdirSync(work.path('out'));
      const disk = mountDisk(work.path('out'), 200);
      expect(disk).not.toBeNull();
      try {
        await expect(work.run(plan)).rejects.toThrow(
          /^out\/softmax\/part-00000\d\.npy: cannot be written: no space left on the device/,
        );
        expect(work.temporaries()).toEqual([]);
        const kept = Object.entries(work.hashes()).filter(([name]) => name.includes('part-'));
        expect(kept.length).toBeGreaterThan(0);
        for (const [name, hash] of kept) expect(hash).toBe(expected[name]);
        disk?.resize(2000);
        await work.compute(plan);
        expect(work.hashes()).toEqual(expected);
      } finally {
        disk?.unmount();
      }
    });
  }
});

/** A file system of this many KiB, mounted over a folder; null if this user may not mount one. */
function mountDisk(folder: string, kibibytes: number) {
  const mount = (...options: string[]) => spawnSync('mount', [...options, folder], { stdio: 'ignore' }).status === 0;
  if (!mount('-t', 'tmpfs', '-o', `size=${kibibytes}k`, 'tmpfs')) return null;
  return {
    resize: (to: number) => mount('-o', `remount,size=${to}k`),
    unmount: () => spawnSync('umount', [folder], { stdio: 'ignore' }),
  };
}

function canMount(): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'softgrad-mount-'));
  const disk = mountDisk(folder, 64);
  disk?.unmount();
  rmSync(folder, { recursive: true });
  return disk !== null;
}

describe('refused', () => {
  test('another run in the same folder', async () => {
    using work = written();
    await work.compute(await work.plan({ operation: 'softmax' }));
    const other = await work.plan({ operation: 'log-softmax' });
    await expect(work.compute(other)).rejects.toThrow(
      /out\/plan.json: the plan of another run \(softmax, id [0-9a-f]{32}\)/,
    );
  });

  test('an input that has changed since the plan, while the other shards are computed', async () => {
    using work = written();
    for (const name of ['a', 'b', 'c']) work.write(`${name}.npy`, [2, 4], new Float32Array(8));
    const plan = await work.plan({ operation: 'softmax', logits: ['a.npy', 'b.npy', 'c.npy'] });
    utimesSync(work.path('b.npy'), 1000, 1000);
    await expect(work.run(plan)).rejects.toThrow(
      /^b\.npy: changed since the run was planned, from 96|^b\.npy: changed since the run was planned/,
    );
    expect(Object.keys(work.hashes()).filter((name) => name.includes('part-'))).toEqual([
      'softmax/part-000000.npy',
      'softmax/part-000002.npy',
    ]);
    expect(existsSync(work.path('out/manifest.json'))).toBe(false);
    const { steps, finished } = await statusOf(work.store, 'out');
    expect({ steps, finished }).toEqual({
      steps: [
        { step: 'apply', done: 2, total: 3 },
        { step: 'finish', done: 0, total: 1 },
      ],
      finished: false,
    });
  });

  test('a worker of another version, backend or arithmetic', async () => {
    using work = written();
    const plan = await work.plan({ operation: 'softmax' });
    await expect(work.compute({ ...plan, version: '0.0.1' })).rejects.toThrow(
      'the run was planned by version 0.0.1, but this is',
    );
    using other = written();
    const otherPlan = await other.plan({ operation: 'softmax' });
    const pins = { run: idOf(otherPlan), version: plan.version, backend: 'cpu', fingerprint: '0'.repeat(64) };
    await other.store.putOnce('out/pins.json', Buffer.from(JSON.stringify(pins)));
    await expect(other.compute(otherPlan)).rejects.toThrow(
      'the first worker of the run computes other bits (cpu, 000000000000)',
    );
  });

  test('a worker that computes other bits for a shard that has a record', async () => {
    using work = written();
    const plan = await work.plan({ operation: 'softmax' });
    const parts = [{ path: 'out/softmax/part-000000.npy', byteLength: 1, sha256: '0'.repeat(64) }];
    const record = signed({ run: idOf(plan), shard: 'apply-000000', parts });
    await work.store.putOnce('out/records/apply-000000.json', Buffer.from(JSON.stringify(record)));
    await expect(work.compute(plan)).rejects.toThrow(
      'out/records/apply-000000.json: another worker computed other bits',
    );
  });
});
