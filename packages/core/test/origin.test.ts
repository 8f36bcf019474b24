import { beforeAll, describe, expect, test } from 'vitest';
import { counted, liveBuffers } from '../conformance/counted.js';
import { delegate } from '../conformance/delegate.js';
import { exact } from '../conformance/index.js';
import {
  type Backend,
  bufferOf,
  crossEntropy,
  logSoftmax,
  logSumExp,
  relu,
  scope,
  setBackend,
  sigmoid,
  softmax,
  softmin,
  type Tensor,
  tensor,
} from '../src/index.js';
import { failure } from './failure.js';

let backend: Backend;
beforeAll(async () => {
  backend = await setBackend(exact);
});

const logits = [
  [1, 2, 3],
  [0, 1, 5],
];
const cotangent = [
  [1, 0, 2],
  [-1, 3, 0],
];
/** Probabilities that no call made. */
const others = [
  [0.5, 0.25, 0.25],
  [0.125, 0.75, 0.125],
];
const x = () => tensor(logits, { dtype: 'float64' });
const g = () => tensor(cotangent, { dtype: 'float64' });
const values = (one: Tensor) => [...one.dataSync()];

/** A backend that knows its own buffers, as those of a device do. */
async function strict(): Promise<Backend> {
  const right = (await exact.open()) as Backend;
  const own = new Set<unknown>();
  const { basis } = right;
  return delegate(right, {
    alloc(length, dtype) {
      const buffer = right.alloc(length, dtype);
      own.add(buffer);
      return buffer;
    },
    ...(basis && {
      basis: {
        ...basis,
        select(out, condition, a, b, extent) {
          if (typeof condition !== 'number' && !own.has(condition.buffer))
            throw new Error('a buffer of another backend');
          basis.select(out, condition, a, b, extent);
        },
      },
    }),
  });
}

