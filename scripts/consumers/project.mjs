// Projects of a consumer: empty folders outside of the repository, in which commands run as they do for a user.
import { spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const programs = fileURLToPath(new URL('programs/', import.meta.url));

/** The error of a failed command: the command, and the end of its output. */
export class CommandFailed extends Error {
  constructor(command, output) {
    super(`\`${command}\` failed:\n${output.trim().split('\n').slice(-40).join('\n')}`);
    this.output = output;
  }
}

/**
 * Runs `use` with an empty project, which is deleted afterwards.
 *
 * @param registry the address of the registry that npm installs from
 */
export async function withProject(name, registry, use) {
  const folder = mkdtempSync(join(tmpdir(), `softgrad-consumer-${name}-`));
  try {
    return await use(createProject(folder, registry));
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

function createProject(folder, registry) {
  const environment = { ...process.env, npm_config_registry: registry, npm_config_update_notifier: 'false' };
  // Remove the variables that npm sets for scripts (`npm run …`), because they are about this repository.
  const ofRepository = /^(npm_(?!config_)|npm_config_(local_|global_)?prefix$|INIT_CWD$|NODE_OPTIONS$)/i;
  for (const name of Object.keys(environment)) if (ofRepository.test(name)) delete environment[name];
  const manifest = { name: 'consumer', version: '1.0.0', private: true, type: 'module' };
  const project = {
    folder,
    manifest,
    write(name, content) {
      const path = join(folder, name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content, null, 2));
      return path;
    },
    /** Copies one of `programs`. */
    copy: (name, to = name) => copyFileSync(join(programs, name), join(folder, to)),
    /** Runs a command line in a shell, as a reader would. Returns what it prints on standard output. */
    shell: (line, options) => start(line, [], { ...options, shell: true }),
    run: (command, args, options) => start(command, args, options),
    npm: (...args) => start('npm', [...args, '--no-audit', '--no-fund', '--loglevel=error']),
  };
  project.write('package.json', manifest);
  return project;

  function start(command, args, { timeoutMs = 300_000, shell = process.platform === 'win32', env = {} } = {}) {
    const child = spawn(command, args, {
      cwd: folder,
      env: { ...environment, ...env },
      shell,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: timeoutMs,
    });
    let [output, all] = ['', ''];
    child.stdout.on('data', (chunk) => {
      output += chunk;
      all += chunk;
    });
    child.stderr.on('data', (chunk) => {
      all += chunk;
    });
    const line = [command, ...args].join(' ');
    return new Promise((resolve, reject) => {
      child.on('error', (error) => reject(new CommandFailed(line, error.message)));
      child.on('close', (status, signal) => {
        if (status === 0) resolve(output);
        else reject(new CommandFailed(line, signal ? `${all}\nended by ${signal} after ${timeoutMs} ms` : all));
      });
    });
  }
}
