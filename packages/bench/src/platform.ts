/** What an `AbortSignal` has that is used here: a program without DOM's types, and without Node's, passes its own. */
export interface Signal {
  readonly reason: unknown;
  throwIfAborted(): void;
  addEventListener(event: 'abort', listener: () => void, options?: { readonly once?: boolean }): void;
}

/** A type of DOM if the program has it, else `unknown`, so that declarations with it compile without DOM. */
export type Declared<Name extends string> = typeof globalThis extends {
  readonly [K in Name]: { readonly prototype: infer T };
}
  ? T
  : unknown;
