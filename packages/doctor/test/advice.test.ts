import { describe, expect, test } from 'vitest';
import { type DiagnoseInput, diagnose } from '../src/index.js';
import { type Matrix, softmax } from './attempts.js';

const logits: Matrix = [
  [1, 2, 3],
  [0, 1, 0.5],
  [2, 1, 0.2],
  [1, 1.5, 2],
];
const target = [0, 1, 2, 0];
const exact = (value: number) => value;
const s = softmax(logits, 1, exact);
const error = s.map((row, n) => row.map((p, i) => p - (i === target[n] ? 1 : 0)));
const times = (a: Matrix, factor: (n: number, i: number) => number): Matrix =>
  a.map((row, n) => row.map((value, i) => value * factor(n, i)));
const sigma = (x: number) => 1 / (1 + Math.exp(-x));

const same = '\nNothing to change; the same in one line\n';
const found = '\nNothing to change, if that is the loss; the same in one line\n';
const divided = "\nNothing to change, if that divisor is meant; PyTorch's mean, to compare with\n";
const other = '\nNothing to change, if that is the loss; the usual one, to compare with\n';

describe('the lines below a right gradient are called the same only where they compute it', () => {
  const smoothed = s.map((row, n) => row.map((p, i) => p - (i === target[n] ? 0.9 : 0) - 0.1 / 3));
  const weight = [1, 2, 3];
  const weighted = times(error, (n) => weight[target[n] ?? 0] ?? 0);
  const multi = [
    [1, 0, 1],
    [0, 1, 1],
  ];
  const ofSigmoid = multi.map((row, n) => row.map((y, i) => sigma(logits[n]?.[i] ?? 0) - y));
  const cases: readonly (readonly [string, DiagnoseInput, string])[] = [
    ['the sum', { logits, target, gradient: error }, same],
    ['the mean', { logits, target, gradient: times(error, () => 1 / 4) }, same],
    ['smoothing that was told', { logits, target, labelSmoothing: 0.1, gradient: smoothed }, same],
    ['smoothing that was not told', { logits, target, gradient: smoothed }, found],
    ['weights and their mean', { logits, target, weight, gradient: times(weighted, () => 1 / 7) }, same],
    ['weights and the mean over the rows', { logits, target, weight, gradient: times(weighted, () => 1 / 4) }, divided],
    ['weights that were not told', { logits, target, gradient: weighted }, found],
    [
      'the binary cross-entropy',
      { logits: logits.slice(0, 2), target: multi, layer: 'sigmoid', gradient: ofSigmoid },
      same,
    ],
  ];

  test.each(cases)('%s', (_, input, heading) => {
    const { verdict, text, insteadIsTheSame } = diagnose(input);
    expect(verdict).toBe('right');
    expect(text).toContain(heading);
    expect(insteadIsTheSame).toBe(heading === same);
  });

  test('of one row of a sigmoid, the sum is not divided by its entries', () => {
    const input = { logits: [[1, 2, 3]], target: [[1, 0, 1]], layer: 'sigmoid' } as const;
    const gradient = [[sigma(1) - 1, sigma(2), sigma(3) - 1]];
    expect(diagnose({ ...input, gradient }).instead.numpy).toBe('dx = (s - target)');
    expect(diagnose({ ...input, gradient: times(gradient, () => 1 / 3) }).instead.numpy).toBe(
      'dx = (s - target) / s.size',
    );
  });
});

