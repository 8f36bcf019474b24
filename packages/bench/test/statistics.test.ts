import { describe, expect, test } from 'vitest';
import { uniform } from '../src/random.js';
import { isDifference, pairedRatio, quotientOfMedians, type Ratio, type Samples, timing } from '../src/statistics.js';

const random = uniform(7);

/** Normal deviates by Box and Muller (Ann. Math. Stat. 29, 1958). */
function normal(): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

const ratioOf = (a: Samples, b: Samples): Ratio => {
  const ratio = pairedRatio(a, b);
  if (!ratio) throw new Error('no rounds in common');
  return ratio;
};

describe('a timing', () => {
  test('is the median with its quartiles, over all processes, without skipped rounds', () => {
    expect(
      timing([
        [5, null, 1, 3],
        [2, 4],
      ]),
    ).toEqual({ medianMs: 3, quartilesMs: [2, 4], samples: 5 });
  });

  test('is null without samples', () => {
    expect(timing([])).toBeNull();
    expect(timing([[null, null]])).toBeNull();
  });
});

describe('a ratio', () => {
  test('is the median of the per-round quotients', () => {
    expect(ratioOf([[2, 30, 4]], [[1, 10, 1]]).ratio).toBe(3);
  });

  test('is not affected by drift that affects both alike', () => {
    const drift = Array.from({ length: 15 }, (_, round) => 1.3 ** round);
    expect(ratioOf([drift.map((d) => 2 * d)], [drift])).toEqual({ ratio: 2, interval: [2, 2] });
  });

  test('takes only rounds in which both took part', () => {
    expect(ratioOf([[2, null, 4]], [[1, 1, null]]).ratio).toBe(2);
    expect(pairedRatio([[null, 4]], [[1, null]])).toBeNull();
    // A clock too coarse for the loop gives 0.
    expect(ratioOf([[2, 4]], [[0, 1]]).ratio).toBe(4);
    // So do processes.
    expect(ratioOf([[2], [6]], [[1]]).ratio).toBe(2);
  });

  test('has a 95 % interval that contains the true ratio about that often', () => {
    const truth = 1.4;
    const trials = 200;
    let held = 0;
    for (let trial = 0; trial < trials; trial++) {
      const drift = Array.from({ length: 25 }, () => Math.exp(0.2 * normal()));
      const a = drift.map((d) => truth * d * Math.exp(0.1 * normal()));
      const b = drift.map((d) => d * Math.exp(0.1 * normal()));
      const { interval } = ratioOf([a], [b]);
      if (interval[0] <= truth && truth <= interval[1]) held++;
    }
    expect(held / trials).toBeGreaterThan(0.9);
    expect(held / trials).toBeLessThan(0.99);
  });

  test('has a wide interval if processes disagree, even if each is steady', () => {
    const process = (level: number) => Array.from({ length: 15 }, () => level * (1 + 0.001 * normal()));
    const ones = Array.from({ length: 15 }, () => 1);
    const { interval } = ratioOf([process(1), process(4), process(2)], [ones, ones, ones]);
    expect(interval[0]).toBeLessThan(1.1);
    expect(interval[1]).toBeGreaterThan(3.9);
  });
});

test('intervals are the same in every run', () => {
  const [a, b] = [
    [3, 1, 4, 1, 5, 9, 2, 6],
    [2, 7, 1, 8, 2, 8, 1, 8],
  ];
  expect([
    pairedRatio([a, [...a].reverse()], [b, b]),
    pairedRatio([a], [b]),
    quotientOfMedians([a], [b], 0.99),
    quotientOfMedians([a, b], [b], 0.5),
  ]).toMatchInlineSnapshot(`
    [
      {
        "interval": [
          0.4375,
          2,
        ],
        "ratio": 0.875,
      },
      {
        "interval": [
          0.14285714285714285,
          2.5,
        ],
        "ratio": 1.3125,
      },
      {
        "interval": [
          0.125,
          4.502499999999998,
        ],
        "ratio": 0.7777777777777778,
      },
      {
        "interval": [
          0.5,
          1.5555555555555556,
        ],
        "ratio": 0.7777777777777778,
      },
    ]
  `);
});

describe('a difference', () => {
  const noise = (low: number, high: number): Ratio => ({ ratio: 1, interval: [low, high] });

  test('is significant if the interval excludes 1', () => {
    expect(isDifference({ ratio: 1.2, interval: [1.1, 1.3] }, null)).toBe(true);
    expect(isDifference({ ratio: 0.8, interval: [0.7, 0.9] }, null)).toBe(true);
    expect(isDifference({ ratio: 1.2, interval: [0.99, 1.3] }, null)).toBe(false);
  });

  test('is not significant within the noise of the same code timed twice', () => {
    const ratio = { ratio: 1.2, interval: [1.1, 1.3] } as const;
    expect(isDifference(ratio, noise(0.9, 1.25))).toBe(false);
    expect(isDifference(ratio, noise(0.9, 1.2))).toBe(false);
    expect(isDifference(ratio, noise(0.9, 1.15))).toBe(true);
    const less = { ratio: 0.8, interval: [0.7, 0.9] } as const;
    expect(isDifference(less, noise(0.8, 1.1))).toBe(false);
    expect(isDifference(less, noise(0.85, 1.1))).toBe(true);
    expect(isDifference({ ratio: 1.1, interval: [1, 1.3] }, null)).toBe(false);
    expect(isDifference({ ratio: 0.9, interval: [0.7, 1] }, null)).toBe(false);
  });

  test('is rarely significant between two samples of the same distribution', () => {
    const trials = 150;
    let called = 0;
    for (let trial = 0; trial < trials; trial++) {
      const [a, b, control] = Array.from({ length: 3 }, () =>
        Array.from({ length: 15 }, () => Math.exp(0.2 * normal())),
      );
      if (isDifference(ratioOf([a], [b]), ratioOf([control], [b]))) called++;
    }
    expect(called / trials).toBeLessThan(0.05);
  });
});

test('the interval of a quotient of medians includes the spread of both runs', () => {
  const run = (level: number) => [Array.from({ length: 21 }, () => level * Math.exp(0.05 * normal()))];
  const { ratio, interval } = quotientOfMedians(run(3), run(2), 0.99);
  expect(ratio).toBeCloseTo(1.5, 0);
  expect(interval[0]).toBeLessThan(1.5);
  expect(interval[1]).toBeGreaterThan(1.5);
  expect(interval[0]).toBeGreaterThan(1.3);
  expect(interval[1]).toBeLessThan(1.7);
});
