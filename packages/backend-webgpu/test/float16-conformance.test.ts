import type { BackendProvider } from '@softgrad/core';
import { type BoundCase, conformance, sections } from '@softgrad/core/conformance';
import { describe, expect, test } from 'vitest';
import { type WebgpuBuffer, webgpu } from '../src/index.js';
import { newDeviceWithSubgroups } from './device.js';
import { withFloat16 } from './emulated-float16.js';

const provider: BackendProvider<WebgpuBuffer> = {
  ...webgpu,
  open: async () => webgpu.open({ device: withFloat16(await newDeviceWithSubgroups()) }),
};

/**
 * Kernels for float16 differ from those for float32 only in their loads and stores. Therefore one case covers lengths that are and are not
 * multiples of 4, and cross-entropy is tested once for each kind of target, loss and gradient.
 */
function isSelected({ id }: BoundCase): boolean {
  // Options change what a kernel computes, not how it loads and stores, and each combination has to compile a kernel.
  if (id.startsWith('combinations/')) return id.startsWith('combinations/softmax-values:');
  if (id.includes('/lengths:')) return /shape=\dx1\.\.9;/.test(id);
  if (!id.startsWith('cross-entropy/')) return true;
  if (/\/(vjp|jvp):/.test(id)) return false;
  return /target=(indices;shape|probabilities;reduction=none)/.test(id);
}

describe('float16 on a device that emulates it', async () => {
  const all = await conformance(provider, { required: true });
  const cases = all.filter((c) => c.id.includes('dtype=float16') && c.skip === null && isSelected(c));

  test('the cases of float16 apply, fused and composed', () => {
    const composed = cases.filter(({ name }) => name.includes('(composed)')).length;
    expect(Math.min(composed, cases.length - composed)).toBeGreaterThan(30);
  });
  // The last case closes the backend.
  for (const { name, run } of sections([...cases, all[all.length - 1]])) test(name, run);
});