describe('options that were found are in the code', () => {
  const code = (input: DiagnoseInput) => {
    const { verdict, matches, instead } = diagnose(input);
    expect(verdict).toBe('right');
    return [matches[0]?.formula, instead.typescript.replace('const { loss, gradient } = ', ''), instead.numpy];
  };
  const logitsOf5 = Array.from({ length: 12 }, (_, n) => Array.from({ length: 5 }, (_, i) => Math.sin(3 * n + i * i)));
  const labels = [4, 0, 1, 2, 3, 0, 1, 2, 3, 4, 1, 1];
  const weight = [1, 2, 0.5, 3, 1.5];
  const errorOf5 = softmax(logitsOf5, 1, exact).map((row, n) => row.map((p, i) => p - (i === labels[n] ? 1 : 0)));
  const of = (divisor: number) => ({
    logits: logitsOf5,
    target: labels,
    gradient: times(errorOf5, (n) => (weight[labels[n] ?? 0] ?? 0) / divisor),
  });

  test('smoothing', () => {
    const smoothed = s.map((row, n) => row.map((p, i) => p - (i === target[n] ? 0.9 : 0) - 0.1 / 3));
    const hot =
      'q = 0.9 * np.eye(s.shape[-1])[target] + 0.1 / s.shape[-1]; dx = (s * q.sum(axis=-1, keepdims=True) - q)';
    expect(code({ logits, target, gradient: smoothed })).toEqual([
      's − y, y smoothed with ε = 0.1',
      "crossEntropy(logits, target, { labelSmoothing: 0.1, reduction: 'sum' });",
      hot,
    ]);
    expect(code({ logits, target, gradient: times(smoothed, () => 1 / 4) }).slice(1)).toEqual([
      'crossEntropy(logits, target, { labelSmoothing: 0.1 });',
      `${hot} / np.size(target)`,
    ]);
  });

  test('class weights: of a mean relative to the first, of a sum as they are', () => {
    const list = '1 for class 0, 2 for class 1, 0.5 for class 2, 3 for class 3, 1.5 for class 4';
    const numpy =
      'weight = np.array([1, 2, 0.5, 3, 1.5]); q = (np.eye(s.shape[-1])[target]) * weight; dx = (s * q.sum(axis=-1, keepdims=True) - q)';
    const mean = [
      `w (s − y) / Σw, w = ${list}`,
      'crossEntropy(logits, target, { weight: [1, 2, 0.5, 3, 1.5] });',
      `${numpy} / (weight[target]).sum()`,
    ];
    expect(code(of(20))).toEqual(mean);
    expect(code({ ...of(20), reduction: 'mean' })).toEqual(mean);
    expect(code(of(1))).toEqual([
      `w (s − y), w = ${list}`,
      "crossEntropy(logits, target, { weight: [1, 2, 0.5, 3, 1.5], reduction: 'sum' });",
      numpy,
    ]);
    // Divided by something else, no option of the loss computes them.
    const { matches, text } = diagnose(of(12));
    expect(matches[0]?.formula).toBe(`0.0833 w (s − y), w = ${list}`);
    expect(text).toContain(other);
  });

  test('class weights by name, if they are not known of every class', () => {
    const some = labels.map((label) => (label === 3 ? 1 : label));
    const gradient = softmax(logitsOf5, 1, exact).map((row, n) =>
      row.map((p, i) => (p - (i === some[n] ? 1 : 0)) * (weight[some[n] ?? 0] ?? 0)),
    );
    expect(code({ logits: logitsOf5, target: some, gradient })[1]).toBe(
      "crossEntropy(logits, target, { weight, reduction: 'sum' });",
    );
  });
});

