import type { Value } from '../backend/graph.js';
import type { Backend, Basis, Extent, KernelName, Rows } from '../backend/interface.js';
import { openedBackends, registered } from '../backend/registry.js';
import { SoftmaxAlgebra } from '../backend/softmax-algebra.js';
import { SoftgradError } from '../errors.js';
import type { FloatDType } from '../tensor/dtype.js';
import type { Mask } from '../tensor/mask.js';
import type { Expressions, Member } from './definition.js';

/** The backend, dtype, rows and settings of a call. */
export interface Call<B = unknown> {
  /** The public name, for errors: `logSoftmax.vjp`. */
  readonly operation: string;
  readonly backend: Backend<B>;
  readonly dtype: FloatDType;
  readonly rows: Rows;
  readonly temperature: number;
  readonly mask: Mask<B> | null;
  /** The kernel that is enough to run the call on a backend without a basis; null if none is. For error messages. */
  readonly kernel: KernelName | null;
}

/** Runs a function on buffers: by the backend's kernel, or composed from the basis if there is no kernel or it declines. */
export function run<B>(call: Call<B>, member: Member, out: B, operands: readonly B[]): void {
  const { kernel } = member;
  const caller = kernel === undefined || isBeyondKernels(call) ? undefined : callers[kernel];
  // A member has exactly the operands that its kernel takes.
  if (caller && caller(call.backend, out, operands as Operands<B>, call) !== false) return;
  composed(call, (m) => {
    const values = operands.map((buffer, k) =>
      k === 1 && member.cotangent === 'rows' ? m.byRow(buffer) : m.entries(buffer),
    );
    const formula = member.isOfQuotient && isFar(call.temperature) ? ofNearOne(member) : member.formula;
    m.assign(out, formula(m, ...values));
  });
}

/**
 * Runs a derivative at the output, whose kernels and formulas take no mask, with the mask of the call: masked entries of the directions have no
 * influence, and those of the result are 0.
 */
export function runMasked<B>(maskedCall: Call<B>, member: Member, out: B, operands: readonly B[]): void {
  // A kernel is not enough for it.
  const call = { ...maskedCall, kernel: null };
  // The first direction takes the place of the result, if kernels write in place: one buffer less, which counts where memory limits the speed.
  const { inPlace } = call.backend.supports;
  composed(call, (m) => {
    const values = operands.map((buffer, k) => {
      const entries = m.entries(buffer);
      return k === 0 || (k === 1 && inPlace) ? entries : m.keep(entries, 0);
    });
    const unmasked = m.computed(extentOf(member, call.rows), values, (into, buffers) => {
      const [output, direction, ...others] = buffers;
      if (output === undefined || direction === undefined || !inPlace) {
        run({ ...call, mask: null }, member, into, buffers);
        return;
      }
      m.writeKept(into, direction, 0);
      run({ ...call, mask: null }, member, into, [output, into, ...others]);
    });
    m.assign(out, member.keep ? member.keep(m, unmasked) : m.keep(unmasked, 0));
  });
}

/** A function of x / T at a temperature near 1. A constant that is subtracted from all logits of a row changes nothing but log-sum-exp. */
function ofNearOne(member: Member): Member['formula'] {
  return (m, x) => {
    const { logits, temperature, constant } = m.nearOne(x);
    const value = m.at(temperature, member, logits);
    return member.result === 'rows' && constant !== null ? m.add(value, constant) : value;
  };
}

