import { scope, softmax, type Tensor } from '@softgrad/core';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { type EngineName, type TfjsBackend, tfjs } from '../src/index.js';
import { expectClose } from './engines.js';
import { held } from './leaks.js';

export function testTraining(engine: EngineName): void {
  test(`a tfjs model on engine ${engine} learns through our vjp in tf.customGrad, and not through row sums`, async () => {
    const backend = await tfjs.open({ engine });
    await tf.setBackend(engine);
    const before = held(engine);
    expect(await trained(backend, true)).toBeGreaterThan(0.9);
    expect(await trained(backend, false)).toBeLessThan(0.6);
    expect(held(engine)).toEqual(before);
    await backend.close();
  });
}

/** The second derivatives of Σ w softmax(x)², in which the cotangent depends on the logits as well. */
export function testSecondDerivatives(engine: EngineName): void {
  test(`tf.grad(tf.grad(…)) on engine ${engine} goes through our vjp and its own derivatives`, async () => {
    const backend = await tfjs.open({ engine });
    await tf.setBackend(engine);
    const before = held(engine);
    const [x, weights, along] = [
      [0.3, -1.2, 2, 0.7],
      [1, -2, 0.5, 3],
      [-1, 0.5, 2, 1],
    ].map((values) => tf.tensor2d([values, values.toReversed()]));
    const f = twiceDifferentiable(backend);
    const first = tf.grad((z: tf.Tensor) => tf.sum(tf.mul(tf.square(f(z)), weights)));
    const second = tf.grad((z: tf.Tensor) => tf.sum(tf.mul(first(z), along)))(x);
    // softmax.hvp with the cotangent 2 w s held constant, plus the vjp of the change of the cotangent, 2 w jvp(s, t).
    const expected = tf.tidy(() => {
      const theirs = (body: () => Tensor) => scope(() => backend.toTf(body()));
      const s = theirs(() => softmax(backend.fromTf(x)));
      const g = tf.mul(tf.mul(weights, 2), s);
      const changed = tf.mul(
        tf.mul(weights, 2),
        theirs(() => softmax.jvp(backend.fromTf(s), backend.fromTf(along))),
      );
      const curvature = theirs(() => softmax.hvp(backend.fromTf(s), backend.fromTf(g), backend.fromTf(along)));
      return tf.add(
        curvature,
        theirs(() => softmax.vjp(backend.fromTf(s), backend.fromTf(changed))),
      );
    });
    expectClose(await second.data(), [...(await expected.data())], 1e-5);
    tf.dispose([x, weights, along, second, expected]);
    expect(held(engine)).toEqual(before);
    await backend.close();
  });
}

type Operands = (tf.Tensor | tf.GradSaveFunc)[];

/** Our softmax with our vjp, which is differentiable by our second derivatives. */
function twiceDifferentiable(backend: TfjsBackend): (x: tf.Tensor) => tf.Tensor {
  const run = (body: () => Tensor): tf.Tensor => scope(() => backend.toTf(body()));
  const from = (x: Operands[number]) => backend.fromTf(x as tf.Tensor);
  const vjp = tf.customGrad((...[probabilities, cotangent, save]: Operands) => {
    (save as tf.GradSaveFunc)([probabilities as tf.Tensor, cotangent as tf.Tensor]);
    const gradFunc = (upstream: tf.Tensor, [s, dy]: tf.Tensor[]) => [
      run(() => softmax.doubleBackward(from(s), from(dy), from(upstream))),
      run(() => softmax.vjp(from(s), from(upstream))),
    ];
    return { value: run(() => softmax.vjp(from(probabilities), from(cotangent))), gradFunc };
  });
  // Save x instead of the output: tfjs finds no path from x to a saved output, because its node precedes the node of the operation.
  const f: (x: tf.Tensor) => tf.Tensor = tf.customGrad((...[x, save]: Operands) => {
    (save as tf.GradSaveFunc)([x as tf.Tensor]);
    return { value: run(() => softmax(from(x))), gradFunc: (dy: tf.Tensor, [z]: tf.Tensor[]) => vjp(f(z), dy) };
  });
  return f;
}

/** softmax over the last axis as a tfjs operation, with our forward pass; its gradient is our vjp, or the row sums of the Jacobian. */
function softmaxOf(backend: TfjsBackend, right: boolean): (x: tf.Tensor) => tf.Tensor {
  return tf.customGrad((x, save) => {
    const logits = backend.fromTf(x as tf.Tensor);
    const s = softmax(logits);
    const value = backend.toTf(s);
    (save as tf.GradSaveFunc)([value]);
    for (const own of [logits, s]) own.dispose();
    const gradFunc = (dy: tf.Tensor, [saved]: tf.Tensor[]) => {
      const probabilities = backend.fromTf(saved);
      const cotangent = backend.fromTf(right ? dy : tf.onesLike(dy));
      const gradient = softmax.vjp(probabilities, cotangent);
      const result = backend.toTf(gradient);
      for (const own of [probabilities, cotangent, gradient]) own.dispose();
      return result;
    };
    return { value, gradFunc };
  });
}

/** The accuracy after 10 steps of a linear model that classifies points around a circle into three classes. */
async function trained(backend: TfjsBackend, right: boolean): Promise<number> {
  const count = 60;
  const labels = Array.from({ length: count }, (_, i) => i % 3);
  const points = labels.map((label, i) => {
    const angle = (2 * Math.PI * label) / 3 + Math.sin(i) / 3;
    return [Math.cos(angle), Math.sin(angle)];
  });
  const x = tf.tensor2d(points);
  const target = tf.tidy(() => tf.cast(tf.oneHot(tf.tensor1d(labels, 'int32'), 3), 'float32'));
  const weights = tf.tidy(() => tf.variable(tf.zeros<tf.Rank.R2>([2, 3])));
  const probabilities = softmaxOf(backend, right);
  const optimizer = tf.train.sgd(8);
  const predict = () => probabilities(tf.matMul(x, weights));
  for (let step = 0; step < 10; step++) {
    optimizer.minimize(() => tf.mean(tf.sum(tf.square(tf.sub(predict(), target)), 1)));
  }
  const predicted = tf.tidy(() => tf.argMax(predict(), 1));
  const hits = [...(await predicted.data())].filter((label, i) => label === labels[i]).length;
  tf.dispose([x, target, weights, predicted]);
  optimizer.dispose();
  return hits / count;
}
