import { placeOf } from './arrays.js';
import { at } from './at.js';
import { largestOf, measure, noiseLevels, rangeOf, relativeErrors } from './compare.js';
import { degeneracies, looksLikeProbabilities, oneRow, saturatedBelow } from './condition.js';
import { whatCounts } from './cotangents.js';
import { candidate } from './define-form.js';
import type { DiagnosisEvidence } from './diagnosis.js';
import type { Candidate, Kind } from './form.js';
import { atFittedTemperature } from './found-temperature.js';
import { labelsOf } from './labels.js';
import { ofScaledLoss, ofUnitNorm } from './left-open.js';
import { optionsFound } from './match.js';
import { binaryThroughSoftmax } from './mistakes/loss.js';
import { right } from './mistakes/right.js';
import { addsUp, followsUpstream, rightLoss, rightProbabilityLoss } from './mistakes/right-loss.js';
import { rowsRescaled, rowsSkipped } from './mistakes/rows.js';
import { each } from './numbers.js';
import { hasFewDecimals, precisionOf } from './precision.js';
import { batchSize, type Problem } from './problem.js';
import type { Reading } from './reading.js';
import { countsFrom1, formatError, hasFoundOptions, otherDivisor } from './report.js';
import { exactSum, isWithinDouble } from './row-sum.js';
import { some } from './rows-of-loss.js';
import type { Findings } from './search.js';

/** The nearest explanation that does not fit; none that is right, beside a right gradient with options that were found. */
export function nextBestOf(
  { others }: Pick<Findings, 'others'>,
  verdict: string,
): Findings['others'][number] | undefined {
  return others.find(({ id, error }) => Number.isFinite(error) && (id !== right.id || verdict !== right.id));
}

