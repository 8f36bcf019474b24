import { crossEntropy, logSoftmax, logSumExp, softmax, tensor } from '@softgrad/core';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { type EngineName, tfjs } from '../src/index.js';
import { expectClose } from './engines.js';
import { held } from './leaks.js';

/** Inputs for which the softmax of tfjs itself is wrong, and memory layouts that are specific to tfjs's engines. */
export function testNumbers(engine: EngineName): void {
  test(`${engine}: logits of −1e9 as a mask have probability 0, and a row of nothing else is uniform`, async () => {
    const backend = await tfjs.open({ engine });
    const x = tensor(
      [
        [-1e9, 1, 2, -1e9],
        [-1e9, -1e9, -1e9, -1e9],
        [-1e30, -1e30, -1e30, -1e30],
      ],
      { backend },
    );
    const s = await softmax(x).data();
    expectClose(s, [0, 0.26894142, 0.73105858, 0, ...new Array<number>(8).fill(0.25)]);
    expect([s[0], s[3]]).toEqual([0, 0]);
    const columns = await softmax(x, { axis: 0 }).data();
    expectClose([columns[0], columns[4], columns[8]], [0.5, 0.5, 0]);
    await backend.close();
  });

  test(`${engine}: exactly the rows whose softmax is undefined are NaN, unlike in tfjs's own softmax`, async () => {
    const backend = await tfjs.open({ engine });
    const { NaN: nan, POSITIVE_INFINITY: plus, NEGATIVE_INFINITY: minus } = Number;
    const x = tensor(
      [
        [0, plus, 0],
        [minus, minus, minus],
        [nan, 0, 0],
        [minus, 0, 0],
      ],
      { backend },
    );
    expect([...(await softmax(x).data())]).toEqual([...new Array<number>(9).fill(nan), 0, 0.5, 0.5]);
    await backend.close();
  });

  test(`${engine}: the vjp of a row that is nearly one-hot does not cancel, at any temperature`, async () => {
    const backend = await tfjs.open({ engine });
    for (const temperature of [1, 2, 0.5]) {
      for (const others of [[5.551e-17], [5.6e-17, 3e-9], [1e-30, 0, 2e-12]]) {
        const s = tensor([[1, ...others]], { backend });
        const g = tensor([[1, ...others.map(() => 0)]], { backend });
        const dx = await softmax.vjp(s, g, { temperature }).data();
        const rest = others.reduce((sum, p) => sum + p) / temperature;
        expect(dx[0] / rest).toBeCloseTo(1, 5);
        for (const [i, p] of others.entries()) expect(dx[i + 1]).toBeCloseTo(-p / temperature, 5 - Math.log10(p || 1));
      }
    }
    await backend.close();
  });

  test(`${engine}: temperatures and weights at the ends of float32's range`, async () => {
    const backend = await tfjs.open({ engine });
    const softmaxAt = async (logits: readonly number[], temperature: number) =>
      softmax(tensor([[...logits]], { backend }), { temperature }).data();
    expectClose(await softmaxAt([1, 2], 1e-39), [0, 1]);
    // A GPU that flushes subnormal numbers, as it announces, reads these logits as 0.
    const onHost = engine === 'cpu' || engine === 'wasm';
    if (onHost) expectClose(await softmaxAt([1e-39, 2e-39], 1e-39), [0.26894142, 0.73105858]);
    expectClose(await softmaxAt([3e38, -3e38], 5e38), [0.76852478, 0.23147522]);
    if (onHost) {
      // The difference of these logits is beyond the range, and its quotient is not.
      const y = await logSoftmax(tensor([[2.4e38, -2.4e38]], { backend }), { temperature: 1.5 }).data();
      expect([y[0], (y[1] / -3.2e38).toFixed(6)]).toEqual([0, '1.000000']);
    }
    for (const w of [1e-40, 1, 3e38]) {
      const x = tensor([[1, 2, 3]], { backend });
      expectClose(await crossEntropy.loss(x, [0], { weight: [w, w, w] }).data(), [2.40760596]);
    }
    await backend.close();
  });

  test(`${engine}: log Σ exp does not cancel if Σ exp is nearly 1`, async () => {
    const backend = await tfjs.open({ engine });
    for (const classes of [2, 10, 100]) {
      const gaps = Array.from({ length: 30 }, (_, k) => k / 2 + (k % 3) * 12);
      const x = tensor(
        gaps.map((gap) => [...new Array<number>(classes - 1).fill(-gap), 0]),
        { backend },
      );
      const sums = await logSumExp(x).data();
      const logs = await logSoftmax(x).data();
      const targets = gaps.map(() => classes - 1);
      const losses = await crossEntropy.loss(x, targets, { reduction: 'none' }).data();
      for (const [row, gap] of gaps.entries()) {
        const expected = Math.log1p((classes - 1) * Math.exp(-gap));
        for (const found of [sums[row], -logs[row * classes + classes - 1], losses[row]]) {
          expect(found / expected, `${classes} classes, gap ${gap}`).toBeCloseTo(1, 4);
        }
      }
    }
    await backend.close();
  });

  test(`${engine}: rows longer than a texture's side, rows of one class and of 65537, and no rows`, async () => {
    const backend = await tfjs.open({ engine });
    const shapes: readonly (readonly [shape: readonly number[], axis: number])[] = [
      [[3, 20_000], 1],
      [[20_000, 3], 0],
      [[20_000, 3], 1],
      [[2, 65_537, 2], 1],
      [[70_000, 1], 1],
      [[1, 1], 0],
    ];
    for (const [shape, axis] of shapes) {
      const classes = shape[axis];
      const size = shape.reduce((a, b) => a * b, 1);
      const s = await softmax(tensor(new Float32Array(size).fill(3), { shape, backend }), { axis }).data();
      expect(s.length).toBe(size);
      let worst = 0;
      for (const value of s) worst = Math.max(worst, Math.abs(value * classes - 1));
      expect(worst).toBeLessThan(1e-5);
    }
    expect([...(await softmax(tensor(new Float32Array(0), { shape: [0, 3], backend })).data())]).toEqual([]);
    await backend.close();
  });

  test(`${engine}: more elements than the engine holds are ERR_OUT_OF_MEMORY with the limit`, async () => {
    const backend = await tfjs.open({ engine });
    const most = backend.supports.limits.elements;
    const s = tensor(new Float32Array(2 ** 15), { backend });
    expect(2 ** 30).toBeGreaterThan(most);
    expect(() => softmax.jacobian(s)).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_MEMORY' }));
    expect(() => softmax.jacobian(s)).toThrow(String(most));
    await backend.close();
  });

  test(`${engine}: 300 operations hold no more memory than 100`, async () => {
    await tf.setBackend('cpu');
    const backend = await tfjs.open({ engine });
    const instance = tf.engine().registry[engine];
    const x = tensor([[1, 2, 3]], { backend });
    const repeat = async (times: number) => {
      for (let k = 0; k < times; k++) softmax(x).dispose();
      await backend.sync();
    };
    // tfjs keeps freed memory for reuse: as much as one batch of commands needs.
    await repeat(100);
    const before = { ...held(engine), device: instance.memory() };
    await repeat(300);
    expect({ ...held(engine), device: instance.memory() }).toEqual(before);
    await backend.close();
  });
}
