import { inOperation, SoftgradError } from '../errors.js';
import { checkOptions } from '../options.js';
import { readInput, type TensorInput } from '../tensor/input.js';
import { operand } from '../tensor/operands.js';
import { resolveAxis } from '../tensor/shape.js';
import { type DeviceTensor, isTensor } from '../tensor/tensor.js';
import { type TensorLike, withArguments } from './arguments.js';
import { callOn, callOnTensors, noOptions, type Plan, planOf } from './call.js';
import type { Definition } from './definition.js';
import type { SquareOperator } from './linear-operator.js';
import { type OutOption, optionNamesOf, outNames, type SoftmaxOptions } from './settings.js';

/** `linearize` of a function: its value, and the derivatives there. */
export function linearizeBy(definition: Definition) {
  const { name, over } = definition;
  const operation = `${name}.linearize`;
  const known = optionNamesOf(definition, 'jacobian').filter((option) => option !== 'out');
  // The output remembers the options; the input does not.
  const isOfValue = definition.output !== undefined;
  const forward = planOf(definition, 'value', operation);
  const vjp = planOf(definition, 'vjp', `${operation}.vjp`);
  const jvp = planOf(definition, 'jvp', `${operation}.jvp`);
  const square = definition.jacobian && {
    diagonal: planOf(definition, 'diagonal'),
    dense: planOf(definition, 'jacobian', `${operation}.toDense`),
  };
  return (input: TensorLike, options: Omit<SoftmaxOptions, 'out'> = noOptions): SquareOperator => {
    checkOptions(operation, options, known);
    const given = isTensor(input) || isOfValue ? input : snapshot(`${operation}: ${forward.operand}`, input);
    const { value, inputShape } = inOperation(operation, () =>
      withArguments(operation, [given], (read) => {
        const x = read(forward.operand, given);
        const { axis } = options;
        if (over === 'entries' && axis !== undefined) resolveAxis(operation, axis, operand(operation, 'x', x).shape);
        const value = callOnTensors(forward, x, [], options);
        return { value, inputShape: x.shape };
      }),
    );
    const at = isOfValue ? value : given;
    const passed = isOfValue ? {} : options;
    const { writes } = at as DeviceTensor;
    const member = (plan: Plan, directions: readonly TensorLike[], more: OutOption = {}, own: object = passed) => {
      // Derivatives at other numbers than those that were linearized at would be wrong without notice: PyTorch refuses them, too.
      if ((at as DeviceTensor).writes !== writes) {
        throw new SoftgradError(
          'ERR_VALUE',
          `${plan.operation}: a call with the ${isOfValue ? 'value' : plan.operand} of ${operation} as out overwrote its numbers; linearize again`,
        );
      }
      const { out } = checkOptions(plan.operation, more, outNames);
      return callOn(plan, at, directions, { ...own, out });
    };
    return {
      value,
      inputShape,
      outputShape: value.shape,
      vjp: (cotangent, more) => member(vjp, [cotangent], more),
      jvp: (tangent, more) => member(jvp, [tangent], more),
      ...(square && {
        diagonal: (more?: OutOption) => member(square.diagonal, [], more),
        toDense: (more?: OutOption) => member(square.dense, [], more, { axis: options.axis }),
      }),
    } as SquareOperator;
  };
}

/** Data that are not a tensor, as they are now: derivatives at the input may be asked for after the caller has changed them. */
function snapshot(what: string, input: TensorInput): TensorInput {
  const { data, shape, dtype } = readInput(input, undefined, undefined, what);
  // Booleans are refused as what they are.
  return dtype === 'bool' ? input : { data: data.slice(), shape };
}
