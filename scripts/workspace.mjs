// Installs and builds the workspace with only node and npm, for `npm start` and `npm test`.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));
const { packageManager } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

const environment = { ...process.env, TURBO_TELEMETRY_DISABLED: '1', DO_NOT_TRACK: '1', NO_UPDATE_NOTIFIER: '1' };

/** The folders whose tests `npm test` runs. */
export function testFolders() {
  const packages = readdirSync(join(root, 'packages'), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return [
    ...packages.map(({ name }) => join(root, 'packages', name)),
    ...['tools', 'examples', 'docs'].map((name) => join(root, name)),
  ];
}

/** Runs a command, by default in the workspace, and returns its exit status. Shows its output; if `quiet`, only after a failure. */
export function run(command, args, { quiet = false, cwd = root, env = {} } = {}) {
  const result = spawnSync(command, args, {
    cwd,
    env: { ...environment, ...env },
    stdio: quiet ? ['ignore', 'pipe', 'pipe'] : 'inherit',
    encoding: 'utf8',
    maxBuffer: 64 * 2 ** 20,
    shell: process.platform === 'win32',
  });
  const status = result.status ?? 1;
  if (quiet && status !== 0) process.stderr.write(`${result.stdout ?? ''}${result.stderr ?? ''}`);
  if (result.error) console.error(`${command} did not start: ${result.error.message}`);
  return status;
}

/** Runs pnpm in the version that the workspace pins; it need not be installed. */
export function pnpm(args, options) {
  return run('npx', ['--yes', packageManager, ...args], options);
}

/**
 * Installs the packages of the lockfile and builds every package; ends the process if that fails.
 *
 * @param timed called with each step and its seconds
 */
export function prepare({ quiet = false, timed = (_step, _seconds) => {} } = {}) {
  const steps = [
    ['install', 'Installing dependencies', ['install', '--frozen-lockfile', '--prefer-offline']],
    ['build', 'Building', ['exec', 'turbo', 'run', 'build', '--output-logs=errors-only']],
  ];
  for (const [step, what, args] of steps) {
    console.error(`${what} …`);
    const start = Date.now();
    if (pnpm(args, { quiet }) !== 0) {
      console.error(`${what} failed: see above.`);
      process.exit(1);
    }
    timed(step, (Date.now() - start) / 1000);
  }
}
