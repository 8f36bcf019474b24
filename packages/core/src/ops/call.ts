import { named } from '../errors.js';
import { checkOptions } from '../options.js';
import type { DeviceTensor, Origin } from '../tensor/device-tensor.js';
import { type Mask, withMask } from '../tensor/mask.js';
import { type FloatTensor, operand, operandLike } from '../tensor/operands.js';
import { type Shape, sizeOf, withoutAxis } from '../tensor/shape.js';
import { isTensor, type Tensor } from '../tensor/tensor.js';
import { itself, type ReadArgument, type TensorLike, withArguments } from './arguments.js';
import {
  type Definition,
  directionsOf,
  type Member,
  type MemberName,
  operationName,
  takesOutput,
} from './definition.js';
import { run, runMasked } from './evaluate.js';
import { checkOutput } from './output-range.js';
import { compute, fill } from './result.js';
import {
  checkMaker,
  optionNamesOf,
  type SoftmaxOptions,
  settingsOfMaker,
  softmaxSettings,
  wholeOf,
} from './settings.js';

/** One function of a definition, with everything that does not change from call to call. */
export interface Plan {
  readonly definition: Definition;
  readonly member: Member;
  /** The public name: `logSoftmax.vjp`. */
  readonly operation: string;
  /** What its first operand is called. */
  readonly operand: string;
  /** What its other operands are called. */
  readonly directions: readonly string[];
  readonly options: readonly string[];
  readonly isOverRows: boolean;
  /** Its operand is the function's output, which remembers the call that made it, and no other function's. */
  readonly isOfOutput: boolean;
  /** Its result remembers the call. */
  readonly isRemembered: boolean;
}

export function planOf(definition: Definition, name: MemberName, operation = operationName(definition, name)): Plan {
  const member = definition[name] as Member;
  const { over, output, alsoOfInput } = definition;
  const ofOutput = takesOutput(definition, name) ? output : undefined;
  return {
    definition,
    member,
    operation,
    operand: ofOutput ?? (over === 'rows' ? 'logits' : 'x'),
    directions: directionsOf[name],
    options: optionNamesOf(definition, name),
    isOverRows: over === 'rows' || member.result === 'matrices',
    isOfOutput: ofOutput !== undefined && alsoOfInput !== true,
    isRemembered: name === 'value' && member.result === undefined,
  };
}

export const noOptions: SoftmaxOptions = Object.freeze({});

/**
 * Calls a function: checks options, operands and `out`, and computes the result by the backend's kernel or from its basis.
 */
export function callOn(
  plan: Plan,
  first: TensorLike,
  directions: readonly TensorLike[],
  options: SoftmaxOptions = noOptions,
): Tensor {
  const { operation, member } = plan;
  checkOptions(operation, options, plan.options);
  try {
    if (isTensor(first) && directions.every(isTensor)) return callOnTensors(plan, first, directions, options);
    return callOnCopies(plan, first, directions, options);
  } catch (error) {
    throw named(
      operation,
      error,
      member.result === 'matrices' ? '; vjp and jvp multiply by the Jacobian without storing it' : '',
    );
  }
}

/** The same with copies of the operands that are not tensors. A function of its own, so that compilers inline the way of tensors. */
function callOnCopies(
  plan: Plan,
  first: TensorLike,
  directions: readonly TensorLike[],
  options: SoftmaxOptions,
): Tensor {
  return withArguments(plan.operation, [first, ...directions, options.out], (read) =>
    callOnTensors(plan, read(plan.operand, first), directions, options, read),
  );
}

/** The same for a first operand that is a tensor, and options that were checked. */
export function callOnTensors(
  plan: Plan,
  first: Tensor,
  directions: readonly TensorLike[],
  options: SoftmaxOptions,
  read: ReadArgument = itself,
): Tensor {
  const { operation, definition, member } = plan;
  const x = operand(operation, plan.operand, first);
  const settings = settingsOf(plan, x, options);
  const inputs = [x.buffer];
  // By index: an iterator of entries takes a tenth of the time of a small call.
  for (let k = 0; k < plan.directions.length; k++) {
    const name = plan.directions[k] as string;
    const isByRow = name === 'cotangent' && member.cotangent === 'rows';
    const expected = isByRow ? withoutAxis(x.shape, settings.axis) : x.shape;
    inputs.push(operandLike(operation, name, read(name, directions[k]), x, expected).buffer);
  }
  // Tensors with a mask are not checked: entries that it leaves out may be anything, and conformance has any numbers in the others.
  const isChecked = settings.mask === null || read !== itself;
  if (plan.isOfOutput && !x.origin && isChecked) checkOutput(operation, definition, x, settings.mask);
  return withMask(x.backend, settings.mask, (mask) => computed(plan, x, settings, mask, inputs, options.out));
}

function computed(
  { operation, definition, member, isOfOutput, isRemembered }: Plan,
  x: FloatTensor,
  settings: Origin,
  mask: Mask<unknown> | null,
  inputs: readonly unknown[],
  out: Tensor | undefined,
): Tensor {
  const { backend, dtype } = x;
  const { rows } = settings;
  const shape = shapeOfResult(member, x.shape, settings);
  const temperature = (definition.sign ?? 1) * settings.temperature;
  const kernel = member.kernel?.name ?? null;
  const call = { operation, backend, dtype, rows, temperature, mask, kernel };
  const made = compute(operation, x, shape, out, inputs, (buffer) => {
    if (rows.classes === 0) fill(x, buffer, sizeOf(shape), member.ofNothing ?? 0);
    else if (mask !== null && isOfOutput) runMasked(call, member, buffer, inputs);
    else run(call, member, buffer, inputs);
  });
  if (isRemembered) (made as DeviceTensor).origin = settings;
  return made;
}

function settingsOf(plan: Plan, x: FloatTensor, options: SoftmaxOptions): Origin {
  const { operation, isOverRows, isOfOutput } = plan;
  const { name, over } = plan.definition;
  if (isOfOutput) checkMaker(operation, name, plan.operand, x);
  if (isOfOutput && over === 'rows' && x.origin) return settingsOfMaker(operation, plan.operand, x, x.origin, options);
  return isOverRows ? softmaxSettings(operation, x, options, name) : wholeOf(x, name);
}

function shapeOfResult({ result }: Member, shape: Shape, { axis, rows: { classes } }: Origin): Shape {
  if (result === undefined) return shape;
  const rest = withoutAxis(shape, axis);
  return result === 'rows' ? rest : [...rest, classes, classes];
}
