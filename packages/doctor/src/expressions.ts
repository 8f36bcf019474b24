import { SoftgradError, shortened } from '@softgrad/core';
import { lettersInWords, nameOfTarget, variable } from './aliases.js';
import { explanations } from './catalogue.js';
import type { Form, Goal, Mistake } from './form.js';
import type { Layer, LossReduction } from './input.js';
import { lossOtherThanUpstream } from './mistakes/product.js';
import { right } from './mistakes/right.js';
import { addsUp, rightLoss } from './mistakes/right-loss.js';
import { nearest } from './nearest.js';
import type { Problem } from './problem.js';
import type { Setting } from './remedy.js';
import { onlyWhere } from './report.js';
import { type Advised, adviceIn, type Scaling } from './round-trip.js';
import { gradientsOfSum, isGradientOfSum, normalised, withoutOuterParentheses } from './spelling.js';

/** A NumPy expression that `diagnose` knows, and its diagnosis. */
export interface KnownExpression {
  readonly expression: string;
  /** The diagnosis: a mistake's id, or 'right'. */
  readonly id: string;
  /** The condition under which the diagnosis holds, or null. */
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

/** What was said of the computation besides the expression. */
export interface Said {
  readonly problem: Problem | null;
  readonly setting: Setting;
  readonly layer: Layer | null;
  readonly reduction: LossReduction | null;
}

/**
 * Looks up an expression: code that a diagnosis suggests for this axis and temperature, an expression of the catalogue, or,
 * if no data were given, code that is suggested for another axis or temperature.
 *
 * @throws ERR_VALUE with the most similar known expressions, what the letters stand for, and where to find the list
 */
export function lookUp(expression: string, scaling: Scaling, said: Said): Found {
  const { problem, setting, layer } = said;
  const advised = adviceIn(expression, scaling, setting);
  const here = advised.find((one) => one.axis === scaling.axis && one.temperature === scaling.temperature);
  const wanted = normalised(expression, scaling.axis === 0);
  const ofOutputs = here ? null : ofSummedOutputs(expression, scaling, layer);
  if (ofOutputs?.mistake.id === right.id) {
    return ofOutputs.goal === 'product' && problem?.g
      ? as('upstream-missing', ofOutputs)
      : judged(ofOutputs, expression, wanted, said);
  }
  const found = here
    ? foundAdvice(here, false)
    : (ofOutputs ?? alongAxis(wanted, scaling) ?? summedUp(wanted, scaling, problem));
  const forgotten = problem && layer !== 'sigmoid' ? forgottenBySMinusY(problem) : null;
  if (found && !here && found.form === rightLoss && forgotten !== null) return as(forgotten, found);
  if (found) {
    const verdict = judged(here?.own ? found : forLayer(found, layer, wanted), expression, wanted, said);
    return byNameOfTarget(verdict, expression, layer);
  }
  const [advice] = advised;
  if (advice && !problem) {
    const elsewhere = foundAdvice(advice, true);
    // The last axis and the temperature 1 are those of callers who say nothing.
    const wrong =
      scaling.axis !== -1 && advice.axis !== scaling.axis
        ? 'wrong-axis'
        : scaling.temperature !== 1 && advice.temperature !== scaling.temperature
          ? 'temperature'
          : null;
    return wrong === null ? elsewhere : { ...as(wrong, elsewhere), caveat: elsewhere.caveat };
  }
  throw unknownExpression(expression);
}

/** The diagnosis of an expression that is right for some loss, given what was said of the layer, the loss and its reduction. */
function judged(found: Found, expression: string, wanted: string, said: Said): Found {
  const { problem, layer, reduction } = said;
  if (layer === 'sigmoid' && /\bsoftmax\s*\(/i.test(expression)) return as('softmax-derivative', found);
  const squared = squaredError(found, wanted, layer);
  if (squared) return squared;
  if (found.mistake.id !== right.id) return found;
  if (found.goal === 'jacobian' && (problem?.g || problem?.y || layer === 'cross-entropy')) {
    return as(layer === 'sigmoid' && !wanted.startsWith('diag') ? 'slope-alone' : 'upstream-missing', found);
  }
  if (found.goal === 'loss' && reduction !== null && isOfOtherReduction(found, wanted, said)) {
    return { ...as('batch-size', found), caveat: found.caveat };
  }
  const otherLoss = found.goal === 'loss' && problem && lossOtherThanUpstream(problem).length > 0;
  return otherLoss ? { ...found, also: explanationOf('upstream-missing', found) } : found;
}

/**
 * s − y by the name of the target: a name of class indices, as in s − labels, makes it `class-index-subtracted` too, and a name that may hold
 * either adds the condition that it is one-hot. Unchanged if the target is one-hot by its name or by the code.
 */
function byNameOfTarget(found: Found, expression: string, layer: Layer | null): Found {
  if (found.mistake.id !== right.id || found.form !== rightLoss || layer === 'sigmoid') return found;
  const name = nameOfTarget(expression);
  if (name === null) return found;
  const condition = `${onlyWhere} \`${name.text}\` is one-hot or holds probabilities, with the shape of s; for class indices write s - np.eye(s.shape[-1])[${name.text}].`;
  const caveat = found.caveat === null ? condition : `${condition} ${found.caveat}`;
  return name.indices
    ? { ...found, caveat, also: explanationOf('class-index-subtracted', found) }
    : { ...found, caveat };
}

/** True if an expression is not the gradient of the losses' sum or mean, whichever was said. */
function isOfOtherReduction(found: Found, wanted: string, { problem, layer, reduction }: Said): boolean {
  if (found.reduction === null) return false;
  if (layer !== 'sigmoid') return found.reduction !== reduction && problem?.n !== 1;
  // The mean of a sigmoid's losses is over all entries.
  return found.reduction !== reduction || (wanted === overRows && problem?.f !== 1);
}

const overRows = normalised('(s - y) / n');

/** s − y multiplied by the Jacobian, by layer: the gradient of ½‖s − y‖², or of a cross-entropy with one Jacobian too many. Null for other expressions. */
function squaredError(found: Found, wanted: string, layer: Layer | null): Found | null {
  const ofSlope = layer === 'sigmoid' && wanted === slopeOfError;
  const ofJacobian = jacobianOfError.includes(wanted) && layer !== 'cross-entropy' && layer !== 'log-softmax';
  if (!ofSlope && !ofJacobian) return null;
  const caveat = 'That is the gradient of ½‖s − y‖²; of the cross-entropy it is s − y.';
  const asRight: Found = { ...found, mistake: right, goal: 'product', caveat };
  if (layer === 'softmax') return asRight;
  return { ...asRight, also: explanationOf(layer === 'sigmoid' ? 'slope-twice' : 'jacobian-twice', found) };
}

const jacobianOfError = ['J @ (s - y)', "np.einsum('nij,nj->ni', J, s - y)"].map((one) => normalised(one));
const slopeOfError = normalised('(s - y) * s * (1 - s)');

/** The mistake that s − y is for this problem, because of an option of the loss that it ignores; null if s − y is correct. */
function forgottenBySMinusY(problem: Problem): string | null {
  const { target } = problem;
  if (target?.weight) return 'class-weights';
  if (target?.counted) return 'ignored-rows';
  if (target?.labelSmoothing) return 'label-smoothing';
  return addsUp(problem) ? null : 'target-sum';
}

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
function normalisedOnce(known: string): string {
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
  for (const mistake of explanations) {
    for (const form of mistake.forms) {
      for (const known of form.expressions) {
        const text = normalisedOnce(known);
        if (!entries.has(text)) entries.set(text, { mistake, form, known });
      }
    }
  }
  return entries;
}

/** Looks up an expression for the given axis; the catalogue is written for classes along axis 1. */
function alongAxis(wanted: string, scaling: Scaling): Found | null {
  const turned = scaling.axis === 0 ? ofClassesFirst(wanted) : wanted;
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
function ofSummedOutputs(expression: string, scaling: Scaling, layer: Layer | null): Found | null {
  const found = isGradientOfSum(expression) ? inCatalogue(normalised('J.sum(axis=1)'), scaling) : null;
  const isOther = layer === 'sigmoid' || (layer === 'log-softmax' && !/(?<!log_?)softmax\s*\(/i.test(expression));
  if (!found || !isOther) return found;
  const caveat = 'That is for an upstream gradient of ones.';
  return { ...found, mistake: right, goal: layer === 'sigmoid' ? 'jacobian' : 'product', caveat };
}

const theProduct = normalised("np.einsum('nij,nj->ni', J, g)");

const biasOfSums =
  "It is the right gradient of a bias that is added to every row's logits; that of the logits keeps a row for each sample.";
const biasOfSeveral = `${biasOfSums} Where one of the axes is that of the classes, it is 0 instead.`;

/** Recognizes the sum or mean of a correct gradient, or of the Jacobian, over the batch or over the classes; null for other expressions. */
function summedUp(wanted: string, scaling: Scaling, problem: Problem | null): Found | null {
  const [, inner = '', axes] =
    /^(.+)\.(?:sum|mean)\((?:axis=([012]|\{[-\d,]+\})(?:,keepdims=True)?)?\)(?:\/(?:n|f))?$/.exec(wanted) ?? [];
  // Every axis of a Jacobian (n, f, f) except the first is an axis of classes.
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

/** True if the softmax axis is one of the axes. −1 stands for the last axis, and of a matrix so does 1. */
function hasClasses(axes: string, axis: number, problem: Problem | null): boolean {
  const all = axes.replace(/[{}]/g, '').split(',').map(Number);
  if (all.length === 1) return all.includes(0) === (axis === 0);
  if (!problem) return all.includes(axis);
  const { length } = problem.shape;
  return all.some((one) => (one < 0 ? one + length : one) === problem.axis);
}

/** Known expressions that are correct for a sigmoid, normalised, and what they compute. */
const ofSigmoid = new Map<string, Goal>(
  (
    [
      ['s * (1 - s)', 'jacobian'],
      ['s - s**2', 'jacobian'],
      ['np.diag(s * (1 - s))', 'jacobian'],
      ['np.diag(s * (1 - s)) @ g', 'product'],
      ['sigmoid(x) * (1 - sigmoid(x))', 'jacobian'],
      ['g * s * (1 - s)', 'product'],
      ['g * sigmoid(x) * (1 - sigmoid(x))', 'product'],
      ['sigmoid(x) - y', 'loss'],
      ['s - y', 'loss'],
      ['(s - y) / n', 'loss'],
    ] as const
  ).map(([expression, goal]) => [normalised(expression), goal]),
);

const differenceOfInner = normalised('g - (s * g).sum(axis=1, keepdims=True)');

/** The products with the transposed Jacobian: of softmax they are all the same, because its Jacobian is symmetric. */
const transposedProducts = ['J.T @ g', 'g @ J', "np.einsum('nij,ni->nj', J, g)", "np.einsum('ij,i->j', J, g)"].map(
  (one) => normalised(one),
);

/** The caveats of the catalogue name the product with J itself. */
function ofTransposed(found: Found): Found {
  return { ...found, caveat: found.caveat?.replace("'nij,nj->ni'", "'nij,ni->nj'") ?? null };
}

function untransposed(found: Found): Found {
  const { mistake, ...others } = as('jacobian-transposed', found);
  return { ...others, mistake, form: mistake.forms[0] ?? found.form };
}

/** The diagnosis, for another layer, of an expression that was found for softmax. */
function forLayer(found: Found, layer: Layer | null, wanted: string): Found {
  const { mistake, form, goal } = found;
  const asRight = (of: Goal): Found => ({ ...found, mistake: right, goal: of });
  const isProductOfJ = goal === 'product' && /\bJ\b/.test(wanted);
  if (layer === 'log-softmax') {
    if (wanted === differenceOfInner) return untransposed(found);
    if (isProductOfJ)
      return transposedProducts.includes(wanted) ? ofTransposed(asRight('product')) : untransposed(found);
    if (mistake.id === 'log-softmax') return asRight(form.kind === 'jacobian' ? 'jacobian' : 'product');
    return goal === 'product' || goal === 'jacobian' ? as('softmax-derivative', found) : found;
  }
  if (layer !== 'sigmoid') return found;
  // Its Jacobian is symmetric, too.
  if (isProductOfJ) return asRight('product');
  const own = ofSigmoid.get(wanted);
  if (own) return asRight(own);
  return goal === 'product' || goal === 'jacobian' ? as('softmax-derivative', found) : found;
}

/** The same expression under another diagnosis. */
function as(id: string, found: Found): Found {
  return { ...found, mistake: explanationOf(id, found), caveat: null, goal: null };
}

function explanationOf(id: string, { mistake }: Found): Mistake {
  return explanations.find((one) => one.id === id) ?? mistake;
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

function foundAdvice({ goal, form, reduction, axis, temperature }: Advised, elsewhere: boolean): Found {
  const what = goal === 'softmax' ? 'softmax itself, which is safe from overflow' : right.what;
  const added = reduction === null ? null : (form.caveats?.[reduction === 'sum' ? 's - y' : '(s - y) / n'] ?? null);
  const at = temperature === 1 ? '' : ` and the temperature is ${temperature}`;
  const where = `${onlyWhere} the classes are along ${axis === -1 ? 'the last axis' : `axis ${axis}`}${at}.`;
  return {
    mistake: { ...right, what },
    form,
    caveat: elsewhere ? where : added,
    goal,
    reduction,
    scaling: { axis, temperature },
  };
}

/** True if an expression contains the target, so that it is about the gradient of a loss. */
export function namesTarget(expression: string): boolean {
  return /(?<![\w.])y(?!\w)/.test(normalised(expression));
}

function unknownExpression(expression: string): SoftgradError {
  const known = knownExpressions();
  const vocabulary = new Set(known.flatMap((one) => normalisedOnce(one.expression).match(/\w+/g)));
  const own = normalised(expression);
  // A name that no known expression has is most often that of the probabilities.
  const wanted = /\W/.test(own)
    ? normalised(own.replace(variable, (name) => (vocabulary.has(name) ? name : 's')))
    : own;
  // Every gradient by automatic differentiation is similar to those of the sum of the outputs.
  const candidates = known.filter((one) => !gradientsOfSum.includes(one.expression));
  const near = nearest(wanted, candidates, (one) => normalisedOnce(one.expression))
    .slice(0, 3)
    .map((one) => `\`${one.expression}\` (${one.id})`);
  const nearby = near.length === 0 ? '' : `; the nearest ${near.length === 1 ? 'is' : 'are'} ${near.join(', ')}`;
  return new SoftgradError(
    'ERR_VALUE',
    `diagnose: unknown expression \`${shortened(expression)}\`${nearby}; ${lettersInWords}; \`softgrad doctor --list\` lists the known ones; or pass the numbers that it computes`,
  );
}
