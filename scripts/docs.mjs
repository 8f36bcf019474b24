// `npm run docs`: installs, builds, and makes the documentation site. `-- --site DIR` makes what is published: the documentation with the playground
// below it, and a link from each to the other.
import { join, resolve } from 'node:path';
import { argumentsOf } from './arguments.mjs';
import { pnpmStep, prepare, root } from './workspace.mjs';

const { values } = argumentsOf(import.meta.url, { options: { site: { type: 'string' } } });
const folder = values.site === undefined ? join(root, 'docs', 'dist') : resolve(values.site);

await prepare();
const linked = values.site === undefined ? [] : ['--playground', 'playground/index.html'];
const site = ['--filter', '@softgrad/docs', 'run', 'site', '--out', folder, ...linked];
const status = await pnpmStep('Making the documentation', site);
if (status === 0 && values.site !== undefined) {
  // A file of a package may be loaded once the packages are there.
  const { writeStaticPage } = await import('../packages/playground/static.mjs');
  await writeStaticPage(join(folder, 'playground'), { docs: '../index.html' });
}
if (status === 0) console.log(`The documentation is at ${join(folder, 'index.html')}`);
process.exitCode = status;
