import { useLayoutEffect, useState } from 'preact/hooks';

/** A value that lives as long as the page: the state of a component ends when another panel is opened. */
export class Kept<T> {
  #value: T;
  readonly #changed = new EventTarget();

  constructor(value: T) {
    this.#value = value;
  }

  get value(): T {
    return this.#value;
  }

  change(part: Partial<T>): void {
    this.#value = { ...this.#value, ...part };
    this.#changed.dispatchEvent(new Event('change'));
  }

  /** Calls a function after each change, until the returned function is called. */
  follow(changed: () => void): () => void {
    this.#changed.addEventListener('change', changed);
    return () => this.#changed.removeEventListener('change', changed);
  }
}

/** The value, and another rendering after each change. */
export function useKept<T>(kept: Kept<T>): T {
  const [, setChanges] = useState(0);
  // A layout effect, because a change between the rendering and a later effect would be missed.
  useLayoutEffect(() => kept.follow(() => setChanges((changes) => changes + 1)), [kept]);
  return kept.value;
}
