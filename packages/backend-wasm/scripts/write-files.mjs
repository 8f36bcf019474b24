// After tsc: writes into dist what is also loaded as a file, from what src holds as strings: the worker, self-contained, and the
// kernels as modules. Shortens their types.
import { rmSync, writeFileSync } from 'node:fs';
import { inflateSync } from 'node:zlib';
import { workerSource } from '../dist/worker.generated.js';
import { modules } from './build-kernels.mjs';

const at = (name) => new URL(`../dist/${name}`, import.meta.url);

// A bundle that does not copy the worker looks for it beside itself: under a name that no application has for a file of its own.
writeFileSync(at('softgrad-worker.js'), `${workerSource}\n`);
rmSync(at('softgrad-worker.js.map'), { force: true });

for (const name of Object.keys(modules)) {
  const { module, memoryFlags } = await import(`../dist/${name}.generated.js`);
  // tsc would repeat the whole module as the type of a constant.
  writeFileSync(
    at(`${name}.generated.d.ts`),
    'export declare const memoryFlags: number;\nexport declare const module: string;\n',
  );
  rmSync(at(`${name}.generated.d.ts.map`), { force: true });
  const bytes = inflateSync(Buffer.from(module, 'base64'));
  writeFileSync(at(`${name}.wasm`), bytes);
  bytes[memoryFlags] = 3;
  writeFileSync(at(`${name}-shared.wasm`), bytes);
}
writeFileSync(
  at('wasm-file.d.ts'),
  `import type { CompiledModule } from './options.js';
declare const module: CompiledModule;
export default module;
`,
);