describe('a right gradient says what it is right for', () => {
  const first = (input: DiagnoseInput) => {
    const { verdict, what, text, evidence } = diagnose(input);
    expect(verdict).toBe('right');
    const divisor = evidence.notes.find((note) => note.startsWith('Divided by')) ?? null;
    if (divisor) expect(text.split('\n')[2]).toBe(`  ${divisor}`);
    return [what, divisor];
  };
  const loss = 'Right: the gradient of the cross-entropy in the logits';

  test('the reduction of the loss', () => {
    expect(first({ logits, target, gradient: error })).toEqual([`${loss}, summed over the rows.`, null]);
    expect(first({ logits, target, gradient: times(error, () => 1 / 4) })).toEqual([
      `${loss}, averaged over the rows.`,
      null,
    ]);
    const upstream = [1, 2, 3, 4];
    expect(first({ logits, target, upstream, gradient: times(error, (n) => n + 1) })).toEqual([
      `${loss}, each row times its upstream gradient.`,
      null,
    ]);
  });

  test("a divisor that is not that of PyTorch's mean", () => {
    const decides = "(`reduction: 'mean'` decides).";
    const ignored = { logits, target: [0, 1, -100, 0], gradient: times(error, (n) => (n === 2 ? 0 : 1 / 4)) };
    expect(first(ignored)).toEqual([
      `${loss}.`,
      `Divided by 4, the number of rows; PyTorch's mean divides by 3, the rows that count ${decides}`,
    ]);
    expect(diagnose({ ...ignored, reduction: 'mean' }).verdict).toBe('ignored-rows');
    const weight = [1, 2, 0.25];
    const gradient = times(error, (n) => (weight[target[n] ?? 0] ?? 0) / 4);
    expect(first({ logits, target, weight, gradient })).toEqual([
      `${loss}.`,
      `Divided by 4, the number of rows; PyTorch's mean divides by 4.25, the weights of the targets ${decides}`,
    ]);
    const y = s.map((_, n) => [0, 1, 2].map((i) => (i === n ? 1 : 0)));
    const ofSigmoid = y.map((row, n) => row.map((one, i) => (sigma(logits[n]?.[i] ?? 0) - one) / 4));
    expect(first({ logits, target: y, layer: 'sigmoid', gradient: ofSigmoid })).toEqual([
      'Right: the gradient of the binary cross-entropy in the logits.',
      `Divided by 4, the number of rows; PyTorch's mean divides by 12, the number of entries ${decides}`,
    ]);
    const shaped = { shape: [2, 2, 3], data: Float64Array.from(times(error, () => 1 / 2).flat()) };
    const rows = { shape: [2, 2, 3], data: Float64Array.from(logits.flat()) };
    const classes = { shape: [2, 2], data: Float64Array.from(target) };
    expect(first({ logits: rows, target: classes, gradient: shaped })).toEqual([
      `${loss}.`,
      `Divided by the size of one axis; PyTorch's mean divides by 4, the number of rows ${decides}`,
    ]);
  });

  test('other derivatives than that of the cross-entropy', () => {
    const jacobian = s.map((row) => row.map((p, i) => row.map((q, j) => p * ((i === j ? 1 : 0) - q))));
    expect(first({ logits, gradient: jacobian })).toEqual(['Right: the Jacobian of the softmax.', null]);
    const upstream = times(s, (n, i) => n - 2 * i);
    const through = (g: Matrix) =>
      s.map((row, n) =>
        row.map((p, i) => p * ((g[n]?.[i] ?? 0) - row.reduce((a, q, j) => a + q * (g[n]?.[j] ?? 0), 0))),
      );
    expect(first({ logits, upstream, gradient: through(upstream) })).toEqual([
      'Right: the gradient in the logits for the upstream gradient that was given.',
      null,
    ]);
    expect(first({ logits, target, layer: 'softmax', gradient: through(error) })).toEqual([
      'Right: the gradient in the logits of the loss ½‖s − y‖².',
      null,
    ]);
    const smoothed = s.map((row, n) => row.map((p, i) => p - (i === target[n] ? 0.9 : 0) - 0.1 / 3));
    expect(first({ logits, target, gradient: smoothed })).toEqual([
      'Right: the gradient in the logits, with options that were not given but fit the numbers.',
      null,
    ]);
  });
});

describe('zeros of probabilities that are all alike', () => {
  const probabilities = times(s, () => 0).map((row) => row.map(() => Math.fround(1 / 3)));
  const gradient = times(s, () => 0);
  const verdictOf = (more: Partial<DiagnoseInput>) => {
    const { verdict, matches } = diagnose({ probabilities, gradient, target, ...more });
    return [verdict, ...matches.map(({ id }) => id)];
  };

  test('are no loss whose target is smoothed away', () => {
    expect(verdictOf({})).toEqual(['ambiguous', 'row-sum', 'right']);
  });

  test('are never right of a cross-entropy', () => {
    expect(verdictOf({ layer: 'cross-entropy' })).toEqual(['row-sum', 'row-sum']);
    expect(verdictOf({ probabilities: undefined, logits: times(s, () => 0), layer: 'cross-entropy' })).not.toContain(
      'right',
    );
  });
});

