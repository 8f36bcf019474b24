import { join } from 'node:path';
import { publishedPackages } from '../../scripts/packages.mjs';
import { apiReport, programOf } from './api.mjs';

/** The texts of the files in api/, one for each package with types. */
export function apiReports() {
  const packages = publishedPackages().map(({ folder, manifest: { name, exports } }) => ({
    name,
    entries: Object.entries(exports)
      .filter(([, target]) => typeof target === 'object' && target.types)
      .map(([path, { types }]) => ({ name: name + path.slice(1), types: join(folder, types) })),
  }));
  // One program for all packages, because they share most of their declarations.
  const program = programOf(packages.flatMap(({ entries }) => entries.map(({ types }) => types)));
  return new Map(
    packages
      .filter(({ entries }) => entries.length > 0)
      .map(({ name, entries }) => [`${name.replace('@softgrad/', '')}.md`, apiReport(name, entries, program)]),
  );
}
