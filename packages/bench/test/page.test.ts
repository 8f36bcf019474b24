import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

/** The import specifiers of a built module and, recursively, of the modules of this package that it imports. */
function importsFrom(module: string, seen = new Map<string, readonly string[]>()): Map<string, readonly string[]> {
  const path = fileURLToPath(new URL(`../dist/${module}`, import.meta.url));
  expect(existsSync(path)).toBe(true);
  const code = readFileSync(path, 'utf8').replaceAll(/\/\*[\s\S]*?\*\//g, '');
  const specifiers = [...code.matchAll(/(?:from |import |import\()'([^']+)'/g)].map(([, specifier]) => specifier);
  seen.set(module, specifiers);
  for (const specifier of specifiers.filter((one) => one.startsWith('.'))) {
    const next = new URL(specifier, `file:///${module}`).pathname.slice(1);
    if (!seen.has(next)) importsFrom(next, seen);
  }
  return seen;
}

test('the browser entry points import neither Node modules nor packages that cannot be bundled', () => {
  const modules = importsFrom('index.js');
  expect([...modules.keys()]).toContain('peers/onnxruntime.js');
  for (const specifiers of modules.values()) {
    expect(
      specifiers.filter((one) => one.startsWith('node:') || one === 'onnxruntime-node' || one === 'linkedom'),
    ).toEqual([]);
  }
});
