import { crossEntropyLoss, type ReferenceTarget, reduced } from '../../reference/cross-entropy.js';
import { nearest } from '../../reference/doubledouble.js';
import * as reference from '../../reference/functions.js';
import type { Rows } from '../backend/interface.js';
import { functionName, twoCopies } from '../copies.js';
import { SoftgradError } from '../errors.js';
import type { CrossEntropy } from '../ops/cross-entropy.js';
import { type CrossEntropyOptions, crossEntropyNames } from '../ops/cross-entropy-options.js';
import type { CrossEntropyTarget } from '../ops/cross-entropy-target.js';
import type { Definition } from '../ops/definition.js';
import { optionNamesOf, softmaxSettings, wholeOf } from '../ops/settings.js';
import { type BuiltIn, definitions, type Op } from '../ops/table.js';
import { checkOptions } from '../options.js';
import type { Origin } from '../tensor/device-tensor.js';
import { readInput } from '../tensor/input.js';
import { repeated } from '../tensor/mask.js';
import type { FloatTensor } from '../tensor/operands.js';
import { withoutAxis } from '../tensor/shape.js';
import { isTensor, type Tensor } from '../tensor/tensor.js';
import { type BuiltInFunction, isOwnFunction, type OwnFunction } from './function.js';
import { type OfRows, pick, rowParts } from './part.js';

/** The options of the operation that is checked: others than those that it takes are ERR_VALUE. */
export interface GradcheckTarget extends CrossEntropyOptions {
  /** For crossEntropy. */
  readonly target?: CrossEntropyTarget | undefined;
}

type Reference = (
  x: Float64Array,
  rows: Rows,
  parameters: { readonly temperature: number; readonly mask: ArrayLike<number> | null },
) => Float64Array;

/** Every operation in double-double, at the temperature that its kernel gets. */
const references: Readonly<Record<Exclude<Op, 'crossEntropy'>, Reference>> = {
  softmax: reference.softmax,
  softmin: reference.softmax,
  logSoftmax: reference.logSoftmax,
  logSumExp: reference.logSumExp,
  sigmoid: reference.sigmoid,
  relu: reference.relu,
};

/** Points at which the derivative is discontinuous. */
const kinks: { readonly [K in Op]?: readonly number[] } = { relu: [0] };

/** The functions that every built-in operation but crossEntropy has. */
type Derived = ((x: Tensor, options: object) => Tensor) & {
  vjp(operand: Tensor, cotangent: Tensor, options: object): Tensor;
  hvp?(operand: Tensor, cotangent: Tensor, tangent: Tensor, options: object): Tensor;
};

/**
 * A built-in operation with its options as a function to check: the float64 reference and core's own vjp.
 *
 * @throws ERR_VALUE for an operation that it does not know, or crossEntropy without a target
 */
export async function builtIn(
  check: string,
  operation: BuiltIn,
  x: FloatTensor,
  options: GradcheckTarget,
): Promise<BuiltInFunction> {
  const name = nameOf(operation);
  if (name === 'crossEntropy') return crossEntropyOf(check, operation as CrossEntropy, x, options);
  const definition = definitionOf(name);
  if (definition === undefined && name !== undefined) {
    throw new SoftgradError('ERR_VALUE', `${check}: ${name} is of another version of core; ${twoCopies}`);
  }
  if (definition === undefined) {
    throw new SoftgradError(
      'ERR_VALUE',
      `${check}: unknown operation; pass a built-in one, or { name, forward, ${check === 'gradcheck' ? 'vjp' : 'hvp'} } for a function of your own${typeof operation === 'function' ? isMember : ''}`,
    );
  }
  return derived(check, operation as Derived, definition, x, options);
}

const isMember =
  '; not a member of a built-in one: softmax instead of softmax.vjp, crossEntropy with the option target instead of crossEntropy.loss';

/** The name of a function of core. Those of another copy of core have the same names. */
function nameOf(operation: BuiltIn | OwnFunction): string | undefined {
  return (operation as { readonly [functionName]?: string } | null | undefined)?.[functionName];
}

function definitionOf(name: string | undefined): Definition | undefined {
  return Object.values<Definition>(definitions).find((one) => one.name === name);
}

/** @throws ERR_VALUE for an option that neither the check nor the operation takes, which would be ignored */
export function checkPassed(
  check: string,
  operation: BuiltIn | OwnFunction,
  options: object,
  ownNames: readonly string[],
): void {
  const name = nameOf(operation);
  const of = name ?? (isOwnFunction(operation) ? operation.name : undefined);
  const known = namesFor(operation, definitionOf(name)).filter((option) => option !== 'out');
  checkOptions(of === undefined ? check : `${check} of ${of}`, options, [...known, ...ownNames]);
}

/** The names of the options of an operation; all if it is not known, which is an error of its own. */
function namesFor(operation: BuiltIn | OwnFunction, definition: Definition | undefined): readonly string[] {
  if (definition) return optionNamesOf(definition, 'value');
  // A temperature shortens the steps of any function.
  return isOwnFunction(operation) ? ['temperature'] : [...crossEntropyNames, 'target'];
}

