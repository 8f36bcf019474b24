import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { loadModule, registeringModule } from '../src/module.js';
import { packageEntry } from '../src/package-entry.js';
import { softgrad, temporaryFolder } from './command.js';

const folder = temporaryFolder();
afterAll(folder.remove);

/** An installed package with these files. */
function install(name: string, manifest: object, ...files: readonly string[]): void {
  const path = join('node_modules', name);
  mkdirSync(folder.at(path), { recursive: true });
  for (const file of files) folder.write(join(path, file), '');
  folder.write(join(path, 'package.json'), JSON.stringify({ name, ...manifest }));
}

const types = './index.d.ts';
const conditional = { types, browser: './browser.js', import: './module.js', require: './common.cjs' };
install('main', { main: 'lib.js' }, 'lib.js', 'other.js');
install('text', { exports: './module.js' }, 'module.js');
install('@own/conditional', { exports: conditional }, 'module.js', 'common.cjs');
install('nested', {
  exports: { '.': { types, node: [{ browser: './browser.js' }, conditional] }, './sub': './sub.js' },
});
install('common', { exports: { '.': { require: './common.cjs' } } }, 'common.cjs');
install('none', { exports: { './sub': './sub.js' } });
install('null', { exports: null, main: 'lib.js' }, 'lib.js');
install('unbuilt', { main: 'dist/index.js' });
install('unbuilt-exports', { exports: './dist/index.js' });
install('unnamed', {});
mkdirSync(folder.at('node_modules/empty'));

test.each([
  ['main', 'main/lib.js'],
  ['main/other.js', 'main/other.js'],
  ['text', 'text/module.js'],
  ['@own/conditional', '@own/conditional/module.js'],
  ['nested', 'nested/module.js'],
  ['nested/sub', 'nested/sub.js'],
  ['none/sub', 'none/sub.js'],
  ['null', 'null/lib.js'],
])('Node imports the entry that is found for %s', (name, entry) => {
  expect(packageEntry(name, folder.path)).toBe(folder.at(join('node_modules', entry)));
  expect(packageEntry(name, folder.at('sub/folder'))).toBe(folder.at(join('node_modules', entry)));
});

test.each([
  ['unbuilt', 'unbuilt/dist/index.js'],
  ['unbuilt-exports', 'unbuilt-exports/dist/index.js'],
  ['unnamed', 'unnamed/index.js'],
  ['main/absent.js', 'main/absent.js'],
])('the entry that %s names is missing', async (name, entry) => {
  const path = folder.at(join('node_modules', entry));
  expect(packageEntry(name, folder.path)).toBe(path);
  await expect(loadModule(name, { onIdle: () => () => {} }, folder.path)).rejects.toMatchObject({
    code: 'ERR_VALUE',
    message: `--module ${name}: the package is installed, but its entry ${path} is missing; build the package, or install it again`,
  });
});

test.each(['absent', 'empty', '@own/absent', '@own', './main', '/main', 'C:\\main', '', '..', 'main/', 'fs'])(
  '%j is no installed package',
  (name) => {
    expect(packageEntry(name, folder.path)).toBeNull();
  },
);

test.each(['common', 'none', 'text/module.js', 'none/other', 'nested/other'])(
  '%s is no entry of its package',
  (name) => {
    expect(() => packageEntry(name, folder.path)).toThrow();
  },
);

test('--module takes the name of a package, of which the commands run the backend', async () => {
  // It is installed where the tests run.
  const module = ['--module', '@softgrad/doctor'];
  const expected = /^softgrad: --module @softgrad\/doctor: expected a provider \(/;
  const commands = [['conformance'], ['bench'], ['accuracy'], ['demo'], ['softmax', '1,2']];
  for (const command of commands) expect((await softgrad([...command, ...module])).stderr).toMatch(expected);
  const nothing =
    /^softgrad: --module @softgrad\/absent: no such file or directory, and no package of that name is installed here; expected npm install @softgrad\/absent, or a file, as \.\/mine\.js\n$/;
  for (const command of commands)
    expect((await softgrad([...command, '--module', '@softgrad/absent'])).stderr).toMatch(nothing);
  expect((await softgrad(['conformance', '--module', 'absent-package'])).stderr).toContain(
    'npm install absent-package,',
  );
  expect((await softgrad(['conformance', '--module', folder.path])).stderr).toContain(': not a regular file;');
  expect((await softgrad(['conformance', '--module', '@softgrad/doctor/absent'])).stderr).toMatch(
    /^softgrad: --module @softgrad\/doctor\/absent: the package has no such entry: .*\n$/,
  );
});

test('the processes of bench get its name, which they resolve in the same folder, and of a file the path', () => {
  const passed = (file: string) => new URL(registeringModule(file)).searchParams.get('file');
  expect(passed('@softgrad/doctor')).toBe('@softgrad/doctor');
  // A folder may have the name of a package, as in a workspace.
  expect(passed('node_modules')).toBe('node_modules');
  expect(passed('package.json')).toBe(resolve('package.json'));
});