describe('a result remembers how it was made', () => {
  const options = { axis: 0, temperature: 0.5, mask: [[true, true, false]] };

  test('also in out, on another backend, and from a linear operator', async () => {
    const expected = values(softmax.vjp(softmax(x(), options), g()));
    const out = tensor(logits, { dtype: 'float64' });
    softmax(x(), { ...options, out });
    expect(values(softmax.vjp(out, g()))).toEqual(expected);
    const elsewhere = (await exact.open()) as Backend;
    const moved = await softmax(x(), options).to(elsewhere);
    const there = tensor(cotangent, { dtype: 'float64', backend: elsewhere });
    expect(values(softmax.vjp(moved, there))).toEqual(expected);
    expect(values(softmax.vjp(softmax.linearize(x(), options).value, g()))).toEqual(expected);
  });

  test('with a mask that is a tensor, also once that is disposed, overwritten, or on another backend', async () => {
    const mask = tensor([[true, true, false]]);
    const made = softmax(x(), { mask });
    const expected = values(softmax.vjp(made, g()));
    const elsewhere = await strict();
    const moved = await made.to(elsewhere);
    const there = tensor(cotangent, { dtype: 'float64', backend: elsewhere });
    expect(values(softmax.vjp(moved, there))).toEqual(expected);
    tensor([[false, true, true]], { out: mask });
    expect(values(softmax.vjp(made, g()))).toEqual(expected);
    expect(failure(() => softmax.vjp(made, g(), { mask }))[0]).toBe('ERR_VALUE');
    mask.dispose();
    expect(values(softmax.vjp(made, g()))).toEqual(expected);
    const unchanged = tensor([[true, true, false]]);
    const other = softmax(x(), { mask: unchanged });
    unchanged.dispose();
    expect(values(softmax.vjp(other, g()))).toEqual(expected);
  });

  test('until something else is written into it', async () => {
    const s = softmax(x(), options);
    const plain = values(softmax.vjp(tensor(others, { dtype: 'float64' }), g()));
    tensor(others, { out: s });
    expect(values(softmax.vjp(s, g()))).toEqual(plain);
    const t = softmax(x(), options);
    const derivative = values(softmax.vjp(t, g()));
    // A copy has the values, and the call that made them, of the time at which it was asked for.
    const copy = t.to(backend);
    softmax.vjp(t, g(), { out: t });
    expect(() => softmax.vjp(t, g(), { axis: 1, temperature: 3 })).not.toThrow();
    expect(values(softmax.vjp(await copy, g()))).toEqual(derivative);
    const none = tensor(new Float64Array(0), { shape: [0, 3] });
    const empty = softmax(none);
    softmax.vjp(none, none, { out: empty });
    expect(() => softmax.vjp(empty, none, { temperature: 3 })).not.toThrow();
  });

  test('and is still remembered if a call that would write into it fails', async () => {
    const without = delegate(backend, { name: 'without a basis', basis: undefined });
    const s = softmax(tensor(logits, { dtype: 'float64', backend: without }), { temperature: 2 });
    const g = tensor(cotangent, { dtype: 'float64', backend: without });
    const before = await s.array();
    expect(failure(() => softmax.doubleBackward(s, g, g, { out: s }))[0]).toBe('ERR_UNSUPPORTED');
    expect(await s.array()).toEqual(before);
    const expected = await softmax.vjp(softmax(x(), { temperature: 2 }), cotangent).array();
    expect(await softmax.vjp(s, g).array()).toEqual(expected);
    expect(failure(() => softmax.vjp(s, g, { temperature: 1 }))[0]).toBe('ERR_VALUE');
  });

  test('and contradicting options are errors that name both', () => {
    const s = softmax(x(), { axis: 0, temperature: 0.5 });
    for (const [wrong, message] of [
      [{ axis: 1 }, 'axis 1, but probabilities were made by softmax with axis 0; leave the option out'],
      [{ axis: -1 }, 'axis -1, but probabilities were made by softmax with axis 0; leave the option out'],
      [
        { temperature: 1 },
        'temperature 1, but probabilities were made by softmax with temperature 0.5; leave the option out',
      ],
      [{ mask: [true, true, false] }, 'a mask, but probabilities were made by softmax with none; leave the option out'],
    ] as const) {
      expect(failure(() => softmax.vjp(s, g(), wrong))).toEqual(['ERR_VALUE', `softmax.vjp: ${message}`]);
      expect(failure(() => softmax.jacobian(s, wrong))).toEqual(['ERR_VALUE', `softmax.jacobian: ${message}`]);
    }
    for (const right of [{ axis: 0 }, { axis: -2, temperature: 0.5 }, {}]) {
      expect(() => softmax.vjp(s, g(), right)).not.toThrow();
    }
    const masked = logSoftmax(x(), { mask: [[true], [false]] });
    expect(() =>
      logSoftmax.vjp(masked, g(), {
        mask: [
          [true, true, true],
          [false, false, false],
        ],
      }),
    ).not.toThrow();
    expect(failure(() => logSoftmax.vjp(masked, g(), { mask: [[false], [true]] }))[1]).toBe(
      'logSoftmax.vjp: a mask, but logProbabilities were made by logSoftmax with one that keeps other entries; leave the option out',
    );
  });

  test('and its mask is compared in every row, whichever of the two masks is the shorter', () => {
    const one = [true, true, false];
    const other = [true, false, true];
    for (const [made, given, same] of [
      [[one, other], one, false],
      [[other, one], one, false],
      [one, [one, other], false],
      [one, [other, one], false],
      [[one, one], one, true],
      [one, [one, one], true],
    ] as const) {
      const call = () => softmax.vjp(softmax(x(), { mask: made }), g(), { mask: given });
      if (same) expect(call).not.toThrow();
      else expect(call, JSON.stringify([made, given])).toThrow('one that keeps other entries');
    }
  });

  test('and its function: the derivative of another function is an error', () => {
    expect(failure(() => softmax.vjp(logSoftmax(x()), g()))).toEqual([
      'ERR_VALUE',
      'softmax.vjp: probabilities were made by logSoftmax; use logSoftmax.vjp instead',
    ]);
    expect(failure(() => softmax.jacobian(softmin(x())))).toEqual([
      'ERR_VALUE',
      'softmax.jacobian: probabilities were made by softmin; use softmin.jacobian instead',
    ]);
    // softmax is not elementwise, and its derivative has no second one by this name.
    for (const [call, message] of [
      [() => sigmoid.vjp(softmax(x()), g()), 'sigmoid.vjp: y was made by softmax; use softmax.vjp instead'],
      [
        () => sigmoid.jacobian(logSoftmax(x())),
        'sigmoid.jacobian: y was made by logSoftmax; use logSoftmax.jacobian instead',
      ],
      [
        () => sigmoid.hvp(relu(x()), g(), g()),
        'sigmoid.hvp: y was made by relu; expected the output of sigmoid, or data without a history',
      ],
      [
        () => softmax.vjp(sigmoid(x()), g()),
        'softmax.vjp: probabilities were made by sigmoid; use sigmoid.vjp instead',
      ],
      [
        () => logSoftmax.jvp(relu(x()), g()),
        'logSoftmax.jvp: logProbabilities were made by relu; use relu.jvp instead',
      ],
      [
        () => softmax.doubleBackward(logSoftmax(x()), g(), g()),
        'softmax.doubleBackward: probabilities were made by logSoftmax; expected the output of softmax, or data without a history',
      ],
    ] as const) {
      expect(failure(call)).toEqual(['ERR_VALUE', message]);
    }
  });

  test('except for relu, whose derivatives are the same at its input', () => {
    expect(values(relu.vjp(softmax(x()), g()))).toEqual(values(g()));
    expect(values(relu.jvp(logSoftmax(x()), g()))).toEqual(values(g()).map(() => 0));
  });

  test('what is written into a tensor afterwards has no history, or that of the new call', () => {
    const out = softmax(x());
    tensor(
      others.map((row) => row.map(Math.log)),
      { out },
    );
    expect(() => logSoftmax.vjp(out, g())).not.toThrow();
    sigmoid(x(), { out });
    expect(failure(() => softmax.vjp(out, g()))[1]).toContain('were made by sigmoid');
    sigmoid.vjp(out, g(), { out });
    expect(() => softmax.vjp(out, g())).not.toThrow();
  });
});

