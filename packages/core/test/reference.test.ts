import type { Decimal } from 'decimal.js';
import fc from 'fast-check';
import { describe, expect, inject, test } from 'vitest';
import { reference, referenceCrossEntropy } from '../conformance/index.js';
import { crossEntropyHvp } from '../reference/cross-entropy.js';
import { exact, Precise } from './decimal.js';

const row = (classes: number) => ({ outer: 1, classes, inner: 1 });
type Numbers = readonly number[];

/** A derivative of an operand in a direction. */
type Derivative = (
  x: Numbers,
  direction: Numbers,
  rows: ReturnType<typeof row>,
  parameters: reference.ReferenceParameters,
) => ArrayLike<number> & Iterable<number>;

const probabilities = (values: Numbers) => ({ kind: 'probabilities' as const, values });

const logits = fc.array(fc.double({ min: -80, max: 80, noNaN: true }), { minLength: 1, maxLength: 12 });

/** softmax, its denominator's logarithm and log-probabilities, in 120 digits. */
function precise(x: readonly number[], temperature = 1) {
  const scaled = x.map((value) => exact(value).div(temperature));
  const max = Precise.max(...scaled);
  const exponentials = scaled.map((value) => Precise.exp(value.minus(max)));
  const sum = Precise.sum(...exponentials);
  const logSumExp = sum.ln().plus(max);
  return { p: exponentials.map((e) => e.div(sum)), logSumExp, logs: scaled.map((value) => value.minus(logSumExp)) };
}

/** The error of double-double if terms of this size or larger cancel: 2e-28, absolute. */
const cancelled = 1e-12;

/** Within one ULP of float64 of the precise value, or of `size` where that is larger. */
function expectNearest(actual: ArrayLike<number>, expected: readonly Decimal[], size = 0): void {
  expect(actual.length).toBe(expected.length);
  expected.forEach((value, i) => {
    const bound = Math.max(2 ** -52 * Math.max(Math.abs(value.toNumber()), size), 2 ** -1074);
    expect(value.minus(exact(actual[i])).abs().toNumber()).toBeLessThanOrEqual(bound);
  });
}

