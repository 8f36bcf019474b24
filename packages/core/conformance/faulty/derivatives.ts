import { rowIndices } from '../../reference/functions.js';
import type { SoftmaxParameters } from '../../src/index.js';
import { repeated } from '../../src/tensor/mask.js';
import type { ExactBuffer } from '../exact.js';
import { eachRow, type Fault, fault, faultyKernels, valueAt } from './fault.js';

const vjpRamp = 'vjp/values:shape=7x5;axis=1;input=ramp;cotangent=uniform';
const jacobianRamp = 'jacobian/values:shape=7x5;axis=1;input=ramp';

/** Mistakes of the vjp and Jacobian kernels. */
export const faultyDerivatives: readonly Fault[] = [
  fault('row-sum-vjp', 'sums the rows of the Jacobian and forgets the cotangent: always about 0.', vjpRamp, () => ({
    vjp: (out, s, _, rows) =>
      eachRow(out, s, rows, (row) => {
        const sum = row.reduce((a, b) => a + b, 0);
        return row.map((p) => p * (1 - sum));
      }),
  })),
  fault('diagonal-vjp', 'treats softmax as a sigmoid: g s (1 − s).', vjpRamp, () => ({
    vjp(out, s, g) {
      const result = s.data.map((p, i) => valueAt(g, i) * p * (1 - p));
      out.data.set(result);
    },
  })),
  fault('vjp-without-cotangent-sum', 'leaves ⟨s, g⟩ out: s ⊙ g.', vjpRamp, () => ({
    vjp(out, s, g) {
      out.data.set(s.data.map((p, i) => valueAt(g, i) * p));
    },
  })),
  fault('vjp-over-the-batch', 'divides the vjp by the number of rows.', vjpRamp, (right) => ({
    vjp(out, s, g, rows, parameters) {
      right.vjp(out, s, g, rows, parameters);
      out.data.set(out.data.map((value) => value / (rows.outer * rows.inner)));
    },
  })),
  fault(
    'vjp-last-axis-only',
    'sums ⟨s, g⟩ over contiguous elements instead of over a row.',
    'vjp/values:shape=7x5;axis=0;input=ramp;cotangent=uniform',
    (right) => ({
      vjp: (out, s, g, { outer, classes, inner }, parameters) =>
        right.vjp(out, s, g, { outer: outer * inner, classes, inner: 1 }, parameters),
    }),
  ),
  fault(
    'vjp-not-in-place',
    'announces inPlace, but reads entries of the cotangent that it has overwritten.',
    'vjp/in-place',
    () => ({
      vjp(out, s, g, rows) {
        for (const at of rowIndices(rows)) {
          for (const i of at) {
            const inner = at.reduce((sum, j) => sum + valueAt(s, j) * valueAt(g, j), 0);
            out.data[i] = valueAt(s, i) * (valueAt(g, i) - inner);
          }
        }
      },
    }),
  ),
  fault('vjp-that-cancels', 's ⊙ (g − ⟨s, g⟩) computed in float32, which cancels.', 'vjp/nearly-one-hot', () => ({
    vjp(out, s, g, rows, { temperature }) {
      for (const at of rowIndices(rows)) {
        const inner = at.reduce((sum, i) => Math.fround(sum + Math.fround(valueAt(s, i) * valueAt(g, i))), 0);
        for (const i of at) out.data[i] = (valueAt(s, i) * Math.fround(valueAt(g, i) - inner)) / temperature;
      }
    },
  })),
  fault(
    'vjp-of-two-means',
    'subtracts ⟨s, g⟩ twice instead of the cotangent at the largest probability, in float32.',
    'vjp/nearly-one-hot:input=peaked;cotangent=offset',
    () => ({
      vjp(out, s, g, rows, { temperature }) {
        const meanOf = (at: readonly number[], v: ExactBuffer) =>
          at.reduce((sum, i) => Math.fround(sum + Math.fround(valueAt(s, i) * valueAt(v, i))), 0);
        for (const at of rowIndices(rows)) {
          const mean = meanOf(at, g);
          const rest = { dtype: g.dtype, data: g.data.map((value) => Math.fround(value - mean)) };
          const lost = meanOf(at, rest);
          for (const i of at) out.data[i] = (valueAt(s, i) * Math.fround(valueAt(rest, i) - lost)) / temperature;
        }
      },
    }),
  ),
  fault(
    'vjp-of-one-mean',
    's ⊙ (g − ⟨s, g⟩) in float32, less the cotangent of a probability above ½: in other rows a constant in common leaves its rounding error.',
    'extremes/common-constant:operation=softmax.vjp',
    () => ({
      vjp(out, s, g, rows, { temperature }) {
        for (const at of rowIndices(rows)) {
          const top = at.find((i) => valueAt(s, i) > 0.5);
          const moved = (i: number) => Math.fround(valueAt(g, i) - (top === undefined ? 0 : valueAt(g, top)));
          const inner = Math.fround(at.reduce((sum, i) => sum + valueAt(s, i) * moved(i), 0));
          const results = at.map((i) => (valueAt(s, i) * Math.fround(moved(i) - inner)) / temperature);
          at.forEach((i, c) => {
            out.data[i] = results[c] ?? Number.NaN;
          });
        }
      },
    }),
  ),
  fault(
    'vjp-less-the-largest',
    'subtracts the cotangent at the largest probability even where that is small, in float32: other entries lose their digits.',
    'extremes/sparse-direction:operation=softmax.vjp',
    () => ({
      vjp(out, s, g, rows, { temperature }) {
        for (const at of rowIndices(rows)) {
          const top = at.reduce((most, i) => (valueAt(s, i) > valueAt(s, most) ? i : most), at[0] ?? 0);
          const moved = (i: number) => Math.fround(valueAt(g, i) - valueAt(g, top));
          const inner = Math.fround(at.reduce((sum, i) => sum + valueAt(s, i) * moved(i), 0));
          const results = at.map((i) => (valueAt(s, i) * Math.fround(moved(i) - inner)) / temperature);
          at.forEach((i, c) => {
            out.data[i] = results[c] ?? Number.NaN;
          });
        }
      },
    }),
  ),
  fault(
    'vjp-of-clamped-cotangents',
    'clamps infinite cotangents to finite numbers, so that an overflow is not noticed.',
    'row-groups/beside-nan:operation=softmax',
    (right) => ({
      vjp(out, s, g, rows, parameters) {
        const data = g.data.map((value) => Math.max(-3e38, Math.min(3e38, value)));
        right.vjp(out, s, { dtype: g.dtype, data }, rows, parameters);
      },
    }),
  ),
  fault(
    'vjp-of-joined-bits',
    'finds the cotangent of the largest probability by an or of all whose probability is above ½, which joins the bits of several.',
    'vjp/not-a-softmax',
    () => ({
      vjp(out, s, g, rows, { temperature }) {
        for (const at of rowIndices(rows)) {
          const bits = at.reduce((joined, i) => (valueAt(s, i) > 0.5 ? joined | bitsOf(valueAt(g, i)) : joined), 0);
          const origin = floatOf(bits);
          const inner = at.reduce((sum, i) => sum + valueAt(s, i) * (valueAt(g, i) - origin), 0);
          for (const i of at) out.data[i] = (valueAt(s, i) * (valueAt(g, i) - origin - inner)) / temperature;
        }
      },
    }),
  ),
  fault(
    'diagonal-of-the-difference',
    'writes s (1 − s) on the diagonal even where s is above ½.',
    'jacobian/nearly-one-hot',
    (right) => ({
      jacobian(out, s, rows, parameters) {
        right.jacobian(out, s, rows, parameters);
        const { classes } = rows;
        rowIndices(rows).forEach((at, row) => {
          at.forEach((i, c) => {
            out.data[(row * classes + c) * classes + c] =
              (valueAt(s, i) * (1 - valueAt(s, i))) / parameters.temperature;
          });
        });
      },
    }),
  ),
  fault('vjp-overwrites-cotangent', 'leaves s ⊙ g in the cotangent.', 'vjp/input-unchanged', (right) => ({
    vjp(out, s, g, rows, parameters) {
      const product = g.data.map((value, i) => value * valueAt(s, i));
      right.vjp(out, s, g, rows, parameters);
      g.data.set(product);
    },
  })),
  fault('diagonal-jacobian', 'writes s (1 − s) on the diagonal and nothing elsewhere.', jacobianRamp, (right) => ({
    jacobian(out, s, rows, parameters) {
      right.jacobian(out, s, rows, parameters);
      const { classes } = rows;
      out.data.forEach((_, i) => {
        if (Math.floor(i / classes) % classes !== i % classes) out.data[i] = 0;
      });
    },
  })),
  fault('jacobian-with-s-on-the-diagonal', 'forgets s² on the diagonal.', 'jacobian/symmetric', (right) => ({
    jacobian(out, s, rows, parameters) {
      right.jacobian(out, s, rows, parameters);
      const { classes } = rows;
      rowIndices(rows).forEach((at, row) => {
        at.forEach((i, c) => {
          out.data[(row * classes + c) * classes + c] = valueAt(s, i);
        });
      });
    },
  })),
  fault(
    'jacobian-in-inner-order',
    'orders the matrices by inner first.',
    'jacobian/values:shape=2x3x4;axis=1;input=ramp',
    (right) => ({
      jacobian(out, s, rows, parameters) {
        right.jacobian(out, s, rows, parameters);
        const { outer, classes, inner } = rows;
        const size = classes * classes;
        const ordered = out.data.slice();
        for (let row = 0; row < outer * inner; row++) {
          const other = (row % outer) * inner + Math.floor(row / outer);
          out.data.set(ordered.subarray(other * size, (other + 1) * size), row * size);
        }
      },
    }),
  ),
  faultyKernels(
    'masked-vjp-of-the-whole-cotangent',
    'sets masked entries of the result to 0, but not those of the cotangent: 0 times one that is not finite is NaN.',
    'laws/masked-directions:operation=softmax.vjp',
    ({ maskedVjp }) => ({
      maskedVjp(out, s, g, rows, parameters) {
        const kept = keptBy(parameters, out.data.length);
        maskedVjp?.(out, s, g, rows, { ...parameters, mask: null });
        out.data.set(out.data.map((value, i) => (kept(i) ? value : 0)));
      },
    }),
  ),
  faultyKernels(
    'masked-vjp-of-masked-cotangents',
    'sets masked entries of the cotangent to 0, but not those of the result, which are NaN in a row that is.',
    'laws/masked-entries:operation=softmax.vjp',
    ({ maskedVjp }) => ({
      maskedVjp(out, s, g, rows, parameters) {
        const kept = keptBy(parameters, g.data.length);
        const masked = { dtype: g.dtype, data: g.data.map((value, i) => (kept(i) ? value : 0)) };
        maskedVjp?.(out, s, masked, rows, { ...parameters, mask: null });
      },
    }),
  ),
  faultyKernels(
    'masked-vjp-of-the-first-mask',
    'uses the mask of the first row for all rows.',
    'vjp/masks:classes=1..300',
    ({ maskedVjp }) => ({
      maskedVjp(out, s, g, rows, parameters) {
        const { mask, temperature } = parameters;
        const data = mask?.buffer.data.slice(0, rows.classes * rows.inner);
        if (!mask || !data) return false;
        maskedVjp?.(out, s, g, rows, { temperature, mask: { buffer: { ...mask.buffer, data }, outer: 1 } });
      },
    }),
  ),
];

/** Whether the mask of a call keeps an entry. */
function keptBy({ mask }: SoftmaxParameters<ExactBuffer>, size: number): (i: number) => boolean {
  const entries = mask ? repeated(mask.buffer.data, size) : null;
  return (i) => entries?.[i] !== 0;
}

function bitsOf(value: number): number {
  return new Int32Array(Float32Array.of(value).buffer)[0] ?? 0;
}

function floatOf(bits: number): number {
  return new Float32Array(Int32Array.of(bits).buffer)[0] ?? 0;
}
