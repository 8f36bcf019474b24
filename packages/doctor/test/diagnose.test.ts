import {
  crossEntropy,
  type ErrorCode,
  isSoftgradError,
  setBackend,
  softmax as softmaxOf,
  tensor,
} from '@softgrad/core';
import { exact } from '@softgrad/core/conformance';
import { describe, expect, test } from 'vitest';
import { type DiagnoseInput, diagnose, formatDiagnosis, knownExpressions } from '../src/index.js';
import { jacobianOfError } from '../src/mistakes/product.js';
import { normalised } from '../src/spelling.js';
import { type Matrix, softmax } from './attempts.js';
import { normal } from './random.js';

/** The signal of the question: 4 samples of 3 features. */
const last = [0.3394407172182317, 0.30889042266755573, 0.35166886011421256];
const signal: Matrix = [
  [0.3394572666491664, 0.3089068053925853, 0.3516359279582483],
  [0.33932706934615525, 0.3094755563319447, 0.3511973743219001],
  last,
  last,
];
const plain = (value: number) => value;
const s = softmax(signal, 1, plain);

/** The question's derivatives, loop by loop. */
const rolled = (p: Matrix) =>
  p.map((row) => row.map((own, i) => own * (1 - own) + (-own * row[(i + 2) % 3] + -own * row[(i + 1) % 3])));
const summed = (p: Matrix) =>
  p.map((row) => row.map((_, i) => row.reduce((sum, q, j) => sum + (i === j ? q * (1 - q) : -q * row[i]), 0)));

const product = (p: Matrix, g: Matrix) =>
  p.map((row, n) => row.map((q, i) => q * (g[n][i] - row.reduce((sum, r, j) => sum + r * g[n][j], 0))));

const random = (n: number, f: number, seed: number): number[][] => {
  const next = normal(seed);
  return Array.from({ length: n }, () => Array.from({ length: f }, next));
};

const ids = (input: DiagnoseInput): readonly string[] => diagnose(input).matches.map(({ id }) => id);

describe("the question's own derivatives", () => {
  test.each([
    ['logits', { logits: signal }, s],
    ['probabilities', { probabilities: signal }, signal],
  ] as const)('both are named as summed rows, the signal taken as %s', (_, source, p) => {
    for (const derivative of [rolled(p), summed(p)]) {
      expect(Math.max(...derivative.flat().map(Math.abs))).toBeLessThan(1e-16);
      for (const upstream of [undefined, random(4, 3, 1)]) {
        const { verdict, matches } = diagnose({ ...source, gradient: derivative, upstream });
        expect(verdict).toBe('row-sum');
        expect(matches).toMatchObject([{ id: 'row-sum', error: 0 }]);
      }
    }
  });

  test('the rounding noise tells which of the two it was', () => {
    const notes = (gradient: Matrix) => diagnose({ probabilities: signal, gradient }).evidence.notes.join('\n');
    expect(notes(rolled(signal))).toContain('bit for bit, what the sum over np.roll gives');
    expect(notes(summed(signal))).toContain('bit for bit, what J.sum(axis=1) gives');
  });

  test('the right product is right', () => {
    const g = random(4, 3, 2);
    expect(diagnose({ logits: signal, upstream: g, gradient: product(s, g) }).verdict).toBe('right');
  });
});

test('a diagnosis reads in three parts, with the errors of the match and of the next best explanation', () => {
  const diagnosis = diagnose({ logits: signal, gradient: s.map((row) => row.map((p) => p * (1 - p))) });
  const { text, ...rest } = diagnosis;
  expect(text).toBe(formatDiagnosis(rest));
  expect(text).toBe(`What your numbers are
  Diagonal only: the Jacobian's diagonal alone: softmax treated like a sigmoid, one input for each output.
  s ⊙ (1 − s): relative error 0.
  The next best explanation, logits in place of probabilities (s ⊙ (1 − x)), is off by 0.018.
  The logits are between 0 and 1 and add up to 1: if they are probabilities already, softmax is applied twice.

Why
  ∂s_i/∂x_j = s_i (δ_ij − s_j): every output depends on every input, so the −s_i s_j off the diagonal count too: dx = s ⊙ (g − ⟨s, g⟩), not g ⊙ s ⊙ (1 − s).

What to write instead
  TypeScript  const dx = softmax.vjp(s, g);
  NumPy       dx = s * (g - (s * g).sum(axis=-1, keepdims=True))`);
  expect(JSON.parse(JSON.stringify(rest))).toEqual(rest);
});

