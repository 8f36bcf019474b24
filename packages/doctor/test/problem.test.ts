import type { ErrorCode } from '@softgrad/core';
import { describe, expect, test } from 'vitest';
import { classesLast, placeOf } from '../src/arrays.js';
import { type DiagnoseInput, diagnose } from '../src/index.js';
import type { ProblemInput } from '../src/input.js';
import { readProblem } from '../src/problem.js';
import { readingsOf } from '../src/reading.js';
import { failure } from './failure.js';

const values = (array: Float64Array | null) => array && [...array];
const counted = (length: number) => Float64Array.from({ length }, (_, k) => k);

describe('a problem', () => {
  test('has its rows along any axis of any number of dimensions', () => {
    const data = counted(24);
    const shape = [2, 3, 4];
    for (const [axis, batch, n, f, first] of [
      [0, [3, 4], 12, 2, [0, 12]],
      [1, [2, 4], 8, 3, [0, 4, 8]],
      [2, [2, 3], 6, 4, [0, 1, 2, 3]],
      [-1, [2, 3], 6, 4, [0, 1, 2, 3]],
    ] as const) {
      const problem = readProblem({ logits: { data, shape }, axis, upstream: { data, shape } });
      expect(problem).toMatchObject({ shape, axis: axis < 0 ? 2 : axis, batch, n, f, y: null, reduction: null });
      expect(values(problem.x)?.slice(0, f)).toEqual(first);
      expect(problem.g).toEqual(problem.x);
      expect(problem.s.subarray(0, f).reduce((a, b) => a + b)).toBeCloseTo(1, 14);
      // Entry by entry, its place in the caller's layout is where its value was.
      const canonical = classesLast(data, shape, problem.axis);
      canonical.forEach((value, k) => {
        const path = [Math.floor(value / 12), Math.floor(value / 4) % 3, value % 4];
        expect(placeOf(k, shape, problem.axis)).toBe(path.map((index) => `[${index}]`).join(''));
      });
    }
  });

  test('has the probabilities of its logits and temperature, or those that are given', () => {
    const { s, x, temperature } = readProblem({ logits: [[0, 1]], temperature: 0.5 });
    expect([s[1], temperature, values(x)]).toEqual([expect.closeTo(1 / (1 + Math.exp(-2)), 14), 0.5, [0, 1]]);
    const given = readProblem({ probabilities: [[0.25, 0.75]], temperature: 0.5 });
    expect([values(given.s), given.x]).toEqual([[0.25, 0.75], null]);
  });

  test('takes probabilities that add up to 1 within a hundredth', () => {
    const adds =
      (...row: number[]) =>
      () =>
        readProblem({ probabilities: [[0.5, 0.5], row] });
    for (const row of [
      [0.5, 0.509],
      [0.5, 0.491],
      [1.009, 0],
    ])
      expect(adds(...row)).not.toThrow();
    expect(failure(adds(0.5, 0.511))).toEqual([
      'ERR_VALUE',
      'diagnose: probabilities: the row of [1][0] adds up to 1.01100 along axis 1; expected 1: another axis, or logits?',
    ]);
    expect(failure(adds(0.5, 0.489))[1]).toContain('the row of [1][0] adds up to 0.989000 along axis 1');
    expect(failure(adds(1.011, 0))[1]).toContain('probabilities[1][0] is 1.011; expected a number from 0 to 1');
    expect(failure(adds(1, -1e-9))[1]).toContain(
      'probabilities[1][1] is -1e-9; expected a number from 0 to 1; are these logits?',
    );
  });

  test('names the row that is masked out altogether, the value that is none, and where it is in the layout', () => {
    const none = Number.NEGATIVE_INFINITY;
    const logits = [
      [1, none],
      [2, none],
      [none, none],
    ];
    expect(failure(() => readProblem({ logits }))[1]).toBe(
      'diagnose: logits: the row of [2][0] is -Infinity throughout, so its softmax is NaN; expected one class at least that is not masked out',
    );
    expect(failure(() => readProblem({ logits, axis: 0 }))[1]).toContain('the row of [0][1] is -Infinity throughout');
    expect(
      failure(() =>
        readProblem({
          logits: [
            [1, 2],
            [3, Number.NaN],
          ],
          axis: 0,
        }),
      )[1],
    ).toBe(
      'diagnose: logits[1][1] is NaN; expected a finite number or -Infinity (masked out). The fault lies before the softmax',
    );
    expect(failure(() => readProblem({ logits: [[1, 2]], upstream: [[1, Number.POSITIVE_INFINITY]] }))[1]).toBe(
      'diagnose: upstream[0][1] is Infinity; expected a finite number. The fault lies after the softmax',
    );
    expect(failure(() => readProblem({ logits: [[1, 2]], upstream: [1, 2] }))[1]).toBe(
      'diagnose: upstream is (2,); expected (1, 2) like the logits: ∂L/∂s has the shape of s',
    );
  });
});

