import type { DirectionLike } from '../ops/arguments.js';
import { namesOf } from '../options.js';
import type { GradcheckTarget } from './operations.js';

/** Options of `gradcheck`; those of the operation are passed on to it. */
export interface GradcheckOptions extends GradcheckTarget {
  /** The upstream gradient, in the shape of the operation's result. Default: irregular numbers in ±1, the same every time. */
  readonly cotangent?: DirectionLike | undefined;
  /**
   * First step of the differences, in units of x: the only one that is used, except for its half and 0.31 of it. Default ε^(1/5) ≈ 7.4e-4, times a
   * temperature below 1, and shorter or longer where the differences are inaccurate.
   */
  readonly step?: number | undefined;
  /**
   * Allowed error relative to the entry's derivative (before terms of its sum cancel), for core's functions to the largest one, in addition to
   * rounding. Default 1e-8 for float64, 2e-5 for float32, 5e-3 for float16.
   */
  readonly tolerance?: number | undefined;
  /** Flat indices of the entries of x to check. Default: all, of at most 2000, or of up to 100,000 of a built-in function. Each costs six evaluations, or more where other steps are tried. */
  readonly entries?: readonly number[] | undefined;
}

/** Options of `gradgradcheck`; those of the operation are passed on to it. */
export interface GradgradcheckOptions extends GradcheckOptions {
  /** The direction of x along which the derivative is differentiated. Default: irregular numbers in ±1, the same every time. */
  readonly tangent?: DirectionLike | undefined;
  /** First step of the differences, in units of x, as in `gradcheck`. Default ε^(1/6) ≈ 2.5e-3, times a temperature below 1. */
  readonly step?: number | undefined;
  /** Allowed error in addition to rounding, relative as in `gradcheck`. Default 1e-7 for float64, 5e-5 for float32, 2e-2 for float16. */
  readonly tolerance?: number | undefined;
  /** Flat indices of the entries of x to check. Default: all, of at most 2000, or of up to 100,000 of a built-in function. Each costs twelve evaluations, or more where other steps are tried. */
  readonly entries?: readonly number[] | undefined;
}

const shared = { cotangent: true, step: true, tolerance: true, entries: true } as const;
/** The names of the options of gradcheck itself; `optionNamesOf` are those of the operation. */
export const gradcheckNames = /* @__PURE__ */ namesOf<Omit<GradcheckOptions, keyof GradcheckTarget>>(shared);
/** The same of gradgradcheck. */
export const gradgradcheckNames = /* @__PURE__ */ namesOf<Omit<GradgradcheckOptions, keyof GradcheckTarget>>({
  ...shared,
  tangent: true,
});
