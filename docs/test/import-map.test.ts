import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { root } from './snippets.js';

const manifestOf = (name: string) =>
  JSON.parse(readFileSync(join(root, 'packages', name.replace('@softgrad/', ''), 'package.json'), 'utf8'));

test('the import map in the README of softgrad has the main file of each package that softgrad needs', () => {
  const readme = readFileSync(join(root, 'packages/softgrad/README.md'), 'utf8');
  const [, map] = /<script type="importmap">([\s\S]*?)<\/script>/.exec(readme) ?? [];
  const needed = ['softgrad', ...Object.keys(manifestOf('softgrad').dependencies)];
  const expected = needed.map((name) => {
    const main: string = manifestOf(name).exports['.'].default;
    return [name, main.replace('./', `/node_modules/${name}/`)];
  });
  const { imports } = JSON.parse(map ?? '{}');
  expect(Object.entries(imports).sort()).toEqual(expected.sort());
});
