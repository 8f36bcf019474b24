import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAst } from 'vite';
import { describe, expect, test } from 'vitest';

// Applications install some of the optional packages only. Bundlers then build an application if every import() of an optional package is directly inside
// `try`: esbuild also allows `.catch()`, and webpack allows neither that nor a function inside `try`.

const packages = fileURLToPath(new URL('../..', import.meta.url));

interface Manifest {
  readonly private?: boolean;
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** They run in Node only, where each entry with an optional package is imported by those who have it. */
const onlyInNode = ['cli', 'distributed'];
const inPages = readdirSync(packages).filter((name) => !onlyInNode.includes(name));

const withOptional = inPages.flatMap((name) => {
  const manifest: Manifest = JSON.parse(readFileSync(join(packages, name, 'package.json'), 'utf8'));
  const optional = [
    ...Object.keys(manifest.peerDependenciesMeta ?? {}),
    ...Object.keys(manifest.optionalDependencies ?? {}),
  ];
  return manifest.private || optional.length === 0 ? [] : [{ name, optional }];
});

/** The part of esbuild that is used here; size-limit brings it. */
interface Esbuild {
  build(options: Readonly<Record<string, unknown>>): Promise<{ readonly errors: readonly { readonly text: string }[] }>;
}
const esbuild: Esbuild = createRequire(createRequire(import.meta.url).resolve('@size-limit/esbuild'))('esbuild');

test('packages with optional packages are found', () => {
  expect(withOptional.map(({ name }) => name)).toEqual(expect.arrayContaining(['backend-tfjs', 'bench', 'softgrad']));
});

describe.each(withOptional)('$name', ({ name, optional }) => {
  test('is bundled by esbuild where none of its optional packages is installed', async () => {
    await esbuild.build({
      entryPoints: [join(packages, name, 'dist/index.js')],
      bundle: true,
      write: false,
      logLevel: 'silent',
      format: 'esm',
      alias: Object.fromEntries(optional.map((each) => [each, `not-installed/${each}`])),
    });
  });

  test('imports them only directly inside try', () => {
    const dist = join(packages, name, 'dist');
    const files = readdirSync(dist, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.js'));
    const unguarded = files.flatMap((file) =>
      importsOutsideTry(parseAst(readFileSync(join(dist, file), 'utf8')))
        .filter((to) => optional.some((each) => to === each || to.startsWith(`${each}/`)))
        .map((to) => `${file}: ${to}`),
    );
    expect(unguarded).toEqual([]);
  });
});

interface Node {
  readonly type: string;
  readonly [part: string]: unknown;
}

/** What a module imports, unless that is inside the block of a `try` of the same function. */
function importsOutsideTry(node: unknown, inTry = false): readonly string[] {
  if (Array.isArray(node)) return node.flatMap((each) => importsOutsideTry(each, inTry));
  if (!isNode(node)) return [];
  const inside = Object.entries(node).flatMap(([part, child]) =>
    importsOutsideTry(
      child,
      /Function/.test(node.type) ? false : inTry || (node.type === 'TryStatement' && part === 'block'),
    ),
  );
  const { source } = node;
  return !inTry && isNode(source) && typeof source.value === 'string' ? [source.value, ...inside] : inside;
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value;
}
