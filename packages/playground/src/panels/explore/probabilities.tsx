import { formatNumber, subscript } from '../../format.js';
import { largestOf, mostClassesListed, type Results } from './compute.js';

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
      <ol class="bars" aria-label={`Probabilities of sample ${row}`}>
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
      <p class="caption">{captionOf(result, total, classes > 1 && largestOf(all) > 0.999)}</p>
    </section>
  );
}

function captionOf({ state: { signal, row }, dtype }: Results, total: number, isSaturated: boolean): string {
  if (Number.isNaN(total)) {
    const logits = signal.values.subarray(row * signal.classes, (row + 1) * signal.classes);
    return logits.some(Number.isFinite)
      ? `A logit overflows ${dtype} and is infinite there, so the row is NaN.`
      : 'Every class is masked out (−∞): there is no class left, so the row is NaN, as in SciPy and PyTorch.';
  }
  return isSaturated
    ? 'Nearly one-hot: the softmax is saturated. Then all of J is nearly zero and so is every gradient through it: a different cause of small gradients than summing. A higher T makes them larger.'
    : 'Positive, and they sum to 1 for any logits. If one logit grows, its probability grows and the others shrink by the same amount in total, so each column of the matrix in 2 sums to 0, and each row too, because the matrix is symmetric.';
}
