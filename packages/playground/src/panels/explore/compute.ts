import {
  type Backend,
  crossEntropy,
  type FloatDType,
  type HostArray,
  isSoftgradError,
  openShared,
  SoftgradError,
  scope,
  softmax,
  tensor,
} from '@softgrad/core';
import { messageOf } from '../../backends.js';
import { classOf, type ExploreState } from './state.js';

/** A backend's results for the state: numbers of the selected row, except for the probabilities. */
export interface Results {
  /** The state of these results: the views use it, so that they never mix two states. */
  readonly state: ExploreState;
  readonly backend: Backend;
  /** Why another backend than the chosen one has computed; null if it is that one. */
  readonly refusal: string | null;
  readonly dtype: FloatDType;
  /** For all rows. */
  readonly probabilities: HostArray;
  /** classes × classes; null if that is too large to draw. */
  readonly jacobian: HostArray | null;
  /** The largest rounding error of a row sum: half an ULP of the largest entry for each step, and as much for each entry. */
  readonly roundingNoise: number;
  /** `J.sum(axis=1)`, summed in the dtype. */
  readonly rowSums: readonly number[] | null;
  /** g of the selected row. */
  readonly upstream: ArrayLike<number>;
  /** Jᵀ g. */
  readonly product: HostArray;
}

/** Above this, a Jacobian has more entries than the page has pixels for. */
export const mostClassesDrawn = 512;

/** No more classes than this are listed at once, because every row of a list has sliders or bars. */
export const mostClassesListed = 256;

/** Tried in this order if no backend is chosen. */
const defaults = ['wasm', 'cpu'];

/** @throws ERR_BACKEND_UNAVAILABLE if no backend can run here, ERR_DTYPE, ERR_DEVICE_LOST */
export async function compute(state: ExploreState): Promise<Results> {
  const { signal, row, temperature, upstream, loss } = state;
  const { rows, classes } = signal;
  const ofRow = upstream.subarray(row * classes, (row + 1) * classes);
  const target = classOf(row, classes);
  const { backend, refusal } = await opened(state.backend);
  const dtype = dtypeOf(backend, state.dtype);
  const drawn = classes <= mostClassesDrawn;
  const made = scope(() => {
    const x = tensor(signal.values, { shape: [rows, classes], dtype, backend });
    const s = softmax(x, { temperature });
    const xOfRow = tensor(signal.values.subarray(row * classes, (row + 1) * classes), {
      shape: [1, classes],
      dtype,
      backend,
    });
    const sOfRow = softmax(xOfRow, { temperature });
    return {
      s,
      J: drawn ? softmax.jacobian(sOfRow, { temperature }) : null,
      // Of cross-entropy, g = −y / s is infinite where a probability is 0. Its product is not.
      dx:
        loss === null
          ? softmax.vjp(sOfRow, tensor(ofRow, { shape: [1, classes], dtype, backend }), { temperature })
          : crossEntropy.gradient(xOfRow, [target], { temperature }),
    };
  });
  try {
    const [probabilities, jacobian, product] = await Promise.all([
      made.s.data(),
      made.J?.data() ?? null,
      made.dx.data(),
    ]);
    return {
      state,
      backend,
      refusal,
      dtype,
      probabilities,
      jacobian,
      roundingNoise: jacobian ? 4 * classes * units[dtype] * largestOf(jacobian) : 0,
      rowSums: jacobian && sumRows(jacobian, classes, dtype),
      upstream:
        loss === null
          ? ofRow
          : Float64Array.from(ofRow, (_, k) => (k === target ? -1 / (probabilities[row * classes + k] ?? 0) : 0)),
      product,
    };
  } finally {
    for (const t of [made.s, made.J, made.dx]) t?.dispose();
  }
}

/** Whether the selected row has no probabilities: then they are NaN, and so is everything that is computed from them. */
export function isRowNaN({ state: { signal, row }, probabilities }: Results): boolean {
  return Number.isNaN(probabilities[row * signal.classes]);
}

/** The chosen backend. A link may name one that this browser does not have: the page then computes on another one, and says so. */
async function opened(chosen: string | null): Promise<Pick<Results, 'backend' | 'refusal'>> {
  if (chosen === null) return { backend: await openShared(...defaults), refusal: null };
  try {
    return { backend: await openShared(chosen), refusal: null };
  } catch (cause) {
    if (!isSoftgradError(cause) || cause.code !== 'ERR_BACKEND_UNAVAILABLE') throw cause;
    return { backend: await openShared(...defaults), refusal: messageOf(cause) };
  }
}

/** The requested dtype if the backend has it, otherwise its widest dtype. */
function dtypeOf(backend: Backend, wanted: FloatDType | null): FloatDType {
  const { dtypes } = backend.supports;
  if (wanted !== null && dtypes.includes(wanted)) return wanted;
  const widest = dtypes.includes('float64') ? 'float64' : dtypes.at(0);
  if (widest === undefined) throw new SoftgradError('ERR_DTYPE', `${backend.name} computes in no dtype`);
  return widest;
}

/** Each row summed from left to right and rounded after each step, as NumPy does it in the dtype. */
function sumRows(jacobian: HostArray, classes: number, dtype: FloatDType): readonly number[] {
  const round = dtype === 'float64' ? (x: number) => x : Math.fround;
  return Array.from({ length: classes }, (_, i) => {
    let sum = 0;
    for (const entry of jacobian.subarray(i * classes, (i + 1) * classes)) sum = round(sum + entry);
    return sum;
  });
}

/** The spacing of the dtype's numbers at 1. */
const units: Readonly<Record<FloatDType, number>> = { float64: 2 ** -52, float32: 2 ** -23, float16: 2 ** -10 };

export function largestOf(values: Iterable<number>): number {
  let most = 0;
  for (const value of values) most = Math.max(most, Math.abs(value));
  return most;
}