describe('a target', () => {
  const logits = [
    [1, 2, 3],
    [0, 1, 0],
  ];
  const read = (target: ProblemInput['target'], more: Partial<ProblemInput> = {}) => {
    const { y, indices, fused } = readProblem({ logits, target, ...more });
    return [values(y), indices, fused];
  };
  const hot = [0, 0, 1, 1, 0, 0];

  test('is class indices of the shape without the axis, with the axis 1 or not, or probabilities', () => {
    expect([read([2, 0]), read([[2], [0]])]).toEqual([
      [hot, true, false],
      [hot, true, false],
    ]);
    expect(
      read([
        [0, 0, 1],
        [1, 0, 0],
      ]),
    ).toEqual([hot, false, false]);
    expect(read([0, 1, 1], { axis: 0 })[0]).toEqual([1, 0, 0, 1, 0, 1]);
    expect(
      read(
        [
          [0.5, 0, 2],
          [1, 0, 0],
        ],
        { axis: 0 },
      ),
    ).toEqual([[0.5, 1, 0, 0, 2, 0], false, false]);
  });

  test.each([
    [[0, 3], 'target entry 1 is 3; expected a class index from 0 to 2, or -100 (ignoreIndex) for a row to ignore'],
    [
      [1, 3],
      'target entry 1 is 3; expected a class index from 0 to 2, or -100 (ignoreIndex) for a row to ignore; these count from 1: take 1 off',
    ],
    [[-1, 0], 'target entry 0 is -1; expected a class index from 0 to 2, or -100 (ignoreIndex) for a row to ignore'],
    [[0, 0.5], 'target entry 1 is 0.5; expected a class index from 0 to 2, or -100 (ignoreIndex) for a row to ignore'],
    [[3, 4], 'target entry 0 is 3; expected a class index from 0 to 2, or -100 (ignoreIndex) for a row to ignore'],
    [[0, 1, 2, 0], 'target is (4,); expected class indices (2,) or probabilities (2, 3)'],
    [[[0, 1]], 'target is (1, 2); expected class indices (2,) or probabilities (2, 3)'],
    [
      [
        [0, 0, -1],
        [1, 0, 0],
      ],
      'target[0][2] is -1; expected a probability; of logits or log-probabilities, pass the softmax',
    ],
    [
      [
        [0, 0, 1],
        [Number.NaN, 0, 0],
      ],
      'target[1][0] is NaN; expected a probability',
    ],
    [
      [
        [0, 0, 1],
        [1, Number.POSITIVE_INFINITY, 0],
      ],
      'target[1][1] is Infinity; expected a probability',
    ],
  ])('%j is refused', (target, message) => {
    expect(failure(() => readProblem({ logits, target }))[1]).toBe(`diagnose: ${message}`);
  });

  test('of the shape for another axis is refused with that axis', () => {
    const refused = (shape: readonly number[], ofTarget: readonly number[], axis?: number) => {
      const zeros = (dimensions: readonly number[]) => ({
        data: new Float64Array(dimensions.reduce((a, b) => a * b, 1)),
        shape: dimensions,
      });
      return failure(() => readProblem({ logits: zeros(shape), target: zeros(ofTarget), axis }))[1];
    };
    const hint = (axis: number) => `; it fits axis ${axis} (option axis, by default the last)`;
    const expected = 'expected class indices (2,) or probabilities (2, 3)';
    expect(refused([2, 3], [3])).toBe(`diagnose: target is (3,); ${expected}${hint(0)}`);
    expect(refused([2, 3], [3, 1])).toBe(`diagnose: target is (3, 1); ${expected}${hint(0)}`);
    expect(refused([2, 3, 4], [2, 4])).toContain(`probabilities (2, 3, 4)${hint(1)}`);
    expect(refused([2, 3], [2], 0)).toContain(hint(1));
    expect(refused([2, 3, 4], [2, 2])).toMatch(/probabilities \(2, 3, 4\)$/);
  });

  test('is seen in an upstream that is s − y, or that over n, and in nothing else', () => {
    const { s } = readProblem({ logits });
    const nested = (entry: (k: number) => number) => [0, 1].map((row) => [0, 1, 2].map((i) => entry(3 * row + i)));
    const sum = nested((k) => s[k] - hot[k]);
    const mean = nested((k) => (s[k] - hot[k]) / 2);
    for (const upstream of [sum, mean]) {
      const problem = readProblem({ logits, upstream });
      expect([values(problem.y), values(problem.g), problem.fused, problem.indices]).toEqual([
        hot,
        upstream.flat(),
        true,
        true,
      ]);
      expect(readProblem({ logits, upstream, layer: 'cross-entropy' }).g).toBeNull();
      expect(readProblem({ logits, upstream, layer: 'softmax' })).toMatchObject({ y: null, fused: false });
    }
    const known = readProblem({
      logits,
      upstream: sum,
      target: [
        [0, 0, 1],
        [1, 0, 0],
      ],
    });
    expect([values(known.y), known.fused, known.indices]).toEqual([hot, true, false]);
    expect(readProblem({ logits, upstream: sum, target: [2, 0] }).indices).toBe(true);
    // Off by more than a thousandth of the largest; another target; twice; no target at all.
    const largest = Math.max(...sum.flat().map(Math.abs));
    const off = (by: number) => sum.map((row, r) => row.map((value, i) => value + (r + i === 0 ? by * largest : 0)));
    for (const upstream of [off(0.0011), nested((k) => 2 * (s[k] - hot[k])), nested((k) => s[k])]) {
      const problem = readProblem({ logits, upstream });
      expect([problem.y, problem.fused, problem.g === null]).toEqual([null, false, false]);
    }
    expect(readProblem({ logits, upstream: off(0.0009) }).fused).toBe(true);
    expect(readProblem({ probabilities: [[0.25, 0.75]], upstream: [[0.25, -0.25]] }).fused).toBe(true);
    expect(readProblem({ logits, upstream: sum, target: [1, 0] }).fused).toBe(false);
    expect(readProblem({ logits: [[1], [2]], upstream: [[0], [0]], target: [0, 0] }).fused).toBe(false);
  });
});

