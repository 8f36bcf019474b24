import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { fragments, openings, root, type Snippet, snippets } from './snippets.js';

/** Compiles with the compiler of the workspace, in the least processor time: see scripts/check.mjs. `npm run test:consumers -- types` tests other versions. */
function tsc(...options: readonly string[]): string {
  const compiler = join(root, 'node_modules/typescript/bin/tsc');
  const env = { ...process.env, GOGC: '400' };
  return spawnSync(process.execPath, [compiler, '--checkers', '1', ...options], { encoding: 'utf8', env }).stdout;
}

const folder = mkdtempSync(fileURLToPath(new URL('.compile-', import.meta.url)));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The fragment in the README of a backend that can lose its device. */
const afterLoss = (name: string): readonly [string, string] => [
  `packages/backend-${name}/README.md: async function probabilities() {`,
  `import { cpu } from '@softgrad/backend-cpu'; import { ${name} } from '@softgrad/backend-${name}';
import { isSoftgradError, setBackend, softmax } from '@softgrad/core';
declare const logits: number[][];`,
];

/** What a fragment needs from the code around it, by its place in the documents: the page, and the first line. */
const contexts: Readonly<Record<string, string>> = {
  "docs/choose-a-backend.md: const backend = await setBackend('webgpu', 'wasm', 'cpu', { onSkip: console.warn });": `import { setBackend } from 'softgrad';`,
  "docs/many-machines.md: import { createPlan, folderStore, runEmbedded } from '@softgrad/distributed';": '',
  'docs/training.md: const result = crossEntropy(logits, labels);': `import { crossEntropy, tensor } from 'softgrad';
const [logits, labels] = [tensor([[1, 2, 3]]), [2]];`,
  "docs/write-a-backend.md: import { test } from 'node:test'; // or vitest's": '',
  "docs/write-a-backend.md: import { conformance, sections, skipReasons } from '@softgrad/core/conformance';": '',
  "docs/write-a-backend.md: import { register, setBackend } from 'softgrad';": '',
  'docs/write-a-backend.md: const exps = row.map((i) => Math.exp(at(x, i) - max));': `declare const row: readonly number[], x: Float32Array, max: number;
declare function at(buffer: Float32Array, index: number): number;`,
  ...Object.fromEntries(['webgpu', 'gpujs', 'tfjs'].map(afterLoss)),
  "packages/softgrad/README.md: await setBackend('webgpu', 'wasm', 'cpu', { onSkip: console.warn }); // webgpu: WebGPU has no adapter: …": `import { setBackend } from 'softgrad';`,
  "packages/backend-wasm/README.md: import kernels from '@softgrad/backend-wasm/simd.wasm'; // a WebAssembly.Module there": `import { wasm } from '@softgrad/backend-wasm';`,
  'packages/backend-webgpu/README.md: const gpu = await webgpu.open();': `import { webgpu } from '@softgrad/backend-webgpu';
import { softmax, tensor } from '@softgrad/core';`,
};

/** What the types of a platform whose modules import WebAssembly declare. */
const wasmModules = `declare module '*.wasm' {
  const module: NonNullable<NonNullable<import('@softgrad/backend-wasm').WasmOptions>['module']>;
  export default module;
}`;

const keyOf = ({ place, code }: Snippet) => `${place.replace(/:\d+$/, '')}: ${code.split('\n', 1)[0]}`;

test('every block of code in the documents is compiled: a snippet, or a fragment with what is around it', () => {
  expect(openings()).toHaveLength(snippets().length + fragments().length);
  expect(fragments().map(keyOf).sort()).toEqual(Object.keys(contexts).sort());
});

describe('the code in the documents compiles in a strict project', () => {
  const places = new Map<string, string>();
  beforeAll(() => {
    const write = (name: string, { place }: Snippet, code: string) => {
      places.set(name, place);
      // A block without imports is a module too.
      writeFileSync(join(folder, `${name}.ts`), `${code}\nexport {};\n`);
    };
    for (const [k, snippet] of snippets().entries()) write(`snippet${k}`, snippet, snippet.code);
    for (const [k, fragment] of fragments().entries()) {
      // On the line of the fragment, so that the lines of errors are those of the document.
      const context = (contexts[keyOf(fragment)] ?? '').replaceAll('\n', ' ');
      write(`fragment${k}`, fragment, `${context}${context && '; '}${fragment.code}`);
    }
    const [template] = snippets().filter(({ place }) => place.startsWith('docs/write-a-backend.md'));
    writeFileSync(join(folder, 'mine.mts'), template.code);
    const published = join(folder, 'node_modules/softgrad-mine');
    mkdirSync(published, { recursive: true });
    writeFileSync(join(published, 'package.json'), '{ "type": "module", "exports": "./mine.ts" }');
    writeFileSync(join(published, 'mine.ts'), template.code);
    writeFileSync(join(folder, 'platform.d.ts'), wasmModules);
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  });

  // Without `lib`, that of the target with the DOM. The types of libraries depend on it: with esnext there is a Float16Array.
  const oldest = ['es2022', ['es2022']] as const;
  const newest = ['esnext', undefined] as const;
  const others = [newest, ['es2022', undefined], ['es2022', ['esnext']], ['es2022', ['esnext', 'dom']]] as const;
  test.each([oldest, ...(inject('everything') ? others : [])])('of target %s and lib %j', (target, lib) => {
    const config = {
      compilerOptions: {
        module: 'nodenext',
        target,
        ...(lib && { lib }),
        types: ['node'],
        strict: true,
        exactOptionalPropertyTypes: true,
        noUncheckedIndexedAccess: true,
        noEmit: true,
        skipLibCheck: true,
      },
      include: ['*.ts', '*.mts'],
    };
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
    expect(tsc('-p', folder).replace(/^\S*?(\w+)\.ts/gm, (file, name) => places.get(name) ?? file)).toBe('');
  });
});

test('the types of the packages compile with only the library of the target, with library types checked', () => {
  // Those of tfjs and distributed refer to other packages' types: npm run test:consumers compiles them.
  const entries = [
    'softgrad',
    'softgrad/backends',
    '@softgrad/core',
    '@softgrad/core/conformance',
    '@softgrad/doctor',
    '@softgrad/doctor/code',
    '@softgrad/backend-cpu',
    '@softgrad/backend-wasm',
    '@softgrad/backend-wasm/simd',
    '@softgrad/backend-wasm/relaxed',
    '@softgrad/backend-webgpu',
    '@softgrad/backend-gpujs',
    '@softgrad/formats',
    '@softgrad/bench',
    '@softgrad/bench/charts',
  ];
  const lines = entries.map((entry, k) => `export * as entry${k} from '${entry}';\n`);
  writeFileSync(join(folder, 'plain.mts'), lines.join(''));
  const options = ['--strict', '--module', 'nodenext', '--target', 'es2022', '--lib', 'es2022', '--noEmit'];
  expect(tsc(...options, join(folder, 'plain.mts'))).toBe('');
});
