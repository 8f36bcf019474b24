import { beforeAll, describe, expect, test } from 'vitest';
import { exact } from '../conformance/index.js';
import { crossEntropy, logSoftmax, logSumExp, setBackend, softmax, tensor } from '../src/index.js';

beforeAll(async () => {
  await setBackend(exact);
});

describe('a mask', () => {
  test('an empty mask fits empty logits, although its type is unknown', async () => {
    const x = tensor([[], []]);
    expect(softmax(x, { mask: [[], []] }).shape).toEqual([2, 0]);
    expect(await logSumExp(x, { mask: [[], []] }).array()).toEqual([-Infinity, -Infinity]);
  });
});

test('an entry of a mask that is not a boolean is one of the mask', () => {
  expect(() => softmax([1, 2], { mask: [true, null] as never })).toThrow(
    'softmax: mask: entry [1] is null, expected a boolean',
  );
});

describe('masked entries have no effect on a jvp, for any tangent there', () => {
  const mask = [true, true, false];
  const tangents = [
    [1, -1, Number.NaN],
    [1, -1, Number.POSITIVE_INFINITY],
  ];
  const without = [
    [1, -1, 0],
    [1, -1, 0],
  ];
  const x = () =>
    tensor(
      [
        [1, 2, 3],
        [3, 1, 2],
      ],
      { dtype: 'float64' },
    );
  const t = (rows: readonly (readonly number[])[]) => tensor(rows, { dtype: 'float64' });

  test('of logSoftmax', async () => {
    const y = logSoftmax(x(), { mask });
    const changes = await logSoftmax.jvp(y, t(tangents), { mask }).array();
    expect(changes).toEqual(await logSoftmax.jvp(y, t(without), { mask }).array());
    expect(JSON.stringify(changes)).not.toContain('null');
  });

  test('of logSumExp', async () => {
    const changes = await logSumExp.jvp(x(), t(tangents), { mask }).array();
    expect(changes).toEqual(await logSumExp.jvp(x(), t(without), { mask }).array());
    expect(JSON.stringify(changes)).not.toContain('null');
  });

  test('of crossEntropy', async () => {
    const options = { mask, reduction: 'none' } as const;
    const changes = await crossEntropy.jvp(x(), [1, 0], t(tangents), options).array();
    expect(changes).toEqual(await crossEntropy.jvp(x(), [1, 0], t(without), options).array());
    expect(JSON.stringify(changes)).not.toContain('null');
  });
});

