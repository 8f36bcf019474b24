// Tests each runtime that npm can install: cpu, wasm with threads, the conformance suite, the command.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../workspace.mjs';
import { withProject } from './project.mjs';

const matrix = JSON.parse(readFileSync(join(root, '.github', 'matrix.json'), 'utf8'));
/** `node20` for 20.19. */
const named = (version) => [`node${version.split('.')[0]}`, { package: `node@${version}`, bin: 'node', args: [] }];

/** The npm package that contains each runtime, and the arguments with which it runs a file. */
export const runtimes = {
  ...Object.fromEntries(matrix.node.map(named)),
  bun: { package: 'bun', bin: 'bun', args: ['run'] },
  deno: {
    package: 'deno',
    bin: 'deno',
    args: ['run', '--quiet', '--allow-read', '--allow-env', '--allow-sys'],
    // The command reads and writes files, and starts processes.
    commandArgs: ['run', '--quiet', '--allow-all'],
  },
};

const programs = ['cpu', 'wasm', 'conformance'];

/** Installs a runtime and the packages, and runs every check in it. */
export async function checkRuntime(name, { registry, check }) {
  const { package: spec, bin, args, commandArgs = args } = runtimes[name];
  return withProject(name, registry, async (project) => {
    await project.npm('install', 'softgrad', '@softgrad/cli');
    // In a separate folder, because the runtime is not part of the project and its installation runs a script.
    project.write('runtime/package.json', { name: 'runtime', private: true });
    await project.npm('install', spec, '--prefix', 'runtime');
    const executable = join(project.folder, 'runtime', 'node_modules', '.bin', bin);
    const version = (await project.run(executable, ['--version'])).trim().split('\n')[0];
    const results = {};
    for (const program of programs) {
      project.copy(`${program}.mjs`);
      results[program] = await check(`${name}: ${program}`, async () => {
        const output = await project.run(executable, [...args, `${program}.mjs`], { timeoutMs: 600_000 });
        return JSON.parse(output.trim().split('\n').at(-1)).shown;
      });
    }
    results.command = await check(`${name}: command`, () => runCommand(project, executable, commandArgs));
    return { version: version.replace(/^v/, '').replace(/^deno (\S+).*/, '$1'), results };
  });
}

async function runCommand(project, executable, args) {
  project.write('logits.json', '[[1, 2, 3]]');
  const main = join('node_modules', 'softgrad', 'bin', 'softgrad.js');
  const output = await project.run(executable, [...args, main, 'softmax', 'logits.json']);
  const [row] = JSON.parse(output);
  if (Math.abs(row[2] - 0.6652409557748219) > 1e-15) throw new Error(`softgrad softmax logits.json printed ${output}`);
  const doctor = await project.run(executable, [...args, main, 'doctor', '--did', 'J.sum(axis=1)']);
  if (!doctor.includes('softmax.vjp(s, g)')) throw new Error(`softgrad doctor printed ${doctor}`);
  return 'works';
}
