import { SoftgradError } from '@softgrad/core';
import { lettersInWords } from './aliases.js';
import { explanations } from './catalogue.js';
import type { Form, Goal, Mistake } from './form.js';
import { addsUp, right, rightLoss } from './mistakes/right.js';
import { nearest } from './nearest.js';
import type { Layer, LossReduction, Problem } from './problem.js';
import type { Setting } from './remedy.js';
import { type Advised, adviceIn, type Scaling } from './round-trip.js';
import { normalised, withoutOuterParentheses } from './spelling.js';

/** A NumPy expression that `diagnose` knows, and what it comes to. */
export interface KnownExpression {
  readonly expression: string;
  /** The diagnosis: a mistake's id, or 'right'. */
  readonly id: string;
  /** What must hold for it to come to that, or null. */
  readonly caveat: string | null;
}

/**
 * The expressions that can be given instead of numbers: s are the probabilities, x the logits, g the upstream gradient,
 * y the target's probabilities, J the Jacobians (n, f, f).
 */
export function knownExpressions(): readonly KnownExpression[] {
  return explanations.flatMap(({ id, forms }) =>
    forms.flatMap(({ expressions, caveats }) =>
      expressions.map((expression) => ({ expression, id, caveat: caveats?.[expression] ?? null })),
    ),
  );
}

/** What an expression is known as. */
export interface Found {
  readonly mistake: Mistake;
  readonly form: Form;
  readonly caveat: string | null;
  /** What it computes, where it is right. */
  readonly goal: Goal | null;
  /** How it adds up the rows' losses, where that is known. */
  readonly reduction: LossReduction | null;
  /** The axis and temperature that it computes with, as far as it is right. */
  readonly scaling: Scaling;
}

/**
 * What an expression is: a line that a diagnosis advises for this scaling, a known expression, or, where no data say
 * otherwise, a line that is advised for another axis or temperature.
 *
 * @throws ERR_VALUE naming the nearest expressions known, what the letters stand for, and where the list is
 */
export function lookUp(
  expression: string,
  scaling: Scaling,
  problem: Problem | null,
  setting: Setting | null,
  layer: Layer | null,
): Found {
  const advised = adviceIn(expression, scaling, setting);
  const here = advised.find((one) => one.axis === scaling.axis && one.temperature === scaling.temperature);
  const wanted = normalised(expression);
  const found = here ? foundAdvice(here, false) : (alongAxis(wanted, scaling) ?? summedUp(wanted, scaling, problem));
  const forgotten = problem && layer !== 'sigmoid' ? forgottenBySMinusY(problem) : null;
  if (found && !here && found.form === rightLoss && forgotten !== null) return as(forgotten, found);
  if (found) return forLayer(found, layer, wanted);
  const [advice] = advised;
  if (advice && !problem) return foundAdvice(advice, true);
  throw unknownExpression(expression);
}

/** What of the loss s − y leaves out; null where that is right. */
function forgottenBySMinusY(problem: Problem): string | null {
  const { target } = problem;
  if (target?.weight) return 'class-weights';
  if (target?.counted) return 'ignored-rows';
  if (target?.labelSmoothing) return 'label-smoothing';
  return addsUp(problem) ? null : 'target-sum';
}

function inCatalogue(wanted: string, scaling: Scaling): Found | null {
  for (const mistake of explanations) {
    for (const form of mistake.forms) {
      const known = form.expressions.find((one) => normalised(one) === wanted);
      if (known === undefined) continue;
      const goal = mistake.id === right.id ? goalOfRight(form) : null;
      const reduction = form.reductions?.[known] ?? null;
      const found = { mistake, form, caveat: form.caveats?.[known] ?? null, goal, reduction, scaling };
      const { temperature } = scaling;
      // J carries the 1/T with it.
      return goal === null || temperature === 1 || /\bJ\b/.test(wanted) ? found : lacking(temperature, found);
    }
  }
  return null;
}

/** An expression of the catalogue, which is written for rows along axis 1, along the axis that is asked for. */
function alongAxis(wanted: string, scaling: Scaling): Found | null {
  const turned = scaling.axis === 0 ? ofClassesFirst(wanted) : wanted;
  const found = inCatalogue(turned, scaling);
  // What must hold is said of rows along axis 1.
  return found && turned !== wanted ? { ...found, caveat: null } : found;
}

/**
 * An expression of rows along axis 1 for what computes with classes along axis 0: its axes are the other way round, and a sum over
 * the classes has a shape that broadcasts as it is.
 */
function ofClassesFirst(wanted: string): string {
  if (/\bJ\b/.test(wanted)) return wanted;
  return wanted
    .replace(/axis=([01])/g, (_, axis: string) => `axis=${1 - Number(axis)}`)
    .replace(/(\.(?:sum|max)\(axis=1)\)/g, '$1,keepdims=True)');
}

const theProduct = normalised("np.einsum('nij,nj->ni', J, g)");

const biasOfSums =
  "It is the right gradient of a bias that is added to every row's logits; that of the logits keeps a row for each sample.";
const biasOfSeveral = `${biasOfSums} Where one of the axes is that of the classes, it is 0 instead.`;