describe('notes', () => {
  const notesOf = (input: DiagnoseInput) => diagnose(input).evidence.notes.join('\n');

  test('ask whether rows of zeros are left out on purpose', () => {
    const gradient = times(error, (n) => (n === 3 ? 0 : 1 / 4));
    expect(notesOf({ logits, target, gradient })).toMatch(
      /, row 3 left out: relative error .*\n.*, row 3 left out: .*\n.*a loop that skips rows gives the same\./,
    );
  });

  test('say that 1 or 2 decimals are too few', () => {
    const gradient = [
      [0.13, -0.27, 0.31],
      [0.05, 0.4, -0.44],
    ];
    const few = 'The numbers have no more than 2 decimals';
    expect(notesOf({ logits: logits.slice(0, 2), gradient })).toContain(few);
    expect(notesOf({ logits: logits.slice(0, 2), gradient: times(gradient, () => 1.001) })).not.toContain(few);
    expect(
      notesOf({
        logits: logits.slice(0, 2),
        gradient: [
          [7, 3, 5],
          [2, 9, 4],
        ],
      }),
    ).not.toContain(few);
  });

  test('of a sigmoid layer are about the sigmoid', () => {
    const y = [[1, 0, 1]];
    const gradient = [[sigma(1) - 1, sigma(2), sigma(3) - 1]];
    const { text } = diagnose({ logits: [[1, 2, 3]], target: y, layer: 'sigmoid', gradient });
    expect(text).toContain('J is diagonal, σ ⊙ (1 − σ)');
    expect(text).not.toMatch(/s Σy|n = 1|diag\(s\)/);
    expect(diagnose({ logits, upstream: logits, layer: 'log-softmax', gradient: s }).text).toContain(
      'J_ij = δ_ij − s_j',
    );
  });
});

test('probabilities may add up to 1 as far as their decimals allow', () => {
  const printed = Array.from({ length: 100 }, (_, i) => (i < 50 ? 0.009 : 0.01));
  const gradient = [printed.map((p, i) => p - (i === 0 ? 1 : 0))];
  expect(() => diagnose({ probabilities: [printed], target: [0], gradient })).not.toThrow();
  const more = printed.map((p, i) => (i === 0 ? p + 1e-5 : p));
  expect(() => diagnose({ probabilities: [more], target: [0], gradient })).toThrow('adds up to 0.950010');
});

test('an option that does not exist is refused', () => {
  expect(() => diagnose({ logits, grad: error } as never)).toThrow("unknown option 'grad' (did you mean 'gradient'?)");
  const input = { logits, gradient: error, upstreem: logits };
  expect(() => diagnose(input)).toThrow(
    /^diagnose: unknown option 'upstreem' \(did you mean 'upstream'\?\); expected one of logits, probabilities, gradient, /,
  );
  expect(() => diagnose({ logits, gradient: error }, { axis: 0 } as never)).toThrow(
    "diagnose: the second argument: unknown option 'axis'; expected onProgress",
  );
});

test('what is right of one loss alone is not compared with, where nothing says what the loss is', () => {
  const gradient = times(error, () => 0.3);
  const { verdict, text, evidence } = diagnose({ logits, gradient });
  expect(verdict).toBe('unknown');
  expect(text).not.toContain('the nearest, right,');
  expect(evidence.nextBest?.id).not.toBe('right');
  expect(diagnose({ logits, target, gradient: times(error, (n, i) => 1 + n + i) }).text).toMatch(/the nearest, \w/);
});

