import type { Setting } from './subjects.js';

const lengths = [2, 10, 67];

/** Inputs, temperatures, masks and cotangents, over several lengths. Nearly one-hot rows are short: see the module of the bounds. */
export const settings: readonly Setting[] = [
  ...(['narrow', 'spread', 'broad', 'wide', 'shifted', 'removed'] as const).flatMap((input) =>
    lengths.map((classes) => ({ input, classes })),
  ),
  ...[2, 10].map((classes) => ({ input: 'onehot' as const, classes })),
  ...lengths.flatMap((classes): readonly Setting[] => [
    { input: 'spread', classes, temperature: 0.7 },
    { input: 'narrow', classes, temperature: 3 },
    { input: 'spread', classes, temperature: -1 },
    { input: 'spread', classes, masked: true },
    { input: 'narrow', classes, masked: true, temperature: 0.3 },
    { input: 'narrow', classes, upstream: 'ones' },
    { input: 'narrow', classes, upstream: 'large' },
  ]),
  ...[2, 3, 4, 5, 6, 7, 8, 9].flatMap((classes): readonly Setting[] => [
    { input: 'spread', classes, upstream: 'unit' },
    { input: 'broad', classes, upstream: 'unit' },
  ]),
];
