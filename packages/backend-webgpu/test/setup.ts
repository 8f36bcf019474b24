import { vi } from 'vitest';

// In Node, workgroup memory is left uninitialized instead of zeroed as WebGPU requires. This detects kernels that read a word before writing it,
// and the software device compiles kernels three times as fast. In Chromium it is zeroed. Array bounds are checked in both.
vi.mock('webgpu', async (importOriginal) => {
  const { create } = await importOriginal<{ create(flags: readonly string[]): GPU }>();
  return { create: (flags: readonly string[]) => create([...flags, 'enable-dawn-features=disable_workgroup_init']) };
});
