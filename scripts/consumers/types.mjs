// Compiles the types of every package, the examples of the READMEs and lines that need exact types in a consumer's project, with library types checked.
import { cpSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { CommandFailed, withProject } from './project.mjs';
import { readmeBlocks } from './readmes.mjs';

const versions = ['5.4', '5.9', '6', '7'];
const resolutions = {
  NodeNext: { module: 'NodeNext', moduleResolution: 'NodeNext' },
  Bundler: { module: 'ESNext', moduleResolution: 'Bundler' },
};
const libraries = { 'with DOM': ['ES2022', 'DOM'], 'without DOM': ['ES2022'] };
const strictness = [{}, { exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true }];

/** The resolution of before Node 16, which reads `main` and `types`; TypeScript 6 has it as deprecated, 7 no longer. */
const node10 = {
  cell: 'node10, main entries',
  options: (version) => ({
    module: 'ESNext',
    moduleResolution: 'Node10',
    lib: ['ES2022', 'DOM'],
    ...(version === '6' ? { ignoreDeprecations: '6.0' } : {}),
  }),
  versions: ['5.4', '5.9', '6'],
};

/** Packages with a separate project, and what their users install in addition: a peer dependency that their types refer to, or the types of Node. */
const companions = {
  '@softgrad/backend-tfjs': ['@tensorflow/tfjs-core@4'],
  '@softgrad/distributed': ['@types/node@20', '@aws-sdk/client-s3@3'],
};

/** Packages whose types do not compile everywhere: errors in files that are not ours are ignored. */
const foreign = ['@tensorflow/tfjs-core@4', '@aws-sdk/client-s3@3'];

/** Compiles projects that import every entry, by each version of TypeScript and under each set of options. */
export async function checkTypes({ registry, check, packed }) {
  const alone = packed.filter(({ manifest }) => companions[manifest.name] !== undefined);
  const groups = [
    { name: 'types', packages: packed.filter((each) => !alone.includes(each)), others: [] },
    ...alone.map((each) => ({
      name: each.manifest.name.replace('@softgrad/', 'types-'),
      packages: [each],
      others: companions[each.manifest.name],
    })),
  ];
  return withProjects(groups, registry, async (projects) => {
    const compilers = await installCompilers(projects[0].project);
    const results = {};
    for (const [version, { tsc }] of Object.entries(compilers)) {
      results[version] = {};
      for (const [resolution, how] of Object.entries(resolutions)) {
        for (const [library, lib] of Object.entries(libraries)) {
          const cell = `${resolution}, ${library}`;
          results[version][cell] = await check(`types: TypeScript ${version}, ${cell}`, async () => {
            for (const each of projects) {
              for (const flags of strictness) await compile(each, tsc, { ...how, ...flags, lib });
            }
            return 'compiles';
          });
        }
      }
      if (!node10.versions.includes(version)) continue;
      results[version][node10.cell] = await check(`types: TypeScript ${version}, ${node10.cell}`, async () => {
        for (const each of projects) await compile(each, tsc, node10.options(version), ['main-entries.ts']);
        return 'compiles';
      });
    }
    const found = Object.fromEntries(Object.entries(compilers).map(([version, { exact }]) => [version, exact]));
    return { versions: found, results };
  });
}

/** Calls `use` with a project for each group, and removes all projects afterwards. */
function withProjects([group, ...rest], registry, use, projects = []) {
  if (group === undefined) return use(projects);
  return withProject(group.name, registry, async (project) => {
    const blocks = await prepareProject(project, group.packages, group.others);
    // From TypeScript 6 on, only the types that are listed here are global.
    const types = group.others.some((other) => other.startsWith('@types/node')) ? ['node'] : [];
    const mayBeForeign = group.others.some((other) => foreign.includes(other));
    return withProjects(rest, registry, use, [...projects, { project, blocks, mayBeForeign, types }]);
  });
}

async function installCompilers(project) {
  const compilers = {};
  for (const version of versions) {
    project.write(`typescript-${version}/package.json`, { name: 'compiler', private: true });
    await project.npm('install', `typescript@${version}`, '--prefix', `typescript-${version}`);
    const tsc = join(project.folder, `typescript-${version}`, 'node_modules', 'typescript', 'bin', 'tsc');
    const exact = (await project.run(process.execPath, [tsc, '--version'])).replace('Version ', '').trim();
    compilers[version] = { tsc, exact };
  }
  return compilers;
}

/** Installs packages, and writes files that import them and files with the examples of their READMEs. Returns the examples. */
async function prepareProject(project, packages, others) {
  // Skip scripts of dependencies, which compile or fetch binaries that types do not need.
  await project.npm('install', ...packages.map(({ manifest }) => manifest.name), ...others, '--ignore-scripts');
  const entries = packages.flatMap(({ manifest }) => entriesOf(manifest));
  project.write('entries.ts', importing(entries));
  const names = packages.map(({ manifest }) => manifest.name);
  project.write('main-entries.ts', importing(names.filter((name) => entries.includes(name))));
  if (names.includes('softgrad'))
    for (const file of ['typings.ts', 'typings-dom.ts', 'declarations.ts']) project.copy(file);
  // The template of a backend, as a reader copies it.
  const template = join(project.folder, 'node_modules/@softgrad/core/template');
  if (existsSync(template)) cpSync(template, join(project.folder, 'template'), { recursive: true });
  const blocks = packages.flatMap(({ folder }) => readmeBlocks(folder, 'ts'));
  for (const [k, { text }] of blocks.entries()) project.write(`readmes/example${k}.ts`, `${text}\nexport {};\n`);
  return blocks;
}

/** A module that imports all of the entries. */
function importing(entries) {
  const imports = entries.map((entry, k) => `import * as entry${k} from '${entry}';\n`);
  return `${imports.join('')}export const all = [${entries.map((_, k) => `entry${k}`)}];\n`;
}

/** The files that compile with the libraries. The examples use `console`, which the DOM types declare. */
function filesFor(lib) {
  return [
    'entries.ts',
    'typings.ts',
    'declarations.ts',
    'template/*.ts',
    ...(lib.includes('DOM') ? ['typings-dom.ts', 'readmes/*.ts'] : []),
  ];
}

async function compile({ project, blocks, mayBeForeign, types }, tsc, options, include = filesFor(options.lib)) {
  const checked = { strict: true, declaration: true, noEmit: true, skipLibCheck: false };
  const compilerOptions = { target: 'ES2022', ...checked, types, ...options };
  project.write('tsconfig.json', { compilerOptions, include });
  try {
    await project.run(process.execPath, [tsc, '--pretty', 'false', '-p', '.']);
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    const lines = error.output.split('\n').filter((line) => /error TS/.test(line));
    const ours = lines.filter(
      (line) =>
        !mayBeForeign || /^(main-entries|entries|typings|declarations|readmes\/|node_modules\/@softgrad\/)/.test(line),
    );
    if (lines.length > 0 && ours.length === 0) return;
    const flags = Object.keys(options).filter((name) => options[name] === true);
    const named = ours.map((line) => line.replace(/^readmes\/example(\d+)\.ts/, (_, k) => blocks[k].place));
    throw new Error(
      `${ours.length} errors${flags.length > 0 ? ` with ${flags.join(', ')}` : ''}:\n${shortened(named) || error.output}`,
    );
  }
}

function shortened(lines) {
  const shown = lines.slice(0, 10).map((line) => (line.length > 250 ? `${line.slice(0, 250)} …` : line));
  return shown.join('\n');
}

/** The entries of a package that can be imported. */
function entriesOf({ name, exports }) {
  return Object.entries(exports)
    .filter(([, target]) => typeof target === 'object' && target.types)
    .map(([path]) => name + path.slice(1));
}
