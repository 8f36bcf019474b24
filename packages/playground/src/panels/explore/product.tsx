import { NumberField } from '../../components/number-field.js';
import { useReach } from '../../components/reach.js';
import { formatNumber, formatShape, subscript } from '../../format.js';
import { ClassWindowControls, useClassWindow } from './class-window.js';
import { isRowNaN, largestOf, type Results } from './compute.js';
import { RowSum, Zero } from './jacobian.js';
import { classOf, type ExploreState } from './state.js';

interface Props extends Pick<ExploreState, 'upstream' | 'loss'> {
  readonly result: Results;
  readonly onChange: (part: Partial<ExploreState>) => void;
}

/** The upstream gradient, and beside it the row sums and the vector-Jacobian product of the matrix. */
export function ProductCard({ result, upstream, loss, onChange }: Props) {
  const { rows, classes } = result.state.signal;
  const { row, temperature } = result.state;
  const target = classOf(row, classes);
  const window = useClassWindow(classes);
  // Where g is the same for every class the product is 0 up to rounding. It is not drawn then: on its own scale the noise would fill the bars.
  const g = Array.from(result.upstream);
  const isProductZero = g.every((each) => each === g[0]) && Number.isFinite(largestOf(result.product));
  const largest = isProductZero ? 0 : largestOf(result.product);
  const productOf = (k: number) => result.product[k] ?? Number.NaN;
  const isAllNaN = isRowNaN(result);
  // Where the matrix is not drawn, its row sums are not computed.
  const rowSum = (k: number) => result.rowSums?.[k] ?? (isAllNaN ? Number.NaN : 0);
  // A slider may be ahead of the results. The gradient of a loss follows them.
  const shownUpstream = (k: number) => (loss === null ? upstream[row * classes + k] : g[k]) ?? Number.NaN;
  const setUpstream = (values: ReadonlyMap<number, number>) => {
    const changed = upstream.slice();
    for (let k = 0; k < classes; k++) {
      const shown = shownUpstream(k);
      changed[row * classes + k] = values.get(k) ?? (Number.isFinite(shown) ? shown : 0);
    }
    onChange({ upstream: changed, loss: null });
  };
  const setEvery = (entry: (k: number) => number) =>
    setUpstream(new Map(Array.from({ length: classes }, (_, k) => [k, entry(k)])));
  return (
    <section class="card product" aria-labelledby="product-title">
      <h2 id="product-title">
        <span class="step">3</span> Back to the shape of x
      </h2>
      <p class="formula">
        dx = Jᵀ g = s ⊙ (g − ⟨s, g⟩){temperature !== 1 && ' / T'}
        {result.state.loss !== null && (temperature === 1 ? ' = s − y' : ' = (s − y) / T')}
      </p>
      <div class="class-count presets">
        <button type="button" onClick={() => setEvery(() => 1)}>
          g = 1 for every class
        </button>
        <button type="button" onClick={() => setEvery((k) => (k === target ? 1 : 0))}>
          g = 1 for class {target}
        </button>
        <button type="button" aria-pressed={loss !== null} onClick={() => onChange({ loss: 'crossEntropy' })}>
          cross-entropy of class {target}
        </button>
      </div>
      <ClassWindowControls window={window} one="class" many="classes" symbol="g" />
      <table class="product-table">
        <thead>
          <tr>
            <th scope="col" class="column">
              class
            </th>
            <th scope="col" class="column">
              upstream gradient g <span class="hint">what the loss says: ∂L/∂s</span>
            </th>
            <th scope="col" class="column">
              row sum of J <span class="hint">what J.sum(axis=1) gives</span>
            </th>
            <th scope="col" class="column">
              vjp dx <span class="hint">what backpropagation needs: ∂L/∂x</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {window.shown.map((k) => (
            <tr key={k}>
              <th scope="row" data-label="class">
                {k}
              </th>
              <td class="upstream" data-label="upstream gradient g">
                <Upstream k={k} value={shownUpstream(k)} onChange={(next) => setUpstream(new Map([[k, next]]))} />
              </td>
              <td class="signed" data-label="row sum of J">
                <span class="signed-pair">
                  <SignedBar value={rowSum(k)} largest={largest} />
                  <span class="signed-value">
                    {result.rowSums || isAllNaN ? <RowSum value={rowSum(k)} result={result} /> : <b>0</b>}
                  </span>
                </span>
              </td>
              <td class="signed" data-label="vjp dx">
                <span class="signed-pair">
                  <SignedBar value={productOf(k)} largest={largest} />
                  <span class="signed-value strong">
                    {isProductZero ? <Zero value={productOf(k)} /> : formatNumber(productOf(k))}
                  </span>
                </span>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {result.state.loss !== null && !isAllNaN && (
        <p class="caption">
          The loss is −log {subscript('s', target)}. Its gradient is g = −y / s with the target y, which is 1 for class{' '}
          {target} and 0 for the others. So s ⊙ g is −y, ⟨s, g⟩ is −1, and the product is s − y
          {temperature !== 1 && ' divided by T'}: the probabilities minus the target, for any logits.
        </p>
      )}
      <p class="caption">
        Both columns have the shape of the signal, {formatShape([rows, classes])}, and are drawn on one scale
        {largest > 0 && `, from ${formatNumber(-largest)} to ${formatNumber(largest)}`}. A row sum is the product with g
        = (1, …, 1), a loss that wants all probabilities larger at once
        {isAllNaN
          ? '; of this sample both are NaN, as the probabilities are'
          : ': nothing can do that, so its gradient is 0'}
        . The product takes 2 × {classes} multiplications a sample; by way of the matrix it would be 2 × {classes}².
      </p>
    </section>
  );
}

function Upstream({ k, value, onChange }: { k: number; value: number; onChange: (value: number) => void }) {
  const label = `upstream gradient ${subscript('g', k)}`;
  // That of the cross-entropy of a class whose probability is 0 is −Infinity.
  const finite = Number.isFinite(value) ? value : 0;
  const { reach, keepFor } = useReach(value, Math.max(2, Math.abs(finite)));
  return (
    <span class="slider">
      <input
        type="range"
        min={-reach}
        max={reach}
        step="any"
        value={value === Number.NEGATIVE_INFINITY ? -reach : finite}
        aria-label={label}
        aria-valuetext={formatNumber(value)}
        onInput={({ currentTarget: { valueAsNumber: dragged } }) => {
          keepFor(dragged);
          onChange(dragged);
        }}
      />
      <NumberField
        label={`${label}, number`}
        value={value}
        least={value === Number.NEGATIVE_INFINITY ? value : undefined}
        onChange={onChange}
      />
    </span>
  );
}

/** A bar to the left or right of a zero line. */
function SignedBar({ value, largest }: { readonly value: number; readonly largest: number }) {
  const share = largest > 0 ? Math.min(1, Math.abs(value) / largest) : 0;
  return (
    <span class="signed-track" aria-hidden="true">
      <span class={value < 0 ? 'signed-bar negative' : 'signed-bar'} style={{ width: `${50 * share}%` }} />
    </span>
  );
}