describe('an option of the loss', () => {
  const logits = [
    [1, 2, 3],
    [0, 1, 0],
  ];

  test.each<[Partial<ProblemInput>, ErrorCode, string]>([
    [{ target: [['a']] as never }, 'ERR_DTYPE', 'target: entry [0][0] is the text "a", expected a number'],
    [
      { target: [['tensor: a']] as never },
      'ERR_DTYPE',
      'target: entry [0][0] is the text "tensor: a", expected a number',
    ],
    [{ weight: [1, 2] }, 'ERR_SHAPE', 'weight is (2,); expected 3 numbers, one a class'],
    [{ weight: [1, -1, 2] }, 'ERR_VALUE', 'weight[1] is -1; expected a finite number from 0'],
    [{ weight: [Number.NaN, 1, 2] }, 'ERR_VALUE', 'weight[0] is NaN; expected a finite number from 0'],
    [
      { weight: [1, 2, Number.POSITIVE_INFINITY] },
      'ERR_VALUE',
      'weight[2] is Infinity; expected a finite number from 0',
    ],
    [{ labelSmoothing: -0.1 }, 'ERR_VALUE', 'labelSmoothing -0.1; expected 0 to 1'],
    [{ labelSmoothing: 1.1 }, 'ERR_VALUE', 'labelSmoothing 1.1; expected 0 to 1'],
    [{ labelSmoothing: Number.NaN }, 'ERR_VALUE', 'labelSmoothing NaN; expected 0 to 1'],
    [{ labelSmoothing: '0.1' as never }, 'ERR_VALUE', 'labelSmoothing is the text "0.1"; expected 0 to 1'],
    [{ ignoreIndex: '1' as never }, 'ERR_VALUE', 'ignoreIndex is the text "1"; expected an integer'],
    [{ ignoreIndex: 0.5 }, 'ERR_VALUE', 'ignoreIndex 0.5; expected an integer'],
    [
      { mask: [[2, 1, 0]] },
      'ERR_VALUE',
      'mask entry 0 is 2; expected true or 1 where an entry takes part, false or 0 where it does not',
    ],
    [
      { mask: [[1, 0, 0.5]] },
      'ERR_VALUE',
      'mask entry 2 is 0.5; expected true or 1 where an entry takes part, false or 0 where it does not',
    ],
    [{ mask: [[1, 0]] }, 'ERR_SHAPE', 'mask is (1, 2); expected (2, 3) like the logits, or what broadcasts to it'],
    [
      { mask: [[[1, 0, 1]]] },
      'ERR_SHAPE',
      'mask is (1, 1, 3); expected (2, 3) like the logits, or what broadcasts to it',
    ],
    [{ mask: [[1, 0, 1]], target: [0, 1] }, 'ERR_VALUE', 'target entry 1 is class 1, which is masked'],
    [
      { layer: 'tanh' as never },
      'ERR_VALUE',
      `layer is the text "tanh"; expected one of 'softmax', 'log-softmax', 'sigmoid', 'cross-entropy'`,
    ],
    [{ reduction: 'max' as never }, 'ERR_VALUE', `reduction is the text "max"; expected 'mean', 'sum' or 'none'`],
    [{ temperature: Number.POSITIVE_INFINITY }, 'ERR_VALUE', 'temperature Infinity; expected a finite number above 0'],
    [{ temperature: '2' as never }, 'ERR_VALUE', 'temperature is the text "2"; expected a finite number above 0'],
  ])('%j is refused', (option, code, message) => {
    expect(failure(() => readProblem({ logits, target: [0, 1], ...option }))).toEqual([code, `diagnose: ${message}`]);
  });

  describe.each<[string, Partial<ProblemInput> & Pick<DiagnoseInput, 'gradient'>]>([
    ['numbers alone', { logits, gradient: logits }],
    ['an upstream gradient', { logits, gradient: logits, upstream: logits }],
    ['an expression with data', { logits, gradient: 'J @ g', upstream: logits }],
    ['an expression alone', { gradient: 'J @ g' }],
  ])('is checked, or refused where it says nothing: %s', (_, known) => {
    test.each<[Partial<ProblemInput>, ErrorCode, string]>([
      [{ temperature: 0 }, 'ERR_VALUE', 'temperature 0; expected a finite number above 0'],
      [{ axis: 0.5 }, 'ERR_AXIS', 'axis 0.5'],
      [{ axis: '1' as never }, 'ERR_AXIS', 'axis is the text "1"; expected an integer'],
      [{ reduction: 'max' as never }, 'ERR_VALUE', 'reduction is the text "max"'],
      [{ layer: 'tanh' as never }, 'ERR_VALUE', 'layer is the text "tanh"'],
      [{ labelSmoothing: 2 }, 'ERR_VALUE', 'labelSmoothing 2; expected 0 to 1'],
      [{ ignoreIndex: 0.5 }, 'ERR_VALUE', 'ignoreIndex 0.5; expected an integer'],
      [{ labelSmoothing: 0.1 }, 'ERR_VALUE', 'labelSmoothing is given without target; expected both'],
      [{ ignoreIndex: -1 }, 'ERR_VALUE', 'ignoreIndex is given without target; expected both'],
      [{ weight: [1, 2, 3] }, 'ERR_VALUE', 'weight is given without target; expected both'],
    ])('%j', (option, code, message) => {
      const [found, text] = failure(() => diagnose({ ...known, ...option }));
      expect([found, text.startsWith(`diagnose: ${message}`) ? '' : text]).toEqual([code, '']);
    });
  });

  test.each<Partial<ProblemInput>>([{}, { upstream: logits }, { upstream: logits, layer: 'softmax' }])(
    'a reduction says nothing of numbers without a loss: %j',
    (known) => {
      for (const reduction of ['mean', 'sum', 'none'] as const) {
        const refused = failure(() => diagnose({ logits, gradient: logits, ...known, reduction }));
        expect(refused[1]).toMatch(/^diagnose: reduction is given without target; expected both: /);
      }
    },
  );

  test('a reduction belongs to the target that an upstream gradient s − y tells', () => {
    const error = [[1 / 3, 1 / 3, -2 / 3]];
    const known = { logits: [[0, 0, 0]], upstream: error, gradient: error, layer: 'cross-entropy' } as const;
    expect(diagnose({ ...known, reduction: 'sum' }).matches.map(({ id }) => id)).toContain('right');
  });

  test.each<[Partial<ProblemInput>, string]>([
    [{ upstream: logits }, 'upstream'],
    [{ target: [0, 1] }, 'target'],
    [{ mask: [1, 0, 1] }, 'mask'],
    [{ target: [0, 1], weight: [1, 2, 3] }, 'target'],
  ])('%j beside an expression needs the data that it belongs to', (option, name) => {
    expect(failure(() => diagnose({ gradient: 'J @ g', ...option }))).toEqual([
      'ERR_VALUE',
      `diagnose: ${name} is given without logits or probabilities; expected one of them too`,
    ]);
  });

  test.each<[string, Partial<ProblemInput>]>([
    ['a softmax', {}],
    ['a sigmoid', { layer: 'sigmoid' }],
  ])('an ignoreIndex says nothing of probabilities: %s', (_, layer) => {
    const known = { logits: [[1, 2, 3]], target: [[0, 1, 0]], gradient: [[1, 2, 3]], ...layer };
    for (const ignoreIndex of [-100, 2]) {
      expect(failure(() => diagnose({ ...known, ignoreIndex }))).toEqual([
        'ERR_VALUE',
        'diagnose: ignoreIndex is given with a target of (1, 3); expected class indices, because it ignores rows by their class index',
      ]);
    }
    expect(() => diagnose(known)).not.toThrow();
  });

  test('of a softmax cross-entropy is refused for a sigmoid, of which it would be another loss', () => {
    const refused = (option: Partial<ProblemInput>) =>
      failure(() => readProblem({ logits, target: logits.map(() => [0, 1, 0]), layer: 'sigmoid', ...option }))[1];
    expect(refused({ labelSmoothing: 0.1 })).toBe(
      "diagnose: labelSmoothing is given with layer 'sigmoid'; expected another layer: it is an option of the softmax cross-entropy. For a sigmoid, give the smoothed probabilities as the target",
    );
    expect(refused({ weight: [1, 2, 3] })).toContain('weight is given with layer');
  });

  test.each<[Partial<ProblemInput>, number[], number]>([
    [{}, [1, 0, 0, 0, 1, 0], 2],
    [{ labelSmoothing: 0 }, [1, 0, 0, 0, 1, 0], 2],
    [{ labelSmoothing: 0.3 }, [0.8, 0.1, 0.1, 0.1, 0.8, 0.1], 2],
    [{ labelSmoothing: 1 }, [1 / 3, 1 / 3, 1 / 3, 1 / 3, 1 / 3, 1 / 3], 2],
    [{ weight: [2, 3, 4] }, [2, 0, 0, 0, 3, 0], 5],
    [{ weight: [2, 3, 4], labelSmoothing: 0.3 }, [1.6, 0.3, 0.4, 0.2, 2.4, 0.4], 5],
    [{ target: [0, -100] }, [1, 0, 0, 0, 0, 0], 1],
    [{ target: [7, 1], ignoreIndex: 7, weight: [2, 3, 4], labelSmoothing: 0.3 }, [0, 0, 0, 0.2, 2.4, 0.4], 3],
    [{ target: [1, 1], ignoreIndex: 1 }, [0, 0, 0, 0, 0, 0], 2],
    [{ mask: [[true, true, false]], labelSmoothing: 0.2 }, [0.9, 0.1, 0, 0.1, 0.9, 0], 2],
    [{ mask: [[true], [true]], labelSmoothing: 0.3 }, [0.8, 0.1, 0.1, 0.1, 0.8, 0.1], 2],
    [
      {
        target: [
          [0.5, 0.5, 0],
          [0, 2, 0],
        ],
        weight: [2, 3, 4],
      },
      [1, 1.5, 0, 0, 6, 0],
      2,
    ],
  ])('%j makes the y of s − y and the divisor of the mean', (options, y, divisor) => {
    const { target, y: found } = readProblem({ logits, target: [0, 1], ...options });
    y.forEach((value, k) => {
      expect(found?.[k]).toBeCloseTo(value, 14);
    });
    expect([found?.length, target?.divisor]).toEqual([6, divisor]);
  });

  test('masks entries along any axis, broadcast as in NumPy', () => {
    const shape = [2, 3, 2];
    const data = counted(12);
    const keepOf = (mask: ProblemInput['mask'], axis: number) => {
      const { masked, x } = readProblem({ logits: { data, shape }, mask, axis });
      expect(values(x)?.map((value) => (Number.isFinite(value) ? 1 : 0))).toEqual([...(masked?.keep ?? [])]);
      return masked && [...masked.keep];
    };
    expect(keepOf([[1], [0], [1]], 1)).toEqual([1, 0, 1, 1, 0, 1, 1, 0, 1, 1, 0, 1]);
    expect(keepOf([[[1, 1]], [[1, 0]]], 2)).toEqual([1, 1, 1, 1, 1, 1, 1, 0, 1, 0, 1, 0]);
    expect(keepOf([1, 0], -1)).toEqual([1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0]);
    expect(
      keepOf(
        [
          [
            [1, 0],
            [1, 1],
            [0, 1],
          ],
          [
            [1, 1],
            [1, 0],
            [1, 0],
          ],
        ],
        0,
      ),
    ).toEqual([1, 1, 0, 1, 1, 1, 1, 0, 0, 1, 1, 0]);
  });
});

