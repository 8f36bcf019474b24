import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

/** The conditions of package.json's `exports` under which Node imports a module. */
const conditions: readonly string[] = ['node', 'import', 'module-sync', 'default'];

/**
 * The file that `import(name)` in the current folder loads from an installed package, with an own condition for ES modules: `require.resolve` knows only
 * those of CommonJS.
 *
 * @returns null if no package of that name is installed, or if it is not the name of a package
 */
export function packageEntry(name: string, folder = process.cwd()): string | null {
  const [, packageName] = /^((?:@[a-z\d][\w.-]*\/)?[a-z\d][\w.-]*)(?:\/[\w.-]+)*$/i.exec(name) ?? [];
  if (packageName === undefined) return null;
  const rest = name.slice(packageName.length);
  const require = createRequire(join(folder, 'package.json'));
  const places = (require.resolve.paths(packageName) ?? []).map((place) => join(place, packageName));
  const found = places.find((place) => existsSync(join(place, 'package.json')));
  if (found === undefined) return null;
  const { exports } = JSON.parse(readFileSync(join(found, 'package.json'), 'utf8')) as { readonly exports?: unknown };
  const target = targetOf(isSubpaths(exports) ? exports[`.${rest}`] : rest === '' ? exports : undefined);
  return target === null ? require.resolve(name) : join(found, target);
}

function isSubpaths(exports: unknown): exports is Readonly<Record<string, unknown>> {
  return typeof exports === 'object' && exports !== null && Object.keys(exports).some((key) => key.startsWith('.'));
}

/** The first target whose conditions hold. */
function targetOf(target: unknown): string | null {
  if (typeof target === 'string') return target;
  if (typeof target !== 'object' || target === null) return null;
  for (const [condition, next] of Object.entries(target)) {
    const found = Array.isArray(target) || conditions.includes(condition) ? targetOf(next) : null;
    if (found !== null) return found;
  }
  return null;
}