describe('numbers that several explanations give are ambiguous, and all are named', () => {
  const g = random(1, 3, 3);
  const one = softmax(random(1, 3, 4), 1, plain);

  test('n = 1: a batch size of 1 is no factor, and what one row leaves open is said', () => {
    const input = { probabilities: one, upstream: g, gradient: product(one, g) };
    expect(diagnose(input).verdict).toBe('right');
    expect(diagnose(input).text).toContain('n = 1: with one row a sum and a mean over the batch are the same');
  });

  test('n = 1 without a dimension for the batch: right', () => {
    expect(diagnose({ probabilities: one[0], upstream: g[0], gradient: product(one, g)[0] }).verdict).toBe('right');
  });

  test('f = 1: every derivative is 0', () => {
    const input = { probabilities: [[1], [1]], upstream: [[2], [3]], gradient: [[0], [0]] };
    expect(diagnose(input).verdict).toBe('ambiguous');
    expect(ids(input)).toEqual(expect.arrayContaining(['right', 'row-sum', 'diagonal']));
    expect(diagnose(input).text).toContain('f = 1');
  });

  test('f = 2: s₀ (1 − s₀) = s₁ (1 − s₁), so the diagonal is a column but for its sign', () => {
    const two = softmax(random(3, 2, 5), 1, plain);
    const gradient = two.map(([a, b]) => [-a * b, b * (1 - b)]);
    const input = { probabilities: two, target: [1, 1, 1], gradient };
    expect(diagnose(input).verdict).toBe('ambiguous');
    expect(ids(input)).toEqual(expect.arrayContaining(['one-column', 'upstream-missing']));
    expect(diagnose(input).text).toContain('f = 2');
  });

  test('uniform rows: without the factor s, and log-softmax', () => {
    const uniform = [0, 1, 2].map(() => [0.25, 0.25, 0.25, 0.25]);
    const upstream = random(3, 4, 6);
    const gradient = upstream.map((row) => row.map((value) => value - row.reduce((a, b) => a + b, 0) / 4));
    const input = { probabilities: uniform, upstream, gradient };
    expect(diagnose(input).verdict).toBe('ambiguous');
    expect(ids(input)).toEqual(expect.arrayContaining(['probabilities-missing', 'log-softmax']));
    expect(diagnose(input).text).toContain('1/f');
  });

  test('an upstream of ones makes the right product 0, like the summed rows', () => {
    const input = { logits: signal, upstream: signal.map((row) => row.map(() => 1)), gradient: rolled(s) };
    expect(diagnose(input).verdict).toBe('ambiguous');
    expect(ids(input)).toEqual(expect.arrayContaining(['right', 'row-sum']));
    expect(diagnose(input).text).toContain('even the right product 0');
  });
});

describe('the cross-entropy', () => {
  const x = random(5, 4, 7);
  const p = softmax(x, 1, plain);
  const target = [0, 3, 1, 1, 2];
  const y = target.map((label) => [0, 1, 2, 3].map((i) => (i === label ? 1 : 0)));
  const fused = p.map((row, n) => row.map((q, i) => q - y[n][i]));
  const mean = fused.map((row) => row.map((value) => value / 5));

  test('class indices, a column of them and one-hot rows are the same target', () => {
    for (const given of [target, Int32Array.from(target), target.map((label) => [label]), y]) {
      expect(diagnose({ logits: x, target: given, gradient: fused }).verdict).toBe('right');
    }
  });

  test('the sum and the mean are right unless the reduction is given', () => {
    const verdict = (gradient: Matrix, reduction?: 'mean' | 'sum') =>
      diagnose({ logits: x, target, gradient, reduction }).verdict;
    expect([verdict(fused), verdict(mean)]).toEqual(['right', 'right']);
    expect([verdict(fused, 'sum'), verdict(mean, 'mean')]).toEqual(['right', 'right']);
    expect([verdict(fused, 'mean'), verdict(mean, 'sum')]).toEqual(['batch-size', 'batch-size']);
  });

  test('an upstream that is s − y is of ½‖s − y‖², or has been through softmax: what fits is both until the layer is said', () => {
    for (const upstream of [fused, mean]) {
      for (const known of [undefined, target]) {
        const input = { logits: x, upstream, target: known, gradient: product(p, upstream) };
        const { verdict, matches, evidence } = diagnose(input);
        expect([verdict, matches.map(({ id }) => id)]).toEqual(['ambiguous', ['right', 'jacobian-twice']]);
        expect(evidence.notes.join(' ')).toContain('the gradient of ½‖s − y‖²');
        expect(diagnose({ ...input, layer: 'softmax' }).verdict).toBe('right');
        expect(diagnose({ ...input, layer: 'cross-entropy' }).verdict).toBe('jacobian-twice');
        const skipped = { ...input, gradient: upstream };
        // Its rows add up to 0, so that log-softmax's derivative changes nothing.
        expect(ids(skipped).toSorted()).toEqual(['jacobian-skipped', 'log-softmax', 'right']);
        expect(diagnose({ ...skipped, layer: 'cross-entropy' }).verdict).toBe('right');
      }
    }
  });

  test('soft targets', () => {
    const soft = softmax(random(5, 4, 8), 1, plain);
    const gradient = p.map((row, n) => row.map((q, i) => soft[n][i] - q));
    expect(diagnose({ logits: x, target: soft, gradient }).verdict).toBe('sign-flipped');
  });

  test("−y / s is infinite where the target's probability underflows", () => {
    const gradient = [
      [Number.NaN, Number.NaN],
      [0.5, -0.5],
    ];
    const { verdict, evidence } = diagnose({
      logits: [
        [900, 0],
        [1, 1],
      ],
      target: [1, 1],
      gradient,
    });
    expect(verdict).toBe('underflow');
    expect(evidence.nonFinite).toBe(2);
  });
});

