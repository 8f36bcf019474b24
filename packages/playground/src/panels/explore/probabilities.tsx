import { formatNumber, subscript } from '../../format.js';
import type { Results } from './compute.js';

/** The chosen row's probabilities as bars. */
export function ProbabilitiesCard({ result }: { readonly result: Results }) {
  const { row, signal } = result.state;
  const { classes } = signal;
  const s = Array.from(result.probabilities.subarray(row * classes, (row + 1) * classes));
  const largest = Math.max(...s);
  const total = s.reduce((sum, value) => sum + value, 0);
  const saturated = classes > 1 && largest > 0.999;
  return (
    <section class="card" aria-labelledby="probabilities-title">
      <h2 id="probabilities-title">
        <span class="step">1</span> Probabilities
      </h2>
      <p class="formula">s = softmax(x / T)</p>
      <ol class="bars" aria-label={`Probabilities of sample ${row}`}>
        {s.map((value, k) => (
          <li key={k}>
            <span class="bar-label">{subscript('s', k)}</span>
            <span class="bar-track" aria-hidden="true">
              <span class="bar" style={{ width: `${100 * value}%` }} />
            </span>
            <span class="bar-value">{formatNumber(value)}</span>
          </li>
        ))}
        <li class="total">
          <span class="bar-label">Σ</span>
          <span />
          <span class="bar-value">{formatNumber(total)}</span>
        </li>
      </ol>
      <p class="caption">
        {saturated
          ? 'Nearly one-hot: the softmax is saturated. Then all of J is nearly zero and so is every gradient through it: another cause of small gradients than summing. Raise T to leave it.'
          : 'Positive, and they add up to 1 whatever the logits do. What one gains the others lose: that is why the rows of the matrix cancel.'}
      </p>
    </section>
  );
}
