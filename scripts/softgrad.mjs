// `npm run softgrad -- COMMAND …`: the command from this checkout, built if it is not.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { prepare, root, run } from './workspace.mjs';

const main = join('packages', 'cli', 'dist', 'main.js');
if (!existsSync(join(root, main))) prepare({ quiet: true });
process.exit(run(process.execPath, [main, ...process.argv.slice(2)]));
