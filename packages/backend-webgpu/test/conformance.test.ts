import { type BoundCase, conformance, sections, skipReasons } from '@softgrad/core/conformance';
import { describe, expect, inject, test } from 'vitest';
import { covering } from '../../../conformance.shared.js';
import { webgpu } from '../src/index.js';
import { announcedBySwiftShader, skipReasonsOnSwiftShader } from './swiftshader.js';

/**
 * What `npm test` runs: every case of a fused operation. Composed operations repeat the kernels of the basis, and laws relate results of kernels
 * that other cases check, so that a covering selection of both is enough, but for laws that depend on the layout or on options. These cases use every WGSL
 * program that the whole suite uses.
 */
function selection(cases: readonly BoundCase[]): readonly BoundCase[] {
  const applying = cases.filter(({ skip }) => skip === null);
  const covered = new Set(covering(applying));
  const isRepeated = ({ name, id, section }: BoundCase) =>
    name.includes('(composed)') ||
    (section === 'laws' && !/^laws\/(?:axis|masked-directions|tempered-shift|calls-in-turn):/.test(id));
  return applying.filter((one) => covered.has(one) || !isRepeated(one));
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
  const selected = inject('everything') ? cases : selection(cases);
  if (!inject('everything')) test('runs a covering selection of cases', () => expect(selected).toHaveLength(1435));
  for (const { name, run } of sections(selected)) test(name, run);
});
