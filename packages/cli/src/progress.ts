import { SingleBar } from 'cli-progress';

/** A bar on standard error that shows how far a long run is; nothing where that is no terminal. */
export interface Progress {
  update(done: number): void;
  stop(): void;
}

/** For what is over before a bar could be read. */
export const silent: Progress = { update() {}, stop() {} };

export function startProgress(label: string, total: number): Progress {
  if (!process.stderr.isTTY) return silent;
  const bar = new SingleBar({
    stream: process.stderr,
    format: `${label} {bar} {percentage}% {eta_formatted} left`,
    barsize: 30,
    clearOnComplete: true,
    gracefulExit: false,
  });
  bar.start(total, 0);
  return { update: (done) => bar.update(Math.min(done, total)), stop: () => bar.stop() };
}
