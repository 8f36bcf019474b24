import type { BackendProvider } from '@softgrad/core';
import { conformance, sections } from '@softgrad/core/conformance';
import { describe, expect, test } from 'vitest';
import { type WebgpuBuffer, webgpu } from '../src/index.js';
import { newDevice } from './device.js';
import { withFloat16 } from './emulated-float16.js';

const provider: BackendProvider<WebgpuBuffer> = {
  ...webgpu,
  open: async () => webgpu.open({ device: withFloat16(await newDevice()) }),
};

describe('float16 on a device that is taught it', async () => {
  const all = await conformance(provider, { required: true });
  const cases = all.filter(({ id, skip }) => id.includes('dtype=float16') && skip === null);

  test('the cases of float16 apply, fused and composed', () => {
    const composed = cases.filter(({ name }) => name.includes('(composed)')).length;
    expect(Math.min(composed, cases.length - composed)).toBeGreaterThan(40);
  });
  // The last section is the case that closes the backend.
  for (const { name, run } of sections([...cases, all[all.length - 1]])) test(name, run);
});
