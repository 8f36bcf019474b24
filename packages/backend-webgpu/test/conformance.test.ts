import { type BoundCase, conformance, sections, skipReasons } from '@softgrad/core/conformance';
import { describe, expect, inject, test } from 'vitest';
import { covering, fewerComposed, onePerProperty } from '../../../conformance.shared.js';
import { webgpu } from '../src/index.js';
import { announcedBySwiftShader, skipReasonsOnSwiftShader } from './swiftshader.js';

/** Cases whose programs other cases run: combinations of options and of sizes, products of second derivatives, and one loss in all its forms. */
const combined =
  /^combinations\/|^cross-entropy\/one-loss|^row-groups\/(short|many|beside-nan|medium:(?!operation=crossEntropy.gradient)|lengths:.*hvp)/;

/** Sections in which an option has a program or lines of its own. */
const withOptions = /^(basis|cross-entropy|jacobian|row-groups)\//;

/** Besides these, rows of several workgroups, options together, and each range of lengths. */
const ownLines =
  /^(softmax|vjp|jacobian)\/lengths:|^row-groups\/lengths:operation=crossEntropy.gradient|^cross-entropy\/gradient:target=probabilities;reduction=none;(shape=1x40000|weight=)|^basis\/reduce:.*=1x65537x1/;

/**
 * One case of each property, a covering selection where options have programs of their own, and what else has a line of WGSL of its own: every line of WGSL that the whole suite compiles.
 * Core's compositions, which consist of the primitives' programs, are tested by one case of each property.
 */
function selected(cases: readonly BoundCase[]): readonly BoundCase[] {
  const candidates = cases.filter(({ id, skip }) => skip === null && !combined.test(id));
  const isComposed = ({ name }: BoundCase) => name.includes('(composed)');
  const fused = candidates.filter((one) => !isComposed(one));
  const chosen = new Set([
    ...onePerProperty(fused),
    ...covering(fused.filter(({ id }) => withOptions.test(id))),
    ...fused.filter(({ id }) => ownLines.test(id)),
    ...fewerComposed(candidates.filter((one) => isComposed(one) && !one.id.startsWith('extremes/'))),
  ]);
  return candidates.filter((one) => chosen.has(one));
}

// The suite runs in Node, because Chromium compiles the same WGSL for the same device: see chromium.browser.test.ts.
describe('webgpu in Node', async () => {
  const backend = await webgpu.open();
  const cases = await conformance(backend, { required: true });
  const { supports } = backend;
  // `supports` is measured when opening, so a kernel that got worse would be announced as worse, and its cases skipped or their bounds widened.
  if (supports.device === announcedBySwiftShader.device) {
    test('announces of the software device what is known of it', () =>
      expect(supports).toEqual(announcedBySwiftShader));
    test('skips only cases that the software device does not support', () =>
      expect(Object.keys(skipReasons(cases)).sort()).toEqual(skipReasonsOnSwiftShader));
  }
  const chosen = inject('everything') ? cases.filter(({ skip }) => skip === null) : selected(cases);
  for (const { name, run } of sections(chosen)) test(name, run);
  test('npm test runs a selection', () => {
    if (!inject('everything')) expect(chosen).toHaveLength(382);
  });
});
