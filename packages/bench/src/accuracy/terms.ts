import type { Case } from './case.js';
import { smoothing } from './inputs.js';

/** An entry that the mask keeps: its probability, cotangent or tangent of a first derivative, second direction and weight of the target. */
interface Entry {
  readonly k: number;
  readonly p: number;
  readonly g: number;
  readonly t: number;
  readonly q: number;
}

type Row = readonly Entry[];
type Direction = 'g' | 't';

/**
 * The terms that are left once everything has been subtracted that can be subtracted exactly: the magnitudes that rounding errors of an op are
 * relative to. Probabilities are those of the op's first operand.
 */
export const terms = {
  /** `p (g − ⟨p, g⟩) / T` */
  softmaxProduct: perEntry('softmax', (row, { repeats, parameters: { temperature } }) => {
    const size = centredSize(row, 'g', repeats);
    return (entry) => (entry.p * size(entry)) / temperature;
  }),
  /** `p (a b − ⟨p, a b⟩) / T²` with the centred directions a and b. */
  softmaxHvp: perEntry('softmax', (row, { parameters: { temperature } }) => {
    const [a, b] = [centredSize(row, 'g', 1), centredSize(row, 't', 1)];
    const mean = sum(row, (entry) => entry.p * a(entry) * b(entry));
    return (entry) => (entry.p * (a(entry) * b(entry) + mean)) / temperature ** 2;
  }),
  /** `(h a − g ⟨p, h⟩) / T` with the centred cotangent a and the second direction as h. */
  softmaxDoubleBackward: perEntry('softmax', (row, { parameters: { temperature } }) => {
    const a = centredSize(row, 'g', 1);
    const mean = sum(row, ({ p, t }) => p * Math.abs(t));
    return (entry) => (Math.abs(entry.t) * a(entry) + Math.abs(entry.g) * mean) / temperature;
  }),
  /** `(g − p Σ g) / T`, for a probability above ½ `(g (1 − p) − p Σ_others g) / T`. */
  logSoftmaxVjp: perEntry('logSoftmax', (row, { repeats, parameters: { temperature } }) => {
    const total = repeats * sum(row, ({ g }) => Math.abs(g));
    return (entry) => {
      const { p, g } = entry;
      const size =
        p > 0.5
          ? Math.abs(g) * sum(row, (other) => (other === entry ? 0 : other.p)) + p * (total - Math.abs(g))
          : Math.abs(g) + p * total;
      return size / temperature;
    };
  }),
  /** `(t − ⟨p, t⟩) / T` */
  logSoftmaxJvp: perEntry('logSoftmax', (row, { repeats, parameters: { temperature } }) => {
    const size = centredSize(row, 'g', repeats);
    return (entry) => size(entry) / temperature;
  }),
  /** `Σg p (t − ⟨p, t⟩) / T²` */
  logSoftmaxHvp: perEntry('logSoftmax', (row, { parameters: { temperature } }) => {
    const total = sum(row, ({ g }) => Math.abs(g));
    const size = centredSize(row, 't', 1);
    return (entry) => (total * entry.p * size(entry)) / temperature ** 2;
  }),
  /** `g p (t − ⟨p, t⟩) / T²` with one cotangent for each row, times the sum of the target's weights if there is a target. */
  curvature: (ofTarget: boolean) =>
    perEntry('logits', (row, { rowCotangents, parameters: { temperature } }, r) => {
      const factor = Math.abs(rowCotangents[r] ?? Number.NaN) * (ofTarget ? sum(row, ({ q }) => q) : 1);
      const size = centredSize(row, 'g', 1);
      return (entry) => (factor * entry.p * size(entry)) / temperature ** 2;
    }),
  /** `⟨p, t⟩ / T` */
  mean: perRow(
    'logits',
    (row, { parameters: { temperature } }) => sum(row, ({ p, g }) => p * Math.abs(g)) / temperature,
  ),
  /** `(p Σ q − q) / T`, for a probability above ½ `(p Σ_others q − q (1 − p)) / T`; of a one-hot target the result itself. */
  crossEntropyGradient: perEntry('logits', slopeSize),
  /** The same times a cotangent for each row. */
  crossEntropyVjp: perEntry('logits', (row, input, r) => {
    const size = slopeSize(row, input);
    return (entry) => Math.abs(input.rowCotangents[r] ?? Number.NaN) * size(entry);
  }),
  /** `(Σq ⟨p, t⟩ − ⟨q, t⟩) / T`, after the tangent of a probability above ½ has been subtracted from all. */
  crossEntropyJvp: perRow('logits', (row, { parameters: { temperature } }) => {
    const origin = originOf(row, 'g');
    const total = sum(row, ({ q }) => q);
    return sum(row, ({ p, q, g }) => (total * p + q) * Math.abs(g - origin)) / temperature;
  }),
};

