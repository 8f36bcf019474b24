import { SingleBar } from 'cli-progress';
import type { Context } from './context.js';

/** A bar on standard error that shows how far a long run is; nothing where that is no terminal. */
export interface Progress {
  /** With a label for what is going on, where that changes. */
  update(done: number, label?: string): void;
  /** Writes lines to standard output, with the bar out of their way. */
  print(lines: string): void;
  stop(): void;
}

/** For what is over before a bar could be read. */
export function silent({ stdout }: Pick<Context, 'stdout'>): Progress {
  return {
    update() {},
    print: (lines) => {
      stdout.write(lines);
    },
    stop() {},
  };
}

export function startProgress(label: string, total: number, context: Pick<Context, 'stdout' | 'stderr'>): Progress {
  const { stdout, stderr } = context;
  if (!stderr.isTTY) return silent(context);
  const bar = new SingleBar({
    stream: stderr,
    format: '{label} {bar} {percentage}% {eta_formatted} left',
    barsize: 30,
    clearOnComplete: true,
    gracefulExit: false,
  });
  bar.start(total, 0, { label });
  let at = 0;
  let shown = label;
  return {
    update(done, current = shown) {
      at = Math.min(done, total);
      shown = current;
      bar.update(at, { label: shown });
    },
    print(lines) {
      // Stopped, the bar clears its line.
      bar.stop();
      stdout.write(lines);
      bar.start(total, at, { label: shown });
    },
    stop: () => bar.stop(),
  };
}