describe('the range of the floats', () => {
  test('NaN in the rows where exp overflows, in float64 and in float32', () => {
    for (const large of [800, 100]) {
      const logits = [
        [large, 1, 2],
        [0, 1, 2],
      ];
      const p = softmax(logits, 1, plain);
      const g = random(2, 3, 9);
      const gradient = product(p, g).map((row, n) => (n === 0 ? row.map(() => Number.NaN) : row));
      expect(diagnose({ logits, upstream: g, gradient }).verdict).toBe('missing-max-shift');
      expect(diagnose({ logits, gradient }).verdict).toBe('missing-max-shift');
    }
  });

  test('NaN for no known reason is unknown, with its place', () => {
    const gradient = signal.map((row, n) => row.map((_, i) => (n === 2 && i === 1 ? Number.NaN : 0.1 * i)));
    const { verdict, evidence } = diagnose({ logits: signal, gradient });
    expect(verdict).toBe('unknown');
    expect(evidence.notes.join(' ')).toContain('1 of 12 numbers are NaN or infinite. The first is gradient[2][1].');
  });

  test('saturation is said with its share of the rows', () => {
    const logits = [
      [30, 0, 0],
      [0, 25, 0],
      [0, 0, 20],
      [1, 0, 2],
    ];
    const g = random(4, 3, 10);
    const diagnosis = diagnose({ logits, upstream: g, gradient: product(softmax(logits, 1, plain), g) });
    expect(diagnosis.verdict).toBe('saturated');
    expect(diagnosis.evidence).toMatchObject({ rows: 4, saturatedRows: 3 });
    expect(diagnosis.what).toContain('3 of 4 rows (75 %)');
  });

  test('a mistake shows in the rows that are not saturated', () => {
    const logits = [
      [30, 0, 0],
      [0, 25, 0],
      [0, 0, 20],
      [1, 0, 2],
    ];
    const p = softmax(logits, 1, plain);
    const g = random(4, 3, 11);
    const gradient = p.map((row, n) => row.map((q, i) => g[n][i] * q * (1 - q)));
    expect(diagnose({ logits, upstream: g, gradient }).verdict).toBe('diagonal');
  });

  test('zeros below the range of float32 are an underflow; in float64 they need not be', () => {
    const logits = [
      [200, 0, 0],
      [0, 300, 0],
    ];
    const g = random(2, 3, 12);
    expect(
      diagnose({
        logits,
        upstream: g,
        gradient: [
          [0, 0, 0],
          [0, 0, 0],
        ],
      }).verdict,
    ).toBe('underflow');
    const p = softmax(logits, 1, plain);
    const exactProduct = p.map((row, n) => {
      const most = n;
      const shifted = row.map((_, i) => g[n][i] - g[n][most]);
      const inner = row.reduce((sum, q, i) => sum + q * shifted[i], 0);
      return row.map((q, i) => q * (shifted[i] - inner));
    });
    expect(diagnose({ logits, upstream: g, gradient: exactProduct }).verdict).toBe('saturated');
  });

  test('noise of 1e-6 of the terms around 0 is 0', () => {
    const noise = random(4, 3, 13).map((row) => row.map((value) => 2e-7 * value));
    expect(diagnose({ logits: signal, gradient: noise }).verdict).toBe('row-sum');
  });
});

