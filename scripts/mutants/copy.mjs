// Copies of a package, for running its tests on changed sources.
import { cpSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { join, relative } from 'node:path';
import { root } from '../workspace.mjs';

/**
 * Makes a copy of a package in .mutants/PLACE, in which relative paths out of the package lead to the workspace. Returns the folder of the
 * copy, and `remove`.
 */
export function copyInWorkspace(name, place) {
  const around = join(root, '.mutants', place);
  rmSync(around, { recursive: true, force: true });
  const packages = join(around, 'packages');
  mkdirSync(packages, { recursive: true });
  const link = (from, entry, folder) => symlinkSync(relative(folder, join(from, entry)), join(folder, entry));
  const isLinked = (entry) => entry !== 'packages' && entry !== 'reports' && !entry.startsWith('.');
  for (const entry of readdirSync(root).filter(isLinked)) link(root, entry, around);
  const others = readdirSync(join(root, 'packages')).filter((entry) => entry !== name);
  for (const entry of others) link(join(root, 'packages'), entry, packages);
  const original = join(root, 'packages', name);
  const folder = join(packages, name);
  mkdirSync(folder);
  for (const entry of readdirSync(original)) {
    if (entry === 'node_modules') link(original, entry, folder);
    else if (entry !== 'reports') cpSync(join(original, entry), join(folder, entry), { recursive: true });
  }
  return { folder, remove: () => rmSync(around, { recursive: true, force: true }) };
}

/**
 * The same, for mutants of a package's kernels: without the tests whose names match `leftOut`, and with `state`, an empty folder in the copy for what
 * the runs leave.
 */
export function copyForKernels(name, leftOut) {
  const copy = copyInWorkspace(name, `${name}-kernels`);
  const tests = join(copy.folder, 'test');
  for (const test of readdirSync(tests).filter((entry) => leftOut.test(entry))) rmSync(join(tests, test));
  const state = join(copy.folder, 'reports', 'mutants');
  mkdirSync(state, { recursive: true });
  return { ...copy, state };
}