/** The evidence in sentences: errors, magnitudes, and properties of the input that explain an ambiguity. */
export function notesOn(
  problem: Problem,
  { kind, data }: Reading,
  { matches, others, precision, inputs }: Findings,
  verdict: string,
  evidence: Omit<DiagnosisEvidence, 'notes'>,
): string[] {
  const notes: string[] = [];
  const divided = verdict === right.id && matches[0] ? dividedOtherwise(problem, matches[0]) : null;
  if (divided) notes.push(divided);
  const sum = matches[0]?.id === 'row-sum' ? exactSum(problem, kind, data) : null;
  if (sum) notes.push(`They are, bit for bit, what ${sum} gives.`);
  for (const { mistake, formula, error } of matches) {
    const off =
      error === 0 && (precision || inputs) ? 'no difference beyond rounding' : `relative error ${formatError(error)}`;
    notes.push(`${formula}: ${off}${matches.length > 1 ? ` (${mistake.name})` : ''}.`);
  }
  if (problem.layer === 'sigmoid' && isLikeRowSum(problem, data)) {
    notes.push(
      "The numbers are 0 but for rounding, which this sigmoid's derivative σ ⊙ (1 − σ) is not: the sums of the rows of a softmax's Jacobian leave such numbers. Is the layer a softmax?",
    );
  }
  if (optionsFound(verdict, matches)) notes.push(hasFoundOptions);
  if (precision) notes.push(`The numbers are of ${precision.name}, and are judged within that.`);
  if (inputs) notes.push(`Of what is known, ${inputs}: what that leaves open is allowed for.`);
  if (matches.length > 1 && matches.some(({ id }) => id === 'logarithm-missing')) {
    notes.push(
      'A negative log-likelihood (nll_loss) of probabilities gives this: it takes log-probabilities. If the cross-entropy is meant, the logarithm is missing, and the gradient is s − y.',
    );
  }
  if (
    !problem.fused &&
    matches.some(({ form }) => form === rightProbabilityLoss) &&
    matches.some(({ id }) => id === 'jacobian-twice')
  ) {
    notes.push(
      'J (s − y) is the gradient of ½‖s − y‖² after a softmax, and for the cross-entropy one Jacobian too many: say which it is, with the upstream gradient or with the layer softmax or cross-entropy.',
    );
  }
  if (matches.some(({ form }) => form === rightLoss) && matches.some(({ id }) => id === 'upstream-missing')) {
    notes.push(
      'The upstream gradient gives other numbers: s − y is right if the loss is the cross-entropy of this target, and wrong if it is the loss that the upstream gradient comes from.',
    );
  }
  if (problem.layer !== 'sigmoid' && !addsUp({ ...problem, y: problem.target?.given ?? problem.y })) {
    notes.push('The target does not add up to 1 in every row, so the gradient is s Σy − y rather than s − y.');
  }
  if (matches.some(({ id }) => id === 'one-column') && !problem.g && problem.layer !== 'log-softmax') {
    notes.push(
      'The last column of the Jacobian is the gradient of the last probability: if that is the loss, it is right. The upstream gradient tells them apart.',
    );
  }
  if (problem.y && !problem.g && matches.some(({ id, kind: own }) => id === 'sign-flipped' && own === 'gradient')) {
    notes.push(
      'If the sign is meant, as of a loss that is maximised, or of a policy gradient whose advantages are all −1, it is right: the upstream gradient of the losses (one number a row) says so.',
    );
  }
  if (verdict === 'ambiguous' && matches.some(({ form }) => form === binaryThroughSoftmax)) {
    notes.push(
      'If the loss is the binary cross-entropy of these probabilities, the gradient is right; if it is the cross-entropy, say so by the layer cross-entropy.',
    );
  }
  if (matches.some(({ id }) => id === 'wrong-axis')) {
    notes.push('If the classes are along the other axis, say so by the axis: the numbers may be right along it.');
  }
  notes.push(...notesOnRows(problem, matches));
  if (verdict === 'ambiguous' && countsFrom1(matches)) {
    notes.push(
      'No target is class 0. If the target counts from 1, the gradient is right, and it is the target given here that needs 1 taken off; if it counts from 0, the labels of the gradient are one too low.',
    );
  }
  const next = nextBestOf({ others }, verdict);
  const [best] = matches;
  if (next && best && next.error > best.error) {
    notes.push(
      `The next best explanation, ${next.mistake.name} (${next.formula}), is off by ${formatError(next.error)}.`,
    );
  } else if (next && best) {
    notes.push(`Within that rounding, ${next.mistake.name} (${next.formula}) fits as well.`);
  }
  const { largest, nonFinite } = evidence;
  const zero = matches.some(({ id }) => id === 'row-sum');
  if (zero && largest === 0) {
    notes.push(
      'All numbers are exactly 0, without the noise of rounding, as of an array never written, or of whole numbers (np.zeros_like of integers, an Int32Array).',
    );
  } else if (zero) {
    notes.push(
      `The largest of the numbers is ${formatError(largest ?? 0)}; the terms that cancel are ${problem.layer === 'log-softmax' ? '1 and probabilities' : 'probabilities'} of up to ${formatError(largestOf(problem.s))}.`,
    );
  }
  if (nonFinite > 0) {
    const first = data.findIndex((value) => !Number.isFinite(value));
    const place = kind === 'gradient' ? ` The first is gradient${placeOf(first, problem.shape, problem.axis)}.` : '';
    notes.push(`${nonFinite} of ${data.length} numbers are NaN or infinite.${place}`);
    if (verdict === 'unknown' && data.every(Number.isNaN)) notes.push(causesOfNaN(problem));
  }
  const scale = matches.map(({ factor }) => (factor === undefined ? null : lossScaleOf(factor, problem))).find(Boolean);
  if (scale) {
    notes.push(
      `${scale} is a power of 2, as the loss scale of mixed precision is (GradScaler): if the gradient was taken before it was unscaled, divide it by ${scale}.`,
    );
  }
  if (matches.some(({ formula }) => formula === ofScaledLoss)) {
    const { n, f } = problem;
    notes.push(
      `${n === 1 ? 'One row' : `${n} rows`} of ${f} ${f === 1 ? 'class' : 'classes'} ${n === 1 ? 'has' : 'have'} too few numbers to tell why there is a factor: it may belong to the loss, and other mistakes give a multiple of the right gradient by chance. Compare more rows, or another upstream gradient.`,
    );
  }
  if (matches.some(({ formula }) => formula === ofUnitNorm)) {
    notes.push(
      'If the loss is divided by the norm of its gradient on purpose, it is right; after clip_grad_norm_ it is clipped.',
    );
  }
  const [{ norm = null } = {}] = matches;
  if (norm !== null) {
    notes.push(
      `The norm of all numbers is ${norm}, as clipping by the norm (clip_grad_norm_) with that bound leaves it: compare the numbers before it.`,
    );
  }
  if (problem.fused) {
    notes.push(
      'The upstream gradient that you gave is s − y (for some target). In the probabilities that is the gradient of ½‖s − y‖², and goes through the Jacobian; the cross-entropy has s − y in the logits, behind the Jacobian. Say which it is: layer softmax or cross-entropy.',
    );
  }
  if (verdict === 'ambiguous') notes.push(...degeneracies(problem).map((reason) => `${reason}.`));
  const one = verdict === right.id ? oneRow(problem) : null;
  if (one) notes.push(`${one}.`);
  if (evidence.saturatedRows > 0 && verdict !== 'saturated' && verdict !== 'underflow') {
    notes.push(`${evidence.saturatedRows} of ${problem.n} rows are saturated: their Jacobian is nearly 0.`);
  }
  if (verdict === 'unknown') notes.push(...unknownNotes(problem, kind, data));
  if (looksLikeProbabilities(problem)) {
    notes.push(
      'The logits are between 0 and 1 and add up to 1: if they are probabilities already, softmax is applied twice.',
    );
  }
  return notes;
}

