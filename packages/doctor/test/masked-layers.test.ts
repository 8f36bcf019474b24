import { crossEntropy, logSoftmax, type MaskInput, softmax, type TensorInput, tensor } from '@softgrad/core';
import { exact } from '@softgrad/core/conformance';
import { describe, expect, test } from 'vitest';
import { type DiagnoseInput, diagnose } from '../src/index.js';
import { normal } from './random.js';

const backend = await exact.open();
const double = (values: readonly (readonly number[])[]) => tensor(values, { dtype: 'float64', backend });

test.each([
  { logits: [[1.8, 0]], mask: [[true, false]], upstream: [[0.9, 0.2]] },
  {
    logits: [
      [1, 2, 0.5],
      [0, 1, 3],
    ],
    mask: [
      [true, true, false],
      [true, true, true],
    ],
    upstream: [
      [0.3, 0.5, 0.7],
      [0.2, -0.4, 1],
    ],
  },
])('the derivatives of a masked log-softmax are right: $logits', async ({ logits, mask, upstream }) => {
  const y = logSoftmax(double(logits), { mask });
  const gradient = await logSoftmax.vjp(y, double(upstream)).array();
  const layer = 'log-softmax' as const;
  const found = diagnose({ logits, mask, upstream, gradient, layer });
  expect([found.verdict, found.matches.some(({ id }) => id === 'right')]).toEqual([
    found.matches.length > 1 ? 'ambiguous' : 'right',
    true,
  ]);
  const jacobian = await logSoftmax.jacobian(y).array();
  expect(diagnose({ logits, mask, gradient: jacobian, layer }).matches.map(({ id }) => id)).toContain('right');
  // With the upstream gradient left where the mask takes an entry out.
  const last = upstream[0].length - 1;
  const left = gradient.map((row, r) => row.map((value, c) => (r === 0 && c === last ? upstream[0][last] : value)));
  expect(diagnose({ logits, mask, upstream, gradient: left, layer }).verdict).not.toBe('right');
});

test('the gradient of a loss of which every row is ignored is right by every reduction', async () => {
  const logits = [[1, 2, 3]];
  for (const reduction of ['mean', 'sum', 'none'] as const) {
    const gradient = await crossEntropy.gradient(double(logits), [0], { ignoreIndex: 0, reduction }).array();
    const found = diagnose({ logits, target: [0], ignoreIndex: 0, gradient, reduction, layer: 'cross-entropy' });
    expect(
      found.matches.map(({ id }) => id),
      reduction,
    ).toContain('right');
  }
});

