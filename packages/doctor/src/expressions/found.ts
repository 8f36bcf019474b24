import { explanationsOfExpressions } from '../catalogue.js';
import type { Form, Goal, Mistake } from '../form.js';
import type { LossReduction } from '../input.js';
import type { Scaling } from '../round-trip.js';

/** The catalogue entry of an expression. */
export interface Found {
  readonly mistake: Mistake;
  readonly form: Form;
  readonly caveat: string | null;
  /** What it computes, where it is right. */
  readonly goal: Goal | null;
  /** The reduction of the loss whose gradient it is; null if unknown. */
  readonly reduction: LossReduction | null;
  /** The axis and temperature for which it is correct. */
  readonly scaling: Scaling;
  /** Another explanation that is the same expression, if what was said of the computation does not decide between them. */
  readonly also?: Mistake;
}

/** The same expression under another diagnosis. */
export function as(id: string, found: Found): Found {
  return { ...found, mistake: explanationOf(id, found), caveat: null, goal: null };
}

export function explanationOf(id: string, { mistake }: Found): Mistake {
  return explanationsOfExpressions.find((one) => one.id === id) ?? mistake;
}
