import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** An installed package with the versions of its engine. */
export interface Installed {
  readonly name: string;
  readonly version: string;
  /** `gpu.js 2.16.0`, … */
  readonly engine: readonly string[];
}

const own = [
  'softgrad',
  ...['cli', 'core', 'doctor', 'formats', 'bench', 'distributed'].map((name) => `@softgrad/${name}`),
];

/** The versions of the installed softgrad packages and of their engines. */
export function installedVersions(backendNames: readonly string[]): readonly Installed[] {
  const softgrad = createRequire(import.meta.url).resolve('softgrad/package.json');
  const installed: Installed[] = [];
  for (const name of [...own, ...backendNames.map((backend) => `@softgrad/backend-${backend}`)]) {
    const found = findManifest(name, import.meta.url) ?? findManifest(name, softgrad);
    if (found === null) continue;
    const { version, dependencies, peerDependencies, optionalDependencies } = found.manifest;
    const all = { ...dependencies, ...peerDependencies, ...optionalDependencies };
    const foreign = Object.keys(all).filter((dependency) => !dependency.includes('softgrad'));
    const engine = name.includes('/backend-') ? foreign.flatMap((dependency) => versionOf(dependency, found.file)) : [];
    installed.push({ name, version, engine });
  }
  return installed;
}

function versionOf(name: string, from: string): readonly string[] {
  const found = findManifest(name, from);
  return found === null ? [] : [`${name} ${found.manifest.version}`];
}

/** The package.json that an import from `from` finds; null if the package is not installed, does not export it or must not be read. */
function findManifest(name: string, from: string): { readonly file: string; readonly manifest: Manifest } | null {
  try {
    const file = createRequire(from).resolve(`${name}/package.json`);
    return { file, manifest: JSON.parse(readFileSync(file, 'utf8')) };
  } catch {
    return null;
  }
}
