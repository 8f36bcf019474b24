import { Algebra } from '../backend/algebra.js';
import type { Value } from '../backend/graph.js';
import type { Backend, Basis, Extent, KernelName, Rows } from '../backend/interface.js';
import { openedBackends, registered } from '../backend/registry.js';
import { nearOne } from '../backend/softmax-terms.js';
import { SoftgradError } from '../errors.js';
import type { FloatDType } from '../tensor/dtype.js';
import type { Mask } from '../tensor/mask.js';
import type { Expressions, Kernel, KernelCall, Member, Operands } from './definition.js';

/** The backend, dtype, rows and settings of a call. */
export interface Call<B = unknown> extends KernelCall<B> {
  /** The public name, for errors: `logSoftmax.vjp`. */
  readonly operation: string;
  readonly backend: Backend<B>;
  readonly dtype: FloatDType;
  readonly mask: Mask<B> | null;
  /** The kernel that is enough to run the call on a backend without a basis; null if none is. For error messages. */
  readonly kernel: KernelName | null;
}

/** Runs a function on buffers: by the backend's kernel, or composed from the basis if there is no kernel or it declines. */
export function run<B>(call: Call<B>, member: Member, out: B, operands: readonly B[]): void {
  const { kernel } = member;
  if (kernel && isRunBy(kernel, call, out, operands)) return;
  composed(call, (m) => {
    const values = operands.map((buffer, k) =>
      k === 1 && member.cotangent === 'rows' ? m.byRow(buffer) : m.entries(buffer),
    );
    const formula = member.isOfQuotient && isFar(call.temperature) ? ofNearOne(member) : member.formula;
    m.assign(out, formula(m, ...values));
  });
}

/**
 * Runs a derivative at the output with the mask of the call: masked entries of the directions have no influence, and those of the result are 0. Unless
 * the backend has a kernel that takes the mask, it is applied before and after the derivative without one.
 */
export function runMasked<B>(maskedCall: Call<B>, member: Member, out: B, operands: readonly B[]): void {
  const { masked } = member;
  if (masked && isRunBy(masked, maskedCall, out, operands)) return;
  // A kernel is not enough for it.
  const call = { ...maskedCall, kernel: null };
  composed(call, (m) => {
    const values = operands.map((buffer, k) => (k === 0 ? m.entries(buffer) : m.keep(m.entries(buffer), 0)));
    const unmasked = m.computed(extentOf(member, call.rows), values, (into, buffers) =>
      run({ ...call, mask: null }, member, into, buffers),
    );
    m.assign(out, member.result === 'matrices' ? m.keepMatrices(unmasked) : m.keep(unmasked, 0));
  });
}

/** Calls a kernel, and returns whether it ran: a backend may not have it, or decline. */
function isRunBy<B>(kernel: Pick<Kernel, 'call'>, call: Call<B>, out: B, operands: readonly B[]): boolean {
  return !isBeyondKernels(call) && kernel.call(call.backend, call, out, operands as Operands<B>) !== false;
}

/** A function of x / T computed at a temperature near 1. The constant that is subtracted from the logits of a row changes log-sum-exp only, and is added again. */
function ofNearOne(member: Member): Member['formula'] {
  return (m, x) => {
    const { logits, temperature, constant } = nearOne(m, x);
    const value = m.at(temperature, member, logits);
    return member.result === 'rows' && constant !== null ? m.add(value, constant) : value;
  };
}

/**
 * Whether the temperature is below 2^-64 or above 2^64. Kernels of backends whose `supports.range` is 'ordinary' are not called with it, and functions
 * of x / T that core composes are computed at a temperature near 1.
 */
function isFar(temperature: number): boolean {
  const size = Math.abs(temperature);
  return size < 2 ** -64 || size > 2 ** 64;
}

/** Whether the temperature is beyond the range of the backend's kernels, and there is a basis to compose from. */
export function isBeyondKernels({ backend, temperature }: Pick<Call, 'backend' | 'temperature'>): boolean {
  return backend.supports.range === 'ordinary' && backend.basis !== undefined && isFar(temperature);
}

