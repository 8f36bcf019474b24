import { plain } from '@softgrad/core/conformance';
import { expect, test } from 'vitest';
import { webgpu } from '../src/index.js';
import { altered, newDevice, newDeviceWithSubgroups } from './device.js';

/** What the backend announces on a device that runs changed kernels. */
async function supportsWith(change: (code: string) => string) {
  const device = await newDevice();
  let changed = false;
  const other = altered(device, {
    createShaderModule({ label = '', code }: GPUShaderModuleDescriptor) {
      const altered = change(code);
      changed ||= altered !== code;
      return device.createShaderModule({ label, code: altered });
    },
  });
  const backend = await webgpu.open({ device: other });
  const { supports } = backend;
  backend.close();
  device.destroy();
  expect(changed).toBe(true);
  return supports;
}

test('a less accurate exp is announced as less accurate', async () => {
  // The coefficient of t³, off by a thousandth.
  const { expUlp } = await supportsWith((code) => code.replaceAll('0.16666576266288757', '0.1668'));
  expect(expUlp.base).toBeGreaterThan(10);
});

const product = 'bitcast<f32>(a) * bitcast<f32>(b)';
test.each([
  ['infinite results', `clamp(${product}, LOWEST, -LOWEST)`],
  ['the operand Infinity', `select(${product}, 0.0, a == 0x7f800000u)`],
  ['the operand −Infinity', `select(${product}, 0.0, a == 0xff800000u)`],
  ['NaN beside 0', `select(${product}, 0.0, b == 0u)`],
])('a device that loses %s is announced as unspecified', async (_, lossy) => {
  expect((await supportsWith((code) => code.replace(product, lossy))).nonFinite).toBe('unspecified');
});

/** WGSL that gives the smallest subnormal number instead of 0: of products, and of softmax. */
const raised: readonly (readonly [from: string, to: string])[] = [
  ['bitcast<u32>(bitcast<f32>(a) * bitcast<f32>(b))', 'max(1u, bitcast<u32>(bitcast<f32>(a) * bitcast<f32>(b)))'],
  [
    'bitcast<u32>(share_of(below(bitcast<f32>(x), q.m), q.inverse))',
    'max(1u, bitcast<u32>(share_of(below(bitcast<f32>(x), q.m), q.inverse)))',
  ],
];
test.each([
  ['products and softmax', raised, 'preserve'],
  ['products alone', raised.slice(0, 1), 'flush'],
  ['softmax alone', raised.slice(1), 'flush'],
] as const)('a device that preserves subnormals in %s is announced as: %s', async (_, changes, subnormals) => {
  const change = (code: string) => {
    let changed = code;
    for (const [from, to] of changes) changed = changed.replace(from, to);
    return changed;
  };
  expect((await supportsWith(change)).subnormals).toBe(subnormals);
});

test.each([
  [4, true],
  [undefined, true],
  // Its ids only count to 3.
  [8, false],
])('shuffles span the smallest subgroup that the device announces: %s', async (subgroupMinSize, used) => {
  const device = await newDeviceWithSubgroups();
  const programs: string[] = [];
  const other = altered(device, {
    adapterInfo: subgroupMinSize === undefined ? undefined : { vendor: 'acme', subgroupMinSize },
    createShaderModule(descriptor: GPUShaderModuleDescriptor) {
      programs.push(descriptor.code);
      return device.createShaderModule(descriptor);
    },
  });
  const backend = await webgpu.open({ device: other });
  // What its subgroups do is known if they have 4 invocations, as those of the software device.
  if (device.adapterInfo.subgroupMinSize === 4) {
    const [x, out] = [backend.alloc(1000, 'float32'), backend.alloc(1000, 'float32')];
    backend.softmax(out, x, { outer: 1, classes: 1000, inner: 1 }, plain);
    await backend.sync();
    expect(programs.at(-1)?.includes('reach < 4u')).toBe(used);
  }
  backend.close();
  device.destroy();
});

test.each([
  ['in the order of their index', true, (code: string) => code],
  [
    'partly in another order',
    false,
    (code: string) => code.replace('select(4096u, id,', 'select(4096u, select(id, id ^ 1u, local > 200u),'),
  ],
  ['with other neighbours', false, (code: string) => code.replace('subgroupShuffleXor(local, 1u)', 'local')],
] as const)('if subgroups contain invocations %s, shuffles are used: %s', async (_, used, change) => {
  const device = await newDevice({ requiredFeatures: ['subgroups'] });
  const programs: string[] = [];
  const other = altered(device, {
    createShaderModule({ label = '', code }: GPUShaderModuleDescriptor) {
      if (label === 'softmax') programs.push(code);
      return device.createShaderModule({ label, code: label === 'measureSubgroup' ? change(code) : code });
    },
  });
  const backend = await webgpu.open({ device: other });
  const [x, out] = [backend.alloc(1000, 'float32'), backend.alloc(1000, 'float32')];
  backend.softmax(out, x, { outer: 1, classes: 1000, inner: 1 }, plain);
  await backend.sync();
  expect(programs.at(-1)?.includes('subgroupShuffleXor')).toBe(used);
  backend.close();
  device.destroy();
});

test('limits are those of the device', async () => {
  const device = await newDevice({ requiredLimits: { maxStorageBufferBindingSize: 2 ** 20 * 64 } });
  const backend = await webgpu.open({ device });
  const { maxStorageBufferBindingSize, maxBufferSize } = device.limits;
  expect(backend.supports.limits.elements).toBe(Math.min(maxStorageBufferBindingSize, maxBufferSize) / 4);
  backend.close();
  device.destroy();
});
