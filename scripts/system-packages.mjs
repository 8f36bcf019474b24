// The Debian packages that the tests need and a new machine lacks. apt installs them while npm's packages are installed and built.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { adviceOn, aptGet, installation } from './apt.mjs';
import { chromiumPackage, chromiumPlaces } from './chromium.mjs';

/** The compiler of backend-wasm's kernels. Only CI compiles them, to compare the result with the committed modules. */
const compiler = ['clang-19', 'lld-19'];

/** Installs missing packages, or says how to; resolves when the installation has ended, whether or not it succeeded. */
export function installSystemPackages() {
  return installPackages(missingPackages());
}

/** Installs these packages, or says how to; resolves when the installation has ended, whether or not it succeeded. */
export function installPackages(packages) {
  if (packages.length === 0) return Promise.resolve();
  const command = aptGet();
  if (command === null) {
    // Without apt, a Chromium is downloaded: see chromium.mjs.
    const others = packages.filter((name) => name !== chromiumPackage);
    if (others.length > 0) console.error(adviceOn(others));
    return Promise.resolve();
  }
  console.error(`Installing ${packages.join(', ')} with apt …`);
  const child = spawn('sh', ['-c', installation(packages, command)], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
  return new Promise((resolve) => {
    child.on('error', () => resolve());
    child.on('close', () => resolve());
  });
}

function missingPackages() {
  const browser = process.env.CHROMIUM_PATH || chromiumPlaces.some((path) => existsSync(path)) ? [] : [chromiumPackage];
  if (!process.env.CI) return browser;
  return [...browser, ...compiler.filter((name) => spawnSync(commandOf(name), ['--version']).status !== 0)];
}

function commandOf(name) {
  return name === 'lld-19' ? 'wasm-ld-19' : name;
}
