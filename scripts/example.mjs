// `npm run example NAME [-- OPTIONS]`: installs, builds, and runs one of the examples.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { prepare, root, run } from './workspace.mjs';

const names = readdirSync(join(root, 'examples', 'src'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name);
const [name, ...options] = process.argv.slice(2);
if (!names.includes(name)) {
  console.error(
    `${name === undefined ? 'Which example?' : `There is no example '${name}'.`} There are: ${names.join(', ')}.`,
  );
  console.error('For instance: npm run example digits -- --derivative row-sum');
  process.exit(2);
}
await prepare();
process.exit(run(process.execPath, [join('examples', 'dist', name, 'main.js'), ...options]));