test('masked classes (logit -Infinity) have probability 0 and take part in nothing', () => {
  const logits = random(4, 5, 14).map((row) => row.map((value, i) => (i === 2 ? Number.NEGATIVE_INFINITY : value)));
  const g = random(4, 5, 15);
  const p = softmax(logits, 1, plain);
  expect(diagnose({ logits, upstream: g, gradient: product(p, g) }).verdict).toBe('right');
});

test('four printed digits are enough', () => {
  const x = random(4, 5, 16);
  const g = random(4, 5, 17);
  const gradient = product(softmax(x, 1, plain), g).map((row) => row.map((value) => Number(value.toFixed(5))));
  expect(diagnose({ logits: x, upstream: g, gradient }).verdict).toBe('right');
});

test('an array of more dimensions is looked at along its axis', () => {
  const x = { data: Float64Array.from(random(1, 24, 18)[0]), shape: [2, 3, 4] };
  const g = { data: Float64Array.from(random(1, 24, 19)[0]), shape: [2, 3, 4] };
  const gradient = new Float64Array(24);
  for (let o = 0; o < 2; o++) {
    for (let k = 0; k < 4; k++) {
      const at = [0, 1, 2].map((i) => o * 12 + i * 4 + k);
      const [p] = softmax([at.map((j) => x.data[j])], 1, plain);
      const inner = at.reduce((sum, j, i) => sum + p[i] * g.data[j], 0);
      at.forEach((j, i) => {
        gradient[j] = p[i] * (g.data[j] - inner);
      });
    }
  }
  const input = { logits: x, upstream: g, gradient: { data: gradient, shape: [2, 3, 4] } };
  expect(diagnose({ ...input, axis: 1 }).verdict).toBe('right');
  expect(diagnose({ ...input, axis: -1 }).verdict).toBe('wrong-axis');
});

test('100 × 100, of which only samples are compared with what is far off, is diagnosed', () => {
  const shape = [100, 100];
  const next = normal(20);
  const of = (entry: (k: number) => number) => ({
    data: Float32Array.from({ length: 10_000 }, (_, k) => entry(k)),
    shape,
  });
  const gradient = of((k) => (k % 2 ? 1e-10 : -1e-10));
  expect(diagnose({ logits: of(next), upstream: of(next), gradient }).verdict).toBe('row-sum');
});

describe('the last part', () => {
  const logits = [
    [1, 2, 3],
    [0, 2, 1],
    [1, 1, 0.5],
  ];
  const upstream = [
    [0.3, -1, 2],
    [1, 0.1, 0.7],
    [-0.4, 0.2, 1],
  ];
  const products = logits.map((row, n) => {
    const e = row.map(Math.exp);
    const p = e.map((value) => value / e.reduce((a, b) => a + b));
    const inner = p.reduce((sum, value, k) => sum + value * upstream[n][k], 0);
    return p.map((value, k) => value * (upstream[n][k] - inner));
  });
  const of = (gradient: number[][]) => diagnose({ logits, upstream, gradient });

  test('of a right gradient changes nothing', () => {
    const { verdict, text } = of(products);
    expect(verdict).toBe('right');
    expect(text).toContain('\nNothing to change; the same in one line\n');
    expect(text).not.toContain('instead');
    expect(text).not.toContain('only to');
  });

  test('of one that is right to few digits is there to compare with', () => {
    const { verdict, what, text, matches } = of(
      products.map((row, n) => row.map((v, k) => v * (1 + 8e-4 * (-1) ** (n + k)))),
    );
    expect(verdict).toBe('right');
    expect(matches[0].error).toBeGreaterThan(5e-4);
    expect(what).toMatch(/^Right, but only to 3 digits: /);
    expect(text).toContain('\nTo compare with in full precision\n');
  });

  test('of float32 rounding is nothing less than right', () => {
    const { what } = of(products.map((row) => row.map((v, k) => v + (k - 1) * 2 ** -25)));
    expect(what).toBe('Right: the gradient in the logits for the upstream gradient that was given.');
  });

  test('of numbers that nothing explains claims nothing', () => {
    const { verdict, text } = of([
      [3, 1, 4],
      [1, 5, 9],
      [2, 6, 5],
    ]);
    expect(verdict).toBe('unknown');
    expect(text).toContain('\nTo compare with: how the right ones are computed\n');
  });

  test('a vector for a batch is refused by its shape where it is no sum of known numbers', () => {
    const message =
      'diagnose: gradient is (3,) (3 entries), which no known mistake of that shape explains; expected (3, 3) like the logits, or (3, 3, 3), one Jacobian a row';
    expect(failure({ logits, upstream, gradient: [3, 1, 4] })).toEqual(['ERR_SHAPE', message]);
  });
});

