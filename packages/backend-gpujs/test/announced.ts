import { type BoundCase, skipReasons } from '@softgrad/core/conformance';
import { expect } from 'vitest';
import type { Mode } from '../src/index.js';

const float32 = { dtypes: ['float32'], inPlace: true, range: 'ordinary' } as const;
const onSwiftShader = {
  ...float32,
  limits: { elements: 2 ** 28, classes: 2 ** 24 },
  subnormals: 'flush',
  nonFinite: 'ieee',
  expUlp: { base: 2.88, slope: 0 },
} as const;
const onHost = { ...float32, subnormals: 'preserve', nonFinite: 'ieee' } as const;

/**
 * What each mode announces in the tests: in Node, and in Chromium on SwiftShader. `supports` is measured, so a kernel with wrong results
 * would announce a weakness, and the cases that it fails would be skipped; this expectation prevents that.
 */
export const announced: Readonly<Partial<Record<Mode, unknown>>> = {
  webasm: {
    ...onHost,
    limits: { elements: 2 ** 26, classes: 2 ** 24 },
    device: 'webasm: WebAssembly',
    expUlp: { base: 2.88, slope: 0 },
  },
  cpu: {
    ...onHost,
    limits: { elements: 2 ** 28, classes: 2 ** 24 },
    device: 'cpu: JavaScript, float64 rounded to float32',
    // Half an ULP is optimal; `measure` adds the rest as a margin.
    expUlp: { base: 0.75, slope: 0.01 },
  },
  webgpu: { ...onSwiftShader, device: 'webgpu: google swiftshader' },
  webgl2: { ...onSwiftShader, device: expect.stringMatching(/^webgl2: .*SwiftShader/) },
  webgl: { ...onSwiftShader, device: expect.stringMatching(/^webgl: .*SwiftShader/) },
};

/**
 * The reasons for skipped cases that name something a mode lacks, without reasons of cases about the absence of something it has.
 * The number of cases follows from the suite.
 */
export function lacking(cases: readonly BoundCase[]): readonly string[] {
  return Object.keys(skipReasons(cases))
    .filter((reason) => !/^(announces|has float32|has a basis|has kernels)/.test(reason))
    .sort();
}

const never = ['does not announce range: full', 'does not announce view', 'has no float16', 'has no float64'];

/** The skips of each mode. */
export const lackingIn = (mode: Mode): readonly string[] =>
  mode === 'webgpu' ? [...never, 'does not announce readSync'].sort() : never;
