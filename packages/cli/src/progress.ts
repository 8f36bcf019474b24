import { createRequire } from 'node:module';
import type { Context } from './context.js';

/** A progress bar on standard error for long runs; nothing unless standard error is a terminal that can move its cursor. */
export interface Progress {
  /** The label is the current step, if there are several. */
  update(done: number, label?: string): void;
  /** Writes lines to standard output without disturbing the bar. */
  print(lines: string): void;
  stop(): void;
}

const require = createRequire(import.meta.url);

type Streams = Pick<Context, 'stdout' | 'stderr' | 'env' | 'now' | 'after'>;

/** Terminals like Emacs's shell call themselves dumb: they print the sequences that move the cursor. */
function hasBar({ stderr, env }: Streams): boolean {
  return stderr.isTTY === true && env.TERM !== 'dumb';
}

/** Milliseconds after which a bar is shown: with the start of the process, a command is not silent for much longer than a second. */
const patience = 700;

function silent({ stdout }: Streams): Progress {
  return {
    update() {},
    print: (lines) => {
      stdout.write(lines);
    },
    stop() {},
  };
}

/** A bar for a run that takes at least seconds. */
export function startProgress(label: string, total: number, context: Streams): Progress {
  return hasBar(context) ? bar(label, total, context, context.now()) : silent(context);
}

/** Synchronous steps over at least this many bytes take seconds: no timer fires meanwhile, so that the bar is shown before. */
const longStep = 2 ** 25;

/**
 * A bar for a run that may be short: it is shown if the run has not ended after a second, also if it waits for its first step; and at once if a
 * synchronous step of it processes many bytes.
 */
export function startLateProgress(label: string, total: number, context: Streams, bytesOfStep = 0): Progress {
  if (bytesOfStep >= longStep) return startProgress(label, total, context);
  if (!hasBar(context)) return silent(context);
  const began = context.now();
  let at: readonly [done: number, label?: string] = [0];
  let shown: Progress | null = null;
  const show = () => {
    shown ??= bar(label, total, context, began);
    shown.update(...at);
  };
  const cancel = context.after(patience, show);
  return {
    update(done, current) {
      at = current === undefined ? [done] : [done, current];
      if (shown !== null || context.now() - began >= patience) show();
    },
    print: (lines) => (shown ?? silent(context)).print(lines),
    stop() {
      cancel();
      shown?.stop();
    },
  };
}

/** Before this share of the work, most of the time went into what happens once: loading, compiling. It says nothing about the rest. */
const leastShare = 0.05;

/** The bar; the time left is estimated from the time taken so far. */
function bar(label: string, total: number, { stdout, stderr, now }: Streams, began: number): Progress {
  // Loaded when a bar is shown, which most commands end before.
  const { SingleBar } = require('cli-progress') as typeof import('cli-progress');
  const single = new SingleBar({
    stream: stderr,
    format: '{label} {bar} {percentage}% {left} left',
    barsize: 30,
    clearOnComplete: true,
    gracefulExit: false,
  });
  let at = 0;
  let shown = label;
  const payload = () => ({
    label: shown,
    left: at > 0 && at >= leastShare * total ? formatSeconds(((now() - began) * (total / at - 1)) / 1000) : '?',
  });
  single.start(total, 0, payload());
  return {
    update(done, current = shown) {
      at = Math.min(done, total);
      shown = current;
      single.update(at, payload());
    },
    print(lines) {
      // Stopping the bar clears its line.
      single.stop();
      stdout.write(lines);
      single.start(total, at, payload());
    },
    stop: () => single.stop(),
  };
}

/** `7s`, `2m05s`, `3h20m`. */
export function formatSeconds(seconds: number): string {
  const whole = Math.ceil(seconds);
  const two = (value: number) => String(value).padStart(2, '0');
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m${two(whole % 60)}s`;
  return `${Math.floor(whole / 3600)}h${two(Math.floor(whole / 60) % 60)}m`;
}
