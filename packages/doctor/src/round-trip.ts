import { candidate } from './define-form.js';
import type { Form, Goal } from './form.js';
import type { LossReduction } from './input.js';
import { rightJacobian, rightProduct } from './mistakes/right.js';
import { rightLoss } from './mistakes/right-loss.js';
import { type Remedy, remedyFor, type Setting } from './remedy.js';
import { normalised } from './spelling.js';

/** The axis (−1 for the last one) and the temperature. */
export interface Scaling {
  readonly axis: number;
  readonly temperature: number;
}

/** Code that `diagnose` suggests, which the caller passed as the expression. */
export interface Advised extends Scaling {
  readonly goal: Goal;
  readonly form: Form;
  readonly reduction: LossReduction | null;
  /** True if it is suggested for the layer and the options that were given; otherwise it is for softmax. */
  readonly own: boolean;
}

const softmaxItself: Form = { kind: 'gradient', expressions: [], gives: ({ s }) => [candidate('softmax(x)', s)] };

const goals: readonly (Pick<Advised, 'goal' | 'form' | 'reduction'> & { readonly indices: boolean })[] = [
  { goal: 'product', form: rightProduct, reduction: null, indices: true },
  { goal: 'loss', form: rightLoss, reduction: 'sum', indices: true },
  { goal: 'loss', form: rightLoss, reduction: 'sum', indices: false },
  { goal: 'loss', form: rightLoss, reduction: 'mean', indices: true },
  { goal: 'loss', form: rightLoss, reduction: 'mean', indices: false },
  { goal: 'jacobian', form: rightJacobian, reduction: null, indices: true },
  { goal: 'softmax', form: softmaxItself, reduction: null, indices: true },
];

/** Finds the suggestions that an expression is equal to, with the given axis and temperature or with numbers in the expression. */
export function adviceIn(expression: string, given: Scaling, own: Setting | null = null): readonly Advised[] {
  const numbers = [...new Set(expression.match(/\d+(?:\.\d+)?(?:e[+-]?\d+)?/g)?.map(Number))];
  const axes = new Set([
    given.axis,
    -1,
    ...numbers.filter((value) => Number.isInteger(value) && value < mostDimensions),
  ]);
  const temperatures = new Set([given.temperature, 1, ...numbers.filter((value) => value > 0)]);
  const text = spaceless(expression);
  const wanted = normalised(expression);
  const forOwn = goals
    .filter(({ goal, reduction }) => own && says(remedyFor(goal, own, reduction), goal, text, wanted))
    .map(({ goal, form, reduction }) => ({ goal, form, reduction, own: true, ...given }));
  if (forOwn.length > 0) return forOwn;
  const others = own && !isPlain(own) ? goals.filter(({ goal }) => goal !== 'loss') : goals;
  return [...axes].flatMap((axis) =>
    [...temperatures].flatMap((temperature) =>
      others
        .filter(({ goal, reduction, indices }) => {
          const lines = remedyFor(goal, settingOf(axis, temperature, indices), reduction);
          return says(lines, goal, text, wanted);
        })
        .map(({ goal, form, reduction }) => ({ goal, form, reduction, own: false, axis, temperature })),
    ),
  );
}

/** True if the gradient of the loss is s − y. */
function isPlain({ loss }: Setting): boolean {
  return !loss || (loss.addsUp && loss.labelSmoothing === 0 && !loss.weighted && loss.ignoreIndex === null);
}

/** Integers from this on cannot be an axis. */
const mostDimensions = 16;

/** A setting for an array of unknown shape, in which one dimension follows the axis unless it is the last. */
export function settingOf(axis: number, temperature: number, indices: boolean): Setting {
  return { shape: { length: axis === -1 ? 1 : axis + 2 }, axis: axis === -1 ? 0 : axis, temperature, indices };
}

/**
 * True if the text is one of the lines. The line for softmax itself must match with its assignment: without it, it normalises to `s`. That of crossEntropy, which
 * takes any target, is not the same as s − y.
 */
function says({ typescript, numpy }: Remedy, goal: Goal, text: string, wanted: string): boolean {
  if ([typescript, numpy].some((line) => spaceless(line) === text)) return true;
  const isCall = text.includes('crossEntropy');
  return (
    goal !== 'softmax' &&
    [typescript, numpy].some((line) => (isCall || !line.includes('crossEntropy')) && normalised(line) === wanted)
  );
}

function spaceless(text: string): string {
  return text.replace(/\s+|;\s*$/g, '');
}
