import { readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { cpu } from '@softgrad/backend-cpu';
import { type Backend, type HostArray, isSoftgradError } from '@softgrad/core';
import type { NpyDescr } from '@softgrad/formats';
import { describe, expect, test } from 'vitest';
import { blockReader } from '../src/block.js';
import { createNpy } from '../src/encode.js';
import { hashOf } from '../src/hash.js';
import {
  folderStore,
  idOf,
  type Plan,
  partsReader,
  removeDamaged,
  type Store,
  statusOf,
  verify,
} from '../src/index.js';
import { loadS3 } from '../src/open-store.js';
import { pendingOf } from '../src/pending.js';
import { checkPins, fingerprint } from '../src/pins.js';
import { partsOf, putPlan, readManifest, readPins, readPlan, readRecord, runFiles, signed } from '../src/run-folder.js';
import * as s3 from '../src/s3/index.js';
import { stepsOf } from '../src/shards.js';
import { runStep } from '../src/step.js';
import { getWhole } from '../src/store.js';
import { noise, type Workspace, workspace } from './workspace.js';

/** The code and the message of the error of a promise. */
async function refusal(promise: Promise<unknown>): Promise<readonly [string, string]> {
  const error = await promise.then(
    () => null,
    (cause: unknown) => cause,
  );
  if (!isSoftgradError(error)) throw new Error('expected a SoftgradError', { cause: error });
  return [error.code, error.message];
}

/** A store that records what is asked of it, as `METHOD PATH`. */
function recording(store: Store): { readonly store: Store; readonly calls: string[] } {
  const calls: string[] = [];
  const note =
    <A extends readonly [string, ...unknown[]], R>(name: string, method: (...given: A) => R) =>
    (...given: A): R => {
      calls.push(`${name} ${given[0]}`);
      return method(...given);
    };
  const { get, stat, getInto } = store;
  const own = { get: note('get', get), stat: note('stat', stat), ...(getInto && { getInto: note('into', getInto) }) };
  return { calls, store: { ...store, ...own } };
}

const write = (work: Workspace, path: string, value: unknown) => writeFileSync(work.path(path), JSON.stringify(value));

/** The logits of a plan with another number of rows. */
const sized = ({ inputs: { logits } }: Plan, rows: number) => ({
  ...logits,
  files: logits.files.map((file) => ({ ...file, shape: [rows, ...file.shape.slice(1)] })),
});

describe('the block of an array', () => {
  const rows = 4;
  const columns = 4;
  const values = noise(rows * columns);
  const part = (from: readonly [number, number], to: readonly [number, number]) => {
    const out: number[] = [];
    for (let row = from[0]; row < to[0]; row++)
      for (let column = from[1]; column < to[1]; column++) out.push(values[row * columns + column]);
    return Float64Array.from(out);
  };
  const split = (work: Workspace, by: 'rows' | 'classes') => {
    const cuts = by === 'rows' ? [0, 2, 3, 4] : [0, 1, 3, 4];
    return cuts.slice(1).map((end, k) => {
      const start = cuts[k];
      return by === 'rows'
        ? work.write(`${by}-${k}.npy`, [end - start, columns], part([start, 0], [end, columns]), '<f8')
        : work.write(`${by}-${k}.npy`, [rows, end - start], part([0, start], [rows, end]), '<f8');
    });
  };

  test.each(['rows', 'classes'] as const)('is read from files split by %s, whatever its range', async (by) => {
    using work = workspace();
    const shardClasses = by === 'classes';
    const { inputs } = await work.plan({ operation: 'softmax', logits: split(work, by), shardClasses });
    const reader = blockReader(work.store, inputs.logits);
    expect([reader.rows, reader.columns]).toEqual([rows, columns]);
    for (let top = 0; top < rows; top++) {
      for (let bottom = top + 1; bottom <= rows; bottom++) {
        for (let left = 0; left < columns; left++) {
          for (let right = left + 1; right <= columns; right++) {
            const block = await reader.read({ rows: [top, bottom], columns: [left, right] });
            const place = `${top}:${bottom}, ${left}:${right}`;
            expect(block, place).toEqual(part([top, left], [bottom, right]));
            const out = new Float64Array(block.length);
            await reader.readInto({ rows: [top, bottom], columns: [left, right] }, out);
            expect(out, place).toEqual(block);
          }
        }
      }
    }
  });

  test('is read with as few reads as there are contiguous pieces, from files that are opened once', async () => {
    using work = workspace();
    const { inputs } = await work.plan({ operation: 'softmax', logits: split(work, 'rows') });
    const { store, calls } = recording(work.store);
    const reader = blockReader(store, inputs.logits);
    const count = async (range: Parameters<typeof reader.read>[0]) => {
      calls.length = 0;
      await reader.read(range);
      return calls.map((call) => call.replace('.npy', ''));
    };
    await reader.read({ rows: [0, 4], columns: [0, 4] });
    expect(calls.filter((call) => call.startsWith('stat'))).toEqual([0, 1, 2].map((k) => `stat rows-${k}.npy`));
    expect(await count({ rows: [0, 2], columns: [0, 4] })).toEqual(['get rows-0']);
    expect(await count({ rows: [1, 2], columns: [2, 4] })).toEqual(['get rows-0']);
    expect(await count({ rows: [0, 2], columns: [2, 4] })).toEqual(['get rows-0', 'get rows-0']);
    expect(await count({ rows: [3, 4], columns: [0, 4] })).toEqual(['get rows-2']);
    const { getInto: _, ...without } = work.store;
    for (const [own, expected] of [
      [store, ['into rows-0', 'into rows-0', 'get rows-0', 'get rows-1']],
      [without, []],
    ] as const) {
      const into = blockReader(own, inputs.logits);
      const out = new Float64Array(12);
      await into.read({ rows: [0, 4], columns: [0, 4] });
      calls.length = 0;
      await into.readInto({ rows: [0, 2], columns: [0, 4] }, out.subarray(0, 8));
      await into.readInto({ rows: [1, 2], columns: [2, 4] }, out.subarray(8, 10));
      await into.readInto({ rows: [1, 3], columns: [3, 4] }, out.subarray(10));
      expect(out).toEqual(Float64Array.from([...values.subarray(0, 8), values[6], values[7], values[7], values[11]]));
      expect(calls.map((call) => call.replace('.npy', ''))).toEqual(expected);
    }
  });

  test('is refused if its file is missing, or has another size or time than in the plan', async () => {
    using work = workspace();
    work.write('logits.npy', [2, 3], new Float32Array(6));
    const plan = await work.plan({ operation: 'softmax' });
    const read = () => refusal(blockReader(work.store, plan.inputs.logits).read({ rows: [0, 2], columns: [0, 3] }));
    const then = '152 bytes of 2001-09-09T01:46:40.000Z';
    const advice = 'expected the file as it was, or a new run with another --out';
    utimesSync(work.path('logits.npy'), 1e9, 1e9 + 1);
    expect(await read()).toEqual([
      'ERR_VALUE',
      `logits.npy: changed since the run was planned, from ${then} to 152 bytes of 2001-09-09T01:46:41.000Z; ${advice}`,
    ]);
    work.write('logits.npy', [2, 4], new Float32Array(8));
    expect((await read())[1]).toBe(
      `logits.npy: changed since the run was planned, from ${then} to 160 bytes of 2001-09-09T01:46:40.000Z; ${advice}`,
    );
    // The time of a file may have fractions of a millisecond, which a plan does not have.
    work.write('logits.npy', [2, 3], new Float32Array(6));
    utimesSync(work.path('logits.npy'), 1e9, 1e9 + 0.0005);
    await blockReader(work.store, plan.inputs.logits).read({ rows: [0, 2], columns: [0, 3] });
    rmSync(work.path('logits.npy'));
    expect(await read()).toEqual(['ERR_VALUE', 'logits.npy: no such file; it was there when the run was planned']);
  });
});

describe('the results of a run', () => {
  test('have the dtype of the parts, and only parts with the next rows are opened', async () => {
    using work = workspace();
    work.write('half.npy', [6, 4], Float32Array.from(noise(24)), '<f2');
    const plan = await work.plan({ operation: 'softmax', logits: ['half.npy'], shardBytes: 32 });
    await work.compute(plan);
    const { store, calls } = recording(folderStore(work.path('out')));
    const reader = await partsReader(store, undefined);
    expect(reader.byteLength).toBe(3 * (128 + 16));
    calls.length = 0;
    expect(await reader.next(3)).toMatchObject({ shape: [3, 4], stored: 'float16' });
    expect(new Set(calls)).toEqual(new Set([0, 1].map((k) => `get softmax/part-00000${k}.npy`)));
    calls.length = 0;
    await reader.next(1);
    expect(new Set(calls)).toEqual(new Set(['get softmax/part-000001.npy']));
    await work.compute(
      await work.plan({ operation: 'softmax', logits: ['half.npy'], dtype: 'float64', out: 'double' }),
    );
    expect(await (await partsReader(folderStore(work.path('double')), undefined)).next(1)).not.toHaveProperty('stored');
  });

  test('by classes are put together column by column, and a single number is a chunk without dimensions', async () => {
    using work = workspace();
    const values = Float64Array.from(noise(50 * 7));
    work.write('logits.npy', [50, 7], values, '<f8');
    work.write('vector.npy', [7], values.subarray(0, 7), '<f8');
    const split = { shardClasses: true, shardBytes: 16 * 8 * 3 } as const;
    const whole = await work.plan({ operation: 'softmax', out: 'whole' });
    await work.compute(whole);
    await work.compute(await work.plan({ operation: 'softmax', ...split }));
    const expected = (await work.read('whole')).data;
    const reader = await partsReader(folderStore(work.path('out')), 'softmax');
    for (let row = 0; row < 50; row += 8) {
      const chunk = await reader.next(8);
      const own = Array.from(expected).slice(row * 7, (row + 8) * 7);
      expect(chunk?.data.length).toBe(own.length);
      own.forEach((value, k) => {
        expect(Number(chunk?.data[k])).toBeCloseTo(value, 14);
      });
    }
    await work.compute(
      await work.plan({ operation: 'log-sum-exp', logits: ['vector.npy'], ...split, shardBytes: 16, out: 'scalar' }),
    );
    const scalar = await partsReader(folderStore(work.path('scalar')), undefined);
    const sum = values.subarray(0, 7).reduce((total, value) => total + Math.exp(value), 0);
    expect(await scalar.next(5)).toMatchObject({
      shape: [],
      data: { 0: expect.closeTo(Math.log(sum), 14), length: 1 },
    });
    expect(await scalar.next(5)).toBeNull();
  });

  test('are not read as one array if the manifest lacks a part or has it at another place', async () => {
    using work = workspace();
    work.write('logits.npy', [32, 4], Float32Array.from(noise(128)));
    // Two blocks of rows, each in two of classes.
    const plan = await work.plan({ operation: 'softmax', shardClasses: true, shardBytes: 4 * 32 });
    expect(plan.block).toEqual({ rows: 16, classes: 2 });
    await work.compute(plan);
    const manifest = await readManifest(work.store, 'out');
    const { softmax } = manifest?.arrays ?? {};
    const [first, second, third, fourth] = softmax.parts;
    const read = async (changed: Partial<typeof softmax>) => {
      write(work, 'out/manifest.json', { ...manifest, arrays: { softmax: { ...softmax, ...changed } } });
      const reader = await partsReader(folderStore(work.path('out')), undefined);
      return (await reader.next(32))?.shape;
    };
    expect(await read({})).toEqual([32, 4]);
    const at = (shape: string, found: string, place: string): readonly string[] => [
      'ERR_VALUE',
      `manifest.json: softmax of shape ${shape}: ${found}; expected one at ${place}; softgrad run --resume writes the manifest again`,
    ];
    const part = (k: number, shape: string, start: string) =>
      `softmax/part-00000${k}.npy of shape ${shape} at ${start}`;
    for (const [changed, expected] of [
      [{ parts: [first, second, third] }, at('(32, 4)', '3 parts end before', '[16, 2]')],
      [{ parts: [first, second] }, at('(32, 4)', '2 parts end before', '[16, 0]')],
      [{ parts: [] }, at('(32, 4)', '0 parts end before', '[0, 0]')],
      [{ parts: [second, first, third, fourth] }, at('(32, 4)', part(1, '(16, 2)', '[0, 2]'), '[0, 0]')],
      [{ parts: [first, fourth, third, second] }, at('(32, 4)', part(3, '(16, 2)', '[16, 2]'), '[0, 2]')],
      [{ parts: [...softmax.parts, fourth] }, at('(32, 4)', part(3, '(16, 2)', '[16, 2]'), '[32, 0]')],
      [{ shape: [32, 5] }, at('(32, 5)', part(2, '(16, 2)', '[16, 0]'), '[0, 4]')],
      [{ shape: [31, 4] }, at('(31, 4)', part(2, '(16, 2)', '[16, 0]'), '[16, 0]')],
      [{ shape: [128] }, at('(128,)', part(0, '(16, 2)', '[0, 0]'), '[0]')],
      [{ shape: [32, 2, 2] }, at('(32, 2, 2)', part(0, '(16, 2)', '[0, 0]'), '[0, 0]')],
      [
        { parts: [first, { ...second, shape: [15, 2] }, third, fourth] },
        at('(32, 4)', part(1, '(15, 2)', '[0, 2]'), '[0, 2]'),
      ],
    ] as const)
      expect(await refusal(read(changed))).toEqual(expected);
    work.write('cube.npy', [4, 2, 2], Float32Array.from(noise(16)));
    await work.compute(await work.plan({ operation: 'softmax', logits: ['cube.npy'], out: 'cube', shardBytes: 32 }));
    expect((await (await partsReader(folderStore(work.path('cube')), undefined)).next(9))?.shape).toEqual([4, 2, 2]);
    const ofCube = await readManifest(work.store, 'cube');
    const cube = ofCube?.arrays.softmax as typeof softmax;
    const changedCube = (changes: Partial<(typeof cube.parts)[number]>) => {
      const [head, ...others] = cube.parts;
      const arrays = { softmax: { ...cube, parts: [{ ...head, ...changes }, ...others] } };
      write(work, 'cube/manifest.json', { ...ofCube, arrays });
      return refusal(partsReader(folderStore(work.path('cube')), undefined));
    };
    const ofPart = (shape: string, start: string) =>
      at('(4, 2, 2)', `softmax/part-000000.npy of shape ${shape} at ${start}`, '[0, 0]');
    // Of other dimensions, or at a place of other ones.
    expect(await changedCube({ shape: [2, 1, 4] })).toEqual(ofPart('(2, 1, 4)', '[0, 0, 0]'));
    expect(await changedCube({ shape: [2, 4] })).toEqual(ofPart('(2, 4)', '[0, 0, 0]'));
    expect(await changedCube({ shape: [2, 2] })).toEqual(ofPart('(2, 2)', '[0, 0, 0]'));
    expect(await changedCube({ start: [0, 0, 1] })).toEqual(ofPart('(2, 2, 2)', '[0, 0, 1]'));
    expect(await changedCube({ start: [0, 0] })).toEqual(ofPart('(2, 2, 2)', '[0, 0]'));
    // A part that is wider than what is left of its rows.
    expect(await refusal(read({ shape: [32, 3] }))).toEqual(at('(32, 3)', part(1, '(16, 2)', '[0, 2]'), '[0, 2]'));
  });

  test('are not read from a part that was replaced by one of another shape, or by the name of something else', async () => {
    using work = workspace();
    work.write('logits.npy', [4, 4], Float32Array.from(noise(16)));
    await work.compute(await work.plan({ operation: 'softmax' }));
    work.write('out/softmax/part-000000.npy', [2, 8], new Float32Array(16));
    const results = folderStore(work.path('out'));
    expect(await refusal(partsReader(results, undefined).then((reader) => reader.next(4)))).toEqual([
      'ERR_VALUE',
      'softmax/part-000000.npy: shape (2, 8); expected (4, 4), as the run wrote it',
    ]);
    const file = work.path('out/softmax/part-000000.npy');
    work.write('out/softmax/part-000000.npy', [4, 4], new Float32Array(16));
    writeFileSync(file, readFileSync(file, 'latin1').replace('False', 'True '), 'latin1');
    expect(await refusal(partsReader(results, undefined).then((reader) => reader.next(4)))).toEqual([
      'ERR_VALUE',
      'softmax/part-000000.npy: shape (4, 4) in Fortran order; expected (4, 4), as the run wrote it',
    ]);
    expect(await refusal(partsReader(results, 'constructor'))).toEqual([
      'ERR_VALUE',
      `${results.name}: no array constructor; expected one of :softmax`,
    ]);
  });
});

describe('a .npy file that is written piece by piece', () => {
  test.each([
    ['float16', 'piece by piece', false],
    ['float32', 'to a store that takes whole objects', false],
    ['float64', 'as a whole', true],
  ] as const)('has the bytes and the hash of one that is written at once: %s, %s', async (dtype, how, whole) => {
    using work = workspace();
    const { create, ...withWhole } = work.store;
    const store = how.startsWith('to') ? withWhole : work.store;
    const values = dtype === 'float64' ? noise(12) : Float32Array.from(noise(12));
    const file = await createNpy(store, 'out/a.npy', [3, 4], dtype, whole);
    const cuts = [0, 4, 4, 5, 12];
    const piece = values.slice();
    for (const [k, to] of cuts.slice(1).entries()) {
      piece.set(values.subarray(cuts[k], to));
      await file.append(piece.subarray(0, to - cuts[k]));
      // What was appended may change.
      piece.fill(-1);
    }
    expect(await work.store.list('out')).toEqual([]);
    const written = file.written();
    expect(await file.put()).toBe(true);
    await file.close();
    const descr = `<f${Number(dtype.slice(5)) / 8}` as NpyDescr;
    work.write('whole.npy', [3, 4], values, descr);
    const expected = await getWhole(work.store, 'whole.npy');
    expect(await getWhole(work.store, 'out/a.npy')).toEqual(expected);
    expect(written).toEqual({ path: 'out/a.npy', byteLength: expected.length, sha256: hashOf(expected) });
    expect(readdirSync(work.path('out'))).toEqual(['a.npy']);
  });

  test('is not stored before it is put, nor with other numbers than its shape has', async () => {
    using work = workspace();
    const short = await createNpy(work.store, 'out/a.npy', [3, 4], 'float32');
    await short.append(new Float32Array(8));
    expect(() => short.written()).toThrow('out/a.npy: 8 numbers computed for shape (3, 4)');
    expect(readdirSync(work.path('out'))).toHaveLength(1);
    await short.close();
    expect(readdirSync(work.path('out'))).toEqual([]);
  });
});

describe('what is left of a run', () => {
  test('does not include statistics of which all results exist, and is found without looking at them', async () => {
    using work = workspace();
    work.write('logits.npy', [3, 8], Float32Array.from(noise(24)));
    const plan = await work.plan({ operation: 'softmax', shardClasses: true, shardBytes: 48 });
    await work.compute(plan);
    for (const index of [0, 1]) await work.store.remove(runFiles.record('out', 'statistics', index));
    const { store, calls } = recording(work.store);
    const nothing = { statistics: [], merge: [], apply: [], finish: [] };
    expect(await pendingOf(store, plan)).toEqual(nothing);
    expect(calls.filter((call) => /statistics|merge/.test(call))).toEqual([]);
    await work.store.remove(runFiles.record('out', 'apply', 1));
    calls.length = 0;
    expect(await pendingOf(store, plan)).toEqual({ ...nothing, apply: [1], finish: [0] });
    expect(calls.filter((call) => /records\/statistics/.test(call))).toEqual([]);
    await work.store.remove(runFiles.record('out', 'merge', 0));
    expect(await pendingOf(store, plan)).toEqual({ statistics: [0, 1], merge: [0], apply: [1], finish: [0] });
  });

  test('includes shards of which a part is missing or has another length', async () => {
    using work = workspace();
    work.write('logits.npy', [3, 8], Float32Array.from(noise(24)));
    const plan = await work.plan({ operation: 'softmax', shardBytes: 32 });
    await work.compute(plan);
    rmSync(work.path('out/softmax/part-000000.npy'));
    writeFileSync(work.path('out/softmax/part-000002.npy'), 'short');
    expect(await pendingOf(work.store, plan)).toMatchObject({ apply: [0, 2], finish: [0] });
  });

  test('is estimated from the times of the most recent shards', async () => {
    using work = workspace();
    const count = 130;
    work.write('logits.npy', [count, 2], new Float32Array(2 * count));
    const plan = await work.plan({ operation: 'softmax', shardBytes: 8 });
    await putPlan(work.store, plan);
    expect(await statusOf(work.store, 'out')).toEqual({
      run: idOf(plan),
      out: 'out',
      operation: 'softmax',
      steps: [
        { step: 'apply', done: 0, total: count },
        { step: 'finish', done: 0, total: 1 },
      ],
      finished: false,
      cancelled: false,
      rate: null,
      secondsLeft: null,
    });
    const part = (index: number) => partsOf(plan, 'apply', index)[0] ?? expect.unreachable();
    const record = async (index: number, seconds: number) => {
      await work.store.putOnce(runFiles.record('out', 'apply', index), new Uint8Array(1));
      await work.store.putOnce(part(index), new Uint8Array(1));
      utimesSync(work.path(runFiles.record('out', 'apply', index)), seconds, seconds);
    };
    await record(0, 1e9);
    expect(await statusOf(work.store, 'out')).toMatchObject({ rate: null, secondsLeft: null });
    await record(1, 1e9);
    expect(await statusOf(work.store, 'out')).toMatchObject({ rate: null, secondsLeft: null });
    // Not in the order of their indices; the first of them is long ago.
    for (let k = 2; k < 120; k++) await record(k, 2e9 - 4 * k);
    expect(await statusOf(work.store, 'out')).toMatchObject({
      steps: [
        { step: 'apply', done: 120 },
        { step: 'finish', done: 0 },
      ],
      rate: 0.25,
      secondsLeft: 44,
    });
    // A shard with a record and without its part, as on a full disk, is not done.
    await work.store.remove(part(7));
    expect((await statusOf(work.store, 'out')).steps[0]).toMatchObject({ done: 119 });
    await work.store.putOnce(part(7), new Uint8Array(1));
    await work.store.putOnce(runFiles.cancelled('out'), new Uint8Array());
    await work.store.putOnce(runFiles.manifest('out'), new Uint8Array());
    expect(await statusOf(work.store, 'out')).toMatchObject({
      steps: [
        { step: 'apply', done: 120 },
        { step: 'finish', done: 1 },
      ],
      finished: true,
      cancelled: true,
      secondsLeft: 0,
    });
  });

  test('by classes includes all steps', async () => {
    using work = workspace();
    work.write('logits.npy', [3, 8], Float32Array.from(noise(24)));
    const plan = await work.plan({ operation: 'softmax', shardClasses: true, shardBytes: 48 });
    await putPlan(work.store, plan);
    const backend = await cpu.open();
    await checkPins(work.store, plan, backend);
    for (const index of [0, 1]) {
      await runStep(work.store, plan, backend, 'statistics', index);
      utimesSync(work.path(runFiles.record('out', 'statistics', index)), 1e9, 1e9 + 2 * index);
    }
    expect(await statusOf(work.store, 'out')).toMatchObject({
      steps: [
        { step: 'statistics', done: 2, total: 2 },
        { step: 'merge', done: 0, total: 1 },
        { step: 'apply', done: 0, total: 2 },
        { step: 'finish', done: 0, total: 1 },
      ],
      rate: 0.5,
      secondsLeft: 8,
    });
  });
});

describe('a run by classes', () => {
  /** Of three blocks of rows. */
  async function planned() {
    const work = workspace();
    work.write('logits.npy', [40, 25], Float32Array.from(noise(1000)));
    return { work, plan: await work.plan({ operation: 'softmax', shardClasses: true, shardBytes: 640 }) };
  }

  test('has a shard less of the step whose part is missing', async () => {
    const { work, plan } = await planned();
    using _ = work;
    await work.compute(plan);
    const done = async () =>
      Object.fromEntries((await statusOf(work.store, 'out')).steps.map((step) => [step.step, step.done]));
    const all = await done();
    for (const [step, path] of [
      ['statistics', runFiles.statistics('out', 1)],
      ['merge', runFiles.merged('out', 1)],
      ['apply', 'out/softmax/part-000001.npy'],
    ] as const) {
      const bytes = readFileSync(work.path(path));
      rmSync(work.path(path));
      expect(await done()).toEqual({ ...all, [step]: (all[step] ?? 0) - 1 });
      writeFileSync(work.path(path), bytes);
    }
  });

  test('has no file open for its statistics, of which a merge writes one for each block of rows', async () => {
    const { work, plan } = await planned();
    using _ = work;
    await putPlan(work.store, plan);
    const backend = await cpu.open();
    await checkPins(work.store, plan, backend);
    const store = { ...work.store, create: () => Promise.reject(new Error('too many open files')) };
    for (let index = 0; index < stepsOf(plan).statistics; index++) {
      await runStep(store, plan, backend, 'statistics', index);
    }
    await runStep(store, plan, backend, 'merge', 0);
    expect(await pendingOf(work.store, plan)).toMatchObject({ statistics: [], merge: [] });
  });
});

describe('a file of a run that is not what it should be', () => {
  const finished = async (work: Workspace): Promise<Plan> => {
    work.write('logits.npy', [3, 8], Float32Array.from(noise(24)));
    const plan = await work.plan({ operation: 'softmax', shardBytes: 32 });
    await work.compute(plan);
    return plan;
  };

  test('is named with its property', async () => {
    using work = workspace();
    const plan = await finished(work);
    const { store } = work;
    write(work, 'out/plan.json', [1]);
    expect(await refusal(readPlan(store, 'out'))).toEqual([
      'ERR_VALUE',
      expect.stringMatching(/^out\/plan\.json: the file: Invalid input.*; expected the plan of a run$/),
    ]);
    write(work, 'out/plan.json', { ...plan, block: { rows: 0, classes: 1 } });
    expect((await refusal(readPlan(store, 'out')))[1]).toMatch(
      /^out\/plan\.json: block\.rows: .*; expected the plan of a run$/,
    );
    write(work, 'out/plan.json', { ...plan, block: { rows: 1, classes: 1 }, inputs: { logits: sized(plan, 1e15) } });
    expect(await refusal(readPlan(store, 'out'))).toEqual([
      'ERR_VALUE',
      'out/plan.json: 1000000000000000 shards; expected at most 1000000',
    ]);
    for (const out of ['/x', 'a/../x', 'a\\x', 'a\0x', '']) {
      write(work, 'out/plan.json', { ...plan, out });
      expect((await refusal(readPlan(store, 'out')))[1]).toMatch(/^out\/plan\.json: out: /);
    }
    write(work, 'out/plan.json', plan);
    const root = work.path('').replace(/\/$/, '');
    expect((await refusal(readPlan(folderStore(work.path('out')), '.')))[1]).toBe(
      `plan.json: the plan of results in out; expected --root ${root}/, to which its paths are relative`,
    );
    expect((await refusal(putPlan(folderStore(work.path('')), { ...plan, out: 'logits.npy' })))[1]).toBe(
      'logits.npy/plan.json: cannot be written: a part of the path is not a directory',
    );
    writeFileSync(work.path('out/pins.json'), '{');
    expect((await refusal(readPins(store, 'out')))[1]).toMatch(
      /^out\/pins\.json: not JSON \(.+\); expected the pins of a run$/,
    );
    write(work, 'out/manifest.json', {});
    expect((await refusal(readManifest(store, 'out')))[1]).toMatch(
      /^out\/manifest\.json: format: .*; expected the manifest of a run$/,
    );
    write(work, 'out/records/apply-000001.json', {});
    expect((await refusal(readRecord(store, plan, 'apply', 1)))[1]).toMatch(
      /^out\/records\/apply-000001\.json: run: .*; expected the record of a shard$/,
    );
  });

  test('or is missing: the last step says what to do', async () => {
    using work = workspace();
    const plan = await finished(work);
    const backend = await cpu.open();
    const finish = () => refusal(runStep(work.store, plan, backend, 'finish', 0));
    rmSync(work.path('out/manifest.json'));
    const [part, record] = ['out/softmax/part-000001.npy', 'out/records/apply-000001.json'];
    const bytes = await work.store.get(part, 0, 1e6);
    rmSync(work.path(part));
    expect(await finish()).toEqual([
      'ERR_VALUE',
      'apply-000001: a part is missing or too short; softgrad run --resume out computes it again',
    ]);
    writeFileSync(work.path(part), bytes);
    const found = (await readRecord(work.store, plan, 'apply', 1)) ?? expect.unreachable();
    const { sha256: _, ...unsigned } = found;
    rmSync(work.path(record));
    expect(await finish()).toEqual(['ERR_VALUE', `${record}: missing; softgrad run --resume out computes it`]);
    write(work, record, signed({ ...unsigned, parts: [] }));
    expect(await finish()).toEqual(['ERR_VALUE', `${part}: missing from the record of its shard`]);
    write(work, record, found);
    const pins = await readPins(work.store, 'out');
    rmSync(work.path('out/pins.json'));
    expect(await finish()).toEqual(['ERR_VALUE', 'out/pins.json: missing']);
    write(work, 'out/pins.json', pins);
    for (const [step, count] of [
      ['statistics', 3],
      ['apply', 3],
    ] as const)
      expect(await refusal(runStep(work.store, plan, backend, step, 5))).toEqual([
        'ERR_VALUE',
        `${step}-000005: the plan has ${count} shards of this step`,
      ]);
    await runStep(work.store, plan, backend, 'finish', 0);
    expect(await removeDamaged(work.store, plan)).toEqual([]);
    expect(await verify(work.store, 'out')).toMatchObject({ finished: true, sound: 3 });
  });

  test('is named if it is a part of the statistics, of the shards or of the merge', async () => {
    using work = workspace();
    work.write('logits.npy', [3, 8], Float32Array.from(noise(24)));
    const plan = await work.plan({ operation: 'softmax', shardClasses: true, shardBytes: 48 });
    await work.compute(plan);
    const backend = await cpu.open();
    for (const [path, name, step] of [
      ['out/statistics/merged-000000.npy', 'merge-000000', 'apply'],
      ['out/statistics/part-000001.npy', 'statistics-000001', 'merge'],
    ] as const) {
      const corrupt = ['ERR_VALUE', `${path}: corrupt; softgrad run --resume out computes it again`];
      const record = `out/records/${name}.json`;
      const [bytes, recorded] = [await work.store.get(path, 0, 1e6), await work.store.get(record, 0, 1e6)];
      writeFileSync(work.path(path), 'other bytes');
      expect(await refusal(runStep(work.store, plan, backend, step, 0))).toEqual(corrupt);
      writeFileSync(work.path(path), bytes);
      await runStep(work.store, plan, backend, step, 0);
      write(work, record, signed({ run: idOf(plan), shard: name, parts: [] }));
      expect(await refusal(runStep(work.store, plan, backend, step, 0))).toEqual(corrupt);
      writeFileSync(work.path(record), recorded);
    }
  });

  test('is reported as what it is, and removed', async () => {
    using work = workspace();
    const plan = await finished(work);
    rmSync(work.path('out/softmax/part-000000.npy'));
    rmSync(work.path('out/records/apply-000001.json'));
    write(work, 'out/records/apply-000002.json', 1);
    rmSync(work.path('out/manifest.json'));
    await work.store.putOnce(runFiles.cancelled('out'), new Uint8Array());
    const { damages, sound, finished: isFinished } = await verify(work.store, 'out');
    expect([sound, isFinished]).toEqual([0, false]);
    expect(damages).toEqual([
      { path: 'out/softmax/part-000000.npy', problem: 'missing' },
      { path: 'out/records/apply-000001.json', problem: 'not computed yet' },
      {
        path: 'out/records/apply-000002.json',
        problem: expect.stringMatching(/^out\/records\/apply-000002\.json: the file: /),
      },
      { path: 'out/manifest.json', problem: 'missing: the run has not finished' },
    ]);
    // What is not there cannot be removed.
    expect(await removeDamaged(work.store, plan)).toEqual([
      'out/softmax/part-000002.npy',
      'out/records/apply-000002.json',
      'out/cancelled.json',
    ]);
    expect(await removeDamaged(work.store, plan)).toEqual([]);
  });
});

describe('the fingerprint of a machine', () => {
  /** The cpu backend with one number of one kernel's results changed in the last bit. */
  async function faulty(
    kernel: 'softmax' | 'vjp',
    dtype: 'Float32Array' | 'Float64Array',
    at: number,
  ): Promise<Backend> {
    const own = await cpu.open();
    const broken = (...given: unknown[]) => {
      const done = Reflect.apply(own[kernel], own, given);
      const numbers = own.view?.(given[0] as HostArray);
      if (numbers?.constructor.name === dtype) numbers[at] = Number(numbers[at]) * (1 + 2 ** -20);
      return done;
    };
    return new Proxy(own, {
      get: (target, name) => {
        if (name === kernel) return broken;
        const value = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  }

  test('differs if any result differs, in any dtype', async () => {
    const usual = await fingerprint(await cpu.open());
    expect(usual).toMatch(/^[0-9a-f]{64}$/);
    expect(await fingerprint(await cpu.open())).toBe(usual);
    const found = new Set([usual]);
    const faults = [];
    for (const kernel of ['softmax', 'vjp'] as const)
      for (const dtype of ['Float32Array', 'Float64Array'] as const)
        for (const at of [0, 1036, 5 * 1037 - 1]) faults.push(await faulty(kernel, dtype, at));
    for (const backend of faults) found.add(await fingerprint(backend));
    expect(found.size).toBe(1 + faults.length);
  });

  test('is of rows that differ from each other, with logits from -20 to 21 that float32 can hold', async () => {
    const own = await cpu.open();
    const seen: number[][] = [];
    const spying = new Proxy(own, {
      get: (target, name) => {
        const value = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        return (...given: unknown[]) => {
          if (name === 'write') seen.push(Array.from(given[1] as ArrayLike<number>));
          return Reflect.apply(value, target, given);
        };
      },
    });
    await fingerprint(spying);
    expect(seen).toHaveLength(2);
    for (const logits of seen) {
      expect(logits).toHaveLength(5 * 1037);
      expect([Math.min(...logits), Math.max(...logits)]).toEqual([-20, Math.fround(4000 / 97 - 20)]);
      expect(logits.map(Math.fround)).toEqual(logits);
      expect(new Set(logits).size).toBeGreaterThan(4000);
    }
  });

  test('is taken at a temperature of 1 where the backend has no basis to compose another one from', async () => {
    const own = await cpu.open();
    const temperatures: unknown[] = [];
    const bare = new Proxy(own, {
      get: (target, name) => {
        if (name === 'basis' || name === 'kernels') return undefined;
        const value = Reflect.get(target, name, target);
        if (name !== 'softmax' && name !== 'vjp') return typeof value === 'function' ? value.bind(target) : value;
        return (...given: unknown[]) => {
          const { temperature } = given.at(-1) as { readonly temperature: number };
          temperatures.push(temperature);
          return temperature === 1 ? Reflect.apply(value, target, given) : false;
        };
      },
    });
    expect(await fingerprint(bare)).toMatch(/^[0-9a-f]{64}$/);
    expect(new Set(temperatures)).toEqual(new Set([1]));
  });

  test('a worker of another version or backend is refused by name', async () => {
    using work = workspace();
    work.write('logits.npy', [3, 8], Float32Array.from(noise(24)));
    const plan = await work.plan({ operation: 'softmax' });
    const backend = await cpu.open();
    expect(await refusal(checkPins(work.store, { ...plan, version: '0.0.1' }, backend))).toEqual([
      'ERR_VALUE',
      `the run was planned by version 0.0.1, but this is ${plan.version}; expected the same version everywhere`,
    ]);
    const own = await fingerprint(backend);
    await work.store.putOnce(
      'out/pins.json',
      Buffer.from(JSON.stringify({ run: idOf(plan), version: plan.version, backend: 'wasm', fingerprint: own })),
    );
    const short = own.slice(0, 12);
    expect(await refusal(checkPins(work.store, plan, backend))).toEqual([
      'ERR_VALUE',
      `out/pins.json: the first worker of the run computes other bits (wasm, ${short}) than this one (cpu, ${short}); expected the same backend, on machines that compute alike`,
    ]);
  });
});

describe('the package of S3', () => {
  test('that is missing is named with the command that installs it; other errors are thrown as they are', async () => {
    const missing = new Error("Cannot find package '@aws-sdk/client-s3' imported from /x/s3-store.js");
    expect(await refusal(loadS3(() => Promise.reject(missing)))).toEqual([
      'ERR_VALUE',
      's3:// needs @aws-sdk/client-s3: npm install @aws-sdk/client-s3, where softgrad is installed',
    ]);
    for (const other of [new Error('Unexpected token'), 'a text'])
      await expect(loadS3(() => Promise.reject(other))).rejects.toBe(other);
    expect(await loadS3()).toBe(s3);
  });
});
