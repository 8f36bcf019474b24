// `npm run softgrad -- COMMAND …`: the command from this checkout, built if it is not, in the folder that npm was called in.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { prepare, root, run } from './workspace.mjs';

const main = join(root, 'packages', 'cli', 'dist', 'main.js');
if (!existsSync(main)) prepare({ quiet: true });
process.exit(run(process.execPath, [main, ...process.argv.slice(2)], { cwd: process.env.INIT_CWD ?? root }));
