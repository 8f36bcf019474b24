import { inOurLetters, nameOfTarget } from '../aliases.js';
import { functionOf, type Layer, type LossReduction } from '../input.js';
import { inEachLayer } from '../layer-formulas.js';
import { jacobianOfError, lossOtherThanUpstream } from '../mistakes/product.js';
import { right } from '../mistakes/right.js';
import { addsUp, rightLoss } from '../mistakes/right-loss.js';
import type { Problem } from '../problem.js';
import type { Setting } from '../remedy.js';
import { onlyWhere } from '../report.js';
import { type Advised, adviceIn, type Scaling } from '../round-trip.js';
import { normalised } from '../spelling.js';
import { as, explanationOf, type Found } from './found.js';
import { alongAxis, clipped, ofSummedOutputs, summedUp, turnedToCatalogue } from './in-catalogue.js';
import { forLayer } from './layers.js';
import { lastExpression } from './statements.js';
import { unknownExpression } from './unknown.js';

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
  const explicit = hasOwnJacobian(expression, wanted);
  const forOwnLayer = (one: Found, text: string) => forLayer(one, layer, turnedToCatalogue(text, scaling), explicit);
  const partOf = (text: string) => {
    const one = alongAxis(text, scaling);
    return one && forOwnLayer(one, text);
  };
  const found = here
    ? foundAdvice(here, false)
    : (ofOutputs ??
      alongAxis(wanted, scaling) ??
      summedUp(wanted, scaling, problem, partOf) ??
      clipped(wanted, scaling, problem, partOf));
  const forgotten = problem && layer !== 'sigmoid' ? forgottenBySMinusY(problem) : null;
  if (found && !here && found.form === rightLoss && forgotten !== null) return as(forgotten, found);
  if (found) {
    const verdict = judged(here?.own ? found : forOwnLayer(found, wanted), expression, wanted, said);
    return byNameOfTarget(byNameOfOutput(verdict, expression, layer), expression, layer);
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

/**
 * The same of code that may have several statements: where it is not known as a whole, of the expression that it returns or assigns last.
 *
 * @throws as lookUp does
 */
export function lookUpInCode(
  code: string,
  scaling: Scaling,
  said: Said,
): { readonly expression: string; readonly found: Found; readonly picked: boolean } {
  try {
    return { expression: code, found: lookUp(code, scaling, said), picked: false };
  } catch (error) {
    const last = lastExpression(code);
    // In code with another function, s may be its output.
    const other = said.layer === null || said.layer === 'softmax' || said.layer === 'cross-entropy';
    if (last === null || (other && /sigmoid|log_?softmax/i.test(code)) || ofMatrices.test(code)) throw error;
    try {
      return { expression: last, found: lookUp(last, scaling, said), picked: true };
    } catch {
      throw error;
    }
  }
}

/** Libraries of C++ in which * is the product of matrices. */
const ofMatrices = /\b(?:Eigen|arma)::|\b(?:Matrix|Vector)X/;

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

/**
 * x (1 − x) after a sigmoid is its slope where x is the output, as in the widespread `def sigmoid_derivative(x)` that is called with it: right on that
 * condition, and `logits-for-sigmoid` too. Unchanged for other expressions, and for the logits by another name.
 */
function byNameOfOutput(found: Found, expression: string, layer: Layer | null): Found {
  const isMeant = found.mistake.id === 'logits-for-sigmoid' && /(?<![\w.])x\s*\*|\*\s*x(?!\w)/.test(expression);
  if (!isMeant || layer !== 'sigmoid') return found;
  const caveat = `${onlyWhere} \`x\` is the output of the sigmoid, with which such a function is called; of the logits, write s = sigmoid(x) first.`;
  return { ...found, mistake: right, goal: 'product', caveat, also: found.mistake };
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
  const ofSlope = layer === 'sigmoid' && slopesOfError.includes(wanted);
  const ofLayer = layer === null || layer === 'softmax' || (layer === 'sigmoid' && /\bJ\b/.test(wanted));
  const ofJacobian = ofLayer && productsOfError.includes(wanted);
  if (!ofSlope && !ofJacobian) return null;
  const asRight: Found = { ...found, mistake: right, goal: 'product', caveat: ofSquaredError[functionOf(layer)] };
  if (layer === 'softmax') return asRight;
  return { ...asRight, also: explanationOf(layer === 'sigmoid' ? 'slope-twice' : 'jacobian-twice', found) };
}

const ofSquaredError = /* @__PURE__ */ inEachLayer(
  (of) => `That is the gradient of ½‖${of.error}‖²; of the ${of.nameOfLoss} it is ${of.error}.`,
);

const productsOfError = jacobianOfError.map((one) => normalised(one));
const slopesOfError = ['(s - y) * s * (1 - s)', '(s - y) * sigmoid(x) * (1 - sigmoid(x))'].map((one) =>
  normalised(one),
);

/** The mistake that s − y is for this problem, because of an option of the loss that it ignores; null if s − y is correct. */
function forgottenBySMinusY(problem: Problem): string | null {
  const { target } = problem;
  if (target?.weight) return 'class-weights';
  if (target?.counted) return 'ignored-rows';
  if (target?.labelSmoothing) return 'label-smoothing';
  return addsUp(problem) ? null : 'target-sum';
}

function foundAdvice({ goal, form, reduction, axis, temperature }: Advised, elsewhere: boolean): Found {
  const added = reduction === null ? null : (form.caveats?.[reduction === 'sum' ? 's - y' : '(s - y) / n'] ?? null);
  const at = temperature === 1 ? '' : ` and the temperature is ${temperature}`;
  const where = `${onlyWhere} the classes are along ${axis === -1 ? 'the last axis' : `axis ${axis}`}${at}.`;
  return {
    mistake: goal === 'softmax' ? { ...right, what: 'softmax itself, which is safe from overflow' } : right,
    form,
    caveat: elsewhere ? where : added,
    goal,
    reduction,
    scaling: { axis, temperature },
  };
}

/** True if an expression has the Jacobian of softmax written out, where the known one has J. */
function hasOwnJacobian(expression: string, wanted: string): boolean {
  return /\bJ\b/.test(wanted) && !/(?<!\w)J(?!\w)/.test(inOurLetters(expression));
}

/** True if an expression contains the Jacobian. */
export function namesJacobian(expression: string): boolean {
  return /\bJ\b/.test(normalised(expression));
}

/** True if an expression contains the target, so that it is about the gradient of a loss. */
export function namesTarget(expression: string): boolean {
  return /(?<![\w.])y(?!\w)/.test(normalised(expression));
}
