import { describe, expect, test } from 'vitest';
import { diagnose } from '../src/index.js';
import { type Matrix, softmax } from './attempts.js';
import { normal } from './random.js';

function problem(n: number, f: number) {
  const next = normal(61);
  const matrix = () => Array.from({ length: n }, () => Array.from({ length: f }, next));
  const [logits, upstream] = [matrix(), matrix()];
  const s = softmax(logits, 1, (value) => value);
  const product = s.map((row, k) =>
    row.map((p, i) => p * (upstream[k][i] - row.reduce((sum, q, j) => sum + q * upstream[k][j], 0))),
  );
  const verdict = (gradient: Matrix) => diagnose({ logits, upstream, gradient: gradient as number[][] }).verdict;
  return { product, verdict, s, upstream, logits };
}

test('an explanation fits up to a relative error of a thousandth', () => {
  const { product, verdict } = problem(4, 3);
  const off = (share: number) => product.map((row, n) => row.map((value, i) => value * (1 + share * (-1) ** (n + i))));
  expect([0.98e-3, 1.02e-3].map((share) => verdict(off(share)) === 'right')).toEqual([true, false]);
});

test('an explanation is named alone if every other one has 30 times its error', () => {
  const { product, s, upstream } = problem(4, 3);
  // The right derivative and the one without 1 / T differ by a share of 0.002.
  const temperature = 1.002;
  const verdictAt = (ratio: number) => {
    const factor = (1 + (temperature - 1) / (1 + ratio)) / temperature;
    const gradient = product.map((row) => row.map((value) => factor * value));
    return diagnose({ probabilities: s as number[][], upstream, temperature, gradient }).verdict;
  };
  expect([29, 31].map(verdictAt)).toEqual(['ambiguous', 'right']);
});

test('an explanation does not fit if a small entry is off by more than a hundredth of the terms that are added up for it', () => {
  const { s } = problem(4, 3);
  const next = normal(67);
  const upstream = Array.from({ length: 4 }, (_, n) => Array.from({ length: 3 }, () => (n === 3 ? 1e-3 : 1) * next()));
  const verdictAt = (share: number) => {
    const gradient = s.map((row, n) => {
      const mean = (of: (g: number) => number) => row.reduce((sum, p, j) => sum + p * of(upstream[n][j]), 0);
      return row.map((p, i) => {
        const terms = p * (Math.abs(upstream[n][i]) + mean(Math.abs));
        return p * (upstream[n][i] - mean((g) => g)) + (n === 3 && i === 1 ? share * terms : 0);
      });
    });
    return diagnose({ probabilities: s as number[][], upstream, gradient }).verdict;
  };
  expect([0.0099, 0.0101].map((share) => verdictAt(share) === 'right')).toEqual([true, false]);
});

describe('a factor', () => {
  const found = (n: number, f: number, layer: 'softmax' | 'sigmoid' = 'softmax') => {
    const { product, upstream, logits } = problem(n, f);
    const slopes = logits.map((row, k) => row.map((x, i) => (upstream[k][i] * Math.exp(-x)) / (1 + Math.exp(-x)) ** 2));
    const gradient = (layer === 'sigmoid' ? slopes : product).map((row) => row.map((value) => 0.0123 * value));
    const { verdict, matches, text } = diagnose({ logits, upstream, layer, gradient });
    return {
      verdict,
      ids: matches.map(({ id }) => id).join(),
      asks: /(One row|\d rows) of .*Compare more rows/.exec(text)?.[1],
    };
  };

  test.each([
    [2, 3],
    [1, 5],
    [4, 2],
  ])('is one in four numbers that differ freely: %i rows of %i', (n, f) => {
    expect(found(n, f)).toEqual({ verdict: 'scaled', ids: 'scaled', asks: undefined });
  });

  test.each([
    [1, 4, 'One row'],
    [1, 3, 'One row'],
    [1, 2, 'One row'],
    [3, 2, '3 rows'],
  ])('may belong to the loss in fewer: %i rows of %i', (n, f, asks) => {
    expect(found(n, f)).toEqual({ verdict: 'ambiguous', ids: 'scaled,right', asks });
  });

  test('after a sigmoid, whose numbers all differ freely, is found by that rule, and in one number it is none', () => {
    const verdicts = [
      [2, 2],
      [4, 1],
      [3, 1],
      [1, 2],
      [1, 1],
    ].map(([n = 0, f = 0]) => found(n, f, 'sigmoid').verdict);
    expect(verdicts).toEqual(['scaled', 'scaled', 'ambiguous', 'ambiguous', 'unknown']);
  });

  test('of a target needs no upstream gradient, and is none of rows that do not add up to 0', () => {
    const verdictOf = (last: number) =>
      diagnose({ probabilities: [[0.2, 0.3, 0.5]], target: [1], gradient: [[0.14, -0.49, last]] }).verdict;
    expect([0.35, 0.36].map(verdictOf)).toEqual(['ambiguous', 'unknown']);
  });

  test('of a Jacobian is none where there are two classes, whose Jacobians are all multiples of each other', () => {
    const verdictOf = (p: number[]) => {
      const jacobian = p.map((a, i) => p.map((b, j) => 0.3 * (i === j ? a * (1 - a) : -a * b)));
      return diagnose({ probabilities: [p], gradient: [jacobian] }).verdict;
    };
    expect(
      [
        [0.3, 0.7],
        [0.2, 0.3, 0.5],
      ].map(verdictOf),
    ).toEqual(['unknown', 'scaled']);
  });
});

