import { describe, expect, test } from 'vitest';
import { type DiagnoseInput, diagnose } from '../src/index.js';
import { softmax } from './attempts.js';
import { normal } from './random.js';

/** Gradients of the cross-entropy whose rows are 0 or have factors of their own. */

const exact = (value: number) => value;
const next = normal(7);
const [n, f] = [8, 5];
const logits = Array.from({ length: n }, () => Array.from({ length: f }, next));
const s = softmax(logits, 1, exact);
const target = [0, 1, 2, 0, 1, 2, 4, 2];
const error = s.map((row, k) => row.map((p, i) => p - (i === target[k] ? 1 : 0)));
const times = (factor: (row: number) => number) => error.map((row, k) => row.map((value) => value * factor(k)));
const without = (rows: readonly number[], factor = 1) => times((row) => (rows.includes(row) ? 0 : factor));

const weight = [0.5, 2, 1, 3, 4];
const weightOf = (row: number) => weight[target[row] ?? 0] ?? 0;
const sumOfWeights = target.reduce((sum, _, row) => sum + weightOf(row), 0);

function idsOf(gradient: readonly (readonly number[])[], more: Partial<DiagnoseInput> = {}): readonly string[] {
  const { verdict, matches } = diagnose({ logits, target, gradient: gradient as number[][], ...more });
  const ids = matches.map(({ id }) => id);
  expect(verdict).toBe(ids.length > 1 ? 'ambiguous' : (ids[0] ?? 'unknown'));
  return ids;
}

/** The largest entry of a row is that of the predicted class. */
const predicted = s.map((row) => row.indexOf(Math.max(...row)));

const rescaled: Readonly<Record<string, (row: number) => number>> = {
  'the index of the row': (row) => row + 1,
  'one over its norm': (row) => 1 / Math.hypot(...(error[row] ?? [])),
  'the weight of the predicted class': (row) => weight[predicted[row] ?? 0] ?? 0,
  'its loss': (row) => -Math.log(s[row]?.[target[row] ?? 0] ?? 0),
  '5 for a row that is counted five times': (row) => (row === 3 ? 5 : 1),
  'advantages of both signs': (row) => Math.sin(row + 1),
  'negative advantages': (row) => -1 - row,
  'class weights but for one row': (row) => (row === 5 ? 1.1 : 1) * weightOf(row),
};