/** By what the losses are divided, if PyTorch's mean divides by something else; null otherwise. */
function dividedOtherwise(problem: Problem, { unusual }: Findings['matches'][number]): string | null {
  const { target, f, layer } = problem;
  // kl_div divides by all entries in PyTorch, too.
  if (unusual === undefined || unusual === 'all entries') return null;
  const n = batchSize(problem);
  const sigmoid = layer === 'sigmoid';
  const divisor = sigmoid ? n * f : (target?.divisor ?? n);
  if (divisor === 0) return null;
  const counted = sigmoid ? 'the number of entries' : divisor === n ? 'the number of rows' : whatCounts(target);
  const own = unusual === 'all rows' ? `${n}, the number of rows` : 'the size of one axis';
  return `${otherDivisor} ${own}; PyTorch's mean divides by ${Number(divisor.toPrecision(6))}, ${counted} (\`reduction: 'mean'\` decides).`;
}

/** What makes every number NaN, although softmax has finite values here. */
function causesOfNaN({ x }: Problem): string {
  const known = x ? 'logits' : 'probabilities';
  return `All numbers are NaN, though these ${known} give finite ones. The usual causes are log 0 or y / s where s is 0, 0 / 0 (a mean over no rows, a norm of 0), 0 · ∞ (a mask of −∞ times 0), and a loss that was NaN already: look at the loss first.`;
}

/** The least factor that counts as a loss scale: smaller powers of 2 are often weights or batch sizes. */
const leastLossScale = 256;
/** How far a fitted factor may be from the loss scale, relative to it. */
const nearScale = 1e-4;

/** The loss scale in a factor of the right gradient: a power of 2 of at least 256, alone or divided by the n of a mean. Null for any other factor. */
function lossScaleOf(factor: number, problem: Problem): number | null {
  for (const one of problem.reduction === null ? [factor, factor * batchSize(problem)] : [factor]) {
    const scale = 2 ** Math.round(Math.log2(one));
    if (scale >= leastLossScale && Math.abs(one - scale) <= nearScale * scale) return scale;
  }
  return null;
}

