// `npm run release:version`: sets the next version, which follows from the changesets, in every package, and moves their texts into CHANGELOG.md. If CHANGELOG.md
// has a version that is unreleased, that one stays the version and gets the date.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nextVersion, unreleasedVersion, withRelease } from './changelog.mjs';
import { publishedPackages } from './packages.mjs';
import { waitingChangesets } from './publish.mjs';
import { pnpm, root, testFolders } from './workspace.mjs';

try {
  const file = join(root, 'CHANGELOG.md');
  const log = readFileSync(file, 'utf8');
  const unreleased = unreleasedVersion(log);
  const changesets = waitingChangesets().length > 0 ? readChangesets() : [];
  if (changesets.length === 0 && unreleased === undefined)
    throw new Error('there is no changeset: write one with npm run changeset');
  const types = changesets.flatMap(({ releases }) => releases.map(({ type }) => type));
  const version = unreleased ?? nextVersion(publishedPackages()[0].manifest.version, types);
  const date = new Date().toISOString().slice(0, 10);
  if (changesets.length > 0) changeset('version');
  // The tool changesets makes a major release of a package if a peer dependency has a minor release; here all packages are released together.
  for (const folder of testFolders()) setVersion(join(folder, 'package.json'), version);
  writeFileSync(file, withRelease(log, version, date, changesets));
  console.log(`All packages are ${version}; CHANGELOG.md has what is new.`);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}

function readChangesets() {
  const folder = mkdtempSync(join(tmpdir(), 'softgrad-version-'));
  try {
    const plan = join(folder, 'plan.json');
    changeset('status', '--output', plan);
    return JSON.parse(readFileSync(plan, 'utf8')).changesets;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function changeset(...args) {
  if (pnpm(['exec', 'changeset', ...args], { quiet: true }) !== 0)
    throw new Error(`changeset ${args[0]} failed: see above`);
}

function setVersion(file, version) {
  const text = readFileSync(file, 'utf8');
  writeFileSync(file, text.replace(/"version": "[^"]*"/, `"version": "${version}"`));
}
