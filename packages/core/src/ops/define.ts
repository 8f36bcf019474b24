import { Algebra, type Value } from '../backend/algebra.js';
import type { Backend, Basis, Extent, KernelName, Rows } from '../backend/interface.js';
import { getBackend, openedBackends } from '../backend/registry.js';
import { SoftgradError } from '../errors.js';
import { checkOptions, namesOf } from '../options.js';
import { type DType, type FloatDType, hostArray, isFloat } from '../tensor/dtype.js';
import { readInput } from '../tensor/input.js';
import { layMask, type Mask, type MaskInput, sameMask, withMask } from '../tensor/mask.js';
import {
  checkClasses,
  checkTemperature,
  type FloatTensor,
  liveFloats,
  operand,
  operandLike,
} from '../tensor/operands.js';
import { track } from '../tensor/scope.js';
import { resolveAxis, rowsOf, type Shape, sizeOf, withoutAxis } from '../tensor/shape.js';
import { allocate, checkDType, DeviceTensor, isTensor, make, type Origin, type Tensor } from '../tensor/tensor.js';
import { type OutOption, outOf, type SquareOperator, type TensorLike } from './linear-operator.js';

/** Options of the softmax family. */
export interface SoftmaxOptions extends OutOption {
  /** The dimension that adds up to 1; negative counts from the last. Default −1. */
  readonly axis?: number | undefined;
  /** T in softmax(x / T), finite and above 0. Default 1. */
  readonly temperature?: number | undefined;
  /** True = keep. Entries masked out get probability 0 and gradient 0, whatever their logit; rows with nothing kept are all 0. */
  readonly mask?: MaskInput | undefined;
}

export interface AxisOption extends OutOption {
  /** The dimension along which the matrices are laid out; negative counts from the last. Default −1. */
  readonly axis?: number | undefined;
}

const names = {
  out: /* @__PURE__ */ namesOf<OutOption>({ out: true }),
  axis: /* @__PURE__ */ namesOf<AxisOption>({ axis: true, out: true }),
  softmax: /* @__PURE__ */ namesOf<SoftmaxOptions>({ axis: true, temperature: true, mask: true, out: true }),
};

/** A function of core as data: its names and its mathematics. */
export interface Definition {
  /** As a user writes it: `logSoftmax`. */
  readonly name: string;
  /** 'rows': along an axis, at a temperature, under a mask. 'entries': each entry by itself, without options. */
  readonly over: 'rows' | 'entries';
  /** What the temperature is multiplied by: −1 for softmin. Default 1. */
  readonly sign?: 1 | -1;
  readonly value: Member;
  readonly gradient?: Member;
  readonly vjp: Member;
  readonly jvp: Member;
  /** The derivative of the vjp along a tangent. */
  readonly hvp?: Member;
  /** The derivative of the vjp with respect to the output that it takes, multiplied from the left with an upstream gradient. */
  readonly doubleBackward?: Member;
  readonly jacobian?: Member;
  /** The Jacobian's diagonal, which `linearize` offers beside the matrices. */
  readonly diagonal?: Member;
}

/** The functions that a definition makes. */
export type MemberName = 'value' | 'gradient' | 'vjp' | 'jvp' | 'hvp' | 'doubleBackward' | 'jacobian' | 'diagonal';

/** One function of a definition: its value, or one of its derivatives. */
export interface Member {
  /** What its operand is: the function's input, or its output under the name that it has there. */
  readonly operand: 'logits' | 'x' | 'probabilities' | 'logProbabilities' | 'y';
  /** The second operand, if there is one. */
  readonly direction?: 'cotangent' | 'tangent';
  /** 'rows': the second operand has one number a row. Default 'entries': it has the shape of the first. */
  readonly directionOver?: 'rows' | 'entries';
  /** The third operand, if there is one, in the shape of the first: the direction of a second derivative. */
  readonly along?: 'tangent' | 'upstream';
  /** Shape of the result: that of the operand (default), one number a row, or a classes × classes matrix a row. */
  readonly result?: 'entries' | 'rows' | 'matrices';
  /** What one number a row is where rows have no entries. */
  readonly ofNothing?: number;
  /** The backend's kernel for it. */
  readonly kernel?: Exclude<KernelName, 'crossEntropy'>;
  /** How it is composed where there is no kernel or it declines. */
  formula<B>(m: Expressions<B>, ...operands: Value<B>[]): Value<B>;
  /** How a mask is taken care of around `unmasked`, by those that can't have one: derivatives. */
  masked?<B>(m: Expressions<B>, unmasked: (...operands: Value<B>[]) => Value<B>, ...operands: Value<B>[]): Value<B>;
}

