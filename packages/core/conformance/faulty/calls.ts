import type { Basis, Operand } from '../../src/index.js';
import type { ExactBuffer } from '../exact.js';
import { type Fault, fault, faultyKernels } from './fault.js';

/** Mistakes that depend on which buffers a call is given, and on the call before it. */
export const faultyCalls: readonly Fault[] = [
  fault(
    'mask-of-the-previous-call',
    'uses the mask of the previous call once more if that had the same rows and temperature, and this one has no mask.',
    'laws/calls-in-turn:operation=softmax',
    (right) => {
      let previous: Parameters<typeof right.softmax>[3]['mask'] = null;
      let key = '';
      return {
        softmax(out, x, rows, parameters) {
          const { temperature, mask } = parameters;
          const own = JSON.stringify([rows, temperature]);
          const used = mask ?? (own === key ? previous : null);
          previous = mask && { outer: mask.outer, buffer: { dtype: 'bool', data: mask.buffer.data.slice() } };
          key = own;
          return right.softmax(out, x, rows, { temperature, mask: used });
        },
      };
    },
  ),
  faultyKernels(
    'temperature-of-the-previous-call',
    'uses the temperature of the previous call if that had as many elements.',
    'laws/calls-in-turn:operation=softmax.hvp',
    ({ softmaxHvp }) => {
      let previous = { length: 0, temperature: 1 };
      return {
        softmaxHvp(out, s, g, t, rows, { temperature }) {
          const { length } = s.data;
          const used = previous.length === length ? previous.temperature : temperature;
          previous = { length, temperature };
          softmaxHvp?.(out, s, g, t, rows, { temperature: used });
        },
      };
    },
  ),
  fault(
    'a-result-that-is-kept',
    'keeps the result for a buffer until the buffer is written by the host, and not until a kernel writes it.',
    'laws/calls-in-turn:operation=logSumExp',
    (right) => {
      const kept = new WeakMap<ExactBuffer, { readonly key: string; readonly values: Float64Array }>();
      return {
        write(buffer, host) {
          kept.delete(buffer);
          right.write(buffer, host);
        },
        kernels: {
          ...right.kernels,
          logSumExp(out, x, rows, parameters) {
            const key = JSON.stringify([rows, parameters.temperature]);
            const known = parameters.mask ? undefined : kept.get(x);
            if (known?.key === key) {
              out.data.set(known.values);
              return;
            }
            right.kernels?.logSumExp?.(out, x, rows, parameters);
            kept.set(x, { key, values: Float64Array.from(out.data) });
          },
        },
      };
    },
  ),
  fault(
    'a-cotangent-with-nan-for-all-rows',
    'gives NaN for all rows if the cotangent of one is NaN.',
    'row-groups/beside-nan:operation=softmax',
    (right) => ({
      vjp(out, s, g, rows, parameters) {
        right.vjp(out, s, g, rows, parameters);
        if (g.data.some(Number.isNaN)) out.data.fill(Number.NaN);
      },
    }),
  ),
  fault(
    'vjp-of-one-buffer',
    'works in place, but not if probabilities, cotangent and out are one buffer.',
    'vjp/in-place',
    (right) => ({
      vjp(out, s, g, rows, parameters) {
        if (out === s && s === g) out.data.fill(0);
        right.vjp(out, s, g, rows, parameters);
      },
    }),
  ),
  faultyKernels(
    'hvp-of-one-buffer',
    'works in place, but not if two operands and out are one buffer.',
    'laws/one-tensor-for-all-operands:operation=softmax.hvp',
    ({ softmaxHvp }) => ({
      softmaxHvp(out, s, g, t, rows, parameters) {
        if (out === s && s === g) out.data.fill(0);
        softmaxHvp?.(out, s, g, t, rows, parameters);
      },
    }),
  ),
  faultyKernels(
    'gradient-before-the-loss',
    'computes the loss from logits that the gradient has overwritten.',
    'cross-entropy/one-pass:out=logits',
    ({ crossEntropy }) => ({
      crossEntropy(out, x, rows, parameters) {
        if (out.gradient) crossEntropy?.({ loss: null, gradient: out.gradient }, x, rows, parameters);
        if (out.loss) crossEntropy?.({ loss: out.loss, gradient: null }, x, rows, parameters);
      },
    }),
  ),
  faultyKernels(
    'nan-at-masked-entries',
    'makes a whole row of the gradient NaN if a logit is NaN, also where the mask is 0.',
    'laws/masked-entries:operation=crossEntropy.gradient',
    ({ crossEntropy }) => ({
      crossEntropy(out, x, rows, parameters) {
        crossEntropy?.(out, x, rows, parameters);
        const { gradient } = out;
        if (!gradient || !parameters.mask || rows.inner !== 1) return;
        for (let start = 0; start < gradient.data.length; start += rows.classes) {
          const row = gradient.data.subarray(start, start + rows.classes);
          if (row.some(Number.isNaN)) row.fill(Number.NaN);
        }
      },
    }),
  ),
  ofBasis(
    'maximum-from-zero',
    'starts a maximum from 0, so that rows of numbers below 0 have the maximum 0.',
    'basis/reduce:op=max;rows=4x1x1',
    ({ reduce }) => ({
      reduce(out, op, x, rows) {
        reduce(out, op, x, rows);
        if (op === 'max') out.data.set(out.data.map((value) => Math.max(value, 0)));
      },
    }),
  ),
  ofBasis(
    'maximum-without-the-tail',
    'takes the maximum over whole vectors of four and omits the rest of rows of more than 64 classes.',
    'basis/reduce:op=max;rows=2x1025x1',
    ({ reduce }) => ({
      reduce(out, op, x, rows) {
        const { outer, classes, inner } = rows;
        const whole = op === 'max' && classes > 64 ? classes - (classes % 4) : classes;
        const data = x.data.filter((_, i) => Math.floor(i / inner) % classes < whole);
        reduce(out, op, { dtype: x.dtype, data }, { outer, classes: whole, inner });
      },
    }),
  ),
  ofBasis(
    'sum-of-one-dispatch',
    'sums at most 65,535 entries of a row.',
    'basis/reduce:op=sum;rows=1x65537x1',
    ({ reduce }) => ({
      reduce(out, op, x, rows) {
        const whole = rows.outer * rows.inner === 1 ? Math.min(rows.classes, 65535) : rows.classes;
        reduce(
          out,
          op,
          { dtype: x.dtype, data: x.data.subarray(0, x.data.length - rows.classes + whole) },
          { ...rows, classes: whole },
        );
      },
    }),
  ),
  ofBasis(
    'transposes-one-tile',
    'leaves the elements beyond a tile of 32 × 32 unwritten if there are several blocks.',
    'basis/transpose:rows=3x37x35',
    ({ transpose }) => ({
      transpose(out, x, rows) {
        const before = out.data.slice();
        transpose(out, x, rows);
        if (rows.outer === 1) return;
        before.forEach((value, k) => {
          const [i, c] = [Math.floor(k / rows.classes) % rows.inner, k % rows.classes];
          if (i >= 32 && c >= 32) out.data[k] = value;
        });
      },
    }),
  ),
  ofBasis(
    'broadcasts-one-operand',
    'broadcasts one of two operands, and takes the other one to be as large as the result.',
    'basis/binary:op=sub;operands=any',
    ({ binary }) => ({
      binary(out, op, a, b, extent) {
        const isWhole = (operand: Operand<ExactBuffer>) =>
          typeof operand === 'number' || operand.extent.join() === extent.join();
        if (isWhole(a) || isWhole(b)) binary(out, op, a, b, extent);
      },
    }),
  ),
  ofBasis(
    'selects-by-row',
    'takes a condition with a number for each row to have one for each column.',
    'basis/select:operands=any',
    ({ select }) => ({
      select(out, condition, a, b, extent) {
        const isByRow =
          typeof condition !== 'number' && condition.extent[1] > 1 && condition.extent[2] === 1 && extent[2] > 1;
        if (!isByRow) select(out, condition, a, b, extent);
      },
    }),
  ),
  ofBasis(
    'selects-in-place-by-chance',
    'clears out before it reads a, although they may be one buffer.',
    'basis/in-place',
    ({ select }) => ({
      select(out, condition, a, b, extent) {
        if (typeof a !== 'number' && a.buffer === out) out.data.fill(0);
        select(out, condition, a, b, extent);
      },
    }),
  ),
  ofBasis(
    'combines-one-buffer',
    'works in place, but not if both operands and out are one buffer.',
    'basis/in-place:dtype=float64',
    ({ binary }) => ({
      binary(out, op, a, b, extent) {
        const isOut = (operand: Operand<ExactBuffer>) => typeof operand !== 'number' && operand.buffer === out;
        if (isOut(a) && isOut(b)) out.data.fill(0);
        binary(out, op, a, b, extent);
      },
    }),
  ),
];

/** The exact backend with a primitive of its basis replaced. */
function ofBasis(
  name: string,
  mistake: string,
  caughtBy: string,
  replace: (right: Basis<ExactBuffer>) => Partial<Basis<ExactBuffer>>,
): Fault {
  return fault(name, mistake, caughtBy, ({ basis }) => (basis ? { basis: { ...basis, ...replace(basis) } } : {}));
}
