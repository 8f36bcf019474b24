import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { transformWithOxc } from 'vite';
import { describe, expect, test } from 'vitest';
import { target } from '../../../scripts/mutants/backend-webgpu.mjs';
import { strayEquivalents } from '../../../scripts/mutants/kernels.mjs';
import { apply, mutants, operators } from '../../../scripts/mutants/operators.mjs';
import { withMarkers, withoutMarkers } from '../../../scripts/mutants/switched-wgsl.mjs';

interface Mutant {
  readonly id: string;
  readonly start: number;
  readonly end: number;
  readonly after: string;
}

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
      await transformWithOxc(apply(text, mutant), file);
    }
  });

  test('are comments around what they replace: each of them can take effect, or none', () => {
    const inner = '$'.concat('{k ? /* wgsl */ `p % q` : 0}');
    const text = `/* wgsl */ \`if (a / b - c > 1u) { x = select(y, ${inner}, m) & 255u; } // a\``;
    const own: readonly Mutant[] = mutants(text, 'wgsl-in-ts').map((mutant: Omit<Mutant, 'id'>, id: number) => ({
      ...mutant,
      id: String(id),
    }));
    expect(own.length).toBeGreaterThan(8);
    const marked = withMarkers(text, own);
    expect(withoutMarkers(marked)).toBe(text);
    expect(own.map(({ id }) => withoutMarkers(marked, id))).toEqual(own.map((mutant) => apply(text, mutant)));
  });

  test('include those listed as equivalent', () => {
    expect(strayEquivalents(target)).toEqual([]);
  });
});
