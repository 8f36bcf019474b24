import type { Supports } from '@softgrad/core';
import { type BoundCase, skipReasons } from '@softgrad/core/conformance';
import { expect } from 'vitest';
import type { EngineName } from '../src/index.js';

const float32 = { dtypes: ['float32'], inPlace: true, nonFinite: 'ieee', range: 'ordinary' } as const;
const onHost = {
  ...float32,
  limits: { elements: 2 ** 28, classes: 2 ** 28 },
  expUlp: { base: 1, slope: 0 },
} as const;
const onSwiftShader = { ...float32, subnormals: 'flush', expUlp: { base: 3, slope: 0 } } as const;
const never = ['does not announce range: full', 'does not announce view', 'has no float16', 'has no float64'];

/**
 * What each engine announces in the tests: in Node, and in Chromium on SwiftShader. `supports` is measured, so a program with wrong results
 * would announce a weakness, and the cases that it fails would be skipped; this expectation prevents that.
 */
export const known: Readonly<Record<EngineName, { readonly supports: unknown; readonly lacking: readonly string[] }>> =
  {
    cpu: {
      supports: { ...onHost, device: 'plain JavaScript (tfjs cpu)', subnormals: 'preserve' } satisfies Supports,
      lacking: never,
    },
    wasm: {
      supports: {
        ...onHost,
        device: expect.stringMatching(/^WebAssembly SIMD, (1 thread|\d+ threads) \(tfjs wasm\)$/),
        subnormals: 'preserve',
      },
      lacking: never,
    },
    webgl: {
      supports: {
        ...onSwiftShader,
        // A texture of 8192 × 8192.
        limits: { elements: 2 ** 26, classes: 2 ** 26 },
        device: expect.stringMatching(/SwiftShader.* \(tfjs webgl\)$/),
      },
      lacking: never,
    },
    webgpu: {
      supports: {
        ...onSwiftShader,
        limits: { elements: 2 ** 28, classes: 2 ** 28 },
        device: 'google swiftshader (tfjs webgpu)',
      },
      lacking: [...never, 'does not announce readSync'].sort(),
    },
  };

/**
 * The reasons for skipped cases that name something an engine lacks, without reasons of cases about the absence of something it has.
 * The number of cases follows from the suite.
 */
export function lacking(cases: readonly BoundCase[]): readonly string[] {
  return Object.keys(skipReasons(cases))
    .filter((reason) => !/^(announces|has float32|has a basis|has kernels)/.test(reason))
    .sort();
}
