// `npm run release:version`: sets the next version, which follows from the changesets, in every package, and moves their texts into CHANGELOG.md.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nextVersion, withRelease } from './changelog.mjs';
import { publishedPackages } from './packages.mjs';
import { pnpm, root, testFolders } from './workspace.mjs';

const folder = mkdtempSync(join(tmpdir(), 'softgrad-version-'));
try {
  const plan = join(folder, 'plan.json');
  changeset('status', '--output', plan);
  const { changesets } = JSON.parse(readFileSync(plan, 'utf8'));
  if (changesets.length === 0) throw new Error('there is no changeset: write one with npm run changeset');
  const types = changesets.flatMap(({ releases }) => releases.map(({ type }) => type));
  const version = nextVersion(publishedPackages()[0].manifest.version, types);
  const log = join(root, 'CHANGELOG.md');
  const date = new Date().toISOString().slice(0, 10);
  const written = withRelease(readFileSync(log, 'utf8'), version, date, changesets);
  changeset('version');
  // The tool changesets makes a major release of a package if a peer dependency has a minor release; here all packages are released together.
  for (const folder of testFolders()) setVersion(join(folder, 'package.json'), version);
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

function setVersion(file, version) {
  const text = readFileSync(file, 'utf8');
  writeFileSync(file, text.replace(/"version": "[^"]*"/, `"version": "${version}"`));
}
