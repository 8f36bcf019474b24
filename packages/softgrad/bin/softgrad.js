#!/usr/bin/env node
// Runs the command of @softgrad/cli, which is a separate package because applications do not need its dependencies. It is resolved
// from this package and from the working directory; if it is not installed, npx runs the same version as this package.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

const cli = '@softgrad/cli';
const needed = '20.19';
if (isOldNode()) {
  process.stderr.write(`softgrad: needs Node ${needed} or newer; this is ${process.versions.node}\n`);
  process.exitCode = 2;
} else {
  const main = findMain();
  if (main !== null) await import(pathToFileURL(main).href);
  else runByNpx();
}

function isOldNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  const [neededMajor, neededMinor] = needed.split('.').map(Number);
  return major < neededMajor || (major === neededMajor && minor < neededMinor);
}

/** The file that runs the command, or null. */
function findMain() {
  for (const from of [import.meta.url, pathToFileURL(join(process.cwd(), 'package.json')).href]) {
    try {
      const manifest = createRequire(from).resolve(`${cli}/package.json`);
      const [file] = Object.values(JSON.parse(readFileSync(manifest, 'utf8')).bin);
      return join(dirname(manifest), file);
    } catch (error) {
      if (error.code !== 'MODULE_NOT_FOUND') throw error;
    }
  }
  return null;
}

function runByNpx() {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  process.stderr.write(
    `softgrad: the command is in ${cli}, which is not installed here: npx runs it (npm install ${cli})\n`,
  );
  const { status, error } = spawnSync('npx', ['--yes', `${cli}@${version}`, ...process.argv.slice(2)], {
    stdio: 'inherit',
    shell: process.platform === 'win32',
  });
  if (error) process.stderr.write(`softgrad: npx failed to start: ${error.message}\n`);
  process.exitCode = status ?? 2;
}
