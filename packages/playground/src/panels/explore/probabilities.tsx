import type { HostArray } from '@softgrad/core';
import { formatNumber, subscript } from '../../format.js';
import { isRowNaN, largestOf, mostClassesListed, type Results } from './compute.js';

/** More bars than these scroll: see the style sheet. */
const mostUnscrolled = 12;

/** The chosen row's probabilities as bars. */
export function ProbabilitiesCard({ result }: { readonly result: Results }) {
  const { row, signal } = result.state;
  const { classes } = signal;
  const all = result.probabilities.subarray(row * classes, (row + 1) * classes);
  const shown = Array.from(all.subarray(0, mostClassesListed));
  let total = 0;
  for (const value of all) total += value;
  return (
    <section class="card" aria-labelledby="probabilities-title">
      <h2 id="probabilities-title">
        <span class="step">1</span> Probabilities
      </h2>
      <p class="formula">s = softmax(x / T)</p>
      {/* A scrolling element must be reachable by keyboard. */}
      <ol
        class="bars"
        tabIndex={classes > mostUnscrolled ? 0 : undefined}
        aria-label={`Probabilities of sample ${row}`}
      >
        {shown.map((value, k) => (
          <li key={k}>
            <span class="bar-label">{subscript('s', k)}</span>
            <span class="bar-track" aria-hidden="true">
              {value > 0 && <span class="bar" style={{ width: `${100 * value}%` }} />}
            </span>
            <span class="bar-value">{formatNumber(value)}</span>
          </li>
        ))}
        {classes > shown.length && (
          <li class="quiet">
            the first {shown.length} of {classes}
          </li>
        )}
        <li class="total">
          <span class="bar-label">Σ</span>
          <span />
          <span class="bar-value">{formatNumber(total)}</span>
        </li>
      </ol>
      <p class="caption">{captionOf(result, all)}</p>
    </section>
  );
}

function captionOf(result: Results, probabilities: HostArray): string {
  const { signal, row } = result.state;
  const logits = signal.values.subarray(row * signal.classes, (row + 1) * signal.classes);
  const kept = logits.filter(Number.isFinite).length;
  if (kept === 0) {
    return 'Every class is masked out (−∞): there is no class left, so the row is NaN, as in SciPy and PyTorch.';
  }
  if (isRowNaN(result)) return `A logit overflows ${result.dtype} and is infinite there, so the row is NaN.`;
  if (kept === 1) {
    const only = logits.length === 1 ? 'There is one class' : 'All classes but one are masked out (−∞)';
    return `${only}: its probability is 1 whatever its logit is, so J is 0, and so is every gradient through it.`;
  }
  if (largestOf(probabilities) > 0.999) {
    return 'Nearly one-hot: the softmax is saturated. Then all of J is nearly zero and so is every gradient through it: a different cause of small gradients than summing. A higher T makes them larger.';
  }
  const kinds =
    kept < logits.length
      ? 'They sum to 1 over the classes that are left: one that is masked out (−∞) has 0.'
      : probabilities.includes(0)
        ? `They sum to 1 for any logits. None is 0 in exact arithmetic: one that is shown as 0 is too small for ${result.dtype}.`
        : 'Positive, and they sum to 1 for any logits.';
  return `${kinds} If one logit grows, its probability grows and the others shrink by the same amount in total, so each column of the matrix in 2 sums to 0, and each row too, because the matrix is symmetric.`;
}
