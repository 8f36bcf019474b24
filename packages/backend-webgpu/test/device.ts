/** WebGPU's entry point wherever the tests run. */
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

/** A device of which some members are others. */
export function altered(device: GPUDevice, members: Partial<Record<keyof GPUDevice, unknown>>): GPUDevice {
  return new Proxy(device, {
    get(target, key) {
      if (key in members) return members[key as keyof GPUDevice];
      const member: unknown = Reflect.get(target, key, target);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
}
