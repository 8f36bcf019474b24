import {
  type Backend,
  byteSize,
  type CrossEntropyParameters,
  type Kernels,
  type Rows,
  type SoftmaxParameters,
} from '@softgrad/core';
import type { ElementVerbs } from './basis.js';
import type { WasmBuffer } from './buffer.js';
import { goesByRows, runElements, runMaskFill, runMatrices, runRows } from './rowwise.js';
import type { Runner } from './run.js';

/** The temperatures for which the range reduction works in float32; calls with others are composed by core. */
const lowestTemperature = 1e-30;
const highestTemperature = 1e30;

const isOrdinary = (temperature: number): boolean =>
  Math.abs(temperature) >= lowestTemperature && Math.abs(temperature) <= highestTemperature;

/** The logit of a masked entry, whose probability is 0. */
const maskedLogit = (temperature: number): number =>
  temperature > 0 ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;

function softmaxInto(
  runner: Runner,
  out: WasmBuffer,
  logits: WasmBuffer,
  rows: Rows,
  { temperature, mask }: SoftmaxParameters<WasmBuffer>,
): void {
  const scratch = goesByRows(rows, temperature) ? 0 : 1;
  const rest = [temperature, mask?.buffer.address ?? 0, mask?.outer ?? 0];
  runRows(runner, 'softmax', out, rows, [out.address, logits.address], scratch, rest);
}

