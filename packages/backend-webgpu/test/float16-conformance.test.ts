import type { BackendProvider } from '@softgrad/core';
import { type BoundCase, conformance, sections } from '@softgrad/core/conformance';
import { describe, expect, inject, test } from 'vitest';
import { type WebgpuBuffer, webgpu } from '../src/index.js';
import { newDeviceWithSubgroups } from './device.js';
import { withFloat16 } from './emulated-float16.js';

const provider: BackendProvider<WebgpuBuffer> = {
  ...webgpu,
  open: async () => webgpu.open({ device: withFloat16(await newDeviceWithSubgroups()) }),
};

/** Cases that combine kernels which other cases run alone, and shapes of a primitive that load and store as another does. */
const repeated =
  /^softmin\/|^(softmax|log-softmax|sigmoid)\/hvp\b|\/(double-backward|diagonal|to-dense|symmetric|deterministic|input-unchanged)\b|^(softmax|log-sum-exp|sigmoid|relu)\/jvp|^basis\/.*(values=non-finite|rows=(4x1x1|1x67x9|3x130x1|2x99x5|1x17x33))|^basis\/reduce:op=max;rows=2/;

/**
 * Kernels for float16 differ from those for float32 only in their loads and stores. Therefore one case of each property along each axis is enough, fused and composed,
 * one covers lengths that are and are not multiples of 4, and cross-entropy is tested once for each kind of target, loss and gradient.
 */
function selected(cases: readonly BoundCase[]): readonly BoundCase[] {
  const told = new Set<string>();
  return cases.filter(({ id, section, name, skip }) => {
    if (skip !== null || !id.includes('dtype=float16')) return false;
    // Options change what a kernel computes, not how it loads and stores, and each combination has to compile a kernel.
    if (section === 'combinations') return inject('everything') && id.startsWith('combinations/softmax-values:');
    // The operator is a part of the text between loads and stores, and no other part depends on it.
    if (/^basis\/(binary:op=(?!sub)|unary:op=(?!exp))/.test(id)) return inject('everything');
    if (!inject('everything') && repeated.test(id)) return false;
    if (id.includes('/lengths:')) return /shape=\dx1\.\.9;/.test(id);
    if (section === 'basis' || section === 'storage') return true;
    const target = section === 'cross-entropy' ? /target=(indices;shape|probabilities;reduction=none)/.exec(id) : [''];
    if (!target || /^cross-entropy\/(vjp|jvp):/.test(id)) return false;
    const property = [id.split(/[:;]/)[0], /axis=\d/.exec(id)?.[0], target[0], name.includes('(composed)')].join(' ');
    return told.size !== told.add(property).size;
  });
}

describe('float16 on a device that emulates it', async () => {
  const all = await conformance(provider, { required: true });
  const cases = selected(all);

  test('the cases of float16 apply, fused and composed', () => {
    const composed = cases.filter(({ name }) => name.includes('(composed)')).length;
    expect(Math.min(composed, cases.length - composed)).toBeGreaterThanOrEqual(20);
  });
  test('a selection of them is run', () => expect(cases).toHaveLength(inject('everything') ? 201 : 84));
  // The last case closes the backend.
  for (const { name, run } of sections([...cases, all[all.length - 1]])) test(name, run);
});
