/** What an `AbortSignal` has that is used here: a program without DOM's types, and without Node's, passes its own. */
export interface Signal {
  readonly reason: unknown;
  throwIfAborted(): void;
  addEventListener(event: 'abort', listener: () => void, options?: { readonly once?: boolean }): void;
}

/** A type of DOM where the program has it, else `unknown`: what is declared in terms of it compiles without DOM. */
export type Declared<Name extends string> = typeof globalThis extends {
  readonly [K in Name]: { readonly prototype: infer T };
}
  ? T
  : unknown;
