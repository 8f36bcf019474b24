import { crossEntropy, logSoftmax, type Rows, softmax, tensor } from '@softgrad/core';
import { plain, plainCrossEntropy } from '@softgrad/core/conformance';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type OperationStatistics,
  type Statistics,
  type WebgpuBackend,
  type WebgpuBuffer,
  webgpu,
} from '../src/index.js';
import { altered, newNullDevice, nullEntry } from './device.js';

// Counts are the same on every device, so these tests use one that does not compute.
let backend: WebgpuBackend;
beforeAll(async () => {
  backend = await webgpu.open({ gpu: await nullEntry() });
});
afterAll(() => backend.close());

/** The increase of an operation's counts by `enqueue`. */
function cost(operation: string, enqueue: () => void): OperationStatistics {
  const none = { calls: 0, dispatches: 0, bytesRead: 0, bytesWritten: 0 };
  const before = backend.statistics().operations[operation] ?? none;
  enqueue();
  const after = backend.statistics().operations[operation] ?? none;
  return {
    calls: after.calls - before.calls,
    dispatches: after.dispatches - before.dispatches,
    bytesRead: after.bytesRead - before.bytesRead,
    bytesWritten: after.bytesWritten - before.bytesWritten,
  };
}

const layouts: readonly Rows[] = [
  { outer: 65, classes: 3, inner: 1 },
  { outer: 2, classes: 1000, inner: 1 },
  { outer: 1, classes: 32768, inner: 1 },
  { outer: 2, classes: 7, inner: 5 },
];

describe.each(layouts)('$outer × $classes × $inner', (rows) => {
  const size = rows.outer * rows.classes * rows.inner;
  const count = rows.outer * rows.inner;
  const parameters = { temperature: 1, mask: null };

  test.each([
    ['softmax', 1],
    ['vjp', 2],
    ['logSoftmax', 1],
    ['logSoftmaxVjp', 2],
  ] as const)(
    '%s is one dispatch that loads each input element twice and writes each output element once',
    (name, inputs) => {
      const buffers = Array.from({ length: inputs + 1 }, () => backend.alloc(size, 'float32'));
      const [out, x, g] = buffers;
      const calls = {
        softmax: () => backend.softmax(out, x, rows, plain),
        vjp: () => backend.vjp(out, x, g, rows, plain),
        logSoftmax: () => backend.kernels.logSoftmax(out, x, rows, parameters),
        logSoftmaxVjp: () => backend.kernels.logSoftmaxVjp(out, x, g, rows, { temperature: 1 }),
      };
      expect(cost(name, calls[name])).toEqual({
        calls: 1,
        dispatches: 1,
        bytesRead: 2 * inputs * 4 * size,
        bytesWritten: 4 * size,
      });
      for (const buffer of buffers) backend.free(buffer);
    },
  );

  test('crossEntropy computes loss and gradient in one dispatch that loads the logits twice', () => {
    const [x, gradient] = [backend.alloc(size, 'float32'), backend.alloc(size, 'float32')];
    const [loss, target] = [backend.alloc(count, 'float32'), backend.alloc(count, 'int32')];
    const indices = { kind: 'indices', buffer: target } as const;
    const options = { ...plainCrossEntropy, ...parameters, target: indices };
    const { dispatches, bytesRead, bytesWritten } = cost('crossEntropy', () =>
      backend.kernels.crossEntropy({ loss, gradient }, x, rows, options),
    );
    expect({ dispatches, bytesWritten }).toEqual({ dispatches: 1, bytesWritten: 4 * (size + count) });
    expect(bytesRead).toBeLessThanOrEqual(2 * 4 * (size + count));
    for (const buffer of [x, gradient, loss, target]) backend.free(buffer);
  });

  test('logSumExp loads the logits once', () => {
    const [x, out] = [backend.alloc(size, 'float32'), backend.alloc(count, 'float32')];
    const { dispatches, bytesRead } = cost('logSumExp', () => backend.kernels.logSumExp(out, x, rows, parameters));
    expect({ dispatches, bytesRead }).toEqual({ dispatches: 1, bytesRead: 4 * size });
    for (const buffer of [x, out]) backend.free(buffer);
  });
});

