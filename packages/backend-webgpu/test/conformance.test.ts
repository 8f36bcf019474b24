import { type BoundCase, conformance, sections, skipReasons } from '@softgrad/core/conformance';
import { describe, expect, inject, test } from 'vitest';
import { testSelection } from '../../../conformance.shared.js';
import { webgpu } from '../src/index.js';
import { announcedBySwiftShader, skipReasonsOnSwiftShader } from './swiftshader.js';

/**
 * Core's compositions of programs that other cases run, and combinations of options in one program: those of cross-entropy, which has most of them, compile every line of WGSL
 * that combinations compile. backend-cpu has these cases too.
 */
const isOnlyCombined = ({ id, name }: BoundCase) =>
  name.includes('(composed)')
    ? /^(combinations|extremes|laws)\/|^row-groups\/beside-nan:/.test(id)
    : /^combinations\/(?!cross-entropy)/.test(id);

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
  // They use every line of WGSL that the whole suite uses.
  const candidates = inject('everything') ? cases : cases.filter((one) => !isOnlyCombined(one));
  for (const { name, run } of sections(testSelection(candidates, { covering: 705 }))) test(name, run);
});
