import { vi } from 'vitest';

// In Node, workgroup memory holds whatever was there before instead of WebGPU's zeros: a kernel that reads a word before writing it is
// found, and the software device compiles a kernel three times as fast. In Chromium the zeros are there. Array bounds are checked in both.
vi.mock('webgpu', async (importOriginal) => {
  const { create } = await importOriginal<{ create(flags: readonly string[]): GPU }>();
  return { create: (flags: readonly string[]) => create([...flags, 'enable-dawn-features=disable_workgroup_init']) };
});