describe('the reference is within an ULP of float64 of 120-digit arithmetic', () => {
  test('softmax, logSoftmax and logSumExp, at any temperature', () => {
    fc.assert(
      fc.property(logits, fc.constantFrom(1, 0.5, 3, -1), (x, temperature) => {
        const expected = precise(x, temperature);
        const parameters = { temperature };
        expectNearest(reference.softmax(x, row(x.length), parameters), expected.p);
        expectNearest(reference.logSoftmax(x, row(x.length), parameters), expected.logs);
        expectNearest(reference.logSumExp(x, row(x.length), parameters), [expected.logSumExp], cancelled);
      }),
      { numRuns: 40 },
    );
  });

  test('vjp and Jacobian of softmax, from given probabilities', () => {
    fc.assert(
      fc.property(logits, fc.infiniteStream(fc.double({ min: -3, max: 3, noNaN: true })), (x, stream) => {
        const s = Array.from(reference.softmax(x, row(x.length)));
        const g = s.map(() => stream.next().value as number);
        const inner = Precise.sum(0, ...s.map((p, i) => exact(p).times(exact(g[i]))));
        const sum = Precise.sum(0, ...s.map(exact));
        const vjp = s.map((p, i) => exact(p).times(exact(g[i]).times(sum).minus(inner)));
        const jacobian = s.flatMap((p, r) =>
          s.map((value, c) => exact(p).times(r === c ? sum.minus(exact(p)) : exact(value).negated())),
        );
        expectNearest(reference.softmaxVjp(s, g, row(x.length)), vjp, cancelled);
        expectNearest(reference.softmaxJacobian(s, row(x.length)), jacobian, cancelled);
      }),
      { numRuns: 40 },
    );
  });

  test('vjp, jvp and Jacobian of logSoftmax', () => {
    fc.assert(
      fc.property(logits, fc.infiniteStream(fc.double({ min: -3, max: 3, noNaN: true })), (x, stream) => {
        const y = Array.from(reference.logSoftmax(x, row(x.length)));
        const g = y.map(() => stream.next().value as number);
        const p = y.map((value) => Precise.exp(exact(value)));
        const sum = Precise.sum(0, ...g.map(exact));
        const mean = Precise.sum(0, ...p.map((q, i) => q.times(exact(g[i]))));
        expectNearest(
          reference.logSoftmaxVjp(y, g, row(x.length)),
          p.map((q, i) => exact(g[i]).minus(q.times(sum))),
          cancelled,
        );
        expectNearest(
          reference.logSoftmaxJvp(y, g, row(x.length)),
          g.map((t) => exact(t).minus(mean)),
          cancelled,
        );
        const jacobian = p.flatMap((_, r) => p.map((q, c) => new Precise(r === c ? 1 : 0).minus(q)));
        expectNearest(reference.logSoftmaxJacobian(y, row(x.length)), jacobian, cancelled);
      }),
      { numRuns: 40 },
    );
  });

  test('jvp of logSoftmax along a tangent that is large where the probability is tiny', () => {
    const y = [-60, Math.log(0.7), Math.log(0.3)];
    const t = [1e40, 3, 5];
    const mean = Precise.sum(...y.map((value, i) => Precise.exp(exact(value)).times(exact(t[i]))));
    expectNearest(
      reference.logSoftmaxJvp(y, t, row(3)),
      t.map((value) => exact(value).minus(mean)),
    );
  });

  test('the second derivatives of softmax and logSoftmax along a tangent', () => {
    const directions = fc.infiniteStream(fc.double({ min: -3, max: 3, noNaN: true }));
    fc.assert(
      fc.property(logits, fc.constantFrom(1, 0.5, -1), directions, (x, temperature, stream) => {
        const [g, t] = [x, x].map((like) => like.map(() => stream.next().value as number));
        const squared = temperature ** 2;
        // d ⊙ (g − ⟨s, g⟩) − s ⟨d, g⟩, which is another way to the same.
        const s = Array.from(reference.softmax(x, row(x.length), { temperature }));
        const p = s.map(exact);
        const sum = Precise.sum(...p);
        const mean = (v: readonly Decimal[]) => Precise.sum(...v.map((value, i) => value.times(p[i])));
        const [ofG, ofT] = [g, t].map((v) => mean(v.map(exact)));
        const d = p.map((q, i) => q.times(exact(t[i]).times(sum).minus(ofT)));
        const rest = g.map((value) => exact(value).times(sum).minus(ofG));
        const ofD = Precise.sum(...d.map((value, i) => value.times(rest[i])));
        const hvp = d.map((value, i) => value.times(rest[i]).times(sum).minus(p[i].times(ofD)).div(squared));
        expectNearest(reference.softmaxHvp(s, g, t, row(x.length), { temperature }), hvp, cancelled);
        // PyTorch's softmax_double_backward (tools/autograd/derivatives.yaml), for any Σ s.
        const ofProducts = mean(t.map(exact));
        const doubled = p.map((_, i) =>
          exact(t[i]).times(rest[i]).minus(exact(g[i]).times(ofProducts)).div(temperature),
        );
        expectNearest(reference.softmaxDoubleBackward(s, g, t, row(x.length), { temperature }), doubled, cancelled);
        const y = Array.from(reference.logSoftmax(x, row(x.length), { temperature }));
        const q = y.map((value) => Precise.exp(exact(value)));
        const total = Precise.sum(...q);
        const tangentMean = Precise.sum(...q.map((value, i) => value.times(exact(t[i]))));
        const factor = Precise.sum(...g.map(exact))
          .neg()
          .div(squared);
        expectNearest(
          reference.logSoftmaxHvp(y, g, t, row(x.length), { temperature }),
          q.map((value, i) => value.times(exact(t[i]).times(total).minus(tangentMean)).times(factor)),
          cancelled,
        );
      }),
      { numRuns: inject('everything') ? 40 : 15 },
    );
  });

  test('and of logSumExp, crossEntropy and sigmoid', () => {
    const directions = fc.infiniteStream(fc.double({ min: -3, max: 3, noNaN: true }));
    fc.assert(
      fc.property(logits, fc.constantFrom(1, 0.5, 3), directions, (x, temperature, stream) => {
        const t = x.map(() => stream.next().value as number);
        const g = stream.next().value as number;
        const { p } = precise(x, temperature);
        const mean = Precise.sum(...p.map((q, i) => q.times(exact(t[i]))));
        const hvp = p.map((q, i) =>
          q
            .times(exact(t[i]).minus(mean))
            .times(exact(g))
            .div(temperature ** 2),
        );
        expectNearest(reference.logSumExpHvp(x, [g], t, row(x.length), { temperature }), hvp, cancelled);
        const target = { kind: 'indices' as const, values: [x.length - 1] };
        const weight = x.map((_, c) => c + 1);
        const options = { temperature, weight, reduction: 'sum' as const };
        expectNearest(
          crossEntropyHvp(x, target, [g], t, row(x.length), options),
          hvp.map((value) => value.times(x.length)),
          cancelled,
        );
        const y = Array.from(reference.sigmoid(x));
        const slopes = y.map((value) => exact(value).times(new Precise(1).minus(exact(value))));
        expectNearest(
          reference.sigmoidHvp(y, t, t),
          slopes.map((slope, i) =>
            slope.times(new Precise(1).minus(exact(y[i]).times(2))).times(exact(t[i]).times(exact(t[i]))),
          ),
        );
      }),
      { numRuns: 40 },
    );
  });

  test('sigmoid and its vjp', () => {
    fc.assert(
      fc.property(
        fc.double({ min: -700, max: 700, noNaN: true }),
        fc.double({ min: -3, max: 3, noNaN: true }),
        (x, g) => {
          const y = new Precise(1).div(Precise.exp(exact(-x)).plus(1));
          expectNearest(reference.sigmoid([x]), [y]);
          const [rounded] = reference.sigmoid([x]);
          expectNearest(reference.sigmoidVjp([rounded], [g]), [
            exact(g)
              .times(exact(rounded))
              .times(new Precise(1).minus(exact(rounded))),
          ]);
        },
      ),
    );
  });

  test('loss and gradient of cross-entropy with smoothing and weights', () => {
    fc.assert(
      fc.property(logits, fc.nat(), fc.double({ min: 0, max: 1, noNaN: true }), (x, seed, epsilon) => {
        const index = seed % x.length;
        const weight = x.map((_, c) => (c + 1) / 2);
        const { p, logs } = precise(x);
        const q = x.map((_, c) =>
          new Precise(1)
            .minus(exact(epsilon))
            .times(c === index ? 1 : 0)
            .plus(exact(epsilon).div(x.length))
            .times(weight[c]),
        );
        const sum = Precise.sum(0, ...q);
        const options = { weight, labelSmoothing: epsilon, reduction: 'sum' as const };
        const target = { kind: 'indices' as const, values: [index] };
        const { loss, gradient } = referenceCrossEntropy(x, target, row(x.length), options);
        expectNearest(loss, [Precise.sum(0, ...q.map((w, c) => w.times(logs[c]).neg()))], cancelled);
        expectNearest(
          gradient,
          p.map((value, c) => value.times(sum).minus(q[c])),
          cancelled,
        );
      }),
      { numRuns: 40 },
    );
  });
});

