import type { Rows } from '@softgrad/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type WebgpuBackend, type WebgpuBuffer, webgpu } from '../src/index.js';
import { altered, newDeviceWithSubgroups } from './device.js';

/**
 * WGSL lets a compiler assume that there is no NaN and no infinity. The software device does not make use of this, so a kernel that relies on
 * arithmetic to propagate them would pass all other tests. This device treats them as 0 in arithmetic.
 */
let device: GPUDevice;
let backend: WebgpuBackend;
beforeAll(async () => {
  device = await newDeviceWithSubgroups();
  const finite =
    'fn taken(bits: u32) -> f32 { return select(0.0, bitcast<f32>(bits), (bits & 0x7f800000u) != 0x7f800000u); }';
  backend = await webgpu.open({
    device: altered(device, {
      createShaderModule: ({ label = '', code }: GPUShaderModuleDescriptor) =>
        device.createShaderModule({ label, code: `${code.replaceAll('bitcast<f32>(', 'taken(')}\n${finite}` }),
    }),
  });
});
afterAll(() => {
  backend.close();
  device.destroy();
});

const nan = Number.NaN;
const inf = Number.POSITIVE_INFINITY;

async function run(
  operands: readonly (readonly number[] | Float32Array)[],
  lengths: readonly number[],
  enqueue: (outs: readonly WebgpuBuffer[], inputs: readonly WebgpuBuffer[]) => void,
): Promise<readonly (readonly number[])[]> {
  const inputs = operands.map((values) => {
    const buffer = backend.alloc(values.length, 'float32');
    backend.write(buffer, Float32Array.from(values));
    return buffer;
  });
  const outs = lengths.map((length) => backend.alloc(length, 'float32'));
  enqueue(outs, inputs);
  const results = await Promise.all(outs.map((out) => backend.read(out)));
  for (const buffer of [...inputs, ...outs]) backend.free(buffer);
  return results.map((values) => [...values]);
}

async function upload(values: Uint8Array | Int32Array, dtype: 'bool' | 'int32'): Promise<WebgpuBuffer> {
  const buffer = backend.alloc(values.length, dtype);
  backend.write(buffer, values);
  return buffer;
}

/** Rows for which softmax is undefined, then one for which it is defined. */
const undefinedRows = [
  [nan, 1, 2],
  [1, 2, nan],
  [0, inf, 1],
  [-inf, 0, inf],
  [-inf, -inf, -inf],
  [nan, -inf, -inf],
];
const classes = 3;
const rows: Rows = { outer: undefinedRows.length + 1, classes, inner: 1 };
const logits = [...undefinedRows, [-inf, 0, 0]].flat();
const size = logits.length;
const allNaN = Array<number>(size - classes).fill(nan);
const plain = { temperature: 1, mask: null } as const;

test('the device announces non-finite numbers as unspecified', () => {
  expect(backend.supports.nonFinite).toBe('unspecified');
});