describe('an array of numbers', () => {
  const kinds = (logits: ProblemInput['logits'], shape: readonly number[], axis = -1) => {
    const size = shape.reduce((a, b) => a * b, 1);
    const problem = readProblem({ logits, axis });
    return readingsOf(problem, { shape, data: counted(size) }).map(({ kind }) => kind);
  };
  const two = [
    [1, 2, 3],
    [1, 2, 4],
  ];
  const square = [
    [1, 2],
    [3, 4],
  ];

  test('is what its shape lets it be', () => {
    expect(kinds(two, [2, 3])).toEqual(['gradient']);
    expect(kinds(two, [2, 3, 3])).toEqual(['jacobian']);
    expect(kinds(two, [3, 2])).toEqual(['transposed gradient']);
    expect(kinds(two, [3, 3, 2])).toEqual(['transposed jacobian']);
    expect(kinds(two, [3, 2, 2])).toEqual(['jacobian along the other axis']);
    expect(kinds(two, [3, 3])).toEqual(['one jacobian for the batch']);
    expect(kinds(two, [6, 6])).toEqual(['jacobian of the flattened batch']);
    expect(kinds(two, [3])).toEqual(['sum over the batch']);
    expect(kinds(two, [2])).toEqual(['sum over the classes']);
    expect(kinds(square, [2, 2])).toEqual(['gradient', 'transposed gradient', 'one jacobian for the batch']);
    expect(kinds(square, [2])).toEqual(['sum over the batch', 'sum over the classes']);
    expect(kinds(square, [2, 2, 2])).toEqual(['jacobian', 'transposed jacobian', 'jacobian along the other axis']);
    expect(kinds([[1, 2, 3]], [3])).toEqual(['gradient']);
    expect(kinds([[1, 2, 3]], [3, 3])).toEqual(['jacobian']);
    expect(kinds([[1, 2, 3]], [1])).toEqual(['sum over the classes']);
    expect(kinds([1, 2, 3], [3])).toEqual(['gradient']);
    expect(kinds([1, 2, 3], [3, 3])).toEqual(['jacobian']);
    expect(kinds([two, two], [2, 2, 3, 3])).toEqual(['jacobian']);
  });

  test('is read with classes last', () => {
    const data = counted(6);
    const problem = readProblem({ logits: two, axis: 0 });
    expect([...readingsOf(problem, { shape: [2, 3], data })[0].data]).toEqual([0, 3, 1, 4, 2, 5]);
    const turned = readingsOf(readProblem({ logits: two }), { shape: [3, 2], data })[0];
    expect([...turned.data]).toEqual([0, 2, 4, 1, 3, 5]);
    const last = readingsOf(readProblem({ logits: two }), { shape: [3, 3, 2], data: counted(18) })[0];
    expect([...last.data]).toEqual([0, 1].flatMap((n) => Array.from({ length: 9 }, (_, k) => 2 * k + n)));
  });

  test('of any other shape is refused', () => {
    const refused = (logits: ProblemInput['logits'], shape: number[]) => failure(() => kinds(logits, shape));
    expect(refused(two, [4])).toEqual([
      'ERR_SHAPE',
      'diagnose: gradient is (4,) (4 entries); expected (2, 3) like the logits, or (2, 3, 3), one Jacobian a row',
    ]);
    expect(refused(two, [6])[1]).toMatch(/, one Jacobian a row; it has as many entries: reshape it to \(2, 3\)$/);
    expect(refused([1, 2, 3], [])[0]).toBe('ERR_SHAPE');
    expect(refused([1, 2, 3], [1, 3])[0]).toBe('ERR_SHAPE');
    expect(refused([two, two], [3, 2, 2])[0]).toBe('ERR_SHAPE');
  });
});

