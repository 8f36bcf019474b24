import type { FloatDType } from '@softgrad/core';
import { BackendChoice } from '../../components/backend-choice.js';
import type { Results } from './compute.js';
import type { ExploreState } from './state.js';

interface Props {
  readonly state: ExploreState;
  readonly result: Results | null;
  readonly onChange: (part: Partial<ExploreState>) => void;
}

/** The engine that computes; the other engines are checked, which loads them, when the list is opened. */
export function EngineChoice({ state, result, onChange }: Props) {
  const running = result?.backend.name ?? '';
  const isRefused = result !== null && result.refusal !== null && result.state.backend === state.backend;
  return (
    // The list may open below the edge of the window, or of the card, which scrolls by itself.
    <details
      class="engine"
      onToggle={({ currentTarget }) => currentTarget.open && currentTarget.scrollIntoView({ block: 'nearest' })}
    >
      <summary>
        <span class="engine-title">Engine</span>
        <span class="engine-name">{running || '…'}</span>
        <span class="engine-device">{result && `${result.backend.supports.device}, ${result.dtype}`}</span>
      </summary>
      <BackendChoice
        legend="Computes on"
        chosen={isRefused ? running : (state.backend ?? running)}
        onChoose={(backend) => onChange({ backend, dtype: null })}
      />
      {result && result.backend.supports.dtypes.length > 1 && (
        <fieldset class="choice">
          <legend>Computes in</legend>
          {result.backend.supports.dtypes.map((dtype: FloatDType) => (
            <label key={dtype}>
              <input type="radio" name="dtype" checked={dtype === result.dtype} onChange={() => onChange({ dtype })} />
              {dtype}
            </label>
          ))}
        </fieldset>
      )}
    </details>
  );
}
