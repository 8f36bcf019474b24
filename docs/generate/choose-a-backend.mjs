// Writes the tables of docs/choose-a-backend.md: what each backend announces on this machine, which is kept in docs/data/backends.json, and its
// speed in the last run of `npm run docs:performance`.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseStudies } from '@softgrad/tools';
import { softwareDevice } from '../../scripts/chromium.mjs';
import { withTables } from './tables.mjs';

const at = (name) => new URL(`../${name}`, import.meta.url);
const read = (name) => readFileSync(at(name), 'utf8');

// Without a GPU, the software device is chosen by environment variables that must be set when a process starts.
const text = execFileSync(process.execPath, [fileURLToPath(new URL('announced.mjs', import.meta.url))], {
  encoding: 'utf8',
  env: { ...process.env, ...(await softwareDevice()) },
});
writeFileSync(at('data/backends.json'), text);
const studies = parseStudies(read('data/performance.json'), 'docs/data/performance.json');
writeFileSync(at('choose-a-backend.md'), withTables(read('choose-a-backend.md'), JSON.parse(text), studies));