describe('right gradients that an outside search once found called mistakes', () => {
  const cases: readonly (readonly [string, DiagnoseInput])[] = [
    ['softmax in bfloat16, of a confident row', { logits: [[8, 0]], target: [0], gradient: [[0, 0.000335693359375]] }],
    [
      'an upstream of 1e-6 in bfloat16',
      { logits: [[9, 0]], upstream: [[9.98377799987793e-7, 0]], gradient: [[0, -1.227817847393453e-10]] },
    ],
    [
      'a product in bfloat16, printed with 4 decimals',
      { logits: [[2, 2, 1, 2, 2]], upstream: [[2, 1, 2, 2, 3]], gradient: [[0, -0.2285, 0, 0, 0.2285]] },
    ],
    [
      's − y in bfloat16, printed with 4 decimals',
      {
        logits: [
          [14, 4, 19],
          [14, 13, 1],
        ],
        target: [2, 0],
        gradient: [
          [0.0067, 0, -0.0067],
          [-0.2695, 0.2695, 0],
        ],
      },
    ],
    ['a confident float32 row, with nothing else known', { logits: [[0, 18]], gradient: [[1.5229979055675358e-8, 0]] }],
    ['a confident row in bfloat16, with nothing else known', { logits: [[8, 0]], gradient: [[0, 0.000335693359375]] }],
    [
      'a float32 sigmoid near saturation',
      { logits: [[0, 14]], layer: 'sigmoid', upstream: [[0, 1]], gradient: [[0, 8.344643447344424e-7]] },
    ],
    [
      'a squared error with an upstream gradient of each row',
      {
        logits: [
          [0, 1, 2],
          [1, 0, 0],
        ],
        target: [
          [1, 0, 0],
          [0, 1, 0],
        ],
        upstream: [1, 2],
        gradient: ofRows([1, 2]),
      },
    ],
    [
      'a squared error with a number as the upstream gradient',
      {
        logits: [
          [0, 1, 2],
          [1, 0, 0],
        ],
        target: [
          [1, 0, 0],
          [0, 1, 0],
        ],
        layer: 'softmax',
        upstream: 0.25,
        gradient: ofRows([0.25, 0.25]),
      },
    ],
  ];

  function ofRows(upstream: readonly number[]): Matrix {
    const p = softmax(
      [
        [0, 1, 2],
        [1, 0, 0],
      ],
      1,
      exact,
    );
    return p.map((row, n) => {
      const g = row.map((value, i) => (upstream[n] ?? 0) * (value - (i === n ? 1 : 0)));
      const inner = row.reduce((sum, value, i) => sum + value * (g[i] ?? 0), 0);
      return row.map((value, i) => value * ((g[i] ?? 0) - inner));
    });
  }

  test.each(cases)('%s', (_, input) => {
    expect(diagnose(input).matches.map(({ id }) => id)).toContain('right');
  });

  test('the mean over all entries of a log-softmax layer', () => {
    const soft = [
      [0.2, 0.3, 0.5],
      [0.5, 0.25, 0.25],
      [0.1, 0.1, 0.8],
      [0.3, 0.3, 0.4],
    ];
    const gradient = s.map((row, n) => row.map((p, i) => (p - (soft[n]?.[i] ?? 0)) / 12));
    expect(diagnose({ logits, target: soft, layer: 'log-softmax', gradient }).verdict).toBe('right');
    expect(diagnose({ logits, target: soft, layer: 'cross-entropy', gradient }).verdict).toBe('batch-size');
  });
});

test('of a softmax layer whose upstream gradient is given, s − y is not right', () => {
  const upstream = times(s, (n, i) => n + 2 * i);
  const { matches } = diagnose({ logits, target, layer: 'softmax', upstream, gradient: error });
  expect(matches.map(({ id }) => id)).not.toContain('right');
});

test('weights that are applied twice are not right where the weights are given', () => {
  const x = [
    [0, 1, 2, 0.5],
    [1, 0, 0.5, -1],
  ];
  const p = softmax(x, 1, exact);
  const labels = [0, 2];
  const factor = [1, 9];
  const gradient = p.map((row, n) => row.map((value, i) => (factor[n] ?? 0) * (value - (i === labels[n] ? 1 : 0))));
  const known = { logits: x, target: labels, reduction: 'sum', gradient } as const;
  const named = (input: DiagnoseInput) => diagnose(input).matches.map(({ id }) => id);
  expect(named(known)).toContain('right');
  expect(named({ ...known, weight: [1, 2, 3, 4] })).not.toContain('right');
  expect(named({ ...known, upstream: [1, 3] })).not.toContain('right');
  expect(named({ ...known, upstream: [1, 9] })).toContain('right');
});