/** What `logSoftmax.jvp` changes by if the tangent of a probability above ½ is subtracted from all: by that tangent times 1 − Σ p. */
export function originOfTangent(input: Case): Float64Array {
  return perEntry('logSoftmax', (row) => {
    const origin = originOf(row, 'g');
    return () => origin;
  })(input);
}

/** What `logSoftmax.hvp` changes by with `t Σ p − ⟨p, t⟩` in place of `t − ⟨p, t⟩`: Σ p is 1 only as far as the log-probabilities are accurate. */
export const undeterminedCurvature = perEntry('logSoftmax', (row, { parameters: { temperature } }) => {
  const total = Math.abs(sum(row, ({ g }) => g));
  const excess = Math.abs(sum(row, ({ p }) => p) - 1);
  const origin = originOf(row, 't');
  return ({ p, t }) => (total * p * Math.abs(t - origin) * excess) / temperature ** 2;
});

/** The size of the terms of the gradient of cross-entropy. */
function slopeSize(row: Row, { targetKind, parameters: { temperature } }: Case): (entry: Entry) => number {
  const total = sum(row, ({ q }) => q);
  return (entry) => {
    const { p, q } = entry;
    // p, or 1 − p at the target.
    if (targetKind === 'indices') return 0;
    const size = p > 0.5 ? p * (total - q) + q * sum(row, (other) => (other === entry ? 0 : other.p)) : p * total + q;
    return size / temperature;
  };
}

/** What is subtracted from all of a row's directions: that of a probability above ½. */
function originOf(row: Row, direction: Direction): number {
  return row.find(({ p }) => p > 0.5)?.[direction] ?? 0;
}

/** The size of the terms of `(v − o) − Σ p (v − o)` over all periods, o the origin of the row. */
function centredSize(row: Row, direction: Direction, repeats: number): (entry: Entry) => number {
  const origin = originOf(row, direction);
  const mean = repeats * sum(row, (entry) => entry.p * Math.abs(entry[direction] - origin));
  return (entry) => Math.abs(entry[direction] - origin) + mean;
}

function sum(row: Row, term: (entry: Entry) => number): number {
  return row.reduce((total, entry) => total + term(entry), 0);
}

/** A number for each entry, from its row; masked entries get 0. */
function perEntry(
  operand: 'softmax' | 'logSoftmax' | 'logits',
  entryOf: (row: Row, input: Case, r: number) => (entry: Entry) => number,
): (input: Case) => Float64Array {
  return (input) => {
    const result = new Float64Array(input.logits.length);
    rowsOf(input, operand).forEach((row, r) => {
      const numberOf = entryOf(row, input, r);
      for (const entry of row) result[entry.k] = numberOf(entry);
    });
    return result;
  };
}

/** A number for each row. */
function perRow(operand: 'logits', numberOf: (row: Row, input: Case) => number): (input: Case) => Float64Array {
  return (input) => Float64Array.from(rowsOf(input, operand), (row) => numberOf(row, input));
}

function rowsOf(input: Case, operand: 'softmax' | 'logSoftmax' | 'logits'): readonly Row[] {
  const { directions, tangents, mask, period, layout, target, softTarget, targetKind } = input;
  const output = input.output(operand === 'logits' ? 'softmax' : operand);
  return Array.from({ length: layout.outer }, (_, r) => {
    const kept = Array.from({ length: period }, (_, c) => r * period + c).filter((k) => mask?.[k] !== 0);
    return kept.map((k): Entry => {
      const value = output[k] ?? Number.NaN;
      const hit = Number(k - r * period === target[r]);
      const q =
        targetKind === 'probabilities'
          ? (softTarget[k] ?? Number.NaN)
          : targetKind === 'smoothed'
            ? (1 - smoothing) * hit + smoothing / kept.length
            : hit;
      return {
        k,
        p: operand === 'logSoftmax' ? Math.exp(value) : value,
        g: directions[k] ?? Number.NaN,
        t: tangents[k] ?? Number.NaN,
        q,
      };
    });
  });
}
