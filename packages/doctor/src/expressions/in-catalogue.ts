import { explanationsOfExpressions } from '../catalogue.js';
import type { Form, Goal, Mistake } from '../form.js';
import type { Layer } from '../input.js';
import { right } from '../mistakes/right.js';
import { rightLoss } from '../mistakes/right-loss.js';
import type { Problem } from '../problem.js';
import type { Scaling } from '../round-trip.js';
import { isGradientOfSum, normalised, withoutOuterParentheses } from '../spelling.js';
import { as, explanationOf, type Found } from './found.js';

function inCatalogue(wanted: string, scaling: Scaling): Found | null {
  const entry = catalogue().get(wanted);
  if (!entry) return null;
  const { mistake, form, known } = entry;
  const goal = mistake.id === right.id ? goalOfRight(form) : null;
  const reduction = form.reductions?.[known] ?? null;
  const found = { mistake, form, caveat: form.caveats?.[known] ?? null, goal, reduction, scaling };
  const { temperature } = scaling;
  // J already contains the factor 1/T.
  return goal === null || temperature === 1 || /\bJ\b/.test(wanted) ? found : lacking(temperature, found);
}

const normalisedTexts = new Map<string, string>();

/** The normalised text of an expression of the catalogue. */
export function normalisedOnce(known: string): string {
  const text = normalisedTexts.get(known) ?? normalised(known);
  normalisedTexts.set(known, text);
  return text;
}

interface Entry {
  readonly mistake: Mistake;
  readonly form: Form;
  /** The expression as the form writes it. */
  readonly known: string;
}

let entries: Map<string, Entry> | undefined;

/** The expressions of all explanations, normalised; where several are equal, the first one. */
function catalogue(): ReadonlyMap<string, Entry> {
  if (entries) return entries;
  entries = new Map();
  for (const mistake of explanationsOfExpressions) {
    for (const form of mistake.forms) {
      for (const known of form.expressions) {
        const text = normalisedOnce(known);
        if (!entries.has(text)) entries.set(text, { mistake, form, known });
      }
    }
  }
  return entries;
}

/** An expression as the catalogue would have it, which is written for classes along axis 1. */
export function turnedToCatalogue(wanted: string, { axis }: Scaling): string {
  return axis === 0 ? ofClassesFirst(wanted) : wanted;
}

/** Looks up an expression for the given axis. */
export function alongAxis(wanted: string, scaling: Scaling): Found | null {
  const turned = turnedToCatalogue(wanted, scaling);
  const found = inCatalogue(turned, scaling);
  // The caveats of the catalogue are about classes along axis 1.
  return found && turned !== wanted ? { ...found, caveat: null } : found;
}

/**
 * Rewrites an expression for classes along axis 0 as one for classes along axis 1: exchanges the axes 0 and 1, and adds keepdims to
 * reductions over the classes, because a result of shape (n,) broadcasts correctly against (f, n) but not against (n, f).
 */
function ofClassesFirst(wanted: string): string {
  if (/\bJ\b/.test(wanted)) return wanted;
  return wanted
    .replace(/axis=([01])/g, (_, axis: string) => `axis=${1 - Number(axis)}`)
    .replace(/(\.(?:sum|max)\(axis=1)\)/g, '$1,keepdims=True)');
}

