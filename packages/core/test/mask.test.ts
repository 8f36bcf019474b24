import { beforeAll, describe, expect, test } from 'vitest';
import { counted, liveBuffers } from '../conformance/counted.js';
import { delegate } from '../conformance/delegate.js';
import { exact } from '../conformance/index.js';
import {
  type Backend,
  logSoftmax,
  logSumExp,
  type MaskInput,
  setBackend,
  softmax,
  type Tensor,
  tensor,
} from '../src/index.js';
import { failure } from './failure.js';

let backend: Backend;
beforeAll(async () => {
  backend = await setBackend(exact);
});

const shape = [2, 3, 2];
const logits = Float64Array.from({ length: 12 }, (_, k) => Math.sin(2 * k) * 3);

/** Every shape that broadcasts to (2, 3, 2). */
const shapes = [[], [1], [2], [1, 1], [1, 2], [3, 1], [3, 2]].flatMap((last) =>
  last.length < 2 ? [last] : [last, [1, ...last], [2, ...last]],
);

/** An irregular mask of a shape, and the same written out for (2, 3, 2). */
function maskOf(own: readonly number[]): { readonly data: Uint8Array; readonly full: Uint8Array } {
  const size = own.reduce((a, b) => a * b, 1);
  const data = Uint8Array.from({ length: size }, (_, k) => (((k * 5 + 1) % 7) % 3 === 0 ? 0 : 1));
  const padded = [...Array.from({ length: 3 - own.length }, () => 1), ...own];
  const full = Uint8Array.from({ length: 12 }, (_, k) => {
    const at = [Math.floor(k / 6), Math.floor(k / 2) % 3, k % 2].map((index, d) => (padded[d] === 1 ? 0 : index));
    return data[(at[0] * padded[1] + at[1]) * padded[2] + at[2]];
  });
  return { data, full };
}

const operations: Readonly<Record<string, (x: Tensor, options: { axis: number; mask: MaskInput }) => Tensor>> = {
  softmax,
  logSoftmax,
  logSumExp,
  'logSoftmax.vjp': (x, options) => logSoftmax.vjp(logSoftmax(x, options), x, options),
  'logSoftmax.jvp': (x, options) => logSoftmax.jvp(logSoftmax(x, options), x, options),
  'logSoftmax.jacobian': (x, options) => logSoftmax.jacobian(logSoftmax(x, options), options),
  'logSumExp.gradient': logSumExp.gradient,
};

test('a mask that broadcasts gives the same result as the full mask, fused and composed', () => {
  for (const here of [backend, delegate(backend, { kernels: {} })]) {
    const x = tensor({ data: logits, shape }, { backend: here, dtype: 'float64' });
    for (const own of shapes) {
      const { data, full } = maskOf(own);
      const whole = { data: Array.from(full, Boolean), shape };
      const given: readonly MaskInput[] = [
        { data, shape: own },
        tensor({ data, shape: own }, { dtype: 'bool', backend: here }),
      ];
      for (const axis of [0, 1, 2]) {
        for (const [name, operation] of Object.entries(operations)) {
          const expected = [...operation(x, { axis, mask: whole }).dataSync()];
          for (const mask of given) {
            expect([...operation(x, { axis, mask }).dataSync()], `${name} ${own} axis ${axis}`).toEqual(expected);
          }
        }
      }
    }
  }
});

