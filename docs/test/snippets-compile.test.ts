import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { root, snippets } from './snippets.js';

/** The compiler of the workspace, which is native. `npm run test:consumers -- types` tests other versions. */
const tsc = join(root, 'node_modules/typescript/bin/tsc');

const folder = mkdtempSync(fileURLToPath(new URL('.compile-', import.meta.url)));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('the code in the documents compiles in a strict project', () => {
  const places = snippets().map(({ place, code }, k) => {
    writeFileSync(join(folder, `snippet${k}.ts`), code);
    return place;
  });
  const config = {
    compilerOptions: {
      module: 'nodenext',
      target: 'es2022',
      types: ['node'],
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      noEmit: true,
      skipLibCheck: true,
    },
    include: ['*.ts'],
  };
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
  const { stdout } = spawnSync(process.execPath, [tsc, '-p', folder], { encoding: 'utf8' });
  const named = stdout.replace(/^\S*snippet(\d+)\.ts/gm, (_, k) => places[Number(k)]);
  expect(named).toBe('');
});

test('the types of core and cpu compile with only the library of the target, with library types checked', () => {
  writeFileSync(
    join(folder, 'plain.mts'),
    `import { cpu } from '@softgrad/backend-cpu';
import { conformance } from '@softgrad/core/conformance';
import { softmax, tensor } from '@softgrad/core';
export const all = [cpu, conformance, softmax, tensor];\n`,
  );
  const options = ['--strict', '--module', 'nodenext', '--target', 'es2022', '--noEmit'];
  const { stdout } = spawnSync(process.execPath, [tsc, ...options, join(folder, 'plain.mts')], { encoding: 'utf8' });
  expect(stdout).toBe('');
});
