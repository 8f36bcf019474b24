// Publishes packed packages in the order of their dependencies, and none twice.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { unreleasedVersion } from './changelog.mjs';
import { withDependencies } from './packages.mjs';
import { root } from './workspace.mjs';

/** The packages in the order of their dependencies, so that a package can be installed as soon as it is published. */
export function inOrderOfDependencies(packages) {
  const ordered = new Set();
  const visit = (each) => {
    if (ordered.has(each)) return;
    for (const dependency of withDependencies(each.manifest.name, packages)) if (dependency !== each) visit(dependency);
    ordered.add(each);
  };
  for (const each of packages) visit(each);
  return [...ordered];
}

/** What has to be done before the packages can be published, a sentence each: none if nothing is left. */
export function stepsBeforePublishing(packages, waiting = waitingChangesets(), log = changeLog()) {
  const unreleased = unreleasedVersion(log);
  const lacking = packages.filter(({ manifest }) => !manifest.repository?.url);
  const names = lacking.map(({ manifest }) => manifest.name).join(', ');
  const count = waiting.length === 1 ? '1 changeset waits' : `${waiting.length} changesets wait`;
  return [
    ...(waiting.length > 0 ? [`${count} for a version: npm run release:version sets it`] : []),
    ...(unreleased
      ? [`CHANGELOG.md says that ${unreleased} is unreleased: npm run release:version writes its date`]
      : []),
    ...(lacking.length > 0
      ? [
          `no repository in the package.json of ${names}: the registry compares it with the repository that publishes; npm run release:repository -- URL writes it`,
        ]
      : []),
  ];
}

/** The changesets that no version contains yet. */
export function waitingChangesets() {
  return readdirSync(join(root, '.changeset')).filter((name) => name.endsWith('.md') && name !== 'README.md');
}

function changeLog() {
  return readFileSync(join(root, 'CHANGELOG.md'), 'utf8');
}

/**
 * Publishes each tarball whose version is not yet in the registry, so that a failed run can be repeated.
 *
 * @param packed packages with their tarballs, from `packInto`
 * @param npm runs npm with some arguments, and returns the result of `spawnSync`
 */
export function publish(packed, { npm = runNpm, report = console.log } = {}) {
  for (const { manifest, tarball } of inOrderOfDependencies(packed)) {
    const id = `${manifest.name}@${manifest.version}`;
    if (isPublished(id, npm)) {
      report(`  ${id} is published already`);
      continue;
    }
    const { status, stderr } = npm('publish', tarball, '--access', 'public');
    if (status !== 0) {
      throw new Error(
        `${id} was not published, nor was any package after it; the same command goes on from here:\n${stderr}`,
      );
    }
    report(`  ${id} published`);
  }
}

function isPublished(id, npm) {
  const { status, stdout, stderr } = npm('view', id, 'version');
  if (status === 0) return stdout.trim() !== '';
  if (/E404/.test(stderr)) return false;
  throw new Error(`cannot find out whether the registry has ${id}:\n${stderr}`);
}

function runNpm(...args) {
  return spawnSync('npm', args, { encoding: 'utf8', shell: process.platform === 'win32' });
}