test('every kernel is one call of the operation with its name', async () => {
  const own = await webgpu.open({ gpu: await nullEntry() });
  const rows = { outer: 2, classes: 3, inner: 1 };
  const plainly = { temperature: 1, mask: null };
  const tempered = { temperature: 1 };
  const [x, y, z, out] = [6, 6, 6, 6].map((length) => own.alloc(length, 'float32'));
  const [matrices, perRow] = [18, 2].map((length) => own.alloc(length, 'float32'));
  const target = { kind: 'indices', buffer: own.alloc(2, 'int32') } as const;
  const options = { ...plainCrossEntropy, ...plainly, target };
  const { kernels } = own;
  const calls: Readonly<Record<string, readonly [written: number, call: () => unknown]>> = {
    softmax: [6, () => own.softmax(out, x, rows, plainly)],
    vjp: [6, () => own.vjp(out, x, y, rows, plainly)],
    jacobian: [18, () => own.jacobian(matrices, x, rows, plainly)],
    logSoftmax: [6, () => kernels.logSoftmax(out, x, rows, plainly)],
    logSoftmaxVjp: [6, () => kernels.logSoftmaxVjp(out, x, y, rows, tempered)],
    logSoftmaxJvp: [6, () => kernels.logSoftmaxJvp(out, x, y, rows, tempered)],
    logSoftmaxJacobian: [18, () => kernels.logSoftmaxJacobian(matrices, x, rows, tempered)],
    softmaxHvp: [6, () => kernels.softmaxHvp(out, x, y, z, rows, tempered)],
    logSoftmaxHvp: [6, () => kernels.logSoftmaxHvp(out, x, y, z, rows, tempered)],
    logSumExpHvp: [6, () => kernels.logSumExpHvp(out, x, perRow, y, rows, plainly)],
    logSumExp: [2, () => kernels.logSumExp(perRow, x, rows, plainly)],
    crossEntropy: [8, () => kernels.crossEntropy({ loss: perRow, gradient: out }, x, rows, options)],
    sigmoid: [6, () => kernels.sigmoid(out, x, 6)],
    sigmoidVjp: [6, () => kernels.sigmoidVjp(out, x, y, 6)],
    relu: [6, () => kernels.relu(out, x, 6)],
    reluVjp: [6, () => kernels.reluVjp(out, x, y, 6)],
  };
  expect(Object.keys(calls).sort()).toEqual(['softmax', 'vjp', 'jacobian', ...Object.keys(kernels)].sort());
  for (const [name, [written, call]] of Object.entries(calls)) {
    call();
    const { [name]: counts } = own.statistics().operations;
    expect([name, counts]).toMatchObject([name, { calls: 1, dispatches: 1, bytesWritten: 4 * written }]);
  }
  own.close();
});

test.each([
  [1000, 1, 0],
  // Seven parts, with states of ten and of two words: the first stage writes the states of the first reduction, the second those of the second.
  [100_000, 3, 7],
])(
  'softmaxHvp of %i classes is %i dispatches that load each input element three times',
  (classes, dispatches, parts) => {
    const buffers = Array.from({ length: 4 }, () => backend.alloc(classes, 'float32'));
    const [out, s, g, t] = buffers;
    const rows = { outer: 1, classes, inner: 1 };
    const enqueue = () => backend.kernels.softmaxHvp(out, s, g, t, rows, { temperature: 1 });
    const live = backend.statistics().liveBuffers;
    expect(cost('softmaxHvp', enqueue)).toEqual({
      calls: 1,
      dispatches,
      bytesRead: 4 * (3 * 3 * classes + parts * (2 * parts * 10 + parts * 2)),
      bytesWritten: 4 * (classes + parts * (10 + 2)),
    });
    expect(backend.statistics().liveBuffers).toBe(live);
    for (const buffer of buffers) backend.free(buffer);
  },
);

