import { mkdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { isSoftgradError } from '@softgrad/core';
import { describe, expect, test } from 'vitest';
import { createPlan, idOf } from '../src/index.js';
import { applyShards, stepsOf } from '../src/shards.js';
import { noise, workspace } from './workspace.js';

describe('a plan', () => {
  test('for many files: no shard spans two files, and files are ordered by the numbers in their names', async () => {
    using work = workspace();
    for (const [name, rows] of [
      ['part-10', 3],
      ['part-2', 5],
      ['part-1', 2],
    ] as const) {
      work.write(`logits/${name}.npy`, [rows, 4], Float32Array.from(noise(rows * 4)));
    }
    const plan = await work.plan({ operation: 'softmax', logits: ['logits/*.npy'], shardBytes: 2 * 16 });
    expect(plan.inputs.logits.files.map(({ path }) => path)).toEqual([
      'logits/part-1.npy',
      'logits/part-2.npy',
      'logits/part-10.npy',
    ]);
    expect(plan.inputs.logits.shape).toEqual([10, 4]);
    expect(applyShards(plan).map(({ range }) => range.rows)).toEqual([
      [0, 2],
      [2, 4],
      [4, 6],
      [6, 7],
      [7, 9],
      [9, 10],
    ]);
    expect(applyShards(plan)[3].parts).toEqual([
      { array: 'softmax', path: 'out/softmax/part-000003.npy', start: [6, 0], shape: [1, 4] },
    ]);
  });

  test('names that are equal as numbers have one order, in whichever order the store lists them', async () => {
    using work = workspace();
    for (const name of ['x-2', 'x-02', 'x-002', 'x-1']) work.write(`${name}.npy`, [1, 2], Float32Array.of(0, 1));
    for (const listed of [
      ['x-2.npy', 'x-002.npy', 'x-02.npy', 'x-1.npy'],
      ['x-02.npy', 'x-1.npy', 'x-002.npy', 'x-2.npy'],
    ]) {
      const store = { ...work.store, match: async () => listed };
      const plan = await createPlan(store, { operation: 'softmax', logits: ['x-*.npy'], out: 'out', backend: 'cpu' });
      expect(plan.inputs.logits.files.map(({ path }) => path)).toEqual(['x-1.npy', 'x-002.npy', 'x-02.npy', 'x-2.npy']);
    }
  });

  test('by classes: a shard is a block of rows and a range of classes', async () => {
    using work = workspace();
    work.write('logits.npy', [40, 25], new Float32Array(1000));
    const plan = await work.plan({ operation: 'softmax', shardClasses: true, shardBytes: 160 * 4 });
    expect(plan.block).toEqual({ rows: 16, classes: 10 });
    expect(stepsOf(plan)).toEqual({ statistics: 9, merge: 1, apply: 9, finish: 1 });
    const parts = applyShards(plan).map(({ parts: [{ start, shape }] }) => [...start, ...shape].join(' '));
    expect(parts).toEqual([
      ...['0 0 16 10', '0 10 16 10', '0 20 16 5'],
      ...['16 0 16 10', '16 10 16 10', '16 20 16 5'],
      ...['32 0 8 10', '32 10 8 10', '32 20 8 5'],
    ]);
  });

  test('by classes, for very large rows: a shard has as many classes as fit into it', async () => {
    using work = workspace();
    work.write('logits.npy', [3, 200_000], new Float32Array(600_000));
    const { block } = await work.plan({ operation: 'softmax', shardClasses: true, shardBytes: 300_000 * 4 });
    expect(block).toEqual({ rows: 3, classes: 100_000 });
  });

  test('has at most a million shards, which are counted before they are listed', async () => {
    using work = workspace();
    work.write('zeros.npy', [1_000_001, 1], new Float32Array(1_000_001));
    const logits = ['zeros.npy'];
    await expect(work.plan({ operation: 'softmax', logits, shardBytes: 4 })).rejects.toMatchObject({
      code: 'ERR_VALUE',
      message: 'zeros.npy, with 4 bytes in a shard: 1000001 shards; expected at most 1000000',
    });
    expect(stepsOf(await work.plan({ operation: 'softmax', logits, shardBytes: 8 })).apply).toBe(500_001);
    // 1024 blocks of rows, each in 1024 of classes.
    work.write('square.npy', [1024, 1024], new Float32Array(1024 * 1024));
    const square = { operation: 'softmax', logits: ['square.npy'], shardClasses: true } as const;
    await expect(work.plan({ ...square, shardBytes: 4 })).rejects.toThrow(
      'square.npy, with 4 bytes in a shard: 1048576 shards; expected at most 1000000',
    );
    expect(stepsOf(await work.plan({ ...square, shardBytes: 64 })).apply).toBe(65_536);
  });

  test('is the same for the same files and options, and differs if a file changes', async () => {
    using work = workspace();
    work.write('logits.npy', [4, 4], new Float32Array(16));
    const first = await work.plan({ operation: 'softmax' });
    expect(idOf(await work.plan({ operation: 'softmax' }))).toBe(idOf(first));
    expect(idOf(await work.plan({ operation: 'softmax', temperature: 2 }))).not.toBe(idOf(first));
    utimesSync(work.path('logits.npy'), 1000, 1000);
    expect(idOf(await work.plan({ operation: 'softmax' }))).not.toBe(idOf(first));
  });

  test('takes masks and weights in several files, and a mask of one row by classes', async () => {
    using work = workspace();
    work.write('logits.npy', [4, 3], new Float32Array(12));
    work.write('a.npy', [2], Uint8Array.of(1, 0), '|b1');
    work.write('b.npy', [1], Uint8Array.of(1), '|b1');
    work.write('top.npy', [3, 3], new Uint8Array(9), '|b1');
    work.write('bottom.npy', [1, 3], new Uint8Array(3), '|b1');
    work.write('labels.npy', [4], Int32Array.of(0, 2, -100, 1), '<i4');
    work.write('w.npy', [1], Float32Array.of(0.5));
    work.write('w-2.npy', [2], Float32Array.of(0.25, 2));
    const row = await work.plan({ operation: 'softmax', shardClasses: true, mask: ['a.npy', 'b.npy'] });
    expect(row.inputs.mask).toMatchObject({ shape: [3], by: 'classes' });
    const whole = await work.plan({ operation: 'softmax', mask: ['top.npy', 'bottom.npy'] });
    expect(whole.inputs.mask).toMatchObject({ shape: [4, 3], by: 'rows' });
    const target = ['labels.npy'];
    const weighted = await work.plan({ operation: 'cross-entropy', target, weight: ['w.npy', 'w-2.npy'] });
    expect(weighted.inputs.weight).toMatchObject({ shape: [3], by: 'classes' });
    // The mean is divided by the weights of the classes of the rows that count.
    expect(weighted.options).toMatchObject({ counted: 2.75, target: 'indices', reduction: 'mean', gradient: true });
  });

  test('has no results of its own run as inputs, so that the same command continues it', async () => {
    using work = workspace();
    work.write('data/logits.npy', [4, 4], new Float32Array(16));
    const options = { operation: 'softmax', logits: ['data/**/*.npy'], out: 'data/out' } as const;
    const plan = await work.plan(options);
    await work.compute(plan);
    expect(await work.plan(options)).toEqual(plan);
    expect((await work.plan({ ...options, out: 'data/ou' })).inputs.logits.files).toHaveLength(2);
  });

  test('takes files from before 1970', async () => {
    using work = workspace();
    work.write('logits.npy', [4, 4], new Float32Array(16));
    const before = new Date(-86_400_000);
    utimesSync(work.path('logits.npy'), before, before);
    expect((await work.plan({ operation: 'softmax' })).inputs.logits.files[0]?.modified).toBe(-86_400_000);
  });

  test('keeps float16 and float32, and uses float64 for all other dtypes', async () => {
    using work = workspace();
    work.write('h.npy', [2, 2], new Float32Array(4), '<f2');
    work.write('s.npy', [2, 2], new Float32Array(4));
    work.write('i.npy', [2, 2], new Int32Array(4), '<i4');
    const dtype = async (...logits: string[]) => (await work.plan({ operation: 'softmax', logits })).options.dtype;
    expect(await dtype('h.npy')).toBe('float16');
    expect(await dtype('h.npy', 's.npy')).toBe('float32');
    expect(await dtype('s.npy', 'i.npy')).toBe('float64');
  });
});

describe('errors name the file and the position', () => {
  const refused = async (
    options: Parameters<ReturnType<typeof workspace>['plan']>[0],
    message: string,
    code = 'ERR_VALUE',
  ) => {
    using work = workspace();
    work.write('logits.npy', [4, 3], new Float32Array(12));
    work.write('other.npy', [4, 2], new Float32Array(8));
    work.write('vector.npy', [4], new Float32Array(4));
    work.write('labels.npy', [4], Int32Array.of(0, 1, 3, 2), '<i4');
    work.write('cube.npy', [2, 2, 2], new Float32Array(8));
    work.write('ones.npy', [4, 3], new Int32Array(12).fill(1), '<i4');
    work.write('infinite.npy', [3], Float32Array.of(1, Infinity, 1));
    work.write('one.npy', [1], Int32Array.of(0), '<i4');
    work.write('scalar.npy', [], Float32Array.of(1));
    for (const name of ['folder', 'empty']) mkdirSync(work.path(name), { recursive: true });
    work.write('folder/a.npy', [1], Float32Array.of(1));
    work.write('run/softmax/part-000000.npy', [1], Float32Array.of(1));
    work.write('row-1.npy', [2], new Float32Array(2));
    work.write('row-2.npy', [1], new Float32Array(1));
    work.write('negative.npy', [4], Int32Array.of(0, -1, 1, 2), '<i4');
    work.write('fraction.npy', [4], Float32Array.of(0, 1, 2, 0.5));
    const fortran = Buffer.from(
      readFileSync(work.path('logits.npy')).toString('latin1').replace('False', 'True '),
      'latin1',
    );
    writeFileSync(work.path('fortran.npy'), fortran);
    writeFileSync(work.path('bad.npy'), 'no array');
    writeFileSync(work.path('text.csv'), '1,2');
    const error = await work.plan(options).catch((cause: unknown) => cause);
    if (!isSoftgradError(error)) throw new Error('expected a SoftgradError', { cause: error });
    expect(error.message).toContain(message);
    expect(error.code).toBe(code);
  };
  test.each([
    [{ operation: 'softmax', logits: ['none-*.npy'] }, 'none-*.npy: no such file in '],
    [{ operation: 'softmax', logits: ['folder'] }, 'folder: a folder; expected .npy files, such as folder/*.npy'],
    [{ operation: 'softmax', logits: ['folder/'] }, 'folder/: a folder; expected .npy files, such as folder/*.npy'],
    [{ operation: 'softmax', logits: ['run'] }, 'run: a folder; expected .npy files, such as run/softmax/*.npy'],
    [{ operation: 'softmax', logits: ['empty'] }, 'empty: no such file in '],
    [{ operation: 'softmax', logits: ['logits.npy', 'logits.npy'] }, 'logits.npy: named twice'],
    [{ operation: 'softmax', logits: ['../x.npy'] }, '../x.npy: outside of '],
    [{ operation: 'softmax', out: '../out' }, '../out: outside of '],
    [{ operation: 'softmax', out: '.' }, '".": expected a folder below '],
    [{ operation: 'softmax', out: '' }, '"": expected a folder below '],
    [{ operation: 'softmax', out: 'x'.repeat(5000) }, 'expected a folder below '],
    [{ operation: 'softmax', logits: ['scalar.npy'] }, 'scalar.npy: a single number, of shape ()', 'ERR_SHAPE'],
    [{ operation: 'softmax', logits: ['bad.npy'] }, 'bad.npy: not a .npy file'],
    [
      { operation: 'cross-entropy', target: ['logits.npy'], ignoreIndex: 0 },
      'ignoreIndex 0 with probabilities as the target; it ignores rows by their class index: expected class indices, or no ignoreIndex',
    ],
    [
      { operation: 'softmax', logits: ['text.csv'] },
      'text.csv: expected a .npy file, which can be read in parts, as np.save writes it; other commands of softgrad also read other formats',
    ],
    [
      { operation: 'softmax', logits: ['logits.npy', 'other.npy'] },
      'other.npy: shape (4, 2); expected (rows, 3), to continue logits.npy by rows',
      'ERR_SHAPE',
    ],
    [
      { operation: 'softmax', logits: ['logits.npy', 'vector.npy'], shardClasses: true },
      'vector.npy: shape (4,); expected (4, classes), to continue logits.npy by classes',
      'ERR_SHAPE',
    ],
    [
      { operation: 'softmax', logits: ['vector.npy'] },
      'vector.npy: axis 0 of shape (4,) needs all rows at once',
      'ERR_AXIS',
    ],
    [{ operation: 'softmax', axis: 2 }, 'logits.npy: axis 2 of an array of shape (4, 3); expected -2 to 1', 'ERR_AXIS'],
    [
      { operation: 'softmax', axis: 0, shardClasses: true },
      'expected one or two dimensions, the classes last',
      'ERR_SHAPE',
    ],
    [
      { operation: 'softmax', logits: ['cube.npy'], shardClasses: true },
      'cube.npy: shape (2, 2, 2), axis -1; expected one or two dimensions, the classes last, to split them; in NumPy: np.moveaxis(x, -1, -1).reshape(-1, 2)',
      'ERR_SHAPE',
    ],
    [{ operation: 'softmax', temperature: 0 }, 'temperature 0; expected a finite number above 0'],
    [{ operation: 'softmax', direction: ['logits.npy'] }, 'softmax takes no direction'],
    [{ operation: 'vjp' }, 'vjp needs a direction (upstream gradient)'],
    [
      { operation: 'jvp', direction: ['other.npy'] },
      'other.npy: the direction has shape (4, 2); expected (4, 3)',
      'ERR_SHAPE',
    ],
    [
      { operation: 'softmax', mask: ['other.npy'] },
      'other.npy: the mask has shape (4, 2); expected (4, 3)',
      'ERR_SHAPE',
    ],
    [{ operation: 'softmax', target: ['labels.npy'] }, 'softmax takes no target'],
    [{ operation: 'cross-entropy' }, 'cross-entropy needs a target'],
    [
      { operation: 'cross-entropy', target: ['labels.npy'] },
      'labels.npy: the target of row 2 is 3; expected a class index from 0 to 2',
    ],
    [
      { operation: 'cross-entropy', target: ['other.npy'] },
      'other.npy: the target has shape (4, 2); expected class indices (4,) or probabilities (4, 3)',
      'ERR_SHAPE',
    ],
    [
      { operation: 'cross-entropy', target: ['cube.npy'] },
      'cube.npy: the target has shape (2, 2, 2); expected (4,)',
      'ERR_SHAPE',
    ],
    [
      { operation: 'cross-entropy', target: ['ones.npy'] },
      'ones.npy: int32 in the shape of the logits; expected probabilities as floats, or class indices of shape (4,)',
      'ERR_DTYPE',
    ],
    [
      { operation: 'cross-entropy', target: ['logits.npy'], weight: ['vector.npy'] },
      'vector.npy: the weight has shape (4,); expected (3,)',
      'ERR_SHAPE',
    ],
    [
      { operation: 'cross-entropy', target: ['logits.npy'], weight: ['infinite.npy'] },
      'infinite.npy: the weight of class 1 is Infinity; expected a finite number',
    ],
    [
      { operation: 'cross-entropy', target: ['logits.npy'], labelSmoothing: 2 },
      'label smoothing 2; expected a number from 0 to 1',
    ],
    [{ operation: 'softmax', reduction: 'mean' }, 'softmax has no loss; reduction is an option of cross-entropy'],
    [{ operation: 'vjp', direction: ['logits.npy'], weight: ['vector.npy'] }, 'vjp has no loss; weight is an option'],
    [{ operation: 'softmax', ignoreIndex: -100 }, 'softmax has no loss; ignoreIndex is an option of cross-entropy'],
    [{ operation: 'softmax', logits: [] }, 'no files; expected .npy files'],
    [
      { operation: 'softmax', logits: ['fortran.npy'] },
      'fortran.npy: in Fortran order, in which rows are not contiguous; expected C order, as np.save(file, np.ascontiguousarray(x)) writes it',
    ],
    [
      { operation: 'softmax', axis: -3 },
      'logits.npy: axis -3 of an array of shape (4, 3); expected -2 to 1',
      'ERR_AXIS',
    ],
    [
      { operation: 'softmax', axis: 0 },
      'logits.npy: axis 0 of shape (4, 3) needs all rows at once, so rows cannot be split; expected the classes in the last dimension, split by classes (--shard-classes), or another axis',
      'ERR_AXIS',
    ],
    [{ operation: 'softmax', axis: 0.5 }, 'axis 0.5 of an array of shape (4, 3); expected -2 to 1', 'ERR_AXIS'],
    [
      { operation: 'vjp', logits: ['logits.npy'], direction: ['row-1.npy', 'row-2.npy'] },
      'row-1.npy and 1 more: the direction has shape (3,); expected (4, 3)',
      'ERR_SHAPE',
    ],
    [
      { operation: 'softmax', mask: ['row-1.npy', 'row-2.npy'] },
      'row-1.npy and 1 more: a mask of one row must be in one file',
      'ERR_SHAPE',
    ],
    [
      { operation: 'softmax', logits: ['vector.npy'], shardClasses: true, mask: ['other.npy'] },
      'other.npy: the mask has shape (4, 2); expected (4,)',
      'ERR_SHAPE',
    ],
    [
      { operation: 'softmax', logits: ['vector.npy'], shardClasses: true, mask: ['scalar.npy'] },
      'scalar.npy: the mask has shape (); expected (4,)',
      'ERR_SHAPE',
    ],
    [
      { operation: 'cross-entropy', target: ['one.npy'] },
      'one.npy: the target has shape (1,); expected (4,)',
      'ERR_SHAPE',
    ],
    [
      { operation: 'cross-entropy', target: ['negative.npy'] },
      'negative.npy: the target of row 1 is -1; expected a class index from 0 to 2, or -100 to ignore the row',
    ],
    [
      { operation: 'cross-entropy', target: ['fraction.npy'] },
      'fraction.npy: the target of row 3 is 0.5; expected a class index from 0 to 2, or -100 to ignore the row',
    ],
  ] as const)('%j', refused);

  test('of a file that is removed after it was found', async () => {
    using work = workspace();
    const store = { ...work.store, match: async () => ['gone.npy'] };
    const plan = createPlan(store, { operation: 'softmax', logits: ['*.npy'], out: 'out', backend: 'cpu' });
    await expect(plan).rejects.toMatchObject({ code: 'ERR_VALUE', message: expect.stringMatching(/^gone\.npy: /) });
  });

  test('of a target that is read in several pieces', async () => {
    using work = workspace();
    const labels = new Int32Array(1001 * 1000);
    work.write('logits.npy', [1001, 1, 1000], new Float32Array(1001 * 1000), '<f2');
    work.write('labels.npy', [1001, 1000], labels, '<i4');
    const store = { ...work.store };
    const lengths: number[] = [];
    store.get = (path, start, length) => {
      if (path === 'labels.npy') lengths.push(length);
      return work.store.get(path, start, length);
    };
    const plan = () =>
      createPlan(store, {
        operation: 'cross-entropy',
        logits: ['logits.npy'],
        target: ['labels.npy'],
        axis: 1,
        out: 'out',
        backend: 'cpu',
      });
    expect((await plan()).options.counted).toBe(1_001_000);
    expect(lengths.slice(-2)).toEqual([4_000_000, 4000]);
    labels[1_000_999] = 1;
    work.write('labels.npy', [1001, 1000], labels, '<i4');
    await expect(plan()).rejects.toThrow(
      'labels.npy: the target of row 1000999 is 1; expected a class index from 0 to 0',
    );
  });
});

test('an unknown option is refused, with the one that was meant', async () => {
  using work = workspace();
  await expect(work.plan({ operation: 'softmax', tau: 2 } as never)).rejects.toMatchObject({
    code: 'ERR_VALUE',
    message: expect.stringMatching(
      /^createPlan: unknown option 'tau' \(did you mean 'temperature'\?\); expected one of /,
    ),
  });
});