describe('numbers that cannot be the output that a derivative takes are errors', () => {
  const rows = [[0.5, 0.5]];
  const derivatives = [
    ['softmax', softmax, rows, 'probabilities', 'from 0 to 1', 'logits', [-(2 ** -6), 1 + 2 ** -6]],
    ['softmin', softmin, rows, 'probabilities', 'from 0 to 1', 'logits', [-(2 ** -6), 1 + 2 ** -6]],
    ['logSoftmax', logSoftmax, [[-0.7, -0.7]], 'logProbabilities', 'up to 0', 'logits', [2 ** -6, Infinity]],
    ['sigmoid', sigmoid, rows, 'y', 'from 0 to 1', 'input', [-(2 ** -6), 1 + 2 ** -6]],
  ] as const;

  test.each(derivatives)('%s', (name, f, outputs, operand, range, input, outside) => {
    const calls: readonly (readonly [string, (y: number[][]) => unknown])[] = [
      ['vjp', (y) => f.vjp(y, cotangent.map((row) => row.slice(1)).slice(1))],
      ['jvp', (y) => f.jvp(y, cotangent.map((row) => row.slice(1)).slice(1))],
      ['jacobian', (y) => f.jacobian(y)],
      ['hvp', (y) => f.hvp(y, [[1, 2]], [[2, 1]])],
    ];
    for (const [member, call] of calls) {
      expect(() => call(outputs as unknown as number[][])).not.toThrow();
      for (const entry of outside) {
        expect(failure(() => call([[Number.NaN, entry]]))).toEqual([
          'ERR_VALUE',
          `${name}.${member}: ${operand}: element 1 is ${entry}, expected numbers ${range}; ${name}.${member} takes the output of ${name}, not the ${input}`,
        ]);
        expect(failure(() => call([[entry, entry]]))[1]).toContain(`${operand}: element 0 is ${entry}`);
      }
    }
  });

  test('up to the rounding of half precision, and NaN', () => {
    expect(() => softmax.vjp([[1.0078, -0.001]], [[1, 2]])).not.toThrow();
    const ends = { data: Float64Array.of(1.01, -0.01), shape: [1, 2] };
    expect(() => softmax.vjp(ends, { data: Float64Array.of(1, 2), shape: [1, 2] })).not.toThrow();
    expect(() => softmax.vjp([[Number.NaN, Number.NaN]], [[1, 2]])).not.toThrow();
    expect(() => logSoftmax.vjp([[0.001, -Infinity]], [[1, 2]])).not.toThrow();
  });

  test.each(derivatives)(
    'nor a tensor without a history that begins with such numbers: %s',
    (name, f, outputs, operand, range, input, outside) => {
      const rows = outputs as unknown as number[][];
      const direction = () => tensor([[1, 2]]);
      for (const call of [
        (y: Tensor) => f.vjp(y, direction()),
        (y: Tensor) => f.jvp(y, direction()),
        (y: Tensor) => f.jacobian(y),
        (y: Tensor) => f.hvp(y, direction(), direction()),
      ]) {
        expect(() => call(tensor(rows))).not.toThrow();
        for (const entry of outside) {
          for (const row of [
            [Number.NaN, entry],
            [entry, entry],
            [entry, 0],
          ]) {
            expect(failure(() => call(tensor([row])))).toEqual([
              'ERR_VALUE',
              expect.stringMatching(
                new RegExp(
                  `^${name}\\.\\w+: ${operand}: element \\d is ${entry}, expected numbers ${range}; ${name}\\.\\w+ takes the output of ${name}, not the ${input}$`,
                ),
              ),
            ]);
          }
        }
      }
    },
  );

  test('of a tensor the first 16 numbers count, until something may have written into it, and none that a mask leaves out', async () => {
    const probabilities = (wrong: number) => Float32Array.from({ length: 20 }, (_, i) => (i === wrong ? -1 : 1 / 20));
    const g = () => tensor(new Float32Array(20));
    expect(() => softmax.vjp(tensor(probabilities(15)), g())).toThrow(/element 15 is -1/);
    expect(() => softmax.vjp(tensor(probabilities(16)), g())).not.toThrow();
    const kept = { mask: Array.from({ length: 20 }, (_, i) => i !== 15) };
    expect(() => softmax.vjp(tensor(probabilities(15)), g(), kept)).not.toThrow();

    const s = tensor(probabilities(15));
    expect(() => softmax.vjp(s, g())).toThrow();
    const copy = await s.to(backend);
    expect(() => softmax.vjp(copy, g())).toThrow();
    tensor(probabilities(-1), { out: s });
    expect(() => softmax.vjp(s, g())).not.toThrow();
    tensor(probabilities(0), { out: s });
    expect(() => softmax.vjp(s, g())).toThrow();
    const t = tensor(probabilities(0));
    t.view().set(probabilities(-1));
    expect(() => softmax.vjp(t, g())).not.toThrow();
    const u = tensor(probabilities(0));
    backend.write(bufferOf(backend, u), probabilities(-1));
    expect(() => softmax.vjp(u, g())).not.toThrow();
    relu(g(), { out: copy });
    expect(failure(() => softmax.vjp(copy, g()))[1]).toContain('were made by relu');
    const v = tensor(probabilities(0));
    softmax.vjp(tensor(probabilities(-1)), g(), { out: v });
    expect(() => softmax.vjp(v, g())).not.toThrow();
  });

  test('of arrays those that a mask keeps count, in each row that it is repeated for', () => {
    const call = (rows: number[][]) => () => softmax.vjp(rows, rows, { mask: [true, true, false] });
    expect(
      call([
        [0.5, 0.5, 7],
        [0.5, 0.5, -7],
      ]),
    ).not.toThrow();
    expect(
      call([
        [0.5, 0.5, 7],
        [0.5, 7, 0],
      ]),
    ).toThrow(/probabilities: element 4 is 7/);
  });

  test('directions, and the operands of functions at their input, may be anywhere', () => {
    expect(() => softmax.vjp(rows, [[-5, 9]])).not.toThrow();
    expect(() => relu.vjp([-5, 9], [1, 1])).not.toThrow();
    expect(() => logSumExp.gradient([[-5, 9]])).not.toThrow();
    expect(() => softmax.linearize([[-5, 9]])).not.toThrow();
  });
});

