// `npm run api`: installs, builds, and writes what every published package exports into api/.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { prepare, root } from './workspace.mjs';

await prepare();
// Import after installation, because this module needs TypeScript.
const { apiReports } = await import('../docs/generate/api-reports.mjs');
for (const [file, text] of apiReports()) writeFileSync(join(root, 'api', file), text);
console.log(`${join(root, 'api')} has the declarations that each package exports.`);
