import { setImmediate as soon } from 'node:timers';
import { vi } from 'vitest';

// In Node, workgroup memory is left uninitialized instead of zeroed as WebGPU requires. This detects kernels that read a word before writing it,
// and the software device compiles kernels three times as fast. In Chromium it is zeroed. Array bounds are checked in both.
vi.mock('webgpu', async (importOriginal) => {
  const { create } = await importOriginal<{ create(flags: readonly string[]): GPU }>();
  return { create: (flags: readonly string[]) => create([...flags, 'enable-dawn-features=disable_workgroup_init']) };
});

// Dawn asks the device by setImmediate whether it is done, without a pause, on a core that the software device and other packages' tests need.
const pause = 0.2;
const never = new Int32Array(new SharedArrayBuffer(4));
vi.stubGlobal('setImmediate', (callback: (...args: unknown[]) => void, ...args: unknown[]) =>
  soon(() => {
    Atomics.wait(never, 0, 0, pause);
    callback(...args);
  }),
);
