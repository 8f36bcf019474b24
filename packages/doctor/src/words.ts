import { saturatedBelow } from './condition.js';
import type { DiagnosisEvidence } from './diagnosis.js';
import type { Goal } from './form.js';
import { whyRight, wordsOf } from './layer-words.js';
import { ofScaledLoss } from './left-open.js';
import { underflow } from './mistakes/overflow.js';
import { right, whatRight } from './mistakes/right.js';
import type { Problem } from './problem.js';
import { digitsOf, formatError, sentence } from './report.js';
import type { Findings } from './search.js';

/** What the numbers are, why, and what to compute instead unless it is the correct gradient. */
export interface Words {
  readonly what: string;
  readonly why: string;
  readonly goal?: Goal | undefined;
}

/** A verdict in words. */
export function wordsFor(
  verdict: string,
  problem: Problem,
  { matches, others }: Findings,
  evidence: Omit<DiagnosisEvidence, 'notes'>,
): Words {
  const { n, layer } = problem;
  if (verdict === 'saturated') {
    const share = `${evidence.saturatedRows} of ${n} rows (${percent(evidence.saturatedRows, n)})`;
    return {
      what: `The right derivative of a saturated softmax: in ${share} it is nearly one-hot, with no entry of J above ${saturatedBelow}.`,
      why: 'Where s is nearly one-hot, J = diag(s) − s sᵀ is nearly 0, and so is every gradient that goes through it; no other way of computing it makes it larger. Smaller logits (initial weights, learning rate, a temperature above 1) keep softmax out of there, and the cross-entropy of logits has the gradient s − y, which does not vanish while the prediction is wrong.',
      goal: 'loss',
    };
  }
  const [best, ...alike] = matches;
  if (verdict === underflow.id && best?.id !== underflow.id) {
    const share = `${evidence.underflowedRows} of ${n} rows (${percent(evidence.underflowedRows, n)})`;
    return {
      what: `Zeros by underflow: in ${share} all probabilities but one are below 1.4e-45 and so 0 in float32, and the Jacobian with them.`,
      why: 'exp(x − max) is 0 in float32 below a gap of 104, so s is exactly one-hot and s_i (δ_ij − s_j) exactly 0. log-softmax and the cross-entropy of logits keep what is lost: they never form s before taking its logarithm.',
      goal: 'loss',
    };
  }
  if (!best) {
    const nearest = others[0];
    return {
      what:
        nearest && Number.isFinite(nearest.error)
          ? `No known mistake gives these numbers: the nearest, ${nearest.mistake.name}, is off by ${formatError(nearest.error)} of their size.`
          : 'No known mistake gives these numbers.',
      why:
        problem.g || problem.y
          ? `${whyRight(layer)} Check that these are the logits, the axis and the upstream gradient that the numbers were computed from; \`gradcheck\` of the package softgrad compares any derivative with differences.`
          : `${whyRight(layer)} Whether these numbers are that gradient can be said only with \`upstream\` or \`target\`.`,
    };
  }
  if (verdict === 'ambiguous') {
    const names = matches.map(({ mistake }) => mistake.name);
    const decides =
      problem.g || matches.some(({ formula }) => formula === ofScaledLoss)
        ? ''
        : ': `upstream` can, or `target` with `layer`';
    return {
      what: `${names.length} explanations give these numbers: ${names.join('; ')}.`,
      why: `${wordsOf(best.mistake, layer).why} Nothing in the numbers tells it from ${names.length > 3 ? 'the others' : alike.map(({ mistake }) => mistake.name).join(' or from ')}${decides}.`,
      goal: best.mistake.goal,
    };
  }
  const { mistake, error } = best;
  const words = wordsOf(mistake, layer);
  const { why } = words;
  const what = mistake.id === right.id ? whatRight(best, problem) : words.what;
  const digits = verdict === right.id ? digitsOf(error) : null;
  if (digits !== null) {
    return {
      what: `Right, but only to ${digits} digits: ${what}, off by ${formatError(error)} of its size.`,
      why: `${why} The formula is right; that many digits are left by float16, by few digits in a printout, or by differences taken instead of derivatives.`,
    };
  }
  return { what: `${sentence(mistake.name)}: ${what}.`, why, goal: mistake.goal };
}

function percent(count: number, of: number): string {
  return `${Math.round((100 * count) / of)} %`;
}
