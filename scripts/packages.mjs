// The published packages and their tarballs.
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pnpmStep, testFolders } from './workspace.mjs';

/** Every published package: its folder and its package.json. */
export function publishedPackages() {
  return testFolders()
    .map((folder) => ({ folder, manifest: JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) }))
    .filter(({ manifest }) => !manifest.private);
}

/** Packs built packages as they are published, in one process. Returns each with the path of its tarball. */
export async function packInto(destination, packages = publishedPackages()) {
  mkdirSync(destination, { recursive: true });
  const filters = packages.map(({ manifest }) => `--filter=${manifest.name}`);
  const packing = [
    '--recursive',
    ...filters,
    'pack',
    '--pack-destination',
    destination,
    '--config.ignore-scripts=true',
  ];
  if ((await pnpmStep('Packing', packing)) !== 0) throw new Error('packing failed: see above');
  return packages.map((each) => ({ ...each, tarball: join(destination, tarballName(each.manifest)) }));
}

function tarballName({ name, version }) {
  return `${name.replace('@', '').replace('/', '-')}-${version}.tgz`;
}

/** A package and the packages of the workspace that it depends on, directly or indirectly. */
export function withDependencies(name, packages) {
  const found = new Set();
  const visit = (wanted) => {
    const each = packages.find(({ manifest }) => manifest.name === wanted);
    if (!each || found.has(each)) return;
    found.add(each);
    for (const dependency of Object.keys(each.manifest.dependencies ?? {})) visit(dependency);
  };
  visit(name);
  return [...found];
}