test('rows of more than 32768 classes are split among workgroups: two dispatches, and each element is still loaded twice', () => {
  const rows = { outer: 2, classes: 100_000, inner: 1 };
  const [x, out] = [backend.alloc(200_000, 'float32'), backend.alloc(200_000, 'float32')];
  const { dispatches, bytesRead, bytesWritten } = cost('softmax', () => backend.softmax(out, x, rows, plain));
  expect(dispatches).toBe(2);
  expect(bytesRead).toBeLessThan(2.01 * 4 * 200_000);
  expect(bytesWritten).toBeLessThan(1.01 * 4 * 200_000);
  for (const buffer of [x, out]) backend.free(buffer);
});

test('one workgroup merges the parts of a long row if only one value per row is written', () => {
  const classes = 1_000_000;
  const [x, out] = [backend.alloc(classes, 'float32'), backend.alloc(1, 'float32')];
  const parameters = { temperature: 1, mask: null };
  // 62 parts with states of three words.
  expect(
    cost('logSumExp', () => backend.kernels.logSumExp(out, x, { outer: 1, classes, inner: 1 }, parameters)),
  ).toEqual({ calls: 1, dispatches: 2, bytesRead: 4 * (classes + 62 * 3), bytesWritten: 4 * (62 * 3 + 1) });
  for (const buffer of [x, out]) backend.free(buffer);
});

test.each([
  [65, 3],
  [16, 10],
  [8, 128],
  [2, 256],
])('the Jacobian of %i rows of %i is one dispatch that loads each probability once', (outer, classes) => {
  const [s, out] = [backend.alloc(outer * classes, 'float32'), backend.alloc(outer * classes ** 2, 'float32')];
  expect(cost('jacobian', () => backend.jacobian(out, s, { outer, classes, inner: 1 }, plain))).toEqual({
    calls: 1,
    dispatches: 1,
    bytesRead: 4 * outer * classes,
    bytesWritten: 4 * outer * classes ** 2,
  });
  for (const buffer of [s, out]) backend.free(buffer);
});

test('the device is described by its adapter', async () => {
  const device = await newNullDevice();
  const adapterInfo = { vendor: 'acme', architecture: 'one' };
  const own = await webgpu.open({ device: altered(device, { adapterInfo }) });
  expect(own.supports.device).toBe('acme one (webgpu)');
  own.close();
  device.destroy();
});

test('a tile of a larger Jacobian loads the probabilities of its rows and columns', () => {
  const [s, out] = [backend.alloc(2 * 513, 'float32'), backend.alloc(2 * 513 ** 2, 'float32')];
  const rows = { outer: 2, classes: 513, inner: 1 };
  expect(cost('jacobian', () => backend.jacobian(out, s, rows, plain))).toMatchObject({
    dispatches: 1,
    bytesRead: 4 * 2 * 513 * (2 * 3),
  });
  for (const buffer of [s, out]) backend.free(buffer);
});

test('Jacobians of a multiple of 4 classes have a program of their own, which writes four entries at once', async () => {
  const own = await webgpu.open({ gpu: await nullEntry() });
  const [s, out] = [own.alloc(1000, 'float32'), own.alloc(2 ** 20, 'float32')];
  const compiled = (classes: number) => {
    const before = own.statistics().pipelines;
    own.jacobian(out, s, { outer: 1, classes, inner: 1 }, plain);
    return own.statistics().pipelines - before;
  };
  expect([3, 1, 2, 5, 510].map(compiled)).toEqual([1, 0, 0, 0, 0]);
  expect([4, 8, 12, 512].map(compiled)).toEqual([1, 0, 0, 0]);
  expect([513, 515, 516, 520].map(compiled)).toEqual([1, 0, 1, 0]);
  own.close();
});

test('chained operations are submitted together without readbacks', async () => {
  const x = tensor([[1, 2, 3]], { backend });
  await backend.sync();
  const before = backend.statistics();
  const s = softmax(x);
  const dx = softmax.vjp(s, x);
  const y = logSoftmax(dx);
  const { loss, gradient } = crossEntropy(y, [1], { reduction: 'none' });
  const enqueued = backend.statistics();
  expect(enqueued.dispatches - before.dispatches).toBe(4);
  expect(enqueued.submits).toBe(before.submits);
  expect(enqueued.readbacks).toBe(before.readbacks);
  await gradient.data();
  const after = backend.statistics();
  expect(after.submits - before.submits).toBe(1);
  expect(after.readbacks - before.readbacks).toBe(1);
  expect(after.bytesReadBack - before.bytesReadBack).toBe(12);
  for (const made of [x, s, dx, y, loss, gradient]) made.dispose();
});

