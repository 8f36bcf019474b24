// The tables of docs/where-it-runs.md, from docs/data/consumers.json, which `npm run test:consumers` writes.

import { table, withBetween } from './markdown.mjs';

const shown = (result) => (result === undefined ? '–' : result.ok ? result.shown : '**fails**');

const titles = { node: 'Node', bun: 'Bun', deno: 'Deno' };
const titleOf = (name) => titles[name.replace(/\d+$/, '')] ?? name;

function runtimesTable(parts) {
  const rows = parts.map(([name, { version, date, results }]) => [
    `${titleOf(name)} ${version}`,
    ...['cpu', 'wasm', 'conformance', 'command'].map((check) => shown(results[check])),
    date,
  ]);
  return table(['runtime', 'cpu', 'wasm, two threads', 'conformance', 'the command', 'tested'], rows);
}

function bundlersTable(parts) {
  const rows = parts.map(([name, { version, date, results }]) => [
    `${name} ${version}`,
    ...['page', 'threads', 'node'].map((check) => shown(results[check])),
    date,
  ]);
  return table(['bundler', 'cpu and wasm in Chromium', 'threads', 'a bundle for Node', 'tested'], rows);
}

function placesTable(parts) {
  const rows = parts.map(([name, { version, date, results }]) => [
    `${name} ${version}`.trim(),
    ...['computes', 'threads'].map((check) => shown(results[check])),
    date,
  ]);
  return table(['place', 'cpu and wasm compute in', 'threads', 'tested'], rows);
}

function typesTable([[, { versions, results, date }]]) {
  const cells = [...new Set(Object.values(results).flatMap(Object.keys))];
  const rows = Object.entries(results)
    .toSorted(([a], [b]) => Number(a) - Number(b))
    .map(([version, cell]) => [versions[version], ...cells.map((name) => shown(cell[name])), date]);
  return table(['TypeScript', ...cells, 'tested'], rows);
}

function readmesTable([[, { results, date }]]) {
  const rows = Object.entries(results).map(([name, result]) => [`\`${name}\``, shown(result), date]);
  return table(['package', 'its README: the install lines, and the first example', 'tested'], rows);
}

function objectStorageTable(parts) {
  const rows = parts.map(([, { version, date, results }]) => [
    `Ceph Object Gateway ${version}`,
    ...['put', 'join', 'contract', 'embedded', 'redis'].map((check) => shown(results[check])),
    date,
  ]);
  const conditions = ['PutObject', 'CompleteMultipartUpload'].map((request) => `\`If-None-Match\` on \`${request}\``);
  const head = [
    'server',
    ...conditions,
    'the contract',
    'a run on two threads',
    'a run by two workers of Redis',
    'tested',
  ];
  return table(head, rows);
}

const tables = {
  runtimes: runtimesTable,
  bundlers: bundlersTable,
  places: placesTable,
  types: typesTable,
  readmes: readmesTable,
  s3: objectStorageTable,
};

/** The page with each table inserted between its marks. */
export function withConsumers(page, consumers) {
  return Object.entries(tables).reduce((text, [group, make]) => {
    const parts = Object.entries(consumers).filter(([, part]) => part.group === group);
    const content = parts.length > 0 ? make(parts) : 'Not tested yet: `npm run test:consumers` writes the table here.';
    return withBetween(text, group, content, 'docs/where-it-runs.md', group);
  }, page);
}
