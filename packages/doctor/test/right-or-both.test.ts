import { describe, expect, test } from 'vitest';
import { type DiagnoseInput, diagnose } from '../src/index.js';
import { readProblem } from '../src/problem.js';
import { isSumOfRounded } from '../src/row-sum.js';
import { type Matrix, softmax } from './attempts.js';
import { toBits } from './cases.js';
import { normal } from './random.js';

/** Small inputs on the border between right gradients and mistakes, each one of a kind. */
const idsOf = (input: DiagnoseInput) => diagnose(input).matches.map(({ id }) => id);
const verdictOf = (input: DiagnoseInput) => diagnose(input).verdict;

const exactly = (value: number) => value;
const map = (a: Matrix, change: (value: number, n: number, i: number) => number) =>
  a.map((row, n) => row.map((value, i) => change(value, n, i)));
const productOf = (s: Matrix, g: Matrix) =>
  s.map((row, n) => {
    const inner = row.reduce((sum, p, i) => sum + p * (g[n]?.[i] ?? 0), 0);
    return row.map((p, i) => p * ((g[n]?.[i] ?? 0) - inner));
  });

describe('a right gradient is not called a mistake alone', () => {
  const right: Readonly<Record<string, DiagnoseInput>> = {
    'a focal loss of one row whose loss has an upstream gradient': {
      logits: [[0, 1, 2, 0, 1]],
      target: [2],
      upstream: [0.5],
      gradient: [
        [0.02022780793247136, 0.05498488273239663, -0.15042538132973596, 0.02022780793247136, 0.05498488273239663],
      ],
    },
    'a focal loss where its factor hardly depends on the probability': {
      logits: [
        [0.5, 1, 1, 1, 0.5, 0.5, 1, 0.5, 0.5, 0.5],
        [1, 2, 0.5, 2, 0.5, 0.5, 1, 1, 1, 1],
      ],
      target: [1, 0],
      upstream: [0.5, 0.5],
      gradient: [
        [0.0483, -0.5292, 0.0797, 0.0797, 0.0483, 0.0483, 0.0797, 0.0483, 0.0483, 0.0483],
        [-0.5597, 0.1351, 0.0301, 0.1351, 0.0301, 0.0301, 0.0497, 0.0497, 0.0497, 0.0497],
      ],
    },
    's₀ of one row plus s₁ of the other, which is also the mean of their Jacobians': {
      logits: [
        [2, 1],
        [0, 1],
      ],
      gradient: [
        [0.19661193324148185, -0.19661193324148185],
        [-0.19661193324148185, 0.19661193324148185],
      ],
    },
    'a mean whose decimals were cut off': {
      logits: [
        [-0.9, 0.21, -0.54],
        [-0.87, -1.12, 0.85],
      ],
      target: [
        [0, 1, 0],
        [0, 0, 1],
      ],
      gradient: [
        [0.091, -0.222, 0.131],
        [0.067, 0.052, -0.12],
      ],
    },
    'small numbers of bfloat16, printed': { logits: [[2, 7]], upstream: [[0, 1]], gradient: [[-0.0067, 0.0067]] },
    'zeros and numbers of three digits, which are decimals': {
      probabilities: [
        [1.902381765674459e-10, 0.009696946198492849, 0.990303053611269],
        [0.014870408000685903, 6.270486490889429e-11, 0.9851295919366093],
      ],
      upstream: [
        [1, 0, 0],
        [0, 0, 33.6],
      ],
      gradient: [
        [0, 0, 0],
        [-0.492, 0, 0.492],
      ],
    },
    'a product of bfloat16 numbers, printed': {
      probabilities: [
        [0.5, 0.3, 0.2],
        [0.1, 0.6, 0.3],
      ],
      upstream: [
        [-2, 1, 1],
        [1, -2, 1],
      ],
      gradient: productOf(
        [
          [0.5, 0.3, 0.2],
          [0.1, 0.6, 0.3],
        ],
        [
          [-2, 1, 1],
          [1, -2, 1],
        ],
      ).map((row) => row.map((value) => Number((1.004 * value).toFixed(7)))),
    },
    'a reward below 0 of one row': {
      logits: [[0.68, 2.19, -0.56, -2.23, -1.45]],
      target: [1],
      gradient: softmax([[0.68, 2.19, -0.56, -2.23, -1.45]], 1, exactly).map((row) =>
        row.map((p, i) => -0.4 * (p - (i === 1 ? 1 : 0))),
      ),
    },
    'another loss of one row of two classes': {
      probabilities: [[0.50716565, 0.49283435]],
      target: [1],
      gradient: [[1.01433131, -1.01433131]],
    },
    'zeros that were cut off': {
      logits: [[0.1, 0.2, 0.15, 0.1]],
      upstream: [[0.003, 0, 0.0001, 0]],
      gradient: [[0, 0, 0, 0]],
    },
    'a gradient divided by its norm, with few digits': {
      logits: [
        [2, 0],
        [1, 3],
      ],
      temperature: 2,
      target: [1, 0],
      gradient: [
        [0.5, -0.5],
        [-0.5, 0.5],
      ],
    },
  };

  test.each(Object.entries(right))('%s', (_, input) => {
    expect(idsOf(input)).toContain('right');
  });

  test('at any temperature: s₀ of one row plus s₁ of the other, which is also the mean of their Jacobians', () => {
    for (const temperature of [0.25, 0.5, 2, 3]) {
      const logits = [
        [2 * temperature, temperature],
        [0, temperature],
      ];
      const d = 0.19661193324148185 / temperature;
      const gradient = [
        [d, -d],
        [-d, d],
      ];
      expect(idsOf({ logits, temperature, gradient }), `T = ${temperature}`).toContain('right');
    }
  });

  test('cut digits of all that is known', () => {
    const cut = (value: number) => Math.trunc(value * 1e3) / 1e3;
    const x = [
      [0.1234, -1.2345, 0.7777, 1.9999],
      [1.0009, 0.5555, -0.6789, 0.3219],
    ];
    const g = map(x, (value, n, i) => Math.sin(9 * value + n + i));
    const gradient = map(productOf(softmax(x, 1, exactly), g), cut);
    expect(verdictOf({ logits: map(x, cut), upstream: map(g, cut), gradient })).toBe('right');
  });
});

