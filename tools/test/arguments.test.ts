import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const root = new URL('../../', import.meta.url);
const run = (file: string, ...args: string[]) =>
  spawnSync(process.execPath, [`scripts/${file}`, ...args], { cwd: root, encoding: 'utf8' });

test('--help of a command is the comment of its file, and it does nothing else', () => {
  const { status, stdout, stderr } = run('pack.mjs', '--help');
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout).toMatch(/^`npm run pack -- FOLDER`: .*\n.*install them\.\n$/);
});

test('an option that a command does not take ends it, and says how to list those that it takes', () => {
  const { status, stdout, stderr } = run('release.mjs', '--dry-runn');
  expect({ status, stdout, stderr }).toEqual({
    status: 2,
    stdout: '',
    stderr: "Unknown option '--dry-runn'; --help lists what there is\n",
  });
});

test('every command that reads options has --help', () => {
  const packages = readdirSync(new URL('packages', root)).map((name) => `packages/${name}/scripts`);
  const folders = ['scripts', ...packages].filter((folder) => existsSync(new URL(folder, root)));
  const files = folders.flatMap((folder) =>
    readdirSync(new URL(folder, root), { recursive: true, encoding: 'utf8' }).map((file) => `${folder}/${file}`),
  );
  const reading = files.filter((file) => file.endsWith('.mjs') && file !== 'scripts/arguments.mjs');
  // Those of the repository pass the arguments of other commands on.
  const readsItself = (file: string) =>
    file.startsWith('packages/') ? /parseArgs|argv\.(includes|slice)/ : /parseArgs|argv\.includes/;
  const own = reading.filter((file) => readsItself(file).test(readFileSync(new URL(file, root), 'utf8')));
  expect(own).toEqual([]);
});
