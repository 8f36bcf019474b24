import { type BoundCase, conformance, sections, skipReasons } from '@softgrad/core/conformance';
import { describe, expect, test } from 'vitest';
import { webgpu } from '../src/index.js';
import { announcedBySwiftShader, skipReasonsOnSwiftShader } from './swiftshader.js';

// Chromium and Node run the same Dawn on the same software device, and compiling a kernel there takes a second. A browser has its own
// entry point, limits and version of the WGSL compiler, and reaches the device through another process: what depends on these runs here
// (buffers and their order, errors and losses, timestamps, every operation once). Accuracy at every length and option does not.
// One file, because each file opens a page of its own.
import './devices.test.js';
import './faults.test.js';
import './time.test.js';

const aboutBrowsers = ['storage', 'lifecycle', 'supports'];

/** The cases of the sections that a browser can change, and of the others one of each statement along each axis. */
function forBrowsers(cases: readonly BoundCase[]): readonly BoundCase[] {
  const told = new Set<string>();
  return cases.filter(({ id, section, name, skip }) => {
    if (skip !== null || name.includes('(composed)')) return false;
    if (aboutBrowsers.includes(section)) return true;
    const statement = `${id.split(/[:;]/)[0]} ${/axis=\d/.exec(id)?.[0] ?? ''}`;
    // Options and extremes are the kernels' own.
    if (['laws', 'combinations', 'extremes'].includes(section) || id.includes('/lengths')) return false;
    return told.size !== told.add(statement).size;
  });
}

describe('webgpu in Chromium', async () => {
  const backend = await webgpu.open();
  const cases = await conformance(backend, { required: true });
  const { supports } = backend;
  if (supports.device === announcedBySwiftShader.device) {
    test('announces of the software device what is known of it', () =>
      expect(supports).toEqual(announcedBySwiftShader));
    test('skips what the software device has not, and nothing else', () =>
      expect(Object.keys(skipReasons(cases)).sort()).toEqual(skipReasonsOnSwiftShader));
  }
  for (const { name, run } of sections(forBrowsers(cases))) test(name, run);
});