describe('a row with NaN or +Infinity, or only −Infinity', () => {
  test('is NaN in softmax and log-softmax; −Infinity beside finite logits has probability 0', async () => {
    const [s, y] = await run([logits], [size, size], ([outS, outY], [x]) => {
      backend.softmax(outS, x, rows, plain);
      backend.kernels.logSoftmax(outY, x, rows, plain);
    });
    expect(s).toEqual([...allNaN, 0, 0.5, 0.5]);
    expect(y.slice(0, -2)).toEqual([...allNaN, -inf]);
    for (const value of y.slice(-2)) expect(value).toBeCloseTo(-Math.log(2), 6);
  });

  test('is NaN in softmax whatever the bits of its NaN are', async () => {
    const bits = Uint32Array.of(0x7f800001, 0xff800001, 0x7fffffff, 0xffc00000, 0x7fc00001, 0x7fbfffff, 0xff800100);
    // The middle one of each row.
    const x = new Float32Array(
      Uint32Array.from({ length: size }, (_, i) => (i % classes === 1 ? bits[(i - 1) / 3] : 0)).buffer,
    );
    const [s] = await run([x], [size], ([out], [input]) => backend.softmax(out, input, rows, plain));
    expect(s).toEqual(Array<number>(size).fill(nan));
  });

  test('is NaN, Infinity or −Infinity in log-sum-exp', async () => {
    const [out] = await run([logits], [rows.outer], ([to], [x]) => backend.kernels.logSumExp(to, x, rows, plain));
    expect(out.slice(0, -1)).toEqual([nan, nan, inf, inf, -inf, nan]);
    expect(out.at(-1)).toBeCloseTo(Math.log(2), 6);
  });

  test('is NaN in loss and gradient of cross-entropy, except for ignored rows and masked entries', async () => {
    const target = await upload(Int32Array.of(1, 1, 2, 1, 1, -100, 0), 'int32');
    const mask = await upload(Uint8Array.of(1, 1, 0), 'bool');
    const [loss, gradient, masked] = await run(
      [logits],
      [rows.outer, size, size],
      ([outLoss, outGradient, outMasked], [x]) => {
        const options = {
          ...plain,
          target: { kind: 'indices', buffer: target },
          weight: null,
          labelSmoothing: 0,
        } as const;
        const rest = { ...options, ignoreIndex: -100, scale: 1 };
        backend.kernels.crossEntropy({ loss: outLoss, gradient: outGradient }, x, rows, rest);
        const removed = { ...rest, mask: { buffer: mask, outer: 1 } };
        backend.kernels.crossEntropy({ loss: null, gradient: outMasked }, x, rows, removed);
      },
    );
    // The last row's target has probability 0.
    expect(loss).toEqual([nan, nan, nan, nan, nan, 0, inf]);
    const ignored = [0, 0, 0];
    expect(gradient).toEqual([...allNaN.slice(classes), ...ignored, -1, 0.5, 0.5]);
    const [first, second] = [masked.slice(0, classes), masked.slice(classes, 2 * classes)];
    expect(first).toEqual([nan, nan, 0]);
    // Its NaN is masked.
    expect(second.map(Number.isFinite)).toEqual([true, true, true]);
    expect(masked.slice(2 * classes, 3 * classes)).toEqual([nan, nan, 0]);
    expect(masked.slice(4 * classes)).toEqual([nan, nan, 0, ...ignored, -1, 1, 0]);
    backend.free(target);
    backend.free(mask);
  });

  test('has 0 or −Infinity at masked entries, and is defined if all its non-finite entries are masked', async () => {
    const mask = await upload(Uint8Array.of(0, 1, 1), 'bool');
    const [s, y, z] = await run([logits], [size, size, rows.outer], ([outS, outY, outZ], [x]) => {
      const options = { temperature: 1, mask: { buffer: mask, outer: 1 } };
      backend.softmax(outS, x, rows, options);
      backend.kernels.logSoftmax(outY, x, rows, options);
      backend.kernels.logSumExp(outZ, x, rows, options);
    });
    const rowOf = (values: readonly number[], row: number) => values.slice(classes * row, classes * (row + 1));
    expect(rowOf(s, 0).reduce((a, b) => a + b, 0)).toBeCloseTo(1, 6);
    expect(rowOf(s, 6)).toEqual([0, 0.5, 0.5]);
    for (const row of [1, 2, 3, 4, 5]) {
      expect(rowOf(s, row)).toEqual([0, nan, nan]);
      expect(rowOf(y, row)).toEqual([-inf, nan, nan]);
    }
    expect(z.slice(1, -1)).toEqual([nan, inf, inf, -inf, -inf]);
    backend.free(mask);
  });
});