describe('numbers of a mixed-precision loop', () => {
  const logits = [
    [1, 2, 0.5],
    [0.3, -1, 2],
    [0, 0.7, 1.1],
  ];
  const target = [0, 1, 2];
  const s = logits.map((row) => {
    const total = row.reduce((sum, x) => sum + Math.exp(x), 0);
    return row.map((x) => Math.exp(x) / total);
  });
  const times = (factor: number) => s.map((row, n) => row.map((p, i) => factor * (p - (i === target[n] ? 1 : 0))));
  const about = (factor: number, more: Partial<DiagnoseInput> = {}) => {
    const { verdict, evidence } = diagnose({ logits, target, gradient: times(factor), ...more });
    return { verdict, notes: evidence.notes.join('\n') };
  };

  test.each<[factor: number, scale: number]>([
    [256, 256],
    [65536, 65536],
    [1024 / 3, 1024],
    [2 ** 24 / 3, 2 ** 24],
  ])('times %f name the loss scale', (factor, scale) => {
    const { verdict, notes } = about(factor);
    expect(verdict).toBe('scaled');
    expect(notes).toContain(`${scale} is a power of 2, as the loss scale of mixed precision is`);
  });

  test.each([128, 1000, -256, 65536 * 1.001])('times %f are not of a loss scale', (factor) => {
    const { verdict, notes } = about(factor);
    expect(verdict).toBe('scaled');
    expect(notes).not.toContain('loss scale');
  });

  test('the 1/n counts only where the reduction may be a mean over rows', () => {
    expect(about(1024 / 3, { reduction: 'sum' }).notes).not.toContain('loss scale');
    expect(about(1024 / 3, { reduction: 'mean' }).notes).toContain('loss scale');
  });

  test('that are all NaN have their usual causes listed', () => {
    const causes = 'The usual causes are log 0 or y / s where s is 0';
    expect(about(Number.NaN)).toEqual({ verdict: 'unknown', notes: expect.stringContaining(causes) });
    expect(about(Number.NaN).notes).toContain('though these logits give finite ones');
    const gradient = times(Number.NaN);
    const ofProbabilities = diagnose({ probabilities: s, target, gradient }).evidence.notes.join('\n');
    expect(ofProbabilities).toContain('though these probabilities give finite ones');
    expect(about(1, { gradient: [...gradient.slice(1), [0.1, 0.2, 0.3]] }).notes).not.toContain(causes);
  });
});