describe('expressions', () => {
  test('each known one is looked up as itself, however it is spaced', () => {
    const known = knownExpressions();
    expect(known.length).toBeGreaterThan(50);
    for (const { expression, id } of known) {
      const spaced = ` ${expression.replaceAll('*', ' *  ').replaceAll("'", '"')}`;
      for (const gradient of [expression, spaced]) {
        const ids = diagnose({ gradient }).matches.map((match) => match.id);
        expect(ids, gradient).toEqual(jacobianOfError.includes(expression) ? ['right', id] : [id]);
      }
    }
  });

  test('no two known ones are spellings of one another', () => {
    const spellings = knownExpressions().map(({ expression }) => normalised(expression));
    expect(new Set(spellings).size).toBe(spellings.length);
  });

  test.each([
    ['np.sum(J, axis=1)', 'row-sum'],
    ['numpy.sum( J , axis = -1 )', 'row-sum'],
    ['J.sum(1)', 'row-sum'],
    ['J.sum(-1)', 'row-sum'],
    ['dx = torch.sum(J, dim=1)', 'row-sum'],
    ['jnp.mean(J, 1)', 'row-sum'],
    ['(J.sum(dim=2))', 'row-sum'],
    ['s * (g - np.sum(s * g, axis=-1, keepdims=True))', 'right'],
    ['s * (g - (s * g).sum(1, True))', 'right'],
    ['s * (g - torch.sum(s * g, dim=-1, keepdim=True));', 'right'],
    ['np.multiply(s, 1 - s)', 'diagonal'],
    ['torch.matmul(J, g)', 'right'],
    ['J.dot(g)', 'right'],
    ['numpy.diagflat(s) - numpy.dot(s, s.T)', 'right'],
    ['np.mean(s - y)', 'row-sum'],
  ])('%s is known by another spelling: %s', (expression, id) => {
    expect(diagnose({ gradient: expression }).verdict).toBe(id);
  });

  test.each(['J.sum(3)', 's * (g - (s * g).sum(axis=2))', 'np.sum(J', 'sum()', ''])(
    '%s is not mistaken for a known one, and what is right near it is named as that',
    (expression) => {
      const [code, message] = failure({ gradient: expression });
      expect(code).toBe('ERR_VALUE');
      for (const { expression: known, id } of knownExpressions()) {
        if (message.includes(`\`${known}\``)) expect(message).toContain(`\`${known}\` (${id})`);
      }
    },
  );

  test.each([
    ['np.diagflat(s) - np.dot(s, s.T)', '(f, 1)'],
    ['np.diag(s) - np.outer(s, s)', '(f,)'],
    ['J @ g', "np.einsum('nij,nj->ni', J, g)"],
    ['np.dot(J, g)', "np.einsum('nij,nj->ni', J, g)"],
    ['s - y', 'of their mean it is (s - y) / n'],
  ])('%s is right on a condition, which is said: %s', (gradient, condition) => {
    const { verdict, evidence, text } = diagnose({ gradient });
    expect(verdict).toBe('right');
    expect(evidence.notes[0]).toContain(condition);
    expect(text).toContain(condition);
  });

  test('with data it says how large the numbers are that come out', () => {
    const { evidence } = diagnose({ gradient: 's * (1 - s)', logits: signal });
    expect(evidence.largest).toBeCloseTo(Math.max(...s.flat().map((p) => p * (1 - p))), 12);
  });

  test('what is identically 0 is said to be that, with the noise that rounding makes of it', () => {
    const noise = Math.max(...[...rolled(s), ...summed(s)].flat().map(Math.abs));
    for (const gradient of ['J.sum(axis=1)', 'J.mean(axis=1)', 's ⊙ (δ − np.roll(s, k))']) {
      const { evidence } = diagnose({ gradient, logits: signal });
      expect(evidence.largest).toBe(noise);
      expect(evidence.notes.at(-1)).toBe(
        `With your data it is identically 0, as with any; computed in floating point, rounding leaves noise of up to about ${noise.toPrecision(2)}.`,
      );
    }
    const { evidence } = diagnose({
      gradient: 'J.sum(axis=1) * g',
      logits: signal,
      upstream: signal.map(() => [3, 2, 1]),
    });
    expect(evidence.largest).toBeCloseTo(3 * noise, 20);
  });

  test('the noise of many classes is estimated', () => {
    const logits = { data: new Float64Array(8000), shape: [2, 4000] };
    expect(diagnose({ gradient: 'J.sum(axis=1)', logits }).evidence.largest).toBe(2 ** -53 / 4000);
  });

  test.each([
    ['foo * (1 - foo)', '`s * (1 - s)` (diagonal)'],
    ['gradient * foo * (1 - foo)', '`g * s * (1 - s)` (diagonal)'],
    ['foo - labels', '`s - y` (right)'],
  ])('a name that is not known counts as the probabilities where the nearest are looked for: %s', (gradient, first) => {
    expect(failure({ gradient })[1]).toContain(`; the nearest are ${first}`);
  });

  test('an unknown one is refused with the nearest known', () => {
    expect(failure({ gradient: 'J.sum(axis=3)' })).toEqual([
      'ERR_VALUE',
      'diagnose: unknown expression `J.sum(axis=3)`; the nearest are `J.sum(axis=1)` (row-sum), `J.sum(axis=2)` (row-sum), `J.sum(axis=0)` (batch-jacobian); s are the probabilities, x the logits, g the upstream gradient, y the one-hot target, J the Jacobian; `softgrad doctor --list` lists the known ones; or pass the numbers that it computes',
    ]);
  });
});