describe('crossEntropy says what it expects if its arguments do not fit', () => {
  const x = () =>
    tensor([
      [1, 2, 3],
      [3, 1, 2],
    ]);

  test.each([
    ['three class indices for two rows', Int32Array.of(0, 1, 2), '(3,)'],
    ['three floats for two rows', Float32Array.of(0, 1, 2), '(3,)'],
  ])('%s', (_what, target, shape) => {
    expect(() => crossEntropy(x(), target)).toThrow(
      expect.objectContaining({
        code: 'ERR_SHAPE',
        message: `crossEntropy: target is ${shape}; expected class indices (2,) or probabilities (2, 3); it fits axis 0 (option axis, by default the last)`,
      }),
    );
  });

  test.each([
    ['two rows', 6, [0, 2], '(2,)', '; flat logits are one row: in rows they are tensor(logits, { shape: [2, 3] })'],
    ['one row', 3, [2], '(1,)', '; flat logits are one row: in rows they are tensor(logits, { shape: [1, 3] })'],
    ['two rows that they do not fill', 7, [0, 2], '(2,)', ''],
    ['a matrix of classes', 6, [[0, 2]], '(1, 2)', ''],
    ['no rows', 6, [], '(0,)', ''],
  ])('flat logits with the classes of %s', (_what, length, target, shape, hint) => {
    const expected = `expected class indices () or probabilities (${length},)`;
    const message = `crossEntropy: target is ${shape}; ${expected}${hint}`;
    const error = expect.objectContaining({ code: 'ERR_SHAPE', message });
    expect(() => crossEntropy(new Float32Array(length), target)).toThrow(error);
  });

  test('class indices along another axis, as PyTorch has them', () => {
    const target = new Int32Array(18);
    const logits = tensor(new Float32Array(90), { shape: [2, 5, 3, 3] });
    expect(() => crossEntropy(logits, tensor(target, { shape: [2, 3, 3], dtype: 'int32' }))).toThrow(
      'crossEntropy: target is (2, 3, 3); expected class indices (2, 5, 3) or probabilities (2, 5, 3, 3); it fits axis 1 (option axis, by default the last)',
    );
    expect(() => crossEntropy(logits, target)).toThrow(/probabilities \(2, 5, 3, 3\)$/);
  });

  const indices =
    "class indices are integers: pass an array such as [0, 2], an Int32Array, or a tensor of dtype 'int32'";
  const oneHot = [
    [1, 0, 0],
    [0, 0, 1],
  ];

  test.each([
    ['indices in a tensor without a dtype', () => tensor([0, 2]), `float32 (2,): ${indices}`],
    ['as many floats as rows', () => Float32Array.of(0, 2), `a Float32Array (2,): ${indices}`],
    ['a fraction after an integer', () => [0, 0.5], `an array with 0.5 (2,): ${indices}`],
    ['a boolean before an integer', () => [true, 0], `booleans (2,): ${indices}`],
    [
      'one-hot rows of integers',
      () => tensor(oneHot, { dtype: 'int32' }),
      "int32 (2, 3): probabilities must be floats: pass nested arrays, or a tensor of dtype 'float32'",
    ],
  ])('%s: it is the dtype that is wrong', (_what, target, expected) => {
    expect(() => crossEntropy(x(), target())).toThrow(
      expect.objectContaining({ code: 'ERR_DTYPE', message: `crossEntropy: target is ${expected}` }),
    );
  });

  test.each([
    ['an entry of an array', [0, null], 'entry [1] is null'],
    ['an element of data with a shape', { data: ['a', 0], shape: [2] }, 'element 0 is the text "a"'],
  ])('%s that is not a number is one of the target', (_what, target, found) => {
    expect(() => crossEntropy(x(), target as never)).toThrow(
      expect.objectContaining({ code: 'ERR_DTYPE', message: `crossEntropy: target: ${found}, expected a number` }),
    );
  });

  test.each([
    ['a tensor', () => tensor([1, 1, 1]), 'a tensor'],
    ['null', () => null, 'null'],
  ])('weight as %s', (_what, weight, found) => {
    expect(() => crossEntropy(x(), [0, 1], { weight: weight() as never })).toThrow(
      expect.objectContaining({
        code: 'ERR_DTYPE',
        message: `crossEntropy: weight is ${found}; expected an array of 3 numbers, one for each class`,
      }),
    );
  });
});

test.each([Int8Array, Uint8Array, Int16Array, Uint16Array, Int32Array, Uint32Array])(
  'class indices come in any typed array of integers: %o',
  async (Labels) => {
    const x = tensor([
      [1, 2, 3],
      [3, 1, 2],
    ]);
    const labels = Labels.of(2, 0);
    expect(await crossEntropy.loss(x, labels).array()).toBe(await crossEntropy.loss(x, [2, 0]).array());
  },
);

test('logits of one row take a number as target, and probabilities in a typed array, with and without a dimension of rows', async () => {
  const expected = await crossEntropy.loss([[1, 2, 3]], [2]).array();
  const hot = Float32Array.of(0, 0, 1);
  expect(await crossEntropy.loss([1, 2, 3], 2).array()).toBe(expected);
  expect(await crossEntropy.loss([1, 2, 3], hot).array()).toBe(expected);
  expect(await crossEntropy.loss([[1, 2, 3]], hot).array()).toBe(expected);
});