describe('an upstream gradient beside a target', () => {
  const logits = [
    [0, 1, 2, 0.5],
    [1, 0, 0.5, -1],
  ];
  const target = [0, 2];
  const s = softmax(logits, 1, exactly);
  const loss = map(s, (p, n, i) => p - (target[n] === i ? 1 : 0));
  const upstream = [
    [1, 2, 3, 4],
    [0, 1, 0, 2],
  ];
  const known = { logits, target, upstream };

  test('is missing in s − y, which is right of the cross-entropy only', () => {
    for (const gradient of [loss, map(loss, (value) => value / 2)]) {
      expect(idsOf({ ...known, gradient })).toEqual(['right', 'upstream-missing']);
      expect(idsOf({ ...known, layer: 'softmax', gradient })).toEqual(['upstream-missing']);
      expect(idsOf({ ...known, layer: 'cross-entropy', gradient })).toEqual(['right']);
    }
    expect(diagnose({ ...known, gradient: loss }).evidence.notes.join()).toContain(
      'wrong if it is the loss that the upstream',
    );
    expect(idsOf({ ...known, gradient: 's - y' })).toEqual(['right', 'upstream-missing']);
  });

  test('is in it where it is that of the cross-entropy', () => {
    for (const factor of [1, 0.5]) {
      const own = map(s, (p, n, i) => (target[n] === i ? -factor / p : 0));
      expect(idsOf({ logits, target, upstream: own, gradient: map(loss, (value) => value * factor) })).toEqual([
        'right',
      ]);
    }
  });

  test('rules out smoothing and weights that were not given', () => {
    const smoothed = map(loss, (value, n, i) => value + (target[n] === i ? 0.075 : -0.025));
    const weighted = map(loss, (value, n) => value * (n === 1 ? 4 : 1));
    const left = map(loss, (value, n) => (n === 1 ? 0 : value));
    expect([smoothed, weighted, left].map((gradient) => verdictOf({ ...known, gradient }))).toEqual(
      Array.from({ length: 3 }, () => 'unknown'),
    );
  });
});

