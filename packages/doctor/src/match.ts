import type { Given } from './compare.js';
import type { Form, Kind, Mistake, Unusual } from './form.js';
import type { FoundOptions } from './found-options.js';
import { everyLayer, type LossReduction } from './input.js';
import type { Reading } from './reading.js';

/** An explanation with its distance from the given numbers. */
export interface Match {
  readonly id: string;
  readonly mistake: Mistake;
  readonly form: Form | null;
  readonly kind: Kind;
  readonly formula: string;
  readonly error: number;
  /** The largest magnitude that it gives; NaN if that was not computed. */
  readonly largest: number;
  /** The reduction of the loss, if the match depends on it. */
  readonly reduction?: LossReduction | undefined;
  readonly unusual?: Unusual | undefined;
  /** Of a loss whose options were fitted: those that the suggested code needs. */
  readonly options?: FoundOptions | undefined;
  /** The constant by which the correct derivative is multiplied, if it was fitted. */
  readonly factor?: number | undefined;
  /** Of a constant factor below 1: the norm of the numbers, if it has as few digits as a bound that they may have been clipped to. */
  readonly norm?: number | undefined;
  /** Of a constant factor so near to 1 that half precision may have left it: the formula of the correct derivative. */
  readonly nearlyRight?: string | undefined;
}

export interface Divided {
  /** The explanations that fit and cannot be distinguished, the best first. */
  readonly matches: readonly Match[];
  /** All others, the best first. */
  readonly others: readonly Match[];
}

export type GivenReading = Reading & { readonly given: Given };

/** Largest relative error of an explanation that fits: it allows for four printed digits or half precision. */
export const fits = 1e-3;

/** Up to this relative error, an explanation fits without a tolerance for rounded numbers. */
export const exactly = 1e-5;

export const scaledMistake: Mistake = {
  id: 'scaled',
  name: 'right but for a constant factor',
  what: 'the right derivative times a constant that is neither the batch size nor the temperature',
  why: 'A factor of its own (a learning rate, a loss weight, a 2 from a squared error, a backward pass that ran twice and added up) is in the gradient.',
  layers: everyLayer,
  forms: [],
};

export function unnamed(kind: Kind, formula: string, error: number) {
  return { form: null, kind, formula, error, largest: Number.NaN };
}

/** The options for the suggested code: those of the explanation that is named, and the temperature that all of several have. */
export function optionsFound(verdict: string, matches: readonly Match[]): FoundOptions | undefined {
  const [best] = matches;
  if (verdict !== 'ambiguous') return best?.id === verdict ? best.options : undefined;
  const temperature = best?.options?.temperature;
  if (temperature === undefined || matches.some(({ options }) => options?.temperature !== temperature))
    return undefined;
  return { temperature };
}
