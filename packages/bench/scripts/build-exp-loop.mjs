// Compiles src/exp-loop/exp.c to WebAssembly and embeds it in src/exp-loop/module.generated.ts.
//
//   node scripts/build-exp-loop.mjs    needs clang-19 and lld-19 (apt-get install clang-19 lld-19)
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../src/exp-loop/', import.meta.url));
const flags = ['--target=wasm32', '-O3', '-msimd128', '-nostdlib', '-ffreestanding', '-Wall', '-Wextra'];
const linkFlags = ['-Wl,--no-entry', '-Wl,--import-memory', '-Wl,--strip-all', '-Wl,-z,stack-size=0'];

function compile(extraFlags) {
  const temporary = mkdtempSync(join(tmpdir(), 'softgrad-exp-loop-'));
  try {
    const out = join(temporary, 'exp.wasm');
    const args = [...flags, ...extraFlags, ...linkFlags, '-fuse-ld=lld', '-o', out, join(folder, 'exp.c')];
    const { status, error, stderr } = spawnSync('clang-19', args, { encoding: 'utf8' });
    if (error) throw new Error('clang-19 is missing: apt-get install clang-19 lld-19');
    if (status !== 0 || stderr) throw new Error(stderr);
    return readFileSync(out).toString('base64');
  } finally {
    rmSync(temporary, { recursive: true });
  }
}

const text = [
  '// Made by scripts/build-exp-loop.mjs from exp.c: do not edit.',
  '',
  '/** WebAssembly modules in base64: with fixed-width SIMD, and with relaxed SIMD (fused multiply-add). */',
  `export const simd =\n  '${compile([])}';`,
  '',
  `export const relaxed =\n  '${compile(['-mrelaxed-simd'])}';`,
  '',
].join('\n');
writeFileSync(join(folder, 'module.generated.ts'), text);