/** What a call runs on. */
export interface Call<B = unknown> {
  /** As a user writes it, for errors: `logSoftmax.vjp`. */
  readonly operation: string;
  readonly backend: Backend<B>;
  readonly dtype: FloatDType;
  readonly rows: Rows;
  readonly temperature: number;
  readonly mask: Mask<B> | null;
}

const definitions = new WeakMap<object, Definition>();

/** The definition of one of core's functions, undefined for any other. */
export function definitionOf(f: object): Definition | undefined {
  return definitions.get(f);
}

/** A function of a definition with what every call of it needs to know. */
interface Plan {
  readonly definition: Definition;
  readonly member: Member;
  /** As a user writes it: `logSoftmax.vjp`. */
  readonly operation: string;
  readonly options: readonly string[];
  readonly isOverRows: boolean;
  /** Its operand is what the function gave, which remembers the call. */
  readonly isOfOutput: boolean;
  /** Its result remembers the call. */
  readonly isRemembered: boolean;
}

function planOf(definition: Definition, name: MemberName, operation = operationName(definition, name)): Plan {
  const member = definition[name] as Member;
  const isOverRows = definition.over === 'rows';
  const { result = 'entries' } = member;
  return {
    definition,
    member,
    operation,
    options: optionNamesOf(definition, name),
    isOverRows: isOverRows || result === 'matrices',
    isOfOutput: isOverRows && member.operand !== definition.value.operand,
    isRemembered: isOverRows && name === 'value' && result === 'entries',
  };
}

/**
 * A function with its derivatives out of its definition: the one way of a call. Options, operands, rows, temperature, mask and `out`
 * are checked here and nowhere else; the result is the kernel's, or composed from the backend's basis by the formula.
 */
export function define<F>(definition: Definition): F {
  const call = (name: MemberName) => {
    const plan = planOf(definition, name);
    const { direction, along } = plan.member;
    if (along !== undefined) {
      return (x: TensorLike, cotangent: TensorLike, tangent: TensorLike, options?: SoftmaxOptions) =>
        callOn(plan, x, cotangent, tangent, options);
    }
    return direction === undefined
      ? (x: TensorLike, options?: SoftmaxOptions) => callOn(plan, x, undefined, undefined, options)
      : (x: TensorLike, v: TensorLike, options?: SoftmaxOptions) => callOn(plan, x, v, undefined, options);
  };
  const members: Record<string, unknown> = { linearize: linearizeBy(definition) };
  for (const name of ['gradient', 'vjp', 'jvp', 'hvp', 'doubleBackward', 'jacobian'] as const) {
    if (definition[name]) members[name] = call(name);
  }
  const f = Object.assign(call('value'), members);
  definitions.set(f, definition);
  // The types of the functions are written out, with their docstrings, beside each definition.
  return f as unknown as F;
}

/** The name of a function as a user writes it. */
export function operationName({ name }: Definition, member: MemberName): string {
  if (member === 'value') return name;
  return member === 'diagonal' ? `${name}.linearize.diagonal` : `${name}.${member}`;
}

/** The names of the options that a function takes. */
export function optionNamesOf({ over }: Definition, member: MemberName): readonly string[] {
  if (over === 'rows') return names.softmax;
  return member === 'jacobian' ? names.axis : names.out;
}

const noOptions: SoftmaxOptions = Object.freeze({});

function callOn(
  plan: Plan,
  first: TensorLike,
  second: TensorLike | undefined,
  third: TensorLike | undefined,
  options: SoftmaxOptions = noOptions,
): Tensor {
  const { operation, member } = plan;
  checkOptions(operation, options, plan.options);
  const { direction, along } = member;
  const areTensors = (direction === undefined || isTensor(second)) && (along === undefined || isTensor(third));
  if (isTensor(first) && areTensors) return callOnTensors(plan, first, second, third, options);
  const others: Argument[] = [];
  if (direction !== undefined) others.push([direction, second]);
  if (along !== undefined) others.push([along, third]);
  return withTensors(operation, [member.operand, first], others, options.out, (x, v, t) =>
    callOnTensors(plan, x, v, t, options),
  );
}

