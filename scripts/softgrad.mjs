// `npm run softgrad -- COMMAND …`: runs the command of this checkout, which is built if necessary, in the folder in which npm was called.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { prepare, root, run } from './workspace.mjs';

const main = join(root, 'packages', 'cli', 'dist', 'main.js');
if (!existsSync(main)) await prepare();
process.exit(run(process.execPath, [main, ...process.argv.slice(2)], { cwd: process.env.INIT_CWD ?? root }));
