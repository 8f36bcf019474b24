import { type BoundCase, conformance, sections, skipReasons } from '@softgrad/core/conformance';
import { describe, expect, inject, test } from 'vitest';
import { testSelection } from '../../../conformance.shared.js';
import { webgpu } from '../src/index.js';
import { announcedBySwiftShader, skipReasonsOnSwiftShader } from './swiftshader.js';

/** Core's compositions of programs that other cases run. backend-cpu has these cases too. */
const isOnlyComposed = ({ id, name }: BoundCase) =>
  name.includes('(composed)')
    ? /^(combinations|extremes|laws)\/|^row-groups\/beside-nan:/.test(id)
    : id.startsWith('combinations/second-derivatives:');

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
  // They use every WGSL program that the whole suite uses.
  const candidates = inject('everything') ? cases : cases.filter((one) => !isOnlyComposed(one));
  for (const { name, run } of sections(testSelection(candidates, { covering: 715 }))) test(name, run);
});