describe('rows times factors that differ within a class', () => {
  test.each(Object.entries(rescaled))('%s', (_, factor) => {
    const gradient = times(factor);
    const both = ['rows-rescaled', 'right'];
    expect(idsOf(gradient)).toEqual(both);
    expect(idsOf(gradient, { layer: 'cross-entropy', reduction: 'mean', ignoreIndex: 3 })).toEqual(both);
    // The weights that are given decide: other factors are wrong.
    expect(idsOf(gradient, { weight: [1, 1, 1, 1, 1] })).toEqual(['rows-rescaled']);
    expect(idsOf(gradient, { upstream: target.map((_label, row) => 1 / (row + 2)) })).toEqual(['rows-rescaled']);
  });

  test('the text says when they are right and when not, and what decides', () => {
    const gradient = times((row) => row + 1);
    const { text, evidence } = diagnose({ logits, target, gradient });
    expect(text).toContain('It is right only if the loss weights the rows');
    expect(text).toContain('\nWhat to write instead, if the loss has all rows and weights none of them\n');
    expect(evidence.notes.join()).toContain(
      'are right where the loss weights the rows on purpose; rows that are rescaled',
    );
    const decided = diagnose({ logits, target, gradient, weight: [1, 1, 1, 1, 1] }).evidence.notes;
    expect(decided).toContain('The class weights that were given are other factors.');
    const upstream = target.map(() => 1);
    expect(diagnose({ logits, target, gradient, upstream }).evidence.notes).toContain(
      'The upstream gradient of the losses that was given has other factors.',
    );
  });

  test('factors that are equal within each class are class weights', () => {
    for (const divisor of [1, n, sumOfWeights]) {
      expect(idsOf(times((row) => weightOf(row) / divisor))).toEqual(['right']);
      expect(
        idsOf(
          times((row) => weightOf(row) / divisor),
          { weight: [1, 1, 1, 1, 1] },
        ),
      ).toEqual(['rows-rescaled']);
    }
    // An upstream gradient of the losses says nothing of the weights of classes.
    const upstream = target.map((_label, row) => row + 1);
    expect(
      idsOf(
        times((row) => (row + 1) * weightOf(row)),
        { upstream },
      ),
    ).toEqual(['right']);
    expect(idsOf(times((row) => -weightOf(row)))).toEqual(['rows-rescaled', 'right']);
  });

  test('if each class has one row, class weights and factors of rows are both named', () => {
    const few = { logits: logits.slice(0, 4), target: [3, 0, 4, 1] };
    const of = (factors: readonly number[], divisor = 1) =>
      few.logits.map((_, k) =>
        (s[k] ?? []).map((p, i) => ((factors[k] ?? 0) * (p - (i === few.target[k] ? 1 : 0))) / divisor),
      );
    const both = ['rows-rescaled', 'right'];
    const byRow = [1, 2, 3, 4];
    for (const divisor of [1, 4]) expect(idsOf(of(byRow, divisor), few)).toEqual(both);
    expect(diagnose({ ...few, gradient: of(byRow) }).evidence.notes.join()).toContain('may be class weights');
    // The weights that are given decide.
    const weights = [2, 4, 1, 7, 3];
    expect(idsOf(of(byRow), { ...few, weight: weights })).toEqual(['rows-rescaled']);
    expect(idsOf(of(few.target.map((label) => weights[label] ?? 0)), { ...few, weight: weights })).toEqual(['right']);
  });

  test('class weights of numbers with few decimals, of which small rows keep one digit', () => {
    const confident = logits.map((row, k) => row.map((value, i) => value + (k === 3 && i === 0 ? 6 : 0)));
    const gradient = softmax(confident, 1, exact).map((row, k) =>
      row.map((p, i) => Number((weightOf(k) * (p - (i === target[k] ? 1 : 0))).toFixed(3))),
    );
    expect(idsOf(gradient, { logits: confident })).toEqual(['right']);
  });

  test('class weights beside an upstream gradient of the losses, of numbers with few decimals', () => {
    for (let seed = 0; seed < 12; seed++) {
      const random = normal(100 * seed + n);
      const confident = Array.from({ length: n }, () => Array.from({ length: f }, () => 5 * random()));
      const upstream = target.map(() => Math.abs(random()) + 0.1);
      const gradient = softmax(confident, 1, exact).map((row, k) =>
        row.map((p, i) => Number(((upstream[k] ?? 0) * weightOf(k) * (p - (i === target[k] ? 1 : 0))).toFixed(3))),
      );
      const known = { logits: confident, target, upstream, gradient };
      expect(diagnose(known).verdict, `${seed}`).not.toBe('rows-rescaled');
    }
  });

  test('a row that the rounding of others would hide', () => {
    const confident = logits.map((row, k) => row.map((value, i) => value + (k === 3 && i === 0 ? 11 : 0)));
    const gradient = softmax(confident, 1, exact).map((row, k) =>
      row.map((p, i) => (k === 3 ? 5 : 1) * weightOf(k) * (p - (i === target[k] ? 1 : 0))),
    );
    expect(idsOf(gradient, { logits: confident })).toEqual(['rows-rescaled', 'right']);
  });
});