function derived(
  check: string,
  f: Derived,
  definition: Definition,
  x: FloatTensor,
  options: GradcheckTarget,
): BuiltInFunction {
  const { hvp } = f;
  const { name, over, sign = 1, output, value } = definition as Definition & { readonly name: keyof typeof references };
  const fromInput = output === undefined;
  const passed = over === 'rows' ? sharedOptions(options) : {};
  const settings = expanded(over === 'rows' ? softmaxSettings(check, x, options, name) : wholeOf(x, name), x);
  const { axis, mask } = settings;
  const temperature = sign * settings.temperature;
  // An elementwise function has rows of one entry.
  const rows = over === 'rows' ? settings.rows : { outer: x.size, classes: 1, inner: 1 };
  const compute: OfRows = (values, among, kept) => references[name](values, among, { temperature, mask: kept });
  const isOfRows = value.result === 'rows';
  return {
    name,
    forward: (values) => compute(values, rows, mask),
    partAt: rowParts(rows, mask, (row, entries) => ({
      cotangent: isOfRows ? [row] : entries,
      value: compute,
    })),
    takesLimit: name === 'logSoftmax',
    ...(kinks[name] && { kinks: kinks[name] }),
    ...(isOfRows && { outputShape: withoutAxis(x.shape, axis) }),
    vjp: (input, g) => (fromInput ? f.vjp(input, g, passed) : fromOutput(f(input, passed), (y) => f.vjp(y, g, {}))),
    ...(hvp && {
      hvp: (input: Tensor, g: Tensor, t: Tensor) =>
        fromInput ? hvp(input, g, t, passed) : fromOutput(f(input, passed), (y) => hvp(y, g, t, {})),
    }),
  };
}

/** The settings with the mask as the reference takes it, with an entry for each of x. */
function expanded({ mask, ...settings }: Origin, { size }: FloatTensor) {
  return { ...settings, mask: mask && repeated(mask.host, size) };
}

function sharedOptions({ axis, temperature, mask }: GradcheckTarget) {
  return { axis, temperature, mask };
}

async function crossEntropyOf(
  check: string,
  crossEntropy: CrossEntropy,
  x: FloatTensor,
  options: GradcheckTarget,
): Promise<BuiltInFunction> {
  const { axis, rows, mask, temperature } = expanded(softmaxSettings(check, x, options, 'crossEntropy'), x);
  const { target, reduction = 'mean', weight = null, labelSmoothing = 0, ignoreIndex = -100 } = options;
  if (target === undefined) {
    throw new SoftgradError(
      'ERR_VALUE',
      `${check}: crossEntropy needs the option target, class indices or probabilities`,
    );
  }
  const host = await hostTarget(`${check}: target`, target, rows.outer * rows.inner);
  const passed = { ...sharedOptions(options), weight: options.weight, labelSmoothing, ignoreIndex, reduction };
  // The divisor of a mean is that of the whole batch.
  const given = { temperature, weight, labelSmoothing, ignoreIndex, reduction };
  const { options: ofBatch, count } = reduced(host, rows, given);
  const divisor = count === null ? Number.NaN : nearest(count);
  const terms =
    (of: ReferenceTarget): OfRows =>
    (values, among, kept) =>
      crossEntropyLoss(values, of, among, { ...ofBatch, mask: kept, reduction: 'none' }).map((loss) => loss / divisor);
  return {
    name: 'crossEntropy',
    takesLimit: false,
    outputShape: reduction === 'none' ? withoutAxis(x.shape, axis) : [],
    forward: (values) => terms(host)(values, rows, mask),
    partAt: rowParts(rows, mask, (row, entries) => ({
      cotangent: [reduction === 'none' ? row : 0],
      value: terms({ kind: host.kind, values: pick(host.values, host.kind === 'indices' ? [row] : entries) }),
    })),
    vjp: (input, g) => crossEntropy.vjp(input, target, g, passed),
    hvp: (input, g, t) => crossEntropy.hvp(input, target, g, t, passed),
  };
}

/** A derivative that takes the output, which is made for it and disposed. */
function fromOutput(output: Tensor, derivative: (output: Tensor) => Tensor): Tensor {
  try {
    return derivative(output);
  } finally {
    output.dispose();
  }
}

/** A target on the host: class indices if there is one for each row, else probabilities. */
async function hostTarget(what: string, target: CrossEntropyTarget, rowCount: number): Promise<ReferenceTarget> {
  if (isTensor(target)) {
    return { kind: target.dtype === 'int32' ? 'indices' : 'probabilities', values: await target.data() };
  }
  const { data } = readInput(target, undefined, 'float64', what);
  // Probabilities of one class are as many; the loss is 0 for either.
  return { kind: data.length === rowCount ? 'indices' : 'probabilities', values: data };
}