/** A right gradient, or the Jacobian, that is added up or averaged over the batch or over the classes; null where it is none. */
function summedUp(wanted: string, scaling: Scaling, problem: Problem | null): Found | null {
  const [, inner = '', axes] =
    /^(.+)\.(?:sum|mean)\((?:axis=([012]|\{[-\d,]+\})(?:,keepdims=True)?)?\)(?:\/(?:n|f))?$/.exec(wanted) ?? [];
  // Every dimension of a Jacobian (n, f, f) but the first is one of the classes.
  if (inner === 'J') return axes === '0' ? null : inCatalogue(summedJacobian, scaling);
  const several = axes?.startsWith('{');
  const summand = inner === 'dx' ? theProduct : withoutOuterParentheses(inner);
  const found = inCatalogue(summand, scaling);
  if (found?.mistake.id !== right.id || found.form.kind !== 'gradient') return null;
  const overClasses = axes === undefined || hasClasses(axes, scaling.axis, problem);
  const summed = as(overClasses ? 'row-sum' : 'batch-contracted', found);
  const kind = overClasses ? 'sum over the classes' : 'sum over the batch';
  const form = summed.mistake.forms.find((one) => one.kind === kind) ?? found.form;
  const bias = several && !problem ? biasOfSeveral : biasOfSums;
  return { ...summed, form, caveat: overClasses ? null : bias };
}

const summedJacobian = normalised('J.sum()');

/** True where the dimension that adds up to 1 is one of the axes; −1 and, of two dimensions, 1 are the last one. */
function hasClasses(axes: string, axis: number, problem: Problem | null): boolean {
  const all = axes.replace(/[{}]/g, '').split(',').map(Number);
  if (all.length === 1) return all.includes(0) === (axis === 0);
  if (!problem) return all.includes(axis);
  const { length } = problem.shape;
  return all.some((one) => (one < 0 ? one + length : one) === problem.axis);
}

/** Known expressions that are a sigmoid's derivatives, in their one spelling, by what they compute. */
const ofSigmoid = new Map<string, Goal>(
  (
    [
      ['s * (1 - s)', 'jacobian'],
      ['s - s**2', 'jacobian'],
      ['sigmoid(x) * (1 - sigmoid(x))', 'jacobian'],
      ['g * s * (1 - s)', 'product'],
      ['g * sigmoid(x) * (1 - sigmoid(x))', 'product'],
      ['sigmoid(x) - y', 'loss'],
      ['s - y', 'loss'],
      ['(s - y) / n', 'loss'],
    ] as const
  ).map(([expression, goal]) => [normalised(expression), goal]),
);

/** What a softmax's expression is for another layer. */
function forLayer(found: Found, layer: Layer | null, wanted: string): Found {
  const { mistake, form, goal } = found;
  const asRight = (of: Goal): Found => ({ ...found, mistake: right, goal: of });
  if (layer === 'log-softmax') {
    if (mistake.id === 'log-softmax') return asRight(form.kind === 'jacobian' ? 'jacobian' : 'product');
    return goal === 'product' || goal === 'jacobian' ? as('softmax-derivative', found) : found;
  }
  if (layer !== 'sigmoid') return found;
  const own = ofSigmoid.get(wanted);
  if (own) return asRight(own);
  return goal === 'product' || goal === 'jacobian' ? as('softmax-derivative', found) : found;
}

/** What was found, under another explanation. */
function as(id: string, found: Found): Found {
  return { ...found, mistake: explanations.find((one) => one.id === id) ?? found.mistake, caveat: null, goal: null };
}

/** What is right at the temperature 1, at another. */
function lacking(temperature: number, found: Found): Found {
  const mistake = explanations.find(({ id }) => id === 'temperature') ?? found.mistake;
  const caveat = `At the temperature ${temperature} it lacks the factor 1/${temperature}.`;
  return { ...found, mistake, caveat, scaling: { ...found.scaling, temperature: 1 } };
}

/** What a right form computes, whatever else is known: the lines beside it must give the same. */
export function goalOfRight(form: Form): Goal {
  if (form === rightLoss) return 'loss';
  return form.kind === 'jacobian' ? 'jacobian' : 'product';
}

function foundAdvice({ goal, form, reduction, axis, temperature }: Advised, elsewhere: boolean): Found {
  const what = goal === 'softmax' ? 'softmax itself, which is safe from overflow' : right.what;
  const added = reduction === null ? null : (form.caveats?.[reduction === 'sum' ? 's - y' : '(s - y) / n'] ?? null);
  const at = temperature === 1 ? '' : ` and the temperature is ${temperature}`;
  const where = `Right only where the classes are along ${axis === -1 ? 'the last axis' : `axis ${axis}`}${at}.`;
  return {
    mistake: { ...right, what },
    form,
    caveat: elsewhere ? where : added,
    goal,
    reduction,
    scaling: { axis, temperature },
  };
}

/** True where the target is part of an expression: what is wanted is the gradient of a loss. */
export function namesTarget(expression: string): boolean {
  return /(?<![\w.])y(?!\w)/.test(normalised(expression));
}

function unknownExpression(expression: string): SoftgradError {
  const known = knownExpressions();
  const near = nearest(normalised(expression), known, (one) => normalised(one.expression))
    .slice(0, 3)
    .map((one) => `\`${one.expression}\` (${one.id})`);
  const nearby = near.length === 0 ? '' : `; the nearest are ${near.join(', ')}`;
  return new SoftgradError(
    'ERR_VALUE',
    `diagnose: \`${expression}\` is none of the expressions known${nearby}; ${lettersInWords}; \`softgrad doctor --list\` lists them all; or give the numbers that it came to`,
  );
}
