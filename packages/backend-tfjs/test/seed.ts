import { type Backend, sigmoid, softmax, type Tensor, tensor } from '@softgrad/core';
import { expect, test } from 'vitest';
import { type EngineName, tfjs } from '../src/index.js';
import { expectClose } from './engines.js';

const signal = [
  [0.3394572666491664, 0.3089068053925853, 0.3516359279582483],
  [0.33932706934615525, 0.3094755563319447, 0.3511973743219001],
  [0.3394407172182317, 0.30889042266755573, 0.35166886011421256],
  [0.3394407172182317, 0.30889042266755573, 0.35166886011421256],
];

/** The zero-gradient question, step by step on an engine: four samples of three features. */
export function testSeed(engine: EngineName): void {
  test(`${engine}: softmax of the signal, both zero "derivatives", and the correct ones`, async () => {
    const backend = await tfjs.open({ engine });
    const x = tensor(signal, { backend, dtype: 'float32' });
    const s = softmax(x);
    const rows = (await s.array()) as number[][];
    for (const [i, row] of signal.entries()) {
      const exponentials = row.map(Math.exp);
      const sum = exponentials.reduce((a, b) => a + b);
      expectClose(
        rows[i],
        exponentials.map((e) => e / sum),
      );
    }

    const jacobian = softmax.jacobian(s);
    expect(jacobian.shape).toEqual([4, 3, 3]);
    const matrices = (await jacobian.array()) as number[][][];
    for (const matrix of matrices) {
      // The np.roll loop adds up a row of J in another order.
      const rolled = matrix.map((row, r) => [0, 1, 2].reduce((sum, k) => sum + row[(r + k) % 3], 0));
      const summed = [0, 1, 2].map((c) => matrix.reduce((sum, row) => sum + row[c], 0));
      for (const nothing of [...rolled, ...summed]) expect(Math.abs(nothing)).toBeLessThan(1e-7);
    }
    // The vjp of ones is the same sum without the matrices.
    const ones = tensor(new Float32Array(12).fill(1), { shape: [4, 3], backend });
    expectClose(await softmax.vjp(s, ones).data(), new Array<number>(12).fill(0), 1e-7);

    const g = tensor(
      rows.map((row) => row.map((p, c) => p - (c === 0 ? 1 : 0))),
      { backend, dtype: 'float32' },
    );
    const upstream = (await g.array()) as number[][];
    const expected = rows.flatMap((row, i) => {
      const mean = row.reduce((sum, p, c) => sum + p * upstream[i][c], 0);
      return row.map((p, c) => p * (upstream[i][c] - mean));
    });
    expectClose(await softmax.vjp(s, g).data(), expected, 1e-7);

    const y = sigmoid(x);
    const logistic = signal.flat().map((value) => 1 / (1 + Math.exp(-value)));
    expectClose(await y.data(), logistic, 1e-7);
    expectClose(
      await sigmoid.vjp(y, ones).data(),
      logistic.map((value) => value * (1 - value)),
      1e-7,
    );
    await backend.close();
  });

  test(`${engine}: a small network stays at chance with the row sum and learns with the vjp`, async () => {
    const backend = await tfjs.open({ engine });
    const learnt = await trained(backend, 'vjp');
    expect(learnt.accuracy).toBe(1);
    expect(learnt.confidence).toBeGreaterThan(0.6);
    const stuck = await trained(backend, 'row sum');
    expect(Math.abs(stuck.confidence - 1 / 3)).toBeLessThan(1e-4);
    await backend.close();
  });
}

/** Trains a linear layer with softmax on three clusters for 10 steps; returns the accuracy and the mean probability of the correct class. */
async function trained(
  backend: Backend,
  gradient: 'vjp' | 'row sum',
): Promise<{ readonly accuracy: number; readonly confidence: number }> {
  const labels = Array.from({ length: 12 }, (_, i) => i % 3);
  const points = labels.map((label, i) => [Math.cos(2.1 * label) + i / 100, Math.sin(2.1 * label), 1]);
  const weights = [0, 1, 2].map(() => [0, 0, 0]);
  const outputs = (): Tensor => {
    const logits = points.map((point) => [0, 1, 2].map((c) => point.reduce((sum, v, k) => sum + v * weights[k][c], 0)));
    return softmax(tensor(logits, { backend, dtype: 'float32' }));
  };
  for (let step = 0; step < 10; step++) {
    const s = outputs();
    const rows = (await s.array()) as number[][];
    const error = rows.map((row, i) => row.map((p, c) => (gradient === 'vjp' ? p - (c === labels[i] ? 1 : 0) : 1)));
    const dx = (await softmax.vjp(s, tensor(error, { backend, dtype: 'float32' })).array()) as number[][];
    for (const [k, row] of weights.entries()) {
      for (const c of row.keys()) row[c] -= dx.reduce((sum, d, i) => sum + d[c] * points[i][k], 0);
    }
  }
  const rows = (await outputs().array()) as number[][];
  const hits = rows.filter((row, i) => row.indexOf(Math.max(...row)) === labels[i]).length;
  return {
    accuracy: hits / rows.length,
    confidence: rows.reduce((sum, row, i) => sum + row[labels[i]], 0) / rows.length,
  };
}