function callOnTensors(plan: Plan, first: Tensor, second: unknown, third: unknown, options: SoftmaxOptions): Tensor {
  const { operation, member } = plan;
  const x = liveFloats(operation, member.operand, first);
  const settings = plan.isOverRows ? settingsOf(plan, x, options) : wholeOf(x);
  const inputs = [x.buffer];
  if (member.direction !== undefined) {
    const expected = member.directionOver === 'rows' ? withoutAxis(x.shape, settings.axis) : x.shape;
    inputs.push(operandLike(operation, member.direction, second, x, expected).buffer);
  }
  if (member.along !== undefined) inputs.push(operandLike(operation, member.along, third, x).buffer);
  if (settings.mask === null) return computed(plan, x, settings, null, inputs, options.out);
  return withMask(x.backend, settings.mask, (mask) => computed(plan, x, settings, mask, inputs, options.out));
}

/** A call with what it writes from. */
interface Job extends Call {
  readonly member: Member;
  readonly x: FloatTensor;
  readonly shape: Shape;
  readonly inputs: readonly unknown[];
}

function runJob(buffer: unknown, job: Job): void {
  const { member } = job;
  if (job.rows.classes === 0) fill(job.x, buffer, sizeOf(job.shape), member.ofNothing ?? 0);
  else run(job, member, buffer, job.inputs);
}

function computed(
  plan: Plan,
  x: FloatTensor,
  settings: Settings,
  mask: Mask<unknown> | null,
  inputs: readonly unknown[],
  out: Tensor | undefined,
): Tensor {
  const { operation, member, definition, isRemembered } = plan;
  const { backend, dtype } = x;
  const { rows, axis } = settings;
  const shape = shapeOfResult(member.result, x.shape, axis, rows);
  const temperature = definition.sign === -1 ? -settings.temperature : settings.temperature;
  const job: Job = { operation, backend, dtype, rows, temperature, mask, member, x, shape, inputs };
  const made = computeFrom(operation, x, shape, out, inputs, runJob, job);
  if (isRemembered) (made as DeviceTensor).origin = settings;
  return made;
}

/** What a call is about, with the defaults filled in: what its result remembers. */
export type Settings = Origin;

/** For functions of single entries. */
export function wholeOf({ size }: FloatTensor): Settings {
  return { operation: '', axis: 0, rows: { outer: 1, classes: size, inner: 1 }, temperature: 1, mask: null };
}

/**
 * Axis, temperature and mask of a call: those of the options, and for a derivative those of the call that made its operand.
 *
 * @throws ERR_AXIS, ERR_VALUE, ERR_SHAPE, ERR_DTYPE; ERR_VALUE where the options contradict that call
 */
function settingsOf({ operation, definition, member, isOfOutput }: Plan, x: FloatTensor, options: SoftmaxOptions) {
  // A tensor of another copy of core may remember nothing.
  const made = isOfOutput ? x.origin : null;
  if (made === null || made === undefined) return softmaxSettings(operation, x, options, definition.name);
  if (made.operation !== definition.name) {
    const right = operation.replace(definition.name, made.operation);
    throw new SoftgradError(
      'ERR_VALUE',
      `${operation}: ${member.operand} were made by ${made.operation}; use ${right} for them`,
    );
  }
  checkClasses(operation, x, made.rows);
  const { axis, temperature, mask } = options;
  if (axis !== undefined || temperature !== undefined || mask !== undefined) {
    checkAgreement(operation, member.operand, x, made, options);
  }
  return made;
}

/** @throws ERR_VALUE naming both where options say otherwise than the call that made the operand */
function checkAgreement(
  operation: string,
  argument: string,
  x: FloatTensor,
  made: Origin,
  { axis = made.axis, temperature = made.temperature, mask }: SoftmaxOptions,
): void {
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
  if (given.mask === null) return;
  if (made.mask === null) throw contradiction('a mask', 'none');
  if (!sameMask(given.mask, made.mask)) throw contradiction('a mask', 'one that keeps other entries');
}

/** Axis, temperature and mask as the options have them. @throws ERR_AXIS, ERR_VALUE, ERR_SHAPE, ERR_DTYPE, ERR_BACKEND_MISMATCH */
export function softmaxSettings(
  operation: string,
  x: FloatTensor,
  options: Pick<SoftmaxOptions, 'axis' | 'temperature' | 'mask'>,
  name: string,
): Settings {
  const axis = resolveAxis(operation, options.axis ?? -1, x.shape);
  const rows = rowsOf(x.shape, axis);
  checkClasses(operation, x, rows);
  const temperature = checkTemperature(operation, options.temperature ?? 1);
  const mask = options.mask === undefined ? null : layMask(operation, options.mask, x, rows);
  return { operation: name, axis, rows, temperature, mask };
}

