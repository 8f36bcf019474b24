import { type DoubleDouble, difference, mul, sub, zero } from './doubledouble.js';
import {
  divided,
  isMasked,
  type ReferenceParameters,
  type RowEntries,
  sumOf,
  tabulated,
  type Values,
} from './row-entries.js';

/** `Σ_j p_j (v_i − v_j)` for each entry i of a row, with j over the entries that the mask keeps. */
export function centred(p: RowEntries, v: Values, at: readonly number[], parameters: ReferenceParameters): RowEntries {
  const origin = atLargest(at, p, v, parameters);
  const moved = tabulated(at, (i) => difference(v[i], origin));
  const sum = sumOf(at, p, parameters);
  const mean = sumOf(at, (i, c) => mul(p(i, c), moved(i, c)), parameters);
  return tabulated(at, (i, c) => sub(mul(moved(i, c), sum), mean));
}

/** v at the first largest p among the entries that the mask keeps; 0 if it keeps none. */
export function atLargest(
  at: readonly number[],
  p: RowEntries,
  v: Values,
  parameters: ReferenceParameters,
): number | undefined {
  let most: number | null = null;
  let value: number | undefined = 0;
  let c = 0;
  for (const i of at) {
    const { hi } = p(i, c++);
    if (isMasked(parameters, i) || (most !== null && !(hi > most))) continue;
    most = hi;
    value = v[i];
  }
  return value;
}

/** `factor · p_i Σ_j p_j (t_i − t_j) / T²` over the entries of a row that the mask keeps. */
export function curvature(
  p: RowEntries,
  t: Values,
  at: readonly number[],
  factor: DoubleDouble,
  temperature: number,
  parameters: ReferenceParameters,
): RowEntries {
  const known = tabulated(at, p);
  const b = centred(known, t, at, parameters);
  return (i, c) => {
    if (isMasked(parameters, i)) return zero;
    return mul(factor, mul(divided(known(i, c), temperature), divided(b(i, c), temperature)));
  };
}