function failure(input: unknown): [ErrorCode, string] {
  try {
    diagnose(input as DiagnoseInput);
  } catch (error) {
    if (isSoftgradError(error)) return [error.code, error.message];
    throw error;
  }
  throw new Error('nothing was thrown');
}

const x = [
  [1, 2, 3],
  [4, 5, 6],
];
test.each<[unknown, ErrorCode, string]>([
  [null, 'ERR_VALUE', 'expected an object'],
  [{ logits: x }, 'ERR_VALUE', 'no gradient is given'],
  [{ gradient: x }, 'ERR_VALUE', 'neither logits nor probabilities are given'],
  [{ gradient: x, logits: x, probabilities: x }, 'ERR_VALUE', 'both logits and probabilities are given'],
  [
    { gradient: x, logits: [[1, 2], [3]] },
    'ERR_SHAPE',
    'diagnose: logits: ragged input: entry [1] has 1 entry, expected 2',
  ],
  [
    { gradient: [[1, 'a', 2]], logits: [[1, 2, 3]] },
    'ERR_DTYPE',
    'diagnose: gradient: entry [0][1] is the text "a", expected a number',
  ],
  [{ gradient: x, logits: 3 }, 'ERR_SHAPE', 'logits is a single number; expected rows of classes'],
  [
    { gradient: [[1, 2]], logits: x },
    'ERR_SHAPE',
    'gradient is (1, 2) (2 entries); expected (2, 3) like the logits, or (2, 3, 3)',
  ],
  [{ gradient: [], logits: [] }, 'ERR_SHAPE', 'logits (0,) is empty; expected at least one entry'],
  [{ gradient: x, logits: { data: [], shape: [0, 3] } }, 'ERR_SHAPE', 'logits (0, 3) is empty'],
  [{ gradient: x, logits: x, axis: 2 }, 'ERR_AXIS', 'axis 2 of a rank-2 tensor; expected -2 to 1'],
  [{ gradient: x, logits: x, temperature: 0 }, 'ERR_VALUE', 'temperature 0; expected a finite number above 0'],
  [
    { gradient: x, logits: x, reduction: 'max' },
    'ERR_VALUE',
    `reduction is the text "max"; expected 'mean', 'sum' or 'none'`,
  ],
  [
    {
      gradient: x,
      logits: [
        [1, Number.NaN, 3],
        [4, 5, 6],
      ],
    },
    'ERR_VALUE',
    'logits[0][1] is NaN; expected a finite number or -Infinity',
  ],
  [
    {
      gradient: x,
      logits: [
        [1, 2, 3],
        [4, 5, Number.POSITIVE_INFINITY],
      ],
    },
    'ERR_VALUE',
    'logits[1][2] is Infinity',
  ],
  [{ gradient: [[1]], logits: [[Number.NEGATIVE_INFINITY]] }, 'ERR_VALUE', 'the row of [0][0] is -Infinity throughout'],
  [
    { gradient: x, probabilities: x },
    'ERR_VALUE',
    'probabilities[0][1] is 2; expected a number from 0 to 1; are these logits?',
  ],
  [
    {
      gradient: x,
      probabilities: [
        [Number.NaN, 0, 1],
        [0, 0, 1],
      ],
    },
    'ERR_VALUE',
    'probabilities[0][0] is NaN; expected a number from 0 to 1; give the logits instead',
  ],
  [
    {
      gradient: x,
      probabilities: [
        [0.2, 0.2, 0.2],
        [0.8, 0.8, 0.8],
      ],
    },
    'ERR_VALUE',
    'the row of [0][0] adds up to 0.600000 along axis 1; expected 1: another axis, or logits?',
  ],
  [
    {
      gradient: x,
      mask: [true, true, false],
      probabilities: [
        [0.5, 0.5, 0],
        [0.2, 0.7, 0.1],
      ],
    },
    'ERR_VALUE',
    'probabilities[1][2] is 0.1 where the mask is false; expected 0, which a masked softmax gives',
  ],
  [
    { gradient: x, logits: x, upstream: [[1, 2, 3]] },
    'ERR_SHAPE',
    'upstream is (1, 3); expected (2, 3) like the logits',
  ],
  [
    {
      gradient: x,
      logits: x,
      upstream: [
        [1, 2, 3],
        [1, 2, Number.NaN],
      ],
    },
    'ERR_VALUE',
    'upstream[1][2] is NaN; expected a finite number',
  ],
  [
    { gradient: x, logits: x, target: [0, 1, 2] },
    'ERR_SHAPE',
    'target is (3,); expected class indices (2,) or probabilities (2, 3)',
  ],
  [
    { gradient: x, logits: x, target: [0, 0.5] },
    'ERR_VALUE',
    'target entry 1 is 0.5; expected a class index from 0 to 2',
  ],
  [{ gradient: x, logits: x, target: [1, 3] }, 'ERR_VALUE', 'for a row to ignore; these count from 1: take 1 off'],
  [
    {
      gradient: x,
      logits: x,
      target: [
        [0, -1, 0],
        [0, 0, 1],
      ],
    },
    'ERR_VALUE',
    'target[0][1] is -1; expected a probability',
  ],
])('bad input is refused, naming what, where and what was expected: %j', (input, code, message) => {
  const [found, text] = failure(input);
  expect(found).toBe(code);
  expect(text).toContain(message);
});

