import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const root = new URL('../../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');
const workflows = readdirSync(new URL('.github/workflows', root)).map((name) => ({
  name,
  text: read(`.github/workflows/${name}`),
}));
const matrix: {
  readonly node: readonly string[];
  readonly packages: readonly string[];
  readonly consumers: readonly string[];
} = JSON.parse(read('.github/matrix.json'));

test('every action of a workflow is pinned to a commit', () => {
  const uses = workflows.flatMap(({ text }) => [...text.matchAll(/uses:\s*(\S+)/g)].map(([, action]) => action));
  expect(uses.length).toBeGreaterThan(4);
  expect(uses.filter((action) => !/^[\w-]+\/[\w-]+@[0-9a-f]{40}$/.test(action ?? ''))).toEqual([]);
});

test('workflows take the version of Node from the matrix or the file, and only publishing has its own', () => {
  expect(matrix.node).toContain(read('.github/node-version').trim());
  const own = workflows.flatMap(({ name, text }) =>
    [...text.matchAll(/node-version: "?([\d.]+)/g)].map(([, version]) => [name, version]),
  );
  expect(own).toEqual([['release.yml', expect.toSatisfy((version: string) => matrix.node.includes(version))]]);
});

test('every package requires the oldest Node of the matrix, and is compiled with its types', () => {
  const [oldest = ''] = matrix.node;
  const folders = ['', ...['packages', 'examples', 'docs', 'tools'].flatMap(packagesIn)];
  const manifests = folders.map((folder) => ({ folder, ...JSON.parse(read(`${folder}package.json`)) }));
  expect(manifests.length).toBeGreaterThan(12);
  const others = manifests.filter(({ engines }) => engines !== undefined && engines.node !== `>=${oldest}`);
  expect(others.map(({ folder }) => folder)).toEqual([]);
  const published = manifests.filter((manifest) => manifest.private !== true);
  expect(published.filter(({ engines }) => engines === undefined).map(({ folder }) => folder)).toEqual([]);
  const types = manifests.flatMap(({ devDependencies }) => devDependencies?.['@types/node'] ?? []);
  expect(new Set(types)).toEqual(new Set([`${oldest}.0`]));
});

/** The folders of packages in a folder, or the folder itself, with a slash at the end. */
function packagesIn(folder: string): readonly string[] {
  if (existsSync(new URL(`${folder}/package.json`, root))) return [`${folder}/`];
  const names = readdirSync(new URL(folder, root)).map((name) => `${folder}/${name}/`);
  return names.filter((path) => existsSync(new URL(`${path}package.json`, root)));
}

test('every job that installs, except those of a release, keeps the packages that pnpm downloads', () => {
  const jobs = workflows
    .filter(({ name }) => name !== 'release.yml')
    .flatMap(({ name, text }) => text.split(/^ {2}(?=[\w-]+:$)/m).map((job) => ({ name, job })))
    .filter(({ job }) => job.includes('actions/setup-node@'));
  expect(jobs.length).toBeGreaterThan(5);
  expect(jobs.filter(({ job }) => !/key: pnpm-\$\{\{ runner\.os \}\}/.test(job))).toEqual([]);
});

test('every npm script that a workflow runs exists', () => {
  const { scripts } = JSON.parse(read('package.json'));
  const run = workflows.flatMap(({ text }) =>
    [...text.matchAll(/run: npm (?:run )?([\w:]+)/g)].map(([, script]) => script),
  );
  expect(run.filter((script) => !(`${script}` in scripts))).toEqual([]);
  expect(run).toContain('test:quick');
  expect(run).toContain('test:all');
});

test('every script that installs the dependencies needs none of them before', () => {
  const { scripts }: { readonly scripts: Readonly<Record<string, string>> } = JSON.parse(read('package.json'));
  const files = Object.values(scripts).flatMap((script) => /^node (scripts\/\S+)/.exec(script)?.[1] ?? []);
  const installing = files
    .map((file) => staticImports(file))
    .filter((found) => found.includes('scripts/workspace.mjs'));
  expect(installing.length).toBeGreaterThan(10);
  expect(installing.flat().filter((name) => !/^node:|\.mjs$/.test(name))).toEqual([]);
});

/** What a module imports when it is loaded, by itself and through other modules: paths from the root and names of packages. */
function staticImports(path: string, found = new Set<string>()): readonly string[] {
  found.add(path);
  // Statements of import come first; further down there may be programs in strings.
  const [imports = ''] = read(path).split(/^(?!import|\}|\/|\s|$)/m, 1);
  for (const [, name = ''] of imports.matchAll(/ from '([^']+)'/g)) {
    if (!name.startsWith('.')) found.add(name);
    else {
      const imported = new URL(name, new URL(path, root)).href.slice(root.href.length);
      if (!found.has(imported)) staticImports(imported, found);
    }
  }
  return [...found];
}

test('a workflow tries the mutants of every package that has some', () => {
  const options = { cwd: root, encoding: 'utf8', stdio: 'pipe' } as const;
  let refused = '';
  try {
    execFileSync(process.execPath, ['scripts/mutants/main.mjs', 'none'], options);
  } catch (error) {
    refused = (error as { readonly stderr: string }).stderr;
  }
  const [, names = ''] = /There are: (.*)\./.exec(refused) ?? [];
  expect([...matrix.packages].sort()).toEqual(names.split(', ').sort());
});

test('a workflow tries every consumer', () => {
  const listed = execFileSync(process.execPath, ['scripts/consumers/main.mjs', '--list'], {
    cwd: root,
    encoding: 'utf8',
  });
  const [, groups = ''] = /^groups of them: (.*)$/m.exec(listed) ?? [];
  expect([...matrix.consumers].sort()).toEqual(groups.split(' ').sort());
});
