import { spawn } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const packageFolder = fileURLToPath(new URL('..', import.meta.url));
const built = join(packageFolder, 'dist/index.js');

/** Runs a module in a new Node process until it exits. */
function node(code: string, environment: NodeJS.ProcessEnv = {}, cwd = packageFolder) {
  return new Promise<{ readonly code: number | null; readonly output: string }>((resolve, reject) => {
    const child = spawn(process.execPath, ['--input-type=module', '--eval', code], {
      cwd,
      env: { ...process.env, ...environment },
      timeout: 30_000,
    });
    let output = '';
    child.stdout.on('data', (data) => {
      output += data;
    });
    child.on('error', reject);
    child.on('exit', (exitCode) => resolve({ code: exitCode, output }));
  });
}

describe('a Node process', () => {
  test('exits by itself once the backend is closed', async () => {
    const code = `
      import { webgpu } from ${JSON.stringify(built)};
      const backend = await webgpu.open();
      const [x, s] = [backend.alloc(3, 'float32'), backend.alloc(3, 'float32')];
      backend.write(x, Float32Array.of(1, 2, 3));
      backend.softmax(s, x, { outer: 1, classes: 3, inner: 1 }, { temperature: 1, mask: null });
      console.log((await backend.read(s))[0].toFixed(4));
      backend.close();`;
    expect(await node(code)).toEqual({ code: 0, output: '0.0900\n' });
  });

  test('gets the reason why there is no adapter', async () => {
    const code = `
      import { webgpu } from ${JSON.stringify(built)};
      console.log(await webgpu.unavailable());
      await webgpu.open().catch(({ code }) => console.log(code));`;
    const { output } = await node(code, { VK_DRIVER_FILES: '/nowhere.json', LD_LIBRARY_PATH: '' });
    expect(output).toMatch(/^WebGPU has no adapter: the machine needs a GPU driver.*VK_DRIVER_FILES/);
    expect(output).toContain('ERR_BACKEND_UNAVAILABLE');
  });
});

describe('without the optional package webgpu', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'softgrad-'));
    await mkdir(join(folder, 'node_modules/@softgrad/backend-webgpu'), { recursive: true });
    const installed = join(folder, 'node_modules/@softgrad');
    for (const part of ['dist', 'package.json']) {
      await cp(join(packageFolder, part), join(installed, 'backend-webgpu', part), { recursive: true });
    }
    await symlink(join(packageFolder, '../core'), join(installed, 'core'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  test('Node imports the backend, which says what to install', async () => {
    const code = `
      import { webgpu } from '@softgrad/backend-webgpu';
      console.log(await webgpu.unavailable());`;
    expect(await node(code, {}, folder)).toEqual({
      code: 0,
      output: expect.stringMatching(/^Node has no built-in WebGPU: .*npm install webgpu/),
    });
  });
});
