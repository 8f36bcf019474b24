import { isSoftgradError, SoftgradError } from '../errors.js';
import { shortened } from '../shortened.js';
import { optionMeant } from '../similar-names.js';
import { checkAttached } from '../tensor/attached.js';
import { describe } from '../tensor/describe.js';
import type { DType, FloatDType } from '../tensor/dtype.js';
import { checkShape, type Shape, sameShape, show, sizeOf } from '../tensor/shape.js';
import { isTensor, type Tensor } from '../tensor/tensor.js';
import { type CheckedFunction, type Derivative, derivativeOf, type OwnFunction } from './function.js';
import { roundoff } from './report.js';

/** What a function states of itself, if it has to. */
const statements = ['kinks', 'outputShape'] as const;

/** A caller's function, whose results are checked at every call. @throws ERR_VALUE if it does not have the derivative */
export function ownFunction(check: string, f: OwnFunction, derivative: Derivative, x: Tensor): CheckedFunction {
  const own = derivativeOf(check, f, derivative);
  return {
    ...checkedForward(check, f, x),
    derivative: async (...operands) => checkedGradient(check, `${derivative} of ${f.name}`, await own(...operands), x),
  };
}

/** @throws ERR_VALUE, ERR_SHAPE for what only JavaScript without types can state, such as 6 for a shape of 6 values */
function checkedForward(check: string, f: OwnFunction, x: Tensor): OwnFunction {
  const { name, kinks = [], outputShape = x.shape } = f;
  for (const key of Object.keys(f)) {
    const meant = optionMeant(key, statements);
    if (meant !== undefined && meant !== key)
      throw new SoftgradError('ERR_VALUE', `${check}: ${name} has '${shortened(key)}' (did you mean '${meant}'?)`);
  }
  const isStated = f.outputShape !== undefined;
  if (typeof f.forward !== 'function') throw notExpected(check, `forward of ${name}`, f.forward, 'a function');
  if (!Array.isArray(outputShape)) {
    throw notExpected(check, `outputShape of ${name}`, outputShape, 'an array of dimensions, [] for one number');
  }
  checkShape(`${check}: outputShape of ${name}`, outputShape);
  if (!Array.isArray(kinks) || !kinks.every((kink) => typeof kink === 'number')) {
    throw notExpected(check, `kinks of ${name}`, kinks, 'an array of numbers');
  }
  return {
    name,
    kinks,
    outputShape,
    forward: async (at) => flatNumbers(check, name, await called(check, f, at), outputShape, isStated),
  };
}

/** What every `forward` gets, which is not what its derivative gets. */
const whatItGets = 'it gets the entries of x as a Float64Array and computes on the host';

/** The values of a function. @throws an error of softgrad with what `forward` is called with: a function of core refuses the flat numbers, or their shape */
async function called(check: string, f: OwnFunction, at: Float64Array): Promise<unknown> {
  try {
    return await f.forward(at);
  } catch (cause) {
    if (!isSoftgradError(cause)) throw cause;
    throw new SoftgradError(cause.code, `${check}: forward of ${f.name}: ${cause.message}; ${whatItGets}`, { cause });
  }
}

function notExpected(check: string, what: string, given: unknown, expected: string): SoftgradError {
  return new SoftgradError('ERR_VALUE', `${check}: ${what} is ${describe(given)}; expected ${expected}`);
}

/** @throws ERR_VALUE unless they are numbers, as many as the shape has; ERR_DISPOSED for a detached array */
function flatNumbers(check: string, name: string, values: unknown, shape: Shape, isStated: boolean): ArrayLike<number> {
  const size = sizeOf(shape);
  const refuse = (what: string) =>
    new SoftgradError(
      'ERR_VALUE',
      `${check}: forward of ${name} returned ${what}; expected a flat array of ${size} ${size === 1 ? 'number' : 'numbers'}, the values of shape ${show(shape)}: ${whatItGets}`,
    );
  if (!Array.isArray(values) && !(ArrayBuffer.isView(values) && 'length' in values)) throw refuse(describe(values));
  if (ArrayBuffer.isView(values)) checkAttached(`${check}: forward of ${name}`, values);
  const flat = values as ArrayLike<unknown>;
  if (flat.length !== size) {
    const count = `${flat.length} ${flat.length === 1 ? 'value' : 'values'}`;
    if (isStated) throw refuse(count);
    const stated =
      flat.length === 1
        ? 'if it is a loss, which is one number, add outputShape: []'
        : `if its values have another shape than x, add outputShape, such as [${flat.length}]`;
    throw new SoftgradError(
      'ERR_VALUE',
      `${check}: forward of ${name} returned ${count} for x of shape ${show(shape)}, expected ${size}; ${stated}`,
    );
  }
  const wrong = Array.from(flat).findIndex((value) => typeof value !== 'number');
  if (wrong >= 0) throw refuse(`an array whose entry ${wrong} is ${describe(flat[wrong])}`);
  return flat as ArrayLike<number>;
}

/** @throws ERR_VALUE unless it is a tensor, ERR_SHAPE unless it has the shape of x, ERR_DTYPE if its dtype is less precise than that of x */
function checkedGradient(check: string, source: string, result: unknown, { shape, dtype }: Tensor): Tensor {
  if (!isTensor(result)) {
    throw new SoftgradError(
      'ERR_VALUE',
      `${check}: ${source} returned ${describe(result)}; expected a tensor of shape ${show(shape)}, that of x: tensor(array, { shape: x.shape, dtype: x.dtype })`,
    );
  }
  if (result.disposed) {
    const why = 'a tensor that was disposed, as the result of each call is; expected a new one';
    throw new SoftgradError('ERR_DISPOSED', `${check}: ${source} returned ${why}`);
  }
  const refuse = (code: 'ERR_SHAPE' | 'ERR_DTYPE', what: string, expected: string) => {
    result.dispose();
    return new SoftgradError(code, `${check}: ${source} returned a tensor of ${what}; expected ${expected}`);
  };
  if (!sameShape(result.shape, shape))
    throw refuse('ERR_SHAPE', `shape ${show(result.shape)}`, `${show(shape)}, that of x`);
  if (!(unitOf(result.dtype) <= unitOf(dtype)))
    throw refuse('ERR_DTYPE', `dtype ${result.dtype}`, `${dtype}, that of x: pass { dtype: x.dtype } to tensor`);
  return result;
}

/** The unit roundoff of a dtype of floating-point numbers, NaN of another. */
function unitOf(dtype: DType): number {
  return dtype in roundoff ? roundoff[dtype as FloatDType] : Number.NaN;
}
