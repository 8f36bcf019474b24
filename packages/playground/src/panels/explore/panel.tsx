import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { Problem } from '../../components/problem.js';
import { useLatest } from '../../latest.js';
import { readView, writeParameters } from '../../location.js';
import { compute, type Results } from './compute.js';
import { Controls } from './controls.js';
import { JacobianCard } from './jacobian.js';
import { ProbabilitiesCard } from './probabilities.js';
import { ProductCard } from './product.js';
import { type ExploreState, lastState, startOf, toParameters } from './state.js';

/** A signal, its softmax, the Jacobian with its row sums, and the product for backpropagation, all updated together. */
export function Explore({ parameters }: { readonly parameters: URLSearchParams }) {
  const [{ state, problem }, setBoth] = useState(() => startOf(parameters));
  // The state as a link has it, which the user has not changed.
  const started = useRef(state);
  const { result, error } = useLatest(state, compute);

  const change = useCallback((part: Partial<ExploreState>) => {
    setBoth((before) => ({ state: { ...before.state, ...part }, problem: null }));
  }, []);
  useEffect(() => {
    const written = toParameters(state);
    lastState.keep(state, written);
    writeParameters('explore', written, state !== started.current);
  }, [state]);
  useEffect(() => {
    // Follow links to another view of this panel; ignore the state that this panel wrote into the URL itself.
    if (parameters.toString() !== toParameters(state).toString() && readView().panel === 'explore') {
      const next = startOf(parameters);
      started.current = next.state;
      setBoth(next);
    }
    // React only to the URL: the state changes independently.
  }, [parameters]);
  // After an error the latest result may belong to an earlier signal.
  const stale = error !== null && result?.state.signal !== state.signal;

  return (
    <div class="explore">
      <section class="intro">
        <h1>
          The derivative of softmax is a <em>matrix</em>, and its rows add up to <em>zero</em>.
        </h1>
        <p>
          Summing each row gets back to the shape of the signal, but no gradient is left: only ±1e−17, rounding noise.
          Backpropagation needs the product of that matrix with the gradient that arrives from the loss.
        </p>
      </section>
      {/* Before the controls, which fill the screen of a phone. */}
      <Problem text={problem ?? error ?? refusalOf(result)} />
      <Controls state={state} result={result} onChange={change} />
      <div class="story">
        {result && !stale && (
          <>
            <div class={result.state.signal.classes > 5 ? 'story-row wide' : 'story-row'}>
              <ProbabilitiesCard result={result} />
              <JacobianCard result={result} />
            </div>
            <ProductCard result={result} upstream={upstreamFor(result, state)} loss={state.loss} onChange={change} />
          </>
        )}
      </div>
    </div>
  );
}

function refusalOf(result: Results | null): string | null {
  return result && result.refusal !== null ? `${result.refusal}. Computed on ${result.backend.name} instead.` : null;
}

/** The latest upstream gradient, unless it belongs to a signal of another shape, whose results are not computed yet. */
function upstreamFor({ state: computed }: Results, newest: ExploreState): Float64Array {
  return newest.upstream.length === computed.upstream.length && newest.signal.classes === computed.signal.classes
    ? newest.upstream
    : computed.upstream;
}