describe('a constant factor', () => {
  const next = normal(11);
  const matrix = () => Array.from({ length: 4 }, () => Array.from({ length: 3 }, next));
  const [logits, upstream] = [matrix(), matrix()];
  const s = softmax(logits, 1, (value) => value);
  const through = (g: Matrix) =>
    s.map((row, n) => row.map((p, i) => p * (g[n][i] - row.reduce((sum, q, j) => sum + q * g[n][j], 0))));
  const verdictOf = (g: number[][], gradient: number[][]) => diagnose({ logits, upstream: g, gradient }).verdict;

  test('fits up to a relative error of 1e-5', () => {
    const off = (share: number) =>
      through(upstream).map((row, n) => row.map((value, i) => 0.3 * value * (1 + share * (-1) ** (n + i))));
    expect([0.9e-5, 1.2e-5].map((share) => verdictOf(upstream, off(share)))).toEqual(['scaled', 'unknown']);
  });

  test('must hold in every row, in rows of small numbers too', () => {
    for (const size of [1, 1e-3, 1e-5]) {
      const g = upstream.map((row, n) => row.map((value) => (n === 3 ? size * value : value)));
      const withFactor = (last: number) =>
        through(g).map((row, n) => row.map((value) => value * (n === 3 ? last : 0.3)));
      expect([0.3, 0.3004, 0.6].map((last) => verdictOf(g, withFactor(last)))).toEqual([
        'scaled',
        'unknown',
        'unknown',
      ]);
    }
  });

  test('is named with its size, for Jacobians and rounded numbers too', () => {
    const jacobians = s.map((row) => row.map((a, i) => row.map((b, j) => 0.3 * (i === j ? a * (1 - a) : -a * b))));
    const found = [
      diagnose({ logits, gradient: jacobians }),
      diagnose({ logits, upstream, gradient: through(upstream).map((row) => row.map((value) => 0.3 * value)) }),
      diagnose({
        logits,
        upstream,
        gradient: through(upstream).map((row) => row.map((value) => Number((0.3 * value).toFixed(4)))),
      }),
    ];
    expect(found.map(({ matches }) => matches.map(({ id, formula }) => [id, formula]))).toEqual([
      [['scaled', '0.3 × (diag(s) − s sᵀ)']],
      [['scaled', '0.3 × (s ⊙ (g − ⟨s, g⟩))']],
      [['scaled', expect.stringMatching(/^0\.300\d{3} × \(s ⊙ \(g − ⟨s, g⟩\)\)$/)]],
    ]);
    const { what, why, evidence } = found[1] ?? diagnose({ gradient: 's - y' });
    expect(what).toBe(
      'Right but for a constant factor: the right derivative times a constant that is neither the batch size nor the temperature.',
    );
    expect(why).toContain('A factor of its own');
    expect(evidence.nextBest).toMatchObject({ id: 'batch-size', formula: '1/f · (s ⊙ (g − ⟨s, g⟩))' });
    expect(found[2]?.evidence.notes).toContain('The numbers are of 4 decimals, and are judged within that.');
  });

  test('is none of a gradient whose rows do not add up to 0', () => {
    expect(
      verdictOf(
        upstream,
        s.map((row) => row.map((p) => 0.3 * p * (1 - p))),
      ),
    ).toBe('unknown');
  });
});