function shapeOfResult(result: Member['result'], shape: Shape, axis: number, { classes }: Rows): Shape {
  if (result === undefined || result === 'entries') return shape;
  const rest = withoutAxis(shape, axis);
  return result === 'rows' ? rest : [...rest, classes, classes];
}

/** Writes one number everywhere. */
export function fill({ backend, dtype }: FloatTensor, out: unknown, length: number, value: number): void {
  backend.write(out, hostArray(length, dtype).fill(value));
}

/** An argument by its name, and what was given for it. */
export type Argument = readonly [name: string, given: unknown];

/**
 * Calls `body` with tensors of what was given: on the backend and in the dtype of the tensors among it, else on that of
 * `setBackend`. What it makes for that is freed afterwards.
 *
 * @throws ERR_DTYPE, ERR_SHAPE, naming the argument
 */
export function withTensors<T>(
  operation: string,
  first: Argument,
  others: readonly Argument[],
  out: Tensor | undefined,
  body: (first: Tensor, ...others: readonly Tensor[]) => T,
): T {
  const made: Tensor[] = [];
  try {
    const known = [...[first, ...others].map(([, given]) => given), out].find(isTensor);
    const tensorFor = ([name, given]: Argument): Tensor => {
      if (isTensor(given)) return given;
      const one = tensorOf(`${operation}: ${name}`, given, known);
      made.push(one);
      return one;
    };
    return body(tensorFor(first), ...others.map(tensorFor));
  } finally {
    for (const one of made) one.dispose();
  }
}

/** A tensor of what `tensor` takes, like another if there is one. */
function tensorOf(what: string, value: unknown, like: Tensor | undefined): DeviceTensor {
  const backend = like?.backend ?? getBackend();
  const wanted: DType | undefined = like && isFloat(like.dtype) ? like.dtype : undefined;
  const { shape, dtype, data } = readInput(value, undefined, wanted, what);
  checkDType(what, dtype, backend);
  return make(backend, shape, dtype, data);
}

/**
 * Has `kernel` write a result into `out`, or into a new tensor. An empty result needs no kernel. Where the backend does not
 * write in place and `out` is one of the input buffers, the result is made beside it and then becomes `out`'s.
 *
 * @throws ERR_SHAPE, ERR_DTYPE, ERR_BACKEND_MISMATCH, ERR_DISPOSED for an `out` that does not fit; whatever the kernel throws
 */
export function compute(
  operation: string,
  first: FloatTensor,
  shape: Shape,
  out: Tensor | undefined,
  inputs: readonly unknown[],
  kernel: (buffer: unknown) => void,
): Tensor {
  return computeFrom(operation, first, shape, out, inputs, writeBy, kernel);
}

function writeBy(buffer: unknown, kernel: (buffer: unknown) => void): void {
  kernel(buffer);
}

/** The same with what the kernel writes from as an argument: a call that makes no closure costs less. */
function computeFrom<C>(
  operation: string,
  first: FloatTensor,
  shape: Shape,
  out: Tensor | undefined,
  inputs: readonly unknown[],
  kernel: (buffer: unknown, from: C) => void,
  from: C,
): Tensor {
  const { backend, dtype } = first;
  if (out !== undefined) {
    const target = operandLike(operation, 'out', out, first, shape);
    target.origin = null;
    if (target.size === 0) return out;
    if (backend.supports.inPlace || !inputs.includes(target.buffer)) {
      kernel(target.buffer, from);
      return out;
    }
    const beside = filled(backend, target.size, dtype, kernel, from);
    backend.free(target.buffer);
    target.buffer = beside;
    return out;
  }
  return track(new DeviceTensor(backend, shape, dtype, filled(backend, sizeOf(shape), dtype, kernel, from), null));
}

/** A new buffer with what `kernel` writes; freed again if that fails. */
function filled<C>(
  backend: Backend,
  size: number,
  dtype: DType,
  kernel: (buffer: unknown, from: C) => void,
  from: C,
): unknown {
  const buffer = allocate(backend, size, dtype);
  if (size === 0) return buffer;
  try {
    kernel(buffer, from);
  } catch (error) {
    backend.free(buffer);
    throw error;
  }
  return buffer;
}