test('a factor of all weights, of any size, cancels in the mean over class indices and multiplies every other loss', () => {
  const x = [1, 2, 0, -1, 0.5, 3];
  const rows = { outer: 2, classes: 3, inner: 1 };
  for (const [kind, values] of [
    ['indices', [1, 0]],
    ['probabilities', [0.25, 0.5, 0.25, 0, 0.75, 0.5]],
  ] as const)
    for (const reduction of ['mean', 'sum', 'none'] as const)
      for (const factor of [2 ** -1000, 2 ** -700, 2 ** -20, 2 ** 20, 2 ** 700, 2 ** 1000]) {
        const of = (each: number) => {
          const weight = [0.5 * each, -0.75 * each, 0.25 * each];
          const { loss, gradient } = referenceCrossEntropy(x, { kind, values }, rows, { weight, reduction });
          return [...loss, ...gradient];
        };
        const scale = kind === 'indices' && reduction === 'mean' ? 1 : factor;
        const expected = of(1).map((value) => exact(value * scale));
        expectNearest(of(factor), expected);
      }
});

describe('special values', () => {
  const { NaN: nan, POSITIVE_INFINITY: infinity, NEGATIVE_INFINITY: minus } = Number;

  test('−Infinity has probability 0; rows with NaN, +Infinity or only −Infinity are NaN', () => {
    expect(Array.from(reference.softmax([0, minus, 0], row(3)))).toEqual([0.5, 0, 0.5]);
    expect(Array.from(reference.logSoftmax([0, minus], row(2)))).toEqual([0, minus]);
    for (const x of [
      [0, nan],
      [0, infinity],
      [minus, minus],
    ]) {
      expect(Array.from(reference.softmax(x, row(2)))).toEqual([nan, nan]);
      expect(Array.from(reference.logSoftmax(x, row(2)))).toEqual([nan, nan]);
    }
  });

  test('logSumExp of an infinity is that infinity, of nothing −Infinity', () => {
    expect(Array.from(reference.logSumExp([0, infinity], row(2)))).toEqual([infinity]);
    expect(Array.from(reference.logSumExp([minus, minus], row(2)))).toEqual([minus]);
    expect(Array.from(reference.logSumExp([nan, infinity], row(2)))).toEqual([nan]);
    expect(Array.from(reference.logSumExp([], row(0)))).toEqual([minus]);
  });

  test('masked entries have no effect, whatever their logits; a fully masked row is 0', () => {
    const mask = [1, 0, 1];
    expect(Array.from(reference.softmax([2, nan, 2], row(3), { mask }))).toEqual([0.5, 0, 0.5]);
    expect(Array.from(reference.softmax([2, 5, nan], row(3), { mask }))).toEqual([nan, 0, nan]);
    expect(Array.from(reference.softmax([1, 2, 3], row(3), { mask: [0, 0, 0] }))).toEqual([0, 0, 0]);
    expect(Array.from(reference.logSoftmax([1, 2, 3], row(3), { mask: [0, 0, 0] }))).toEqual([minus, minus, minus]);
    expect(Array.from(reference.logSumExp([1, 2, 3], row(3), { mask: [0, 0, 0] }))).toEqual([minus]);
    const direction = [nan, infinity, nan];
    const ofNothing = reference.logSumExpHvp([1, 2, 3], [nan], direction, row(3), { mask: [0, 0, 0] });
    expect(Array.from(ofNothing)).toEqual([0, 0, 0]);
  });

  test.each([
    ['softmaxVjp', (x, g, rows, p) => reference.softmaxVjp(x, g, rows, p)],
    ['softmaxHvp', (x, g, rows, p) => reference.softmaxHvp(x, g, g, rows, p)],
    ['softmaxDoubleBackward', (x, g, rows, p) => reference.softmaxDoubleBackward(x, g, g, rows, p)],
    ['logSoftmaxVjp', (x, g, rows, p) => reference.logSoftmaxVjp(x, g, rows, p)],
    ['logSoftmaxJvp', (x, g, rows, p) => reference.logSoftmaxJvp(x, g, rows, p)],
    ['logSoftmaxHvp', (x, g, rows, p) => reference.logSoftmaxHvp(x, g, g, rows, p)],
    ['logSumExpVjp', (x, _, rows, p) => reference.logSumExpVjp(x, [2], rows, p)],
    ['logSumExpJvp', (x, g, rows, p) => reference.logSumExpJvp(x, g, rows, p)],
    ['logSumExpHvp', (x, g, rows, p) => reference.logSumExpHvp(x, [2], g, rows, p)],
    ['crossEntropyVjp', (x, _, rows, p) => reference.crossEntropyVjp(x, probabilities(x), [2], rows, p)],
    ['crossEntropyJvp', (x, g, rows, p) => reference.crossEntropyJvp(x, probabilities(x), g, rows, p)],
    ['crossEntropyHvp', (x, g, rows, p) => reference.crossEntropyHvp(x, probabilities(x), [2], g, rows, p)],
  ] satisfies readonly (readonly [string, Derivative])[])(
    '%s of a row with a masked entry is that of the row without it, and 0 there, whatever the direction is there',
    (_, derivative) => {
      const smallest = 2 ** -1000;
      const parameters = { temperature: 0.25 };
      const without = [...derivative([0.25, smallest, 0.5], [3, -1, 2], row(3), parameters)];
      for (const x of [0, 0.75, -2]) {
        for (const g of [nan, infinity, minus, 7]) {
          const masked = { ...parameters, mask: [1, 1, 0, 1] };
          const got = [...derivative([0.25, smallest, x, 0.5], [3, -1, g, 2], row(4), masked)];
          expect(got).toEqual(without.length === 1 ? without : [...without.slice(0, 2), 0, without[2]]);
        }
      }
    },
  );

  test('a row whose entries are all masked, and one that is ignored, has derivatives of 0, whatever the directions are', () => {
    const nothing = { mask: [0, 0] };
    const directions = [nan, infinity];
    expect([...reference.logSumExpVjp([1, 2], [nan], row(2), nothing)]).toEqual([0, 0]);
    expect([...reference.logSumExpJvp([1, 2], directions, row(2), nothing)]).toEqual([0]);
    expect([...reference.logSoftmaxVjp([1, 2], directions, row(2), nothing)]).toEqual([0, 0]);
    const ignored = { kind: 'indices' as const, values: [-100] };
    expect([...reference.crossEntropyVjp([1, 2], ignored, [nan], row(2), { reduction: 'none' })]).toEqual([0, 0]);
  });

  test('nothing cancels where a row is nearly one-hot', () => {
    const x = [37.42994775023705, 0];
    const s = reference.softmax(x, row(2));
    expect(s[1]).toBe(5.551115123125776e-17);
    expect(Array.from(reference.logSoftmax(x, row(2)))).toEqual([-5.551115123125776e-17, -37.42994775023705]);
    const target = { kind: 'indices' as const, values: [0] };
    expect(Array.from(referenceCrossEntropy(x, target, row(2)).gradient)).toEqual([
      -5.551115123125776e-17, 5.551115123125776e-17,
    ]);
    const [moved, zeros] = [
      [1, 0],
      [0, 1],
    ];
    expect(Array.from(reference.softmaxHvp(s, moved, moved, row(2)))).toEqual([
      -5.551115123125776e-17, 5.551115123125776e-17,
    ]);
    expect(Array.from(reference.logSumExpHvp(x, [2], zeros, row(2)))).toEqual([
      -1.110223024625155e-16, 1.110223024625155e-16,
    ]);
  });

  test('a quotient by a small temperature that overflows is an infinity', () => {
    for (const [temperature, size] of [
      [1e-212, 1e264],
      [1e-261, 1e250],
      [1e-298, 1e280],
      [1.8e-178, 2.4e149],
    ]) {
      const x = [-4.4 * size, 0.7 * size, 3 * size];
      expect(Array.from(reference.softmax(x, row(3), { temperature }))).toEqual([0, 0, 1]);
      expect(Array.from(reference.logSoftmax(x, row(3), { temperature }))).toEqual([minus, minus, 0]);
      const { loss } = referenceCrossEntropy(x, { kind: 'indices', values: [1] }, row(3), { temperature });
      expect(Array.from(loss)).toEqual([infinity]);
    }
  });

  test('the mean over class indices of classes of weight 0 is NaN and its derivatives 0, unless weights cancel', () => {
    const x = [1, 2, 3, 1];
    const rows = { outer: 2, classes: 2, inner: 1 };
    const target = { kind: 'indices' as const, values: [0, 1] };
    const hvp = (options: object) => Array.from(crossEntropyHvp(x, target, [1.5], [0.5, -1, 2, 1], rows, options));
    for (const options of [
      { weight: [0, 0] },
      { weight: [0, 0], labelSmoothing: 0.1 },
      { weight: [0, 3], labelSmoothing: 0.1, ignoreIndex: 1 },
    ]) {
      const { loss, gradient } = referenceCrossEntropy(x, target, rows, options);
      expect(Array.from(loss)).toEqual([nan]);
      expect([...gradient, ...hvp(options)].map(Math.abs)).toEqual(new Array(8).fill(0));
    }
    const { loss, gradient } = referenceCrossEntropy(x, target, rows, { weight: [1, -1] });
    expect([...loss, ...gradient, ...hvp({ weight: [1, -1] })].filter(Number.isFinite)).toEqual([]);
  });

  test('the mean over rows that are all ignored is NaN, its gradient 0', () => {
    const target = { kind: 'indices' as const, values: [-100] };
    const { loss, gradient } = referenceCrossEntropy([1, 2], target, row(2));
    expect(loss[0]).toBeNaN();
    expect(Array.from(gradient)).toEqual([0, 0]);
  });
});
