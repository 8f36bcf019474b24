// `npm run release -- --dry-run`: does everything of a release except publishing. Builds, checks and packs every package, installs the tarballs in
// empty projects, with the command of `npm run pack` and as each README says, and runs the first example of each README there. `--publish` then
// publishes the same tarballs.
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { argumentsOf } from './arguments.mjs';
import { createChecks } from './consumers/checks.mjs';
import { withProject } from './consumers/project.mjs';
import { checkReadmes } from './consumers/readmes.mjs';
import { startRegistry } from './consumers/registry.mjs';
import { packInto, publishedPackages, withDependencies } from './packages.mjs';
import { publish, stepsBeforePublishing } from './publish.mjs';
import { pnpmStep, prepare, root } from './workspace.mjs';

const { values } = argumentsOf(import.meta.url, {
  options: { 'dry-run': { type: 'boolean', default: false }, publish: { type: 'boolean', default: false } },
});
if (values['dry-run'] === values.publish) {
  console.error('Usage: npm run release -- --dry-run | --publish\n--dry-run does everything except publishing.');
  process.exit(2);
}
const steps = stepsBeforePublishing(publishedPackages());
if (values.publish && steps.length > 0) {
  console.error(steps.join('\n'));
  process.exit(2);
}

await prepare();
const { check, failures } = createChecks();
console.log('Before packing:');
await check('one version, which the change log has', async () => theVersion());
await check('npm run check', async () => {
  for (const command of [
    ['biome', 'check', '.'],
    ['node', 'scripts/check.mjs'],
  ]) {
    if ((await pnpmStep(command.join(' '), ['exec', ...command])) !== 0) throw new Error('it failed: see above');
  }
  return 'no problems';
});

const folder = mkdtempSync(join(tmpdir(), 'softgrad-release-'));
let registry;
try {
  const packed = await packInto(folder);
  console.log('Tarballs:');
  for (const { manifest, tarball } of packed) {
    console.log(`  ${manifest.name}@${manifest.version}, ${(statSync(tarball).size / 1000).toFixed(0)} kB`);
  }
  registry = await startRegistry(packed);
  console.log('In empty projects:');
  await check('the tarballs of softgrad and its command, by path', () => installByPath(packed, registry.address));
  await checkReadmes({ registry: registry.address, check, packed });
  if (failures.length > 0) console.log(`\nNot ready: ${failures.join('; ')}`);
  else if (!values.publish) console.log(readiness(steps));
  else {
    console.log('Publishing:');
    publish(packed);
  }
} catch (error) {
  failures.push(error.message);
  console.error(error.message);
} finally {
  registry?.close();
  rmSync(folder, { recursive: true, force: true });
}
process.exitCode = failures.length === 0 ? 0 : 1;

function readiness(steps) {
  if (steps.length === 0) return '\nReady to be published.';
  return `\nEverything passed. Before publishing:\n${steps.map((step) => `  ${step}`).join('\n')}`;
}

/** @throws if packages have different versions, or the change log lacks the version */
function theVersion() {
  const versions = [...new Set(publishedPackages().map(({ manifest }) => manifest.version))];
  if (versions.length > 1) throw new Error(`the packages have ${versions.join(', ')}; expected one version for all`);
  const log = readFileSync(join(root, 'CHANGELOG.md'), 'utf8');
  if (!log.includes(`\n## ${versions[0]}`)) throw new Error(`CHANGELOG.md has no heading "## ${versions[0]}"`);
  return versions[0];
}

function installByPath(packed, address) {
  return withProject('tarballs', address, async (project) => {
    await project.npm('install', ...withDependencies('@softgrad/cli', packed).map(({ tarball }) => tarball));
    project.copy('cpu.mjs');
    await project.run(process.execPath, ['cpu.mjs']);
    await project.shell('npx softgrad doctor --list');
    return 'install and compute';
  });
}
