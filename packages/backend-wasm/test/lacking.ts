import { type BoundCase, skipReasons } from '@softgrad/core/conformance';

/**
 * The reasons for skipped cases, except cases for backends that lack a feature which this one has (`has kernels.softmax`,
 * `announces nonFinite: ieee`). A backend that announces less by mistake would skip cases; the tests detect this by these reasons.
 */
export function lacking(cases: readonly BoundCase[]): readonly string[] {
  const reasons = Object.keys(skipReasons(cases));
  return reasons.filter((reason) => !/^(?:has (?!no )|announces )/.test(reason)).sort();
}
