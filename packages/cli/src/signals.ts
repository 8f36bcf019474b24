/** The signals that end a process, and the exit codes that shells report for it. */
const exitCodes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

type Signal = keyof typeof exitCodes;
type Listener = (signal: Signal) => void;

/** What listening to signals uses of a process. */
export interface SignalledProcess {
  on(signal: Signal, listener: Listener): unknown;
  off(signal: Signal, listener: Listener): unknown;
  exit(code: number): unknown;
}

/** What happens at the first signal; the second one of its kind ends the process. */
export interface Signals {
  /** Until the returned function is called, a signal calls the listener with its exit code instead of ending the process. */
  interrupt(listener: (exitCode: number) => void): () => void;
  /** Until the returned function is called, a signal calls `action` before it ends the process. */
  beforeEnd(action: () => void): () => void;
  /** Calls these actions, before the process ends without a signal. */
  cleanUp(): void;
}

/**
 * Listens to the signals of a process only while there is something to do at one. A listener replaces the action of the system, which ends the process, and cannot
 * run while a kernel occupies the thread: without a listener, Ctrl-C ends a command even if a kernel never returns.
 */
export function signalsOf(process: SignalledProcess): Signals {
  const interrupts = new Set<(exitCode: number) => void>();
  const actions = new Set<() => void>();
  const awaited = new Set(Object.keys(exitCodes) as Signal[]);
  const isIdle = () => interrupts.size + actions.size === 0;

  function onSignal(signal: Signal): void {
    awaited.delete(signal);
    process.off(signal, onSignal);
    if (interrupts.size > 0) {
      for (const interrupt of interrupts) interrupt(exitCodes[signal]);
      return;
    }
    cleanUp();
    process.exit(exitCodes[signal]);
  }

  function cleanUp(): void {
    for (const action of actions) action();
  }

  function until<T>(entries: Set<T>, entry: T): () => void {
    if (isIdle()) for (const signal of awaited) process.on(signal, onSignal);
    entries.add(entry);
    return () => {
      if (entries.delete(entry) && isIdle()) for (const signal of awaited) process.off(signal, onSignal);
    };
  }

  return {
    interrupt: (listener) => until(interrupts, listener),
    beforeEnd: (action) => until(actions, action),
    cleanUp,
  };
}