/** What decides whether rows of zeros, or with factors of their own, are right. */
function notesOnRows(problem: Problem, matches: Findings['matches']): readonly string[] {
  const { reduction, target, upstreamOfRows } = problem;
  const has = (one: string) => matches.some(({ id }) => id === one);
  if (has(rowsSkipped.id)) {
    if (has(right.id)) {
      return [
        'Rows of zeros are right where the loss leaves them out on purpose; a loop that skips rows gives the same.',
      ];
    }
    if (target?.ignoreGiven) return ['The target of the rows of zeros is not the ignored class that was given.'];
    const sum = 'The gradient of the sum of the losses, as was given, is not divided by a number of rows.';
    const mean = `The mean of the losses, as was given, is over the rows that are not left out: it divides by ${target?.weight ? 'the sum of their weights' : 'their number'}.`;
    return [reduction === 'sum' ? sum : mean];
  }
  if (!has(rowsRescaled.id)) return [];
  if (has(right.id)) {
    const labels = labelsOf(problem);
    if (labels && new Set(labels).size === labels.length) {
      return [
        'Each row has another target class, so factors of the rows may be class weights, or weights of the samples, on purpose; rows that are rescaled by mistake give the same. The class weights of the loss, or rows of the same class, tell them apart.',
      ];
    }
    return [
      'Factors that differ between rows of one class are right where the loss weights the rows on purpose; rows that are rescaled by mistake give the same.',
    ];
  }
  if (upstreamOfRows) return ['The upstream gradient of the losses that was given has other factors.'];
  return [
    target?.weight
      ? 'The class weights that were given are other factors.'
      : 'The target of the rows of zeros is not the ignored class that was given.',
  ];
}

function unknownNotes(problem: Problem, kind: Kind, data: Float64Array): string[] {
  if (kind !== 'gradient') return [];
  const { n, f, target } = problem;
  let wrong: readonly number[] = [];
  const notes: string[] = [];
  // The losses of the probabilities have too many variants to compare them row by row.
  const forms = right.forms.filter((form) => form.kind === 'gradient' && form !== rightProbabilityLoss);
  for (const known of forms.flatMap((form) => form.gives(problem))) {
    const off = rowsOff(problem, data, known);
    if (off.length < n && (wrong.length === 0 || off.length < wrong.length)) wrong = off;
  }
  if (wrong.length > 0) {
    const which = wrong.slice(0, 5).join(', ');
    notes.push(`${n - wrong.length} of ${n} rows are right; these are not: ${which}${wrong.length > 5 ? ' …' : ''}.`);
  }
  const classes = otherTarget(problem, data);
  if (classes !== null)
    notes.push(
      `Every row is right of another target than the one that was given: of the classes ${some(classes.map(String))}.`,
    );
  const temperature = problem.temperatureGiven ? otherTemperature(problem, data) : null;
  if (temperature !== null)
    notes.push(`They are right at the temperature ${temperature}, which is not the one that was given.`);
  if (hasFewDecimals(data)) {
    notes.push('The numbers have no more than 2 decimals, which tells too little: print at least 4.');
  }
  if (f > 1 && problem.layer !== 'sigmoid' && !followsUpstream(problem) && rowsCancel(data, n, f)) {
    if (!problem.y) {
      notes.push('Each row adds up to 0, as a right product does: `upstream` or `target` tells.');
    } else if (classes === null && target?.indices && (target.labelSmoothing === null || !target.weight)) {
      notes.push(
        'Each row adds up to 0, as every right gradient does: the loss may have more in it than this cross-entropy, such as an entropy term, advantages (a policy gradient), or label smoothing together with class weights. Give all options that it has (`labelSmoothing`, `weight`, `ignoreIndex`, `mask`), or its upstream gradient.',
      );
    }
  }
  return notes;
}