describe('a mask that was found in the numbers is in the code, which computes them', () => {
  const next = normal(41);
  const matrix = (n: number, f: number) => Array.from({ length: n }, () => Array.from({ length: f }, next));
  const columns = [true, true, false, true];
  const ragged = [
    [true, true, true, false],
    [true, false, true, true],
  ];
  const [two, four, eleven] = [matrix(2, 4), matrix(4, 4), matrix(3, 11)];
  const half = Array.from({ length: 11 }, (_, i) => i < 6);
  const cube = () => [matrix(3, 4), matrix(3, 4)];
  type Given = Pick<DiagnoseInput, 'target' | 'upstream' | 'axis' | 'temperature' | 'layer' | 'reduction'>;

  test.each<[string, TensorInput, Given, MaskInput, string]>([
    ['of the classes', four, { target: [0, 1, 3, 3] }, columns, '[true, true, false, true]'],
    ['beside ignored rows', four, { target: [0, 1, -100, 3] }, columns, '[true, true, false, true]'],
    [
      'along axis 0, at a temperature',
      four,
      { target: [0, 1, 3, 3], axis: 0, temperature: 2, reduction: 'sum' },
      columns.map((keep) => [keep]),
      '[[true], [true], [false], [true]]',
    ],
    [
      'along the axis in the middle',
      cube(),
      { upstream: cube(), axis: 1 },
      [[true], [false], [true]],
      '[[true], [false], [true]]',
    ],
    ['of each entry', two, { target: [0, 2] }, ragged, '[[true, true, true, false], [true, false, true, true]]'],
    [
      'of a product',
      four,
      { upstream: matrix(4, 4), target: [0, 1, 3, 3], layer: 'softmax' },
      columns,
      '[true, true, false, true]',
    ],
    ['of a log-softmax', four, { upstream: matrix(4, 4), layer: 'log-softmax' }, columns, '[true, true, false, true]'],
    ['too long for a line', eleven, { upstream: matrix(3, 11) }, half, 'yours'],
  ])('%s', async (_, logits, given, mask, written) => {
    const { target, upstream, axis, temperature, layer, reduction = 'mean' } = given;
    const x = tensor(logits as number[][], { dtype: 'float64', backend });
    const options = { axis, temperature, mask } as const;
    const g = upstream && tensor(upstream as number[][], { dtype: 'float64', backend });
    const gradient = g
      ? layer === 'log-softmax'
        ? logSoftmax.vjp(logSoftmax(x, options), g)
        : softmax.vjp(softmax(x, options), g)
      : crossEntropy.gradient(x, target as number[], { ...options, reduction });
    const numbers = await gradient.array();
    const { verdict, instead, evidence } = diagnose({ logits, ...given, gradient: numbers });
    expect(verdict).toBe('right');
    expect(evidence.notes.join()).toContain('the options that were found');
    expect(instead.typescript).toContain(`mask: ${written}`);
    expect(instead.numpy).toContain(
      written === 'yours' ? 'mask = yours;' : `mask = np.array(${written.replace(/[tf]/g, (c) => c.toUpperCase())});`,
    );
    const run = new Function(
      ...['softmax', 'logSoftmax', 'crossEntropy', 'logits', 'g', 'target', 'yours'],
      `${instead.typescript} return ${instead.typescript.includes('loss') ? 'gradient' : 'dx'};`,
    );
    const again: number[] = (await run(softmax, logSoftmax, crossEntropy, x, g, target, mask).array()).flat(2);
    for (const [k, value] of again.entries()) expect(value).toBeCloseTo(numbers.flat(2)[k] as number, 12);
  });

  test('is not known of a row of which one class is kept, as the first row of a causal mask: its gradient is 0, whichever that is', async () => {
    const upstream = matrix(4, 4);
    const mask = four.map((row, n) => row.map((_, i) => i <= n));
    const gradient = await softmax.vjp(softmax(double(four), { mask }), double(upstream)).array();
    const { verdict, matches, instead } = diagnose({ logits: four, upstream, gradient });
    expect([verdict, matches[0]?.formula]).toEqual(['right', expect.stringContaining('with the 7 entries masked')]);
    expect(instead.typescript).toBe('const dx = softmax.vjp(softmax(logits, { mask: yours }), g);');
  });
});

test('a mask that was given is in the code of a log-softmax, of whose masked entries g and J are not 0', () => {
  const known = { logits: [[1, 2, 3]], mask: [true, true, false], layer: 'log-softmax' } as const;
  expect(diagnose({ ...known, upstream: [[1, 2, 4]], gradient: [[1, 2, 3]] }).instead).toEqual({
    typescript: 'const dx = logSoftmax.vjp(logSoftmax(logits, { mask }), g);',
    numpy: 'g = np.where(mask, g, 0); dx = g - s * g.sum(axis=-1, keepdims=True)',
  });
  expect(
    diagnose({
      ...known,
      gradient: [
        [
          [1, 2, 3],
          [3, 4, 5],
          [4, 5, 6],
        ],
      ],
    }).instead,
  ).toEqual({
    typescript: 'const J = logSoftmax.jacobian(logSoftmax(logits, { mask }));',
    numpy: 'p = s; J = (np.eye(p.shape[-1]) - p[..., None, :]) * np.broadcast_to(mask, s.shape)[..., None]',
  });
});