describe('numbers that are small beside others', () => {
  test('count: a row, or an entry', () => {
    const rows = {
      logits: [
        [0, 1, 2],
        [1, 0, 0.5],
      ],
      upstream: [
        [10000, -5000, 2000],
        [1, -2, 0.5],
      ],
    };
    const [large = [], small = []] = productOf(softmax(rows.logits, 1, exactly), rows.upstream);
    const verdict = (second: readonly number[], round = exactly) =>
      verdictOf({ ...rows, gradient: map([large, second], round) });
    expect([verdict(small), verdict(small, Math.fround)]).toEqual(['right', 'right']);
    expect(verdict(small.map((value) => -value))).toBe('unknown');
    const confident = [
      [0, 1, 2],
      [0, 1, 9],
    ];
    const written = map(softmax(confident, 1, exactly), (p, n, i) => p - (i === 2 * n ? 1 : 0));
    const given = { logits: confident, target: [0, 2] };
    expect(verdictOf({ ...given, gradient: written })).toBe('right');
    expect(verdictOf({ ...given, gradient: [written[0] ?? [], [0, 0, 0]] })).toBe('unknown');
    const lost = map(written, (value, n, i) => (n === 1 && i === 0 ? 0 : value));
    expect(verdictOf({ ...given, gradient: lost })).toBe('unknown');
  });

  test('may be lost in integers: the one-hot prediction minus the target, or s − y', () => {
    expect(idsOf({ logits: [[0, 1, 9]], target: [0], gradient: [[-1, 0, 1]] })).toEqual(['right', 'predicted-class']);
    const logits = [[0, 1, 1.5]];
    expect(idsOf({ logits, target: [0], layer: 'cross-entropy', gradient: [[-1, 0, 1]] })).toEqual(['predicted-class']);
    expect(verdictOf({ logits, target: [2], gradient: [[0, 0, 0]] })).not.toBe('predicted-class');
  });
});

describe('named', () => {
  const logits = [
    [0, 1, 2],
    [1, 0, 0.5],
  ];
  const upstream = [
    [1, -1, 2],
    [0.5, 2, -1],
  ];

  test('a mask after the softmax, without dividing by the new sum', () => {
    const mask = [
      [1, 1, 0],
      [0, 1, 1],
    ];
    const after = map(softmax(logits, 1, exactly), (p, n, i) => p * (mask[n]?.[i] ?? 0));
    // A constant of the upstream gradient counts, because these probabilities do not add up to 1.
    const shifted = map(upstream, (value) => value + 3);
    expect(idsOf({ logits, mask, upstream: shifted, gradient: productOf(after, shifted) })).toEqual(['mask-missing']);
  });

  test("softmax's formula for a sigmoid", () => {
    const s = map(logits, (value) => 1 / (1 + Math.exp(-value)));
    expect(idsOf({ logits, layer: 'sigmoid', upstream, gradient: productOf(s, upstream) })).toEqual([
      'softmax-derivative',
    ]);
  });

  test.each([
    ['softmax(x), divided by T', 1, 0.5],
    ['softmax(x)', 1, 1],
    ['softmax(x · T)', 0.5, 1],
    ['softmax(x · T), times T', 0.5, 2],
    ['softmax(x · T), divided by T', 0.5, 0.5],
  ])('the temperature of %s', (_, temperature, factor) => {
    const gradient = map(productOf(softmax(logits, temperature, exactly), upstream), (value) => value * factor);
    expect(idsOf({ logits, temperature: 2, upstream, gradient })).toEqual(['temperature']);
  });

  test('label smoothing that only adds ε/K to the target', () => {
    const gradient = map(softmax(logits, 1, exactly), (p, n, i) => p - (i === 2 * n ? 1 : 0) - 0.1 / 3);
    expect(idsOf({ logits, labelSmoothing: 0.1, target: [0, 2], gradient })).toEqual(['label-smoothing']);
  });

  test('a classifier of one logit, whose target has a number a row', () => {
    const one = { logits: [[1], [2], [-1]], layer: 'sigmoid' as const };
    const s = [1, 2, -1].map((value) => 1 / (1 + Math.exp(-value)));
    for (const target of [
      [1, 0, 1],
      [[1], [0], [1]],
      [0.2, 0.9, 0.5],
    ]) {
      const gradient = s.map((p, n) => [p - Number([target[n]].flat()[0])]);
      expect(idsOf({ ...one, target, gradient })).toEqual(['right']);
      expect(idsOf({ ...one, target, gradient: map(gradient, (value) => -value) })).toContain('sign-flipped');
    }
    expect(() => diagnose({ logits: [[1], [2]], target: [1, 0], gradient: [[0], [0]] })).toThrow(
      'class index from 0 to 0',
    );
  });

  test('rows of a float16 Jacobian that were added up in float16', () => {
    const round = (value: number) => toBits(value, 11, -24);
    const x = [
      [-0.1646728515625, 0.302490234375],
      [0.25, 0.260986328125],
      [0.05804443359375, 0.490966796875],
    ];
    const summed = [
      [2 ** -13, 2 ** -13],
      [0, 0],
      [2 ** -13, 2 ** -12],
    ];
    const problem = readProblem({ logits: x });
    const data = Float64Array.from(summed.flat());
    expect([2 ** -8, 2 ** -11].map((unit) => isSumOfRounded(problem, data, unit))).toEqual([false, true]);
    expect(verdictOf({ logits: map(x, round), gradient: summed })).toBe('row-sum');
  });
});

