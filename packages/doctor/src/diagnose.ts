import { checkOptions, namesOf, type Shape, SoftgradError, type TensorInput } from '@softgrad/core';
import { readValues } from './arrays.js';
import { largestOf } from './compare.js';
import { looksLikeProbabilities, saturatedRows, underflowedRows } from './condition.js';
import type { DiagnoseInput, DiagnoseOptions, Diagnosis, DiagnosisEvidence, DiagnosisMatch } from './diagnosis.js';
import { goalOfRight } from './expressions/in-catalogue.js';
import { lookUpInCode, namesJacobian, namesTarget } from './expressions/look-up.js';
import { type Candidate, type Goal, type Kind, sizeOfKind } from './form.js';
import type { FoundOptions } from './found-options.js';
import { checkReduction, checkWithoutData, readOptions } from './input.js';
import { isOfSoftmaxOnly, wordsOfExpression } from './layer-words.js';
import { type Match, optionsFound } from './match.js';
import { underflow } from './mistakes/overflow.js';
import { isAdvised, right } from './mistakes/right.js';
import { addsUp, rightLoss } from './mistakes/right-loss.js';
import { nextBestOf, notesOn } from './notes.js';
import { byIndex } from './numbers.js';
import { type Problem, readProblem } from './problem.js';
import { type Reading, readingsOf, shapeError, shapeErrorOfLogits } from './reading.js';
import { type LossSetting, remedyFor, type Setting } from './remedy.js';
import { formatDiagnosis, formatError } from './report.js';
import { type Scaling, settingOf } from './round-trip.js';
import { type Findings, search } from './search.js';
import { wordsFor } from './words.js';

/**
 * Says which known mistake explains a softmax gradient that somebody computed, or that it is right, that the softmax is
 * saturated, or that nothing known explains it.
 *
 * The candidate must match within 1e-3, ‖given − candidate‖ / ‖larger of both‖, and 30 times better than every other one;
 * differences within the rounding of the terms that were added up (float64; float32; 1e-6) count as none, so that ±2.8e-17
 * is 0 where terms of size 0.1 cancel. Numbers of bfloat16 or float16, or printed with 3 to 8 decimals, are judged within
 * that precision. What is right within it is never called a mistake: where a mistake gives the same numbers, the verdict is
 * 'ambiguous' and names both. The exception is −(s − y) without an upstream gradient, 'sign-flipped'.
 *
 * @param input one of logits and probabilities; the gradient, (n, f) for any axis, (n, f, f), or an expression (then the
 *   rest may be left out); what is known of the upstream gradient (n, f), the target (class indices or probabilities),
 *   axis (−1), temperature (1), the mask, the layer and the loss's options (without its reduction, 'mean' and 'sum' both
 *   count as right; without a temperature, label smoothing or weights, those that explain enough numbers do; rows of zeros are 'ambiguous'
 *   unless they are ignored rows)
 * @param options `onProgress`, for a progress bar
 * @throws ERR_SHAPE, ERR_DTYPE, ERR_AXIS, ERR_VALUE, naming the argument and what was expected
 * @example
 * const { verdict, text } = diagnose({ probabilities: [[0.2, 0.3, 0.5]], gradient: [[2.7755575615628914e-17, 0, 0]] });
 * verdict; // 'row-sum'
 */
export function diagnose(input: DiagnoseInput, options: DiagnoseOptions = {}): Diagnosis {
  if (typeof input !== 'object' || input === null) {
    throw new SoftgradError(
      'ERR_VALUE',
      "diagnose: expected an object, { gradient, logits } or { gradient, probabilities } of numbers, or { gradient: 'J.sum(axis=1)' } for code",
    );
  }
  checkOptions('diagnose', input, inputNames);
  const { onProgress } = checkOptions('diagnose: the second argument', options, optionNames);
  const { gradient } = input;
  if (gradient === undefined) {
    throw new SoftgradError('ERR_VALUE', 'diagnose: no gradient is given; expected numbers or an expression');
  }
  if (typeof gradient === 'string') return ofExpression(gradient, input);
  const problem = readProblemOf({ ...input, gradient });
  checkReduction(problem, input);
  const values = readValues('gradient', gradient);
  return ofNumbers(problem, readingsOf(problem, values), values.shape, input, onProgress);
}