describe('logits of another shape than the gradient and the target', () => {
  const gradient = [
    [0.1, 0.2, -0.3],
    [0.1, -0.2, 0.1],
    [-0.3, 0.1, 0.2],
    [0.5, -0.6, 0.1],
  ];
  const of = (rows: number, columns: number) =>
    Array.from({ length: rows }, (_, n) => Array.from({ length: columns }, (__, i) => (2 * n + i) % 5));
  const hot = gradient.map(() => [0, 1, 0]);
  const agree = 'but gradient (4, 3) and target';

  test.each<[string, DiagnoseInput, string]>([
    [
      'transposed',
      { logits: of(3, 4), target: [2, 1, 0, 1], gradient },
      'logits are (3, 4), but gradient (4, 3) and target (4,) agree with each other; expected logits (4, 3); the logits look transposed',
    ],
    ['transposed, with probabilities as the target', { logits: of(3, 4), target: hot, gradient }, 'look transposed'],
    [
      'of other rows',
      { logits: of(6, 3), target: [[2], [1], [0], [1]], gradient },
      `logits are (6, 3), ${agree} (4, 1) agree with each other; expected logits (4, 3)`,
    ],
    [
      'of other columns',
      { logits: of(5, 4), target: [0, 1, 2], axis: 0, gradient },
      `logits are (5, 4), ${agree} (3,) agree`,
    ],
    [
      'probabilities',
      {
        probabilities: [
          [0.5, 0.25, 0.25, 0],
          [1, 0, 0, 0],
          [0, 0, 1, 0],
        ],
        target: [2, 1, 0, 1],
        gradient,
      },
      'the probabilities look transposed',
    ],
  ])('are named: %s', (_, input, message) => {
    expect(failure(() => diagnose(input))).toEqual(['ERR_SHAPE', expect.stringContaining(message)]);
  });

  test('are not named if the target fits neither', () => {
    const [, neither] = failure(() => diagnose({ logits: of(3, 4), target: [0, 1, 2, 1, 0], gradient }));
    expect(neither).toBe('diagnose: target is (5,); expected class indices (3,) or probabilities (3, 4)');
    const [, notTransposed] = failure(() => diagnose({ logits: of(6, 3), target: [2, 1, 0, 1], gradient }));
    expect(notTransposed).not.toContain('transposed');
  });
});
