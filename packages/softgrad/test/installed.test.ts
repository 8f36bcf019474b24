import { execFile } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

// What somebody has who installed softgrad and nothing else: built packages in node_modules, no optional one among them.
const folder = mkdtempSync(join(tmpdir(), 'softgrad-installed-'));
const packages = fileURLToPath(new URL('../..', import.meta.url));

beforeAll(() => {
  for (const [name, from] of [
    ['softgrad', 'softgrad'],
    ...['core', 'doctor', 'backend-cpu', 'backend-wasm'].map((own) => [`@softgrad/${own}`, own]),
  ]) {
    const target = join(folder, 'node_modules', name);
    for (const part of ['package.json', 'dist', ...(name === 'softgrad' ? ['bin'] : [])]) {
      cpSync(join(packages, from, part), join(target, part), { recursive: true });
    }
  }
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs node in the folder, without the workspace's packages that a package manager adds to where node looks. */
async function node(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const options = { cwd: folder, env: { ...process.env, NODE_PATH: '', ...env } };
  return promisify(execFile)(process.execPath, [...args], options).then(
    ({ stdout, stderr }) => ({ status: 0, stdout, stderr }),
    ({ code, stdout, stderr }) => ({ status: code, stdout, stderr }),
  );
}

const program = `import { setBackend, softmax, tensor } from 'softgrad';
const s = softmax(tensor([[0, 0]]));
console.log(s.backend.name, JSON.stringify(s.arraySync()));
console.log((await setBackend('wasm')).name);
for (const name of ['webgpu', 'gpujs', 'tfjs']) await setBackend(name).catch((error) => console.log(error.message));
`;
const installLines = ['webgpu', 'gpujs', 'tfjs'].map(
  (name) => `it is not installed: npm install @softgrad/backend-${name}, or its tarball if softgrad came from one\n`,
);
const works = /^cpu \[\[0\.5,0\.5\]\]\nwasm\nsetBackend: .*backend 'webgpu' did not load: /;

test('it works in Node; an engine that is not installed says how to install it', async () => {
  writeFileSync(join(folder, 'program.js'), program);
  const { stdout, stderr } = await node(['program.js']);
  expect(stderr).toBe('');
  expect(stdout).toMatch(works);
  for (const line of installLines) expect(stdout).toContain(line);
});

test('a bundle of it builds without the engines that are not installed, and says so when one is asked for', async () => {
  writeFileSync(join(folder, 'bundled.js'), program);
  await build({
    root: folder,
    configFile: false,
    logLevel: 'silent',
    build: { lib: { entry: 'bundled.js', formats: ['es'], fileName: 'bundle' }, outDir: 'out', target: 'es2022' },
  });
  const { stdout } = await node(['out/bundle.js']);
  expect(stdout).toMatch(works);
  for (const line of installLines) expect(stdout).toContain(line);
});

describe('the command', () => {
  const bin = 'node_modules/softgrad/bin/softgrad.js';

  test('is run by npx, in the version of this package, where @softgrad/cli is not installed', async () => {
    const bins = join(folder, 'bins');
    mkdirSync(bins);
    writeFileSync(join(bins, 'npx'), '#!/bin/sh\necho "$@"\nexit 3\n');
    chmodSync(join(bins, 'npx'), 0o755);
    const { status, stdout, stderr } = await node([bin, 'softmax', 'a b.npy'], {
      PATH: [bins, process.env.PATH].join(delimiter),
    });
    expect({ status, stdout }).toEqual({ status: 3, stdout: '--yes @softgrad/cli@0.1.0 softmax a b.npy\n' });
    expect(stderr).toMatch(/^softgrad: .* is not installed here.*npm install @softgrad\/cli/);
  });

  test('names the needed version on an older Node', async () => {
    const code = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.18.3' } })`;
    const result = await node(['--import', `data:text/javascript,${encodeURIComponent(code)}`, bin]);
    expect(result).toEqual({
      status: 2,
      stdout: '',
      stderr: 'softgrad: needs Node 20.19 or newer; this is 20.18.3\n',
    });
  });

  test('reports that npx failed to start', async () => {
    const { status, stderr } = await node([bin], { PATH: '' });
    expect(status).toBe(2);
    expect(stderr).toMatch(/npx failed to start/);
  });

  test('is that of @softgrad/cli in this process where it is installed', async () => {
    const cli = join(folder, 'node_modules', '@softgrad', 'cli');
    mkdirSync(cli);
    writeFileSync(
      join(cli, 'package.json'),
      '{ "type": "module", "bin": { "softgrad": "./main.js" }, "exports": { "./package.json": "./package.json" } }',
    );
    writeFileSync(join(cli, 'main.js'), 'console.log(process.argv.slice(2).join()); process.exitCode = 4;');
    expect(await node([bin, 'vjp', '-'])).toEqual({ status: 4, stdout: 'vjp,-\n', stderr: '' });
  });
});