describe('an expression is judged by what is said of the loss', () => {
  const data = {
    logits: [
      [1, 2, 3],
      [1, 0, 0],
    ],
    target: [0, 1],
  };

  test.each([
    ['s - y', 'mean', ['batch-size']],
    ['s - y', 'sum', ['right']],
    ['s - y', 'none', ['right']],
    ['(s - y) / n', 'sum', ['batch-size']],
    ['(s - y) / n', 'none', ['batch-size']],
    ['(s - y) / n', 'mean', ['right']],
    ['s[np.arange(n), target] -= 1', 'mean', ['batch-size']],
    ['y - s', 'mean', ['sign-flipped']],
  ] as const)('%s of the reduction %s', (gradient, reduction, ids) => {
    expect(idsOf({ gradient, reduction })).toEqual(ids);
    expect(idsOf({ gradient, reduction, ...data })).toEqual(ids);
    const { instead } = diagnose({ gradient, reduction });
    expect(instead.typescript.includes("reduction: 'sum'")).toBe(reduction !== 'mean');
  });

  test('of one row, the sum is the mean', () => {
    const one = { logits: [[1, 2, 3]], target: [1] };
    expect(idsOf({ ...one, gradient: 's - y', reduction: 'mean' })).toEqual(['right']);
    expect(idsOf({ ...one, gradient: '(s - y) / n', reduction: 'sum' })).toEqual(['right']);
  });

  test.each([
    ['J @ (s - y)', undefined, ['right', 'jacobian-twice']],
    ['J @ (s - y)', 'softmax', ['right']],
    ['J @ (s - y)', 'cross-entropy', ['jacobian-twice']],
    ['(s - y) * s * (1 - s)', undefined, ['diagonal']],
    ['(s - y) * s * (1 - s)', 'sigmoid', ['right', 'slope-twice']],
    ['np.diag(s * (1 - s))', undefined, ['diagonal']],
    ['np.diag(s * (1 - s))', 'sigmoid', ['right']],
    ['np.diag(s * (1 - s)) @ g', 'sigmoid', ['right']],
    ['softmax(x) - y', 'sigmoid', ['softmax-derivative']],
    ['F.softmax(x, dim=-1) - y', 'sigmoid', ['softmax-derivative']],
    ['softmax_output - y', 'sigmoid', ['right']],
    ['sigmoid(x) - y', 'sigmoid', ['right']],
    ['np.diag(s) - np.outer(s, s)', 'cross-entropy', ['upstream-missing']],
  ] as const)('%s of the layer %s', (gradient, layer, ids) => {
    expect(idsOf({ gradient, ...(layer ? { layer } : {}) })).toEqual(ids);
  });

  test('the mean of a sigmoid divides by all entries', () => {
    const of = (gradient: string, reduction?: 'mean' | 'sum') =>
      verdictOf({ gradient, layer: 'sigmoid', ...(reduction ? { reduction } : {}) });
    expect([
      of('(s - y) / n'),
      of('(s - y) / n', 'mean'),
      of('(s - y) / s.size', 'mean'),
      of('(s - y) / s.size', 'sum'),
    ]).toEqual(['right', 'batch-size', 'right', 'batch-size']);
    expect(idsOf({ logits: [[1], [2]], layer: 'sigmoid', reduction: 'mean', gradient: '(s - y) / n' })).toEqual([
      'right',
    ]);
  });

  test('along axis 0, s.shape[0] and len(s) are the number of classes', () => {
    const of = (gradient: string, axis: number) => verdictOf({ gradient, axis });
    const divided = ['s.shape[0]', 'x.shape[0]', 'len(s)', 's.shape[1]', 's.shape[-1]'].map((n) => `(s - y) / ${n}`);
    expect(divided.map((one) => of(one, 0))).toEqual(['batch-size', 'batch-size', 'batch-size', 'right', 'right']);
    expect(divided.map((one) => of(one, -1))).toEqual(['right', 'right', 'right', 'batch-size', 'batch-size']);
  });

  test('at a temperature that was said, the division by another one is wrong', () => {
    const gradient = 's * (g - (s * g).sum(axis=1, keepdims=True)) / 4';
    expect([1, 2, 4].map((temperature) => verdictOf({ gradient, temperature }))).toEqual([
      'right',
      'temperature',
      'right',
    ]);
  });

  test('a Jacobian is not the gradient of a loss', () => {
    const gradient = 'np.diag(s) - np.outer(s, s)';
    const logits = [[1, 2, 3]];
    expect(idsOf({ gradient, logits })).toEqual(['right']);
    expect(idsOf({ gradient, logits, target: [1] })).toEqual(['upstream-missing']);
    expect(idsOf({ gradient, logits, upstream: [[1, 2, 3]] })).toEqual(['upstream-missing']);
    expect(idsOf({ gradient: 's * (1 - s)', logits, layer: 'sigmoid', upstream: [[1, 2, 3]] })).toEqual([
      'slope-alone',
    ]);
  });
});