/** All kernels, over src/kernels/*.c. */
export function createKernels(
  runner: Runner,
  verbs: ElementVerbs,
): Pick<Backend<WasmBuffer>, 'softmax' | 'jacobian' | 'vjp'> & { readonly kernels: Kernels<WasmBuffer> } {
  const all = (buffer: WasmBuffer, length: number) => ({ buffer, extent: [1, 1, length] as const });

  /** `out = mask ? x : value`; out may be x. */
  function fill(
    out: WasmBuffer,
    x: number,
    rows: Rows,
    mask: NonNullable<SoftmaxParameters<WasmBuffer>['mask']>,
    value: number,
  ): void {
    const block = rows.classes * rows.inner;
    runMaskFill(runner, out, x, rows.outer * block, mask.buffer, mask.outer * block, value);
  }

  /** Calls `use` with masked logits, which `before` writes into `into`. `into` may be the logits' own buffer. */
  function masked(
    into: WasmBuffer,
    logits: WasmBuffer,
    rows: Rows,
    { temperature, mask }: SoftmaxParameters<WasmBuffer>,
    use: (logits: WasmBuffer, before?: () => void) => void,
  ): void {
    if (!mask) {
      use(logits);
      return;
    }
    use(into, () => fill(into, logits.address, rows, mask, maskedLogit(temperature)));
  }

  /** A derivative along one direction or two; `scratch` vectors a class. */
  function runProduct(
    name: string,
    scratch: number,
    out: WasmBuffer,
    operands: readonly WasmBuffer[],
    rows: Rows,
    temperature: number,
    before?: () => void,
  ): void | false {
    if (!isOrdinary(temperature)) return false;
    const addresses = [out, ...operands].map(({ address }) => address);
    runRows(runner, name, out, rows, addresses, scratch, [temperature], before);
  }

  return {
    softmax(out, logits, rows, parameters) {
      if (!isOrdinary(parameters.temperature)) return false;
      softmaxInto(runner, out, logits, rows, parameters);
    },
    jacobian(out, probabilities, rows, { temperature }) {
      if (!isOrdinary(temperature)) return false;
      runMatrices(runner, 'jacobian', out, probabilities, rows, temperature);
    },
    vjp(out, probabilities, cotangent, rows, { temperature }) {
      if (!isOrdinary(temperature)) return false;
      const scratch = goesByRows(rows, temperature) ? 0 : 2;
      const operands = [out.address, probabilities.address, cotangent.address];
      runRows(runner, 'vjp', out, rows, operands, scratch, [temperature]);
    },
    kernels: {
      maskedVjp(out, probabilities, cotangent, rows, { temperature, mask }) {
        if (!mask || !isOrdinary(temperature) || rows.inner !== 1) return false;
        const scratch = goesByRows(rows, temperature) ? 1 : 3;
        const operands = [out.address, probabilities.address, cotangent.address];
        const rest = [temperature, mask.buffer.address, mask.outer];
        runRows(runner, 'masked_vjp', out, rows, operands, scratch, rest);
      },
      logSoftmax(out, logits, rows, { temperature, mask }) {
        if (!isOrdinary(temperature)) return false;
        const rest = [temperature, mask?.buffer.address ?? 0, mask?.outer ?? 0];
        runRows(runner, 'log_softmax', out, rows, [out.address, logits.address], 2, rest);
      },
      logSoftmaxVjp: (out, logProbabilities, cotangent, rows, { temperature }) =>
        runProduct('log_softmax_vjp', 2, out, [logProbabilities, cotangent], rows, temperature),
      logSoftmaxJvp: (out, logProbabilities, tangent, rows, { temperature }) =>
        runProduct('log_softmax_jvp', 2, out, [logProbabilities, tangent], rows, temperature),
      logSoftmaxJacobian(out, logProbabilities, rows, { temperature }) {
        if (!isOrdinary(temperature)) return false;
        runMatrices(runner, 'log_softmax_jacobian', out, logProbabilities, rows, temperature);
      },
      softmaxHvp: (out, probabilities, cotangent, tangent, rows, { temperature }) =>
        runProduct('softmax_hvp', 3, out, [probabilities, cotangent, tangent], rows, temperature),
      logSoftmaxHvp: (out, logProbabilities, cotangent, tangent, rows, { temperature }) =>
        runProduct('log_softmax_hvp', 2, out, [logProbabilities, cotangent, tangent], rows, temperature),
      logSumExpHvp(out, logits, cotangent, tangent, rows, { temperature, mask }) {
        if (!isOrdinary(temperature)) return false;
        const run = (x: WasmBuffer, t: WasmBuffer, before?: () => void) =>
          runProduct('log_sum_exp_hvp', 2, out, [x, cotangent, t], rows, temperature, before);
        if (!mask) return run(logits, tangent);
        const { length, dtype } = logits;
        const bytes = Math.ceil((length * byteSize(dtype)) / 16) * 16;
        runner.withTemporary(2 * bytes, (address) => {
          const x = { ...logits, address };
          const t = { ...logits, address: address + bytes };
          run(x, t, () => {
            fill(x, logits.address, rows, mask, maskedLogit(temperature));
            fill(t, tangent.address, rows, mask, 0);
          });
        });
        fill(out, out.address, rows, mask, 0);
      },
      logSumExp(out, logits, rows, parameters) {
        if (!isOrdinary(parameters.temperature)) return false;
        const run = (x: WasmBuffer, before?: () => void) =>
          runRows(runner, 'log_sum_exp', out, rows, [out.address, x.address], 2, [parameters.temperature], before);
        if (!parameters.mask) return run(logits);
        const { length, dtype } = logits;
        runner.withTemporary(length * byteSize(dtype), (address) =>
          masked({ ...logits, address }, logits, rows, parameters, run),
        );
      },
      crossEntropy(out, logits, rows, parameters) {
        if (!isOrdinary(parameters.temperature)) return false;
        crossEntropyInto(runner, out, logits, rows, parameters);
      },
      sigmoid: (out, x, length) => runElements(runner, 'sigmoid', out, [x], length),
      sigmoidVjp: (out, y, cotangent, length) =>
        verbs.binary(out, 'sigmoidVjp', all(y, length), all(cotangent, length), [1, 1, length]),
      sigmoidHvp: (out, y, cotangent, tangent, length) =>
        runElements(runner, 'sigmoid_hvp', out, [y, cotangent, tangent], length),
      relu: (out, x, length) => verbs.binary(out, 'max', all(x, length), 0, [1, 1, length]),
      reluVjp: (out, y, cotangent, length) =>
        verbs.select(out, all(y, length), all(cotangent, length), 0, [1, 1, length]),
    },
  };
}

function crossEntropyInto(
  runner: Runner,
  out: { readonly loss: WasmBuffer | null; readonly gradient: WasmBuffer | null },
  logits: WasmBuffer,
  rows: Rows,
  { temperature, mask, target, weight, labelSmoothing, ignoreIndex, scale }: CrossEntropyParameters<WasmBuffer>,
): void {
  const { kind, buffer } = target;
  const operands = [out.loss?.address ?? 0, out.gradient?.address ?? 0, logits.address];
  runRows(runner, 'cross_entropy', logits, rows, operands, mask ? 4 : 3, [
    kind === 'indices' ? buffer.address : 0,
    kind === 'probabilities' ? buffer.address : 0,
    weight?.address ?? 0,
    mask?.buffer.address ?? 0,
    mask?.outer ?? 0,
    labelSmoothing,
    scale,
    temperature,
    ignoreIndex,
  ]);
}
