import { utimesSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { idOf } from '../src/index.js';
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

  test('is the same for the same files and options, and differs if a file changes', async () => {
    using work = workspace();
    work.write('logits.npy', [4, 4], new Float32Array(16));
    const first = await work.plan({ operation: 'softmax' });
    expect(idOf(await work.plan({ operation: 'softmax' }))).toBe(idOf(first));
    expect(idOf(await work.plan({ operation: 'softmax', temperature: 2 }))).not.toBe(idOf(first));
    utimesSync(work.path('logits.npy'), 1000, 1000);
    expect(idOf(await work.plan({ operation: 'softmax' }))).not.toBe(idOf(first));
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
  const refused = async (options: Parameters<ReturnType<typeof workspace>['plan']>[0], message: string) => {
    using work = workspace();
    work.write('logits.npy', [4, 3], new Float32Array(12));
    work.write('other.npy', [4, 2], new Float32Array(8));
    work.write('vector.npy', [4], new Float32Array(4));
    work.write('labels.npy', [4], Int32Array.of(0, 1, 3, 2), '<i4');
    work.write('cube.npy', [2, 2, 2], new Float32Array(8));
    work.write('ones.npy', [4, 3], new Int32Array(12).fill(1), '<i4');
    work.write('infinite.npy', [3], Float32Array.of(1, Infinity, 1));
    work.write('fortran.npy', [3, 4], new Float32Array(12));
    writeFileSync(work.path('bad.npy'), 'no array');
    writeFileSync(work.path('text.csv'), '1,2');
    await expect(work.plan(options)).rejects.toThrow(message);
  };
  test.each([
    [{ operation: 'softmax', logits: ['none-*.npy'] }, 'none-*.npy: no such file in '],
    [{ operation: 'softmax', logits: ['logits.npy', 'logits.npy'] }, 'logits.npy: named twice'],
    [{ operation: 'softmax', logits: ['../x.npy'] }, '../x.npy: outside of '],
    [{ operation: 'softmax', out: '../out' }, '../out: outside of '],
    [{ operation: 'softmax', logits: ['bad.npy'] }, 'bad.npy: not a .npy file'],
    [{ operation: 'softmax', logits: ['text.csv'] }, 'text.csv: expected a .npy file'],
    [
      { operation: 'softmax', logits: ['logits.npy', 'other.npy'] },
      'other.npy: shape (4, 2); expected (rows, 3), to continue logits.npy by rows',
    ],
    [
      { operation: 'softmax', logits: ['logits.npy', 'vector.npy'], shardClasses: true },
      'vector.npy: shape (4,); expected (4, classes), to continue logits.npy by classes',
    ],
    [{ operation: 'softmax', logits: ['vector.npy'] }, 'vector.npy: axis 0 of shape (4,) needs all rows at once'],
    [{ operation: 'softmax', axis: 2 }, 'logits.npy: axis 2 of an array of shape (4, 3); expected -2 to 1'],
    [{ operation: 'softmax', axis: 0, shardClasses: true }, 'expected one or two dimensions, the classes last'],
    [
      { operation: 'softmax', logits: ['cube.npy'], shardClasses: true },
      'cube.npy: shape (2, 2, 2), axis -1; expected one or two dimensions, the classes last, to split them; in NumPy: np.moveaxis(x, -1, -1).reshape(-1, 2)',
    ],
    [{ operation: 'softmax', temperature: 0 }, 'temperature 0; expected a finite number above 0'],
    [{ operation: 'softmax', direction: ['logits.npy'] }, 'softmax takes no direction'],
    [{ operation: 'vjp' }, 'vjp needs a direction (upstream gradient)'],
    [{ operation: 'jvp', direction: ['other.npy'] }, 'other.npy: the direction has shape (4, 2); expected (4, 3)'],
    [{ operation: 'softmax', mask: ['other.npy'] }, 'other.npy: the mask has shape (4, 2); expected (4, 3)'],
    [{ operation: 'softmax', target: ['labels.npy'] }, 'softmax takes no target'],
    [{ operation: 'cross-entropy' }, 'cross-entropy needs a target'],
    [
      { operation: 'cross-entropy', target: ['labels.npy'] },
      'labels.npy: the target of row 2 is 3; expected a class index from 0 to 2',
    ],
    [
      { operation: 'cross-entropy', target: ['other.npy'] },
      'other.npy: the target has shape (4, 2); expected class indices (4,) or probabilities (4, 3)',
    ],
    [{ operation: 'cross-entropy', target: ['cube.npy'] }, 'cube.npy: the target has shape (2, 2, 2); expected (4,)'],
    [
      { operation: 'cross-entropy', target: ['ones.npy'] },
      'ones.npy: int32 in the shape of the logits; expected probabilities as floats, or class indices of shape (4,)',
    ],
    [
      { operation: 'cross-entropy', target: ['logits.npy'], weight: ['vector.npy'] },
      'vector.npy: the weight has shape (4,); expected (3,)',
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
  ] as const)('%j', refused);
});
