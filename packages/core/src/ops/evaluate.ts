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
}

/**
 * Runs a function on buffers: by the backend's kernel, or composed from the basis if there is no kernel or it declines. `instead` is the kernel with
 * which a backend without a basis could run what the caller asked for, if that is not the function itself.
 */
export function run<B>(
  on: Call<B>,
  member: Member,
  out: B,
  operands: readonly B[],
  instead: KernelName | null = member.kernel ?? null,
): void {
  const { kernel } = member;
  const caller = kernel === undefined || isBeyondKernels(on) ? undefined : callers[kernel];
  // A member has exactly the operands that its kernel takes.
  if (caller && caller(on.backend, out, operands as Operands<B>, on) !== false) return;
  composed(on, instead, (m) => {
    const values = operands.map((buffer, k) =>
      k === 1 && member.cotangent === 'rows' ? m.byRow(buffer) : m.entries(buffer),
    );
    m.assign(out, member.formula(m, ...values));
  });
}

/**
 * Runs a derivative at the output, whose kernels and formulas take no mask, with the mask of the call: masked entries of the directions have no
 * influence, and those of the result are 0.
 */
export function runMasked<B>(on: Call<B>, member: Member, out: B, operands: readonly B[]): void {
  composed(on, null, (m) => {
    const values = operands.map((buffer, k) => (k === 0 ? m.entries(buffer) : m.keep(m.entries(buffer), 0)));
    const unmasked = m.computed(extentOf(member, on.rows), values, (into, buffers) =>
      run({ ...on, mask: null }, member, into, buffers, null),
    );
    m.assign(out, member.keep ? member.keep(m, unmasked) : m.keep(unmasked, 0));
  });
}

/** Backends that announce an ordinary range get no temperatures beyond 2^±this in their kernels: such calls are composed. */
const ordinaryExponent = 64;

/** Whether the temperature is beyond the range of the backend's kernels, and there is a basis to compose from. */
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

/** How each kernel is called; returns false if the backend does not have it. */
export const callers: Readonly<Record<Exclude<KernelName, 'crossEntropy'>, Caller>> = {
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

/** Whether every backend has the kernel. It may still decline a call. */
export function isRequired(kernel: KernelName | null | undefined): kernel is 'softmax' | 'jacobian' | 'vjp' {
  return kernel === 'softmax' || kernel === 'jacobian' || kernel === 'vjp';
}

class CallExpressions<B> extends SoftmaxAlgebra<B> implements Expressions<B> {
  readonly #call: Call<B>;
  readonly #kernel: KernelName | null;

  constructor(on: Call<B>, kernel: KernelName | null) {
    super({ ...on, basis: () => basisOf(on, kernel) });
    this.#call = on;
    this.#kernel = kernel;
  }

  of(member: Member, ...operands: Value<B>[]): Value<B> {
    return this.computed(extentOf(member, this.rows), operands, (out, buffers) =>
      run(this.#call, member, out, buffers, this.#kernel),
    );
  }
}

/**
 * Calls `assign` with expressions over the backend's basis, and frees their buffers afterwards.
 *
 * @throws as `basisOf`, if the expressions need a basis
 */
export function composed<B>(on: Call<B>, kernel: KernelName | null, assign: (m: Expressions<B>) => void): void {
  const m = new CallExpressions(on, kernel);
  try {
    assign(m);
  } finally {
    m.end();
  }
}

/** The basis of a call's backend. @throws ERR_UNSUPPORTED if it has none, naming the open backends that can run the operation, else those that can be opened */
export function basisOf<B>(on: Call<B>, kernel: KernelName | null): Basis<B> {
  if (!on.backend.basis) throw unsupported(on, kernel);
  return on.backend.basis;
}

function unsupported<B>({ operation, dtype, backend }: Call<B>, kernel: KernelName | null): SoftgradError {
  const { name } = backend;
  const has = ({ supports, basis, kernels }: Backend) =>
    supports.dtypes.includes(dtype) &&
    (basis !== undefined || (kernel !== null && !isRequired(kernel) && kernels?.[kernel] !== undefined));
  const others = openedBackends(has);
  const who =
    others.length > 0
      ? `${others.join(', ')} can: move the operands with await x.to(backend)`
      : `no open backend can${insteadOf(name)}`;
  return new SoftgradError(
    'ERR_UNSUPPORTED',
    `${operation}: ${name} has neither a kernel for this operation nor a basis to compose it from; ${who}`,
  );
}

/** The names of other backends that can be opened. Which operations they have is known only then. */
function insteadOf(name: string): string {
  const names = registered().filter((other) => other !== name);
  if (names.length === 0) return '';
  return `; registered are ${names.join(', ')}: move the operands, as with await x.to(await openShared('${names[0]}'))`;
}
