import { type BoundCase, skipReasons } from '@softgrad/core/conformance';

/**
 * Why cases are skipped, without the cases that are only for backends which lack something that this one has (`has kernels.softmax`,
 * `announces nonFinite: ieee`). A regression in what is announced must not turn into skipped cases.
 */
export function lacking(cases: readonly BoundCase[]): readonly string[] {
  const reasons = Object.keys(skipReasons(cases));
  return reasons.filter((reason) => !/^(?:has (?!no )|announces )/.test(reason)).sort();
}