test('the vjp of a linearized softmax needs memory proportional to its row only', () => {
  const classes = 1_000_000;
  const x = tensor(new Float32Array(classes), { backend });
  const operator = softmax.linearize(x);
  const before = backend.statistics().liveBytes;
  const dx = operator.vjp(x);
  expect(backend.statistics().liveBytes - before).toBeLessThan(1.25 * 4 * classes);
  for (const made of [x, operator.value, dx]) made.dispose();
});

test('operations leak nothing: the numbers of buffers, staging buffers, bind groups and pipelines stay the same', async () => {
  const step = async (i: number, reading: boolean) => {
    const classes = 1 + (i % 37);
    const x = tensor(new Float32Array(3 * classes).fill(i), { shape: [3, classes], backend });
    const s = softmax(x);
    softmax.vjp(s, x, { out: x });
    if (reading) await s.data();
    x.dispose();
    s.dispose();
  };
  // Every shape twice, so that all buffers, bind groups and kernels exist afterwards.
  for (let i = 0; i < 74; i++) await step(i, true);
  await backend.sync();
  const before = backend.statistics();
  for (let i = 0; i < 370; i++) await step(i, i % 100 === 0);
  await backend.sync();
  const held = ({
    liveBuffers,
    liveBytes,
    pooledBuffers,
    pooledBytes,
    stagingBuffers,
    stagingBytes,
    pipelines,
    bindGroups,
  }: Statistics) => ({
    liveBuffers,
    liveBytes,
    pooledBuffers,
    pooledBytes,
    stagingBuffers,
    stagingBytes,
    pipelines,
    bindGroups,
  });
  const after = backend.statistics();
  expect(after.dispatches - before.dispatches).toBe(740);
  expect(held(after)).toEqual(held(before));
});

test('buffers of a size class, staging buffers and pipelines are created once and reused', async () => {
  const device = await newNullDevice();
  const made: number[] = [];
  let pipelines = 0;
  const watched = altered(device, {
    createBuffer(descriptor: GPUBufferDescriptor) {
      made.push(descriptor.usage);
      return device.createBuffer(descriptor);
    },
    createComputePipeline(descriptor: GPUComputePipelineDescriptor) {
      pipelines++;
      return device.createComputePipeline(descriptor);
    },
  });
  const own = await webgpu.open({ device: watched });
  const step = async (outer: number) => {
    const [x, s] = [own.alloc(5 * outer, 'float32'), own.alloc(5 * outer, 'float32')];
    own.softmax(s, x, { outer, classes: 5, inner: 1 }, plain);
    await own.read(s);
    own.free(x);
    own.free(s);
  };
  await step(1000);
  const before = { buffers: made.length, pipelines };
  // 900 rows use the same size class and kernel as 1000.
  for (let k = 0; k < 20; k++) await step(k % 2 === 0 ? 1000 : 900);
  expect({ buffers: made.length, pipelines }).toEqual(before);
  const staging = made.filter((usage) => (usage & 1) !== 0);
  expect(staging.length).toBeLessThanOrEqual(own.statistics().stagingBuffers);
  expect(own.statistics().pipelines).toBe(pipelines);
  own.close();
  device.destroy();
});

test('waiting for nothing submits nothing', async () => {
  await backend.sync();
  const { submits } = backend.statistics();
  await backend.sync();
  await backend.sync();
  expect(backend.statistics().submits).toBe(submits);
});