/**
 * Temperatures beyond 2^±64. Kernels of backends that announce an ordinary range are not called with them, and where functions of x / T are composed,
 * they are computed at a temperature near 1.
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

type Operands<B> = readonly [first: B, second: B, third: B];

type Caller = <B>(backend: Backend<B>, out: B, operands: Operands<B>, call: Call<B>) => void | false;

/** How each kernel is called; returns false if the backend does not have it. */
export const callers: Readonly<Record<Exclude<KernelName, 'crossEntropy'>, Caller>> = {
  softmax: (backend, out, operands, call) => backend.softmax(out, operands[0], call.rows, call),
  jacobian: (backend, out, operands, call) => backend.jacobian(out, operands[0], call.rows, call),
  vjp: (backend, out, operands, call) => backend.vjp(out, operands[0], operands[1], call.rows, call),
  logSoftmax: ({ kernels }, out, operands, call) =>
    kernels?.logSoftmax ? kernels.logSoftmax(out, operands[0], call.rows, call) : false,
  logSoftmaxVjp: ({ kernels }, out, operands, call) =>
    kernels?.logSoftmaxVjp ? kernels.logSoftmaxVjp(out, operands[0], operands[1], call.rows, call) : false,
  logSoftmaxJvp: ({ kernels }, out, operands, call) =>
    kernels?.logSoftmaxJvp ? kernels.logSoftmaxJvp(out, operands[0], operands[1], call.rows, call) : false,
  logSoftmaxJacobian: ({ kernels }, out, operands, call) =>
    kernels?.logSoftmaxJacobian ? kernels.logSoftmaxJacobian(out, operands[0], call.rows, call) : false,
  softmaxHvp: ({ kernels }, out, [s, g, t], call) =>
    kernels?.softmaxHvp ? kernels.softmaxHvp(out, s, g, t, call.rows, call) : false,
  logSoftmaxHvp: ({ kernels }, out, [y, g, t], call) =>
    kernels?.logSoftmaxHvp ? kernels.logSoftmaxHvp(out, y, g, t, call.rows, call) : false,
  logSumExp: ({ kernels }, out, operands, call) =>
    kernels?.logSumExp ? kernels.logSumExp(out, operands[0], call.rows, call) : false,
  logSumExpHvp: ({ kernels }, out, [x, g, t], call) =>
    kernels?.logSumExpHvp ? kernels.logSumExpHvp(out, x, g, t, call.rows, call) : false,
  sigmoid: ({ kernels }, out, operands, { rows }) =>
    kernels?.sigmoid ? kernels.sigmoid(out, operands[0], rows.classes) : false,
  sigmoidVjp: ({ kernels }, out, operands, { rows }) =>
    kernels?.sigmoidVjp ? kernels.sigmoidVjp(out, operands[0], operands[1], rows.classes) : false,
  sigmoidHvp: ({ kernels }, out, [y, g, t], { rows }) =>
    kernels?.sigmoidHvp ? kernels.sigmoidHvp(out, y, g, t, rows.classes) : false,
  relu: ({ kernels }, out, operands, { rows }) =>
    kernels?.relu ? kernels.relu(out, operands[0], rows.classes) : false,
  reluVjp: ({ kernels }, out, operands, { rows }) =>
    kernels?.reluVjp ? kernels.reluVjp(out, operands[0], operands[1], rows.classes) : false,
};

/** Whether every backend has the kernel. It may still decline a call. */
export function isRequired(kernel: KernelName | null | undefined): kernel is 'softmax' | 'jacobian' | 'vjp' {
  return kernel === 'softmax' || kernel === 'jacobian' || kernel === 'vjp';
}

class CallExpressions<B> extends SoftmaxAlgebra<B> implements Expressions<B> {
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

/** What a backend without a basis lacks for a call for which the kernel, if there is one, is enough. */
function missingMembers({ kernels }: Backend, kernel: KernelName | null): string {
  if (kernel === null) return 'no basis to compose it from, and no kernel is enough for it';
  const hasKernel = isRequired(kernel) || kernels?.[kernel] !== undefined;
  const member = isRequired(kernel) ? kernel : `kernels.${kernel}`;
  return hasKernel
    ? `no basis to compose it from, and its ${member} declines the call`
    : `neither ${member} nor a basis to compose it from`;
}

/** The names of other backends that can be opened. Which operations they have is known only then. */
function otherBackends(name: string): string {
  const names = registered().filter((other) => other !== name);
  if (names.length === 0) return '';
  return `; registered are ${names.join(', ')}: move the operands, as with await x.to(await openShared('${names[0]}'))`;
}
