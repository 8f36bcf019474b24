// `npm run pack -- FOLDER`: installs, builds, and packs every published package into a folder, by default `tarballs`. Prints the commands that
// install them.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { argumentsOf } from './arguments.mjs';
import { packInto, withDependencies } from './packages.mjs';
import { prepare, root } from './workspace.mjs';

const {
  positionals: [given],
} = argumentsOf(import.meta.url, { allowPositionals: true });
const folder = given ? resolve(process.env.INIT_CWD ?? process.cwd(), given) : join(root, 'tarballs');

await prepare();
mkdirSync(folder, { recursive: true });
// Delete tarballs of earlier versions, which would be installed as well.
for (const name of readdirSync(folder)) if (/^softgrad-.*\.tgz$/.test(name)) rmSync(join(folder, name));
const packed = await packInto(folder);
const withCommandLine = withDependencies('@softgrad/cli', packed);
// Each needs only packages of the first command besides itself.
const formats = packed.filter(({ manifest }) => manifest.name === '@softgrad/formats');
const otherEngines = packed.filter(
  (each) => each.manifest.name.includes('/backend-') && !withCommandLine.includes(each),
);
console.log(`${packed.length} packages are in ${folder}.`);
console.log('\nIn the folder of your project, this command installs softgrad and its dependencies:\n');
console.log(`  ${installing(withDependencies('softgrad', packed))}`);
console.log(
  '\n(The packages are ES modules: in a new project, run `npm pkg set type=module` first, or name your files .mjs.)',
);
console.log('\nThis command installs the command line as well:\n');
console.log(`  ${installing(withCommandLine)}`);
console.log(
  '\nAfter the first one, this reads and writes files of numbers (.npy, JSON, CSV, …); the second one includes it:\n',
);
console.log(`  ${installing(formats)}`);
console.log('\nAfter one of them, the other engines (their READMEs name what else they need):\n');
for (const engine of otherEngines) console.log(`  ${installing([engine])}`);
console.log(
  '\nThe tarballs of a line depend on each other: installed one by one, npm would look for them in its registry.',
);
// pnpm looks for dependencies of tarballs in its registry even if the same command installs them.
const overrides = packed.map(({ manifest, tarball }) => `  '${manifest.name}': 'file:${tarball}'`);
writeFileSync(join(folder, 'pnpm-workspace.yaml'), `overrides:\n${overrides.join('\n')}\n`);
console.log(
  `With pnpm, copy ${join(folder, 'pnpm-workspace.yaml')} into your project first, or its lines into the one there.`,
);

function installing(some) {
  return `npm install ${some.map(({ tarball }) => tarball).join(' ')}`;
}
