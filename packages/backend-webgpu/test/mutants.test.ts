import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { transformWithEsbuild } from 'vite';
import { describe, expect, test } from 'vitest';
import { operationsOf, target } from '../../../scripts/mutants/backend-webgpu.mjs';
import { strayEquivalents } from '../../../scripts/mutants/kernels.mjs';
import { apply, mutants, operators } from '../../../scripts/mutants/operators.mjs';

const files: readonly string[] = target.files;
const textOf = (file: string) => readFileSync(join(target.folder, file), 'utf8');

describe('mutants of the WGSL', () => {
  test('are in every file with a marked template string, and nowhere else', () => {
    expect(files).toContain('kernels/numerics.ts');
    for (const file of files) expect(textOf(file)).toContain('/* wgsl */');
    for (const file of ['queue.ts', 'kernels/rows.ts']) expect(files).not.toContain(file);
  });

  test.each(files)('change the WGSL of %s alone: the TypeScript around it still parses', async (file) => {
    const text = textOf(file);
    for (const mutant of mutants(text, 'wgsl-in-ts')) {
      expect(Object.keys(operators)).toContain(mutant.operator);
      expect(text.slice(mutant.start, mutant.end)).not.toMatch(/;\n|\bconst\b/);
      await transformWithEsbuild(apply(text, mutant), file);
    }
  });

  test.each([
    ['kernels/vjp.ts', ['vjp', 'softmaxVjp', 'logSoftmaxVjp', 'logSoftmaxJvp']],
    ['kernels/softmax.ts', ['softmax', 'logSoftmax', 'logSumExp']],
    ['kernels/jacobian.ts', ['jacobian', 'softmaxJacobian', 'logSoftmaxJacobian']],
    ['kernels/reduce.ts', ['basis.reduce']],
    ['kernels/cross-entropy.ts', ['crossEntropy']],
  ])('of %s are tried by the cases that use %j', (file, expected) => {
    const names = [
      ...['softmax', 'vjp', 'jacobian', 'softmaxVjp', 'softmaxJacobian', 'logSoftmax', 'logSoftmaxVjp'],
      ...['logSoftmaxJvp', 'logSoftmaxJacobian', 'logSumExp', 'sigmoid', 'sigmoidVjp', 'relu', 'reluVjp'],
      ...['crossEntropy', 'basis.unary', 'basis.binary', 'basis.select', 'basis.reduce', 'basis.transpose'],
    ];
    expect(names.filter((name) => operationsOf[file].test(name)).sort()).toEqual([...expected].sort());
  });

  test('that are argued to be equivalent are among them', () => {
    expect(strayEquivalents(target)).toEqual([]);
  });
});