describe('rows of zeros', () => {
  test.each([
    ['a loop that ends before the last row', [7]],
    ['a loop over every other row', [0, 2, 4, 6]],
    ['only the first row', [1, 2, 3, 4, 5, 6, 7]],
  ])('%s', (_, rows) => {
    const kept = n - rows.length;
    const mean = without(rows, 1 / kept);
    const ofAll = without(rows, 1 / n);
    const sum = without(rows);
    const skipped = ['rows-skipped', 'right'];
    const leftOut = ['right', 'rows-skipped'];
    expect([idsOf(mean), idsOf(ofAll)]).toEqual([leftOut, skipped]);
    expect(idsOf(sum, { reduction: 'sum' })).toEqual(skipped);
    expect(idsOf(mean, { reduction: 'mean', layer: 'cross-entropy' })).toEqual(leftOut);
    // The reduction that is given has another divisor.
    expect(idsOf(ofAll, { reduction: 'mean' })).toEqual(['rows-skipped']);
    expect(idsOf(ofAll, { reduction: 'sum' })).toEqual(['rows-skipped']);
    if (kept > 1) {
      expect(idsOf(sum, { reduction: 'mean' })).toEqual(['rows-skipped']);
      expect(idsOf(mean, { reduction: 'sum' })).toEqual(['rows-skipped']);
    }
    // No target of these rows is the ignored class that is given.
    for (const gradient of [mean, ofAll, sum]) expect(idsOf(gradient, { ignoreIndex: 3 })).toEqual(['rows-skipped']);
  });

  test('with class weights, the mean divides by the sum of the weights of the rows that are kept', () => {
    const kept = sumOfWeights - weightOf(3);
    const by = (divisor: number) => times((row) => (row === 3 ? 0 : weightOf(row) / divisor));
    expect(idsOf(by(kept), { weight, reduction: 'mean' })).toEqual(['right', 'rows-skipped']);
    for (const divisor of [1, n, n - 1, sumOfWeights]) {
      expect(idsOf(by(divisor), { weight, reduction: 'mean' })).toEqual(['rows-skipped']);
    }
    // A class of weight 0 is left out anyway.
    const none = weight.map((value, label) => (label === 2 ? 0 : value));
    const zero = times((row) => (target[row] === 2 ? 0 : weightOf(row)));
    expect(idsOf(zero, { weight: none, reduction: 'sum' })).toEqual(['right']);
    const other = times((row) => (target[row] === 2 || row === 0 ? 0 : weightOf(row)));
    const { matches } = diagnose({ logits, target, weight: none, reduction: 'sum', gradient: other });
    expect(matches[0]?.formula).toMatch(/, row 0 left out$/);
  });

  test('of the given ignored class, or with −100 in the target, are right', () => {
    expect(idsOf(without([2, 5, 7], 1 / 5), { ignoreIndex: 2, reduction: 'mean' })).toEqual(['right']);
    const ignoring = target.map((label, row) => (row === 7 ? -100 : label));
    expect(idsOf(without([7], 1 / 7), { target: ignoring })).toEqual(['right']);
    const more = without([6, 7], 1 / 6);
    expect(idsOf(more, { target: ignoring })).toEqual(['right', 'rows-skipped']);
    expect(diagnose({ logits, target: ignoring, gradient: more }).matches[0]?.formula).toBe(
      '(s − y, 0 in ignored rows) / 6, row 6 left out',
    );
  });

  test('that printing left of a confident row count in the mean', () => {
    const confident = logits.map((row, k) => row.map((value, i) => value + (k === 3 && i === 0 ? 14 : 0)));
    const gradient = softmax(confident, 1, exact).map((row, k) =>
      row.map((p, i) => (k === 7 ? 0 : Number(((p - (i === target[k] ? 1 : 0)) / 7).toFixed(4)))),
    );
    expect(idsOf(gradient, { logits: confident, reduction: 'mean' })).toEqual(['right', 'rows-skipped']);
  });

  test('the mean of a sigmoid is over the entries of the rows that are kept', () => {
    const y = target.map((label) => Array.from({ length: f }, (_, i) => (i === label ? 1 : 0)));
    const sigma = (value: number) => 1 / (1 + Math.exp(-value));
    const by = (divisor: number) =>
      logits.map((row, k) => row.map((value, i) => (k === 7 ? 0 : (sigma(value) - (y[k]?.[i] ?? 0)) / divisor)));
    const known = { target: y, layer: 'sigmoid', reduction: 'mean' } as const;
    expect(idsOf(by(7 * f), known)).toEqual(['right', 'rows-skipped']);
    expect(idsOf(by(n * f), known)).toEqual(['rows-skipped']);
  });

  test('the text says when they are right and when not, and what decides', () => {
    const gradient = without([7], 1 / n);
    const of = (more: Partial<DiagnoseInput>) => diagnose({ logits, target, gradient, ...more });
    expect(of({}).text).toContain('Zeros are right only in rows that the loss leaves out');
    expect(of({}).text).toContain('\nWhat to write instead, if the loss has all rows and weights none of them\n');
    const notes = (more: Partial<DiagnoseInput>) => of(more).evidence.notes.join('\n');
    const byNumber = 'is over the rows that are not left out: it divides by their number.';
    expect(notes({ reduction: 'mean' })).toContain(byNumber);
    expect(notes({ reduction: 'sum' })).toContain('is not divided by a number of rows.');
    expect(notes({ ignoreIndex: 3 })).toContain('is not the ignored class that was given.');
    expect(of({ reduction: 'mean' }).text).toContain('\nWhat to write instead\n');
  });

  test('after probabilities that are clipped, where that of the target is 0', () => {
    const lost = logits.map((row, k) => row.map((value, i) => value - (k === 2 && i === 2 ? 2000 : 0)));
    const gradient = softmax(lost, 1, exact).map((row, k) =>
      row.map((p, i) => (k === 2 ? 0 : (p - (i === target[k] ? 1 : 0)) / n)),
    );
    expect(idsOf(gradient, { logits: lost })).toEqual(['clipped-probabilities', 'right']);
  });
});

