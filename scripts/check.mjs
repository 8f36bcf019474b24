// `npm run check`, at the root for every package and in a package for that one: packs it as it would be published, lints the tarball
// (publint), resolves its types as TypeScript would (Are the types wrong), looks for the sources of its source maps and in its declarations for types that old versions lack, and runs the package's own `check:more` if it has one. The
// tests are type-checked too, including those of packages that are not published.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { unsupportedDeclarations } from './declarations.mjs';
import { packInto, publishedPackages } from './packages.mjs';
import { missingSources } from './source-maps.mjs';
import { root, run } from './workspace.mjs';

/** The packages are modules alone: CommonJS and the resolution of before Node 16 do not apply. */
const ignoredResolutions = ['node10', 'node16-cjs'];

const here = process.cwd();
const isRoot = here === resolve(root);
const isAsked = (folder) => isRoot || here === resolve(folder);
const packages = publishedPackages().filter(({ folder }) => isAsked(folder));
if (packages.length === 0) throw new Error(`${here} is not a package that is published`);

// Pack all packages in one process, and load TypeScript once: for a single package either takes longer than the check itself.
const tarballs = mkdtempSync(join(tmpdir(), 'softgrad-check-'));
let failures = 0;
try {
  for (const { folder, manifest, tarball } of await packInto(tarballs, packages)) {
    const problems = [...(await problemsOf(readFileSync(tarball))), ...unsupportedDeclarations({ folder, manifest })];
    console.log(`${manifest.name}: ${problems.length === 0 ? 'no problems' : 'FAILED'}`);
    for (const problem of problems) console.log(`  ${problem}`);
    failures += problems.length;
  }
} finally {
  rmSync(tarballs, { recursive: true, force: true });
}

// One program for the tests of all packages, because they share most of the declarations that they import.
const tests = isRoot ? join(root, 'tsconfig.tests.json') : join(here, 'test');
if (existsSync(tests)) {
  console.log(`tsc -p ${relative(root, tests)}`);
  const tsc = [join(root, 'node_modules/typescript/bin/tsc'), '-p', tests];
  // The tests of packages run at the same time, and several checkers would each compute the types that they share.
  failures += run(process.execPath, [...tsc, '--checkers', '1']);
}

const more = packages.filter(({ manifest }) => manifest.scripts?.['check:more'] !== undefined);
for (const { folder, manifest } of more) {
  console.log(`${manifest.name}: ${manifest.scripts['check:more']}`);
  failures += run('npm', ['run', '--silent', 'check:more'], { cwd: folder });
}
process.exitCode = failures === 0 ? 0 : 1;

/** The problems that publint and Are the types wrong report for a tarball. */
async function problemsOf(tarball) {
  const bytes = new Uint8Array(tarball);
  const { messages, pkg } = await publint({ pack: { tarball: bytes.buffer }, strict: true });
  const contents = createPackageFromTarballData(bytes);
  const { types, problems } = await checkPackage(contents);
  return [
    ...messages.map((message) => formatMessage(message, pkg, { color: false })),
    ...(types ? [] : ['it contains no types']),
    ...unwanted(contents.listFiles()),
    ...missingSources(contents.listFiles(), (file) => contents.readFile(file)),
    ...(problems ?? [])
      .filter(({ resolutionKind }) => !ignoredResolutions.includes(resolutionKind))
      .map((problem) => JSON.stringify(problem)),
  ];
}

/** Files of the build itself, which no user needs. */
function unwanted(files) {
  return files
    .filter((file) => /(?:^|\/)\.[^/]*$|\.log$/.test(file))
    .map((file) => `it contains ${file}, which is of no use outside of the repository`);
}
