import { fromBuffer } from '@softgrad/core';
import { plain } from '@softgrad/core/conformance';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectOwnBuffers } from '../../backend-cpu/test/owned-buffers.js';
import { type WebgpuBackend, webgpu } from '../src/index.js';
import { newNullDevice, nullEntry } from './device.js';

// Arguments that are refused before they reach the device: the same on every device and in every browser.
let device: GPUDevice;
let backend: WebgpuBackend;
beforeAll(async () => {
  device = await newNullDevice();
  backend = await webgpu.open({ device });
});
afterAll(() => {
  backend.close();
  device.destroy();
});

const shareable = 0x80 | 0x04 | 0x08; // STORAGE | COPY_SRC | COPY_DST
const refused = (code: string, message = '') =>
  expect.objectContaining({ code, message: expect.stringContaining(message) });

test('a dtype that the device does not support is ERR_DTYPE, for allocated and shared buffers', () => {
  const mine = device.createBuffer({ size: 16, usage: shareable });
  for (const dtype of ['float64', 'float16'] as const) {
    const expected = refused('ERR_DTYPE', `does not support ${dtype}; expected float32`);
    expect(() => backend.alloc(1, dtype)).toThrow(expected);
    expect(() => backend.adopt(mine, 1, dtype)).toThrow(expected);
  }
});

test('class indices and masks can be stored on every device', () => {
  for (const dtype of ['int32', 'bool'] as const) {
    const buffer = backend.alloc(1, dtype);
    expect(buffer.dtype).toBe(dtype);
    backend.free(buffer);
  }
});

describe('a shared buffer', () => {
  test('is ERR_VALUE if its number of elements is not an integer ≥ 0', () => {
    const mine = device.createBuffer({ size: 16, usage: shareable });
    for (const length of [-1, 1.5, Number.NaN]) {
      expect(() => backend.adopt(mine, length, 'float32')).toThrow(refused('ERR_VALUE', `${length} elements`));
    }
    for (const length of [0, 4]) expect(backend.adopt(mine, length, 'float32')).toMatchObject({ length });
  });

  test('is ERR_VALUE if it is too short, not a multiple of 16 bytes or above the limit', () => {
    const limit = 4 * backend.supports.limits.elements;
    for (const [size, length] of [
      [16, 5],
      [12, 3],
      [limit + 16, 4],
    ]) {
      const mine = device.createBuffer({ size, usage: shareable });
      expect(() => backend.adopt(mine, length, 'float32')).toThrow(refused('ERR_VALUE', `a buffer of ${size} bytes`));
      mine.destroy();
    }
    const largest = device.createBuffer({ size: limit, usage: shareable });
    expect(backend.adopt(largest, limit / 4, 'float32').length).toBe(limit / 4);
    largest.destroy();
  });

  test('is ERR_VALUE if it cannot be bound, read or written, naming the missing usages', () => {
    for (const [usage, lacking] of [
      [0x80, 'without COPY_SRC and COPY_DST'],
      [0x04 | 0x08, 'without STORAGE'],
      [0x80 | 0x08, 'without COPY_SRC'],
      [0x80 | 0x04, 'without COPY_DST'],
    ] as const) {
      const mine = device.createBuffer({ size: 16, usage });
      const code = 'ERR_VALUE';
      const message = expect.stringMatching(new RegExp(`${lacking}$`));
      expect(() => backend.adopt(mine, 3, 'float32')).toThrow(expect.objectContaining({ code, message }));
    }
  });
});

test('an option that open does not take is ERR_VALUE', async () => {
  await expect(webgpu.open({ pooledByte: 0 } as object)).rejects.toMatchObject({
    code: 'ERR_VALUE',
    message: expect.stringMatching(
      /^webgpu\.open: unknown option 'pooledByte' \(did you mean 'pooledBytes'\?\); expected one of device, adapter, /,
    ),
  });
});

test('pooledBytes is ERR_VALUE unless it is a number ≥ 0; 0 keeps no buffers', async () => {
  const gpu = await nullEntry();
  for (const [pooledBytes, shown] of [
    [-1, 'pooledBytes -1'],
    [Number.NaN, 'pooledBytes NaN'],
    ['64', 'pooledBytes is the text "64"'],
  ] as const) {
    await expect(webgpu.open({ gpu, pooledBytes: pooledBytes as number })).rejects.toMatchObject({
      code: 'ERR_VALUE',
      message: `webgpu: ${shown}; expected a number of at least 0`,
    });
  }
  const own = await webgpu.open({ gpu, pooledBytes: 0 });
  own.free(own.alloc(1, 'float32'));
  expect(own.statistics()).toMatchObject({ liveBuffers: 0, pooledBuffers: 0, pooledBytes: 0 });
  own.close();
});

test('using a freed buffer in a kernel, read or write is ERR_DISPOSED', async () => {
  const { liveBuffers } = backend.statistics();
  const [x, out] = [backend.alloc(3, 'float32'), backend.alloc(3, 'float32')];
  backend.free(x);
  backend.free(x);
  const expected = refused('ERR_DISPOSED', 'freed');
  expect(() => backend.softmax(out, x, { outer: 1, classes: 3, inner: 1 }, plain)).toThrow(expected);
  expect(() => backend.write(x, new Float32Array(3))).toThrow(expected);
  await expect(backend.read(x)).rejects.toMatchObject({ code: 'ERR_DISPOSED' });
  backend.free(out);
  expect(backend.statistics().liveBuffers).toBe(liveBuffers);
});

test('fromBuffer takes only a buffer of the backend, which was not freed', async () => {
  const [first, second] = [await webgpu.open({ device }), await webgpu.open({ device })];
  expect(first.name).toBe('webgpu');
  const refused = expectOwnBuffers(first, second);
  const mine = device.createBuffer({ size: 16, usage: shareable });
  const adopted = first.adopt(mine, 4, 'float32');
  expect(() => fromBuffer(second, adopted, [4], 'float32')).toThrow(refused);
  expect(() => fromBuffer(first, adopted, [3], 'float32')).toThrow('is 4 float32, expected 3 float32');
  fromBuffer(first, adopted, [4], 'float32').dispose();
  expect(() => fromBuffer(first, adopted, [4], 'float32')).toThrow(refused);
  for (const backend of [first, second]) await backend.close();
});
