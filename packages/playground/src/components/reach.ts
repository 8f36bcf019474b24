import { useRef } from 'preact/hooks';

/**
 * Half the range of a slider, or of several: what their values need. A state that a slider has set keeps the range of before: if the range shrank with the
 * value, the thumb would move away from the pointer that drags it.
 */
export function useReach<T>(state: T, needed: number): { readonly reach: number; readonly keepFor: (next: T) => void } {
  const kept = useRef<{ readonly state: T; readonly reach: number } | null>(null);
  const isKept = kept.current !== null && Object.is(kept.current.state, state);
  const reach = Math.max(needed, isKept ? (kept.current?.reach ?? 0) : 0);
  return {
    reach,
    keepFor: (next) => {
      kept.current = { state: next, reach };
    },
  };
}