/** Runs a function on buffers: by the backend's kernel, or composed where there is none or it declines. */
export function run<B>(on: Call<B>, member: Member, out: B, operands: readonly B[]): void {
  const { kernel } = member;
  const isForKernel = kernel !== undefined && (on.mask === null || member.masked === undefined) && !isBeyondKernels(on);
  // A member has as many operands as its kernel takes, and nothing reads more.
  if (isForKernel && callers[kernel](on.backend, out, operands as Operands<B>, on) !== false) return;
  composed(on, kernel ?? null, (m) => {
    const values = operands.map((buffer, k) =>
      k === 1 && member.directionOver === 'rows' ? m.byRow(buffer) : m.entries(buffer),
    );
    if (on.mask === null || member.masked === undefined) {
      m.assign(out, member.formula(m, ...values));
      return;
    }
    const unmasked = (...inner: Value<B>[]) =>
      m.computed(extentOf(member, on.rows), inner, (into, buffers) =>
        run({ ...on, mask: null }, member, into, buffers),
      );
    m.assign(out, member.masked(m, unmasked, ...values));
  });
}

/** Temperatures that are left to compositions, where there are any, on a backend that announces an ordinary range: 2^∓this. */
const ordinaryExponent = 64;

/** Whether the temperature is beyond what the kernels of the backend take. */
export function isBeyondKernels({ backend, temperature }: Pick<Call, 'backend' | 'temperature'>): boolean {
  if (backend.supports.range !== 'ordinary' || !backend.basis) return false;
  const size = Math.abs(temperature);
  return size < 2 ** -ordinaryExponent || size > 2 ** ordinaryExponent;
}

function extentOf({ result }: Member, { outer, classes, inner }: Rows): Extent {
  if (result === 'matrices') return [outer * inner, classes, classes];
  return [outer, result === 'rows' ? 1 : classes, inner];
}

type Operands<B> = readonly [first: B, second: B, third: B];

type Caller = <B>(backend: Backend<B>, out: B, operands: Operands<B>, on: Call<B>) => void | false;

/** How each kernel is called; false where there is none. */
const callers: Readonly<Record<Exclude<KernelName, 'crossEntropy'>, Caller>> = {
  softmax: (backend, out, operands, on) => backend.softmax(out, operands[0], on.rows, on),
  jacobian: (backend, out, operands, on) => backend.jacobian(out, operands[0], on.rows, on),
  vjp: (backend, out, operands, on) => backend.vjp(out, operands[0], operands[1], on.rows, on),
  logSoftmax: ({ kernels }, out, operands, on) =>
    kernels?.logSoftmax ? kernels.logSoftmax(out, operands[0], on.rows, on) : false,
  logSoftmaxVjp: ({ kernels }, out, operands, on) =>
    kernels?.logSoftmaxVjp ? kernels.logSoftmaxVjp(out, operands[0], operands[1], on.rows, on) : false,
  logSoftmaxJvp: ({ kernels }, out, operands, on) =>
    kernels?.logSoftmaxJvp ? kernels.logSoftmaxJvp(out, operands[0], operands[1], on.rows, on) : false,
  logSoftmaxJacobian: ({ kernels }, out, operands, on) =>
    kernels?.logSoftmaxJacobian ? kernels.logSoftmaxJacobian(out, operands[0], on.rows, on) : false,
  softmaxHvp: ({ kernels }, out, [s, g, t], on) =>
    kernels?.softmaxHvp ? kernels.softmaxHvp(out, s, g, t, on.rows, on) : false,
  logSoftmaxHvp: ({ kernels }, out, [y, g, t], on) =>
    kernels?.logSoftmaxHvp ? kernels.logSoftmaxHvp(out, y, g, t, on.rows, on) : false,
  logSumExp: ({ kernels }, out, operands, on) =>
    kernels?.logSumExp ? kernels.logSumExp(out, operands[0], on.rows, on) : false,
  logSumExpHvp: ({ kernels }, out, [x, g, t], on) =>
    kernels?.logSumExpHvp ? kernels.logSumExpHvp(out, x, g, t, on.rows, on) : false,
  sigmoid: ({ kernels }, out, operands, { rows }) =>
    kernels?.sigmoid ? kernels.sigmoid(out, operands[0], rows.classes) : false,
  sigmoidVjp: ({ kernels }, out, operands, { rows }) =>
    kernels?.sigmoidVjp ? kernels.sigmoidVjp(out, operands[0], operands[1], rows.classes) : false,
  relu: ({ kernels }, out, operands, { rows }) =>
    kernels?.relu ? kernels.relu(out, operands[0], rows.classes) : false,
  reluVjp: ({ kernels }, out, operands, { rows }) =>
    kernels?.reluVjp ? kernels.reluVjp(out, operands[0], operands[1], rows.classes) : false,
};