describe('derivatives of a row', () => {
  // Several invocations per row, which exchange their states.
  const classes = 5;
  const s = [0.3, 0.2, 0.2, 0.2, 0.1];
  const y = s.map(Math.log);
  const g = [1, 2, 3, 4, 5];
  const one = { outer: 1, classes, inner: 1 };
  const replaced = (values: readonly number[], at: number, by: number) => values.map((v, i) => (i === at ? by : v));

  test('with a probability or a cotangent that is not finite are not finite', async () => {
    for (const by of [nan, inf]) {
      for (const at of [0, 3]) {
        for (const [p, cotangent] of [
          [replaced(s, at, by), g],
          [s, replaced(g, at, by)],
        ]) {
          const [dx] = await run([p, cotangent], [classes], ([out], [a, b]) => backend.vjp(out, a, b, one, plain));
          expect(dx.some(Number.isFinite), `${p} ${cotangent}`).toBe(false);
        }
      }
    }
  });

  test('second derivatives with an operand that is not finite are not finite', async () => {
    const { softmaxHvp, logSoftmaxHvp, logSumExpHvp } = backend.kernels;
    for (const by of [nan, inf]) {
      for (const [kernel, operands, count] of [
        [softmaxHvp, [s, g, g], 3],
        [logSoftmaxHvp, [y, g, g], 3],
        [logSumExpHvp, [y, [1], g], 3],
      ] as const) {
        for (let k = 0; k < count; k++) {
          for (const at of operands[k].length > 1 ? [0, 3] : [0]) {
            const changed = operands.map((values, j) => (j === k ? replaced(values, at, by) : values));
            const [d] = await run(changed, [classes], ([out], [a, b, c]) =>
              expect(kernel(out, a, b, c, one, plain)).toBe(undefined),
            );
            expect(d.some(Number.isFinite), `${kernel} ${by} ${k} ${at}`).toBe(false);
          }
        }
      }
    }
  });

  test('an infinite cotangent of log-softmax is what IEEE 754 makes of g − p Σ g, at a p above ½ of g (1 − p) − p Σ_others g', async () => {
    const at = (y: readonly number[], g: readonly number[]) =>
      run([y, g], [g.length], ([out], [a, b]) =>
        backend.kernels.logSoftmaxVjp(out, a, b, { outer: 1, classes: g.length, inner: 1 }, { temperature: 0.5 }),
      );
    const even = [0.25, 0.25, 0.25, 0.25, 0].map(Math.log);
    expect(await at(even, [1, inf, 2, 3, 4])).toEqual([[-inf, nan, -inf, -inf, nan]]);
    expect(await at(even, [1, -inf, 2, -inf, 4])).toEqual([[inf, nan, inf, nan, nan]]);
    expect(await at(even, [1, 2, 3, 4, -inf])).toEqual([[inf, inf, inf, inf, nan]]);
    expect(await at(even, [-inf, inf, 2, 3, 4])).toEqual([[nan, nan, nan, nan, nan]]);
    const above = [0.4, 0.6, 0].map(Math.log);
    expect(await at(above, [1, inf, 2])).toEqual([[-inf, inf, nan]]);
    expect(await at(above, [1, -inf, 2])).toEqual([[inf, -inf, nan]]);
    expect(await at(above, [inf, 1, 2])).toEqual([[nan, -inf, nan]]);
    expect(await at(above, [inf, inf, 2])).toEqual([[nan, nan, nan]]);
    expect(await at(above, [-inf, inf, 2])).toEqual([[nan, inf, nan]]);
    expect(await at(above, [-inf, 1, inf])).toEqual([[nan, nan, nan]]);
    expect(await at(above, [nan, 1, inf])).toEqual([[nan, nan, nan]]);
    expect(await at(above, [1, nan, 2])).toEqual([[nan, nan, nan]]);
    const oneHot = [0, -inf];
    expect(await at(oneHot, [inf, 1])).toEqual([[nan, nan]]);
    expect(await at(oneHot, [1, inf])).toEqual([[-inf, nan]]);
  });

  test('an infinite factor of a second derivative gives infinities of its sign, and NaN where it multiplies 0', async () => {
    const p = [0.5, 0, 0.25, 0.25];
    const four = { outer: 1, classes: 4, inner: 1 };
    const t = [3, 5, -1, 0];
    const mixed = [inf, nan, -inf, -inf];
    const opposite = [-inf, nan, inf, inf];
    const none = [nan, nan, nan, nan];
    const y = p.map(Math.log);
    for (const [g, expected] of [
      [[1, inf, 2, 3], opposite],
      [[1, -inf, -inf, 3], mixed],
      [[inf, 1, 2, -inf], none],
      [[inf, 1, nan, 2], none],
    ]) {
      const [d] = await run([y, g, t], [4], ([out], [a, b, c]) => {
        expect(backend.kernels.logSoftmaxHvp(out, a, b, c, four, { temperature: 2 })).toBe(undefined);
      });
      expect(d, `${g}`).toEqual(expected);
    }
    const mask = await upload(Uint8Array.of(1, 1, 1, 0), 'bool');
    for (const [g, expected, masked] of [
      [inf, mixed, [inf, nan, -inf, 0]],
      [-inf, opposite, [-inf, nan, inf, 0]],
      [nan, none, [nan, nan, nan, 0]],
    ] as const) {
      const [d, e] = await run([y, [g], t], [4, 4], ([out, of], [a, b, c]) => {
        backend.kernels.logSumExpHvp(out, a, b, c, four, plain);
        backend.kernels.logSumExpHvp(of, a, b, c, four, { temperature: 1, mask: { buffer: mask, outer: 1 } });
      });
      expect([d, e], `${g}`).toEqual([expected, masked]);
    }
    backend.free(mask);
    // The mean of a constant tangent leaves 0.
    const [constant] = await run([y, [inf], [1, 1, 1, 1]], [4], ([out], [a, b, c]) => {
      backend.kernels.logSumExpHvp(out, a, b, c, four, plain);
    });
    expect(constant).toEqual(none);
    // The product of the other factors is below the smallest number, but none of them is 0.
    const [tiny] = await run([[0, 0], [inf], [1e-30, 0]], [2], ([out], [a, b, c]) => {
      backend.kernels.logSumExpHvp(
        out,
        a,
        b,
        c,
        { outer: 1, classes: 2, inner: 1 },
        { temperature: 2 ** 30, mask: null },
      );
    });
    expect(tiny).toEqual([inf, -inf]);
  });

  test('second derivatives at a probability of 0 are 0, and those of log-softmax are defined if all are 0', async () => {
    const none = y.map(() => -inf);
    const [a, b, ofNone] = await run(
      [replaced(y, 1, -inf), g, [1], none],
      [classes, classes, classes],
      (outs, inputs) => {
        backend.kernels.logSoftmaxHvp(outs[0], inputs[0], inputs[1], inputs[1], one, plain);
        backend.kernels.logSumExpHvp(outs[1], inputs[0], inputs[2], inputs[1], one, plain);
        backend.kernels.logSoftmaxHvp(outs[2], inputs[3], inputs[1], inputs[1], one, plain);
      },
    );
    for (const values of [a, b])
      expect(values.map((value) => Math.abs(value) > 0)).toEqual([true, false, true, true, true]);
    expect(ofNone.map(Math.abs)).toEqual(y.map(() => 0));
    const [undefinedRow] = await run(
      [none, [1], g],
      [classes],
      ([out], [x, factor, t]) => void backend.kernels.logSumExpHvp(out, x, factor, t, one, plain),
    );
    expect(undefinedRow).toEqual(y.map(() => nan));
  });

  test('of log-softmax with a cotangent or tangent that is not finite are not finite; at a NaN output they are NaN', async () => {
    for (const by of [nan, inf]) {
      for (const name of ['logSoftmaxVjp', 'logSoftmaxJvp'] as const) {
        const [dx] = await run([y, replaced(g, 1, by)], [classes], ([out], [a, b]) =>
          backend.kernels[name](out, a, b, one, { temperature: 1 }),
        );
        expect(dx.some(Number.isFinite), name).toBe(false);
      }
    }
    // One invocation visits the first class and this one.
    const outputs = replaced(y, 4, nan);
    const [vjp, jvp] = await run([outputs, g], [classes, classes], ([outVjp, outJvp], [a, b]) => {
      backend.kernels.logSoftmaxVjp(outVjp, a, b, one, { temperature: 1 });
      backend.kernels.logSoftmaxJvp(outJvp, a, b, one, { temperature: 1 });
    });
    // The cotangent of the NaN counts in the sum of all of them, 15.
    expect(vjp.slice(0, 4).every((value, c) => Math.abs(value - (g[c] - 15 * s[c])) < 1e-5)).toBe(true);
    expect(vjp[4]).toBeNaN();
    expect(jvp.every(Number.isNaN)).toBe(true);
  });

  test('an entry of a Jacobian is NaN if either probability is NaN', async () => {
    const p = replaced(s, 1, nan);
    const [j, l] = await run([p, replaced(y, 1, nan)], [classes ** 2, classes ** 2], ([outJ, outL], [a, b]) => {
      backend.jacobian(outJ, a, one, plain);
      backend.kernels.logSoftmaxJacobian(outL, b, one, { temperature: 1 });
    });
    const [cross, column] = [[] as boolean[], [] as boolean[]];
    for (let r = 0; r < classes; r++) {
      for (let c = 0; c < classes; c++) {
        cross.push(r === 1 || c === 1);
        column.push(c === 1);
      }
    }
    expect(j.map(Number.isNaN)).toEqual(cross);
    expect(l.map(Number.isNaN)).toEqual(column);
  });
});

