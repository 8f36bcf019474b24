import { type BoundCase, conformance, sections, skipReasons } from '@softgrad/core/conformance';
import { describe, expect, inject, test } from 'vitest';
import { onePerProperty } from '../../../conformance.shared.js';
import { webgpu } from '../src/index.js';
import { announcedBySwiftShader, skipReasonsOnSwiftShader } from './swiftshader.js';

// Chromium and Node run the same Dawn on the same software device, where compiling a kernel takes a second. A browser has its own
// entry point, limits and version of the WGSL compiler, and accesses the device through another process. Tests that depend on these run here:
// buffers and their order, errors and lost devices, timestamps, every operation once. Accuracy for all lengths, layouts and options is tested in Node.
// One file, because each file opens a new page.
import './devices.test.js';
import './faults.test.js';
import './time.test.js';

/** Sections about the kernels and core only, of which a browser changes nothing: `npm run test:all` runs one case of each kind, `npm test` runs them in Node. */
const aboutKernels: Readonly<Record<string, RegExp>> = {
  laws: /:operation=softmax$/,
  combinations: /^combinations\/elementwise:/,
  extremes: /^extremes\/softmax-values$/,
  'row-groups': /^row-groups\/(many|certain-targets):/,
};

/**
 * Properties of core and of the arithmetic of kernels, of which a browser changes nothing either, and what core composes of kernels that other cases run. Node runs them with
 * the same programs, whose compilation takes most of the time.
 */
const leftToAll =
  /^cross-entropy\/(one-loss|one-pass|nothing-counted|extreme-weights)|^softmin\/(?!values)|^cross-entropy\/hvp|^[\w-]+\/(double-backward|diagonal|to-dense|input-unchanged|deterministic|symmetric|sizes|sums|nearly-one-hot|not-a-softmax)|^(vjp|jacobian)\/many-rows|^basis\/reduce-non-finite|^(sigmoid|relu)\/jacobian/;

/** One case of each property that a browser can affect. */
function forBrowsers(cases: readonly BoundCase[]): readonly BoundCase[] {
  return onePerProperty(
    cases.filter(({ id, section, name, skip }) => {
      if (leftToAll.test(id) && !inject('everything')) return false;
      if (skip !== null || name.includes('(composed)') || id.includes('/lengths')) return false;
      const some = aboutKernels[section];
      return some === undefined || (inject('everything') && some.test(id));
    }),
  );
}

describe('webgpu in Chromium', async () => {
  const backend = await webgpu.open();
  const cases = await conformance(backend, { required: true });
  const { supports } = backend;
  if (supports.device === announcedBySwiftShader.device) {
    test('announces the known properties of the software device', () =>
      expect(supports).toEqual(announcedBySwiftShader));
    test('skips only cases that the software device does not support', () =>
      expect(Object.keys(skipReasons(cases)).sort()).toEqual(skipReasonsOnSwiftShader));
  }
  const selected = forBrowsers(cases);
  test('runs cases of every section', () => {
    const names = (bound: readonly BoundCase[]) => [...new Set(bound.map(({ section }) => section))].sort();
    const wanted = cases.filter(
      ({ skip, section }) => skip === null && (inject('everything') || !(section in aboutKernels)),
    );
    expect(names(selected)).toEqual(names(wanted));
    expect(selected).toHaveLength(inject('everything') ? 131 : 74);
  });
  for (const { name, run } of sections(selected)) test(name, run);
});
