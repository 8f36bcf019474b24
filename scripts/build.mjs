// `npm run build`: installs and builds every package.
import { prepare } from './workspace.mjs';

await prepare();