describe('logits that are probabilities', () => {
  const probabilities = [
    [0.2, 0.3, 0.5],
    [0.7, 0.2, 0.1],
    [0.05, 0.15, 0.8],
    [0.32, 0.33, 0.35],
  ];
  const target = [2, 1, 2, 0];
  const upstream = [
    [1, -2, 0.5],
    [0.3, 0.1, 2],
    [-1, 0.7, 0.2],
    [0.4, 1.4, -0.4],
  ];
  const errors = map(probabilities, (p, n, i) => p - (i === target[n] ? 1 : 0));
  const note = 'With these as probabilities (`probabilities`, --probs) the gradient is right.';

  test.each<[string, Partial<DiagnoseInput>]>([
    ['s − y', { target, gradient: errors }],
    ['(s − y) / n', { target, gradient: map(errors, (value) => value / 4) }],
    ['the product', { upstream, gradient: productOf(probabilities, upstream) }],
    [
      'the Jacobians',
      { gradient: probabilities.map((row) => row.map((p, i) => row.map((q, j) => (i === j ? p : 0) - p * q))) },
    ],
  ])('whose gradient is right of them as probabilities: %s', (_, known) => {
    const { verdict, matches, evidence } = diagnose({
      ...known,
      logits: probabilities,
      gradient: known.gradient ?? '',
    });
    expect(verdict).toBe('ambiguous');
    expect(matches[0]?.id).toBe('right');
    expect(matches.length).toBeGreaterThan(1);
    expect(evidence.notes[0]).toContain(note);
    expect(evidence.notes.join()).not.toContain('explanation, right');
    expect(verdictOf({ ...known, probabilities, gradient: known.gradient ?? '' })).toBe('right');
  });

  test.each([3, 4])('printed with %i decimals, whose rows no longer add up to 1 exactly', (digits) => {
    const random = normal(5);
    const x = Array.from({ length: 12 }, () => Array.from({ length: 20 }, random));
    const exact = softmax(x, 1, exactly);
    const printed = (a: Matrix) => map(a, (value) => Number(value.toFixed(digits)));
    const logits = printed(exact);
    expect(logits.some((row) => Math.abs(row.reduce((sum, p) => sum + p, 0) - 1) > 1.5e-4)).toBe(true);
    const gradient = printed(map(exact, (p, n, i) => p - (i === n ? 1 : 0)));
    const { verdict, matches } = diagnose({ logits, target: logits.map((_, n) => n), gradient });
    expect(verdict).toBe('ambiguous');
    expect(matches[0]?.id).toBe('right');
  });

  test('whose gradient is right of them as logits, or of neither', () => {
    const twice = map(softmax(probabilities, 1, exactly), (p, n, i) => p - (i === target[n] ? 1 : 0));
    for (const gradient of [twice, map(errors, (value, n) => value * (n + 2))]) {
      const { verdict, evidence } = diagnose({ logits: probabilities, target, gradient });
      expect(verdict).not.toBe('ambiguous');
      expect(evidence.notes.join()).not.toContain(note);
    }
  });
});

