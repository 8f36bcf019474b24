// `npm run docs`: installs, builds, and makes the documentation site.
import { join } from 'node:path';
import { pnpm, prepare, root } from './workspace.mjs';

prepare({ quiet: true });
const status = pnpm(['--filter', '@softgrad/docs', 'run', 'site'], { quiet: true });
if (status === 0) console.log(`The documentation is at ${join(root, 'docs', 'dist', 'index.html')}`);
process.exit(status);
