import { type Backend, crossEntropy, relu, sigmoid, softmax, type Tensor, tensor } from 'softgrad';
import { entry } from '../entry.js';
import { type Digits, pixelsPerDigit, randomFrom } from './data.js';
import { multiply, multiplyByTransposed, multiplyTransposed } from './matmul.js';

/** What stands for "the derivative of softmax" in the backward pass. */
export type Derivative = 'fused' | 'vjp' | 'row-sum' | 'diagonal';
export type Activation = 'sigmoid' | 'relu';

const hidden = 64;
const classes = 10;

/** A network of 784–64–10 units whose weights live on the host; softmax, its derivatives and the activation run on a backend. */
export interface Network {
  /** One step of gradient descent on a batch; resolves to its mean loss. */
  step(batch: Digits, learningRate: number): Promise<number>;
  /** Mean loss and the share of digits that are recognised. */
  evaluate(digits: Digits): Promise<{ readonly loss: number; readonly accuracy: number }>;
}

export function network(backend: Backend, derivative: Derivative, activationName: Activation): Network {
  const activation = activationName === 'relu' ? relu : sigmoid;
  const weights1 = initial(pixelsPerDigit, hidden, 11);
  const weights2 = initial(hidden, classes, 12);
  const bias1 = new Float32Array(hidden);
  const bias2 = new Float32Array(classes);

  const forward = async ({ count, pixels }: Digits) => {
    const before = new Float32Array(count * hidden);
    multiply(before, pixels, weights1, count, pixelsPerDigit, hidden);
    addBias(before, bias1);
    using x = tensor(before, { shape: [count, hidden], backend });
    const activated = activation(x);
    const hiddenValues = await activated.data();
    const scores = new Float32Array(count * classes);
    multiply(scores, hiddenValues, weights2, count, hidden, classes);
    addBias(scores, bias2);
    return { activated, hiddenValues, logits: tensor(scores, { shape: [count, classes], backend }) };
  };

  return {
    async step(batch, learningRate) {
      const { count, pixels, labels } = batch;
      const { activated, hiddenValues, logits } = await forward(batch);
      const { loss, slope } = await backward(logits, labels, derivative);
      const delta2 = await slope.data();
      const lossValue = entry(await loss.data(), 0);

      const delta1 = new Float32Array(count * hidden);
      multiplyByTransposed(delta1, delta2, weights2, count, classes, hidden);
      using upstream = tensor(delta1, { shape: [count, hidden], backend });
      using throughActivation = activation.vjp(activated, upstream);
      const deltaBefore = await throughActivation.data();

      const change2 = new Float32Array(weights2.length);
      multiplyTransposed(change2, hiddenValues, delta2, count, hidden, classes);
      const change1 = new Float32Array(weights1.length);
      multiplyTransposed(change1, pixels, deltaBefore, count, pixelsPerDigit, hidden);
      descend(weights2, change2, learningRate);
      descend(weights1, change1, learningRate);
      descend(bias2, columnSums(delta2, classes), learningRate);
      descend(bias1, columnSums(deltaBefore, hidden), learningRate);
      for (const used of [activated, logits, loss, slope]) used.dispose();
      return lossValue;
    },

    async evaluate(digits) {
      const { activated, logits } = await forward(digits);
      const loss = crossEntropy.loss(logits, digits.labels);
      const scores = await logits.data();
      const lossValue = entry(await loss.data(), 0);
      for (const used of [activated, logits, loss]) used.dispose();
      let right = 0;
      for (const [k, label] of digits.labels.entries()) {
        if (largest(scores.subarray(k * classes, (k + 1) * classes)) === label) right++;
      }
      return { loss: lossValue, accuracy: right / digits.count };
    },
  };
}

/** The loss, and its slope with respect to the logits as the chosen "derivative" has it. */
async function backward(
  logits: Tensor<'float32'>,
  labels: Int32Array,
  derivative: Derivative,
): Promise<{ readonly loss: Tensor<'float32'>; readonly slope: Tensor<'float32'> }> {
  if (derivative === 'fused') {
    const { loss, gradient } = crossEntropy(logits, labels);
    return { loss, slope: gradient };
  }
  const loss = crossEntropy.loss(logits, labels);
  using s = softmax(logits);
  const upstream = upstreamOfCrossEntropy(await s.data(), labels);
  const like = { shape: s.shape, backend: s.backend };
  switch (derivative) {
    case 'vjp': {
      using g = tensor(upstream, like);
      return { loss, slope: softmax.vjp(s, g) };
    }
    case 'row-sum': {
      // What the question computed: the rows of the Jacobian summed up, which is softmax's vjp at a cotangent of ones: 0.
      using jacobians = softmax.jacobian(s);
      return { loss, slope: tensor(times(rowSums(await jacobians.data()), upstream), like) };
    }
    case 'diagonal': {
      const operator = softmax.linearize(logits);
      using diagonal = operator.diagonal();
      operator.value.dispose();
      return { loss, slope: tensor(times(await diagonal.data(), upstream), like) };
    }
  }
}

/** ∂L/∂s of the mean cross-entropy: −1/s at the label, 0 elsewhere. */
function upstreamOfCrossEntropy(probabilities: ArrayLike<number>, labels: Int32Array): Float32Array {
  const upstream = new Float32Array(probabilities.length);
  for (const [k, label] of labels.entries()) {
    const at = k * classes + label;
    upstream[at] = -1 / (Math.max(entry(probabilities, at), 2 ** -100) * labels.length);
  }
  return upstream;
}

function rowSums(jacobians: ArrayLike<number>): Float32Array {
  return Float32Array.from({ length: jacobians.length / classes }, (_, row) => {
    let sum = 0;
    for (let c = 0; c < classes; c++) sum += entry(jacobians, row * classes + c);
    return sum;
  });
}

function times(a: ArrayLike<number>, b: Float32Array): Float32Array {
  return b.map((value, k) => value * entry(a, k));
}

/** Uniform in ±√(6/(in + out)) (Glorot and Bengio, 2010), from a seed. */
function initial(inputs: number, outputs: number, seed: number): Float32Array {
  const random = randomFrom(seed);
  const limit = Math.sqrt(6 / (inputs + outputs));
  return Float32Array.from({ length: inputs * outputs }, () => (2 * random() - 1) * limit);
}

function addBias(values: Float32Array, bias: Float32Array): void {
  for (const [k, value] of values.entries()) values[k] = value + entry(bias, k % bias.length);
}

function columnSums(values: Float32Array, columns: number): Float32Array {
  const sums = new Float32Array(columns);
  for (const [k, value] of values.entries()) sums[k % columns] = entry(sums, k % columns) + value;
  return sums;
}

function descend(parameters: Float32Array, gradient: Float32Array, learningRate: number): void {
  for (const [k, value] of parameters.entries()) parameters[k] = value - learningRate * entry(gradient, k);
}

/** The class of the largest score. */
function largest(scores: Float32Array): number {
  return scores.indexOf(Math.max(...scores));
}
