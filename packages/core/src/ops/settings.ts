import { SoftgradError } from '../errors.js';
import { namesOf } from '../options.js';
import { describeOption } from '../tensor/describe.js';
import { layMask, type MaskInput, sameMask } from '../tensor/mask.js';
import type { FloatTensor } from '../tensor/operands.js';
import { resolveAxis, rowsOf } from '../tensor/shape.js';
import type { Origin, TensorOfFloats } from '../tensor/tensor.js';
import type { Definition, MemberName } from './definition.js';

export interface OutOption {
  /** Write the result into this tensor; its shape, dtype and backend must fit. It may be an operand. */
  readonly out?: TensorOfFloats | undefined;
}

/** Options of the softmax family. */
export interface SoftmaxOptions extends OutOption {
  /** The dimension that adds up to 1; negative counts from the last. Default −1. */
  readonly axis?: number | undefined;
  /** T in softmax(x / T), finite and above 0. Default 1. */
  readonly temperature?: number | undefined;
  /** True = keep. Entries masked out get probability 0 and gradient 0, whatever their logit; entirely masked rows are all 0. */
  readonly mask?: MaskInput | undefined;
}

export interface AxisOption extends OutOption {
  /** The dimension along which the matrices are laid out; negative counts from the last. Default −1. */
  readonly axis?: number | undefined;
}

export const outNames = /* @__PURE__ */ namesOf<OutOption>({ out: true });
const axisNames = /* @__PURE__ */ namesOf<AxisOption>({ axis: true, out: true });
const softmaxNames = /* @__PURE__ */ namesOf<SoftmaxOptions>({ axis: true, temperature: true, mask: true, out: true });

/** The names of the options that a function takes. */
export function optionNamesOf({ over }: Definition, member: MemberName): readonly string[] {
  if (over === 'rows') return softmaxNames;
  return member === 'jacobian' ? axisNames : outNames;
}

/** @throws ERR_UNSUPPORTED for rows of more classes than the backend takes */
function checkClasses(operation: string, { backend }: FloatTensor, classes: number): void {
  const most = backend.supports.limits.classes;
  if (classes <= most) return;
  throw new SoftgradError(
    'ERR_UNSUPPORTED',
    `${operation}: ${classes} classes; ${backend.name} takes at most ${most} in one row`,
  );
}

/** @throws ERR_VALUE unless finite and above 0 */
export function checkTemperature(operation: string, temperature: number): number {
  if (Number.isFinite(temperature) && temperature > 0) return temperature;
  throw new SoftgradError(
    'ERR_VALUE',
    `${operation}: ${describeOption('temperature', temperature)}; expected a finite number above 0`,
  );
}

/** The settings of the elementwise function `name`: all entries in one row. */
export function wholeOf({ size }: FloatTensor, name: string): Origin {
  return { operation: name, axis: 0, rows: { outer: 1, classes: size, inner: 1 }, temperature: 1, mask: null };
}

/** The derivatives that every function has whose derivatives take its output. */
const sharedDerivatives: readonly string[] = ['vjp', 'jvp', 'jacobian'];

/** @throws ERR_VALUE if the operand of a derivative of the function `name` is the output of another function */
export function checkMaker(operation: string, name: string, argument: string, { origin }: FloatTensor): void {
  // A tensor from another copy of core may have no origin.
  if (!origin || origin.operation === name) return;
  const member = operation.slice(name.length + 1);
  const right = sharedDerivatives.includes(member)
    ? `use ${origin.operation}.${member} instead`
    : `expected the output of ${name}, or data without a history`;
  throw new SoftgradError(
    'ERR_VALUE',
    `${operation}: ${argument} ${argument === 'y' ? 'was' : 'were'} made by ${origin.operation}; ${right}`,
  );
}

/** The settings of the call that made the operand. @throws ERR_VALUE naming both if the options contradict them, ERR_AXIS, ERR_SHAPE, ERR_DTYPE */
export function settingsOfMaker(
  operation: string,
  argument: string,
  x: FloatTensor,
  made: Origin,
  options: SoftmaxOptions,
): Origin {
  checkClasses(operation, x, made.rows.classes);
  if (options.axis === undefined && options.temperature === undefined && options.mask === undefined) return made;
  const { axis = made.axis, temperature = made.temperature, mask } = options;
  const given = softmaxSettings(operation, x, { axis, temperature, mask }, made.operation);
  const contradiction = (now: string, then: string) =>
    new SoftgradError(
      'ERR_VALUE',
      `${operation}: ${now}, but ${argument} were made by ${made.operation} with ${then}; leave the option out`,
    );
  if (given.axis !== made.axis) throw contradiction(`axis ${axis}`, `axis ${made.axis}`);
  if (temperature !== made.temperature) {
    throw contradiction(`temperature ${temperature}`, `temperature ${made.temperature}`);
  }
  if (given.mask === null) return made;
  if (made.mask === null) throw contradiction('a mask', 'none');
  if (!sameMask(given.mask, made.mask)) throw contradiction('a mask', 'one that keeps other entries');
  return made;
}

/** Axis, temperature and mask from the options. @throws ERR_AXIS, ERR_VALUE, ERR_SHAPE, ERR_DTYPE, ERR_BACKEND_MISMATCH */
export function softmaxSettings(
  operation: string,
  x: FloatTensor,
  options: Pick<SoftmaxOptions, 'axis' | 'temperature' | 'mask'>,
  name: string,
): Origin {
  // Defaults are for what is undefined: null is refused.
  const { axis: given = -1, temperature: size = 1 } = options;
  const axis = resolveAxis(operation, given, x.shape);
  // Before `rowsOf`: if its fields once hold a number above 2^30, engines read them as floats in all later calls, which makes kernels a third slower.
  checkClasses(operation, x, x.shape[axis] ?? 1);
  const rows = rowsOf(x.shape, axis);
  const temperature = checkTemperature(operation, size);
  const mask = options.mask === undefined ? null : layMask(operation, options.mask, x, rows);
  return { operation: name, axis, rows, temperature, mask };
}
