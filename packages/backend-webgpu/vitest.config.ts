import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { findChromium } from '../../scripts/chromium.mjs';
import { sharedWithChromium } from '../../vitest.shared.ts';

// In Node, Dawn computes on Chromium's own software device where the machine names no Vulkan driver.
const folders = ['/usr/lib/chromium', '/usr/lib/chromium-browser', dirname((await findChromium()) ?? '')];
const software = folders.find((folder) => existsSync(join(folder, 'vk_swiftshader_icd.json')));
if (software && !process.env.VK_DRIVER_FILES) {
  process.env.VK_DRIVER_FILES = join(software, 'vk_swiftshader_icd.json');
  process.env.LD_LIBRARY_PATH = [software, process.env.LD_LIBRARY_PATH].filter(Boolean).join(':');
}

export default await sharedWithChromium();
