import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { relaxed, simd, sourceHash } from '../dist/module.generated.js';
import { sourceHash as hashOfSources } from '../scripts/build-kernels.mjs';

test('the embedded modules come from the kernels as they are', () => {
  expect(sourceHash).toBe(hashOfSources());
});

test('each module is under 64 KiB', () => {
  for (const module of [simd, relaxed]) expect(atob(module).length).toBeLessThan(65536);
});

test('what the kernels compile to is what is embedded, where the compiler is', { timeout: 300_000 }, () => {
  const script = fileURLToPath(new URL('../scripts/build-kernels.mjs', import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout).toMatch(/is what src\/kernels compiles to|nothing was rebuilt/);
});
