import { useEffect, useRef, useState } from 'preact/hooks';
import { messageOf } from './backends.js';

export interface Latest<R> {
  /** The latest result; it stays while the next one is computed, or if that fails. */
  readonly result: R | null;
  readonly error: string | null;
}

/** Computes from a state that may change faster than results arrive: one computation at a time, always with the latest state, without a queue. */
export function useLatest<S, R>(state: S, compute: (state: S) => Promise<R>): Latest<R> {
  const [latest, setLatest] = useState<Latest<R>>({ result: null, error: null });
  const wanted = useRef<{ readonly state: S } | null>(null);
  const busy = useRef(false);
  useEffect(() => {
    wanted.current = { state };
    if (busy.current) return;
    const work = async () => {
      busy.current = true;
      while (wanted.current) {
        const next = wanted.current.state;
        wanted.current = null;
        try {
          const result = await compute(next);
          setLatest({ result, error: null });
        } catch (error) {
          setLatest((before) => ({ ...before, error: messageOf(error) }));
        }
      }
      busy.current = false;
    };
    void work();
  }, [state, compute]);
  return latest;
}
