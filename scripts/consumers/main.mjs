// `npm run test:consumers`: installs the packed tarballs outside of the workspace and checks them as consumers use them. Writes
// docs/data/consumers.json and the table of docs/where-it-runs.md. `npm run test:consumers -- types node22` runs some parts and keeps the
// results of the others; `-- --list` lists the parts.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withConsumers } from '../../docs/generate/where-it-runs.mjs';
import { argumentsOf } from '../arguments.mjs';
import { packInto } from '../packages.mjs';
import { prepare, root } from '../workspace.mjs';
import { bundlers, checkBundler } from './bundlers.mjs';
import { createChecks } from './checks.mjs';
import { checkObjectStorage } from './object-storage.mjs';
import { checkPlace, places } from './places.mjs';
import { checkReadmes } from './readmes.mjs';
import { startRegistry } from './registry.mjs';
import { checkRuntime, runtimes } from './runtimes.mjs';
import { checkTypes } from './types.mjs';

const part = (group, run) => ({ group, run });
const parts = {
  ...Object.fromEntries(
    Object.keys(runtimes).map((name) => [name, part('runtimes', (tools) => checkRuntime(name, tools))]),
  ),
  types: part('types', checkTypes),
  ...Object.fromEntries(
    Object.keys(bundlers).map((name) => [name, part('bundlers', (tools) => checkBundler(name, tools))]),
  ),
  ...Object.fromEntries(Object.keys(places).map((name) => [name, part('places', (tools) => checkPlace(name, tools))])),
  readmes: part('readmes', checkReadmes),
  s3: part('s3', checkObjectStorage),
};

const data = join(root, 'docs', 'data', 'consumers.json');
const page = join(root, 'docs', 'where-it-runs.md');
const chosen = chosenParts();

await prepare();
const folder = mkdtempSync(join(tmpdir(), 'softgrad-tarballs-'));
let registry;
const { check, failures } = createChecks();
try {
  const packed = await packInto(folder);
  registry = await startRegistry(packed);
  for (const name of chosen) {
    const start = Date.now();
    console.log(`${name} …`);
    const result = await parts[name].run({ registry: registry.address, packed, check });
    if (result) keep(name, { date: new Date().toISOString().slice(0, 10), ...result });
    console.log(`${name}: ${((Date.now() - start) / 1000).toFixed(0)} s`);
  }
} finally {
  registry?.close();
  rmSync(folder, { recursive: true, force: true });
}
console.log(`\n${page} has the results.`);
if (failures.length > 0) {
  console.error(`${failures.length} failed:\n${failures.map((what) => `  ${what}`).join('\n')}`);
  console.error(`Run a part again by its name: npm run test:consumers -- ${failures[0].split(':')[0]}`);
}
process.exitCode = failures.length > 0 ? 1 : 0;

/** Writes the result of a part immediately, so that an interruption loses only the current part. */
function keep(name, result) {
  const kept = JSON.parse(readFileSync(data, 'utf8'));
  const all = Object.fromEntries(
    Object.entries(parts).flatMap(([each, { group }]) => {
      const found = each === name ? result : kept[each];
      return found ? [[each, { ...found, group }]] : [];
    }),
  );
  writeFileSync(data, `${JSON.stringify(all, null, 2)}\n`);
  writeFileSync(page, withConsumers(readFileSync(page, 'utf8'), all));
}

function chosenParts() {
  const { values, positionals } = argumentsOf(import.meta.url, {
    allowPositionals: true,
    options: { list: { type: 'boolean', default: false } },
  });
  const groups = new Set(Object.values(parts).map(({ group }) => group));
  if (values.list) {
    console.log(`parts: ${Object.keys(parts).join(' ')}\ngroups of them: ${[...groups].join(' ')}`);
    process.exit(0);
  }
  const unknown = positionals.find((name) => !parts[name] && !groups.has(name));
  if (unknown !== undefined) {
    console.error(
      `There is no part '${unknown}'. There are: ${[...new Set([...groups, ...Object.keys(parts)])].join(', ')}.`,
    );
    console.error('For instance: npm run test:consumers -- types node22');
    process.exit(2);
  }
  const names = Object.keys(parts);
  if (positionals.length === 0) return names;
  return names.filter((name) => positionals.includes(name) || positionals.includes(parts[name].group));
}