/** Whether every backend has the kernel: it may still decline. */
export function isRequired(kernel: KernelName | null | undefined): kernel is 'softmax' | 'jacobian' | 'vjp' {
  return kernel === 'softmax' || kernel === 'jacobian' || kernel === 'vjp';
}

/** Expressions that may have other functions of core among them. */
export class Expressions<B> extends Algebra<B> {
  readonly #call: Call<B>;

  constructor(on: Call<B>, basis: () => Basis<B>) {
    super({ ...on, basis });
    this.#call = on;
  }

  /** The value of a function at the temperature and under the mask of this call: by its kernel where there is one. */
  of(member: Member, ...operands: Value<B>[]): Value<B> {
    return this.computed(extentOf(member, this.rows), operands, (out, buffers) =>
      run(this.#call, member, out, buffers),
    );
  }
}

/**
 * Composes from the backend's basis what `assign` enqueues.
 *
 * @throws ERR_UNSUPPORTED where there is none and it is needed, naming the backends in use that have what it takes
 */
export function composed<B>(on: Call<B>, kernel: KernelName | null, assign: (m: Expressions<B>) => void): void {
  const { backend } = on;
  const m = new Expressions(on, () => {
    if (!backend.basis) throw unsupported(on.operation, kernel, backend);
    return backend.basis;
  });
  try {
    assign(m);
  } finally {
    m.end();
  }
}

function unsupported<B>(operation: string, kernel: KernelName | null, { name }: Backend<B>): SoftgradError {
  const has = (other: Backend) =>
    other.basis !== undefined || (kernel !== null && !isRequired(kernel) && other.kernels?.[kernel] !== undefined);
  const others = openedBackends(has);
  const who =
    others.length > 0 ? `${others.join(', ')} can: move the operands with await x.to(backend)` : 'no open backend can';
  return new SoftgradError(
    'ERR_UNSUPPORTED',
    `${operation}: ${name} has neither a kernel for it nor a basis to compose it from; ${who}`,
  );
}

/** `linearize` of a function: its value, and the derivatives there. */
function linearizeBy(definition: Definition) {
  const { name, over } = definition;
  const operation = `${name}.linearize`;
  const known = optionNamesOf(definition, 'jacobian').filter((option) => option !== 'out');
  const forward = planOf(definition, 'value', operation);
  const vjp = planOf(definition, 'vjp');
  const jvp = planOf(definition, 'jvp');
  const square = definition.jacobian && {
    diagonal: planOf(definition, 'diagonal'),
    jacobian: planOf(definition, 'jacobian'),
  };
  return (input: TensorLike, options: Omit<SoftmaxOptions, 'out'> = noOptions): SquareOperator => {
    checkOptions(operation, options, known);
    const x = isTensor(input) ? input : tensorOf(`${operation}: ${definition.value.operand}`, input, undefined);
    const { axis, ...others } = options;
    if (over === 'entries' && axis !== undefined) resolveAxis(operation, axis, operand(operation, 'x', x).shape);
    const value = callOnTensors(forward, x, undefined, undefined, over === 'rows' ? options : others);
    // The derivatives take the function's output, which remembers the options, or its input, which does not.
    const isOfValue = definition.vjp.operand !== definition.value.operand;
    const at = isOfValue ? value : x;
    const passed = isOfValue ? {} : options;
    const member = (plan: Plan, direction: TensorLike | undefined, more: OutOption | undefined, own: object = passed) =>
      callOn(plan, at, direction, undefined, { ...own, out: outOf(operation, more) });
    return {
      value,
      inputShape: x.shape,
      outputShape: value.shape,
      vjp: (cotangent, more) => member(vjp, cotangent, more),
      jvp: (tangent, more) => member(jvp, tangent, more),
      ...(square && {
        diagonal: (more?: OutOption) => member(square.diagonal, undefined, more),
        toDense: (more?: OutOption) => member(square.jacobian, undefined, more, over === 'entries' ? { axis } : passed),
      }),
    } as SquareOperator;
  };
}
