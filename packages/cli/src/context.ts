import type { BackendProvider } from '@softgrad/core';
import type { Machine } from './machine.js';
import type { Watchdog } from './watchdog.js';

/** A stream that a command writes to, with the properties of a terminal if it is one. */
export interface OutputStream extends NodeJS.WritableStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** How many bytes of data a command holds at once. */
export interface Limits {
  /** For all arrays together; an operation that needs more of its data at once is an error. */
  readonly memory: number;
  /** For one chunk of rows in float64. */
  readonly chunk: number;
}

/** The backends that can be selected by name. */
export interface Backends {
  names(): readonly string[];
  /** @throws ERR_BACKEND_UNAVAILABLE for an unknown name or a package that doesn't load */
  load(name: string): Promise<BackendProvider>;
}

/** How a command line ended that ran in its own process. */
export interface Apart {
  readonly status: number;
  /** `SIGSEGV` or `exit status 70`. */
  readonly cause: string;
  readonly stderr: string;
}

/** Everything that commands use of their process; nothing else in this package reads `process`. */
export interface Context {
  /** Standard input, opened on first use. */
  stdin(): AsyncIterable<Uint8Array> & { readonly isTTY?: boolean };
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly limits: Limits;
  readonly backends: Backends;
  /**
   * Runs a command line in another process, whose native libraries write to that process's standard error, and calls the listener with each line of its
   * standard output as soon as it is written.
   */
  readonly apart?: (args: readonly string[], onLine: (line: string) => void) => Promise<Apart>;
  /** The description of the machine for a report. */
  machine(): Machine;
  /**
   * Calls the listener at the first Ctrl-C or SIGTERM instead of ending the process, with the exit code of a process that the signal ends; the second
   * one ends it. Returns a function that removes the listener.
   */
  onInterrupt(listener: (exitCode: number) => void): () => void;
  /** Watches from another thread that no step keeps this one for longer than the limit; null where nothing can watch. */
  readonly watchdog?: (limitMs: number) => Promise<Watchdog | null>;
  /** Milliseconds from a fixed point in time. */
  now(): number;
  /** Calls the listener once after that time, which does not keep the process alive; returns a function that cancels it. */
  after(milliseconds: number, listener: () => void): () => void;
  /** Calls the listener when nothing keeps the process alive any longer; returns a function that removes the listener. */
  onIdle(listener: () => void): () => void;
}

/** One call of the command: its context, its notices and its exit code. */
export interface Session extends Context {
  /** Lines for standard error after the result. */
  readonly notices: string[];
  /** The exit code unless an error is thrown. */
  exitCode: number;
}
