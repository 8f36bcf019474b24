import { type Backend, crossEntropy, logSumExp, softmax, tensor } from '@softgrad/core';
import { reference } from '@softgrad/core/conformance';
import { expect, inject, test } from 'vitest';

/** The largest error of each result in ULP of what is attainable: of its terms, after everything has been subtracted that can be exactly. */
export interface TargetAccuracy {
  readonly softmax: number;
  readonly loss: number;
  readonly gradient: number;
  readonly hvp: number;
  /** Of log-sum-exp, with tangents and a temperature whose square is rounded. */
  readonly hvpOfTemperature: number;
}

/** `npm test` has the shortest and the longest. */
const rowLengths = inject('everything') ? [10, 17, 128, 1000] : [10, 1000];
const labelSmoothing = 0.1;
const temperature = 2.87;

/** Logits in ±1 have long sums of similar terms, and in 10⁴ ± 8 small probabilities beside large ones. */
const kinds = [
  { range: 1, offset: 0 },
  { range: 8, offset: 1e4 },
] as const;

/** What is added up to 1 as a target: the same share for every class but one, probabilities of all sizes, and one probability for all. */
const targets = ['smoothed', 'soft', 'uniform'] as const;

type Problem = ReturnType<typeof problemOf>;

function problemOf(classes: number, { range, offset }: (typeof kinds)[number], kind: (typeof targets)[number]) {
  const outer = Math.ceil(4000 / classes);
  let state = classes;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const values = (of: () => number) => Float32Array.from({ length: outer * classes }, of);
  const x = values(() => offset + range * (2 * random() - 1));
  const tangent = values(() => 2 * random() - 1);
  const cotangent = Float32Array.from({ length: outer }, () => 2 * random() - 1);
  const indices = Int32Array.from({ length: outer }, () => Math.floor(random() * classes));
  const shares = Float64Array.from(x, () => (kind === 'uniform' ? 1 : random() ** 3));
  const probabilities = new Float32Array(shares.length);
  for (let row = 0; row < outer; row++) {
    const own = shares.subarray(row * classes, (row + 1) * classes);
    const sum = own.reduce((total, share) => total + share, 0);
    probabilities.set(
      own.map((share) => share / sum),
      row * classes,
    );
  }
  const smoothed = kind === 'smoothed';
  const target = smoothed
    ? ({ kind: 'indices', values: indices } as const)
    : ({ kind: 'probabilities', values: probabilities } as const);
  return {
    name: `${classes} classes, ${offset} ± ${range}, ${kind} target`,
    classes,
    shape: [outer, classes],
    x,
    tangent,
    cotangent,
    target,
    options: { reduction: 'none', ...(smoothed && { labelSmoothing }) } as const,
    weightOf: (i: number) =>
      smoothed
        ? Number(i % classes === indices[Math.floor(i / classes)]) * (1 - labelSmoothing) + labelSmoothing / classes
        : (probabilities[i] ?? Number.NaN),
  };
}

const problems: readonly (() => Problem)[] = rowLengths.flatMap((classes) =>
  kinds.flatMap((kind) => targets.map((target) => () => problemOf(classes, kind, target))),
);

/** The expected results and the size of their terms, for all engines computed once. */
const expectations = new Map<string, ReturnType<typeof expectationOf>>();

function expectationOf({ x, tangent, cotangent, target, options, classes, shape, weightOf }: Problem) {
  const [outer = 0] = shape;
  const rows = { outer, classes, inner: 1 };
  const p = reference.softmax(x, rows);
  const tempered = reference.softmax(x, rows, { temperature });
  return {
    softmax: [p, p],
    loss: pairOf(reference.crossEntropyLoss(x, target, rows, options)),
    gradient: [
      reference.crossEntropyGradient(x, target, rows, options),
      p.map((share, i) => {
        const row = Math.floor(i / classes) * classes;
        const others = share > 0.5 ? sum(p.subarray(row, row + classes)) - share : 1;
        return share + weightOf(i) * others;
      }),
    ],
    hvp: [
      reference.crossEntropyHvp(x, target, cotangent, tangent, rows, options),
      curvatureTerms(p, tangent, cotangent, classes),
    ],
    hvpOfTemperature: [
      reference.logSumExpHvp(x, cotangent, tangent, rows, { temperature }),
      curvatureTerms(tempered, tangent, cotangent, classes).map((size) => size / temperature ** 2),
    ],
  } as const;
}

function pairOf(values: Float64Array) {
  return [values, values] as const;
}

/** `|g| p (|t − o| + Σ p |t − o|)`, o the tangent of a probability above ½. */
function curvatureTerms(p: Float64Array, tangent: Float32Array, cotangent: Float32Array, classes: number) {
  return p.map((share, i) => {
    const row = Math.floor(i / classes);
    const own = p.subarray(row * classes, (row + 1) * classes);
    const top = own.findIndex((other) => other > 0.5);
    const at = (c: number) => tangent[row * classes + c] ?? Number.NaN;
    const origin = top < 0 ? 0 : at(top);
    const mean = own.reduce((total, other, c) => total + other * Math.abs(at(c) - origin), 0);
    return Math.abs(cotangent[row] ?? Number.NaN) * share * (Math.abs(at(i % classes) - origin) + mean);
  });
}

function sum(values: Float64Array): number {
  return values.reduce((total, value) => total + value, 0);
}

/** The largest error in ULP of the terms, NaN if a result is NaN. */
function worstUlp(actual: ArrayLike<number>, [expected, terms]: readonly [Float64Array, Float64Array]): number {
  return expected.reduce((worst, value, i) => {
    const size = Math.max(Math.abs(value), terms[i] ?? Number.NaN);
    return Math.max(worst, Math.abs((actual[i] ?? Number.NaN) - value) / 2 ** (Math.floor(Math.log2(size)) - 23));
  }, 0);
}

async function errorsOf(backend: Backend, problem: Problem): Promise<TargetAccuracy> {
  const { shape, options, target } = problem;
  const expected = expectations.get(problem.name) ?? expectationOf(problem);
  expectations.set(problem.name, expected);
  const x = tensor(problem.x, { shape, backend });
  const tangent = tensor(problem.tangent, { shape, backend });
  const cotangent = tensor(problem.cotangent, { backend });
  const given =
    target.kind === 'indices' ? tensor(target.values, { backend }) : tensor(target.values, { shape, backend });
  const hvp = crossEntropy.hvp(x, given, cotangent, tangent, options);
  return {
    softmax: worstUlp(await softmax(x).data(), expected.softmax),
    loss: worstUlp(await crossEntropy.loss(x, given, options).data(), expected.loss),
    gradient: worstUlp(await crossEntropy.gradient(x, given, options).data(), expected.gradient),
    hvp: worstUlp(await hvp.data(), expected.hvp),
    hvpOfTemperature: worstUlp(
      await logSumExp.hvp(x, cotangent, tangent, { temperature }).data(),
      expected.hvpOfTemperature,
    ),
  };
}

/** @param backendOf gives the backend, which stays open */
export function testTargetAccuracy(title: string, backendOf: () => Promise<Backend>, bounds: TargetAccuracy): void {
  test(`${title}: targets of many classes, and second derivatives, are as accurate as an index and a gradient`, async () => {
    const backend = await backendOf();
    for (const make of problems) {
      const problem = make();
      const errors = await errorsOf(backend, problem);
      for (const op of Object.keys(bounds) as (keyof TargetAccuracy)[]) {
        expect.soft(errors[op], `${op}, ${problem.name}`).toBeLessThanOrEqual(bounds[op]);
      }
    }
  });
}