test('a tensor is refused with the way to its data', async () => {
  await setBackend(exact);
  using logits = tensor(x);
  expect(failure({ gradient: x, logits })[1]).toBe(
    'diagnose: logits is a tensor; expected host data: await logits.array()',
  );
});

describe("the library's line computes what the diagnosis calls right", () => {
  const logits = random(3, 4, 21);
  const upstream = random(3, 4, 22);
  const target = [0, 2, 3];

  test.each([
    ['the product', { upstream }],
    ['along axis 0', { upstream, axis: 0 }],
    ['at a temperature', { upstream, temperature: 0.5 }],
    ['the mean loss', { target }],
    ['the summed loss', { target, reduction: 'sum' }],
    ['the Jacobian', {}],
    ['the Jacobian along axis 0 at a temperature', { axis: 0, temperature: 2 }],
  ] as const)('%s', async (_, known) => {
    await setBackend(exact);
    const axis = 'axis' in known ? known.axis : -1;
    const temperature = 'temperature' in known ? known.temperature : 1;
    const shape = 'upstream' in known || 'target' in known ? [3, 4] : axis === 0 ? [4, 3, 3] : [3, 4, 4];
    const size = shape.reduce((a, b) => a * b, 1);
    const numbers = Float64Array.from({ length: size }, normal(23));
    const { instead } = diagnose({ ...known, logits, gradient: { data: numbers, shape } });
    const tensors = {
      softmax: softmaxOf,
      crossEntropy,
      logits: tensor(logits, { dtype: 'float64' }),
      s: softmaxOf(tensor(logits, { dtype: 'float64' }), { axis, temperature }),
      g: tensor(upstream, { dtype: 'float64' }),
      target: tensor(Int32Array.from(target)),
    };
    const name = /^const (?:\{ loss, (\w+) \}|(\w+)) = /.exec(instead.typescript);
    const run = new Function(...Object.keys(tensors), `${instead.typescript} return ${name?.[1] ?? name?.[2]};`);
    const gradient = await run(...Object.values(tensors)).array();
    expect(diagnose({ ...known, logits, gradient }).verdict).toBe('right');
  });
});