describe('an upstream gradient of the losses', () => {
  const g = [1.5, -0.3, 0.8, 2];
  const gradient = times(error, (n) => g[n] ?? 0);
  const of = (input: Partial<DiagnoseInput>) => {
    const { verdict, matches, instead, insteadIsTheSame } = diagnose({ logits, target, gradient, ...input });
    expect(verdict).toBe('right');
    return [matches[0]?.formula, instead.typescript, instead.numpy, insteadIsTheSame];
  };
  const hot = 'np.eye(s.shape[-1])[target]';

  test('is in the code, one number for each row or one for all', () => {
    expect(of({ upstream: g })).toEqual([
      'g (s − y)',
      "const dx = crossEntropy.vjp(logits, target, upstream, { reduction: 'none' });",
      `dx = (s - ${hot}) * np.expand_dims(upstream, -1)`,
      true,
    ]);
    expect(of({ upstream: 3, gradient: times(error, () => 3 / 4) })).toEqual([
      '(g (s − y)) / n',
      'const dx = crossEntropy.vjp(logits, target, upstream);',
      `dx = (s - ${hot}) * upstream / np.size(target)`,
      true,
    ]);
    expect(of({ upstream: 3, reduction: 'sum', gradient: times(error, () => 3) }).slice(1)).toEqual([
      "const dx = crossEntropy.vjp(logits, target, upstream, { reduction: 'sum' });",
      `dx = (s - ${hot}) * upstream`,
      true,
    ]);
  });

  test('of the rows of a mean: no line of the library computes it', () => {
    expect(of({ upstream: g, gradient: times(gradient, () => 1 / 4) }).slice(2)).toEqual([
      `dx = (s - ${hot}) * np.expand_dims(upstream, -1) / np.size(target)`,
      false,
    ]);
  });

  test('that is left out, or multiplied by the target alone, is missing', () => {
    const named = (numbers: Matrix, upstream: DiagnoseInput['upstream'] = g) =>
      diagnose({ logits, target, upstream, gradient: numbers }).matches.map(({ id, formula }) => `${id}: ${formula}`);
    expect(named(error)).toEqual(['upstream-missing: s − y, without the upstream gradient']);
    expect(named(s.map((row, n) => row.map((p, i) => p - (i === target[n] ? (g[n] ?? 0) : 0))))).toEqual([
      'upstream-missing: s − g y, the upstream gradient of the losses on the target alone',
    ]);
    // Where it is the 1/n of a mean, or nothing but 1, it is not missing.
    for (const upstream of [[1, 1, 1, 1], [0.25, 0.25, 0.25, 0.25], 1, 4])
      expect(diagnose({ logits, target, upstream, gradient: error }).verdict).toMatch(/right|batch-size/);
  });

  test('beside class weights', () => {
    const weight = [1, 2, 3];
    const weighted = times(gradient, (n) => weight[target[n] ?? 0] ?? 0);
    expect(of({ upstream: g, weight, gradient: weighted })[2]).toBe(
      `q = (${hot}) * weight; dx = (s * q.sum(axis=-1, keepdims=True) - q) * np.expand_dims(upstream, -1)`,
    );
  });
});

test('a factor is a whole number where it can be: a backward pass that ran twice, not half of a sum', () => {
  const formulaOf = (factor: number) =>
    diagnose({ logits, target, gradient: times(error, () => factor) }).matches[0]?.formula;
  expect([2 / 4, 2, 0.3].map(formulaOf)).toEqual(['2 × ((s − y) / n)', '2 × (s − y)', '1.2 × ((s − y) / n)']);
});

test('the gradient of a likelihood without its logarithm is right of that loss, and a mistake of the cross-entropy', () => {
  const upstream = target.map((label) => [0, 1, 2].map((i) => (i === label ? -1 : 0)));
  const summed = s.map((row, n) => row.map((p, i) => p * ((upstream[n]?.[i] ?? 0) + (row[target[n] ?? 0] ?? 0))));
  for (const gradient of [summed, summed.map((row) => row.map((value) => value / target.length))]) {
    const { verdict, matches, evidence, instead, text } = diagnose({ logits, target, gradient });
    expect([
      verdict,
      matches
        .map(({ id }) => id)
        .sort()
        .join(),
    ]).toEqual(['ambiguous', 'logarithm-missing,right']);
    expect(evidence.notes.join()).toContain('If the cross-entropy is meant, the logarithm is missing');
    expect(text).toContain('If the loss is the cross-entropy');
    expect(instead.typescript).toContain('crossEntropy(');
    expect(diagnose({ logits, target, gradient, layer: 'cross-entropy' }).verdict).toBe('logarithm-missing');
  }
  expect(diagnose({ logits, upstream, gradient: summed }).verdict).toBe('right');
  expect(diagnose({ logits, target, gradient: error }).verdict).toBe('right');
});

test('of two classes, the mean cross-entropy is right alone: the binary one over all entries is the same', () => {
  const pairs = [
    [0.3, -1.2],
    [2.2, 0.4],
    [0.5, 0.7],
  ];
  const labels = [1, 0, 0];
  const gradient = softmax(pairs, 1, exact).map((row, n) => row.map((p, i) => (p - (i === labels[n] ? 1 : 0)) / 3));
  for (const reduction of [undefined, 'mean'] as const)
    expect(diagnose({ logits: pairs, target: labels, gradient, reduction }).verdict).toBe('right');
});
