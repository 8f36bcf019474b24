// `npm run pack`: installs, builds, and packs every package that is published into `tarballs`, or into the folder that is named:
// `npm run pack -- FOLDER`. Prints the lines that install them.
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { packInto, withDependencies } from './packages.mjs';
import { prepare, root } from './workspace.mjs';

const [given] = process.argv.slice(2);
const folder = given ? resolve(process.env.INIT_CWD ?? process.cwd(), given) : join(root, 'tarballs');

prepare({ quiet: true });
mkdirSync(folder, { recursive: true });
// Tarballs of an earlier version would be installed beside these.
for (const name of readdirSync(folder)) if (/^softgrad-.*\.tgz$/.test(name)) rmSync(join(folder, name));
const packed = packInto(folder);
console.log(`${packed.length} packages are in ${folder}:\n`);
for (const { tarball } of packed) console.log(`  ${basename(tarball)}`);
console.log('\nIn the folder of a project of yours, this installs softgrad, and what it depends on:\n');
console.log(`  ${installing('softgrad')}`);
console.log('\nand this the command as well:\n');
console.log(`  ${installing('@softgrad/cli')}`);
console.log(
  '\nTarballs that depend on each other are installed by one line: npm would look for the others in its registry.',
);

function installing(name) {
  return `npm install ${withDependencies(name, packed)
    .map(({ tarball }) => tarball)
    .join(' ')}`;
}
