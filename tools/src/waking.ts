import { type Backend, empty, softmax, tensor } from '@softgrad/core';
import { median } from 'simple-statistics';

/** A call on one thread and on two: among calls that follow at once, and after a pause in which the other thread has gone to sleep. */
export interface Waking {
  readonly shape: readonly [number, number];
  /** Medians in ms. */
  readonly one: Calls;
  readonly two: Calls;
}

export interface Calls {
  readonly atOnceMs: number;
  readonly afterPauseMs: number;
}

/** From the size from which backend-wasm uses threads: 2¹⁷ elements read and written. */
const shapes = [512, 1024, 2048, 4096, 8192, 16384, 32768].map((rows) => [rows, 128] as const);
/** Longer than the half of a millisecond after which a thread sleeps. */
const pauseMs = 4;
/** Long enough to wake it again. */
const warmMs = 3;

/** Times softmax on backends with one thread and with two, in turn. */
export async function measureWaking(
  one: Backend,
  two: Backend,
  { rounds = 21, most = shapes.length, now = () => performance.now(), pause = sleep } = {},
): Promise<readonly Waking[]> {
  const measured: Waking[] = [];
  for (const shape of shapes.slice(0, most)) {
    const [first, second] = [one, two].map((backend) => timesOf(backend, shape, now, pause));
    if (!first || !second) break;
    try {
      for (let round = 0; round < rounds; round++) {
        for (const each of round % 2 === 0 ? [first, second] : [second, first]) each.measure();
      }
      measured.push({ shape, one: first.medians(), two: second.medians() });
    } finally {
      first.dispose();
      second.dispose();
    }
  }
  return measured;
}

function timesOf(backend: Backend, shape: readonly [number, number], now: () => number, pause: (ms: number) => void) {
  const [rows, classes] = shape;
  const values = Float32Array.from({ length: rows * classes }, (_, k) => 8 * Math.sin(k * k));
  const x = tensor(values, { shape, backend });
  const out = empty(shape, { backend });
  const atOnce: number[] = [];
  const afterPause: number[] = [];
  const timed = (calls: number) => {
    const start = now();
    for (let k = 0; k < calls; k++) softmax(x, { out });
    return (now() - start) / calls;
  };
  return {
    measure() {
      pause(pauseMs);
      afterPause.push(timed(1));
      const until = now() + warmMs;
      while (now() < until) timed(1);
      atOnce.push(timed(8));
    },
    medians: (): Calls => ({ atOnceMs: median(atOnce), afterPauseMs: median(afterPause) }),
    dispose() {
      x.dispose();
      out.dispose();
    },
  };
}

/** Without any work of this thread, as between the calls of a program that waits for something else. */
function sleep(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