describe('plain arrays are accepted wherever a tensor is', () => {
  test('with the backend and the dtype of the other tensors, otherwise with the backend of setBackend', async () => {
    const elsewhere = (await exact.open()) as Backend;
    const there = tensor(cotangent, { dtype: 'float64', backend: elsewhere });
    const dx = softmax.vjp(softmax(logits), cotangent);
    expect([dx.backend, dx.dtype]).toEqual([backend, 'float32']);
    const mixed = softmax.vjp(
      [
        [0.2, 0.3, 0.5],
        [0.1, 0.4, 0.5],
      ],
      there,
    );
    expect([mixed.backend, mixed.dtype]).toEqual([elsewhere, 'float64']);
    expect(values(softmax({ data: Float64Array.of(1, 9, 2, 9, 3), shape: [3], strides: [2] }))).toEqual(
      values(softmax(Float64Array.of(1, 2, 3))),
    );
    expect(values(softmax({ data: Float64Array.of(1, 2, 3), dims: [1, 3] }))).toEqual(
      values(softmax(Float64Array.of(1, 2, 3))),
    );
    const out = tensor(logits, { dtype: 'float64', backend: elsewhere });
    expect(softmax(logits, { out })).toBe(out);
    const labels = tensor(Int32Array.of(0, 1), { backend: elsewhere });
    expect(crossEntropy.gradient(logits, labels, { out })).toBe(out);
  });

  test('and their copies are freed, also where the operation fails', async () => {
    const counting = counted((await exact.open()) as Backend);
    const direction = tensor(cotangent, { dtype: 'float64', backend: counting });
    const before = liveBuffers(counting);
    const probabilities = [
      [0.25, 0.25, 0.5],
      [0, 0.25, 0.75],
    ];
    const dx = softmax.vjp(probabilities, direction);
    expect(liveBuffers(counting)).toBe(before + 1);
    expect(failure(() => softmax.vjp(direction, [[1, 2]]))[0]).toBe('ERR_SHAPE');
    expect(failure(() => softmax.hvp(probabilities, direction, [[1], [2, 3]]))[0]).toBe('ERR_SHAPE');
    dx.dispose();
    expect(liveBuffers(counting)).toBe(before);
  });

  test('linearize keeps no copy of them, and its derivatives at the input are those of the data as they were', async () => {
    const counting = counted((await exact.open()) as Backend);
    await setBackend(counting);
    try {
      const before = liveBuffers(counting);
      for (const f of [softmax, logSoftmax, logSumExp, sigmoid]) {
        const { value } = f.linearize(logits);
        expect(liveBuffers(counting)).toBe(before + 1);
        value.dispose();
        expect(liveBuffers(counting)).toBe(before);
        expect(failure(() => f.linearize(logits, { axis: 7 }))[0]).toBe('ERR_AXIS');
        expect(liveBuffers(counting)).toBe(before);
      }
      const given = Float32Array.of(0, Math.log(3));
      const { vjp } = scope(() => logSumExp.linearize(given));
      given.fill(0);
      expect(values(vjp(4)).map(Math.round)).toEqual([1, 3]);
    } finally {
      backend = await setBackend(exact);
    }
  });

  test('whose memory was detached are errors', () => {
    const given = Float32Array.of(1, 2);
    structuredClone(given.buffer, { transfer: [given.buffer] });
    expect(failure(() => softmax(given))[0]).toBe('ERR_DISPOSED');
    expect(failure(() => tensor(given))[1]).toContain('was detached');
    expect(tensor(new Float32Array(0)).shape).toEqual([0]);
  });

  test('whose memory is detached when the backend allocates, as that of a view is where memory grows, are errors', () => {
    let growing: Float64Array | null = null;
    const grows = delegate(backend, {
      alloc(length, dtype) {
        if (growing !== null) structuredClone(growing.buffer, { transfer: [growing.buffer] });
        growing = null;
        return backend.alloc(length, dtype);
      },
    });
    const one = tensor([[1, 2]], { dtype: 'float64', backend: grows });
    const view = () => {
      growing = Float64Array.of(0.25, 0.75);
      return growing;
    };
    expect(failure(() => tensor(view(), { backend: grows }))[0]).toBe('ERR_DISPOSED');
    expect(failure(() => softmax.vjp(one, { data: view(), shape: [1, 2] }))[0]).toBe('ERR_DISPOSED');
    const [code, message] = failure(() => crossEntropy.loss(one, view()));
    expect([code, message]).toEqual(['ERR_DISPOSED', expect.stringContaining('was detached')]);
  });

  test('and are named where they cannot be read', () => {
    expect(failure(() => softmax([[1, 2], [3]]))).toEqual([
      'ERR_SHAPE',
      'softmax: logits: ragged input: entry [1] has 1 entry, expected 2 as in shape (2, 2)',
    ]);
    expect(failure(() => softmax.vjp(x(), [[1, 0, 0]]))).toEqual([
      'ERR_SHAPE',
      'softmax.vjp: cotangent is (1, 3), expected (2, 3)',
    ]);
  });
});
