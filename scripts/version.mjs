// `npm run release:version`: gives every package the next version, which the changesets decide, and moves their sentences into CHANGELOG.md.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withRelease } from './changelog.mjs';
import { pnpm, root } from './workspace.mjs';

const folder = mkdtempSync(join(tmpdir(), 'softgrad-version-'));
try {
  const plan = join(folder, 'plan.json');
  changeset('status', '--output', plan);
  const { changesets, releases } = JSON.parse(readFileSync(plan, 'utf8'));
  const [version, ...others] = new Set(releases.map(({ newVersion }) => newVersion));
  if (version === undefined) throw new Error('there is no changeset: write one with npm run changeset');
  if (others.length > 0) throw new Error(`the packages would have ${version}, ${others.join(', ')}`);
  const log = join(root, 'CHANGELOG.md');
  const date = new Date().toISOString().slice(0, 10);
  const written = withRelease(readFileSync(log, 'utf8'), version, date, changesets);
  changeset('version');
  writeFileSync(log, written);
  console.log(`All packages are ${version}; CHANGELOG.md has what is new.`);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function changeset(...args) {
  if (pnpm(['exec', 'changeset', ...args], { quiet: true }) !== 0)
    throw new Error(`changeset ${args[0]} failed: see above`);
}
