import { bufferOf, crossEntropy, softmax, type Tensor, tensor } from '@softgrad/core';
import { exact } from '@softgrad/core/conformance';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { type EngineName, type TfjsBackend, tfjs } from '../src/index.js';
import { expectClose } from './engines.js';
import { held } from './leaks.js';

/** How tensors of softgrad and tfjs share data. */
export function testInterop(engine: EngineName): void {
  describe(`tfjs on engine ${engine} and tfjs itself`, () => {
    let backend: TfjsBackend;
    beforeAll(async () => {
      backend = await tfjs.open({ engine });
      await tf.setBackend(engine);
    });

    test('toTf gives the same data, and each side disposes its own', async () => {
      const before = held(engine);
      const x = tensor([[0, 0]], { backend });
      const s = softmax(x);
      const theirs = backend.toTf(s);
      expect(theirs.shape).toEqual([1, 2]);
      expect(theirs.dataId).toBe(bufferOf(backend, s).data?.dataId);
      for (const own of [x, s]) own.dispose();
      expectClose(await theirs.data(), [0.5, 0.5]);
      const doubled = tf.tidy(() => tf.mul(theirs, 2));
      expectClose(await doubled.data(), [1, 1]);
      tf.dispose([theirs, doubled]);
      expect(held(engine)).toEqual(before);
    });

    test('fromTf takes the same data, and each side disposes its own', async () => {
      const before = held(engine);
      const theirs = tf.tensor2d([[1, 2, 3]]);
      const x = backend.fromTf(theirs);
      expect(x.shape).toEqual([1, 3]);
      expect(bufferOf(backend, x).data?.dataId).toBe(theirs.dataId);
      theirs.dispose();
      const s = softmax(x);
      expectClose(await s.data(), [0.09003057, 0.24472847, 0.66524096]);
      x.dispose();
      s.dispose();
      expect(held(engine)).toEqual(before);
    });

    test('a closed backend refuses fromTf and toTf, and shares no data', async () => {
      const other = await tfjs.open({ engine });
      const s = softmax(tensor([[1, 2, 3]], { backend: other }));
      other.close();
      const theirs = tf.tensor2d([[1, 2, 3]]);
      expect(() => other.fromTf(theirs)).toThrow(
        expect.objectContaining({
          code: 'ERR_DISPOSED',
          message: `fromTf: backend tfjs ${engine} was closed; open it again`,
        }),
      );
      expect(() => other.toTf(s)).toThrow(expect.objectContaining({ code: 'ERR_DISPOSED' }));
      const { onEngine } = held(engine);
      theirs.dispose();
      expect(held(engine).onEngine).toBe(onEngine - 1);
    });

    test('fromTf takes a result of tfjs in any memory layout', async () => {
      const before = held(engine);
      // Large enough that webgl computes it on the GPU, with four elements per texel.
      const theirs = tf.tidy(() => tf.mul(tf.reshape(tf.range(0, 735), [105, 7]), 0.01));
      const x = backend.fromTf(theirs);
      const values = Array.from({ length: 735 }, (_, i) => i / 100);
      expectClose(await x.data(), values, 1e-5);
      const s = softmax(x, { axis: 0 });
      const total = values.filter((_, i) => i % 7 === 0).reduce((sum, value) => sum + Math.exp(value), 0);
      expectClose(
        await s.data(),
        values.map((_, i) => Math.exp(0.07 * Math.floor(i / 7)) / total),
        1e-5,
      );
      const back = backend.toTf(s);
      const sums = tf.tidy(() => tf.sum(back, 0));
      expectClose(await sums.data(), new Array<number>(7).fill(1), 1e-5);
      expectClose(await theirs.data(), values, 1e-5);
      tf.dispose([theirs, back, sums]);
      for (const own of [x, s]) own.dispose();
      expect(held(engine)).toEqual(before);
    });

    test('tf.tidy disposes tensors that toTf returned within it, but not ours', async () => {
      const before = held(engine);
      const x = tensor([[0, 0]], { backend });
      const kept: Tensor[] = [];
      tf.tidy(() => {
        const s = softmax(x);
        kept.push(s);
        backend.toTf(s);
      });
      expectClose(await kept[0].data(), [0.5, 0.5]);
      for (const own of [x, ...kept]) own.dispose();
      expect(held(engine)).toEqual(before);
    });

    test('writing into a tensor does not change data that was shared before', async () => {
      const x = tensor([[1, 2]], { backend });
      const theirs = backend.toTf(x);
      softmax(tensor([[0, 0]], { backend }), { out: x });
      expect([...(await theirs.data())]).toEqual([1, 2]);
      expectClose(await x.data(), [0.5, 0.5]);
      theirs.dispose();
      x.dispose();
    });

    test('data that tfjs moved to another engine is found and moved back', async () => {
      const elsewhere = engine === 'cpu' ? 'wasm' : 'cpu';
      await tfjs.open({ engine: elsewhere });
      const before = held(engine);
      const x = tensor([[0, 0]], { backend });
      const theirs = backend.toTf(x);
      await theirs.data();
      await tf.setBackend(elsewhere);
      const doubled = tf.mul(theirs, 2);
      const again = backend.toTf(x);
      await tf.setBackend(engine);
      expect([...(await doubled.data())]).toEqual([0, 0]);
      tf.dispose([theirs, doubled]);
      expect([...(await again.data())]).toEqual([0, 0]);
      again.dispose();
      expect([...(await x.data())]).toEqual([0, 0]);
      const s = softmax(x);
      expectClose(await s.data(), [0.5, 0.5]);
      for (const own of [x, s]) own.dispose();
      expect(held(engine)).toEqual(before);
    });

    test('closing the backend leaves the tfjs tensors that share its data', async () => {
      const other = await tfjs.open({ engine });
      const theirs = other.toTf(tensor([[1, 2]], { backend: other }));
      await other.close();
      expect([...(await theirs.data())]).toEqual([1, 2]);
      theirs.dispose();
    });

    test('the line that a refusal of fromTf names makes an operand on its backend', async () => {
      const before = held(engine);
      const made = async (t: tf.Tensor) => {
        let line = '';
        try {
          backend.fromTf(t);
        } catch (error) {
          line = /copied with (.*)$/.exec(String(error))?.[1] ?? '';
        }
        const run = new Function('tensor', 't', 'backend', `return (async () => ${line})()`);
        return run(tensor, t, backend) as Promise<Tensor>;
      };
      const [labels, flags] = [tf.tensor1d([1], 'int32'), tf.tensor2d([[true, false]], [1, 2], 'bool')];
      const logits = tensor([[1, 2]], { backend });
      const [target, mask] = [await made(labels), await made(flags)];
      const [loss, masked] = [crossEntropy.loss(logits, target), softmax(logits, { mask })];
      expectClose(await loss.data(), [Math.log1p(Math.exp(-1))]);
      expect([...(await masked.data())]).toEqual([1, 0]);
      tf.dispose([labels, flags]);
      for (const own of [logits, target, mask, loss, masked]) own.dispose();
      expect(held(engine)).toEqual(before);
    });

    test('a tensor that is not float32, was disposed or is on another engine is refused', async () => {
      const integers = tf.tensor1d([1, 2], 'int32');
      const gone = tf.tensor1d([1, 2]);
      gone.dispose();
      expect(() => backend.fromTf(integers)).toThrow(
        expect.objectContaining({
          code: 'ERR_DTYPE',
          message:
            'fromTf: the tfjs tensor is int32, expected float32; labels are copied with tensor(await t.data(), { shape: t.shape, backend })',
        }),
      );
      const booleans = tf.tensor1d([true], 'bool');
      expect(() => backend.fromTf(booleans)).toThrow(
        "tensor(await t.data(), { shape: t.shape, dtype: 'bool', backend })",
      );
      booleans.dispose();
      // Not every engine has complex numbers.
      const parts = tf.tensor1d([1, 2]);
      const complex: tf.Tensor = Object.create(parts, { dtype: { value: 'complex64' } });
      expect(() => backend.fromTf(complex)).toThrow(
        'is complex64, expected float32; pass its parts, tf.real(t) and tf.imag(t)',
      );
      parts.dispose();
      for (const [value, found] of [
        [[[1, 2]], 'an array'],
        [undefined, 'undefined'],
        [null, 'null'],
        [{}, 'object'],
      ] as const) {
        const message = `fromTf: expected a tensor of TensorFlow.js, got ${found}; to copy arrays and other data, use tensor(data, { backend })`;
        // JavaScript without types can pass these.
        const action = () => backend.fromTf(value as unknown as tf.Tensor);
        expect(action).toThrow(expect.objectContaining({ code: 'ERR_DTYPE', message }));
      }
      const refusal = (code: string, message: string) => expect.objectContaining({ code, message });
      expect(() => backend.fromTf(gone)).toThrow(refusal('ERR_DISPOSED', 'fromTf: the tfjs tensor was disposed'));
      const mask = tensor([true, false], { backend });
      expect(() => backend.toTf(mask)).toThrow(refusal('ERR_DTYPE', 'toTf: the tensor is bool, expected float32'));
      const elsewhere = tensor([1, 2], { backend: await exact.open() });
      expect(() => backend.toTf(elsewhere)).toThrow(
        refusal(
          'ERR_BACKEND_MISMATCH',
          'toTf: the tensor is on exact, not on this backend; move it with await x.to(backend)',
        ),
      );
      mask.dispose();
      expect(() => backend.toTf(mask)).toThrow(expect.objectContaining({ code: 'ERR_DISPOSED' }));
      integers.dispose();
    });
  });
}
