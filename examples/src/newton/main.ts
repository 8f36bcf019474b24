import Table from 'cli-table3';
import { EigenvalueDecomposition, inverse, Matrix, solve } from 'ml-matrix';
import { chooseBackend } from '../backend.js';
import { command } from '../command-line.js';
import { entry } from '../entry.js';
import { writeCurves } from '../write-curves.js';
import { eaten, foods, lengths, published } from './alligators.js';
import { LogitModel, type Slope } from './logit.js';

const help = `What 59 alligators eat, by their length: softmax regression fitted by Newton's method, with standard errors.

Each step solves H Δ = −∇ with the Hessian H of the loss, from crossEntropy.hvp. The inverse of H at the
minimum is the covariance of the estimates. Both are compared with those of a textbook, and the number of
steps with that of gradient descent.

  --svg FILE        draw the probabilities of the foods by length there
  --backend NAME    one with float64: cpu or wasm (default: wasm where it runs, else cpu)
`;

const taken = { svg: { type: 'string' }, backend: { type: 'string' } } as const;

/** Both methods stop where no partial derivative of the loss is larger. */
const smallest = 1e-9;

await command(help, taken, async ({ backend: name, svg }) => {
  // The package that draws is only loaded for those who want a picture, and before anything is computed.
  const draw = svg === undefined ? undefined : (await import('./curves.js')).curves;
  const backend = await chooseBackend(name);
  const predictors = new Matrix(lengths.map((length) => [1, length]));
  const model = new LogitModel(backend, { predictors, classes: eaten, classCount: foods.length });
  console.log(`${lengths.length} alligators that ate ${foods.join(', ')}; on ${backend.name}, in float64\n`);

  console.log('Newton’s method');
  const newton = await minimise(
    model,
    async (weights, { gradient }) => solve(await model.hessian(weights), Matrix.columnVector(gradient)),
    console.log,
  );
  const hessian = await model.hessian(newton.weights);
  const values = new EigenvalueDecomposition(hessian, { assumeSymmetric: true }).realEigenvalues;
  // The constant rate with which gradient descent takes the fewest steps near the minimum.
  const rate = 2 / (Math.min(...values) + Math.max(...values));
  const descent = await minimise(model, (_, { gradient }) => Matrix.columnVector(gradient).mul(rate));
  console.log(`Gradient descent at its best constant rate takes ${descent.steps} steps to the same minimum.\n`);

  console.log(estimates(newton.weights, hessian));
  if (svg !== undefined && draw) {
    const along = Array.from({ length: 57 }, (_, k) => 1.2 + k * 0.05);
    const rows = await model.predict(newton.weights, new Matrix(along.map((length) => [1, length])));
    writeCurves(svg, draw(along, rows));
  }
  await backend.close();
});

/** Steps along `direction` from weights of 0, at which all classes are equally probable. */
async function minimise(
  model: LogitModel,
  direction: (weights: Matrix, slope: Slope) => Matrix | Promise<Matrix>,
  report?: (line: string) => void,
): Promise<{ readonly weights: Matrix; readonly steps: number }> {
  let weights = model.start;
  for (let steps = 0; ; steps++) {
    const slope = await model.slope(weights);
    const largest = Math.max(...slope.gradient.map(Math.abs));
    report?.(`  step ${steps}  loss ${slope.loss.toFixed(12)}  largest partial derivative ${largest.toExponential(1)}`);
    if (largest <= smallest) return { weights, steps };
    const step = await direction(weights, slope);
    weights = Matrix.sub(weights, Matrix.from1DArray(weights.rows, weights.columns, step.to1DArray()));
  }
}

/** A table of the estimates and their standard errors, beside those of the textbook. */
function estimates(weights: Matrix, hessian: Matrix): string {
  const covariance = inverse(hessian);
  const table = new Table({
    head: ['logit', 'estimate', 'standard error', 'in the textbook'],
    style: { head: [], border: [] },
  });
  for (const [food, terms] of published.entries()) {
    for (const [term, [value, error]] of terms.entries()) {
      const flat = term * weights.columns + food;
      table.push([
        `${entry(foods, food)} / ${foods.at(-1)}: ${term === 0 ? 'intercept' : 'per metre'}`,
        weights.get(term, food).toFixed(4),
        Math.sqrt(covariance.get(flat, flat)).toFixed(4),
        `${value.toFixed(4)} ± ${error.toFixed(4)}`,
      ]);
    }
  }
  return table.toString();
}
