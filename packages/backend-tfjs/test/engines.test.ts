import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bufferOf, fromBuffer, tensor } from '@softgrad/core';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { expectOwnBuffers } from '../../backend-cpu/test/owned-buffers.js';
import { tfjs } from '../src/index.js';
import { testEngines } from './engines.js';

testEngines(['cpu', 'wasm']);

test('the default is the engine that tf.setBackend chose', async () => {
  await tf.setBackend('wasm');
  expect((await tfjs.open()).engine).toBe('wasm');
  await tf.setBackend('cpu');
  expect((await tfjs.open()).engine).toBe('cpu');
  expect(await tfjs.unavailable()).toBeNull();
});

test('an engine that needs a browser says so in Node', async () => {
  for (const engine of ['webgl', 'webgpu'] as const) {
    await expect(tfjs.open({ engine })).rejects.toMatchObject({
      code: 'ERR_BACKEND_UNAVAILABLE',
      message: expect.stringContaining('a browser with WebG'),
    });
  }
});

test('an option that open does not take is ERR_VALUE', async () => {
  await expect(tfjs.open({ backend: 'cpu' } as object)).rejects.toMatchObject({
    message: "tfjs.open: unknown option 'backend'; expected one of engine, wasmPaths",
  });
});

test.each([
  ['engine', 'tensorflow', 'is the text "tensorflow"'],
  ['engine', '', 'is the text ""'],
  ['engine', 3, '3'],
  ['engine', null, 'is null'],
  ['wasmPaths', 3, '3'],
  ['wasmPaths', null, 'is null'],
  ['wasmPaths', ['/a.wasm'], 'is an array of 1 entry'],
  ['wasmPaths', { 'a.wasm': 3 }, 'is an object (Object)'],
])(
  'an option with a value that only JavaScript without types can pass is ERR_VALUE: %s %o',
  async (name, value, shown) => {
    const expected = { engine: 'webgpu, webgl, wasm, cpu', wasmPaths: 'a URL, or an object with the URL of each file' };
    await expect(tfjs.open({ engine: 'cpu', [name]: value })).rejects.toMatchObject({
      code: 'ERR_VALUE',
      message: `tfjs: ${name} ${shown}; expected ${expected[name as keyof typeof expected]}`,
    });
  },
);

test('if packages are missing, the backend says which to install', () => {
  const folder = mkdtempSync(join(tmpdir(), 'softgrad-'));
  try {
    const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
    mkdirSync(join(folder, 'node_modules/@softgrad/backend-tfjs'), { recursive: true });
    symlinkSync(here('../../core'), join(folder, 'node_modules/@softgrad/core'));
    cpSync(here('../dist'), join(folder, 'node_modules/@softgrad/backend-tfjs/dist'), { recursive: true });
    cpSync(here('../package.json'), join(folder, 'node_modules/@softgrad/backend-tfjs/package.json'));
    const program = `
      import { tfjs } from '@softgrad/backend-tfjs';
      await tfjs.open({ engine: 'wasm' }).catch(({ code, message }) => console.log(code, message));
      console.log(await tfjs.unavailable());`;
    const output = execFileSync(process.execPath, ['--input-type=module', '--eval', program], { cwd: folder });
    expect(output.toString()).toBe(
      'ERR_BACKEND_UNAVAILABLE tfjs: engine wasm needs packages that failed to load: ' +
        'npm install @tensorflow/tfjs-core@4 @tensorflow/tfjs-backend-wasm@4\n' +
        'TensorFlow.js failed to load: npm install @tensorflow/tfjs-core@4 and at least one of @tensorflow/tfjs-backend-webgpu@4, ' +
        '@tensorflow/tfjs-backend-webgl@4, @tensorflow/tfjs-backend-wasm@4, @tensorflow/tfjs-backend-cpu@4\n',
    );
    // By an alias to `false` webpack replaces a package by an empty module.
    const empty = join(folder, 'node_modules/@tensorflow/tfjs-backend-wasm');
    mkdirSync(empty, { recursive: true });
    writeFileSync(join(empty, 'package.json'), '{ "type": "module", "exports": "./index.js" }');
    writeFileSync(join(empty, 'index.js'), '');
    symlinkSync(here('../node_modules/@tensorflow/tfjs-core'), join(folder, 'node_modules/@tensorflow/tfjs-core'));
    const again = execFileSync(process.execPath, ['--input-type=module', '--eval', program], { cwd: folder });
    expect(again.toString()).toMatch(
      /^ERR_BACKEND_UNAVAILABLE tfjs: engine wasm .*\nengine webgpu needs packages .*; engine webgl needs .*; engine cpu needs .*\n$/,
    );
    expect(again.toString().match(/tfjs: /g)).toHaveLength(1);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('an engine that tfjs removed is a lost device; a new backend works', async () => {
  const backend = await tfjs.open({ engine: 'cpu' });
  const x = tensor([[1, 2]], { backend });
  const factory = tf.findBackendFactory('cpu');
  tf.removeBackend('cpu');
  expect(backend.lost).toBe(true);
  await expect(x.data()).rejects.toMatchObject({ code: 'ERR_DEVICE_LOST' });
  tf.registerBackend('cpu', factory);
  const again = await tfjs.open({ engine: 'cpu' });
  expect([...(await tensor([[1, 2]], { backend: again }).data())]).toEqual([1, 2]);
});

test('a full WebAssembly memory is ERR_OUT_OF_MEMORY, and existing data is unaffected', async () => {
  const backend = await tfjs.open({ engine: 'wasm' });
  const x = tensor([[0, 0]], { backend });
  const instance = tf.engine().registry.wasm as tf.KernelBackend & { getMemoryOffset(dataId: object): number };
  const hoard: object[] = [];
  do hoard.push(instance.write(null as never, [2 ** 22], 'float32'));
  while (instance.getMemoryOffset(hoard[hoard.length - 1]) !== 0);
  const tooMuch = () => tensor(new Float32Array(2 ** 23), { backend });
  expect(tooMuch).toThrow(/4 GiB of engine wasm/);
  // After what fits has been freed, the allocator returns that address for more than fits.
  for (const size of [2 ** 20, 2 ** 10]) instance.disposeData(instance.write(null as never, [size], 'float32'));
  expect(tooMuch).toThrow(/4 GiB of engine wasm/);
  expect([...(await x.data())]).toEqual([0, 0]);
  for (const dataId of hoard) instance.disposeData(dataId);
  expect(tensor(new Float32Array(2 ** 23), { backend }).size).toBe(2 ** 23);
  await backend.close();
});

test('fromBuffer takes only a buffer of the backend, which was not freed', async () => {
  const [first, second] = [await tfjs.open({ engine: 'cpu' }), await tfjs.open({ engine: 'cpu' })];
  expect(first.name).toBe('tfjs cpu');
  const refused = expectOwnBuffers(first, second);
  await tf.setBackend('cpu');
  const theirs = tf.tensor1d([1, 2, 3]);
  const shared = first.fromTf(theirs);
  expect(() => fromBuffer(second, bufferOf(first, shared), [3], 'float32')).toThrow(refused);
  tf.dispose(theirs);
  for (const backend of [first, second]) await backend.close();
});
