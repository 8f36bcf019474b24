/** WebGPU's entry point, in a browser or in Node. */
export async function entry(): Promise<GPU> {
  const { navigator } = globalThis as { readonly navigator?: { readonly gpu?: GPU } };
  if (navigator?.gpu) return navigator.gpu;
  const dawn = 'webgpu';
  const { create } = (await import(/* @vite-ignore */ dawn)) as { create(flags: readonly string[]): GPU };
  instance ??= create([]);
  return instance;
}

/** Dawn's instance must outlive its devices. */
let instance: GPU | undefined;

/** A plain device without optional features and with the default limits, or with `descriptor`'s. */
export async function newDevice(descriptor: GPUDeviceDescriptor = {}): Promise<GPUDevice> {
  const adapter = await (await entry()).requestAdapter();
  if (!adapter) throw new Error('the tests need a WebGPU adapter');
  return adapter.requestDevice(descriptor);
}

/**
 * A device with subgroup operations if the adapter has them, because the software device compiles kernels without barriers several
 * times faster.
 */
export async function newDeviceWithSubgroups(): Promise<GPUDevice> {
  const adapter = await (await entry()).requestAdapter();
  return newDevice({ requiredFeatures: adapter?.features.has('subgroups') ? ['subgroups'] : [] });
}

/**
 * Dawn's null adapter, for Node. It validates every call and all WGSL but computes nothing, and compiles in milliseconds, whereas the software
 * device takes a second per kernel. For tests of dispatches, allocations and errors rather than values. It has every feature.
 */
export async function nullEntry(): Promise<GPU> {
  const dawn = 'webgpu';
  const { create } = (await import(/* @vite-ignore */ dawn)) as { create(flags: readonly string[]): GPU };
  nullInstance ??= create(['backend=null']);
  return nullInstance;
}

let nullInstance: GPU | undefined;

/** A device of the null adapter. */
export async function newNullDevice(descriptor: GPUDeviceDescriptor = {}): Promise<GPUDevice> {
  const adapter = await (await nullEntry()).requestAdapter();
  if (!adapter) throw new Error('Dawn has no null adapter');
  return adapter.requestDevice(descriptor);
}

/** A device with some members replaced. */
export function altered(device: GPUDevice, members: Partial<Record<keyof GPUDevice, unknown>>): GPUDevice {
  return new Proxy(device, {
    get(target, key) {
      if (key in members) return members[key as keyof GPUDevice];
      const member: unknown = Reflect.get(target, key, target);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
}
