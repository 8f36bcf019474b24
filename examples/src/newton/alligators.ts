/**
 * Lengths in metres of 59 alligators of Lake George, and what was found most in the stomach of each: fish, invertebrates, or something else.
 * A. Agresti, "An Introduction to Categorical Data Analysis", 2nd edition (2007), table 6.1.
 */
export const lengths: readonly number[] = [
  1.24, 1.3, 1.3, 1.32, 1.32, 1.4, 1.42, 1.42, 1.45, 1.45, 1.47, 1.47, 1.5, 1.52, 1.55, 1.6, 1.63, 1.65, 1.65, 1.65,
  1.65, 1.68, 1.7, 1.73, 1.78, 1.78, 1.78, 1.8, 1.8, 1.85, 1.88, 1.93, 1.98, 2.03, 2.03, 2.16, 2.26, 2.31, 2.31, 2.36,
  2.36, 2.39, 2.41, 2.44, 2.46, 2.56, 2.67, 2.72, 2.79, 2.84, 3.25, 3.28, 3.33, 3.56, 3.58, 3.66, 3.68, 3.71, 3.89,
];

export const foods = ['fish', 'invertebrates', 'other'] as const;

/** The index in `foods` for each alligator. */
export const eaten: readonly number[] = [...'11100010121011111210001211210011100000000000020100220000200'].map(Number);

/** An estimate and its standard error. */
export type Estimate = readonly [value: number, error: number];

/** Table 6.2 of the same book: intercept and slope of the logit of each food but the last, compared with the last. */
export const published: readonly (readonly [intercept: Estimate, slope: Estimate])[] = [
  [
    [1.6177, 1.3073],
    [-0.1101, 0.5171],
  ],
  [
    [5.6974, 1.7938],
    [-2.4654, 0.8997],
  ],
];