describe('masked entries', () => {
  test('has probability 0, log-probability −Infinity and no part in the others', () => {
    for (const here of [backend, delegate(backend, { kernels: {} })]) {
      const x = tensor([[1, 2, Number.NaN, Number.POSITIVE_INFINITY]], { backend: here, dtype: 'float64' });
      const options = { mask: [true, true, false, false] };
      const kept = tensor([[1, 2]], { backend: here, dtype: 'float64' });
      expect([...softmax(x, options).dataSync()]).toEqual([...softmax(kept).dataSync(), 0, 0]);
      const gone = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
      expect([...logSoftmax(x, options).dataSync()]).toEqual([...logSoftmax(kept).dataSync(), ...gone]);
      expect(logSumExp(x, options).dataSync()).toEqual(logSumExp(kept).dataSync());
    }
  });

  test('throughout a row leaves probabilities of 0 and a log-sum-exp of −Infinity', () => {
    for (const here of [backend, delegate(backend, { kernels: {} })]) {
      const x = tensor(
        [
          [1, 2],
          [3, 4],
        ],
        { backend: here, dtype: 'float64' },
      );
      const mask = [[false], [true]];
      expect([...softmax(x, { mask }).dataSync()].slice(0, 2)).toEqual([0, 0]);
      const none = Number.NEGATIVE_INFINITY;
      expect([...logSoftmax(x, { mask }).dataSync()].slice(0, 2)).toEqual([none, none]);
      expect(logSumExp(x, { mask }).dataSync()[0]).toBe(none);
      expect([...softmax(x, { mask: false }).dataSync()]).toEqual([0, 0, 0, 0]);
      expect(softmax(x, { mask: true }).dataSync()).toEqual(softmax(x).dataSync());
    }
  });
});