describe('element by element', () => {
  const special = [nan, inf, -inf, 0, -0, 1, -1];
  const unary = async (enqueue: (out: WebgpuBuffer, x: WebgpuBuffer) => void) => {
    const [values] = await run([special], [special.length], ([out], [x]) => enqueue(out, x));
    return values;
  };
  const n = special.length;

  test('exp, log and −x of NaN, infinities and zeros are those of IEEE 754', async () => {
    const exp = await unary((out, x) => backend.basis.unary(out, 'exp', x, n));
    expect(exp.slice(0, 5)).toEqual([nan, inf, 0, 1, 1]);
    const log = await unary((out, x) => backend.basis.unary(out, 'log', x, n));
    expect(log).toEqual([nan, inf, nan, -inf, -inf, 0, nan]);
    const negative = await unary((out, x) => backend.basis.unary(out, 'neg', x, n));
    expect(negative).toEqual(special.map((value) => -value));
  });

  test('the maximum and minimum of two numbers are NaN if one is NaN, and order infinities', async () => {
    const pairs = special.flatMap((a) => special.map((b) => [a, b] as const));
    const [left, right] = [0, 1].map((k) => pairs.map((pair) => pair[k]));
    const extent = [1, 1, pairs.length] as const;
    const [max, min] = await run([left, right], [pairs.length, pairs.length], ([outMax, outMin], [a, b]) => {
      backend.basis.binary(outMax, 'max', { buffer: a, extent }, { buffer: b, extent }, extent);
      backend.basis.binary(outMin, 'min', { buffer: a, extent }, { buffer: b, extent }, extent);
    });
    expect(max).toEqual(pairs.map(([a, b]) => Math.max(a, b)));
    expect(min).toEqual(pairs.map(([a, b]) => Math.min(a, b)));
  });

  test('select takes the first operand if the condition is above 0, and the second if it is NaN', async () => {
    const extent = [1, 1, n] as const;
    const [chosen] = await run([special], [n], ([out], [condition]) =>
      backend.basis.select(out, { buffer: condition, extent }, 1, 2, extent),
    );
    expect(chosen).toEqual(special.map((value) => (value > 0 ? 1 : 2)));
  });

  test('sigmoid and relu propagate NaN, and map infinities to 0, 1 and Infinity', async () => {
    const sigmoid = await unary((out, x) => backend.kernels.sigmoid(out, x, n));
    expect(sigmoid.slice(0, 5)).toEqual([nan, 1, 0, 0.5, 0.5]);
    const relu = await unary((out, x) => backend.kernels.relu(out, x, n));
    expect(relu.map((value) => value + 0)).toEqual([nan, inf, 0, 0, 0, 1, 0]);
    const [vjp, ofRelu] = await run(
      [
        [nan, 0.5, 0.5, 1],
        [1, nan, inf, 1],
      ],
      [4, 4],
      ([a, b], [outputs, cotangent]) => {
        backend.kernels.sigmoidVjp(a, outputs, cotangent, 4);
        backend.kernels.reluVjp(b, outputs, cotangent, 4);
      },
    );
    expect(vjp.slice(0, 2)).toEqual([nan, nan]);
    expect(ofRelu.slice(1)).toEqual([nan, inf, 1]);
  });

  test('the maximum of a row is NaN if an element is NaN, and orders infinities', async () => {
    const [max] = await run([logits], [rows.outer], ([out], [x]) => backend.basis.reduce(out, 'max', x, rows));
    expect(max).toEqual([nan, nan, inf, inf, -inf, nan, 0]);
  });
});