/** The classes of the target of which every row is right; null if there is none. */
function otherTarget(problem: Problem, data: Float64Array): readonly number[] | null {
  const { n, f, target } = problem;
  if (!labelsOf(problem) || target?.weight || target?.labelSmoothing || target?.counted) return null;
  // s − y is negative at the target alone.
  const classes = Array.from({ length: n }, (_, row) => {
    const own = data.subarray(row * f, (row + 1) * f);
    return own.indexOf(rangeOf(own).least);
  });
  const y = each(problem, (_, row, i) => (classes[row] === i ? 1 : 0));
  const fits = rightLoss.gives({ ...problem, y }).some((one) => rowsOff(problem, data, one).length === 0);
  return fits ? classes : null;
}

/** True if numbers after a sigmoid are 0 within the rounding of float64 where its slope is not. */
function isLikeRowSum(problem: Problem, data: Float64Array): boolean {
  const { s, f, g, y } = problem;
  const isZero = f > 1 && !g && !y && data.length === s.length && isWithinDouble(problem, data);
  return isZero && s.some((value) => value * (1 - value) > saturatedBelow);
}

/** The temperature at which the numbers are right although another one was given; null if they are right at no temperature. */
function otherTemperature(problem: Problem, data: Float64Array): number | null {
  const given = measure(data);
  const levels = noiseLevels(problem.f, true).slice(-1);
  const found = atFittedTemperature(problem, data).find(
    (one) => one.mistake === undefined && (relativeErrors(given, one, levels)[0] ?? 1) <= rowFits,
  );
  return found?.temperature ?? null;
}

/** A row does not match an explanation if its relative error is above this. */
const rowFits = 1e-3;

/** A cheap test: true if the largest difference is so large that the row cannot match, with any allowance for rounding. */
function isFarOff(data: Float64Array, valueAt: (k: number) => number, first: number, f: number): boolean {
  let most = 0;
  let difference = 0;
  for (let k = first; k < first + f; k++) {
    const given = at(data, k);
    const expected = valueAt(k);
    most = Math.max(most, Math.abs(given), Math.abs(expected));
    difference = Math.max(difference, Math.abs(given - expected));
  }
  return most > leastFloat32 && difference > 2 * rowFits * Math.sqrt(f) * most;
}

/** Far above the least normal float32 number, below which float32 may have rounded to 0. */
const leastFloat32 = 2 ** -100;

/** The rows that do not match an explanation. */
function rowsOff({ n, f }: Problem, data: Float64Array, { formula, values }: Candidate): readonly number[] {
  const valueAt = typeof values === 'function' ? values : (k: number) => at(values, k);
  const levels = noiseLevels(f, true).slice(1, 2);
  const off: number[] = [];
  for (let row = 0; row < n; row++) {
    const first = row * f;
    if (isFarOff(data, valueAt, first, f)) {
      off.push(row);
      continue;
    }
    const given = measure(data.subarray(first, first + f));
    const part = candidate(formula, (k) => valueAt(first + k));
    const [error = 1] = relativeErrors(given, part, levels);
    if (error > rowFits) off.push(row);
  }
  return off;
}

/** How many roundings of the precision of the numbers a row may have. */
const roundingsOfRow = 3;

/** True if the numbers of each row add up to 0 within the precision that they have. */
function rowsCancel(data: Float64Array, n: number, f: number): boolean {
  const slack = precisionOf(data)?.slack;
  for (let row = 0; row < n; row++) {
    let sum = 0;
    let size = 0;
    let rounded = 0;
    for (let k = row * f; k < (row + 1) * f; k++) {
      sum += at(data, k);
      size += Math.abs(at(data, k));
      rounded += slack ? roundingsOfRow * at(slack, k) : 0;
    }
    // Where rounding may be as large as the numbers, they need not add up to anything.
    if (!(Math.abs(sum) <= 1e-5 * size + rounded) || rounded > size / 2) return false;
  }
  return true;
}