describe('a mask on the device', () => {
  /** How many elements are uploaded, by call, while softmax runs. */
  async function uploads(own: readonly number[], asTensor: boolean): Promise<readonly number[]> {
    const written: number[] = [];
    const inner = (await exact.open()) as Backend;
    const here = counted(
      delegate(inner, {
        write(buffer, host) {
          written.push(host.length);
          inner.write(buffer, host);
        },
      }),
    );
    const x = tensor({ data: logits, shape }, { backend: here, dtype: 'float64' });
    const { data } = maskOf(own);
    const mask = asTensor ? tensor({ data, shape: own }, { dtype: 'bool', backend: here }) : { data, shape: own };
    written.length = 0;
    const made = [softmax(x, { mask })];
    const first = [...written];
    made.push(softmax(x, { mask }));
    // A tensor keeps what was written out, as long as it lives.
    expect(written).toEqual(asTensor ? first : [...first, ...first]);
    const isKept = asTensor && first.length > 0;
    expect(liveBuffers(here)).toBe(asTensor ? (isKept ? 5 : 4) : 3);
    if (asTensor) (mask as Tensor).dispose();
    expect(liveBuffers(here)).toBe(3);
    for (const result of made) expect([...softmax.vjp(result, x).dataSync()].every(Number.isFinite)).toBe(true);
    expect(liveBuffers(here)).toBe(5);
    return first;
  }

  test('is used where it is if it repeats whole blocks, else it is written out', async () => {
    for (const own of [[2, 3, 2], [3, 2], [1, 3, 2], [2]]) expect(await uploads(own, true)).toEqual([]);
    for (const own of [[], [1], [3, 1], [2, 1, 2], [2, 3, 1], [1, 1, 2]]) {
      const parts: Readonly<Record<string, readonly number[]>> = { '': [2], '1': [2], '3,1': [6], '1,1,2': [] };
      expect(await uploads(own, true), own.join()).toEqual(parts[own.join()] ?? [12]);
    }
    expect(await uploads([2, 3, 2], false)).toEqual([12]);
    expect(await uploads([3, 2], false)).toEqual([6]);
    expect(await uploads([2], false)).toEqual([2]);
    expect(await uploads([3, 1], false)).toEqual([6]);
  });

  test('is laid out for the shape of each operand, whatever that of the operand before was', () => {
    const mask = tensor({ data: Uint8Array.of(1, 0, 1, 0, 1, 1), shape: [2, 1, 3] }, { dtype: 'bool' });
    const kept = (...shape: number[]) => {
      const size = shape.reduce((a, b) => a * b, 1);
      return [...softmax({ data: new Float64Array(size), shape }, { mask }).dataSync()].map((p) => p > 0);
    };
    const first = [true, false, true];
    const second = [false, true, true];
    for (let turn = 0; turn < 2; turn++) {
      expect(kept(2, 1, 3)).toEqual([...first, ...second]);
      expect(kept(2, 2, 3)).toEqual([...first, ...first, ...second, ...second]);
      expect(() => kept(3, 2, 3)).toThrow("mask (2, 1, 3) doesn't broadcast to (3, 2, 3)");
    }
  });

  test('that was written out stays so for two shapes, until it is disposed or overwritten', async () => {
    const inner = (await exact.open()) as Backend;
    let written = 0;
    const here = counted(
      delegate(inner, {
        write(buffer, host) {
          written++;
          inner.write(buffer, host);
        },
      }),
    );
    const of = (shape: readonly number[]) => {
      const size = shape.reduce((a, b) => a * b, 1);
      return tensor({ data: logits.slice(0, size), shape }, { backend: here, dtype: 'float64' });
    };
    const mask = tensor({ data: Uint8Array.of(1, 0, 1), shape: [3, 1] }, { dtype: 'bool', backend: here });
    const [x, y, z] = [of([2, 3, 2]), of([3, 4]), of([3, 3])];
    written = 0;
    const kept = (of: Tensor) => [...softmax(of, { mask, axis: -2 }).dataSync()].map((p) => p > 0);
    const rows = (...counts: readonly boolean[]) => counts.flatMap((keep) => [keep, keep]);
    expect(kept(x)).toEqual([...rows(true, false, true), ...rows(true, false, true)]);
    expect(kept(y)).toEqual([...rows(true, true), ...rows(false, false), ...rows(true, true)]);
    const before = liveBuffers(here);
    expect(kept(x)).toEqual([...rows(true, false, true), ...rows(true, false, true)]);
    expect(kept(y)).toEqual([...rows(true, true), ...rows(false, false), ...rows(true, true)]);
    expect(written).toBe(2);
    expect(kept(z)).toEqual([true, true, true, false, false, false, true, true, true]);
    expect(written).toBe(3);
    kept(y);
    expect(written).toBe(3);
    kept(x);
    expect(written).toBe(4);
    // Each call makes a tensor; of the three shapes two are kept.
    expect(liveBuffers(here)).toBe(before + 5);
    tensor({ data: Uint8Array.of(0, 1, 1), shape: [3, 1] }, { dtype: 'bool', out: mask });
    expect(kept(x)).toEqual([...rows(false, true, true), ...rows(false, true, true)]);
    expect(written).toBe(6);
    // Those of the mask that was overwritten are freed.
    expect(liveBuffers(here)).toBe(before + 5);
    mask.dispose();
    expect(liveBuffers(here)).toBe(before + 3);
  });

  test('is freed also where the operation fails', async () => {
    const inner = (await exact.open()) as Backend;
    const fail = () => {
      throw new Error('the kernel failed');
    };
    for (const parts of [
      { softmax: fail },
      { softmax: () => false as const, basis: inner.basis && { ...inner.basis, select: fail } },
    ]) {
      const here = counted(delegate(inner, parts as Partial<Backend>));
      const x = tensor({ data: logits, shape }, { backend: here, dtype: 'float64' });
      expect(() => softmax(x, { mask: [[true], [false], [true]], temperature: 2 })).toThrow('the kernel failed');
      expect(liveBuffers(here)).toBe(1);
    }
    const writeFails = counted(delegate(inner, { write: (_, host) => (host.length === 2 ? fail() : undefined) }));
    const x = tensor({ data: logits, shape }, { backend: writeFails, dtype: 'float64' });
    expect(() => softmax(x, { mask: [true, false] })).toThrow('the kernel failed');
    const mask = tensor(true, { dtype: 'bool', backend: writeFails });
    expect(() => softmax(x, { mask })).toThrow('the kernel failed');
    expect(liveBuffers(writeFails)).toBe(2);
  });
});

test('bytes are a mask alone, as rows and with a shape', () => {
  const x = tensor([
    [1, 2, 3],
    [3, 2, 1],
  ]);
  const mask = [
    [true, false, true],
    [true, true, false],
  ];
  const [first, second] = [Uint8Array.of(1, 0, 1), Uint8Array.of(1, 1, 0)];
  expect(softmax(x, { mask: first }).dataSync()).toEqual(softmax(x, { mask: [true, false, true] }).dataSync());
  for (const bytes of [[first, second], { data: Uint8Array.of(...first, ...second), shape: [2, 3] }])
    expect(softmax(x, { mask: bytes }).dataSync()).toEqual(softmax(x, { mask }).dataSync());
});