const optionNames = namesOf<DiagnoseOptions>({ onProgress: true });

const inputNames = namesOf<DiagnoseInput>({
  logits: true,
  probabilities: true,
  gradient: true,
  upstream: true,
  target: true,
  axis: true,
  temperature: true,
  reduction: true,
  layer: true,
  mask: true,
  labelSmoothing: true,
  weight: true,
  ignoreIndex: true,
});

/** @throws as readProblem does; where the gradient and the target agree with each other, the error names the logits. */
function readProblemOf(input: DiagnoseInput & { readonly gradient: TensorInput }): Problem {
  try {
    return readProblem(input);
  } catch (error) {
    throw (error instanceof SoftgradError && error.code === 'ERR_SHAPE' && shapeErrorOfLogits(input)) || error;
  }
}

/** Looking up an expression takes time that grows with the square of its length: a whole program would take minutes. */
const longestExpression = 4000;

/** The product of log-softmax by its name, which says the layer. */
const ofLogSoftmax = /\blog_?softmax\.vjp\(/i;

function ofExpression(code: string, said: DiagnoseInput): Diagnosis {
  const input = said.layer === undefined && ofLogSoftmax.test(code) ? { ...said, layer: 'log-softmax' as const } : said;
  if (code.length > longestExpression) {
    throw new SoftgradError(
      'ERR_VALUE',
      `diagnose: an expression of ${code.length} characters; expected only the code that computes the gradient, at most ${longestExpression}; or pass the numbers that it computes`,
    );
  }
  const hasData = input.logits !== undefined || input.probabilities !== undefined;
  const { layer, reduction: reductionSaid } = readOptions(input);
  if (!hasData) checkWithoutData(input);
  const problem = hasData ? readProblem(input) : null;
  const asked = scalingOf(problem, input);
  const setting = problem ? settingFor(problem, input) : { ...settingOf(asked.axis, asked.temperature, true), layer };
  const { expression, found, picked } = lookUpInCode(code, asked, {
    problem,
    setting,
    layer,
    reduction: reductionSaid,
  });
  const { mistake, form, caveat, goal, reduction, scaling, also } = found;
  const example =
    problem &&
    form.gives({ ...problem, reduction: reduction ?? problem.reduction, temperature: scaling.temperature })[0];
  const notes = [...(picked ? [ofStatements] : []), ...(caveat === null ? [] : [caveat])];
  let largest: number | null = null;
  // A J is the layer's own, of which the form of a softmax's mistake knows nothing.
  const known = !isOfSoftmaxOnly(mistake, layer) || (mistake.id !== 'row-sum' && !namesJacobian(expression));
  if (problem && example && known && form.noise) {
    largest = form.noise(problem);
    notes.push(
      `With your data it is identically 0, as with any; computed in floating point, rounding leaves noise of up to about ${formatError(largest)}.`,
    );
  } else if (problem && example && known) {
    largest = largestGiven(example, sizeOfKind(form.kind, problem));
    if (largest !== null) notes.push(`With your data it gives numbers up to ${formatError(largest)}.`);
  }
  // For a correct expression, suggest code with the expression's own axis and temperature, for a mistake with those of the input.
  const { axis, temperature } = mistake.id === right.id ? scaling : asked;
  const words = [mistake, ...(also ? [also] : [])].map((one) => wordsOfExpression(one, layer));
  const wanted = goal ?? mistake.goal ?? (problem || !namesTarget(expression) ? goalOf(problem, form.kind) : 'loss');
  return finish({
    verdict: also ? 'ambiguous' : mistake.id,
    matches: [mistake, ...(also ? [also] : [])].map(({ id, name }) => ({ id, name, formula: expression, error: 0 })),
    evidence: { ...nothing, rows: problem?.n ?? 0, largest, notes },
    what: `\`${expression.trim()}\` is ${words.map(({ what }) => what).join('; or ')}.`,
    why: words.at(-1)?.why ?? '',
    instead: remedyFor(
      wanted,
      problem ? setting : { ...settingOf(axis, temperature, true), layer },
      reductionSaid ?? reduction,
    ),
    insteadIsTheSame: mistake.id === right.id && !also,
  });
}

/** The note on code of which only one expression is known. */
export const ofStatements =
  'Of the code only this expression is judged, with the letters as they are used here: s are the probabilities, J is the Jacobian of the layer.';

/** The shares of the time after which the search has ended, and after which the evidence is known. */
const searchShare = 0.9;
const evidenceShare = 0.95;

/** Above this many numbers, the largest value of an expression is not computed, to save time. */
const affordable = 1e7;

/** The largest magnitude that an explanation gives; null if there are too many numbers to compute. */
function largestGiven({ values }: Candidate, size: number): number | null {
  if (size > affordable) return null;
  const valueAt = byIndex(values);
  let largest = 0;
  for (let k = 0; k < size; k++) largest = Math.max(largest, Math.abs(valueAt(k)));
  return largest;
}

function scalingOf(problem: Problem | null, { axis = -1, temperature = 1 }: DiagnoseInput): Scaling {
  if (!problem) return { axis, temperature };
  return { axis: problem.axis === problem.shape.length - 1 ? -1 : problem.axis, temperature };
}

const nothing: DiagnosisEvidence = {
  nextBest: null,
  largest: null,
  nonFinite: 0,
  rows: 0,
  saturatedRows: 0,
  underflowedRows: 0,
  notes: [],
};

function ofNumbers(
  problem: Problem,
  readings: readonly [Reading, ...Reading[]],
  shape: Shape,
  input: DiagnoseInput,
  onProgress: DiagnoseOptions['onProgress'],
): Diagnosis {
  const asLogits = search(problem, readings, onProgress && ((share) => onProgress(searchShare * share)));
  const ofProbabilities = rightOfProbabilities(problem, readings, asLogits, input);
  const found = ofProbabilities ? alsoRight(asLogits, ofProbabilities) : asLogits;
  if (found.matches.length === 0 && !readings.some(({ kind }) => rowwise(kind))) {
    throw shapeError(problem, shape, 'which no known mistake of that shape explains');
  }
  const { kind, data } = readings[0];
  const saturated = saturatedRows(problem).filter(Boolean).length;
  const underflowed = rowwise(kind) ? underflowedRows(problem, data).filter(Boolean).length : 0;
  const verdict = verdictOf(problem, found, data, saturated, underflowed);
  const nextBest = nextBestOf(found, verdict);
  const evidence = {
    nextBest: nextBest ? summaryOf(nextBest) : null,
    largest: largestOf(data),
    nonFinite: data.reduce((count, value) => count + (Number.isFinite(value) ? 0 : 1), 0),
    rows: problem.n,
    saturatedRows: saturated,
    underflowedRows: underflowed,
  };
  const matches = found.matches.map(summaryOf);
  onProgress?.(evidenceShare);
  const notes = notesOn(problem, readings[0], found, verdict, evidence);
  if (ofProbabilities) notes.unshift(rightAsProbabilities);
  onProgress?.(1);
  const { what, why, goal } = wordsFor(verdict, problem, found, evidence);
  const [best] = found.matches;
  const ofRight = verdict === right.id && best ? (best.form ? goalOfRight(best.form) : best.options?.goal) : undefined;
  const wanted = goal ?? ofRight ?? goalOf(problem, best?.kind ?? kind);
  const setting = settingFor(problem, input, optionsFound(verdict, found.matches));
  const reduction = problem.reduction ?? best?.reduction ?? null;
  // The library has no mean of losses with an upstream gradient for each of them.
  const isMeanOfRows = setting.loss?.upstream === 'rows' && reduction === 'mean';
  return finish({
    verdict,
    matches,
    evidence: { ...evidence, notes },
    what,
    why,
    instead: remedyFor(wanted, setting, reduction),
    insteadIsTheSame: verdict === right.id && best !== undefined && isAdvised(best) && !isMeanOfRows,
  });
}

const rightAsProbabilities =
  'Each row of the logits is between 0 and 1 and adds up to 1. With these as probabilities (`probabilities`, --probs) the gradient is right.';

/** The right derivative of the given logits read as probabilities, where they look like that and it fits; null otherwise, or if the gradient is right of them as logits. */
function rightOfProbabilities(
  problem: Problem,
  readings: readonly Reading[],
  { matches }: Findings,
  { logits, ...others }: DiagnoseInput,
): Match | null {
  if (logits === undefined || problem.layer === 'sigmoid' || !looksLikeProbabilities(problem)) return null;
  if (matches.some(({ id }) => id === right.id)) return null;
  const known = search(readProblem({ ...others, probabilities: logits }), readings);
  const found = known.matches.find(({ id }) => id === right.id);
  const isSure = found && (found.form !== null || known.matches.length === 1);
  return isSure ? { ...found, formula: `${found.formula}, with the logits as the probabilities s` } : null;
}

/** Adds a right explanation in front of the mistakes that give the same numbers. Numbers that nothing else explains stay unknown. */
function alsoRight(found: Findings, one: Match): Findings {
  if (found.matches.length === 0) return found;
  return { ...found, matches: [one, ...found.matches], others: found.others.filter(({ id }) => id !== right.id) };
}

/** The properties of the problem that the suggested code depends on. */
function settingFor(problem: Problem, input: DiagnoseInput, found: FoundOptions = {}): Setting {
  const { target, masked, upstreamOfRows } = problem;
  const { ignoreIndex = -100, upstream } = input;
  const isOne = upstreamOfRows && readValues('upstream', upstream).shape.length === 0;
  const loss: LossSetting = {
    addsUp: addsUp(problem),
    upstream: upstreamOfRows ? (isOne ? 'one' : 'rows') : undefined,
    labelSmoothing: found.labelSmoothing ?? target?.labelSmoothing ?? 0,
    weighted: target?.weight != null || found.weight !== undefined,
    weight: found.weight ?? undefined,
    ignoreIndex: target?.counted ? ignoreIndex : null,
    masked: masked !== null,
    mask: found.mask,
  };
  return { ...problem, temperature: found.temperature ?? problem.temperature, loss };
}

function finish(diagnosis: Omit<Diagnosis, 'text'>): Diagnosis {
  return { ...diagnosis, text: formatDiagnosis(diagnosis) };
}

function rowwise(kind: Kind): boolean {
  return kind === 'gradient' || kind === 'jacobian';
}

/** What the caller wants to compute: a Jacobian only if there is no upstream gradient to multiply it by. */
function goalOf(problem: Problem | null, kind: Kind): Goal {
  // For layer 'softmax', a given upstream gradient is that of the loss, so the target is not needed.
  if (problem?.y && !(problem.layer === 'softmax' && problem.g)) return 'loss';
  return kind.includes('jacobian') && !problem?.g ? 'jacobian' : 'product';
}

function summaryOf({ id, mistake, formula, error }: Match): DiagnosisMatch {
  return { id, name: mistake.name, formula, error };
}

/** True for more than half of the rows. */
function mostly(count: number, rows: number): boolean {
  return 2 * count > rows;
}

function verdictOf(
  problem: Problem,
  { matches }: Findings,
  data: Float64Array,
  saturated: number,
  underflowed: number,
): string {
  const [best, ...alike] = matches;
  if (!best) return 'unknown';
  const rightMatch = matches.find(({ id }) => id === right.id);
  // s − y is not multiplied by the Jacobian: it is small only if the prediction is good, so a saturated softmax is no explanation.
  const throughJacobian = rightMatch !== undefined && rightMatch.form !== rightLoss;
  const indifferent = alike.length > 0 && !problem.g && (rightMatch !== undefined || !problem.y);
  if (mostly(saturated, problem.n) && (throughJacobian || (indifferent && isZero(matches)))) {
    return mostly(underflowed, problem.n) && data.every((value) => Number.isFinite(value)) ? underflow.id : 'saturated';
  }
  return alike.length === 0 ? best.id : 'ambiguous';
}

/** True if the given numbers are 0 within rounding, because then the explanation 'row-sum', which is exactly 0, fits. */
function isZero(matches: readonly Match[]): boolean {
  return matches.some(({ id }) => id === 'row-sum');
}
