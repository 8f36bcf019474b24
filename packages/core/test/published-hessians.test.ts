import { inverse, Matrix } from 'ml-matrix';
import { describe, expect, test } from 'vitest';
import { withoutKernels } from '../conformance/counted.js';
import { exact } from '../conformance/index.js';
import {
  type Backend,
  crossEntropy,
  logSoftmax,
  logSumExp,
  sigmoid,
  softmax,
  type Tensor,
  tensor,
} from '../src/index.js';

/**
 * Second derivatives against published statistics. The Hessian of the cross-entropy of a multinomial logit model, Xᵀ H X with H from
 * `hvp` and the predictors X, is the observed information: its inverse is the covariance of the estimates, which statistical packages print. The
 * standard errors of marginal effects (delta method) depend on the derivative of p (1 − p), the second derivative of sigmoid and softmax.
 */

/** L. Spector, M. Mazzeo, "Probit analysis and economic education" (1980): GPA, TUCE, PSI and the grade (1 = A) of 32 students. */
const students = `
  2.66 20 0 0, 2.89 22 0 0, 3.28 24 0 0, 2.92 12 0 0, 4.00 21 0 1, 2.86 17 0 0, 2.76 17 0 0, 2.87 21 0 0,
  3.03 25 0 0, 3.92 29 0 1, 2.63 20 0 0, 3.32 23 0 0, 3.57 23 0 0, 3.26 25 0 1, 3.53 26 0 0, 2.74 19 0 0,
  2.75 25 0 0, 2.83 19 0 0, 3.12 23 1 0, 3.16 25 1 1, 2.06 22 1 0, 3.62 28 1 1, 2.89 14 1 0, 3.51 26 1 0,
  3.54 24 1 1, 2.83 27 1 1, 3.39 17 1 1, 2.67 24 1 0, 3.65 21 1 1, 4.00 23 1 1, 3.10 21 1 0, 2.39 19 1 1`
  .split(',')
  .map((row) => row.trim().split(' ').map(Number));

/** Printed by Stata 11; statsmodels compares with it in statsmodels/discrete/tests/results/results_discrete.py, `Spector.logit`. */
const stata = {
  estimates: [2.82611297201, 0.0951576702557, 2.37868772835, -13.0213483201],
  covariance: [
    [1.59502033639, -0.036920566629, 0.427615725153, -4.57347950298],
    [-0.036920566629, 0.0200375937069, 0.0149126464275, -0.346255757562],
    [0.427615725153, 0.0149126464275, 1.13329715236, -2.35916128427],
    [-4.57347950298, -0.346255757562, -2.35916128427, 24.3179625937],
  ],
  /** Mean over the students of ∂p/∂x for the first three predictors, and its standard errors. */
  marginalEffects: [0.36258084688424, 0.01220841099085, 0.30517768382304],
  marginalErrors: [0.1094412, 0.0177942, 0.0923796],
};

/** A. Agresti, "An Introduction to Categorical Data Analysis", 2nd edition (2007), tables 6.1 and 6.2: lengths and food of 59 alligators. */
const alligators = {
  lengths: `
    1.24 1.30 1.30 1.32 1.32 1.40 1.42 1.42 1.45 1.45 1.47 1.47 1.50 1.52 1.55 1.60 1.63 1.65 1.65 1.65
    1.65 1.68 1.70 1.73 1.78 1.78 1.78 1.80 1.80 1.85 1.88 1.93 1.98 2.03 2.03 2.16 2.26 2.31 2.31 2.36
    2.36 2.39 2.41 2.44 2.46 2.56 2.67 2.72 2.79 2.84 3.25 3.28 3.33 3.56 3.58 3.66 3.68 3.71 3.89`
    .trim()
    .split(/\s+/)
    .map(Number),
  /** Fish, invertebrates, or other, the baseline. */
  food: 'IIIFFFIFIOIFIIIIIOIFFFIOIIOIFFIIIFFFFFFFFFFFFOFIFFOOFFFFOFF',
  estimates: [
    [1.6177, -0.1101],
    [5.6974, -2.4654],
  ],
  standardErrors: [
    [1.3073, 0.5171],
    [1.7938, 0.8997],
  ],
};

type Rows = readonly (readonly number[])[];

/** A multinomial logit model whose last class is the baseline: its logits are 0. */
interface Model {
  readonly predictors: Rows;
  /** Estimates of each class but the last. */
  readonly estimates: Rows;
  readonly targets: readonly number[];
}

/** Stata keeps the grades in single precision. */
const grades: Model = {
  predictors: students.map(([gpa, tuce, psi]) => [Math.fround(gpa), tuce, psi, 1]),
  estimates: [stata.estimates],
  targets: students.map(([, , , grade]) => 1 - grade),
};

const food: Model = {
  predictors: alligators.lengths.map((length) => [1, length]),
  estimates: alligators.estimates,
  targets: [...alligators.food].map((letter) => 'FIO'.indexOf(letter)),
};

/** The product of the Hessian of the summed loss with a tangent of the logits. */
type HessianProduct = (logits: Tensor<'float64'>, targets: readonly number[], tangent: Tensor<'float64'>) => Tensor;

const oneHot = (targets: readonly number[], classes: number, on: number): number[] =>
  targets.flatMap((target) => Array.from({ length: classes }, (_, k) => (k === target ? on : 0)));