describe('a mask is refused', () => {
  const x = () => tensor([[1, 2, 3]]);
  test.each([
    [
      'of numbers',
      [[1, 0, 1]],
      'ERR_DTYPE',
      "mask is float32, expected booleans (true = keep): a mask of 0 and 1 becomes one by tensor(mask, { dtype: 'bool' })",
    ],
    [
      'of one number',
      5,
      'ERR_DTYPE',
      "mask is float32, expected booleans (true = keep): a mask of 0 and 1 becomes one by tensor(mask, { dtype: 'bool' })",
    ],
    [
      'of rows of which not all are bytes',
      [[Uint8Array.of(1, 0, 1)], [[1, 0, 1]]],
      'ERR_DTYPE',
      "mask is float32, expected booleans (true = keep): a mask of 0 and 1 becomes one by tensor(mask, { dtype: 'bool' })",
    ],
    [
      'of integers',
      Int32Array.of(1, 0, 1),
      'ERR_DTYPE',
      "mask is int32, expected booleans (true = keep): a mask of 0 and 1 becomes one by tensor(mask, { dtype: 'bool' })",
    ],
    [
      'of floats with a shape',
      { data: Float32Array.of(1, 0, 1), shape: [3] },
      'ERR_DTYPE',
      "mask is float32, expected booleans (true = keep): a mask of 0 and 1 becomes one by tensor(mask, { dtype: 'bool' })",
    ],
    [
      'that is added to logits, in which 0 keeps an entry',
      [[0, Number.NEGATIVE_INFINITY, 0]],
      'ERR_DTYPE',
      'mask is float32, expected booleans (true = keep): it has -Infinity, as a mask that is added to logits has; add it to them, or pass true where it is 0',
    ],
    ['of another shape', [true, false], 'ERR_SHAPE', "mask (2,) doesn't broadcast to (1, 3)"],
    [
      'of more rows',
      [
        [true, true, true],
        [true, true, true],
      ],
      'ERR_SHAPE',
      "mask (2, 3) doesn't broadcast to (1, 3)",
    ],
    [
      'of more dimensions',
      [[[true, true, true]]],
      'ERR_SHAPE',
      "mask (1, 1, 3) doesn't broadcast to (1, 3); the same entries in that shape are { data, shape: [1, 3] }, with flat data",
    ],
  ] as const)('%s', (_what, mask, code, text) => {
    expect(failure(() => softmax(x(), { mask: mask as never }))).toEqual([code, `softmax: ${text}`]);
  });

  test('of bytes that are neither 0 nor 1', () => {
    expect(failure(() => softmax(x(), { mask: { data: Uint8Array.of(1, 2, 0), shape: [3] } }))).toEqual([
      'ERR_DTYPE',
      'softmax: mask: element 1 is 2; a bool is true, false, 1 or 0',
    ]);
    expect(failure(() => softmax(x(), { mask: [Uint8Array.of(1, 2, 0)] }))[0]).toBe('ERR_DTYPE');
  });

  test('as a tensor of numbers, of another backend, or disposed', async () => {
    expect(failure(() => softmax(x(), { mask: tensor([1, 0, 1]) }))).toEqual([
      'ERR_DTYPE',
      "softmax: mask is float32, expected booleans (true = keep): a mask of 0 and 1 becomes one by tensor(mask, { dtype: 'bool' })",
    ]);
    expect(failure(() => softmax(x(), { mask: tensor(Int32Array.of(1, 0, 1)) }))).toEqual([
      'ERR_DTYPE',
      "softmax: mask is int32, expected booleans (true = keep): a mask of 0 and 1 becomes one by tensor(mask, { dtype: 'bool' })",
    ]);
    const other = (await exact.open()) as Backend;
    expect(failure(() => softmax(x(), { mask: tensor([true, true, true], { backend: other }) }))).toEqual([
      'ERR_BACKEND_MISMATCH',
      'softmax: mask lives on another instance of exact; move it with await x.to(backend)',
    ]);
    const mask = tensor([true, true, true]);
    mask.dispose();
    expect(failure(() => softmax(x(), { mask }))).toEqual(['ERR_DISPOSED', 'softmax: mask (3,) was disposed']);
  });
});
