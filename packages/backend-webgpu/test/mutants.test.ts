import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { transformWithEsbuild } from 'vite';
import { describe, expect, test } from 'vitest';
import { casesOf, target } from '../../../scripts/mutants/backend-webgpu.mjs';
import { strayEquivalents } from '../../../scripts/mutants/kernels.mjs';
import { apply, mutants, operators } from '../../../scripts/mutants/operators.mjs';

const files: readonly string[] = target.files;
const textOf = (file: string) => readFileSync(join(target.folder, file), 'utf8');

describe('mutants of the WGSL', () => {
  test('exist for every file with a marked template string, and for no other', () => {
    expect(files).toContain('kernels/numerics.ts');
    for (const file of files) expect(textOf(file)).toContain('/* wgsl */');
    for (const file of ['queue.ts', 'kernels/rows.ts']) expect(files).not.toContain(file);
  });

  test.each(files)('change only the WGSL of %s: the TypeScript around it still parses', async (file) => {
    const text = textOf(file);
    for (const mutant of mutants(text, 'wgsl-in-ts')) {
      expect(Object.keys(operators)).toContain(mutant.operator);
      expect(text.slice(mutant.start, mutant.end)).not.toMatch(/;\n|\bconst\b/);
      await transformWithEsbuild(apply(text, mutant), file);
    }
  });

  test.each([
    ['kernels/cross-entropy.ts', 'webgpu: cross-entropy/loss:target=indices;shape=7x5;axis=1;input=spread', true],
    [
      'kernels/cross-entropy.ts',
      'webgpu (composed): cross-entropy/loss:target=indices;shape=7x5;axis=1;input=spread',
      false,
    ],
    ['kernels/reduce.ts', 'webgpu (composed): log-softmax/values:shape=7x5;axis=1;input=spread', true],
    ['kernels/jacobian.ts', 'webgpu: softmax/values:shape=7x5;axis=1;input=spread', false],
    ['kernels/jacobian.ts', 'webgpu: jacobian/lengths:shape=3x1..8;axis=1;input=narrow', true],
    ['kernels/vjp.ts', 'webgpu: extremes/nearly-one-hot:operation=softmax.vjp', true],
    ['kernels/softmax.ts', 'webgpu: log-sum-exp/values:shape=7x5;axis=1;input=spread', true],
  ] as const)('of %s are tried by %s: %j', (file, name, expected) => {
    expect(casesOf[file].test(name)).toBe(expected);
  });

  test('include those listed as equivalent', () => {
    expect(strayEquivalents(target)).toEqual([]);
  });
});