describe('the mean over other rows than those of the loss', () => {
  const of = (gradient: number[][], more: Partial<DiagnoseInput>) => {
    const { verdict, matches, text } = diagnose({ logits, target, gradient, reduction: 'mean', ...more });
    return { verdict, formula: matches[0]?.formula, text };
  };

  test('of class weights divides by the sum of the weights of the targets', () => {
    const { verdict, formula, text } = of(
      times((row) => weightOf(row) / n),
      { weight },
    );
    expect([verdict, formula]).toEqual([
      'class-weights',
      '(s Σy − y, y times the class weights) / n, instead of the sum of the weights of the targets, 12',
    ]);
    expect(text).toContain('The mean divides by the sum of the weights of the targets, Σ w_t');
    expect(
      of(
        times((row) => weightOf(row) / sumOfWeights),
        { weight },
      ).verdict,
    ).toBe('right');
    expect(
      of(
        times((row) => weightOf(row) / n),
        { weight, layer: 'log-softmax' },
      ).verdict,
    ).toBe('class-weights');
  });

  test('of ignored rows divides by the number of the others', () => {
    const ignoring = target.map((label, row) => (row === 7 ? -100 : label));
    const { verdict, formula } = of(without([7], 1 / n), { target: ignoring });
    expect([verdict, formula]).toEqual([
      'ignored-rows',
      '(s − y, 0 in ignored rows) / n, instead of the number of rows that count, 7',
    ]);
    const both = { target: ignoring, weight };
    const kept = of(
      times((row) => (row === 7 ? 0 : weightOf(row) / 7)),
      both,
    );
    expect([kept.verdict, kept.formula]).toEqual([
      'class-weights',
      '(s Σy − y, y times the class weights, 0 in ignored rows) / 7, the rows that count, instead of the sum of the weights of the targets, 11',
    ]);
    expect(
      of(
        times((row) => (row === 7 ? 0 : weightOf(row) / n)),
        both,
      ).verdict,
    ).toBe('class-weights');
  });
});

describe('a target without class 0', () => {
  const from1 = [1, 2, 3, 1, 2, 3, 4, 3];
  const lower = (labels: readonly number[], divisor = 1) =>
    s.map((row, k) => row.map((p, i) => (p - (i === (labels[k] ?? 0) - 1 ? 1 : 0)) / divisor));

  test('may count from 1, and the gradient be right', () => {
    for (const divisor of [1, n]) {
      expect(idsOf(lower(from1, divisor), { target: from1 })).toEqual(['labels-off-by-one', 'right']);
    }
    const { text, matches } = diagnose({ logits, target: from1, gradient: lower(from1, n), layer: 'cross-entropy' });
    expect(matches[1]?.formula).toBe('(s − y, y one class too low) / n, of a target that counts from 1');
    expect(text).toContain('If the target counts from 1, the gradient is right');
    expect(text).toContain('\nWhat to write instead, with a target that counts from 0\n');
  });

  test('only if the labels are one too low, and given as indices', () => {
    const higher = s.map((row, k) => row.map((p, i) => p - (i === ((from1[k] ?? 0) + 1) % f ? 1 : 0)));
    expect(idsOf(higher, { target: from1 })).toEqual(['labels-off-by-one']);
    const hot = from1.map((label) => Array.from({ length: f }, (_, i) => (i === label ? 1 : 0)));
    expect(idsOf(lower(from1), { target: hot })).toEqual(['labels-off-by-one']);
    const withZero = from1.map((label, row) => (row === 3 ? 0 : label));
    const shifted = s.map((row, k) => row.map((p, i) => p - (i === ((withZero[k] ?? 0) + f - 1) % f ? 1 : 0)));
    expect(idsOf(shifted, { target: withZero })).toEqual(['labels-off-by-one']);
  });
});

describe('label smoothing that was not given', () => {
  const smoothed = (rows: number, classes: number, epsilon: number) => {
    const x = logits.slice(0, rows).map((row) => row.slice(0, classes));
    const labels = target.slice(0, rows).map((label) => label % classes);
    const gradient = softmax(x, 1, exact).map((row, k) =>
      row.map((p, i) => p - (i === labels[k] ? 1 - epsilon : 0) - epsilon / classes),
    );
    return { logits: x, target: labels, gradient };
  };
  const verdictOf = (rows: number, classes: number) => diagnose(smoothed(rows, classes, 0.3)).verdict;

  test('is found if the numbers are more than the one that determines it', () => {
    expect([verdictOf(1, 5), verdictOf(1, 4), verdictOf(1, 3), verdictOf(2, 2), verdictOf(4, 2)]).toEqual(
      Array.from({ length: 5 }, () => 'right'),
    );
    // Every row of two numbers that add up to 0 is a multiple of s − y.
    expect(verdictOf(1, 2)).toBe('ambiguous');
  });

  test('of so few numbers only in full precision', () => {
    const { gradient, ...known } = smoothed(1, 4, 0.3);
    const printed = gradient.map((row) => row.map((value) => Number(value.toFixed(4))));
    expect(diagnose({ ...known, gradient: printed }).verdict).toBe('unknown');
    const float32 = gradient.map((row) => row.map(Math.fround));
    expect(diagnose({ ...known, gradient: float32 }).verdict).toBe('right');
  });
});