describe('zeros', () => {
  const rows = [
    [30, 0, 0],
    [0, 25, 0],
    [0, 0, 20],
    [1, 0, 2],
  ];
  const next = normal(9);
  const upstream = rows.map((row) => row.map(next));
  const s = softmax(rows, 1, (value) => value);
  const summed = s.map((row) =>
    row.map((own, i) => row.reduce((sum, q, j) => sum + (i === j ? q * (1 - q) : -q * own), 0)),
  );
  const first = rows.slice(0, 3);
  const zeros = first.map((row) => row.map(() => 0));

  test('are summed rows where one row is not saturated, and no other explanation gives 0 there', () => {
    const none = diagnose({ logits: rows, gradient: summed });
    expect([none.verdict, diagnose({ logits: rows, upstream, gradient: summed }).verdict]).toEqual([
      'row-sum',
      'row-sum',
    ]);
    expect(none.evidence.notes[0]).toBe('They are, bit for bit, what J.sum(axis=1) gives.');
    expect(none.evidence.notes).toContain('3 of 4 rows are saturated: their Jacobian is nearly 0.');
  });

  test('are not called saturated where the target is known, a mistake gives them, and nothing right does', () => {
    const { verdict, matches } = diagnose({ logits: rows, target: [1, 2, 0, 1], gradient: summed });
    expect(verdict).toBe('ambiguous');
    expect(matches.map(({ id }) => id)).toEqual(['row-sum', 'logits-for-probabilities']);
  });

  test('are the gradient of a saturated softmax where all rows are', () => {
    for (const known of [{}, { upstream: upstream.slice(0, 3) }, { target: [1, 2, 0] }, { target: [0, 1, 2] }]) {
      const { verdict, matches } = diagnose({ logits: first, ...known, gradient: zeros });
      expect(verdict).toBe('saturated');
      expect(matches.map(({ id }) => id)).toEqual(expect.arrayContaining(['right', 'row-sum']));
    }
  });

  test('s − y of a saturated softmax is right, because it does not vanish', () => {
    const target = [1, 2, 0, 1];
    const gradient = s.map((row, n) => row.map((p, i) => p - (i === target[n] ? 1 : 0)));
    expect(diagnose({ logits: rows, target, gradient }).verdict).toBe('right');
  });

  test('are right as well where the right numbers are 0 with three decimals, up to 0.001 if the others were cut off', () => {
    const logits = [
      [1, 0, 2],
      [0, 1, 0.5],
    ];
    const shape = softmax(logits, 1, (value) => value);
    const base = [
      [1, 0, 0],
      [0, 0, 0],
    ];
    const largest = shape[0][0] * (1 - shape[0][0]);
    const of = (size: number) => {
      const g = base.map((row) => row.map((value) => (value * size) / largest));
      const { matches } = diagnose({ logits, upstream: g, gradient: logits.map((row) => row.map(() => 0)) });
      return matches.map(({ id }) => id);
    };
    expect([of(0.000999).includes('right'), of(0.001001).includes('right')]).toEqual([true, false]);
  });
});

test('the largest number is computed for up to ten million numbers', () => {
  const largest = (classes: number) => {
    const logits = { data: new Float64Array(10 * classes), shape: [10, classes] };
    return diagnose({ gradient: 'np.diag(s) - np.outer(s, s)', logits }).evidence.largest;
  };
  expect([largest(1000), largest(1001)]).toEqual([expect.closeTo(0.000999, 12), null]);
});

test('of several right gradients, rows that are not right are those of the one that is right in most rows', () => {
  const next = normal(13);
  const logits = Array.from({ length: 4 }, () => [next(), next()]);
  const s = softmax(logits, 1, (value) => value);
  const target = [0, 1, 1, 0];
  const notes = (summed: number) =>
    diagnose({
      logits,
      target,
      gradient: s.map((row, n) => row.map((p, i) => (p - (i === target[n] ? 1 : 0)) / (n < 4 - summed ? 4 : 1))),
    }).evidence.notes;
  // The sum comes first where both the sum and the mean are right in as many rows.
  expect(notes(2)).toContain('2 of 4 rows are right; these are not: 0, 1.');
  expect(notes(3)).toContain('3 of 4 rows are right; these are not: 0.');
  expect(notes(1)).toContain('3 of 4 rows are right; these are not: 3.');
});
