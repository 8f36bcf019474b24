// Debian packages for the tests, where this process may install them.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** What of the machine decides how packages are installed. */
const machine = {
  hasApt: () => existsSync('/usr/bin/apt-get'),
  isRoot: () => process.getuid?.() === 0,
  // As on the machines of GitHub's workflows: without a password.
  maySudo: () => spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0,
};

/** The command that installs packages; null if there is no apt, or this user may not use it. */
export function aptGet({ hasApt, isRoot, maySudo } = machine) {
  if (!hasApt()) return null;
  if (isRoot()) return ['apt-get'];
  // sudo does not pass the environment on.
  return maySudo() ? ['sudo', '-n', 'DEBIAN_FRONTEND=noninteractive', 'apt-get'] : null;
}

/** The shell commands that install packages, one after another. Of names with `|` between them, the first that can be installed is. */
export function installation(packages, command) {
  const apt = command.join(' ');
  const install = (names) => `${apt} install -y -qq --no-install-recommends ${names}`;
  const isChoice = (name) => name.includes('|');
  const all = packages.filter((name) => !isChoice(name)).join(' ');
  const choices = packages.filter(isChoice).map((names) => `(${names.split('|').map(install).join(' || ')})`);
  return [`${apt} update -qq`, ...(all === '' ? [] : [install(all)]), ...choices].join(' && ');
}

/** What to do about missing packages that this process cannot install: a line for the user. */
export function adviceOn(packages, { hasApt } = machine) {
  const names = packages.join(' ');
  if (hasApt()) return `${names}: missing, and this user may not install packages: sudo apt-get install ${names}`;
  return `${names}: missing; install it with the package manager of this system`;
}