describe('losses that are not the cross-entropy', () => {
  test('the unlikelihood of two classes has the gradient of the other label', () => {
    const all = {
      x: [
        [0.5, -1.2],
        [2, 0.3],
        [0.1, 0.7],
      ],
      labels: [0, 1, 0],
    };
    for (const rows of [1, 3]) {
      const [logits, target] = [all.x.slice(0, rows), all.labels.slice(0, rows)];
      const hot = target.map((label) => [1 - label, label]);
      for (const divisor of [1, rows]) {
        const gradient = map(softmax(logits, 1, exactly), (p, n, i) => (p - (i === target[n] ? 0 : 1)) / divisor);
        for (const given of [target, hot]) {
          const { verdict, matches, text } = diagnose({ logits, target: given, gradient });
          expect(verdict).toBe('ambiguous');
          expect(matches.map(({ id }) => id)).toEqual(['labels-off-by-one', 'right']);
          expect(matches[1]?.formula).toContain('of the unlikelihood loss −log(1 − s_t)');
          expect(text).toContain('\nIf the loss is the cross-entropy\n');
        }
        expect(idsOf({ logits, target, layer: 'cross-entropy', gradient })).toEqual(['labels-off-by-one']);
      }
    }
  });

  test('a flipped sign may be meant', () => {
    const logits = [
      [1, 2, 0.5],
      [0.3, -1, 2],
      [0, 0.7, 1.1],
    ];
    const target = [0, 1, 2];
    const gradient = map(softmax(logits, 1, exactly), (p, n, i) => (i === target[n] ? 1 : 0) - p);
    const { verdict, evidence } = diagnose({ logits, target, gradient });
    expect(verdict).toBe('sign-flipped');
    expect(evidence.notes.join()).toContain('whose advantages are all −1');
    expect(verdictOf({ logits, target, upstream: [-1, -1, -1], gradient })).toBe('right');
  });
});

