// `npm start`: installs, builds, and runs the demo on the sample signal, or on a file: `npm start -- signal.csv`.
import { prepare, run } from './workspace.mjs';

await prepare();
process.exit(run(process.execPath, ['packages/cli/dist/main.js', 'demo', ...process.argv.slice(2)]));