function extentOf({ result }: Member, { outer, classes, inner }: Rows): Extent {
  if (result === 'matrices') return [outer * inner, classes, classes];
  return [outer, result === 'rows' ? 1 : classes, inner];
}

/** Whether a backend has the kernel. It may still decline a call. */
export function hasKernel({ kernels }: Backend, name: KernelName): boolean {
  return isRequired(name) || kernels?.[name] !== undefined;
}

/** Whether every backend has the kernel. */
export function isRequired(kernel: KernelName | null | undefined): kernel is 'softmax' | 'jacobian' | 'vjp' {
  return kernel === 'softmax' || kernel === 'jacobian' || kernel === 'vjp';
}

class CallExpressions<B> extends Algebra<B> implements Expressions<B> {
  readonly #call: Call<B>;

  constructor(call: Call<B>) {
    super(call);
    this.#call = call;
  }

  protected basis(): Basis<B> {
    return basisOf(this.#call);
  }

  of(member: Member, ...operands: Value<B>[]): Value<B> {
    return this.at(this.temperature, member, ...operands);
  }

  at(temperature: number, member: Member, ...operands: Value<B>[]): Value<B> {
    return this.computed(extentOf(member, this.rows), operands, (out, buffers) =>
      run({ ...this.#call, temperature }, member, out, buffers),
    );
  }

  plain(member: Member, ...operands: Value<B>[]): Value<B> {
    const { rows } = this;
    const { backend } = this.#call;
    const kernel = member.kernel as Kernel;
    const call: KernelCall<B> = { rows, temperature: 1, mask: null };
    return this.computed(extentOf(member, rows), operands, (out, buffers) => {
      if (kernel.call(backend, call, out, buffers as readonly B[] as Operands<B>) !== false) return;
      throw new SoftgradError(
        'ERR_UNSUPPORTED',
        `${backend.name} declines ${kernel.name} at temperature 1 without a mask`,
      );
    });
  }
}

/**
 * Calls `assign` with expressions over the backend's basis, and frees their buffers afterwards.
 *
 * @throws as `basisOf`, if the expressions need a basis
 */
export function composed<B>(call: Call<B>, assign: (m: Expressions<B>) => void): void {
  const m = new CallExpressions(call);
  try {
    assign(m);
  } finally {
    m.end();
  }
}

/**
 * The basis of a call's backend.
 *
 * @throws ERR_UNSUPPORTED if it has none, naming the members that would be enough, and the open backends that can run the operation, else those that
 *   can be opened
 */
export function basisOf<B>(call: Call<B>, kernel = call.kernel): Basis<B> {
  const { name, basis } = call.backend;
  if (basis) return basis;
  const has = ({ supports, basis: own, kernels }: Backend) =>
    supports.dtypes.includes(call.dtype) &&
    (own !== undefined || (kernel !== null && !isRequired(kernel) && kernels?.[kernel] !== undefined));
  const others = openedBackends(has);
  const advice =
    others.length > 0
      ? `${others.join(', ')} can: move the operands with await x.to(backend)`
      : `no open backend can${otherBackends(name)}`;
  throw new SoftgradError(
    'ERR_UNSUPPORTED',
    `${call.operation}: ${name} has ${missingMembers(call.backend, kernel)}; ${advice}`,
  );
}

const basis = 'basis (elementary operations) to compose it from';

/** What a backend without a basis lacks for a call for which the kernel, if there is one, is enough. */
function missingMembers(backend: Backend, kernel: KernelName | null): string {
  if (kernel === null) return `no ${basis}`;
  const member = isRequired(kernel) ? kernel : `kernels.${kernel}`;
  return hasKernel(backend, kernel)
    ? `no ${basis}, and its ${member} does not take this axis, temperature or mask`
    : `neither ${member} nor a ${basis}`;
}

/** The names of other backends that can be opened. Which operations they have is known only then. */
function otherBackends(name: string): string {
  const names = registered().filter((other) => other !== name);
  if (names.length === 0) return '';
  return `; registered are ${names.join(', ')}: move the operands, as with await x.to(await openShared('${names[0]}'))`;
}