test('the parameters of a batch have one buffer, and those of a larger one another', async () => {
  const device = await newNullDevice({ requiredFeatures: ['timestamp-query'] });
  const sizes: number[] = [];
  const own = await webgpu.open({
    device: altered(device, {
      createBuffer(descriptor: GPUBufferDescriptor) {
        if (descriptor.usage & 0x40) sizes.push(descriptor.size); // UNIFORM
        return device.createBuffer(descriptor);
      },
    }),
  });
  const rows = { outer: 1, classes: 5, inner: 1 };
  const [x, s] = [own.alloc(5, 'float32'), own.alloc(5, 'float32')];
  const enqueue = (times: number) => {
    for (let k = 0; k < times; k++) own.softmax(s, x, rows, plain);
  };
  enqueue(64);
  await own.sync();
  expect(sizes).toEqual([64 * 256]);
  await own.time(() => enqueue(100));
  await own.time(() => enqueue(100));
  expect(sizes).toEqual([64 * 256, 100 * 256]);
  own.close();
  device.destroy();
});

test('an operation has a program for each dtype', async () => {
  const device = await newNullDevice({ requiredFeatures: ['shader-f16'] });
  const own = await webgpu.open({ device });
  const rows = { outer: 1, classes: 8, inner: 1 };
  const before = own.statistics().pipelines;
  for (const dtype of ['float32', 'float16', 'float32', 'float16'] as const) {
    const [x, out, perRow] = [own.alloc(8, dtype), own.alloc(8, dtype), own.alloc(1, dtype)];
    own.softmax(out, x, rows, plain);
    own.kernels.logSumExp(perRow, x, rows, plain);
    own.kernels.relu(out, x, 8);
  }
  expect(own.statistics().pipelines - before).toBe(6);
  await own.sync();
  own.close();
  device.destroy();
});

test('200 operations are 4 submits: 64 at a time, and the rest when a result is read', async () => {
  const rows = { outer: 1, classes: 5, inner: 1 };
  const [x, s] = [backend.alloc(5, 'float32'), backend.alloc(5, 'float32')];
  await backend.sync();
  const before = backend.statistics().submits;
  for (let k = 0; k < 200; k++) backend.softmax(s, x, rows, plain);
  expect(backend.statistics().submits - before).toBe(3);
  await backend.sync();
  expect(backend.statistics().submits - before).toBe(4);
  for (const buffer of [x, s]) backend.free(buffer);
});

test('bind groups are kept for 512 sets of buffers, with least-recently-used eviction', async () => {
  const device = await newNullDevice();
  let made = 0;
  const own = await webgpu.open({
    device: altered(device, {
      createBindGroup(descriptor: GPUBindGroupDescriptor) {
        made++;
        return device.createBindGroup(descriptor);
      },
    }),
  });
  const rows = { outer: 1, classes: 2, inner: 1 };
  // Larger than the buffers that `open` has measured with, so that no bind group has it yet.
  const x = own.alloc(2 ** 13, 'float32');
  const outs = Array.from({ length: 600 }, () => own.alloc(2, 'float32'));
  const groupsFor = async (buffers: readonly WebgpuBuffer[]) => {
    const before = made;
    for (const out of buffers) own.softmax(out, x, rows, plain);
    await own.sync();
    return made - before;
  };
  expect(await groupsFor(outs)).toBe(600);
  expect(own.statistics().bindGroups).toBe(512);
  // The last 512 are kept. The oldest of them is used again, so the next one is evicted first.
  expect(await groupsFor([outs[88], ...outs.slice(590)])).toBe(0);
  expect(await groupsFor([outs[0]])).toBe(1);
  expect(await groupsFor([outs[88]])).toBe(0);
  expect(await groupsFor([outs[89]])).toBe(1);
  expect(own.statistics().bindGroups).toBe(512);
  own.close();
  device.destroy();
});

test('freed buffers are kept up to the bound, with least-recently-used eviction', async () => {
  const small = await webgpu.open({ gpu: await nullEntry(), pooledBytes: 100_000 });
  for (const length of [5000, 6000, 7000, 8000, 9000]) small.free(small.alloc(length, 'float32'));
  const { pooledBytes, pooledBuffers } = small.statistics();
  expect(pooledBytes).toBeLessThanOrEqual(100_000);
  const again = small.alloc(9000, 'float32');
  expect(small.statistics().pooledBuffers).toBe(pooledBuffers - 1);
  small.free(again);
  small.close();
});
