import type { BackendProvider } from '@softgrad/core';
import type { Machine } from './machine.js';

/** A stream that a command writes to, and what it is where that is a terminal. */
export interface OutputStream extends NodeJS.WritableStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** How much data a command takes at once, in bytes. */
export interface Limits {
  /** For all arrays together; beyond that, an operation that needs all of its data at once is refused. */
  readonly memory: number;
  /** For one chunk of rows in float64. */
  readonly chunk: number;
}

/** The backends that can be chosen by name. */
export interface Backends {
  names(): readonly string[];
  /** @throws ERR_BACKEND_UNAVAILABLE for an unknown name or a package that doesn't load */
  load(name: string): Promise<BackendProvider>;
}

/** What a command line came to in a process of its own. */
export interface Apart {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What commands use of the process that they run in; nothing else in this package reads `process`. */
export interface Context {
  /** Standard input, made when it is first asked for. */
  stdin(): AsyncIterable<Uint8Array> & { readonly isTTY?: boolean };
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly limits: Limits;
  readonly backends: Backends;
  /** Runs a command line in a process of its own, whose native libraries write to a standard error of their own. */
  readonly apart?: (args: readonly string[]) => Promise<Apart>;
  /** What a report says about the machine. */
  machine(): Machine;
  /**
   * Calls the listener at the first Ctrl-C or request to end, instead of ending at once; the second ends. The function that it gives takes
   * that back.
   */
  readonly onInterrupt?: (listener: () => void) => () => void;
  /** Milliseconds since some moment. */
  now(): number;
  /** Calls the listener when nothing is left that keeps the process alive; the function that it gives takes that back. */
  onIdle(listener: () => void): () => void;
}

/** One call of the command: its context, and what is said and decided besides its result. */
export interface Session extends Context {
  /** Lines for standard error after the result. */
  readonly notices: string[];
  /** The exit code unless an error is thrown. */
  exitCode: number;
}
