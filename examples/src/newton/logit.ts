import { Matrix } from 'ml-matrix';
import { type Backend, crossEntropy, softmax, type Tensor, tensor } from 'softgrad';

/** Rows to learn from: their predictors, the first of which is 1, and their classes. */
export interface Observations {
  readonly predictors: Matrix;
  readonly classes: readonly number[];
  readonly classCount: number;
}

/** The loss at some weights, and its gradient with respect to them, flat in row-major order. */
export interface Slope {
  readonly loss: number;
  readonly gradient: readonly number[];
}

/**
 * The multinomial logit model, softmax regression: the probabilities of a row's classes are softmax([x W, 0]). The weights W, of shape
 * (predictors, classes − 1), compare each class with the last one, whose logit is 0, since softmax does not change if a constant is added to its logits.
 */
export class LogitModel {
  readonly #backend: Backend;
  readonly #observations: Observations;

  constructor(backend: Backend, observations: Observations) {
    this.#backend = backend;
    this.#observations = observations;
  }

  /** Weights at which all classes are equally probable. */
  get start(): Matrix {
    return Matrix.zeros(this.#observations.predictors.columns, this.#observations.classCount - 1);
  }

  /** The summed cross-entropy and its gradient Xᵀ (softmax − y), from one pass over the logits. */
  async slope(weights: Matrix): Promise<Slope> {
    using x = this.#logits(weights);
    const outputs = crossEntropy(x, this.#observations.classes, { reduction: 'sum' });
    using loss = outputs.loss;
    using gradient = outputs.gradient;
    return { loss: await loss.array(), gradient: await this.#ofWeights(gradient) };
  }

  /**
   * The Hessian Xᵀ H X of the summed cross-entropy, flat in the order of the gradient. Logits are linear in the weights, so the logits of one
   * weight alone are their tangent along it, and `crossEntropy.hvp` multiplies it by H.
   */
  async hessian(weights: Matrix): Promise<Matrix> {
    using x = this.#logits(weights);
    const columns: number[][] = [];
    for (let k = 0; k < weights.rows * weights.columns; k++) {
      const one = Matrix.zeros(weights.rows, weights.columns);
      one.set(Math.floor(k / weights.columns), k % weights.columns, 1);
      using tangent = this.#logits(one);
      using product = crossEntropy.hvp(x, this.#observations.classes, 1, tangent, { reduction: 'sum' });
      columns.push(await this.#ofWeights(product));
    }
    return new Matrix(columns);
  }

  /** The probability of each class for other predictors. */
  async predict(weights: Matrix, predictors: Matrix): Promise<readonly (readonly number[])[]> {
    using x = this.#logits(weights, predictors);
    using s = softmax(x);
    return s.array();
  }

  #logits(weights: Matrix, predictors = this.#observations.predictors) {
    const rows = predictors.mmul(weights).to2DArray();
    return tensor(
      rows.map((row) => [...row, 0]),
      { dtype: 'float64', backend: this.#backend },
    );
  }

  /** Takes derivatives with respect to the logits to those with respect to the weights. */
  async #ofWeights(slopes: Tensor): Promise<number[]> {
    const { predictors, classCount } = this.#observations;
    const rows = Matrix.from1DArray(predictors.rows, classCount, Array.from(await slopes.data()));
    const all = predictors.transpose().mmul(rows);
    return all.subMatrix(0, all.rows - 1, 0, all.columns - 2).to1DArray();
  }
}