describe('summed rows in other shapes are summed rows', () => {
  const noise = (length: number) => Array.from({ length }, (_, k) => ((k % 3) - 1) * 2.8e-17);

  test.each([
    ['turned over', rolled(s)[0].map((_, i) => rolled(s).map((row) => row[i])), 'ᵀ'],
    ['one number a class', noise(3), 'Σ_n'],
    ['one number a row', noise(4), 'Σ_i'],
  ] as const)('%s', (_, gradient, sign) => {
    for (const known of [{}, { upstream: random(4, 3, 24) }, { target: [0, 1, 2, 0] }]) {
      const { verdict, matches } = diagnose({ logits: signal, gradient: gradient as number[][], ...known });
      expect(verdict).toBe('row-sum');
      expect(matches[0].formula).toContain(sign);
    }
  });

  test('numbers that are no noise are refused by their shape as before', () => {
    const [code, message] = failure({ logits: signal, gradient: [0.1, 0.2, 0.3, 0.4] });
    expect(code).toBe('ERR_SHAPE');
    expect(message).toContain('expected (4, 3) like the logits');
    expect(diagnose({ logits: signal, gradient: [[1, 2, 3], ...signal.slice(1)] }).verdict).toBe('unknown');
  });
});

test('the progress rises to 1, for numbers and for nothing else', () => {
  const shares: number[] = [];
  const onProgress = (share: number) => shares.push(share);
  diagnose({ gradient: 'J.sum(axis=1)' }, { onProgress });
  expect(shares).toEqual([]);
  diagnose({ logits: [[1, 2, 3]], target: [2], gradient: [[0.09, 0.245, -0.335]] }, { onProgress });
  expect(shares.length).toBeGreaterThan(20);
  expect(shares).toEqual([...new Set(shares)].sort((a, b) => a - b));
  expect(shares[0]).toBeGreaterThan(0);
  expect(shares.at(-1)).toBe(1);
});

test('of many numbers, every candidate that is near enough to be compared with all of them moves the bar', () => {
  const [n, f] = [144, 64];
  const logits = Float64Array.from({ length: n * f }, (_, k) => 6 * Math.sin(k * k));
  const target = Int32Array.from({ length: n }, (_, row) => (7 * row) % f);
  const shape = [n, f];
  const right = meanGradient(logits, target, f);
  const sharesOf = (gradient: Float64Array, verdict: string) => {
    const shares: number[] = [];
    const problem = { logits: { data: logits, shape }, target, gradient: { data: gradient, shape } };
    expect(diagnose(problem, { onProgress: (share) => shares.push(share) }).verdict).toBe(verdict);
    expect(shares).toEqual([...new Set(shares)].sort((a, b) => a - b));
    expect(shares.at(-1)).toBe(1);
    return shares;
  };
  const off = sharesOf(
    logits.map((_, k) => Math.sin(3 * k * k) / n),
    'unknown',
  );
  const near = sharesOf(right, 'right');
  // Probabilities that are clipped at any of several thresholds, before any of the loss's reductions.
  const comparing = (shares: readonly number[]) => shares.filter((share) => share > 0.03 && share <= 0.54).length;
  expect(comparing(near)).toBeGreaterThan(comparing(off) + 4);
});

/** The gradient of the mean cross-entropy of rows of f logits. */
function meanGradient(logits: Float64Array, target: Int32Array, f: number): Float64Array {
  const exps = logits.map(Math.exp);
  const sums = Array.from(target, (_, row) => exps.subarray(row * f, (row + 1) * f).reduce((sum, e) => sum + e, 0));
  return exps.map((e, k) => {
    const row = Math.floor(k / f);
    return (e / sums[row] - (target[row] === k % f ? 1 : 0)) / target.length;
  });
}