/** The gradient of the sum of all outputs: 0 for a softmax, and for other layers the product with an upstream gradient of ones. */
export function ofSummedOutputs(expression: string, scaling: Scaling, layer: Layer | null): Found | null {
  const found = isGradientOfSum(expression) ? inCatalogue(normalised('J.sum(axis=1)'), scaling) : null;
  const isOther = layer === 'sigmoid' || (layer === 'log-softmax' && !/(?<!log_?)softmax\s*\(/i.test(expression));
  if (!found || !isOther) return found;
  const caveat = 'That is for an upstream gradient of ones.';
  return { ...found, mistake: right, goal: layer === 'sigmoid' ? 'jacobian' : 'product', caveat };
}

const theProduct = normalised("np.einsum('nij,nj->ni', J, g)");
/** It is right of every layer. */
const theTransposedProduct = normalised("np.einsum('nij,ni->nj', J, g)");

const biasOfSums =
  "It is the right gradient of a bias that is added to every row's logits; that of the logits keeps a row for each sample.";
const biasOfSeveral = `${biasOfSums} Where one of the axes is that of the classes, it is 0 instead.`;

/** Looks up a part of an expression, for the layer. */
type LookUpPart = (wanted: string) => Found | null;

/**
 * Recognizes the sum or mean of a correct gradient, or of the Jacobian, over the batch or over the classes; of the derivative of another layer,
 * that it is that. Null for other expressions.
 */
export function summedUp(wanted: string, scaling: Scaling, problem: Problem | null, partOf: LookUpPart): Found | null {
  const [, inner = '', axes] =
    /^(.+)\.(?:sum|mean)\((?:axis=([012]|\{[-\d,]+\})(?:,keepdims=True)?)?\)(?:\/(?:n|f))?$/.exec(wanted) ?? [];
  // Every axis of a Jacobian (n, f, f) except the first is an axis of classes.
  if (inner === 'J') return axes === '0' ? null : inCatalogue(summedJacobian, scaling);
  const several = axes?.startsWith('{');
  const summand = inner === 'dx' ? theTransposedProduct : withoutOuterParentheses(inner);
  const found = partOf(summand);
  if (found?.mistake.id === 'softmax-derivative') return found;
  if (found?.mistake.id !== right.id || found.form.kind !== 'gradient') return null;
  const overClasses = axes === undefined || hasClasses(axes, scaling.axis, problem);
  const summed = as(overClasses ? 'row-sum' : 'batch-contracted', found);
  const kind = overClasses ? 'sum over the classes' : 'sum over the batch';
  const form = summed.mistake.forms.find((one) => one.kind === kind) ?? found.form;
  const bias = several && !problem ? biasOfSeveral : biasOfSums;
  return { ...summed, form, caveat: overClasses ? null : bias };
}

const summedJacobian = normalised('J.sum()');

/** Recognizes the clipping of a gradient; of a mistake that is clipped, the mistake. Null for other expressions. */
export function clipped(wanted: string, scaling: Scaling, problem: Problem | null, partOf: LookUpPart): Found | null {
  const called = /^(?:clip|clamp|clip_by_value|clip_by_norm)(\(.*\))$/.exec(wanted)?.[1];
  const inner =
    called === undefined
      ? /^(.+)\.(?:clip|clamp|clip_?[bB]y_?[vV]alue)\([^()]*\)$/.exec(wanted)?.[1]
      : firstArgument(called);
  const isOfParameters = /(?:^|\.)clip_grad_(?:norm|value)_?\(/.test(wanted);
  if (inner === undefined && !isOfParameters) return null;
  // Of clipped probabilities nothing is said: what follows is what matters.
  if (inner === 's' || inner === 'x') return null;
  // After the backward pass, g and dx are names of the gradient.
  const isGradient = inner === undefined || /^(?:g|dx|gradients?)$/.test(inner);
  const ofInner = isGradient ? null : withoutOuterParentheses(inner);
  const found =
    ofInner === null
      ? inCatalogue(theProduct, scaling)
      : (partOf(ofInner) ?? summedUp(ofInner, scaling, problem, partOf));
  return found?.mistake.id === right.id ? as('gradient-clipped', found) : found;
}

/** What is before the first comma outside of brackets in the arguments of a call; undefined if the call ends before the text does. */
function firstArgument(call: string): string | undefined {
  let depth = 0;
  let end: number | undefined;
  for (let k = 0; k < call.length; k++) {
    const character = call.charAt(k);
    if ('([{'.includes(character)) depth++;
    else if (')]}'.includes(character)) depth--;
    if (depth === 0 && k < call.length - 1) return undefined;
    if (depth === 0 || (depth === 1 && character === ',')) end ??= k;
  }
  return call.slice(1, end);
}

/** True if the softmax axis is one of the axes. −1 stands for the last axis, and of a matrix so does 1. */
function hasClasses(axes: string, axis: number, problem: Problem | null): boolean {
  const all = axes.replace(/[{}]/g, '').split(',').map(Number);
  if (all.length === 1) return all.includes(0) === (axis === 0);
  if (!problem) return all.includes(axis);
  const { length } = problem.shape;
  return all.some((one) => (one < 0 ? one + length : one) === problem.axis);
}

/** The diagnosis, at another temperature, of an expression that is correct at temperature 1. */
function lacking(temperature: number, found: Found): Found {
  const mistake = explanationOf('temperature', found);
  const caveat = `At the temperature ${temperature} it lacks the factor 1/${temperature}.`;
  return { ...found, mistake, caveat, scaling: { ...found.scaling, temperature: 1 } };
}

/** What a correct form computes; the suggested code must compute the same. */
export function goalOfRight(form: Form): Goal {
  if (form === rightLoss) return 'loss';
  return form.kind === 'jacobian' ? 'jacobian' : 'product';
}