describe('what leaves a loss open, and what says which it is', () => {
  const logits = [
    [0.3, 1.2, -0.7],
    [1.1, -0.4, 0.6],
  ];
  const target = [1, 2];
  const hot = (rows: Matrix, labels: readonly number[]) => map(rows, (_, n, i) => (labels[n] === i ? 1 : 0));
  const errors = (x: Matrix, labels: readonly number[], factor = 1) => {
    const y = hot(x, labels);
    return map(softmax(x, 1, exactly), (p, n, i) => factor * (p - (y[n]?.[i] ?? 0)));
  };
  const explained = (input: DiagnoseInput) => diagnose(input).matches.map(({ id, formula }) => `${id}: ${formula}`);
  const s = softmax(logits, 1, exactly);

  test('labels one too low: of two classes only, they are those of the unlikelihood', () => {
    expect(idsOf({ logits, target: [0, 2], gradient: errors(logits, [2, 1]) })).toEqual(['labels-off-by-one']);
  });

  test('the binary cross-entropy of probabilities: right unless the loss is the cross-entropy', () => {
    const y = hot(logits, target);
    const upstream = map(s, (p, n, i) => (y[n]?.[i] === 1 ? -1 / p : 1 / (1 - p)));
    const known = { logits, target, gradient: productOf(s, upstream) };
    for (const layer of [{}, { layer: 'softmax' as const }])
      expect(idsOf({ ...known, ...layer })).toEqual(['binary-cross-entropy', 'right']);
    expect(idsOf({ ...known, layer: 'cross-entropy' })).toEqual(['binary-cross-entropy']);
  });

  test('one row of the Jacobian: right unless the loss is the cross-entropy', () => {
    const known = { logits, gradient: productOf(s, hot(logits, [1, 1])) };
    expect(explained(known)).toEqual(['one-row: J_cj, c = 1', 'right: s ⊙ (g − ⟨s, g⟩) with whole numbers in g']);
    expect(idsOf({ ...known, layer: 'cross-entropy' })).toEqual(['one-row']);
  });

  test('a factor: of rows with the same class, or with the same probability of the target', () => {
    const scaled = 'scaled: 3.7 × (s − y)';
    const of = (x: number[][], labels: number[]) =>
      explained({ logits: x, target: labels, gradient: errors(x, labels, 3.7) });
    expect(of(logits, [1, 1])).toEqual([
      scaled,
      'right: w (s − y) with a weight w of class 1, the only one of the rows that count',
    ]);
    const alike = logits.map((row, n) => (n === 0 ? row : [-0.7, 0.3, 1.2]));
    expect(of(alike, [1, 2])).toEqual([
      scaled,
      'right: (s − y) times what another loss of the same probability of each target gives',
    ]);
    expect(of(logits, target)).toEqual([scaled]);
  });

  test('the sum and the mean of focal losses', () => {
    const x = [
      [0.5, 1, 1, 1, 0.5, 0.5, 1, 0.5, 0.5, 0.5],
      [1, 2, 0.5, 2, 0.5, 0.5, 1, 1, 1, 1],
      [1, 0.5, 1, 0.5, 0.5, 0.5, 1, 1, 0.5, 0.5],
    ];
    const labels = [1, 0, 2];
    const probabilities = softmax(x, 1, exactly);
    for (const share of [1, 1 / 3]) {
      const gradient = map(errors(x, labels, share), (value, n) => {
        const p = probabilities[n]?.[labels[n] ?? 0] ?? 0;
        return Number((value * ((1 - p) ** 2 - 2 * p * (1 - p) * Math.log(p))).toFixed(4));
      });
      expect(idsOf({ logits: x, target: labels, gradient }), `${share}`).toEqual(['scaled', 'right']);
    }
  });

  test('a norm of 1, printed too; a norm nearly that of s − y is rather rounding than clipping', () => {
    const norm = Math.hypot(...errors(logits, target).flat());
    const to = (size: number, round = exactly) => ({
      logits,
      target,
      gradient: map(errors(logits, target, size / norm), round),
    });
    for (const round of [exactly, (value: number) => Number(value.toFixed(3))])
      expect(explained(to(1, round))[1]).toBe('right: (s − y) / ‖s − y‖');
    expect(norm).toBeCloseTo(0.9827, 4);
    const near = diagnose(to(0.98));
    expect(near.matches.map(({ formula }) => formula)).toEqual(['0.99725 × (s − y)', 's − y, in half precision']);
    expect(near.evidence.notes.join()).not.toContain('The norm');
  });

  test('rows that are not finite are explained only by what breaks all of them', () => {
    const known = {
      logits: [[0, 1, 1000], ...logits],
      upstream: [
        [1, 2, 3],
        [1, 0, 1],
        [0, 2, 1],
      ],
    };
    // The other rows are those of no formula.
    const verdict = (...broken: readonly number[]) =>
      verdictOf({ ...known, gradient: map(known.upstream, (value, n) => (broken.includes(n) ? Number.NaN : value)) });
    expect([verdict(0), verdict(0, 1), verdict(1)]).toEqual(['underflow', 'unknown', 'unknown']);
  });
});