const hessianProducts: Record<string, HessianProduct> = {
  'crossEntropy.hvp': (logits, targets, tangent) =>
    crossEntropy.hvp(logits, [...targets], 1, tangent, { reduction: 'sum' }),
  'logSumExp.hvp': (logits, targets, tangent) =>
    logSumExp.hvp(
      logits,
      tensor(
        Float64Array.from(targets, () => 1),
        { backend: logits.backend },
      ),
      tangent,
    ),
  'logSoftmax.hvp': (logits, targets, tangent) => {
    const { shape, backend } = logits;
    const cotangent = tensor(Float64Array.from(oneHot(targets, shape[1], -1)), { shape, backend });
    return logSoftmax.hvp(logSoftmax(logits), cotangent, tangent);
  },
};

const float = (values: readonly number[], shape: readonly number[], backend: Backend) =>
  tensor(Float64Array.from(values), { shape, backend });

const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, v, k) => sum + v * b[k], 0);

const logitsOf = ({ predictors, estimates }: Model): number[] =>
  predictors.flatMap((x) => [...estimates.map((beta) => dot(x, beta)), 0]);

/** The covariance of the estimates, ordered by class and predictor. */
async function covariance(model: Model, product: HessianProduct, backend: Backend): Promise<Rows> {
  const { predictors, estimates, targets } = model;
  const classes = estimates.length + 1;
  const shape = [predictors.length, classes];
  const logits = float(logitsOf(model), shape, backend);
  const width = predictors[0].length;
  const columns: number[][] = [];
  for (let k = 0; k < estimates.length; k++) {
    for (let j = 0; j < width; j++) {
      const tangent = predictors.flatMap((x) => Array.from({ length: classes }, (_, c) => (c === k ? x[j] : 0)));
      const slopes = await product(logits, targets, float(tangent, shape, backend)).data();
      const column = estimates.flatMap((_, c) =>
        predictors[0].map((_, i) => predictors.reduce((sum, x, row) => sum + x[i] * slopes[row * classes + c], 0)),
      );
      columns.push(column);
    }
  }
  return inverse(new Matrix(columns)).to2DArray();
}

/** p and the derivative of p (1 − p) at each logit z. */
type SecondDerivative = (z: readonly number[], backend: Backend) => Promise<readonly [ArrayLike<number>, number[]]>;

const secondDerivatives: Record<string, SecondDerivative> = {
  async 'sigmoid.hvp'(z, backend) {
    const y = sigmoid(float(z, [z.length], backend));
    const ones = float(
      z.map(() => 1),
      [z.length],
      backend,
    );
    return [await y.data(), [...(await sigmoid.hvp(y, ones, ones).data())]];
  },
  async 'softmax.hvp'(z, backend) {
    const shape = [z.length, 2];
    const pairs = (first: number) =>
      float(
        z.flatMap(() => [first, 0]),
        shape,
        backend,
      );
    const s = softmax(
      float(
        z.flatMap((v) => [v, 0]),
        shape,
        backend,
      ),
    );
    const isFirst = (_: number, k: number) => k % 2 === 0;
    const slopes = await softmax.hvp(s, pairs(1), pairs(1)).data();
    return [(await s.data()).filter(isFirst), [...slopes].filter(isFirst)];
  },
};

const ways = [
  { way: 'fused', of: (backend: Backend) => backend },
  { way: 'composed', of: withoutKernels },
];

describe.each(ways)('$way', ({ of }) => {
  describe.each(Object.entries(hessianProducts))('%s gives', (_, product) => {
    test('the covariance of a logit model that Stata prints', async () => {
      const actual = await covariance(grades, product, of((await exact.open()) as Backend));
      actual.forEach((row, i) => {
        row.forEach((v, k) => {
          // The estimates have 12 digits.
          expect(Math.abs(v / stata.covariance[i][k] - 1)).toBeLessThan(1e-9);
        });
      });
    });

    test('the standard errors of a multinomial logit model in a textbook', async () => {
      const actual = await covariance(food, product, of((await exact.open()) as Backend));
      const errors = actual.map((row, i) => Math.sqrt(row[i]));
      alligators.standardErrors.flat().forEach((published, i) => {
        expect(Math.abs(errors[i] - published)).toBeLessThan(1e-4);
      });
    });
  });

  test.each(Object.entries(secondDerivatives))(
    '%s gives the standard errors of marginal effects that Stata prints',
    async (_, derivative) => {
      const { predictors, estimates } = grades;
      const [beta] = estimates;
      const [p, slopes] = await derivative(
        predictors.map((x) => dot(x, beta)),
        of((await exact.open()) as Backend),
      );
      const mean = (term: (row: number) => number): number =>
        predictors.reduce((sum, _, row) => sum + term(row), 0) / predictors.length;
      const density = mean((row) => p[row] * (1 - p[row]));
      stata.marginalErrors.forEach((published, j) => {
        // Stata differentiates numerically here.
        expect(Math.abs(density * beta[j] - stata.marginalEffects[j])).toBeLessThan(1e-8);
        const jacobian = beta.map((_, i) => {
          const curvature = mean((row) => slopes[row] * predictors[row][i]);
          return curvature * beta[j] + (i === j ? density : 0);
        });
        const variance = dot(
          jacobian,
          stata.covariance.map((row) => dot(row, jacobian)),
        );
        expect(Math.abs(Math.sqrt(variance) - published)).toBeLessThan(1e-7);
      });
    },
  );
});
