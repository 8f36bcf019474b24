// `npm run docs:doctor`: installs, builds, asks the doctor every case of its confusion test, and writes the answers as docs/data/doctor.json
// and the table of docs/doctor.md. `-- --from-kept` makes the table again from that file, asking nothing.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { argumentsOf } from './arguments.mjs';
import { prepare, root, run } from './workspace.mjs';

const { values } = argumentsOf(import.meta.url, { options: { 'from-kept': { type: 'boolean', default: false } } });
const [data, page] = [join(root, 'docs', 'data', 'doctor.json'), join(root, 'docs', 'doctor.md')];

if (!values['from-kept']) {
  prepare({ quiet: true });
  const cwd = join(root, 'packages', 'doctor');
  const env = { SOFTGRAD_CASES: 'all', SOFTGRAD_WRITE_MATRIX: data };
  const status = run('npx', ['vitest', 'run', 'test/confusion.test.ts'], { cwd, env });
  if (status !== 0) process.exit(status);
}
const { withConfusion } = await import('../docs/generate/doctor.mjs');
writeFileSync(page, withConfusion(readFileSync(page, 'utf8'), JSON.parse(readFileSync(data, 'utf8'))));
