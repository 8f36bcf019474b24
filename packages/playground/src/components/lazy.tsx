import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { Problem } from './problem.js';

interface PanelProps {
  readonly parameters: URLSearchParams;
}

/** A panel whose code is loaded when it is shown. */
export function Lazy({ load, parameters }: PanelProps & { readonly load: () => Promise<ComponentType<PanelProps>> }) {
  const [state, setState] = useState<{ readonly panel?: ComponentType<PanelProps>; readonly error?: string }>({});
  useEffect(() => {
    load().then(
      (panel) => setState({ panel }),
      (cause: unknown) => setState({ error: cause instanceof Error ? cause.message : String(cause) }),
    );
  }, [load]);
  if (state.error !== undefined) return <Problem text={`This panel did not load: ${state.error}`} />;
  const { panel: Panel } = state;
  return Panel ? <Panel parameters={parameters} /> : <p class="quiet">Loading …</p>;
}
