// Installs and builds the workspace with only node and npm, for `npm start` and `npm test`.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { step } from './step.mjs';

export const root = fileURLToPath(new URL('..', import.meta.url));
const { packageManager } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

const ours = {
  ...{ TURBO_TELEMETRY_DISABLED: '1', DO_NOT_TRACK: '1', NO_UPDATE_NOTIFIER: '1' },
  // TypeScript's compiler is written in Go, and frees memory more often than it must: a tenth of its processor time.
  GOGC: '400',
};

/** The environment of a command, with what this process has set by now. */
const environment = (more) => ({ ...process.env, ...ours, ...more });

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
    env: environment(env),
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

/** The same for a step of seconds: shows a bar, and the output only after a failure. */
export function pnpmStep(what, args, { env = {}, readProgress } = {}) {
  const options = { cwd: root, env: environment(env), readProgress };
  return step(what, 'npx', ['--yes', packageManager, ...args], options);
}

/**
 * Installs the packages of the lockfile and builds every package; ends the process if that fails.
 *
 * @param timed called with each step and its seconds
 */
export async function prepare({ timed = (_step, _seconds) => {} } = {}) {
  const steps = [
    ['install', 'Installing dependencies', ['install', '--frozen-lockfile', '--prefer-offline'], installed],
    ['build', 'Building', ['exec', 'turbo', 'run', 'build', '--output-logs=new-only'], builds()],
  ];
  for (const [name, what, args, readProgress] of steps) {
    const start = Date.now();
    if ((await pnpmStep(what, args, { readProgress })) !== 0) process.exit(1);
    timed(name, (Date.now() - start) / 1000);
  }
}

/** Reads a line that pnpm prints every second: `Progress: resolved 650, reused 650, downloaded 0, added 496`. */
export function installed(line) {
  const [, resolved, added] = /^Progress: resolved (\d+), .*\badded (\d+)/.exec(line) ?? [];
  return added === undefined ? undefined : { done: Number(added), total: Number(resolved), label: 'packages' };
}

/** Reads the line that turbo prints for each package when it begins to build it, or has the result from its cache. */
export function builds(total = withScript('build')) {
  let begun = 0;
  return (line) => {
    const name = /^(\S+):build: cache /.exec(line)?.[1];
    return name === undefined ? undefined : { done: begun++, total, label: name };
  };
}

function withScript(name) {
  return testFolders().filter((folder) => {
    const { scripts = {} } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    return name in scripts;
  }).length;
}
