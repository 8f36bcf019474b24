import type { Program } from '../program.js';

/** Elementwise kernels without other parameters than their operands. */
const program = (name: string, arrays: readonly string[], body: string): Program => ({
  name,
  arrays,
  integers: [],
  numbers: [],
  body: () => body,
});

/** `1 / (1 + exp(−x))`, using exp(−|x|), which cannot overflow. */
export const sigmoid = program(
  'sigmoid',
  ['x'],
  `const v = x[this.thread.x];
  if (v >= 0) { return 1 / (1 + expOf(-v)); }
  const e = expOf(v);
  return e / (1 + e);`,
);

/** `g ⊙ y ⊙ (1 − y)`. */
export const sigmoidVjp = program(
  'sigmoid/vjp',
  ['y', 'g'],
  'return g[this.thread.x] * (y[this.thread.x] * (1 - y[this.thread.x]));',
);

/** `max(x, 0)`; NaN stays NaN. */
export const relu = program('relu', ['x'], 'const v = x[this.thread.x]; if (v <= 0) { return 0; } return v;');

/** `y > 0 ? g : 0`. */
export const reluVjp = program(
  'relu/vjp',
  ['y', 'g'],
  'if (y[this.thread.x] > 0) { return g[this.thread.x]; } return 0;',
);

export const negate = program('neg', ['x'], 'return -x[this.thread.x];');
export const exponential = program('exp', ['x'], 'return expOf(x[this.thread.x]);');

/** A device's own log may return any number for 0, NaN and negative numbers. */
export const logarithm: Program = {
  ...program(
    'log',
    ['x'],
    'const v = x[this.thread.x]; if (v == 0) { return low; } if (v < 0) { return nan; } return lnOf(v);',
  ),
  numbers: ['low', 'nan'],
};
export const logarithmNumbers = [Number.NEGATIVE_INFINITY, Number.NaN] as const;
